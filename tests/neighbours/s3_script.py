"""What programs do with S3, as one script for any S3: each step asserts what Amazon's documentation says.

It runs against nextpick, and against independent servers to show that it asks for S3 and not for nextpick.
"""

import hashlib
import io
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

PART = 5 * 1024 * 1024
KEYS = [
    "a//b.csv",
    "é ü/漢字.csv",
    "plus+and space.csv",
    "a&b<c>.csv",
    "100%25.csv",
    "dot./..x",
    "q?x=1#y",
    "tilde~(1).csv",
]


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int]:
    """Return code and status of the error that a call raises."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def run(
    s3: Any, bucket: str, fetch: Callable[[str, str, bytes | None], tuple[int, bytes]] | None = None
) -> None:
    """Do everything in a new bucket, and delete it. ``fetch`` sends a presigned request over the network."""
    s3.create_bucket(Bucket=bucket)
    try:
        s3.head_bucket(Bucket=bucket)
        assert bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]
        _objects(s3, bucket)
        _conditions(s3, bucket)
        _keys(s3, bucket)
        _listings(s3, bucket)
        _multipart(s3, bucket)
        if fetch is not None:
            _presigned(s3, bucket, fetch)
        _missing(s3, bucket)
    finally:
        _empty(s3, bucket)
        s3.delete_bucket(Bucket=bucket)
    assert refusal(s3.head_bucket, Bucket=bucket) == ("404", 404)


def _objects(s3: Any, bucket: str) -> None:
    body = os.urandom(100_000)
    put = s3.put_object(
        Bucket=bucket, Key="o", Body=body, ContentType="text/csv", Metadata={"colour": "blue"}
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="o")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/csv", {"colour": "blue"}, put["ETag"])
    head = s3.head_object(Bucket=bucket, Key="o")
    assert (head["ContentLength"], head["ContentType"]) == (len(body), "text/csv")
    assert s3.get_object(Bucket=bucket, Key="o", Range="bytes=10-19")["Body"].read() == body[10:20]
    tail = s3.get_object(Bucket=bucket, Key="o", Range="bytes=-5")
    assert tail["Body"].read() == body[-5:]
    assert tail["ContentRange"] == f"bytes {len(body) - 5}-{len(body) - 1}/{len(body)}"
    assert s3.get_object(Bucket=bucket, Key="o", Range="bytes=99990-")["Body"].read() == body[99990:]
    assert refusal(s3.get_object, Bucket=bucket, Key="o", Range="bytes=100000-") == ("InvalidRange", 416)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "o"})
    copy = s3.get_object(Bucket=bucket, Key="copy")
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"]) == (
        body,
        "text/csv",
        {"colour": "blue"},
    )
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource={"Bucket": bucket, "Key": "o"},
        MetadataDirective="REPLACE",
        Metadata={"colour": "red"},
    )
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"colour": "red"}
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    s3.delete_object(Bucket=bucket, Key="o")
    s3.delete_object(Bucket=bucket, Key="o")  # a second time is no error
    assert refusal(s3.get_object, Bucket=bucket, Key="o") == ("NoSuchKey", 404)


def _conditions(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="c", Body=b"one")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="c", IfMatch=etag)["Body"].read() == b"one"
    assert refusal(s3.get_object, Bucket=bucket, Key="c", IfMatch='"x"') == ("PreconditionFailed", 412)
    assert refusal(s3.get_object, Bucket=bucket, Key="c", IfNoneMatch=etag)[1] == 304
    assert refusal(s3.put_object, Bucket=bucket, Key="c", Body=b"two", IfNoneMatch="*") == (
        "PreconditionFailed",
        412,
    )
    s3.put_object(Bucket=bucket, Key="new", Body=b"two", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == b"one"


def _keys(s3: Any, bucket: str) -> None:
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=f"keys/{key}", Body=key.encode())
    listed = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="keys/")["Contents"]]
    assert listed == sorted((f"keys/{key}" for key in KEYS), key=str.encode)
    for key in KEYS:
        assert s3.get_object(Bucket=bucket, Key=f"keys/{key}")["Body"].read() == key.encode()
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"keys/{key}"} for key in KEYS]})
    assert len(answer["Deleted"]) == len(KEYS)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="keys/")


def _listings(s3: Any, bucket: str) -> None:
    for key in ["l/1", "l/2", "l/d/1", "l/d/2", "l/e/1", "l-x", "l"]:  # "l" is a key and a prefix
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    found = s3.list_objects_v2(Bucket=bucket, Prefix="l/", Delimiter="/")
    assert [one["Key"] for one in found["Contents"]] == ["l/1", "l/2"]
    assert [one["Prefix"] for one in found["CommonPrefixes"]] == ["l/d/", "l/e/"]
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix="l", PaginationConfig={"PageSize": 2}
        )
    )
    keys = [one["Key"] for page in pages for one in page["Contents"]]
    assert keys == ["l", "l-x", "l/1", "l/2", "l/d/1", "l/d/2", "l/e/1"]
    assert len(pages) == 4
    old = s3.list_objects(Bucket=bucket, Prefix="l", MaxKeys=3)
    assert old["IsTruncated"] is True
    rest = s3.list_objects(Bucket=bucket, Prefix="l", Marker=old["Contents"][-1]["Key"])
    assert [one["Key"] for one in rest["Contents"]] == keys[3:]
    after = s3.list_objects_v2(Bucket=bucket, Prefix="l", StartAfter="l/2")
    assert [one["Key"] for one in after["Contents"]] == keys[4:]
    assert s3.get_object(Bucket=bucket, Key="l")["Body"].read() == b"x"


def _multipart(s3: Any, bucket: str) -> None:
    pieces = [os.urandom(PART), os.urandom(PART), b"the end"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ContentType="text/csv")["UploadId"]
    tags = {}
    for number in (2, 1, 3):
        part = s3.upload_part(
            Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=pieces[number - 1]
        )
        tags[number] = part["ETag"]
    assert refusal(s3.get_object, Bucket=bucket, Key="m") == ("NoSuchKey", 404)
    parts = s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)["Parts"]
    assert [(one["PartNumber"], one["Size"]) for one in parts] == [(1, PART), (2, PART), (3, 7)]
    uploads = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [(one["Key"], one["UploadId"]) for one in uploads] == [("m", upload)]
    named = [{"PartNumber": number, "ETag": tags[number]} for number in (1, 2, 3)]
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": named})
    got = s3.get_object(Bucket=bucket, Key="m")
    assert got["Body"].read() == b"".join(pieces)
    assert got["ContentType"] == "text/csv"
    assert got["ETag"].endswith('-3"')
    aborted = s3.create_multipart_upload(Bucket=bucket, Key="m2")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="m2", UploadId=aborted, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket=bucket, Key="m2", UploadId=aborted)
    assert refusal(s3.list_parts, Bucket=bucket, Key="m2", UploadId=aborted) == ("NoSuchUpload", 404)
    big = os.urandom(2 * 8 * 1024 * 1024 + 3)
    s3.upload_fileobj(io.BytesIO(big), bucket, "managed")
    back = io.BytesIO()
    s3.download_fileobj(bucket, "managed", back)
    assert back.getvalue() == big


def over_http(method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
    """Send a request without signing it; return status and body."""
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Content-Type", "text/csv" if body is not None else "")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _presigned(s3: Any, bucket: str, fetch: Callable[[str, str, bytes | None], tuple[int, bytes]]) -> None:
    params = {"Bucket": bucket, "Key": "p//é q.csv"}
    put = s3.generate_presigned_url("put_object", Params=params | {"ContentType": "text/csv"})
    assert fetch("PUT", put, b"presigned")[0] == 200
    get = s3.generate_presigned_url("get_object", Params=params)
    assert fetch("GET", get, None) == (200, b"presigned")


def _missing(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_object, Bucket=bucket, Key="nothing") == ("NoSuchKey", 404)
    assert refusal(s3.head_object, Bucket=bucket, Key="nothing") == ("404", 404)
    assert refusal(s3.list_objects_v2, Bucket=f"{bucket}-none")[0] == "NoSuchBucket"
    assert refusal(s3.put_object, Bucket=f"{bucket}-none", Key="k", Body=b"")[0] == "NoSuchBucket"
    assert refusal(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)


def _empty(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=one["Key"])
