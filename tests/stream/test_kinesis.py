"""Kinesis through boto3."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from worlds import Api, open_api


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    opened = open_api(tmp_path_factory.mktemp("kinesis") / "home")
    yield opened
    opened.library.close()


@pytest.fixture(scope="module")
def kinesis(engine: Api) -> Any:
    client = engine.library.client("kinesis", parameter_validation=False)
    client.create_stream(StreamName="clicks", ShardCount=2)
    return client


def code_of(call: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.response["Error"]["Code"]


def everything(kinesis: Any, name: str, **start: Any) -> list[dict[str, Any]]:
    start.setdefault("ShardIteratorType", "TRIM_HORIZON")
    found = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        at = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], **start)["ShardIterator"]
        while records := (answer := kinesis.get_records(ShardIterator=at, Limit=3))["Records"]:
            found += records
            at = answer["NextShardIterator"]
    return found


def test_a_stream_is_described_listed_and_deleted(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="short-lived", ShardCount=3)
    told = kinesis.describe_stream(StreamName="short-lived", Limit=2)["StreamDescription"]
    assert (told["StreamStatus"], told["HasMoreShards"], len(told["Shards"])) == ("ACTIVE", True, 2)
    assert told["StreamARN"] == "arn:aws:kinesis:us-east-1:000000000000:stream/short-lived"
    summary = kinesis.describe_stream_summary(StreamARN=told["StreamARN"])["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["RetentionPeriodHours"]) == (3, 24)
    page = kinesis.list_shards(StreamName="short-lived", MaxResults=2)
    rest = kinesis.list_shards(NextToken=page["NextToken"])
    assert [s["ShardId"][-1] for s in page["Shards"] + rest["Shards"]] == ["0", "1", "2"]
    assert kinesis.list_streams(Limit=1)["HasMoreStreams"]
    assert kinesis.list_streams()["StreamNames"] == ["clicks", "short-lived"]
    assert kinesis.get_waiter("stream_exists").wait(StreamName="short-lived") is None
    kinesis.delete_stream(StreamName="short-lived")
    assert kinesis.list_streams()["StreamNames"] == ["clicks"]
    assert code_of(lambda: kinesis.describe_stream(StreamName="short-lived")) == "ResourceNotFoundException"


def test_records_come_back_as_they_were_put_in_order(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="order", ShardCount=2)
    first = kinesis.put_record(StreamName="order", Data=b"\x00\xff", PartitionKey="a")
    put = kinesis.put_records(
        StreamName="order", Records=[{"Data": b"%d" % n, "PartitionKey": "a"} for n in range(8)]
    )
    assert (put["FailedRecordCount"], len(put["Records"])) == (0, 8)
    found = everything(kinesis, "order")
    assert [record["Data"] for record in found] == [b"\x00\xff", *(b"%d" % n for n in range(8))]
    numbers = [record["SequenceNumber"] for record in found]
    assert (
        numbers
        == sorted(numbers)
        == [first["SequenceNumber"], *(r["SequenceNumber"] for r in put["Records"])]
    )
    assert {record["PartitionKey"] for record in found} == {"a"}


def test_reading_starts_where_it_is_told_to(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="starts", ShardCount=1)
    put = [kinesis.put_record(StreamName="starts", Data=b"%d" % n, PartitionKey="a") for n in range(4)]

    def data(**start: Any) -> list[bytes]:
        return [record["Data"] for record in everything(kinesis, "starts", **start)]

    third = put[2]["SequenceNumber"]
    assert data(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=third) == [b"2", b"3"]
    assert data(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third) == [b"3"]
    assert data(ShardIteratorType="LATEST") == []
    moment = everything(kinesis, "starts")[1]["ApproximateArrivalTimestamp"].timestamp()
    assert data(ShardIteratorType="AT_TIMESTAMP", Timestamp=moment - 0.0005)[-3:] == [b"1", b"2", b"3"]


def test_an_explicit_hash_key_chooses_the_shard(kinesis: Any) -> None:
    for hash_key, shard in (("0", "0"), (str(2**128 - 1), "1")):
        put = kinesis.put_record(
            StreamName="clicks", Data=b"x", PartitionKey="same", ExplicitHashKey=hash_key
        )
        assert put["ShardId"].endswith(shard)


def test_what_cannot_be_is_refused_by_name(kinesis: Any) -> None:
    record = {"Data": b"x", "PartitionKey": "k"}
    assert code_of(lambda: kinesis.put_record(StreamName="none", **record)) == "ResourceNotFoundException"
    assert (
        code_of(lambda: kinesis.create_stream(StreamName="clicks", ShardCount=1)) == "ResourceInUseException"
    )
    assert (
        code_of(lambda: kinesis.create_stream(StreamName="many", ShardCount=1000))
        == "InvalidArgumentException"
    )
    assert code_of(lambda: kinesis.create_stream(StreamName="a/b", ShardCount=1)) == "ValidationException"
    assert code_of(
        lambda: kinesis.put_record(StreamName="clicks", Data=b"x" * (1 << 20), PartitionKey="k")
    ) == ("InvalidArgumentException")
    assert (
        code_of(lambda: kinesis.put_record(StreamName="clicks", Data=b"x", PartitionKey=""))
        == "ValidationException"
    )
    assert code_of(lambda: kinesis.get_records(ShardIterator="nonsense")) == "InvalidArgumentException"
    assert code_of(
        lambda: kinesis.split_shard(StreamName="clicks", ShardToSplit="s", NewStartingHashKey="1")
    ) == ("NotImplementedException")
    wrong = {"StreamName": "clicks", "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"}
    assert code_of(lambda: kinesis.get_shard_iterator(**wrong)) == "ResourceNotFoundException"


def test_an_iterator_ends_with_its_stream_and_with_its_time(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="again", ShardCount=1)
    asked = {"StreamName": "again", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    at = kinesis.get_shard_iterator(**asked)["ShardIterator"]
    told = json.loads(base64.b64decode(at))
    old = base64.b64encode(json.dumps([*told[:-1], told[-1] - 301]).encode()).decode()
    assert code_of(lambda: kinesis.get_records(ShardIterator=old)) == "ExpiredIteratorException"
    kinesis.delete_stream(StreamName="again")
    kinesis.create_stream(StreamName="again", ShardCount=1)
    assert code_of(lambda: kinesis.get_records(ShardIterator=at)) == "ResourceNotFoundException"


def test_a_user_may_do_what_a_policy_says(engine: Api, kinesis: Any) -> None:
    from nextpick.wire import inprocess

    iam = engine.library.client("iam")
    iam.create_user(UserName="producer")
    statement = {
        "Effect": "Allow",
        "Action": "kinesis:PutRecord",
        "Resource": "arn:aws:kinesis:*:*:stream/clicks",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="producer", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="producer")["AccessKey"]
    own = inprocess.client(
        engine.library.engine.asgi, engine.library._loop, "kinesis", region="us-east-1",
        access_key=key["AccessKeyId"], secret=key["SecretAccessKey"],
    )  # fmt: skip
    own.put_record(StreamName="clicks", Data=b"x", PartitionKey="k")
    assert code_of(lambda: own.describe_stream(StreamName="clicks")) == "AccessDeniedException"
    assert (
        code_of(lambda: own.put_record(StreamName="order", Data=b"x", PartitionKey="k"))
        == "AccessDeniedException"
    )
