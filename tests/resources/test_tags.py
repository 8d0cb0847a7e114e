"""Tags: given, replaced, taken away, limited, and asked by policies."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nextpick.wire import inprocess
from worlds import INTERACTIONS_SCHEMA, Api, Shop, checkerboard

ACCOUNT = "000000000000"


def tag(key: str, value: str = "") -> dict[str, str]:
    """Return a tag as the API has it."""
    return {"tagKey": key, "tagValue": value}


def tags_of(api: Api, arn: str) -> dict[str, str]:
    """Return the tags of a resource."""
    listed = api.personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    return {one["tagKey"]: one["tagValue"] for one in listed}


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Return code and message of the error a call ends with."""
    with pytest.raises(ClientError) as raised:
        call(**params)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_tags_are_given_replaced_and_taken_away(api: Api, group: str) -> None:
    assert tags_of(api, group) == {}
    api.personalize.tag_resource(resourceArn=group, tags=[tag("team", "red"), tag("env", "test")])
    api.personalize.tag_resource(resourceArn=group, tags=[tag("team", "blue"), tag("empty")])
    assert tags_of(api, group) == {"team": "blue", "env": "test", "empty": ""}
    api.personalize.untag_resource(resourceArn=group, tagKeys=["env", "never-there"])
    assert tags_of(api, group) == {"team": "blue", "empty": ""}
    assert "tags" not in api.personalize.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]


def test_what_a_create_tags_has_its_tags_to_the_end(api: Api) -> None:
    personalize, mark = api.personalize, [tag("owner", "ana")]
    group = personalize.create_dataset_group(name="g", tags=mark)["datasetGroupArn"]
    schema = personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    dataset = personalize.create_dataset(
        name="d", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions", tags=mark
    )["datasetArn"]
    shop = Shop.__new__(Shop)
    shop.api, shop.group, shop.dataset = api, group, dataset
    imported = shop.start_import("one", checkerboard(), tags=mark)
    assert shop.imported(imported)["status"] == "ACTIVE"
    tracker = personalize.create_event_tracker(name="t", datasetGroupArn=group, tags=mark)["eventTrackerArn"]
    solution = shop.solution(recipe="aws-popularity-count", tags=mark)
    version = shop.train(solution, tags=mark)
    assert shop.trained(version)["status"] == "ACTIVE"
    campaign = shop.deployed("c", version, tags=mark)
    for arn in (group, dataset, imported, tracker, solution, version, campaign):
        assert tags_of(api, arn) == {"owner": "ana"}, arn


def test_what_cannot_have_tags_says_so(api: Api) -> None:
    schema = api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    for call, more in (
        (api.personalize.tag_resource, {"tags": [tag("a")]}),
        (api.personalize.untag_resource, {"tagKeys": ["a"]}),
        (api.personalize.list_tags_for_resource, {}),
    ):
        code, message = refusal(call, resourceArn=schema, **more)
        assert (code, schema in message) == ("InvalidInputException", True)
        missing = f"arn:aws:personalize:us-east-1:{ACCOUNT}:campaign/none"
        assert refusal(call, resourceArn=missing, **more)[0] == "ResourceNotFoundException"


def test_a_resource_has_fifty_tags_at_most(api: Api, group: str) -> None:
    api.personalize.tag_resource(resourceArn=group, tags=[tag(f"k{i}") for i in range(50)])
    code, message = refusal(api.personalize.tag_resource, resourceArn=group, tags=[tag("one-more")])
    assert code == "TooManyTagsException"
    assert "51" in message
    api.personalize.tag_resource(resourceArn=group, tags=[tag("k7", "new")])
    assert tags_of(api, group)["k7"] == "new"
    many = [tag(f"k{i}") for i in range(51)]
    assert refusal(api.personalize.create_dataset_group, name="x", tags=many)[0] == "TooManyTagsException"
    keys = [f"k{i}" for i in range(51)]
    assert refusal(api.personalize.untag_resource, resourceArn=group, tagKeys=keys)[0] == (
        "TooManyTagKeysException"
    )
    assert len(tags_of(api, group)) == 50


@pytest.mark.parametrize("tags", [[tag("aws:x")], [tag("AWS:x")], [tag("a"), tag("a")], [tag("k" * 129)]])
def test_a_key_that_cannot_be_is_refused(api: Api, group: str, tags: list[dict[str, str]]) -> None:
    assert refusal(api.personalize.tag_resource, resourceArn=group, tags=tags)[0] == "InvalidInputException"
    assert tags_of(api, group) == {}


class User:
    """A user of the account, with a policy of these statements."""

    def __init__(self, api: Api, *statements: dict[str, Any]) -> None:
        iam = api.library.client("iam")
        iam.create_user(UserName="ana")
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName="ana", PolicyName="p", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName="ana")["AccessKey"]
        library = api.library
        self.personalize = inprocess.client(
            library.engine.asgi,
            library._loop,
            "personalize",
            region="us-east-1",
            access_key=key["AccessKeyId"],
            secret=key["SecretAccessKey"],
            parameter_validation=False,
        )


ALL = {"Effect": "Allow", "Action": "personalize:*", "Resource": "*"}


def test_a_policy_denies_by_the_tags_of_a_resource(api: Api, group: str) -> None:
    other = api.personalize.create_dataset_group(name="other")["datasetGroupArn"]
    by_tag = {"StringEquals": {"aws:ResourceTag/env": "prod"}}
    user = User(api, ALL, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": by_tag}).personalize
    assert user.describe_dataset_group(datasetGroupArn=group)
    api.personalize.tag_resource(resourceArn=group, tags=[tag("env", "prod")])
    assert refusal(user.describe_dataset_group, datasetGroupArn=group)[0] == "AccessDeniedException"
    assert refusal(user.untag_resource, resourceArn=group, tagKeys=["env"])[0] == "AccessDeniedException"
    assert refusal(user.list_tags_for_resource, resourceArn=group)[0] == "AccessDeniedException"
    assert user.describe_dataset_group(datasetGroupArn=other)


def test_a_policy_denies_by_the_tags_of_a_request(api: Api) -> None:
    only = {
        "Effect": "Deny",
        "Action": "personalize:*",
        "Resource": "*",
        "Condition": {"StringLike": {"aws:RequestTag/env": "pro*"}},
    }
    locked = {
        "Effect": "Deny",
        "Action": "personalize:UntagResource",
        "Resource": "*",
        "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "owner"}},
    }
    user = User(api, ALL, only, locked).personalize
    denied = refusal(user.create_dataset_group, name="p", tags=[tag("env", "prod")])
    assert denied[0] == "AccessDeniedException"
    group = user.create_dataset_group(name="t", tags=[tag("env", "test"), tag("owner", "ana")])[
        "datasetGroupArn"
    ]
    assert refusal(user.untag_resource, resourceArn=group, tagKeys=["owner"])[0] == "AccessDeniedException"
    user.untag_resource(resourceArn=group, tagKeys=["env"])
    assert tags_of(api, group) == {"owner": "ana"}


def test_a_create_with_tags_needs_the_right_to_tag(api: Api) -> None:
    user = User(
        api, {"Effect": "Allow", "Action": "personalize:CreateDatasetGroup", "Resource": "*"}
    ).personalize
    assert user.create_dataset_group(name="plain")
    code, message = refusal(user.create_dataset_group, name="tagged", tags=[tag("a")])
    assert code == "AccessDeniedException"
    assert "personalize:TagResource" in message
    assert len(api.personalize.list_dataset_groups()["datasetGroups"]) == 1
