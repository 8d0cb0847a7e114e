"""A role from without rights to with them, as programs and notebooks set it up."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from worlds import Api, Shop, checkerboard, open_api

ACCOUNT = "000000000000"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "personalize.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def reading(bucket: str) -> dict[str, Any]:
    """Return the policy of the developer guide for a role that imports."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReadShop",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }


def for_service(bucket: str, **condition: str) -> dict[str, Any]:
    """Return the bucket policy of the developer guide, with a condition on the source."""
    statement = {
        "Sid": "PersonalizeS3BucketAccessPolicy",
        "Effect": "Allow",
        "Principal": {"Service": "personalize.amazonaws.com"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    if condition:
        statement["Condition"] = {"StringEquals": condition}
    return {"Version": "2012-10-17", "Id": "PersonalizeS3BucketAccessPolicy", "Statement": [statement]}


class Account:
    """A shop whose data is in S3, and the role that imports it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.s3, self.iam = api.library.client("s3"), api.library.client("iam")
        self.sts = api.library.client("sts")
        assert self.sts.get_caller_identity()["Account"] == ACCOUNT
        self.s3.create_bucket(Bucket="clicks")
        self.s3.put_object(Bucket="clicks", Key="data/clicks.csv", Body=checkerboard().encode())
        self.role = self.iam.create_role(RoleName="importer", AssumeRolePolicyDocument=json.dumps(TRUST))[
            "Role"
        ]["Arn"]
        self.shop = Shop(api)
        self.count = 0

    def imported(self, role: str | None = None) -> dict[str, Any]:
        """Import with the role and return the job's end."""
        self.count += 1
        arn = self.api.personalize.create_dataset_import_job(
            jobName=f"import-{self.count}",
            datasetArn=self.shop.dataset,
            dataSource={"dataLocation": "s3://clicks/data/"},
            roleArn=role or self.role,
        )["datasetImportJobArn"]
        return self.shop.imported(arn)

    def simulate(self, action: str, resource: str) -> dict[str, Any]:
        """Ask the simulator about the role."""
        return self.iam.simulate_principal_policy(
            PolicySourceArn=self.role, ActionNames=[action], ResourceArns=[resource]
        )["EvaluationResults"][0]


@pytest.fixture
def account(api: Api) -> Account:
    return Account(api)


def test_a_role_gets_its_rights_step_by_step(account: Account) -> None:
    failed = account.imported()
    assert failed["status"] == "CREATE FAILED"
    assert failed["failureReason"].startswith("Insufficient privileges for accessing data in Amazon S3. ")
    assert f"{account.role} may not perform s3:ListBucket on arn:aws:s3:::clicks" in failed["failureReason"]
    assert "has no policies" in failed["failureReason"]

    denied = account.simulate("s3:GetObject", "arn:aws:s3:::clicks/data/clicks.csv")
    assert denied["EvalDecision"] == "implicitDeny"
    assert denied["MatchedStatements"] == []
    assert "importer has no policies" in next(iter(denied["EvalDecisionDetails"]))

    policy = account.iam.create_policy(
        PolicyName="read-clicks", PolicyDocument=json.dumps(reading("clicks"), indent=2)
    )
    account.iam.attach_role_policy(RoleName="importer", PolicyArn=policy["Policy"]["Arn"])
    allowed = account.simulate("s3:GetObject", "arn:aws:s3:::clicks/data/clicks.csv")
    assert allowed["EvalDecision"] == "allowed"
    assert allowed["MatchedStatements"][0]["SourcePolicyId"] == policy["Policy"]["Arn"]
    assert allowed["MatchedStatements"][0]["StartPosition"] == {"Line": 4, "Column": 5}
    assert 'statement "ReadShop"' in next(iter(allowed["EvalDecisionDetails"]))
    assert account.imported()["status"] == "ACTIVE"

    account.s3.put_bucket_policy(
        Bucket="clicks", Policy=json.dumps(for_service("clicks", **{"aws:SourceAccount": ACCOUNT}))
    )
    assert account.imported()["status"] == "ACTIVE"
    wrong = for_service("clicks", **{"aws:SourceAccount": "999999999999"})
    account.s3.put_bucket_policy(Bucket="clicks", Policy=json.dumps(wrong))
    failed = account.imported()
    assert failed["status"] == "CREATE FAILED"
    assert "bucket policy of clicks" in failed["failureReason"]
    assert "aws:SourceAccount" in failed["failureReason"]
    assert "999999999999" in failed["failureReason"]


def test_the_source_of_a_bucket_policy_is_the_import_job(account: Account) -> None:
    account.iam.put_role_policy(
        RoleName="importer", PolicyName="read", PolicyDocument=json.dumps(reading("clicks"))
    )
    policy = for_service("clicks")
    for pattern, status in (
        (f"arn:aws:personalize:us-east-1:{ACCOUNT}:*", "ACTIVE"),
        ("arn:aws:personalize:us-east-1:999999999999:*", "CREATE FAILED"),
    ):
        policy["Statement"][0]["Condition"] = {"ArnLike": {"aws:SourceArn": pattern}}
        account.s3.put_bucket_policy(Bucket="clicks", Policy=json.dumps(policy))
        assert account.imported()["status"] == status


def test_a_role_that_does_not_trust_the_service_cannot_import(account: Account) -> None:
    account.iam.put_role_policy(
        RoleName="importer", PolicyName="read", PolicyDocument=json.dumps(reading("clicks"))
    )
    other = json.loads(json.dumps(TRUST).replace("personalize", "lambda"))
    account.iam.update_assume_role_policy(RoleName="importer", PolicyDocument=json.dumps(other))
    failed = account.imported()
    assert failed["status"] == "CREATE FAILED"
    assert f"Amazon Personalize cannot assume {account.role}" in failed["failureReason"]


def test_an_explicit_deny_wins_and_is_named(account: Account) -> None:
    full = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    account.iam.attach_role_policy(RoleName="importer", PolicyArn=full)
    assert account.imported()["status"] == "ACTIVE"
    deny = {
        "Sid": "NotTheData",
        "Effect": "Deny",
        "Action": "s3:Get*",
        "Resource": "arn:aws:s3:::clicks/data/*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    account.iam.put_role_policy(RoleName="importer", PolicyName="no", PolicyDocument=document)
    failed = account.imported()
    assert (
        'explicit deny: statement "NotTheData" of inline policy no of role importer'
        in failed["failureReason"]
    )
    assert account.simulate("s3:GetObject", "arn:aws:s3:::clicks/data/x")["EvalDecision"] == "explicitDeny"


def test_the_managed_policy_of_personalize_reaches_only_buckets_that_are_called_so(account: Account) -> None:
    managed = "arn:aws:iam::aws:policy/service-role/AmazonPersonalizeFullAccess"
    account.iam.attach_role_policy(RoleName="importer", PolicyArn=managed)
    assert account.imported()["status"] == "CREATE FAILED"
    assert account.simulate("s3:GetObject", "arn:aws:s3:::my-personalize-data/x")["EvalDecision"] == "allowed"


def test_strict_rules_want_the_role_and_the_bucket_policy_to_be_there(tmp_path: Path) -> None:
    api = open_api(tmp_path / "home", strict_access=True)
    try:
        account = Account(api)
        unknown = account.imported(f"arn:aws:iam::{ACCOUNT}:role/nobody")
        assert "The role arn:aws:iam::000000000000:role/nobody does not exist" in unknown["failureReason"]
        account.iam.put_role_policy(
            RoleName="importer", PolicyName="read", PolicyDocument=json.dumps(reading("clicks"))
        )
        assert "bucket clicks has no bucket policy" in account.imported()["failureReason"]
        account.s3.put_bucket_policy(Bucket="clicks", Policy=json.dumps(for_service("clicks")))
        assert account.imported()["status"] == "ACTIVE"
    finally:
        api.library.close()


def test_decisions_are_in_the_audit_log(account: Account) -> None:
    account.imported()
    home = account.api.library.home
    lines = [
        json.loads(line)
        for path in (home / "audit").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    denied = [line for line in lines if line["outcome"] == "implicitDeny"]
    assert [(line["principal"], line["action"], line["resource"]) for line in denied] == [
        (account.role, "s3:ListBucket", "arn:aws:s3:::clicks")
    ]
    assert denied[0]["request"].startswith("arn:aws:personalize:us-east-1:000000000000:dataset-import-job/")
    assert {"time", "reason"} <= denied[0].keys()
    assert ("s3:CreateBucket", "allowed") in [(line["action"], line["outcome"]) for line in lines]


def client_of(api: Api, service: str, key: dict[str, str], token: str | None = None) -> Any:
    """Return a client of other credentials than the administrator's."""
    from nextpick.wire import inprocess

    library = api.library
    return inprocess.client(
        library.engine.asgi,
        library._loop,
        service,
        region="us-east-1",
        access_key=key["AccessKeyId"],
        secret=key["SecretAccessKey"],
        token=token,
        parameter_validation=False,
    )


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_user_does_what_its_policies_allow_and_nothing_else(account: Account) -> None:
    account.iam.create_user(UserName="ana")
    key = account.iam.create_access_key(UserName="ana")["AccessKey"]
    personalize, s3 = client_of(account.api, "personalize", key), client_of(account.api, "s3", key)
    me = client_of(account.api, "sts", key).get_caller_identity()
    assert me["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ana"
    code, message = refusal(personalize.list_dataset_groups)
    assert code == "AccessDeniedException"
    assert message.startswith(
        f"User: {me['Arn']} is not authorized to perform: personalize:ListDatasetGroups"
    )
    assert refusal(s3.list_objects_v2, Bucket="clicks")[0] == "AccessDenied"
    allow = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "personalize:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::clicks",
             "Condition": {"StringLike": {"s3:prefix": "data/*"}}},
        ],
    }  # fmt: skip
    account.iam.put_user_policy(UserName="ana", PolicyName="allow", PolicyDocument=json.dumps(allow))
    assert personalize.list_dataset_groups()["datasetGroups"]
    assert s3.list_objects_v2(Bucket="clicks", Prefix="data/")["KeyCount"] == 1
    assert refusal(s3.list_objects_v2, Bucket="clicks")[0] == "AccessDenied"
    assert refusal(s3.get_object, Bucket="clicks", Key="data/clicks.csv")[0] == "AccessDenied"
    request = {"jobName": "x", "datasetArn": account.shop.dataset, "roleArn": account.role}
    code, message = refusal(
        personalize.create_dataset_import_job, dataSource={"dataLocation": "s3://clicks/data/"}, **request
    )
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in message
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": account.role}
    passing["Condition"] = {"StringEquals": {"iam:PassedToService": "personalize.amazonaws.com"}}  # type: ignore[assignment]
    document = json.dumps({"Version": "2012-10-17", "Statement": passing})
    account.iam.put_user_policy(UserName="ana", PolicyName="pass", PolicyDocument=document)
    assert personalize.create_dataset_import_job(dataSource={"dataLocation": "s3://clicks/data/"}, **request)
    account.iam.update_access_key(UserName="ana", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refusal(personalize.list_dataset_groups)[0] == "UnrecognizedClientException"


def test_policies_name_resources_of_personalize_by_their_arns(account: Account) -> None:
    account.iam.create_user(UserName="ben")
    key = account.iam.create_access_key(UserName="ben")["AccessKey"]
    personalize, events = (
        client_of(account.api, "personalize", key),
        client_of(account.api, "personalize-events", key),
    )
    statement = {
        "Effect": "Allow",
        "Action": "personalize:*",
        "Resource": f"arn:aws:personalize:*:{ACCOUNT}:*/shop*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    account.iam.put_user_policy(UserName="ben", PolicyName="shop", PolicyDocument=document)
    assert personalize.describe_dataset_group(datasetGroupArn=account.shop.group)
    assert personalize.describe_dataset(datasetArn=account.shop.dataset)
    assert personalize.create_dataset_group(name="shop-2")
    assert refusal(personalize.create_dataset_group, name="other")[0] == "AccessDeniedException"
    assert refusal(personalize.list_dataset_groups)[0] == "AccessDeniedException"  # a list is about *
    event = {"eventType": "click", "itemId": "i1", "sentAt": 1}
    code, message = refusal(events.put_events, trackingId="t", sessionId="s", eventList=[event])
    assert code == "AccessDeniedException"
    assert "personalize:PutEvents on resource: *" in message


def test_a_session_has_the_rights_of_its_role_until_it_expires(account: Account) -> None:
    cy = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/cy"}
    statement = {"Effect": "Allow", "Principal": cy, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    role = account.iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"][
        "Arn"
    ]
    account.iam.attach_role_policy(
        RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    for name in ("cy", "dee"):
        account.iam.create_user(UserName=name)
    keys = {name: account.iam.create_access_key(UserName=name)["AccessKey"] for name in ("cy", "dee")}
    dee = client_of(account.api, "sts", keys["dee"])
    code, message = refusal(dee.assume_role, RoleArn=role, RoleSessionName="tests")
    assert code == "AccessDenied"
    assert "trust policy of role reader" in message
    answer = client_of(account.api, "sts", keys["cy"]).assume_role(RoleArn=role, RoleSessionName="tests")
    held = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/tests"
    s3 = client_of(account.api, "s3", held, held["SessionToken"])
    assert s3.get_object(Bucket="clicks", Key="data/clicks.csv")["ContentLength"] > 0
    assert refusal(s3.put_object, Bucket="clicks", Key="x", Body=b"")[0] == "AccessDenied"
    me = client_of(account.api, "sts", held, held["SessionToken"]).get_caller_identity()
    assert me["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert refusal(client_of(account.api, "s3", held, "wrong").list_buckets)[0] == "InvalidAccessKeyId"
    assert refusal(dee.assume_role, RoleArn=f"{role}x", RoleSessionName="tests")[0] == "AccessDenied"
    short = client_of(account.api, "sts", keys["cy"])
    assert (
        refusal(short.assume_role, RoleArn=role, RoleSessionName="tests", DurationSeconds=7200)[0]
        == "ValidationError"
    )
    limited = short.assume_role(
        RoleArn=role,
        RoleSessionName="tests",
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
            }
        ),
    )["Credentials"]
    narrow = client_of(account.api, "s3", limited, limited["SessionToken"])
    assert narrow.list_buckets()["Buckets"]
    assert refusal(narrow.get_object, Bucket="clicks", Key="data/clicks.csv")[0] == "AccessDenied"


def test_a_bucket_policy_grants_and_denies_users(account: Account) -> None:
    account.iam.create_user(UserName="eve")
    key = account.iam.create_access_key(UserName="eve")["AccessKey"]
    s3 = client_of(account.api, "s3", key)
    eve = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/eve"}
    statements = [
        {
            "Sid": "In",
            "Effect": "Allow",
            "Principal": eve,
            "Action": "s3:*Object",
            "Resource": "arn:aws:s3:::clicks/*",
        },
        {
            "Sid": "Out",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:DeleteObject",
            "Resource": "arn:aws:s3:::clicks/data/*",
        },
    ]
    account.s3.put_bucket_policy(
        Bucket="clicks", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    s3.put_object(Bucket="clicks", Key="eve", Body=b"x")
    assert s3.get_object(Bucket="clicks", Key="eve")["Body"].read() == b"x"
    code, message = refusal(s3.delete_object, Bucket="clicks", Key="data/clicks.csv")
    assert code == "AccessDenied"
    assert 'statement "Out" of bucket policy of clicks' in message
    answer = s3.delete_objects(
        Bucket="clicks", Delete={"Objects": [{"Key": "eve"}, {"Key": "data/clicks.csv"}]}
    )
    assert [one["Key"] for one in answer["Deleted"]] == ["eve"]
    assert [(one["Key"], one["Code"]) for one in answer["Errors"]] == [("data/clicks.csv", "AccessDenied")]
    account.s3.delete_object(Bucket="clicks", Key="data/clicks.csv")  # the administrator may
