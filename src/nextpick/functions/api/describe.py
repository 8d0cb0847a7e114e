"""GetFunction, GetFunctionConfiguration, ListFunctions, and a function's tags."""

import time
from typing import Any

import msgspec

from nextpick.errors import ResourceNotFound
from nextpick.functions.api.common import HANDLERS, Answer, Context, InvalidParameterValue, Request
from nextpick.functions.registry import Function

_PAGE = 50


def configuration(function: Function, arn: str = "") -> dict[str, Any]:
    """Return what Lambda tells of a function or a version, by the ARN that was asked for."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(function.changed_at))
    told = dict(function.told)
    return {
        "FunctionName": function.name,
        "FunctionArn": arn or function.arn,
        "Runtime": function.runtime,
        "Role": function.role,
        "Handler": function.handler,
        "CodeSize": function.code_size,
        "Description": function.description,
        "Timeout": function.timeout_s,
        "MemorySize": function.memory_mb,
        "LastModified": f"{moment}.{int(function.changed_at % 1 * 1000):03d}+0000",
        "CodeSha256": function.code_sha256,
        "Version": function.version,
        "RevisionId": function.revision,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "TracingConfig": told.pop("TracingConfig", {"Mode": "PassThrough"}),
        "Architectures": told.pop("Architectures", ["x86_64"]),
        "EphemeralStorage": told.pop("EphemeralStorage", {"Size": 512}),
        **told,
        **({"Environment": {"Variables": function.environment}} if function.environment else {}),
        **({"Layers": [{"Arn": arn} for arn in function.layers]} if function.layers else {}),
    }


@HANDLERS.operation("GetFunction")
def get_function(ctx: Context, request: Request) -> Answer:
    """The code's location is the directory it was unpacked to."""
    function = ctx.function(request)
    version, arn = ctx.qualified(request)
    ctx.require("GetFunction", arn)
    location = ctx.registry.code_dir(version).as_uri()
    return {
        "Configuration": configuration(version, arn),
        "Code": {"RepositoryType": "S3", "Location": location},
        **({"Tags": function.tags} if function.tags else {}),
        **(
            {"Concurrency": {"ReservedConcurrentExecutions": function.concurrency}}
            if function.concurrency is not None
            else {}
        ),
    }


@HANDLERS.operation("GetFunctionConfiguration")
def get_function_configuration(ctx: Context, request: Request) -> Answer:
    version, arn = ctx.qualified(request)
    ctx.require("GetFunctionConfiguration", arn)
    return configuration(version, arn)


@HANDLERS.operation("ListFunctions")
def list_functions(ctx: Context, request: Request) -> Answer:
    """A marker is the name of the last function that was listed."""
    ctx.require("ListFunctions", "*")
    after, size = request.get("Marker", ""), min(request.get("MaxItems", _PAGE), _PAGE)
    left = [each for each in ctx.registry.list(ctx.call.account, ctx.call.region) if each.name > after]
    answer: Answer = {"Functions": [configuration(function) for function in left[:size]]}
    if len(left) > size:
        answer["NextMarker"] = left[size - 1].name
    return answer


@HANDLERS.operation("ListTags")
def list_tags(ctx: Context, request: Request) -> Answer:
    function = _tagged(ctx, request)
    ctx.require("ListTags", function.arn)
    return {"Tags": function.tags}


@HANDLERS.operation("TagResource")
def tag_resource(ctx: Context, request: Request) -> Answer:
    with ctx.registry.changing():
        function = _tagged(ctx, request)
        ctx.require("TagResource", function.arn)
        ctx.registry.put(msgspec.structs.replace(function, tags=function.tags | request["Tags"]))


@HANDLERS.operation("UntagResource")
def untag_resource(ctx: Context, request: Request) -> Answer:
    with ctx.registry.changing():
        function = _tagged(ctx, request)
        ctx.require("UntagResource", function.arn)
        kept = {key: text for key, text in function.tags.items() if key not in request["TagKeys"]}
        ctx.registry.put(msgspec.structs.replace(function, tags=kept))


def _tagged(ctx: Context, request: Request) -> Function:
    try:
        return ctx.whole({"FunctionName": request["Resource"]})
    except InvalidParameterValue:
        raise ResourceNotFound(f"There is no function {request['Resource']}") from None
