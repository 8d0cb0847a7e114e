"""``$context`` and the proxy event. Source: API Gateway developer guide, "$context variables" and "Input format of a
Lambda function for proxy integration" (format 1.0)."""

import base64
import functools
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextpick.gateway.messages import Request

_IDENTITY = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


@functools.lru_cache(maxsize=64)
def time_of(second: int) -> str:
    """Return a moment as access logs write it."""
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second))


def context_of(request: "Request") -> dict[str, Any]:
    """Return a request's context; ``requestOverride`` and ``responseOverride`` are for templates to fill."""
    stage, headers = request.stage, request.headers
    host = headers.get("host", "")
    identity = dict.fromkeys(_IDENTITY) | {
        "sourceIp": request.source_ip,
        "userAgent": headers.get("user-agent"),
    }
    if request.api_key is not None:
        identity |= {"apiKeyId": request.api_key[0], "apiKey": request.api_key[1]}
    return {
        "accountId": stage.account,
        "apiId": stage.api,
        "domainName": host.partition(":")[0],
        "domainPrefix": host.partition(".")[0].partition(":")[0],
        "extendedRequestId": request.id,
        "httpMethod": request.verb,
        "identity": identity,
        "path": f"/{stage.name}{request.path}",
        "protocol": "HTTP/1.1",
        "requestId": request.id,
        "requestTime": time_of(int(request.now)),
        "requestTimeEpoch": int(request.now * 1000),
        "resourceId": blake2b(request.resource.encode(), digest_size=3).hexdigest(),
        "resourcePath": request.resource,
        "stage": stage.name,
        "requestOverride": {"header": {}, "querystring": {}, "path": {}},
        "responseOverride": {"header": {}},
        **request.noted,
    }


def proxy_event(request: "Request", is_binary: bool) -> dict[str, Any]:
    """Return the event of a proxy integration, format 1.0. Members without content are null, as there."""
    context = request.context
    told = {
        k: v for k, v in context.items() if k not in ("requestOverride", "responseOverride", *request.noted)
    }
    many_headers: dict[str, list[str]] = {}
    for name, value in request.header_pairs:
        many_headers.setdefault(_title(name), []).append(value)
    many_query: dict[str, list[str]] = {}
    for name, value in request.pairs:
        many_query.setdefault(name, []).append(value)
    body = base64.b64encode(request.body).decode() if is_binary else request.text
    return {
        "resource": request.resource,
        "path": request.path,
        "httpMethod": request.verb,
        "headers": {name: values[-1] for name, values in many_headers.items()},
        "multiValueHeaders": many_headers,
        "queryStringParameters": request.query or None,
        "multiValueQueryStringParameters": many_query or None,
        "pathParameters": request.path_parameters or None,
        "stageVariables": dict(request.stage.variables) or None,
        "requestContext": told,
        "body": body if request.body else None,
        "isBase64Encoded": is_binary and bool(request.body),
    }


def _title(name: str) -> str:
    """Return a header's name as clients wrote it before HTTP servers made it lower case, as far as one can know."""
    return "-".join(part.capitalize() for part in name.split("-")) if name.islower() else name
