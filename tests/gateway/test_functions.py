"""Functions behind the gateway get the events, and are answered for, as AWS does it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls import LAMBDA, deploy, example, inside, one_route

from fakes import Functions
from worlds import Api, open_api


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    opened = open_api(tmp_path_factory.mktemp("functions") / "home")
    yield opened
    opened.library.close()


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Functions:
    return Functions(monkeypatch)


def home(engine: Api) -> Path:
    return engine.library.home


def proxy(
    engine: Api, name: str, path: str = "/", verb: str = "x-amazon-apigateway-any-method", **more: Any
) -> str:
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": f"{LAMBDA}:{name}/invocations", **more}
    return deploy(
        home(engine),
        one_route(f"proxy {name} {path}", {"x-amazon-apigateway-integration": integration}, path, verb),
    )


def test_a_proxy_function_gets_the_whole_request(engine: Api, functions: Functions) -> None:
    functions.by_name["echo"] = lambda event: {"statusCode": 200, "body": "ok"}
    stage = proxy(engine, "echo", "/u/{userId}/{rest+}")
    inside(
        engine, f"{stage}/u/a%20b/c/d?x=1&x=2&y=", "POST", {"k": "v"}, {"x-many": "h", "user-agent": "test"}
    )
    (event,) = functions.events
    assert (event["resource"], event["path"], event["httpMethod"]) == (
        "/u/{userId}/{rest+}",
        "/u/a b/c/d",
        "POST",
    )
    assert event["pathParameters"] == {"userId": "a b", "rest": "c/d"}
    assert event["queryStringParameters"] == {"x": "2", "y": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": [""]}
    assert event["headers"]["X-Many"] == "h"
    assert event["multiValueHeaders"]["X-Many"] == ["h"]
    assert json.loads(event["body"]) == {"k": "v"}
    assert event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert (context["stage"], context["httpMethod"], context["accountId"]) == ("dev", "POST", "000000000000")
    assert context["resourcePath"] == "/u/{userId}/{rest+}"
    assert (context["identity"]["userAgent"], context["identity"]["sourceIp"]) == ("test", "127.0.0.1")
    assert context["apiId"] == stage.split("/")[2]
    inside(engine, f"{stage}/u/a/b")
    bare = functions.events[1]
    absent = ("queryStringParameters", "multiValueQueryStringParameters", "stageVariables", "body")
    assert [bare[name] for name in absent] == [None] * 4


@pytest.mark.parametrize(
    ("given", "status", "body"),
    [
        ({"statusCode": 201, "body": "text"}, 201, b"text"),
        ({"statusCode": "200", "body": "[]"}, 200, b"[]"),
        ({"statusCode": 204}, 204, b""),
        (
            {"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True},
            200,
            b"\x00\xff",
        ),
    ],
)
def test_what_a_proxy_function_answers_is_the_reply(
    engine: Api, functions: Functions, given: Any, status: int, body: bytes
) -> None:
    functions.by_name["f"] = lambda event: given
    answer = inside(engine, proxy(engine, "f"))
    assert (answer.status, answer.body) == (status, body)


def test_headers_of_a_proxy_function_are_sent_lists_as_several(engine: Api, functions: Functions) -> None:
    headers = {"Content-Type": "text/html", "X-One": 1, "Content-Length": "9999"}
    functions.by_name["f"] = lambda event: {
        "statusCode": 200, "headers": headers, "multiValueHeaders": {"x-two": ["a"]}, "body": "<p>"
    }  # fmt: skip
    answer = inside(engine, proxy(engine, "f"))
    assert (answer.headers["content-type"], answer.headers["x-one"], answer.headers["x-two"]) == (
        "text/html",
        "1",
        "a",
    )
    assert answer.headers["content-length"] == "3"


@pytest.mark.parametrize(
    "given",
    [
        {"itemList": []}, [1], "text", None, 5, {"statusCode": 200, "body": {"a": 1}}, {"statusCode": "ok"},
        {"statusCode": 200, "headers": []}, {"statusCode": 99}, {"statusCode": True}, {"statusCode": 200, "extra": 1},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
    ],
)  # fmt: skip
def test_what_is_no_proxy_answer_is_a_502(engine: Api, functions: Functions, given: Any) -> None:
    functions.by_name["f"] = lambda event: given
    answer = inside(engine, proxy(engine, "f"))
    assert (answer.status, answer.body) == (502, b'{"message": "Internal server error"}')


def fails(event: Any) -> Any:
    raise KeyError("user_id")


def test_a_proxy_function_that_fails_is_a_502_and_one_that_is_not_there_a_500(
    engine: Api, functions: Functions
) -> None:
    functions.by_name["f"] = fails
    assert inside(engine, proxy(engine, "f")).status == 502
    answer = inside(engine, proxy(engine, "gone"))
    assert (answer.status, answer.body) == (500, b'{"message": "Internal server error"}')


def test_a_function_that_takes_too_long_is_a_504(engine: Api, functions: Functions) -> None:
    functions.by_name["slow"] = lambda event: "sleep"
    answer = inside(engine, proxy(engine, "slow", timeoutInMillis=50))
    assert (answer.status, answer.body) == (504, b'{"message": "Endpoint request timed out"}')


def test_a_mapping_template_makes_the_event_and_the_value_is_the_body(
    engine: Api, functions: Functions
) -> None:
    functions.by_name["books"] = lambda event: {"asked": event["queryStringParameters"]["user_id"]}
    settings, variables = {"functionType": "aws"}, {"function": "books"}
    stage = deploy(home(engine), example("books"), settings=settings, variables=variables)
    answer = inside(engine, f"{stage}/recommend?user_id=10")
    assert (answer.status, answer.json) == (200, {"asked": "10"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert functions.events[-1] == {"queryStringParameters": {"user_id": "10"}}
    functions.by_name["books"] = fails
    answer = inside(engine, f"{stage}/recommend?user_id=10")
    assert (answer.status, answer.json["errorType"]) == (200, "KeyError")


def test_the_type_of_an_integration_can_be_switched(engine: Api, functions: Functions) -> None:
    functions.by_name["movies"] = lambda event: {"itemList": [{"itemId": event["user_id"]}]}
    document, variables = example("movies"), {"function": "movies"}
    mapped = deploy(home(engine), document, variables=variables, settings={"functionType": "aws"})
    assert inside(engine, f"{mapped}?user_id=5").json == {"itemList": [{"itemId": "5"}]}
    assert inside(engine, mapped).json == {
        "itemList": [{"itemId": ""}]
    }  # a validator is there, but not attached
    proxied = deploy(home(engine), document, stage="prod", variables=variables)
    assert (
        inside(engine, f"{proxied}?user_id=5").status == 502
    )  # the handler reads event["user_id"], and fails


def test_the_version_of_a_function_is_in_its_uri_or_a_stage_variable(
    engine: Api, functions: Functions
) -> None:
    for name in ("f:2", "f:live"):
        functions.by_name[name] = lambda event, name=name: {"statusCode": 200, "body": name}
    assert inside(engine, proxy(engine, "f:2")).body == b"f:2"
    uri = f"{LAMBDA}:${{stageVariables.function}}/invocations"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}
    document = one_route("alias", {"x-amazon-apigateway-integration": integration})
    stage = deploy(home(engine), document, variables={"function": "f:live"})
    assert inside(engine, stage).body == b"f:live"


def test_a_role_must_be_allowed_to_invoke(engine: Api, functions: Functions) -> None:
    functions.by_name["f"] = lambda event: {"statusCode": 200}
    arn = "arn:aws:iam::000000000000:role/invoker"
    assert inside(engine, proxy(engine, "f", credentials=arn)).status == 200
    iam = engine.library.client("iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "apigateway.amazonaws.com"},
    }
    policy = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": "arn:aws:lambda:*:*:function:f",
    }
    texts = [json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, policy)]
    iam.create_role(RoleName="invoker", AssumeRolePolicyDocument=texts[0])
    assert inside(engine, proxy(engine, "f", credentials=arn)).status == 500
    iam.put_role_policy(RoleName="invoker", PolicyName="f", PolicyDocument=texts[1])
    assert inside(engine, proxy(engine, "f", credentials=arn)).status == 200


def test_a_pattern_selects_the_response_by_the_error(engine: Api, functions: Functions) -> None:
    functions.by_name["f"] = fails
    integration = {
        "type": "aws",
        "uri": f"{LAMBDA}:f/invocations",
        "responses": {
            "default": {"statusCode": "200"},
            ".*user_id.*": {
                "statusCode": "400",
                "responseTemplates": {"application/json": '{"message": "$input.path(\'$.errorMessage\')"}'},
            },
        },
    }
    stage = deploy(home(engine), one_route("patterns", {"x-amazon-apigateway-integration": integration}))
    answer = inside(engine, stage)
    assert (answer.status, answer.json) == (400, {"message": "'user_id'"})


@pytest.mark.parametrize(
    ("behavior", "kind", "status"),
    [
        ("when_no_templates", "text/plain", 415),
        ("never", "text/plain", 415),
        ("when_no_match", "text/plain", 200),
        ("never", "application/json; charset=utf-8", 200),
    ],
)
def test_bodies_without_a_template_pass_or_do_not(
    engine: Api, functions: Functions, behavior: str, kind: str, status: int
) -> None:
    functions.by_name["f"] = lambda event: event
    integration = {
        "type": "aws", "uri": f"{LAMBDA}:f/invocations", "passthroughBehavior": behavior,
        "requestTemplates": {"application/json": "$input.json('$')"},
    }  # fmt: skip
    stage = deploy(
        home(engine), one_route("pass", {"x-amazon-apigateway-integration": integration}, verb="post")
    )
    answer = inside(engine, stage, "POST", b'{"a": 1}', {"content-type": kind})
    assert answer.status == status
    assert answer.body == (b'{"message":"Unsupported Media Type"}' if status == 415 else b'{"a": 1}')


MODEL = {
    "type": "object",
    "required": ["user"],
    "properties": {"user": {"$ref": "#/components/schemas/User"}, "n": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b'{"user": "u"}', True), (b'{"user": "u", "n": 1}', True), (b'{"user": ""}', False), (b"{}", False),
        (b'{"user": "u", "n": 0}', False), (b'{"user": "u", "x": 1}', False), (b"[]", False), (b"{", False),
        (b"", False),
    ],
)  # fmt: skip
def test_bodies_are_judged_by_their_model(engine: Api, body: bytes, fits: bool) -> None:
    operation = {
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}}},
        "x-amazon-apigateway-request-validator": "body",
        "x-amazon-apigateway-integration": {
            "type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {"default": {"statusCode": "202"}},
        },
    }  # fmt: skip
    more = {
        "x-amazon-apigateway-request-validators": {"body": {"validateRequestBody": True}},
        "components": {"schemas": {"Asked": MODEL, "User": {"type": "string", "minLength": 1}}},
    }
    stage = deploy(home(engine), one_route("model", operation, verb="post", **more))
    answer = inside(engine, stage, "POST", body, {"content-type": "application/json"})
    assert answer.status == (202 if fits else 400)
    if not fits:
        assert answer.body == b'{"message": "Invalid request body"}'
