"""AddPermission, RemovePermission, GetPolicy: who else may invoke a function."""

import json
from typing import Any

import msgspec

from nextpick.access.grammar import Malformed
from nextpick.errors import ResourceNotFound
from nextpick.functions.api.common import (
    HANDLERS,
    Answer,
    Context,
    InvalidParameterValue,
    Request,
    ResourceConflict,
    check_revision,
    policy_of,
    policy_text,
)


@HANDLERS.operation("AddPermission")
def add_permission(ctx: Context, request: Request) -> Answer:
    """Add a statement to the function's resource policy."""
    with ctx.registry.changing():
        function, (_, arn) = ctx.function(request), ctx.qualified(request)
        ctx.require("AddPermission", arn)
        check_revision(function, request)
        sid = request["StatementId"]
        if any((each["Sid"], each["Resource"]) == (sid, arn) for each in function.statements):
            raise ResourceConflict(
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the "
                "existing statement."
            )
        statement = _statement(arn, request)
        made = msgspec.structs.replace(function, statements=[*function.statements, statement])
        try:
            policy_of(made, arn)
        except Malformed as error:
            raise InvalidParameterValue(str(error)) from None
        ctx.registry.put(made)
    return {"Statement": json.dumps(statement)}


@HANDLERS.operation("RemovePermission")
def remove_permission(ctx: Context, request: Request) -> Answer:
    """Take a statement out of the function's resource policy."""
    with ctx.registry.changing():
        function, (_, arn) = ctx.function(request), ctx.qualified(request)
        ctx.require("RemovePermission", arn)
        check_revision(function, request)
        gone = (request["StatementId"], arn)
        kept = [each for each in function.statements if (each["Sid"], each["Resource"]) != gone]
        if len(kept) == len(function.statements):
            raise ResourceNotFound(f"Statement {request['StatementId']} is not found in resource policy.")
        ctx.registry.put(msgspec.structs.replace(function, statements=kept))


@HANDLERS.operation("GetPolicy")
def get_policy(ctx: Context, request: Request) -> Answer:
    """Raises ResourceNotFound for a function that has no policy, as Lambda does."""
    function, (_, arn) = ctx.function(request), ctx.qualified(request)
    ctx.require("GetPolicy", arn)
    text = policy_text(function, arn)
    if not text:
        raise ResourceNotFound("The resource you requested does not exist.")
    return {"Policy": text, "RevisionId": function.revision}


def _statement(arn: str, request: Request) -> dict[str, Any]:
    principal: Any = request["Principal"]
    if principal != "*":
        principal = {
            "Service" if principal.endswith((".amazonaws.com", ".amazonaws.com.cn")) else "AWS": principal
        }
    conditions: dict[str, dict[str, str]] = {}
    if "SourceArn" in request:
        conditions["ArnLike"] = {"AWS:SourceArn": request["SourceArn"]}
    if "SourceAccount" in request:
        conditions["StringEquals"] = {"AWS:SourceAccount": request["SourceAccount"]}
    return {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": request["Action"],
        "Resource": arn,
        **({"Condition": conditions} if conditions else {}),
    }
