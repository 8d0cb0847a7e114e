"""New objects: told by the S3 door, found in bucket directories, each set off once."""

import json
import os
from typing import Any
from urllib.parse import unquote_plus

from states_world import machine
from workshop import Workshop

from nextpick.store.buckets import Buckets
from nextpick.workflow import watches
from nextpick.workflow.watches import EVERY, Watch
from worlds import ROLE, Shop, checkerboard

CALL = {"kind": "function", "name": "f"}


def watch(
    shop: Workshop, name: str = "w", prefix: str = "in/", suffix: str = ".csv", action: dict[str, Any] = CALL
) -> None:
    made = Watch(name, "data", prefix, suffix, EVERY, action, f"trigger/{name}", shop.clock.now())
    buckets = Buckets(shop.api.library.home / "buckets", owner="test")
    watches.put(shop.workflow.database, buckets, [made], made.owner)


def keys(shop: Workshop) -> list[str]:
    return [unquote_plus(event["Records"][0]["s3"]["object"]["key"]) for _, event in shop.functions.called]


def test_an_object_put_through_s3_calls_a_function_once(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    shop.s3.create_bucket(Bucket="data")
    shop.s3.put_object(Bucket="data", Key="in/old.csv", Body=b"")
    watch(shop)
    etag = shop.s3.put_object(Bucket="data", Key="in/a b+ü.csv", Body=b"x,y")["ETag"].strip('"')
    shop.s3.put_object(Bucket="data", Key="in/other.txt", Body=b"x")
    shop.s3.put_object(Bucket="data", Key="out/a.csv", Body=b"x")
    for _ in range(3):
        shop.tick()
    assert keys(shop) == ["in/a b+ü.csv"]
    (_, event) = shop.functions.called[0]
    (record,) = event["Records"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["bucket"]["name"] == "data"
    assert record["s3"]["object"]["key"] == "in/a+b%2B%C3%BC.csv"
    assert (record["s3"]["object"]["eTag"], record["s3"]["object"]["size"]) == (etag, 3)
    shop.s3.put_object(Bucket="data", Key="in/a b+ü.csv", Body=b"x,y")  # the same content is a new object
    shop.tick()
    assert len(keys(shop)) == 2


def test_copies_and_uploads_in_parts_are_told_by_name(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    shop.s3.create_bucket(Bucket="data")
    watch(shop)
    shop.s3.put_object(Bucket="data", Key="a", Body=b"1")
    shop.s3.copy_object(Bucket="data", Key="in/copy.csv", CopySource="data/a")
    upload = shop.s3.create_multipart_upload(Bucket="data", Key="in/parts.csv")["UploadId"]
    of = {"Bucket": "data", "Key": "in/parts.csv", "UploadId": upload}
    part = shop.s3.upload_part(**of, PartNumber=1, Body=b"1")["ETag"]
    shop.s3.complete_multipart_upload(**of, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    shop.tick()
    told = [event["Records"][0]["eventName"] for _, event in shop.functions.called]
    assert told == ["ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"]


def test_a_file_put_by_hand_counts_when_it_has_rested(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    shop.api.put_object("data", "in/old.csv", "1")
    watch(shop)
    shop.api.put_object("data", "in/new.csv", "1")
    for _ in range(3):
        shop.tick()
        shop.clock.advance(0.5)
    assert keys(shop) == []
    path = shop.api.library.home / "buckets" / "data" / "in" / "new.csv"
    path.write_text("more")  # it grows: the rest begins anew
    os.utime(path, ns=(1, 2))
    shop.tick()
    shop.clock.advance(1.9)
    shop.tick()
    assert keys(shop) == []
    shop.clock.advance(0.2)
    shop.tick()
    shop.tick()
    assert keys(shop) == ["in/new.csv"]
    path.unlink()
    shop.tick()
    path.write_text("more")
    os.utime(path, ns=(1, 3))
    shop.tick()
    shop.clock.advance(3)
    shop.tick()
    assert keys(shop) == ["in/new.csv"] * 2


def test_what_was_put_before_a_kill_is_found_afterwards(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    shop.s3.create_bucket(Bucket="data")
    watch(shop)
    shop.s3.put_object(Bucket="data", Key="in/told.csv", Body=b"1")
    # As if the worker had been killed between the object and the outbox: the object is there, nothing was told.
    shop.s3.put_object(Bucket="data", Key="in/untold.csv", Body=b"1")
    with shop.workflow.database.write() as db:
        db.execute("DELETE FROM outbox WHERE key = 'in/untold.csv'")
    shop.restart()
    shop.workflow.watching.take()
    shop.restart()
    for _ in range(2):
        shop.tick()
    assert sorted(keys(shop)) == ["in/told.csv", "in/untold.csv"]


def test_a_notification_configuration_calls_functions(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    shop.s3.create_bucket(Bucket="data")
    rules = [{"Name": "Prefix", "Value": "raw/"}, {"Name": "Suffix", "Value": ".csv"}]
    one = {
        "Id": "start",
        "LambdaFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    config = {"LambdaFunctionConfigurations": [one]}
    shop.s3.put_bucket_notification_configuration(Bucket="data", NotificationConfiguration=config)
    shop.s3.put_object(Bucket="data", Key="raw/ratings.csv", Body=b"1")
    shop.s3.put_object(Bucket="data", Key="raw/ratings.txt", Body=b"1")
    shop.tick()
    assert keys(shop) == ["raw/ratings.csv"]
    assert shop.functions.called[0][1]["Records"][0]["s3"]["configurationId"] == "data:start"
    shop.s3.put_bucket_notification_configuration(Bucket="data", NotificationConfiguration={})
    shop.s3.put_object(Bucket="data", Key="raw/more.csv", Body=b"1")
    shop.tick()
    assert len(keys(shop)) == 1


def test_a_new_object_starts_a_workflow_with_the_event(shop: Workshop) -> None:
    arn = shop.make(machine(P={"Type": "Pass", "OutputPath": "$.Records[0].s3.object.key"}), "key")
    shop.s3.create_bucket(Bucket="data")
    watch(shop, action={"kind": "workflow", "name": "key"})
    for name in ("movies", "ratings"):
        shop.s3.put_object(Bucket="data", Key=f"in/{name}.csv", Body=b"1")
    shop.tick()
    shop.tick()
    found = shop.states.list_executions(stateMachineArn=arn)["executions"]
    outputs = [json.loads(shop.finish(one["executionArn"])["output"]) for one in found]
    assert sorted(outputs) == ["in/movies.csv", "in/ratings.csv"]


def test_users_start_batch_inference_and_items_a_segment_job_that_says_why_it_cannot(shop: Workshop) -> None:
    made = Shop(shop.api)
    made.imported(made.start_import("j", checkerboard()))
    version = made.train(made.solution(recipe="aws-popularity-count"))
    assert made.trained(version)["status"] == "ACTIVE"
    parameters = {"solutionVersionArn": version, "roleArn": ROLE, "numResults": 5}
    for kind, suffix in (("batch-inference", "users.json"), ("batch-segment", "items.json")):
        action = {
            "kind": kind,
            "name": "movies",
            "output": "s3://data/batch/results/",
            "parameters": parameters,
        }
        watch(shop, kind, "batch/input/", suffix, action)
    shop.s3.put_object(
        Bucket="data", Key="batch/input/users.json", Body=b'{"userId": "u1"}\n{"userId": "none"}'
    )
    shop.s3.put_object(Bucket="data", Key="batch/input/items.json", Body=b'{"itemId": "i1"}')
    shop.tick()
    shop.tick()
    (job,) = shop.api.personalize.list_batch_inference_jobs(solutionVersionArn=version)["batchInferenceJobs"]
    assert job["jobName"] == f"movies_{int(shop.clock.now())}"
    describe = shop.api.personalize.describe_batch_inference_job
    ended = shop.api.settle(lambda: describe(batchInferenceJobArn=job["batchInferenceJobArn"]))
    assert ended["status"] == "ACTIVE", ended.get("failureReason")
    body = shop.s3.get_object(Bucket="data", Key="batch/results/users.json.out")["Body"].read()
    assert [len(json.loads(line)["output"]["recommendedItems"]) for line in body.splitlines()] == [5, 5]
    with shop.workflow.database.read() as db:
        failed = db.execute("SELECT source, error FROM firing WHERE state = 'FAILED'").fetchall()
    assert [row["source"] for row in failed] == ["trigger/batch-segment"]
    assert failed[0]["error"].startswith("InvalidInputException")
