"""What becomes of asynchronous invocations, and how many invocations may run at once."""

from typing import Any

import msgspec

from nextpick.errors import ResourceNotFound
from nextpick.functions.api.common import HANDLERS, Answer, Context, InvalidParameterValue, Request
from nextpick.functions.destinations import is_destination
from nextpick.functions.registry import LATEST, Function, Retries


@HANDLERS.operation("PutFunctionEventInvokeConfig")
def put_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    """What is not given goes back to its default."""
    return _set(ctx, request, Retries())


@HANDLERS.operation("UpdateFunctionEventInvokeConfig")
def update_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    """What is not given stays."""
    return _set(ctx, request, _held(ctx.function(request), ctx.qualified(request)[1]) or Retries())


@HANDLERS.operation("GetFunctionEventInvokeConfig")
def get_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    function, (_, arn) = ctx.function(request), ctx.qualified(request)
    ctx.require("GetFunctionEventInvokeConfig", arn)
    return _retries(function, arn)


@HANDLERS.operation("ListFunctionEventInvokeConfigs")
def list_function_event_invoke_configs(ctx: Context, request: Request) -> Answer:
    function = ctx.whole(request)
    ctx.require("ListFunctionEventInvokeConfigs", function.arn)
    arns = [function.arn, *(f"{function.arn}:{qualifier}" for qualifier in function.other_retries)]
    return {"FunctionEventInvokeConfigs": [_retries(function, arn) for arn in arns if _held(function, arn)]}


@HANDLERS.operation("DeleteFunctionEventInvokeConfig")
def delete_function_event_invoke_config(ctx: Context, request: Request) -> Answer:
    with ctx.registry.changing():
        function, (_, arn) = ctx.function(request), ctx.qualified(request)
        ctx.require("DeleteFunctionEventInvokeConfig", arn)
        _retries(function, arn)
        ctx.registry.put(_with(function, arn, None))


@HANDLERS.operation("PutFunctionConcurrency")
def put_function_concurrency(ctx: Context, request: Request) -> Answer:
    """0 stops the function; what is asked for beyond the limit is refused, not made to wait."""
    limit = request["ReservedConcurrentExecutions"]
    _limit(ctx, request, limit)
    return {"ReservedConcurrentExecutions": limit}


@HANDLERS.operation("GetFunctionConcurrency")
def get_function_concurrency(ctx: Context, request: Request) -> Answer:
    function = ctx.whole(request)
    ctx.require("GetFunctionConcurrency", function.arn)
    return {"ReservedConcurrentExecutions": function.concurrency}


@HANDLERS.operation("DeleteFunctionConcurrency")
def delete_function_concurrency(ctx: Context, request: Request) -> Answer:
    _limit(ctx, request, None)


def _limit(ctx: Context, request: Request, limit: int | None) -> None:
    with ctx.registry.changing():
        function = ctx.whole(request)
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
        function, (_, arn) = ctx.function(request), ctx.qualified(request)
        ctx.require(ctx.call.operation, arn)
        made = _with(function, arn, msgspec.structs.replace(start, **changes))
        return _retries(ctx.registry.put(made), arn)


def _held(function: Function, arn: str) -> Retries | None:
    qualifier = _qualifier(function, arn)
    return function.retries if qualifier == LATEST else function.other_retries.get(qualifier)


def _with(function: Function, arn: str, retries: Retries | None) -> Function:
    qualifier = _qualifier(function, arn)
    if qualifier == LATEST:
        return msgspec.structs.replace(function, retries=retries)
    others = {key: held for key, held in function.other_retries.items() if key != qualifier}
    return msgspec.structs.replace(function, other_retries=others | ({qualifier: retries} if retries else {}))


def _qualifier(function: Function, arn: str) -> str:
    return arn.removeprefix(function.arn).removeprefix(":") or LATEST


def _retries(function: Function, arn: str) -> dict[str, Any]:
    held = _held(function, arn)
    told = f"{function.arn}:{_qualifier(function, arn)}"
    if held is None:
        raise ResourceNotFound(f"The function {told} doesn't have an EventInvokeConfig")
    return {
        "LastModified": held.changed_at,
        "FunctionArn": told,
        "MaximumRetryAttempts": held.attempts,
        "MaximumEventAgeInSeconds": held.age_s,
        "DestinationConfig": {
            "OnSuccess": {"Destination": held.on_success} if held.on_success else {},
            "OnFailure": {"Destination": held.on_failure} if held.on_failure else {},
        },
    }
