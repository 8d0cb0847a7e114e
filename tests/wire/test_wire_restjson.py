"""rest-json with labels: which operation a request means, its members, and the answer, by Lambda's model."""

import json
from typing import Any

import pytest

from nextpick.errors import Serialization
from nextpick.wire.restjson import Invalid, Target, find_operation, read_request, write_answer


@pytest.mark.parametrize(
    ("method", "path", "query", "operation", "labels"),
    [
        ("POST", b"/2015-03-31/functions", [], "CreateFunction", {}),
        ("GET", b"/2015-03-31/functions/", [], "ListFunctions", {}),
        ("GET", b"/2015-03-31/functions/f", [], "GetFunction", {"FunctionName": "f"}),
        ("PUT", b"/2015-03-31/functions/f/code", [], "UpdateFunctionCode", {"FunctionName": "f"}),
        ("POST", b"/2015-03-31/functions/a%3Ab%2Fc/invocations", [], "Invoke", {"FunctionName": "a:b/c"}),
        (
            "DELETE",
            b"/2015-03-31/functions/f/policy/s",
            [],
            "RemovePermission",
            {"FunctionName": "f", "StatementId": "s"},
        ),
        ("GET", b"/2018-10-31/layers", [], "ListLayers", {}),
        ("GET", b"/2018-10-31/layers", [("find", "LayerVersion")], "GetLayerVersionByArn", {}),
    ],
)
def test_a_request_means_an_operation(
    method: str, path: bytes, query: list[tuple[str, str]], operation: str, labels: dict[str, str]
) -> None:
    assert find_operation("lambda", method, path, query) == Target(operation, labels)


@pytest.mark.parametrize("path", [b"/", b"/2015-03-31/functions//code", b"/2015-03-31/functions/f/none"])
def test_another_path_means_none(path: bytes) -> None:
    assert find_operation("lambda", "PUT", path, []) is None


def read(operation: str, labels: dict[str, str], body: Any = b"", **more: Any) -> dict[str, Any]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(
        "lambda", Target(operation, labels), more.get("query", []), more.get("headers", {}), text
    )


def test_members_come_from_path_query_headers_and_body() -> None:
    given = read("UpdateFunctionCode", {"FunctionName": "f"}, {"ZipFile": "UEs=", "FunctionName": "other"})
    assert given == {"FunctionName": "f", "ZipFile": b"PK"}
    assert read("ListFunctions", {}, query=[("MaxItems", "7")]) == {"MaxItems": 7}
    tags = read(
        "UntagResource",
        {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f"},
        query=[("tagKeys", "a"), ("tagKeys", "b")],
    )
    assert tags["TagKeys"] == ["a", "b"]
    headers = {b"x-amz-invocation-type": b"Event"}
    invoked = read("Invoke", {"FunctionName": "f"}, b"\xff", headers=headers)
    assert invoked == {"FunctionName": "f", "InvocationType": "Event", "Payload": b"\xff"}


def test_what_the_model_forbids_is_refused() -> None:
    with pytest.raises(Invalid, match="MaxItems"):
        read("ListFunctions", {}, query=[("MaxItems", "0")])
    with pytest.raises(Serialization, match="MaxItems"):
        read("ListFunctions", {}, query=[("MaxItems", "many")])
    with pytest.raises(Serialization, match="base64"):
        read("UpdateFunctionCode", {"FunctionName": "f"}, {"ZipFile": "?"})
    with pytest.raises(Serialization, match="object"):
        read("CreateFunction", {}, [1])


def test_members_of_an_answer_go_where_the_model_says() -> None:
    answer = {"StatusCode": 202, "FunctionError": "Unhandled", "Payload": b"x"}
    status, headers, body = write_answer("lambda", "Invoke", answer)
    assert (status, body) == (202, b"x")
    assert (b"x-amz-function-error", b"Unhandled") in headers
    status, _, body = write_answer("lambda", "GetPolicy", {"Policy": "{}", "RevisionId": None})
    assert (status, body) == (200, b'{"Policy":"{}"}')
