"""Who may deploy and invoke, and what a function may do: what its role may."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from functions_world import ROLE, Functions, archive

import nextpick
from nextpick.wire import inprocess

CODE = """
import boto3
personalize = boto3.client("personalize")
sts = boto3.client("sts")

def lambda_handler(event, context):
    if event == "who":
        return sts.get_caller_identity()["Arn"]
    return len(personalize.list_dataset_groups()["datasetGroups"])
"""
TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
 "Principal": {"Service": "%s.amazonaws.com"}}]}"""
PERSONALIZE = "arn:aws:iam::aws:policy/service-role/AmazonPersonalizeFullAccess"


def make_role(functions: Functions, name: str, service: str = "lambda") -> str:
    iam = functions.opened.client("iam")
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST % service)["Role"]["Arn"]


def test_a_function_may_do_what_its_role_may(functions: Functions) -> None:
    functions.deploy("limited", CODE, Role=make_role(functions, "limited"))
    assert (
        functions.invoke("limited", "who").payload == "arn:aws:sts::000000000000:assumed-role/limited/limited"
    )
    denied = functions.invoke("limited").payload
    assert denied["errorType"] == "ClientError"
    assert "is not authorized to perform: personalize:ListDatasetGroups" in denied["errorMessage"]
    functions.opened.client("iam").attach_role_policy(RoleName="limited", PolicyArn=PERSONALIZE)
    assert functions.invoke("limited").payload == 0


def test_a_role_that_is_not_for_lambda_is_refused(functions: Functions) -> None:
    with pytest.raises(ClientError, match="cannot be assumed by Lambda") as error:
        functions.deploy("foreign", CODE, Role=make_role(functions, "foreign", "glue"))
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_role_that_was_never_set_up_is_not_asked_until_it_is(functions: Functions) -> None:
    arn = ROLE.replace("anyone", "later")
    functions.deploy("later", CODE, Role=arn)
    assert functions.invoke("later").payload == 0
    assert functions.invoke("later", "who").payload.endswith(":root")
    assert make_role(functions, "later") == arn
    assert functions.invoke("later", "who").payload == "arn:aws:sts::000000000000:assumed-role/later/later"
    assert functions.invoke("later").error == "Unhandled"
    functions.opened.client("iam").delete_role(RoleName="later")
    assert functions.invoke("later").payload == 0


def test_keys_are_renewed_before_they_end(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "return [os.getpid(), os.environ['AWS_SESSION_TOKEN']]"
    telling = f"import os\ndef lambda_handler(event, context):\n    {body}\n"
    functions.deploy("renewed", telling, Role=make_role(functions, "renewed"))
    pid, first = functions.invoke("renewed").payload
    assert functions.invoke("renewed").payload == [pid, first]
    monkeypatch.setattr("nextpick.access.assuming.RENEW_BEFORE_S", 3600.0)
    again, second = functions.invoke("renewed").payload
    assert again == pid
    assert second != first


@pytest.fixture
def user(functions: Functions) -> Iterator[Any]:
    """A client of a user who may do anything with Lambda."""
    iam, opened = functions.opened.client("iam"), functions.opened
    iam.create_user(UserName="developer")
    iam.attach_user_policy(UserName="developer", PolicyArn="arn:aws:iam::aws:policy/AWSLambda_FullAccess")
    key = iam.create_access_key(UserName="developer")["AccessKey"]
    yield inprocess.client(
        opened.engine.asgi,
        opened._loop,
        "lambda",
        region="us-east-1",
        access_key=key["AccessKeyId"],
        secret=key["SecretAccessKey"],
    )
    iam.delete_access_key(UserName="developer", AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName="developer", PolicyArn="arn:aws:iam::aws:policy/AWSLambda_FullAccess")
    iam.delete_user(UserName="developer")


def test_only_the_administrator_deploys(functions: Functions, user: Any) -> None:
    functions.deploy("theirs", "def lambda_handler(event, context):\n    return 1\n")
    given = {
        "Runtime": "python3.11",
        "Handler": "a.b",
        "Role": ROLE,
        "Code": {"ZipFile": archive({"a.py": ""})},
    }
    for refused in (
        lambda: user.create_function(FunctionName="own", **given),
        lambda: user.update_function_code(FunctionName="theirs", ZipFile=archive({"a.py": ""})),
        lambda: user.update_function_configuration(FunctionName="theirs", Handler="os.system"),
    ):
        with pytest.raises(ClientError, match="only the administrator's key deploys") as error:
            refused()
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    assert json.loads(user.invoke(FunctionName="theirs")["Payload"].read()) == 1


def test_a_user_invokes_what_a_policy_allows(functions: Functions, user: Any) -> None:
    iam = functions.opened.client("iam")
    iam.detach_user_policy(UserName="developer", PolicyArn="arn:aws:iam::aws:policy/AWSLambda_FullAccess")
    try:
        functions.deploy("open", "def lambda_handler(event, context):\n    return 1\n")
        with pytest.raises(ClientError, match="lambda:InvokeFunction"):
            user.invoke(FunctionName="open")
        functions.client.add_permission(
            FunctionName="open",
            StatementId="developer",
            Action="lambda:InvokeFunction",
            Principal="arn:aws:iam::000000000000:user/developer",
        )
        assert user.invoke(FunctionName="open")["StatusCode"] == 200
    finally:
        iam.attach_user_policy(UserName="developer", PolicyArn="arn:aws:iam::aws:policy/AWSLambda_FullAccess")


def test_strict_rules_want_the_role(tmp_path: Path) -> None:
    with (
        nextpick.open(tmp_path / "home", strict_access=True) as opened,
        pytest.raises(ClientError, match="no role"),
    ):
        Functions(opened).deploy("strict", CODE)


def test_functions_can_be_off(tmp_path: Path) -> None:
    with nextpick.open(tmp_path / "home", functions="never") as opened:
        with pytest.raises(ClientError, match="Functions are off") as error:
            Functions(opened).deploy("off", CODE)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
