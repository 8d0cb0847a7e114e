"""Forms in, XML out: the query protocol through botocore's clients of STS and IAM."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from wire_world import KEY, find_key

from nextpick.clock import SystemClock
from nextpick.errors import AccessDenied
from nextpick.settings import Settings
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Route
from nextpick.wire.query import query_app, read_form
from nextpick.wire.reading import Bodies


@pytest.fixture
def iam(connect, make_app):
    """Return a function that makes a client of an IAM with these handlers."""
    pools = []

    def make(key=KEY, **handlers):
        pool = ThreadPoolExecutor(2)
        pools.append(pool)
        settings = Settings()
        callers = Callers(find_key, settings, SystemClock(), True, frozenset({"iam"}))
        routes = {("iam", name): Route(handler) for name, handler in handlers.items()}
        app = query_app("iam", routes, callers, Bodies(settings), pool)
        return connect(make_app({}, neighbours={"iam": app}), "iam", key=key, region="us-east-1")

    yield make
    for pool in pools:
        pool.shutdown()


def test_nested_lists_and_structures_are_read_by_the_model():
    form = {
        "Action": "SimulatePrincipalPolicy",
        "PolicySourceArn": "arn:aws:iam::1:user/u",
        "ActionNames.member.2": "s3:PutObject",
        "ActionNames.member.1": "s3:GetObject",
        "ContextEntries.member.1.ContextKeyName": "aws:SourceIp",
        "ContextEntries.member.1.ContextKeyValues.member.1": "10.0.0.1",
        "MaxItems": "10",
    }
    assert read_form("iam", "SimulatePrincipalPolicy", form) == {
        "PolicySourceArn": "arn:aws:iam::1:user/u",
        "ActionNames": ["s3:GetObject", "s3:PutObject"],
        "ContextEntries": [{"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.0.0.1"]}],
        "MaxItems": 10,
    }


def test_maps_are_read_by_the_models_names_for_their_entries():
    form = {
        "Message": "m",
        "MessageAttributes.entry.1.Name": "kind",
        "MessageAttributes.entry.1.Value.DataType": "String",
        "MessageAttributes.entry.1.Value.StringValue": "batch",
    }
    attributes = {"kind": {"DataType": "String", "StringValue": "batch"}}
    assert read_form("sns", "Publish", form) == {"Message": "m", "MessageAttributes": attributes}


def test_a_handler_gets_the_request_and_its_answer_arrives(iam):
    seen = []

    def get_role(call, request):
        seen.append((call.account, call.operation, request, threading.current_thread().name))
        return {
            "Role": {
                "RoleName": request["RoleName"],
                "Path": "/",
                "RoleId": "AROA",
                "Arn": "arn:aws:iam::1:role/r",
                "CreateDate": 1795507017.0,
                "Tags": [{"Key": "a<b", "Value": "&"}],
            }
        }

    answer = iam(GetRole=get_role).get_role(RoleName="r")
    assert answer["Role"]["Tags"] == [{"Key": "a<b", "Value": "&"}]
    assert answer["Role"]["CreateDate"].timestamp() == 1795507017.0
    assert answer["ResponseMetadata"]["RequestId"]
    assert seen[0][:3] == (KEY.account, "GetRole", {"RoleName": "r"})


def code_of(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_errors_carry_the_codes_of_query_services(iam):
    def refuse(call, request):
        raise AccessDenied("no")

    client = iam(GetRole=refuse, GetUser=lambda call, request: 1 / 0)
    assert code_of(lambda: client.get_role(RoleName="r")) == ("AccessDenied", 403)
    assert code_of(lambda: client.get_role(RoleName="bad name!")) == ("ValidationError", 400)
    assert code_of(client.get_role) == ("ValidationError", 400)
    assert code_of(client.list_groups) == ("NotImplemented", 501)
    assert code_of(client.get_user) == ("InternalFailure", 500)


def test_signatures_are_verified_and_name_the_key_that_is_wrong(iam):
    wrong = KEY._replace(secret="wrong")
    unknown = KEY._replace(access_key="AKIAUNKNOWN")
    assert code_of(lambda: iam(wrong).list_roles()) == ("SignatureDoesNotMatch", 403)
    assert code_of(lambda: iam(unknown).list_roles()) == ("InvalidClientTokenId", 403)
