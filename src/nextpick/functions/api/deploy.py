"""CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction."""

import re
from typing import Any

import msgspec

from nextpick.functions import code, environment
from nextpick.functions.api.common import (
    HANDLERS,
    Answer,
    Context,
    InvalidParameterValue,
    Request,
    ResourceConflict,
    check_revision,
)
from nextpick.functions.api.describe import configuration
from nextpick.functions.api.versions import deletable, publish
from nextpick.functions.registry import Function
from nextpick.functions.roles import RoleRefused
from nextpick.store import blobs
from nextpick.store.readable import BlobError

_RUNTIME = re.compile(r"python3\.\d+|nodejs\d+\.x")
_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_LONGEST_S = 900
_LARGEST_ENVIRONMENT = 4096
_PANDAS_LAYER = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:336392948345:layer:AWS(SDKPandas|DataWrangler)-Python\d+.*"
)

# What is answered as it was sent, for it changes nothing that a handler returns.
_ECHOED = ("TracingConfig", "Architectures", "EphemeralStorage", "VpcConfig", "LoggingConfig", "KMSKeyArn")
# What would change what a function does, and is not there.
_REFUSED = (
    "ImageConfig",
    "FileSystemConfigs",
    "DeadLetterConfig",
    "SnapStart",
    "DurableConfig",
    "CapacityProviderConfig",
)


@HANDLERS.operation("CreateFunction")
def create_function(ctx: Context, request: Request) -> Answer:
    """The code is unpacked and on the disk before the record that names it."""
    ctx.require_administrator()
    named = ctx.reference(request)
    if named.qualifier:
        raise InvalidParameterValue(
            f"{request['FunctionName']} names a version; a function is created without one."
        )
    name = named.name
    if not _NAME.fullmatch(name):
        raise InvalidParameterValue(f"{name} is longer than the 64 characters a function's name may have")
    if "Runtime" not in request or "Handler" not in request:
        raise InvalidParameterValue(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    made = Function(
        account=ctx.call.account,
        region=ctx.call.region,
        name=name,
        runtime=request["Runtime"],
        handler=request["Handler"],
        role=request["Role"],
        timeout_s=request.get("Timeout", 3),
        memory_mb=request.get("MemorySize", 128),
        description=request.get("Description", ""),
        environment=request.get("Environment", {}).get("Variables", {}),
        layers=request.get("Layers", []),
        code="",
        code_sha256="",
        code_size=0,
        changed_at=ctx.now(),
        revision="",
        tags=request.get("Tags", {}),
        told=_told(request),
    )
    _check(ctx, made)
    archive = _archive(ctx, request["Code"])
    with ctx.registry.changing():
        if ctx.registry.get(made.account, made.region, name) is not None:
            raise ResourceConflict(f"Function already exist: {name}")
        made = ctx.registry.put(_with_code(ctx, made, archive))
        return configuration(publish(ctx, made) if request.get("Publish") else made, made.arn)


@HANDLERS.operation("UpdateFunctionCode")
def update_function_code(ctx: Context, request: Request) -> Answer:
    """Invocations that run finish with the old code; the next one gets the new."""
    ctx.require_administrator()
    ctx.whole(request)
    archive = _archive(ctx, request)
    with ctx.registry.changing():
        function = ctx.function(request)
        check_revision(function, request)
        made = _with_code(ctx, function, archive)
        if request.get("DryRun"):
            return configuration(made)  # its code is named by nothing, and swept
        made = ctx.registry.put(made)
        if not request.get("Publish"):
            return configuration(made)
        version = publish(ctx, made)
        return configuration(version, f"{version.arn}:{version.version}")


@HANDLERS.operation("UpdateFunctionConfiguration")
def update_function_configuration(ctx: Context, request: Request) -> Answer:
    """What is not given stays."""
    ctx.require_administrator()
    members = {
        "Runtime": "runtime",
        "Handler": "handler",
        "Role": "role",
        "Timeout": "timeout_s",
        "MemorySize": "memory_mb",
        "Description": "description",
        "Layers": "layers",
    }
    changes: dict[str, Any] = {held: request[name] for name, held in members.items() if name in request}
    if "Environment" in request:
        changes["environment"] = request["Environment"].get("Variables", {})
    with ctx.registry.changing():
        function = ctx.whole(request)
        check_revision(function, request)
        changes |= {"changed_at": ctx.now(), "told": function.told | _told(request)}
        made = msgspec.structs.replace(function, **changes)
        _check(ctx, made)
        return configuration(ctx.registry.put(made))


@HANDLERS.operation("DeleteFunction")
def delete_function(ctx: Context, request: Request) -> Answer:
    """Its processes end when they have nothing to do; its code is swept then. Its log stays. A version may be deleted
    alone, unless an alias names it."""
    qualifier = ctx.reference(request).qualifier
    with ctx.registry.changing():
        function = ctx.function(request)
        ctx.require("DeleteFunction", f"{function.arn}:{qualifier}" if qualifier else function.arn)
        if not qualifier:
            ctx.registry.delete(function)
        elif (version := deletable(ctx, function, qualifier)) is not None:
            ctx.registry.delete(version)
    return {"StatusCode": 204}


def _told(request: Request) -> dict[str, Any]:
    for name in _REFUSED:
        given = request.get(name)
        if given and any(given.values() if isinstance(given, dict) else given):
            raise InvalidParameterValue(f"{name} is not supported by nextpick.")
    if request.get("PackageType", "Zip") != "Zip":
        raise InvalidParameterValue("nextpick runs code from .zip files, not container images.")
    return {name: request[name] for name in _ECHOED if name in request}


def _check(ctx: Context, function: Function) -> None:
    """Raise InvalidParameterValue unless a function can run here."""
    if not _RUNTIME.fullmatch(function.runtime):
        raise InvalidParameterValue(
            f"The runtime {function.runtime} is not supported: nextpick runs python3 with its own interpreter, and "
            "nodejs where node is installed."
        )
    if function.is_node and environment.node() is None:
        raise InvalidParameterValue(f"{function.runtime} needs node, which is not on the server's PATH.")
    if function.timeout_s > _LONGEST_S:
        raise InvalidParameterValue(
            f"Timeout is {function.timeout_s}; a function may take {_LONGEST_S} seconds."
        )
    reserved = sorted(environment.RESERVED & set(function.environment))
    if reserved:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}"
        )
    if (
        sum(len(name) + len(text.encode()) for name, text in function.environment.items())
        > _LARGEST_ENVIRONMENT
    ):
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the {_LARGEST_ENVIRONMENT // 1024}KB limit."
        )
    for layer in function.layers:
        if not _PANDAS_LAYER.fullmatch(layer):
            raise InvalidParameterValue(
                f"Layer {layer} is not here: put its files into a directory, and that into PYTHONPATH or NODE_PATH of "
                "the function's environment (nextpick function deploy --layer). AWS's layers with pandas are taken: a "
                "function imports what the server's own interpreter has."
            )
    try:
        ctx.services.roles.check(function, ctx.call.request_id)
    except RoleRefused as refused:
        raise InvalidParameterValue(str(refused)) from None


def _archive(ctx: Context, given: Request) -> bytes:
    """Return the ZIP file of a request. Raises InvalidParameterValue."""
    if given.get("ImageUri"):
        raise InvalidParameterValue("nextpick runs code from .zip files, not container images.")
    if "ZipFile" in given:
        archive = given["ZipFile"]
    elif "S3Bucket" in given and "S3Key" in given:
        location = f"s3://{given['S3Bucket']}/{given['S3Key']}"
        try:
            found = blobs.list_objects(location, ctx.services.settings)
            if found[0].key != given["S3Key"]:
                raise BlobError(f"there is no object at {location}")
            with found[0].open() as file:
                archive = file.read()
        except BlobError as error:
            raise InvalidParameterValue(f"Error occurred while GetObject. {error}") from None
    else:
        raise InvalidParameterValue("Please provide a source for function code.")
    if len(archive) > code.LARGEST_ARCHIVE and "ZipFile" in given:
        raise InvalidParameterValue(
            f"The archive is larger than {code.LARGEST_ARCHIVE} bytes; put it into a bucket."
        )
    return archive


def _with_code(ctx: Context, function: Function, archive: bytes) -> Function:
    try:
        made, sha256, size = ctx.registry.unpack(archive)
    except code.BadArchive as error:
        raise InvalidParameterValue(str(error)) from None
    return msgspec.structs.replace(
        function, code=made, code_sha256=sha256, code_size=size, changed_at=ctx.now()
    )
