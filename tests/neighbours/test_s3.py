"""What S3 says where the common script does not look: checksums, chunks, refusals, configurations."""

import base64
import hashlib
import json
import threading
import zlib
from typing import Any

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError

from worlds import Api


@pytest.fixture
def s3(api: Api) -> Any:
    client = api.library.client("s3", parameter_validation=False)
    client.create_bucket(Bucket="shop")
    return client


def refusal(call: Any, **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error.get("Message", "")


def code(call: Any, **params: Any) -> str:
    return refusal(call, **params)[0]


def crc(name: str, data: bytes) -> str:
    value = {"CRC32": zlib.crc32, "CRC32C": checksums.crc32c, "CRC64NVME": checksums.crc64nvme}[name](data)
    return base64.b64encode(value.to_bytes(8 if name == "CRC64NVME" else 4, "big")).decode()


def test_checksums_are_verified_and_given_back(s3: Any) -> None:
    data = b"USER_ID,ITEM_ID\n"
    sums = {name: crc(name, data) for name in ("CRC32", "CRC32C", "CRC64NVME")}
    sums |= {n: base64.b64encode(hashlib.new(n, data).digest()).decode() for n in ("SHA1", "SHA256")}
    for name, value in sums.items():
        s3.put_object(Bucket="shop", Key=name, Body=data, **{f"Checksum{name}": value})
        got = s3.get_object(Bucket="shop", Key=name, ChecksumMode="ENABLED")
        assert got[f"Checksum{name}"] == value
        assert got["ChecksumType"] == "FULL_OBJECT"
        assert got["Body"].read() == data
        wrong = {f"Checksum{name}": sums["CRC32"][::-1]}
        assert code(s3.put_object, Bucket="shop", Key="wrong", Body=data, **wrong) == "BadDigest"
    assert code(s3.get_object, Bucket="shop", Key="wrong") == "NoSuchKey"


def test_an_md5_that_is_another_bodys_is_refused(s3: Any) -> None:
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert code(s3.put_object, Bucket="shop", Key="k", Body=b"body", ContentMD5=other) == "BadDigest"
    assert code(s3.put_object, Bucket="shop", Key="k", Body=b"body", ContentMD5="x") == "InvalidDigest"
    right = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    s3.put_object(Bucket="shop", Key="k", Body=b"body", ContentMD5=right)


def test_what_is_not_spoken_is_said_by_name(s3: Any) -> None:
    assert refusal(
        s3.put_bucket_versioning, Bucket="shop", VersioningConfiguration={"Status": "Enabled"}
    ) == (
        "NotImplemented",
        501,
        "nextpick's S3 does not speak PutBucketVersioning.",
    )
    assert code(s3.get_object_tagging, Bucket="shop", Key="k") == "NotImplemented"
    sealed = refusal(s3.put_object, Bucket="shop", Key="k", Body=b"", ServerSideEncryption="AES256")
    assert sealed == ("NotImplemented", 501, "nextpick's S3 does not speak ServerSideEncryption.")
    assert code(s3.put_object, Bucket="shop", Key="k", Body=b"", Tagging="a=b") == "NotImplemented"
    public = code(s3.put_object, Bucket="shop", Key="k", Body=b"", ACL="public-read")
    assert public == "AccessControlListNotSupported"


def test_buckets_are_named_owned_and_placed(s3: Any, api: Api) -> None:
    for name in ("ab", "Upper", "under_score", "192.168.0.1", "a..b", "-a-"):
        assert code(s3.create_bucket, Bucket=name) == "InvalidBucketName"
    s3.create_bucket(Bucket="shop")  # in us-east-1 a second time is no error
    west = api.library.client("s3", region="eu-west-1")
    west.create_bucket(Bucket="west", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    again = {"LocationConstraint": "eu-west-1"}
    assert (
        code(west.create_bucket, Bucket="west", CreateBucketConfiguration=again) == "BucketAlreadyOwnedByYou"
    )
    assert s3.get_bucket_location(Bucket="west")["LocationConstraint"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket="shop")["LocationConstraint"] is None
    assert s3.head_bucket(Bucket="west")["BucketRegion"] == "eu-west-1"
    acl = s3.get_bucket_acl(Bucket="shop")
    assert acl["Owner"]["ID"] == "000000000000"
    assert acl["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert acl["Grants"][0]["Grantee"]["Type"] == "CanonicalUser"
    assert "Status" not in s3.get_bucket_versioning(Bucket="shop")


def test_a_directory_made_by_hand_is_a_bucket_with_its_files(s3: Any, api: Api) -> None:
    api.put_object("by-hand", "folder/a.csv", "x,y\n")
    assert "by-hand" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    found = s3.list_objects_v2(Bucket="by-hand")["Contents"]
    assert [(one["Key"], one["Size"]) for one in found] == [("folder/a.csv", 4)]
    assert s3.get_object(Bucket="by-hand", Key="folder/a.csv")["Body"].read() == b"x,y\n"
    assert (api.library.home / "buckets" / "shop").is_dir()
    s3.put_object(Bucket="shop", Key="a/b.csv", Body=b"1")
    assert (api.library.home / "buckets" / "shop" / "a" / "b.csv").read_bytes() == b"1"


def test_a_bucket_policy_is_kept_as_it_was_written(s3: Any) -> None:
    assert code(s3.get_bucket_policy, Bucket="shop") == "NoSuchBucketPolicy"
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::shop/*",
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=3)
    s3.put_bucket_policy(Bucket="shop", Policy=text)
    assert s3.get_bucket_policy(Bucket="shop")["Policy"] == text
    for wrong, why in (
        ("{", "invalid Json"),
        (text.replace("Allow", "Permit"), "'Permit'"),
        (text.replace("shop", "other"), "not of the bucket"),
        (text.replace("Principal", "Principle"), "'Principle'"),
        (text.replace('"Principal": "*",', ""), "Principal"),
    ):
        refused = refusal(s3.put_bucket_policy, Bucket="shop", Policy=wrong)
        assert refused[:2] == ("MalformedPolicy", 400)
        assert why in refused[2]
    assert s3.get_bucket_policy(Bucket="shop")["Policy"] == text
    s3.delete_bucket_policy(Bucket="shop")
    assert code(s3.get_bucket_policy, Bucket="shop") == "NoSuchBucketPolicy"


def test_notifications_are_kept(s3: Any) -> None:
    rule = {"Name": "prefix", "Value": "raw/"}
    config = {
        "LambdaFunctionConfigurations": [
            {
                "Id": "start",
                "LambdaFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:start",
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [rule]}},
            }
        ]
    }
    s3.put_bucket_notification_configuration(Bucket="shop", NotificationConfiguration=config)
    answer = s3.get_bucket_notification_configuration(Bucket="shop")
    assert answer["LambdaFunctionConfigurations"] == config["LambdaFunctionConfigurations"]
    wrong = {"QueueConfigurations": [{"QueueArn": "q", "Events": ["s3:ObjectCreated:*"]}]}
    refused = refusal(
        s3.put_bucket_notification_configuration, Bucket="shop", NotificationConfiguration=wrong
    )
    assert refused[0] == "InvalidArgument"
    s3.put_bucket_notification_configuration(Bucket="shop", NotificationConfiguration={})
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket="shop")


def test_parts_must_be_as_they_were_uploaded(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="shop", Key="m")["UploadId"]
    part = {"Bucket": "shop", "Key": "m", "UploadId": upload}
    small = s3.upload_part(**part, PartNumber=1, Body=b"small")["ETag"]
    last = s3.upload_part(**part, PartNumber=2, Body=b"last")["ETag"]

    def complete(*parts: tuple[int, str]) -> str:
        named = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        return code(s3.complete_multipart_upload, **part, MultipartUpload=named)

    assert complete((1, small), (2, last)) == "EntityTooSmall"
    assert complete((2, last), (1, small)) == "InvalidPartOrder"
    assert complete((1, last)) == "InvalidPart"
    assert complete((3, last)) == "InvalidPart"
    assert complete() == "MalformedXML"
    assert code(s3.upload_part, **part, PartNumber=0, Body=b"") == "InvalidArgument"
    assert code(s3.upload_part, **{**part, "Key": "other"}, PartNumber=1, Body=b"") == "NoSuchUpload"
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 2, "ETag": last}]})
    assert s3.get_object(Bucket="shop", Key="m")["Body"].read() == b"last"
    assert code(s3.list_parts, **part) == "NoSuchUpload"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT"), ("SHA256", "COMPOSITE")],
)
def test_an_upload_in_parts_has_the_checksum_of_its_kind(s3: Any, name: str, kind: str) -> None:
    pieces = [b"a" * 5 * 1024 * 1024, b"the end"]
    made = s3.create_multipart_upload(Bucket="shop", Key="m", ChecksumAlgorithm=name, ChecksumType=kind)
    part = {"Bucket": "shop", "Key": "m", "UploadId": made["UploadId"]}
    named = []
    for number, piece in enumerate(pieces, 1):
        sent = s3.upload_part(**part, PartNumber=number, Body=piece, ChecksumAlgorithm=name)
        named.append({"PartNumber": number, "ETag": sent["ETag"], f"Checksum{name}": sent[f"Checksum{name}"]})
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": named})
    head = s3.head_object(Bucket="shop", Key="m", ChecksumMode="ENABLED")
    assert head["ChecksumType"] == kind
    if kind == "FULL_OBJECT":
        assert head[f"Checksum{name}"] == crc(name, b"".join(pieces))
    else:
        assert head[f"Checksum{name}"].endswith("-2")
    one = s3.get_object(Bucket="shop", Key="m", PartNumber=2)
    assert (one["Body"].read(), one["PartsCount"]) == (b"the end", 2)


def test_a_copy_is_made_under_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket="shop", Key="a", Body=b"1")["ETag"]
    copy = {"Bucket": "shop", "Key": "b", "CopySource": "shop/a"}
    assert code(s3.copy_object, **copy, CopySourceIfMatch='"x"') == "PreconditionFailed"
    assert code(s3.copy_object, **copy, CopySourceIfNoneMatch=etag) == "PreconditionFailed"
    assert code(s3.copy_object, **{**copy, "CopySource": "shop/none"}) == "NoSuchKey"
    assert code(s3.copy_object, **{**copy, "CopySource": "none/a"}) == "NoSuchBucket"
    assert code(s3.copy_object, **{**copy, "CopySource": "shop"}) == "InvalidArgument"
    assert code(s3.copy_object, **{**copy, "Key": "a"}) == "InvalidRequest"
    assert s3.copy_object(**copy)["CopyObjectResult"]["ETag"] == etag


def test_of_many_conditional_puts_at_once_one_wins(s3: Any) -> None:
    outcomes: list[str] = []

    def put(number: int) -> None:
        try:
            s3.put_object(Bucket="shop", Key="lock", Body=b"%d" % number, IfNoneMatch="*")
            outcomes.append("won")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["PreconditionFailed"] * 11 + ["won"]


def test_lists_refuse_what_they_cannot_follow(s3: Any) -> None:
    assert code(s3.list_objects_v2, Bucket="shop", ContinuationToken="no token") == "InvalidArgument"
    assert code(s3.list_objects_v2, Bucket="shop", MaxKeys=-1) == "InvalidArgument"
    empty = s3.list_objects_v2(Bucket="shop", MaxKeys=0)
    assert (empty["KeyCount"], empty["IsTruncated"]) == (0, False)
    assert code(s3.delete_objects, Bucket="shop", Delete={"Objects": []}) == "MalformedXML"
    assert code(s3.put_object, Bucket="shop", Key="a" * 1025, Body=b"") == "KeyTooLongError"


def test_objects_are_their_own_only_versions(s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="a", Body=b"1")
    versions = s3.list_object_versions(Bucket="shop")["Versions"]
    assert [(one["Key"], one["VersionId"], one["IsLatest"]) for one in versions] == [("a", "null", True)]
    s3.delete_objects(Bucket="shop", Delete={"Objects": [{"Key": "a", "VersionId": "null"}], "Quiet": True})
    assert "Versions" not in s3.list_object_versions(Bucket="shop")


def test_every_handler_is_of_an_operation_of_its_service() -> None:
    from nextpick.neighbours import assemble, sts  # noqa: F401  assemble has all of them entered
    from nextpick.neighbours.iam import common
    from nextpick.neighbours.s3.app import UPLOADS
    from nextpick.neighbours.s3.context import HANDLERS
    from nextpick.wire.shapes import service

    for name, spoken in (("s3", [*HANDLERS, *UPLOADS]), ("sts", sts.HANDLERS), ("iam", common.HANDLERS)):
        assert set(spoken) <= set(service(name).operations)
