"""``nextpick gateway`` deploys what can be served, and says what cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from calls import EXAMPLES, LAMBDA, one_route
from typer.testing import CliRunner

from nextpick.cli.main import app
from nextpick.gateway.store import GatewayStore
from nextpick.gateway.triggers import triggers_of

OPTIONS = {
    "books": [], "near-real-time": [], "videos": ["--variable", "campaign=c", "--variable", "tracker=t"],
    "movies": ["--variable", "function=f"],
    "storefront": [x for name in ("a", "b", "tracker", "ranking") for x in ("--variable", f"{name}=x")],
}  # fmt: skip


def run(*arguments: Any) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_every_example_can_be_deployed(tmp_path: Path, name: str) -> None:
    code, told = run("gateway", "deploy", EXAMPLES / f"{name}.yaml", "--home", tmp_path, *OPTIONS[name])
    assert code == 0, told
    assert "/gateway/" in told
    code, told = run("gateway", "list", "--home", tmp_path)
    assert told.count("dev") == 2  # the stage and its URL


def integration(**members: Any) -> dict[str, Any]:
    return {"x-amazon-apigateway-integration": members}


def own(**members: Any) -> dict[str, Any]:
    return {"x-nextpick-integration": members}


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ({}, "has no x-amazon-apigateway-integration"),
        (integration(type="vpc"), "GET /: the integration's type is 'vpc'"),
        (integration(type="aws_proxy", uri="arn:nothing/at/all"), "names no function"),
        (
            integration(type="aws_proxy", uri=f"{LAMBDA}:${{stageVariables.f}}/invocations"),
            "stage variable f is not set",
        ),
        (integration(type="aws", uri="arn:aws:apigateway:us-east-1:sqs:action/SendMessage"), "calls sqs"),
        (integration(type="mock", requestTemplates={"a/b": "#if(true)"}), "#if has no #end"),
        (
            integration(type="mock", requestParameters={"integration.request.header.x": "nowhere"}),
            "'nowhere'",
        ),
        (
            integration(type="aws_proxy", uri=f"{LAMBDA}:f/invocations", credentials="arn:aws:iam::*:user/*"),
            "credentials are the caller's",
        ),
        (
            integration(type="aws_proxy", uri=f"{LAMBDA}:f/invocations", credentials="gateway"),
            "credentials is 'gateway'",
        ),
        (own(type="recommendations", userId="'u'"), "needs campaignArn"),
        (own(type="recommendations", campaignArn="c", user="u"), "has no user"),
        (own(type="recommendations", campaignArn="c", response="xml"), "response is 'xml'"),
        (own(type="recommendations", experiment="none"), "no experiment 'none'"),
        (own(type="recommendations", campaignArn="c", cache={"maxAge": "1"}), "cache.maxAge"),
        ({**own(type="events"), "x-amazon-apigateway-request-validator": "v"}, "no request validator 'v'"),
        (
            {"parameters": [{"$ref": "#/components/parameters/p"}], **own(type="events")},
            "is not in the document",
        ),
    ],
)
def test_a_document_that_cannot_be_served_is_refused(tmp_path: Path, operation: Any, told: str) -> None:
    (tmp_path / "api.json").write_text(json.dumps(one_route("bad", operation)))
    code, output = run("gateway", "deploy", tmp_path / "api.json", "--home", tmp_path / "home")
    assert (code, told in output.replace("\n", " ")) == (1, True), output
    assert not (tmp_path / "home" / "gateway").exists()


def test_what_cloudformation_would_fill_in_is_filled_in_or_is_a_stage_variable(tmp_path: Path) -> None:
    path = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions"
    text = f"""
openapi: 3.0.1
info: {{title: !Ref AWS::AccountId}}
paths:
  /:
    get:
      x-amazon-apigateway-integration:
        type: aws_proxy
        credentials: !GetAtt Role.Arn
        uri: !Sub {path}/${{Recommend.Arn}}/invocations
    post:
      x-amazon-apigateway-integration:
        type: aws_proxy
        uri: {{Fn::Sub: ["{path}/${{Name}}/invocations", {{Name: {{Ref: Recommend}}}}]}}
"""
    (tmp_path / "api.yaml").write_text(text)
    words = ("gateway", "deploy", tmp_path / "api.yaml", "--home", tmp_path / "home")
    code, output = run(*words)
    assert (code, "the stage variable Recommend is not set" in output) == (1, True)
    role = "Role=arn:aws:iam::000000000000:role/r"
    code, output = run(*words, "--variable", "Recommend=recommend:live", "--variable", role)
    assert code == 0, output
    store = GatewayStore(tmp_path / "home")
    (stage,) = store.stages()
    found = list(triggers_of(stage, store.document(stage.deployment)))
    store.close()
    assert stage.api_name == "000000000000"
    assert found == [(verb, "/", "recommend", "live") for verb in ("GET", "POST")]


@pytest.mark.parametrize("text", ["[]", "{", "a: [", "openapi: 3.0.1", "openapi: '4'\npaths: {}"])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "api.yaml").write_text(text)
    assert run("gateway", "deploy", tmp_path / "api.yaml", "--home", tmp_path / "home")[0] == 1


@pytest.mark.parametrize(
    "setting", ["unknown=1", "cacheTtlInSeconds=x", "throttlingRateLimit=-1", "functionType=lambda"]
)
def test_settings_are_checked(tmp_path: Path, setting: str) -> None:
    code, output = run(
        "gateway", "deploy", EXAMPLES / "books.yaml", "--home", tmp_path / "home", "--setting", setting
    )
    assert (code, setting.partition("=")[0] in output) == (1, True)


def test_keys_and_plans_are_made_and_listed(tmp_path: Path) -> None:
    at = ("--home", tmp_path)
    run("gateway", "deploy", EXAMPLES / "books.yaml", *at)
    assert (
        run(
            "gateway", "plan", "create", "gold", "--stage", "books/dev", "--rate", 5, "--quota", "10/day", *at
        )[0]
        == 0
    )
    code, value = run("gateway", "key", "create", "shop", "--plan", "gold", *at)
    assert (code, len(value.strip())) == (0, 40)
    assert "gold\t5/s 10/DAY" in run("gateway", "plan", "list", *at)[1]
    assert run("gateway", "key", "list", *at)[1] == f"shop\t{value}"
    assert run("gateway", "key", "create", "shop", *at)[0] == 1
    assert run("gateway", "plan", "create", "x", "--stage", "none/dev", *at)[0] == 1
    assert run("gateway", "delete", "books", *at)[0] == 0
    assert run("gateway", "list", *at)[1] == ""
    store = GatewayStore(tmp_path)
    assert store.plans()[0][1] == []
    store.close()
