"""PublishVersion, ListVersionsByFunction, and the operations on aliases.

Source: AWS Lambda Developer Guide, "Manage Lambda function versions", "Create an alias for a Lambda function",
"Implement Lambda canary deployments using a weighted alias".
"""

import secrets
from typing import Any

import msgspec

from nextpick.errors import ResourceNotFound
from nextpick.functions.api.common import (
    HANDLERS,
    Answer,
    Context,
    InvalidParameterValue,
    PreconditionFailed,
    Request,
    ResourceConflict,
    check_revision,
)
from nextpick.functions.api.describe import configuration
from nextpick.functions.registry import LATEST, Alias, Function

_PAGE = 50
_COMPARED = (
    "runtime",
    "handler",
    "role",
    "timeout_s",
    "memory_mb",
    "environment",
    "layers",
    "code_sha256",
    "told",
)


@HANDLERS.operation("PublishVersion")
def publish_version(ctx: Context, request: Request) -> Answer:
    """What has not changed since the newest version gets no other: that one is answered."""
    ctx.require_administrator()
    with ctx.registry.changing():
        function = ctx.whole(request)
        check_revision(function, request)
        if request.get("CodeSha256") not in (None, "", function.code_sha256):
            raise InvalidParameterValue(
                f"CodeSHA256 ({request['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
                f"({function.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
            )
        version = publish(ctx, function, request.get("Description"))
    return configuration(version, _arn(version))


def publish(ctx: Context, function: Function, description: str | None = None) -> Function:
    """Return a version of what a function is now, a new one unless nothing changed. Call it while ``changing``."""
    newest = ctx.registry.version(function, str(function.published))
    if newest is not None and all(getattr(newest, name) == getattr(function, name) for name in _COMPARED):
        return newest
    return ctx.registry.publish(function, function.description if description is None else description)[1]


def deletable(ctx: Context, function: Function, qualifier: str) -> Function | None:
    """Return the version that a request may delete, None where there is none. Raises ResourceConflict for one that an
    alias names, InvalidParameterValue for what is no version."""
    if not qualifier.isdecimal():
        raise InvalidParameterValue(f"{qualifier} version cannot be deleted without deleting the function.")
    users = [name for name, alias in function.aliases.items() if qualifier in (alias.version, *alias.weights)]
    if users:
        raise ResourceConflict(
            f"Version {function.arn}:{qualifier} is referenced by the aliases {', '.join(users)}; point them elsewhere."
        )
    return ctx.registry.version(function, qualifier)


@HANDLERS.operation("ListVersionsByFunction")
def list_versions_by_function(ctx: Context, request: Request) -> Answer:
    """$LATEST comes first; a marker is the number of the last version that was listed."""
    function = ctx.whole(request)
    ctx.require("ListVersionsByFunction", function.arn)
    found = [function, *ctx.registry.versions(function)]
    return _page(request, "Versions", [(each.version, configuration(each, _arn(each))) for each in found])


@HANDLERS.operation("CreateAlias")
def create_alias(ctx: Context, request: Request) -> Answer:
    with ctx.registry.changing():
        function, name = ctx.whole(request), request["Name"]
        ctx.require("CreateAlias", function.arn)
        if name in function.aliases:
            raise ResourceConflict(f"Alias already exists: {function.arn}:{name}")
        made = Alias(request["FunctionVersion"], request.get("Description", ""), _weights(request) or {})
        return _put(ctx, function, name, made)


@HANDLERS.operation("UpdateAlias")
def update_alias(ctx: Context, request: Request) -> Answer:
    """What is not given stays; an empty RoutingConfig takes the weights away."""
    with ctx.registry.changing():
        function, name = ctx.whole(request), request["Name"]
        ctx.require("UpdateAlias", function.arn)
        alias = _alias(function, name)
        if request.get("RevisionId") not in (None, alias.revision):
            raise PreconditionFailed
        weights = _weights(request)
        made = Alias(
            request.get("FunctionVersion", alias.version),
            request.get("Description", alias.description),
            alias.weights if weights is None else weights,
        )
        return _put(ctx, function, name, made)


@HANDLERS.operation("GetAlias")
def get_alias(ctx: Context, request: Request) -> Answer:
    function = ctx.whole(request)
    ctx.require("GetAlias", function.arn)
    return _told(function, request["Name"])


@HANDLERS.operation("ListAliases")
def list_aliases(ctx: Context, request: Request) -> Answer:
    """A marker is the name of the last alias that was listed."""
    function, version = ctx.whole(request), request.get("FunctionVersion")
    ctx.require("ListAliases", function.arn)
    names = sorted(
        name
        for name, alias in function.aliases.items()
        if version is None or version in (alias.version, *alias.weights)
    )
    return _page(request, "Aliases", [(name, _told(function, name)) for name in names])


@HANDLERS.operation("DeleteAlias")
def delete_alias(ctx: Context, request: Request) -> Answer:
    """Its permissions and its configuration of asynchronous invocations go with it."""
    with ctx.registry.changing():
        function, name = ctx.whole(request), request["Name"]
        ctx.require("DeleteAlias", function.arn)
        if name in function.aliases:
            ctx.registry.put(
                msgspec.structs.replace(
                    function,
                    aliases=_without(function.aliases, name),
                    other_retries=_without(function.other_retries, name),
                    statements=[
                        each for each in function.statements if each["Resource"] != f"{function.arn}:{name}"
                    ],
                )
            )


def _put(ctx: Context, function: Function, name: str, alias: Alias) -> dict[str, Any]:
    versions = (alias.version, *alias.weights)
    for version in versions:
        if ctx.registry.version(function, version) is None:
            raise ResourceNotFound(f"Function not found: {function.arn}:{version}")
    if len(versions) > 1 and LATEST in versions:
        raise InvalidParameterValue("$LATEST is not supported for an alias pointing to more than 1 version")
    if len(versions) != len(set(versions)):
        raise InvalidParameterValue(f"The alias {name} cannot weigh {alias.version} against itself")
    aliases = function.aliases | {name: msgspec.structs.replace(alias, revision=secrets.token_hex(16))}
    return _told(ctx.registry.put(msgspec.structs.replace(function, aliases=aliases)), name)


def _alias(function: Function, name: str) -> Alias:
    try:
        return function.aliases[name]
    except KeyError:
        raise ResourceNotFound(f"Cannot find alias arn: {function.arn}:{name}") from None


def _told(function: Function, name: str) -> dict[str, Any]:
    alias = _alias(function, name)
    return {
        "AliasArn": f"{function.arn}:{name}",
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
        **({"RoutingConfig": {"AdditionalVersionWeights": alias.weights}} if alias.weights else {}),
    }


def _weights(request: Request) -> dict[str, float] | None:
    if "RoutingConfig" not in request:
        return None
    weights = request["RoutingConfig"].get("AdditionalVersionWeights") or {}
    if len(weights) > 1:
        raise InvalidParameterValue("Number of items in AdditionalVersionWeights cannot be greater than 1")
    return weights


def _arn(version: Function) -> str:
    return f"{version.arn}:{version.version}"


def _page(request: Request, member: str, found: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return a page of things by what marks them, from the one after the request's marker on."""
    marks = [mark for mark, _ in found]
    after = request.get("Marker")
    if after is not None and after not in marks:
        raise InvalidParameterValue(f"The marker {after} is none that was given.")
    start, size = (
        marks.index(after) + 1 if after is not None else 0,
        min(request.get("MaxItems", _PAGE), _PAGE),
    )
    answer: dict[str, Any] = {member: [told for _, told in found[start : start + size]]}
    if len(found) > start + size:
        answer["NextMarker"] = marks[start + size - 1]
    return answer


def _without(held: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in held.items() if key != name}
