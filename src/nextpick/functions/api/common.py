"""What the handlers of Lambda's operations share: their context, Lambda's errors, and who may call what.

Source: AWS Lambda API Reference; Service Authorization Reference, "Actions, resources, and condition keys for AWS
Lambda".
"""

import json
from typing import Any, NamedTuple

from nextpick.access.grammar import parse_policy
from nextpick.access.guard import Caller, Guard
from nextpick.access.policy import Policy
from nextpick.clock import Clock
from nextpick.errors import AccessDenied, ResourceNotFound, ServiceError
from nextpick.functions.registry import LATEST, Function, Reference, Registry, function_arn, parse_name
from nextpick.functions.roles import Roles
from nextpick.neighbours.handlers import Handlers
from nextpick.settings import Settings
from nextpick.wire.dispatch import Call

Request = dict[str, Any]
Answer = Any


class InvalidParameterValue(ServiceError):
    """One of the parameters in the request is not valid."""


class ResourceConflict(ServiceError):
    """The resource already exists, or another operation is in progress."""

    status = 409


class PreconditionFailed(ServiceError):
    """The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve \
the latest RevisionId for your resource."""

    status = 412


class TooManyRequests(ServiceError):
    """Rate Exceeded."""

    status = 429

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)
        self.details = {"Reason": "ConcurrentInvocationLimitExceeded"}


class InvalidRequestContent(ServiceError):
    """The request body could not be parsed as JSON."""


class RequestTooLarge(ServiceError):
    """The request payload exceeded the Invoke request body JSON input quota."""

    status = 413


class Failed(ServiceError):
    """The Lambda service encountered an internal error."""

    status = 500
    code = "ServiceException"


class Services(NamedTuple):
    """What handlers share."""

    registry: Registry
    guard: Guard
    roles: Roles
    settings: Settings
    clock: Clock


class Context(NamedTuple):
    """One call: who makes it, and what serves it."""

    services: Services
    call: Call

    @property
    def registry(self) -> Registry:
        """Where the functions are."""
        return self.services.registry

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self.services.clock.now()

    def arn(self, name: str) -> str:
        """Return the ARN of a function of the caller's account and region."""
        return function_arn(self.call.region, self.call.account, name)

    def reference(self, request: Request) -> Reference:
        """Return what a request names. Raises InvalidParameterValue."""
        text = request["FunctionName"]
        named = parse_name(text)
        if named is None:
            raise InvalidParameterValue(f"{text} is neither the name of a function nor its ARN")
        asked = request.get("Qualifier") or ""
        if asked and named.qualifier and asked != named.qualifier:
            raise InvalidParameterValue(
                "The derived qualifier from the function name does not match the specified qualifier."
            )
        return Reference(
            named.name,
            named.account or self.call.account,
            named.region or self.call.region,
            asked or named.qualifier,
        )

    def whole(self, request: Request) -> Function:
        """Return the function of a request that may name no version. Raises as ``function`` does."""
        if self.reference(request).qualifier not in ("", LATEST):
            raise InvalidParameterValue(
                "This operation is permitted on Lambda functions only, not on aliases or versions. Please specify only "
                "the function name or ARN."
            )
        return self.function(request)

    def qualified(self, request: Request) -> tuple[Function, str]:
        """Return the version that a request is about, of an alias its own, and the ARN as it was asked for.

        Raises ResourceNotFound, InvalidParameterValue.
        """
        function, qualifier = self.function(request), self.reference(request).qualifier
        if not qualifier:
            return function, function.arn
        arn = f"{function.arn}:{qualifier}"
        alias = function.aliases.get(qualifier)
        found = self.registry.version(function, alias.version if alias else qualifier)
        if found is None:
            raise ResourceNotFound(f"Function not found: {arn}")
        return found, arn

    def function(self, request: Request) -> Function:
        """Return the function that a request names, of whatever version.

        Raises ResourceNotFound, InvalidParameterValue.
        """
        named = self.reference(request)
        found = self.registry.get(named.account, named.region, named.name)
        if found is None or named.account != self.call.account:
            raise ResourceNotFound(
                f"Function not found: {function_arn(named.region, named.account, named.name)}"
            )
        return found

    def require(self, action: str, resource: str, policy: Policy | None = None) -> None:
        """Raise AccessDenied unless the caller may do it. The administrator may; what it invokes is not noted."""
        if self.call.principal or action != "InvokeFunction":
            self.services.guard.require(
                Caller.of(self.call),
                f"lambda:{action}",
                resource,
                resource_policy=policy,
                owner=self.call.account,
            )

    def require_administrator(self) -> None:
        """Raise AccessDenied for all others: code runs as the server's own user of the system."""
        if self.call.principal:
            raise AccessDenied(
                f"User: {self.call.principal} is not authorized to perform: lambda:{self.call.operation} because "
                "functions run as the server itself; only the administrator's key deploys them"
            )


HANDLERS: Handlers[Context, Answer] = Handlers()


def policy_of(function: Function, arn: str) -> Policy | None:
    """Return the resource policy of a function's ARN, with a version or alias perhaps; None where it has none."""
    text = policy_text(function, arn)
    return parse_policy(text, name=f"resource policy of {function.name}", kind="resource") if text else None


def policy_text(function: Function, arn: str) -> str:
    """Return the document of that policy, "" where there is none."""
    statements = [each for each in function.statements if each["Resource"] == arn]
    if not statements:
        return ""
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements})


def check_revision(function: Function, request: Request) -> None:
    """Raise PreconditionFailed where a request is about another revision than the one there is."""
    if request.get("RevisionId") not in (None, function.revision):
        raise PreconditionFailed
