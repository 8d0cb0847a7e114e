"""Lambda's operations through boto3."""

import json
import zipfile
from io import BytesIO

import pytest
from functions_world import ARN, ROLE, Functions, archive, refused, until

CODE = {"lambda_function.py": "def lambda_handler(event, context):\n    return event\n"}


def test_a_function_is_told_as_it_was_made(functions: Functions) -> None:
    made = functions.client.create_function(
        FunctionName="told",
        Runtime="python3.9",
        Handler="lambda_function.lambda_handler",
        Role=ROLE,
        Code={"ZipFile": archive(CODE)},
        Description="What it is for",
        MemorySize=256,
        Environment={"Variables": {"GENRE": "b"}},
        Tags={"team": "books"},
        TracingConfig={"Mode": "Active"},
        Layers=["arn:aws:lambda:eu-west-1:336392948345:layer:AWSSDKPandas-Python39:4"],
        Publish=True,
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == ARN.format("told")
    assert made["State"] == "Active"
    assert made["Version"] == "1"
    assert made["Timeout"] == 3
    functions.client.get_waiter("function_active_v2").wait(FunctionName="told")
    found = functions.client.get_function(FunctionName=ARN.format("told"))
    assert found["Tags"] == {"team": "books"}
    assert found["Code"]["Location"].startswith("file:///")
    told = functions.client.get_function_configuration(FunctionName="told")
    del told["ResponseMetadata"]
    assert found["Configuration"] == told
    own = ("Version", "RevisionId", "ResponseMetadata")
    assert {k: v for k, v in told.items() if k not in own} == {k: v for k, v in made.items() if k not in own}
    assert told["Environment"] == {"Variables": {"GENRE": "b"}}
    assert told["TracingConfig"] == {"Mode": "Active"}
    assert told["MemorySize"] == 256
    listed = functions.client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    assert told in [each for page in listed for each in page["Functions"]]


def test_an_update_changes_what_is_given(functions: Functions) -> None:
    functions.deploy("changed", CODE, Environment={"Variables": {"GENRE": "b"}})
    before = functions.client.get_function_configuration(FunctionName="changed")
    after = functions.client.update_function_configuration(FunctionName="changed", Timeout=9)
    assert (after["Timeout"], after["Environment"]) == (9, {"Variables": {"GENRE": "b"}})
    assert after["RevisionId"] != before["RevisionId"]
    stale = {"FunctionName": "changed", "RevisionId": before["RevisionId"]}
    refused("PreconditionFailedException", functions.client.update_function_configuration, **stale)
    code = archive({"lambda_function.py": "def lambda_handler(event, context):\n    return 2\n"})
    dry = functions.client.update_function_code(FunctionName="changed", ZipFile=code, DryRun=True)
    assert functions.invoke("changed", 1).payload == 1
    new = functions.client.update_function_code(FunctionName="changed", ZipFile=code)
    assert new["CodeSha256"] == dry["CodeSha256"] != after["CodeSha256"]
    assert functions.invoke("changed", 1).payload == 2


def test_code_comes_from_a_bucket(functions: Functions) -> None:
    s3 = functions.opened.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="v1/app.zip", Body=archive(CODE))
    source = {"S3Bucket": "code", "S3Key": "v1/app.zip"}
    shared = {"Runtime": "python3.11", "Handler": "lambda_function.lambda_handler", "Role": ROLE}
    functions.client.create_function(FunctionName="from-bucket", Code=source, **shared)
    assert functions.invoke("from-bucket", [1]).payload == [1]
    missing = {"Code": {"S3Bucket": "code", "S3Key": "v1/none.zip"}, "FunctionName": "none", **shared}
    assert "v1/none.zip" in refused(
        "InvalidParameterValueException", functions.client.create_function, **missing
    )


def test_what_is_deleted_is_gone(functions: Functions) -> None:
    functions.deploy("gone", CODE)
    functions.invoke("gone", 1)
    functions.client.delete_function(FunctionName="gone")
    for call in ("get_function", "delete_function", "get_policy", "get_function_configuration"):
        message = refused("ResourceNotFoundException", getattr(functions.client, call), FunctionName="gone")
        assert message == f"Function not found: {ARN.format('gone')}"
    refused("ResourceNotFoundException", functions.client.invoke, FunctionName="gone")
    functions.deploy("gone", CODE)
    assert functions.invoke("gone", 2).payload == 2


BAD = {
    "taken": ({"FunctionName": "there"}, "ResourceConflictException", "Function already exist: there"),
    "java": ({"Runtime": "java21"}, "InvalidParameterValueException", "java21"),
    "no handler": ({"Handler": None}, "InvalidParameterValueException", "mandatory"),
    "reserved": (
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        "InvalidParameterValueException",
        "Reserved keys used in this request: AWS_REGION",
    ),
    "large": ({"Environment": {"Variables": {"GENRE": "x" * 5000}}}, "InvalidParameterValueException", "4KB"),
    "no archive": ({"Code": {"ZipFile": b"PK"}}, "InvalidParameterValueException", "Could not unzip"),
    "no code": ({"Code": {}}, "InvalidParameterValueException", "provide a source"),
    "image": ({"PackageType": "Image"}, "InvalidParameterValueException", ".zip"),
    "layer": (
        {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:own:1"]},
        "InvalidParameterValueException",
        "PYTHONPATH",
    ),
    "long": ({"Timeout": 901}, "InvalidParameterValueException", "900"),
    "small": ({"MemorySize": 64}, "ValidationException", "memorySize|MemorySize"),
    "role": ({"Role": "anyone"}, "ValidationException", "Role"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_run_is_refused(functions: Functions, case: str) -> None:
    changes, code, text = BAD[case]
    if case == "taken":
        functions.deploy("there", CODE)
    given = {
        "FunctionName": "bad",
        "Runtime": "python3.11",
        "Handler": "lambda_function.lambda_handler",
        "Role": ROLE,
        "Code": {"ZipFile": archive(CODE)},
        **changes,
    }
    message = refused(
        code, functions.client.create_function, **{name: v for name, v in given.items() if v is not None}
    )
    assert any(part in message for part in text.split("|"))
    if case != "taken":
        refused("ResourceNotFoundException", functions.client.get_function, FunctionName="bad")


@pytest.mark.parametrize("name", ["../escape.py", "/etc/escape.py", "a/../../escape.py"])
def test_an_archive_stays_where_it_is_unpacked(functions: Functions, name: str) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, "x")
    given = {"Runtime": "python3.11", "Handler": "a.b", "Role": ROLE, "Code": {"ZipFile": buffer.getvalue()}}
    message = refused(
        "InvalidParameterValueException", functions.client.create_function, FunctionName="bad", **given
    )
    assert "outside" in message
    assert not list(functions.home.rglob("escape.py"))


def test_invoke_has_three_types(functions: Functions) -> None:
    functions.deploy("typed", CODE)
    dry = functions.client.invoke(FunctionName="typed", InvocationType="DryRun")
    assert dry["StatusCode"] == 204
    done = functions.client.invoke(FunctionName="typed", Qualifier="$LATEST")
    assert (done["StatusCode"], done["ExecutedVersion"]) == (200, "$LATEST")
    assert "LogResult" not in done
    assert json.loads(done["Payload"].read()) == {}
    later = functions.client.invoke(FunctionName="typed", InvocationType="Event", Payload=b"{}")
    assert later["StatusCode"] == 202
    assert later["Payload"].read() == b""
    refused("InvalidRequestContentException", functions.client.invoke, FunctionName="typed", Payload=b"{")
    refused("ResourceNotFoundException", functions.client.invoke, FunctionName="typed", Qualifier="7")
    large = b'"' + b"x" * (6 * 1024 * 1024) + b'"'
    refused("RequestTooLargeException", functions.client.invoke, FunctionName="typed", Payload=large)


def test_permissions_make_the_policy(functions: Functions) -> None:
    functions.deploy("permitted", CODE)
    refused("ResourceNotFoundException", functions.client.get_policy, FunctionName="permitted")
    given = {
        "FunctionName": "permitted",
        "StatementId": "api",
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": "arn:aws:execute-api:us-east-1:000000000000:abc/*/GET/recommend",
    }
    statement = json.loads(functions.client.add_permission(**given)["Statement"])
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": given["SourceArn"]}}
    refused("ResourceConflictException", functions.client.add_permission, **given)
    policy = json.loads(functions.client.get_policy(FunctionName="permitted")["Policy"])
    assert policy["Statement"] == [statement]
    functions.client.remove_permission(FunctionName="permitted", StatementId="api")
    refused("ResourceNotFoundException", functions.client.get_policy, FunctionName="permitted")


def test_what_becomes_of_events_is_configured(functions: Functions) -> None:
    functions.deploy("configured", CODE)
    name = {"FunctionName": "configured"}
    refused("ResourceNotFoundException", functions.client.get_function_event_invoke_config, **name)
    target = {"OnSuccess": {"Destination": ARN.format("configured")}}
    put = functions.client.put_function_event_invoke_config(
        **name, MaximumRetryAttempts=0, DestinationConfig=target
    )
    assert put["MaximumEventAgeInSeconds"] == 21600
    assert put["DestinationConfig"] == {**target, "OnFailure": {}}
    functions.client.update_function_event_invoke_config(**name, MaximumEventAgeInSeconds=60)
    found = functions.client.get_function_event_invoke_config(**name)
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (0, 60)
    assert found["DestinationConfig"] == put["DestinationConfig"]
    queue = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q"}}
    put_again = functions.client.put_function_event_invoke_config
    refused("InvalidParameterValueException", put_again, **name, DestinationConfig=queue)
    functions.client.delete_function_event_invoke_config(**name)
    refused("ResourceNotFoundException", functions.client.get_function_event_invoke_config, **name)


def test_tags_come_and_go(functions: Functions) -> None:
    arn = functions.deploy("tagged", CODE)
    functions.client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    functions.client.untag_resource(Resource=arn, TagKeys=["a"])
    assert functions.client.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def test_what_is_not_spoken_says_so(functions: Functions) -> None:
    message = refused("NotImplementedException", functions.client.list_layers)
    assert message == "nextpick does not speak ListLayers of lambda."


def test_code_that_nothing_names_is_removed(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextpick.functions.host._SWEEP_S", 0.0)
    functions.deploy("swept", CODE)
    functions.invoke("swept", 1)
    location = functions.client.get_function(FunctionName="swept")["Code"]["Location"]
    functions.client.update_function_code(FunctionName="swept", ZipFile=archive({**CODE, "more.py": ""}))
    from pathlib import Path
    from urllib.parse import urlsplit

    until(lambda: not Path(urlsplit(location).path).exists())
    assert functions.invoke("swept", 3).payload == 3
