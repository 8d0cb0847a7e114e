"""Versions and aliases of functions, through boto3 and from the program's own side."""

import collections
import json
from pathlib import Path

import pytest
from functions_world import ARN, Functions, archive, refused, until

from nextpick.functions import client

CODE = """
import os
def lambda_handler(event, context):
    told = {"code": %d, "version": context.function_version, "arn": context.invoked_function_arn}
    if event and "file" in event:
        with open(event["file"], "a") as file:
            file.write(f"{told['version']}\\n")
    return told | {"variable": os.environ["AWS_LAMBDA_FUNCTION_VERSION"], "stream": context.log_stream_name}
"""


@pytest.fixture(scope="module")
def name(functions: Functions) -> str:
    """A function with the versions 1 and 2, newer code than both, and the alias live, which is version 1."""
    functions.deploy("versioned", CODE % 1)
    for number in (1, 2):
        made = functions.client.publish_version(FunctionName="versioned", Description=f"the {number}.")
        assert (made["Version"], made["FunctionArn"]) == (str(number), ARN.format(f"versioned:{number}"))
        code = archive({"lambda_function.py": CODE % (number + 1)})
        functions.client.update_function_code(FunctionName="versioned", ZipFile=code)
    functions.client.create_alias(FunctionName="versioned", Name="live", FunctionVersion="1")
    return "versioned"


def test_each_version_runs_the_code_it_was_published_with(functions: Functions, name: str) -> None:
    for qualifier, code, version in (
        ("1", 1, "1"),
        ("2", 2, "2"),
        ("live", 1, "1"),
        ("$LATEST", 3, "$LATEST"),
    ):
        told = functions.invoke(name, Qualifier=qualifier)
        assert told.payload["arn"] == ARN.format(f"{name}:{qualifier}")
        assert (
            (told.payload["code"], told.payload["version"])
            == (code, version)
            == (
                functions.invoke(ARN.format(f"{name}:{qualifier}")).payload["code"],
                told.payload["variable"],
            )
        )
        assert f"/[{version}]" in told.payload["stream"]
        assert f"Version: {version}" in told.log
    executed = functions.client.invoke(FunctionName=f"{name}:live")["ExecutedVersion"]
    assert executed == client.invoke(functions.home, name, b"{}", qualifier="live").version == "1"
    with pytest.raises(client.FunctionMissing):
        client.invoke(functions.home, f"{name}:gone", b"{}")
    for qualifier in ("3", "gone"):
        refused("ResourceNotFoundException", functions.client.invoke, FunctionName=name, Qualifier=qualifier)


def test_versions_are_listed_and_told_as_they_were(functions: Functions, name: str) -> None:
    pages = functions.client.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig={"PageSize": 2}
    )
    found = [version for page in pages for version in page["Versions"]]
    assert [(each["Version"], each["FunctionArn"]) for each in found] == [
        (version, ARN.format(f"{name}:{version}")) for version in ("$LATEST", "1", "2")
    ]
    assert found[1]["Description"] == "the 1."
    assert len({each["CodeSha256"] for each in found}) == 3
    by_alias = functions.client.get_function(FunctionName=name, Qualifier="live")["Configuration"]
    assert by_alias == found[1] | {"FunctionArn": ARN.format(f"{name}:live")}


def test_what_has_not_changed_gets_no_new_version(functions: Functions) -> None:
    functions.deploy("same", CODE % 1)
    publish = functions.client.publish_version
    assert [publish(FunctionName="same")["Version"] for _ in range(2)] == ["1", "1"]
    functions.client.update_function_configuration(FunctionName="same", Timeout=9)
    assert publish(FunctionName="same")["Version"] == "2"
    code = archive({"lambda_function.py": CODE % 7})
    made = functions.client.update_function_code(FunctionName="same", ZipFile=code, Publish=True)
    assert (made["Version"], made["FunctionArn"]) == ("3", ARN.format("same:3"))
    refused("InvalidParameterValueException", publish, FunctionName="same", CodeSha256="other")
    refused("InvalidParameterValueException", publish, FunctionName="same:3")


def test_an_alias_shares_its_invocations_by_weight(functions: Functions, name: str) -> None:
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    made = functions.client.create_alias(
        FunctionName=name, Name="canary", FunctionVersion="1", RoutingConfig=weights
    )
    assert made["AliasArn"] == ARN.format(f"{name}:canary")
    assert made["RoutingConfig"] == weights
    seen = collections.Counter(functions.invoke(f"{name}:canary").payload["code"] for _ in range(40))
    assert set(seen) == {1, 2}
    changed = functions.client.update_alias(
        FunctionName=name, Name="canary", FunctionVersion="2", RoutingConfig={}
    )
    assert (changed["FunctionVersion"], "RoutingConfig" in changed) == ("2", False)
    assert functions.invoke(f"{name}:canary").payload["code"] == 2
    stale = {"FunctionName": name, "Name": "canary", "RevisionId": made["RevisionId"]}
    refused("PreconditionFailedException", functions.client.update_alias, **stale)
    listed = functions.client.list_aliases(FunctionName=name)["Aliases"]
    assert [alias["Name"] for alias in listed] == ["canary", "live"]
    of_two = functions.client.list_aliases(FunctionName=name, FunctionVersion="2")["Aliases"]
    assert [alias["Name"] for alias in of_two] == ["canary"]
    functions.client.delete_alias(FunctionName=name, Name="canary")
    refused("ResourceNotFoundException", functions.client.get_alias, FunctionName=name, Name="canary")


@pytest.mark.parametrize(
    ("code", "members"),
    [
        ("ResourceConflictException", {"Name": "live", "FunctionVersion": "1"}),
        ("ResourceNotFoundException", {"Name": "a", "FunctionVersion": "9"}),
        ("ValidationException", {"Name": "7", "FunctionVersion": "1"}),
        *(
            (
                "InvalidParameterValueException",
                {"Name": "a", "FunctionVersion": version, "RoutingConfig": weights},
            )
            for version, weights in (
                ("$LATEST", {"AdditionalVersionWeights": {"1": 0.1}}),
                ("1", {"AdditionalVersionWeights": {"1": 0.1}}),
                ("1", {"AdditionalVersionWeights": {"1": 0.1, "2": 0.1}}),
            )
        ),
    ],
)
def test_an_alias_that_cannot_be_is_refused(
    functions: Functions, name: str, code: str, members: dict[str, object]
) -> None:
    refused(code, functions.client.create_alias, FunctionName=name, **members)


def test_permissions_and_retries_belong_to_what_they_were_given_to(functions: Functions, name: str) -> None:
    grant = {"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    functions.client.add_permission(FunctionName=name, Qualifier="live", **grant)
    policy = json.loads(functions.client.get_policy(FunctionName=name, Qualifier="live")["Policy"])
    assert [each["Resource"] for each in policy["Statement"]] == [ARN.format(f"{name}:live")]
    refused("ResourceNotFoundException", functions.client.get_policy, FunctionName=name)
    functions.client.remove_permission(FunctionName=f"{name}:live", StatementId="api")
    put = functions.client.put_function_event_invoke_config
    assert put(FunctionName=name, Qualifier="live", MaximumRetryAttempts=0)["FunctionArn"].endswith(":live")
    put(FunctionName=name, MaximumRetryAttempts=1)
    configs = functions.client.list_function_event_invoke_configs(FunctionName=name)[
        "FunctionEventInvokeConfigs"
    ]
    told = {config["FunctionArn"].rpartition(":")[2]: config["MaximumRetryAttempts"] for config in configs}
    assert told == {"$LATEST": 1, "live": 0}
    functions.client.delete_function_event_invoke_config(FunctionName=name, Qualifier="live")
    refused("ResourceNotFoundException", functions.client.get_function_event_invoke_config,
            FunctionName=name, Qualifier="live")  # fmt: skip


def test_an_asynchronous_invocation_runs_the_version_it_names(
    functions: Functions, name: str, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    functions.send(f"{name}:live", {"file": str(ran)})
    client.enqueue(functions.home, f"{name}:2", json.dumps({"file": str(ran)}).encode())
    until(lambda: ran.exists() and sorted(ran.read_text().split()) == ["1", "2"])


def test_a_version_is_deleted_unless_an_alias_has_it(functions: Functions) -> None:
    functions.deploy("shed", CODE % 1, Publish=True)
    functions.client.create_alias(FunctionName="shed", Name="live", FunctionVersion="1")
    delete = functions.client.delete_function
    assert "live" in refused("ResourceConflictException", delete, FunctionName="shed", Qualifier="1")
    refused("InvalidParameterValueException", delete, FunctionName="shed", Qualifier="$LATEST")
    functions.client.delete_alias(FunctionName="shed", Name="live")
    delete(FunctionName="shed", Qualifier="1")
    refused("ResourceNotFoundException", functions.client.invoke, FunctionName="shed:1")
    assert functions.client.publish_version(FunctionName="shed")["Version"] == "2"
    delete(FunctionName="shed")
    functions.deploy("shed", CODE % 2)
    refused("ResourceNotFoundException", functions.client.invoke, FunctionName="shed:2")
    assert functions.client.publish_version(FunctionName="shed")["Version"] == "1"


def test_all_versions_share_the_limit_of_their_function(functions: Functions, name: str) -> None:
    functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for qualifier in ("1", "live", "$LATEST"):
        refused("TooManyRequestsException", functions.client.invoke, FunctionName=name, Qualifier=qualifier)
    functions.client.delete_function_concurrency(FunctionName=name)
    assert functions.invoke(name, Qualifier="1").payload["code"] == 1
