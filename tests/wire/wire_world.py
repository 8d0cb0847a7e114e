"""What the tests of the wire share: a key, ARNs, and how to look at an error."""

import http.client

import pytest
from botocore.exceptions import ClientError

from nextpick.names import Key
from nextpick.wire.dispatch import Route
from nextpick.wire.structs import GetRecommendations

KEY = Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "123456789012")
CAMPAIGN = "arn:aws:personalize:eu-west-1:123456789012:campaign/c"
GROUP = "arn:aws:personalize:eu-west-1:123456789012:dataset-group/g"


ROUTES = {
    ("personalize-runtime", "GetRecommendations"): Route(
        lambda call, request: b'{"recommendationId":"%s"}' % request.userId.encode(), GetRecommendations, True
    ),
    ("personalize", "CreateSchema"): Route(lambda call, request: {"schemaArn": str(len(request["schema"]))}),
}


def find_key(access_key):
    return KEY if access_key == KEY.access_key else None


def error_of(function, **parameters):
    """Return the code, the status and the message of the error that a client's method raises."""
    with pytest.raises(ClientError) as caught:
        function(**parameters)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def post(user="u", *, body=None, headers=()):
    body = b'{"userId":"%s"}' % user.encode() if body is None else body
    lines = [
        b"POST /recommendations HTTP/1.1",
        b"Host: localhost",
        b"Content-Type: application/json",
        *headers,
    ]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def answer(connection):
    """Return the status, the headers and the body of one answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    response.close()
    return response.status, headers, body


def read_all(connection):
    """Return all that comes until the server closes the connection."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)
