"""As whom an integration calls: the API's owner, or the role of its ``credentials``.

Source: API Gateway API reference, "PutIntegration", ``credentials``.
"""

import re
from collections.abc import Mapping
from typing import Any

from nextpick.access.assuming import RoleRefused
from nextpick.errors import AccessDenied
from nextpick.gateway.door import Door, Identity
from nextpick.gateway.mapping import with_variables
from nextpick.gateway.messages import Refusal, Request

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_CALLER = re.compile(r"arn:aws[a-z-]*:iam::\*:user/\*")


def credentials_of(integration: dict[str, Any], variables: Mapping[str, str]) -> str:
    """Return the ARN of an integration's role, "" for the API's owner. Raises ValueError."""
    text = with_variables(str(integration.get("credentials") or ""), variables)
    if _CALLER.fullmatch(text):
        raise ValueError("credentials are the caller's, who does not sign requests here; name a role instead")
    if text and not _ROLE.fullmatch(text):
        raise ValueError(f"credentials is {text!r}, which is no ARN of a role")
    return text


async def identity_of(door: Door, request: Request, role: str) -> Identity:
    """Return as whom a request is passed on. Raises Refusal where the role cannot be taken."""
    stage = request.stage
    if not role:
        return Identity()
    source = f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api}/{stage.name}/{request.verb}"
    try:
        return await door.assume(stage.account, role, source + request.resource)
    except RoleRefused as refused:
        request.noted["error"] = str(refused)
        raise Refusal("API_CONFIGURATION_ERROR") from None


async def may_invoke(door: Door, request: Request, role: str, arn: str) -> None:
    """Raise Refusal unless a role may invoke a function."""
    who = await identity_of(door, request, role)
    try:
        await door.require(request.stage.account, request.stage.region, who, "lambda:InvokeFunction", arn)
    except AccessDenied as denied:
        request.noted["error"] = denied.message
        raise Refusal("API_CONFIGURATION_ERROR") from None
