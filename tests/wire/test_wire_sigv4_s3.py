"""Our verifier of S3's signatures against botocore's signers."""

import base64
import hmac
from datetime import UTC, datetime
from hashlib import sha256
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import botocore.crt.auth
import botocore.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_world import KEY, find_key

from nextpick.clock import ManualClock
from nextpick.errors import (
    AccessDenied,
    ExpiredToken,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from nextpick.names import Key
from nextpick.wire.sigv4 import header_map
from nextpick.wire.sigv4_s3 import RequestTimeTooSkewed, S3Verifier, chunk_signature

NOW = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
SESSION = Key(
    "ASIASESSION",
    "secret",
    "123456789012",
    "arn:aws:sts::123456789012:assumed-role/r/s",
    "token",
    NOW.timestamp() + 900,
)


def verifier(key=KEY, after=0.0):
    find = {key.access_key: key}.get
    return S3Verifier(find, ManualClock(NOW.timestamp() + after), 300)


def signed(method="PUT", path="/shop/a//b.csv", body=b"hello", key=KEY, headers=()):
    request = AWSRequest(method, "http://localhost:7300" + path, data=body)
    for name, value in headers:
        request.headers[name] = value
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=NOW):
        S3SigV4Auth(Credentials(key.access_key, key.secret, key.token or None), "s3", "eu-west-1").add_auth(
            request
        )
    values = [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()]
    parts = urlsplit(request.url)
    return (
        method.encode(),
        parts.path.encode(),
        parts.query.encode(),
        header_map([*values, (b"host", b"localhost:7300")]),
    )


def test_a_signed_request_proves_its_key_and_the_digest_of_its_body():
    proof = verifier().verify(*signed())
    assert (proof.key, proof.region, proof.digest) == (KEY, "eu-west-1", sha256(b"hello").hexdigest())


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_key_is_verified_as_botocore_signs_it(key):
    from botocore.utils import percent_encode

    path = "/shop/" + percent_encode(key, safe="/~")
    assert verifier().verify(*signed(path=path)).key == KEY


@pytest.mark.parametrize(
    "query", ["list-type=2&prefix=a%2Fb%20c&delimiter=%2F", "uploads", "policy=", "b=2&a=1&a=0"]
)
def test_queries_are_verified_in_any_order(query):
    assert verifier().verify(*signed("GET", f"/shop?{query}", b"")).key == KEY


def test_a_request_that_was_changed_is_refused():
    method, path, query, values = signed()
    for changed in (
        (b"GET", path, query, values),
        (method, path + b"x", query, values),
        (method, b"/shop/a/b.csv", query, values),
        (method, path, b"acl", values),
        (method, path, query, values | {b"host": b"elsewhere"}),
        (method, path, query, values | {b"x-amz-acl": b"private"}),
    ):
        with pytest.raises(InvalidSignature):
            verifier().verify(*changed)


def test_times_far_from_ours_unknown_keys_and_no_signature_are_refused_each_by_its_error():
    with pytest.raises(RequestTimeTooSkewed):
        verifier(after=301).verify(*signed())
    with pytest.raises(UnrecognizedClient):
        verifier(Key("AKIDOTHER", "x", "1")).verify(*signed())
    with pytest.raises(MissingAuthenticationToken):
        verifier().verify(b"GET", b"/shop", b"", {b"host": b"localhost"})


def test_a_session_needs_its_token_and_ends():
    request = signed(key=SESSION)
    assert verifier(SESSION).verify(*request).key == SESSION
    with pytest.raises(UnrecognizedClient):
        verifier(SESSION).verify(*signed(key=SESSION._replace(token="another")))
    over = SESSION._replace(expires_at=NOW.timestamp())
    with pytest.raises(ExpiredToken):
        verifier(over).verify(*request)


def presigned(version, method="get_object", key=KEY, **params):
    session = botocore.session.Session()
    client = session.create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url="http://localhost:7300",
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret,
        aws_session_token=key.token or None,
        config=Config(signature_version=version),
    )
    with (
        mock.patch.object(botocore.auth, "get_current_datetime", return_value=NOW),
        mock.patch.object(botocore.crt.auth, "get_current_datetime", return_value=NOW),
        mock.patch("botocore.auth.time.time", return_value=NOW.timestamp()),
    ):
        url = client.generate_presigned_url(
            method, Params={"Bucket": "shop", "Key": "a//é b.csv", **params}, ExpiresIn=60
        )
    parts = urlsplit(url)
    return parts.path.encode(), parts.query.encode()


@pytest.mark.parametrize("version", [None, "s3", "s3v4"])
@pytest.mark.parametrize("key", [KEY, SESSION], ids=["user", "session"])
def test_presigned_urls_of_both_versions_are_good_until_they_expire(version, key):
    path, query = presigned(version, key=key, ResponseContentType="text/csv")
    values = {b"host": b"localhost:7300"}
    assert verifier(key).verify(b"GET", path, query, values).key == key
    with pytest.raises(AccessDenied, match="expired"):
        verifier(key, after=61).verify(b"GET", path, query, values)
    with pytest.raises(InvalidSignature):
        verifier(key).verify(b"PUT", path, query, values)
    with pytest.raises(InvalidSignature):
        verifier(key).verify(b"GET", path + b"x", query, values)


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_a_presigned_upload_holds_the_client_to_its_content_type(version):
    path, query = presigned(version, "put_object", ContentType="text/csv")
    host = {b"host": b"localhost:7300"}
    assert verifier().verify(b"PUT", path, query, host | {b"content-type": b"text/csv"}).key == KEY
    with pytest.raises(InvalidSignature):
        verifier().verify(b"PUT", path, query, host | {b"content-type": b"text/html"})


def test_the_chunks_of_amazons_example_have_the_signatures_it_prints():
    """Amazon S3 API Reference, "Example calculation" of chunked uploads: 66,560 times the letter a."""
    from nextpick.wire import sigv4
    from nextpick.wire.sigv4_s3 import Chain

    scope = b"20130524/us-east-1/s3/aws4_request"
    key = sigv4.derive_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope)
    seed = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    chain = Chain(key, b"20130524T000000Z", scope, seed)
    first = chunk_signature(chain, seed, sha256(b"a" * 65536).hexdigest())
    assert first == b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
    second = chunk_signature(chain, first, sha256(b"a" * 1024).hexdigest())
    assert second == b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
    last = chunk_signature(chain, second, sha256(b"").hexdigest())
    assert last == b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"


def test_version_2_signs_what_a_client_of_its_time_signs():
    expires = str(int(NOW.timestamp()) + 60)
    text = f"GET\n\n\n{expires}\n/shop/a?uploads"
    signature = base64.b64encode(hmac.digest(KEY.secret.encode(), text.encode(), "sha1")).decode()
    query = (
        f"uploads&AWSAccessKeyId={KEY.access_key}&Expires={expires}&Signature={signature.replace('+', '%2B')}"
    )
    assert verifier().verify(b"GET", b"/shop/a", query.encode(), {}).key == find_key(KEY.access_key)
