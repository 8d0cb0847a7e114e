"""Invoke, in its three types."""

import base64
from typing import Any

import msgspec

from nextpick.errors import ResourceNotFound
from nextpick.functions import client
from nextpick.functions.api.common import (
    HANDLERS,
    Answer,
    Context,
    Failed,
    InvalidRequestContent,
    Request,
    RequestTooLarge,
    TooManyRequests,
    policy_of,
)


@HANDLERS.operation("Invoke")
def invoke(ctx: Context, request: Request) -> Answer:
    """Answer when the handler has (RequestResponse), when the event is on the disk (Event), or at once (DryRun)."""
    _, arn = ctx.qualified(request)
    ctx.require("InvokeFunction", arn, policy_of(ctx.function(request), arn))
    kind = request.get("InvocationType", "RequestResponse")
    payload = request.get("Payload") or b"{}"
    limit = client.LARGEST_EVENT if kind == "Event" else client.LARGEST_PAYLOAD
    if len(payload) > limit:
        raise RequestTooLarge(f"Request must be smaller than {limit} bytes for the InvokeFunction operation")
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestContent(f"Could not parse request body into json: {error}") from None
    if kind == "DryRun":
        return {"StatusCode": 204}
    home, context = ctx.services.settings.home, request.get("ClientContext")
    if kind == "Event":
        client.enqueue(home, arn, payload, client_context=context)
        return {"StatusCode": 202}
    return _wait(ctx, arn, payload, context, with_log=request.get("LogType") == "Tail")


async def _wait(
    ctx: Context, arn: str, payload: bytes, context: str | None, *, with_log: bool
) -> dict[str, Any]:
    try:
        done = await client.invoke_async(ctx.services.settings.home, arn, payload, client_context=context)
    except client.FunctionMissing as error:
        raise ResourceNotFound(str(error)) from None
    except client.FunctionBusy as error:
        raise TooManyRequests(str(error)) from None
    except client.FunctionsUnavailable as error:
        raise Failed(str(error)) from None
    answer: dict[str, Any] = {"StatusCode": 200, "ExecutedVersion": done.version, "Payload": done.payload}
    if done.error is not None:
        answer["FunctionError"] = done.error
    if with_log:
        answer["LogResult"] = base64.b64encode(done.log.encode()).decode()
    return answer
