"""Requests and answers of rest-xml, read and written by S3's model."""

import pytest

from nextpick.errors import Serialization
from nextpick.wire import restxml, xmltext
from nextpick.wire.restxml import Target
from nextpick.wire.shapes import service


@pytest.mark.parametrize(
    ("operation", "method", "path", "query", "headers"),
    [
        ("ListBuckets", "GET", b"/", {}, {}),
        ("ListBuckets", "GET", b"/", {"x-id": "ListBuckets"}, {}),
        ("ListObjects", "GET", b"/shop", {"prefix": "a"}, {}),
        ("ListObjectsV2", "GET", b"/shop/", {"list-type": "2"}, {}),
        ("GetBucketPolicy", "GET", b"/shop", {"policy": ""}, {}),
        ("PutBucketNotificationConfiguration", "PUT", b"/shop", {"notification": ""}, {}),
        ("ListMultipartUploads", "GET", b"/shop", {"uploads": ""}, {}),
        ("DeleteObjects", "POST", b"/shop", {"delete": ""}, {}),
        ("PutObject", "PUT", b"/shop/a//b.csv", {"x-id": "PutObject"}, {}),
        ("CopyObject", "PUT", b"/shop/a", {}, {b"x-amz-copy-source": b"shop/b"}),
        ("UploadPart", "PUT", b"/shop/a", {"uploadId": "1", "partNumber": "1"}, {}),
        (
            "UploadPartCopy",
            "PUT",
            b"/shop/a",
            {"uploadId": "1", "partNumber": "1"},
            {b"x-amz-copy-source": b"x"},
        ),
        ("ListParts", "GET", b"/shop/a", {"uploadId": "1"}, {}),
        ("AbortMultipartUpload", "DELETE", b"/shop/a", {"uploadId": "1"}, {}),
        ("CreateMultipartUpload", "POST", b"/shop/a", {"uploads": ""}, {}),
        ("CompleteMultipartUpload", "POST", b"/shop/a", {"uploadId": "1"}, {}),
        ("GetObjectTagging", "GET", b"/shop/a", {"tagging": ""}, {}),
    ],
)
def test_operations_are_told_apart_by_path_query_and_headers(operation, method, path, query, headers):
    target = restxml.find_operation("s3", method, path, query, headers)
    assert target is not None
    assert target.operation == operation


def test_a_form_upload_is_no_operation_of_the_model():
    assert restxml.find_operation("s3", "POST", b"/shop", {}, {}) is None


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"/shop/a//b", "a//b"),
        (b"/shop//a", "/a"),
        (b"/shop/../a", "../a"),
        (b"/shop/a%2Fb", "a/b"),
        (b"/shop/%C3%A9%20+", "é +"),
        (b"/shop/a/", "a/"),
    ],
)
def test_keys_are_read_as_they_were_sent(path, key):
    assert restxml.split_path(path) == ("shop", key)


def test_a_path_that_is_not_utf_8_is_refused():
    with pytest.raises(Serialization):
        restxml.split_path(b"/shop/%ff")


def test_headers_and_queries_become_members_of_their_types():
    values = {
        b"x-amz-meta-colour": b"blue",
        b"if-modified-since": b"Tue, 24 Nov 2026 07:56:57 GMT",
        b"range": b"bytes=0-1",
    }
    get = restxml.read_request("s3", Target("GetObject", "b", "k"), {"partNumber": "3"}, values, b"")
    assert get == {
        "Bucket": "b",
        "Key": "k",
        "PartNumber": 3,
        "Range": "bytes=0-1",
        "IfModifiedSince": 1795507017.0,
    }
    put = restxml.read_request("s3", Target("PutObject", "b", "k"), {}, values, None)
    assert put["Metadata"] == {"colour": "blue"}


def test_a_number_that_is_none_is_refused_by_its_name():
    with pytest.raises(Serialization, match="max-keys"):
        restxml.read_request("s3", Target("ListObjects", "b", ""), {"max-keys": "many"}, {}, b"")


NOTIFICATION = """<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><{one}>
<{arn}>arn:aws:lambda:us-east-1:1:function:f</{arn}><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event>
<Filter><S3Key><FilterRule><Name>prefix</Name><Value>a</Value></FilterRule></S3Key></Filter></{one}>
</NotificationConfiguration>"""


@pytest.mark.parametrize(
    ("one", "arn"),
    [
        ("CloudFunctionConfiguration", "CloudFunction"),
        ("LambdaFunctionConfiguration", "LambdaFunctionArn"),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
    ],
)
def test_notifications_are_read_under_their_old_and_new_names(one, arn):
    target = Target("PutBucketNotificationConfiguration", "b", "")
    body = NOTIFICATION.format(one=one, arn=arn).encode()
    request = restxml.read_request("s3", target, {}, {}, body)
    assert request["NotificationConfiguration"] == {
        "LambdaFunctionConfigurations": [
            {
                "LambdaFunctionArn": "arn:aws:lambda:us-east-1:1:function:f",
                "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "a"}]}},
            }
        ]
    }


@pytest.mark.parametrize(
    "body", [b"", b"<a>", b"not xml", b"\xff", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'], ids=range(5)
)
def test_what_is_no_plain_xml_is_refused(body):
    with pytest.raises(Serialization):
        xmltext.parse(body)


def test_text_of_any_kind_survives_writing_and_reading():
    shape = service("s3").shapes["Object"]
    text = 'a & b < c > "d" \n é\t'
    written = xmltext.write(service("s3").shapes, shape, {"Key": text, "Size": 3}, "Contents")
    assert xmltext.read(service("s3").shapes, shape, xmltext.parse(written.encode())) == {
        "Key": text,
        "Size": 3,
    }


def test_control_characters_are_written_as_references_as_s3_does():
    assert xmltext.text_of("a\x01\rb") == "a&#x1;&#xd;b"
