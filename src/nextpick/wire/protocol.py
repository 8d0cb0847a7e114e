"""Which operation a request means, and how answers and errors are written for whoever asked.

AWS JSON 1.1 (control plane, nextpick): ``POST /`` with ``X-Amz-Target: Prefix.Operation``. REST JSON
(runtime, events): a path per operation. Other services' requests reach the same port, because
AWS_ENDPOINT_URL covers every service: they get an error that names the service, in the form its SDK reads.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import msgspec

from nextpick.errors import NotImplementedOperation, ServiceError, UnknownOperation
from nextpick.wire.body import decode
from nextpick.wire.dispatch import SERVICES, Route, Routes
from nextpick.wire.shapes import service, validate

JSON_1_1 = b"application/x-amz-json-1.1"
JSON = b"application/json"
XML = b"text/xml"

SIGNING_NAMES = frozenset({"personalize", "nextpick"})

_REST_XML = frozenset({"s3", "s3-outposts", "s3express", "s3-object-lambda", "route53", "cloudfront"})


class Endpoint(NamedTuple):
    """One operation as it is called. ``read(body)`` returns what the route's handler takes."""

    service: str
    operation: str
    route: Route | None
    read: Callable[[bytes], Any]
    content_type: bytes


class Endpoints(NamedTuple):
    """All operations: by ``X-Amz-Target``, and by path."""

    by_target: dict[bytes, Endpoint]
    by_path: dict[str, Endpoint]


class ForeignService(ServiceError):
    """A request for a service that nextpick does not speak."""

    status = 501
    code = "NotImplemented"

    def __init__(self, service_name: str) -> None:
        super().__init__(
            f"nextpick speaks Amazon Personalize; this request is for '{service_name}'. "
            "To send it elsewhere, set that client's endpoint_url or AWS_ENDPOINT_URL_<SERVICE>."
        )
        self.service_name = service_name


def endpoints(routes: Routes) -> Endpoints:
    """Return the endpoints of all operations of the models; those without a route answer that they have none.

    Raises ValueError for a route whose operation is in no model.
    """
    by_target: dict[bytes, Endpoint] = {}
    by_path: dict[str, Endpoint] = {}
    left = dict(routes)
    for name in SERVICES:
        model = service(name)
        for operation in model.operations.values():
            route = left.pop((name, operation.name), None)
            read = _reader(name, operation.name, route)
            if model.target_prefix:
                target = f"{model.target_prefix}.{operation.name}".encode()
                by_target[target] = Endpoint(name, operation.name, route, read, JSON_1_1)
            else:
                by_path[operation.path] = Endpoint(name, operation.name, route, read, JSON)
    if left:
        raise ValueError(f"no service model has {', '.join('.'.join(key) for key in sorted(left))}")
    return Endpoints(by_target, by_path)


def _reader(service_name: str, operation: str, route: Route | None) -> Callable[[bytes], Any]:
    def read_slowly(body: bytes) -> Any:
        request = validate(service_name, operation, decode(body))
        return request if struct is None else msgspec.convert(request, struct)

    struct = route.struct if route else None
    if struct is None:
        return read_slowly
    read_fast = msgspec.json.Decoder(struct).decode

    def read(body: bytes) -> Any:
        try:
            return read_fast(body)
        except (ValueError, RecursionError):
            return read_slowly(body)

    return read


def find_target(known: Endpoints, target: bytes | None) -> Endpoint:
    """Return the endpoint that an ``X-Amz-Target`` names. Raises UnknownOperation."""
    endpoint = known.by_target.get(target or b"")
    if endpoint is None:
        if target is None:
            raise UnknownOperation("The request has no X-Amz-Target header, which names the operation.")
        raise UnknownOperation(f"The operation '{target[:200].decode('latin-1')}' is not known.")
    return endpoint


def not_implemented(endpoint: Endpoint) -> NotImplementedOperation:
    """Return the error of an operation that is in the model but has no route."""
    return NotImplementedOperation(f"nextpick does not speak {endpoint.operation} of {endpoint.service} yet.")


def is_json(content_type: bytes | None) -> bool:
    """Return whether a Content-Type is JSON of any kind, or absent."""
    if not content_type:
        return True
    kind = content_type.partition(b";")[0].strip().lower()
    return kind in (JSON_1_1, b"application/x-amz-json-1.0") or kind.endswith((b"/json", b"+json"))


_SCOPE = re.compile(rb"Credential=[^,\s]*?/[0-9]{8}/[^/,\s]*/([A-Za-z0-9-]{1,64})/aws4_request")


def claimed_service(authorization: bytes | None, query: bytes) -> str | None:
    """Return the service that a header or a presigned URL says it is signed for, without verifying it.

    URLs presigned with version 2 of the signature, which botocore still makes for S3, name no service.
    """
    if authorization:
        match = _SCOPE.search(authorization[:1024])
        return match[1].decode() if match else None
    if b"X-Amz-Credential=" in query:
        try:
            fields = parse_qs(query.decode("latin-1"), max_num_fields=100)
        except ValueError:
            return None
        parts = fields.get("X-Amz-Credential", [""])[0].split("/")
        return parts[-2] if len(parts) >= 5 and re.fullmatch("[A-Za-z0-9-]{1,64}", parts[-2]) else None
    if b"AWSAccessKeyId=" in query:
        return "s3"
    return None


def status_of(error: ServiceError, endpoint: Endpoint | None) -> int:
    """Return the HTTP status of an error: the model's where it has the error, else the error's own."""
    if endpoint is None:
        return error.status
    return service(endpoint.service).statuses.get(error.code, error.status)


def write_error(
    error: ServiceError, request_id: str, endpoint: Endpoint | None, content_type: bytes | None
) -> tuple[bytes, bytes]:
    """Return the content type and the body of an error, in the form that the caller's SDK reads."""
    foreign = error.service_name if isinstance(error, ForeignService) else None
    form = content_type is not None and content_type.startswith(b"application/x-www-form-urlencoded")
    if foreign not in _REST_XML and not form:
        body = msgspec.json.encode({"__type": error.code, "message": error.message})
        return (endpoint.content_type if endpoint else JSON_1_1), body
    inner = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
    if foreign in _REST_XML:
        text = inner.replace("</Error>", f"<RequestId>{request_id}</RequestId></Error>")
    elif foreign == "ec2":
        text = f"<Response><Errors>{inner}</Errors><RequestID>{request_id}</RequestID></Response>"
    else:
        text = f"<ErrorResponse>{inner}<RequestId>{request_id}</RequestId></ErrorResponse>"
    return XML, b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()
