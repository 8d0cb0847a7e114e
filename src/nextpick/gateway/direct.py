"""The first front door: recommendations by GET, unsigned, as programs behind an API Gateway offer them.

``/gateway/demo/dev/recommend?user_id=10`` asks the newest user-personalization campaign;
``/gateway/demo/dev/getRecommendations?campaignArn=…&userId=…`` the one that is named.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nextpick.errors import InternalFailure, InvalidInput, ResourceNotFound, ServiceError, ServiceUnavailable
from nextpick.names import request_id

Invoke = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

_PREFIX = "/gateway/demo/dev"
_CORS = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Headers": "Content-Type,X-Amz-Date,Authorization,X-Api-Key,X-Amz-Security-Token",
    "Access-Control-Allow-Methods": "GET,OPTIONS",
}


def gateway_app(invoke: Invoke, default_campaign: Callable[[], str | None]) -> Starlette:
    """Return the gateway.

    ``invoke(operation, params)`` calls the runtime and returns its answer, raising ServiceError;
    ``default_campaign()`` returns the ARN of the campaign that ``recommend`` asks.
    """

    async def recommend(request: Request) -> Response:
        user = request.query_params.get("user_id")
        if not user:
            return _message(400, "Missing required request parameters: [user_id]")
        campaign = default_campaign()
        if campaign is None:
            return _message(404, "There is no ACTIVE user-personalization campaign yet.")
        params = {"campaignArn": campaign, "userId": user, **_num_results(request)}
        try:
            answer = await invoke("GetRecommendations", params)
        except ServiceError as error:
            return _message(_status(error), error.message)
        return JSONResponse(answer["itemList"], headers=_CORS)

    async def get_recommendations(request: Request) -> Response:
        given = {
            name: request.query_params.get(name, "").strip() for name in ("campaignArn", "userId", "itemId")
        }
        params = {name: value for name, value in given.items() if value} | _num_results(request)
        try:
            answer = await invoke("GetRecommendations", params)
        except ResourceNotFound:
            return _message(500, "Campaign is deleted or does not exist")
        except ServiceError as error:
            return _message(500, error.message)
        metadata = {"httpStatusCode": 200, "requestId": request_id(), "attempts": 1, "totalRetryDelay": 0}
        return JSONResponse({"$metadata": metadata, **answer}, headers=_CORS)

    async def preflight(request: Request) -> Response:
        return Response(status_code=204, headers=_PREFLIGHT)

    async def unknown(request: Request) -> Response:
        return _message(403, "Missing Authentication Token")

    return Starlette(
        routes=[
            Route(f"{_PREFIX}/recommend", recommend, methods=["GET"]),
            Route(f"{_PREFIX}/getRecommendations", get_recommendations, methods=["GET"]),
            Route(f"{_PREFIX}/recommend", preflight, methods=["OPTIONS"]),
            Route(f"{_PREFIX}/getRecommendations", preflight, methods=["OPTIONS"]),
            Route(
                "/{path:path}", unknown, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
            ),
        ]
    )


def _num_results(request: Request) -> dict[str, int]:
    """Return numResults as it was asked for; what is no whole number is left out, which means the default."""
    text = request.query_params.get("numResults", "")
    return {"numResults": int(text)} if re.fullmatch("-?[0-9]{1,8}", text) else {}


def _message(status: int, text: str) -> Response:
    return Response(
        json.dumps({"message": text}), status_code=status, media_type="application/json", headers=_CORS
    )


def _status(error: ServiceError) -> int:
    match error:
        case InvalidInput():
            return 400
        case ResourceNotFound():
            return 404
        case ServiceUnavailable():
            return 503
        case InternalFailure():
            return 500
    return error.status
