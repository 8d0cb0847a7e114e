"""What becomes of asynchronous invocations, and how many invocations may run at once."""

from typing import Any

import msgspec

from nextpick.errors import ResourceNotFound
from nextpick.functions.api.common import HANDLERS, Answer, Context, InvalidParameterValue, Request
from nextpick.functions.destinations import is_destination
from nextpick.functions.registry import Function, Retries


@HANDLERS.operation("PutFunctionEventInvokeConfig")
def put_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    """What is not given goes back to its default."""
    return _set(ctx, request, Retries())


@HANDLERS.operation("UpdateFunctionEventInvokeConfig")
def update_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    """What is not given stays."""
    return _set(ctx, request, ctx.function(request).retries or Retries())


@HANDLERS.operation("GetFunctionEventInvokeConfig")
def get_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    function = ctx.function(request)
    ctx.require("GetFunctionEventInvokeConfig", function.arn)
    return _retries(function)


@HANDLERS.operation("ListFunctionEventInvokeConfigs")
def list_function_event_invoke_configs(ctx: Context, request: Request) -> Answer:
    function = ctx.function(request)
    ctx.require("ListFunctionEventInvokeConfigs", function.arn)
    return {"FunctionEventInvokeConfigs": [_retries(function)] if function.retries else []}


@HANDLERS.operation("DeleteFunctionEventInvokeConfig")
def delete_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    with ctx.registry.changing():
        function = ctx.function(request)
        ctx.require("DeleteFunctionEventInvokeConfig", function.arn)
        _retries(function)
        ctx.registry.put(msgspec.structs.replace(function, retries=None))


@HANDLERS.operation("PutFunctionConcurrency")
def put_function_concurrency(ctx: Context, request: Request) -> Answer:
    """0 stops the function; what is asked for beyond the limit is refused, not made to wait."""
    limit = request["ReservedConcurrentExecutions"]
    _limit(ctx, request, limit)
    return {"ReservedConcurrentExecutions": limit}


@HANDLERS.operation("GetFunctionConcurrency")
def get_function_concurrency(ctx: Context, request: Request) -> Answer:
    function = ctx.function(request)
    ctx.require("GetFunctionConcurrency", function.arn)
    return {"ReservedConcurrentExecutions": function.concurrency}


@HANDLERS.operation("DeleteFunctionConcurrency")
def delete_function_concurrency(ctx: Context, request: Request) -> Answer:
    _limit(ctx, request, None)


def _limit(ctx: Context, request: Request, limit: int | None) -> None:
    with ctx.registry.changing():
        function = ctx.function(request)
        ctx.require(ctx.call.operation, function.arn)
        ctx.registry.put(msgspec.structs.replace(function, concurrency=limit))


def _set(ctx: Context, request: Request, start: Retries) -> dict[str, Any]:
    destinations = request.get("DestinationConfig")
    changes: dict[str, Any] = {"changed_at": ctx.now()}
    if "MaximumRetryAttempts" in request:
        changes["attempts"] = request["MaximumRetryAttempts"]
    if "MaximumEventAgeInSeconds" in request:
        changes["age_s"] = request["MaximumEventAgeInSeconds"]
    if destinations is not None:
        for member, held in (("OnSuccess", "on_success"), ("OnFailure", "on_failure")):
            arn = destinations.get(member, {}).get("Destination", "")
            if arn and not is_destination(arn):
                raise InvalidParameterValue(
                    f"The provided destination config DestinationArn:{arn} is not that of a function, an SNS topic or "
                    "a bucket."
                )
            changes[held] = arn
    with ctx.registry.changing():
        function = ctx.function(request)
        ctx.require(ctx.call.operation, function.arn)
        made = msgspec.structs.replace(function, retries=msgspec.structs.replace(start, **changes))
        return _retries(ctx.registry.put(made))


def _retries(function: Function) -> dict[str, Any]:
    held = function.retries
    if held is None:
        raise ResourceNotFound(f"The function {function.arn}:$LATEST doesn't have an EventInvokeConfig")
    return {
        "LastModified": held.changed_at,
        "FunctionArn": f"{function.arn}:$LATEST",
        "MaximumRetryAttempts": held.attempts,
        "MaximumEventAgeInSeconds": held.age_s,
        "DestinationConfig": {
            "OnSuccess": {"Destination": held.on_success} if held.on_success else {},
            "OnFailure": {"Destination": held.on_failure} if held.on_failure else {},
        },
    }
