"""Our verifier against botocore's signer."""

from datetime import UTC, datetime
from hashlib import sha256
from unittest import mock

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_world import KEY, find_key

from nextpick.clock import ManualClock
from nextpick.errors import (
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    ServiceError,
    UnrecognizedClient,
)
from nextpick.names import Key
from nextpick.wire.sigv4 import Verifier, header_map

NOW = datetime(2026, 11, 23, 23, 45, 12, tzinfo=UTC)
NOON = NOW.timestamp()


class Signed:
    """A request as botocore signs it and as it arrives."""

    def __init__(
        self,
        path="/recommendations",
        query="",
        headers=(),
        body=b"{}",
        service="personalize",
        key=KEY,
        token=None,
    ):
        url = "http://localhost:7300" + path + ("?" + query if query else "")
        request = AWSRequest("POST", url, data=body)
        for name, value in [("Content-Type", "application/json"), *headers]:
            request.headers[name] = value
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=NOW):
            SigV4Auth(Credentials(key.access_key, key.secret, token), service, "eu-west-1").add_auth(request)
        self.path, self.query, self.body = path.encode(), query.encode(), body
        self.headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        self.headers.append((b"host", b"localhost:7300"))

    def without(self, name):
        self.headers = [header for header in self.headers if header[0] != name]
        return self

    def having(self, name, value):
        self.without(name).headers.append((name, value))
        return self

    def value(self, name):
        return dict(self.headers)[name]

    def verify(self, verifier=None, now=NOON):
        verifier = verifier or Verifier(find_key, ManualClock(now), 300)
        return verifier.verify(b"POST", self.path, self.query, header_map(self.headers), self.body)


def refusal(signed, error=InvalidSignature, **more):
    with pytest.raises(ServiceError) as caught:
        signed.verify(**more)
    assert type(caught.value) is error
    return caught.value.message


def test_a_request_that_botocore_signed_is_known_by_its_key_region_and_service():
    signer = Signed().verify()
    assert (signer.key, signer.region, signer.service) == (KEY, "eu-west-1", "personalize")


NAMES = st.sampled_from(
    ["X-Amz-Target", "x-amz-meta", "Accept", "Zeta", "X-Amz-User-Agent", "Amz-Sdk-Request"]
)
VALUES = st.text('ab ,;=\t"/~', max_size=12)
PATHS = st.lists(
    st.sampled_from(["a", "..", ".", "", "%20", "b", "~", "*", "%2F", "x;y", "a=b", "@"]), max_size=6
)
QUERIES = st.lists(
    st.tuples(st.text("ab%20~-", max_size=3), st.sampled_from(["", "=", "=1", "=a%20b", "=~", "=="])),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), PATHS, QUERIES, st.binary(max_size=40))
def test_whatever_botocore_signs_is_accepted_and_nothing_else(headers, segments, pairs, body):
    path = "/" + "/".join(segments)
    if path.startswith("//"):
        path = "/a" + path  # urlsplit would take it for a host
    query = "&".join(name + rest for name, rest in pairs)
    signed = Signed(path, query, headers, body)
    verifier = Verifier(find_key, ManualClock(NOON), 300)
    assert signed.verify(verifier).key == KEY
    assert signed.verify(verifier).key == KEY
    signed.body += b"x"
    refusal(signed, verifier=verifier)


def test_repeated_headers_are_joined_in_order_and_space_is_folded():
    headers = [("Zeta", "  b   c "), ("Zeta", "a"), ("Accept", "x\t\ty")]
    assert Signed(headers=headers).verify()
    swapped = Signed(headers=headers)
    swapped.headers.reverse()
    refusal(swapped)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("/a//b", "/a/c"), ("/a/../b", "/a/b"), ("/%20", "/%2520"), ("/a%2Fb", "/a/b"), ("/a/", "/a")],
)
def test_another_path_is_refused(path, wrong):
    signed = Signed(path)
    assert signed.verify()
    signed.path = wrong.encode()
    refusal(signed)


def test_another_query_method_or_header_is_refused():
    signed = Signed(query="a=1&b=2")
    signed.query = b"b=2&a=1"
    assert signed.verify()
    signed.query = b"a=1&b=3"
    refusal(signed)
    refusal(Signed().having(b"content-type", b"text/plain"))
    refusal(Signed().having(b"host", b"localhost:7301"))


def test_any_host_is_accepted_when_it_is_signed():
    assert (
        Signed(headers=[("Host", "recs.example.com")])
        .without(b"host")
        .having(b"host", b"recs.example.com")
        .verify()
    )


def test_headers_that_nobody_signed_may_be_added_by_a_proxy():
    signed = Signed()
    signed.headers += [(b"x-forwarded-for", b"10.0.0.1"), (b"user-agent", b"curl")]
    assert signed.verify()


def test_a_header_of_amazon_must_be_signed():
    assert "'x-amz-target'" in refusal(Signed().having(b"x-amz-target", b"AmazonPersonalize.DeleteSolution"))


def test_the_host_must_be_signed():
    signed = Signed()
    authorization = signed.value(b"authorization").replace(
        b"content-type;host;x-amz-date", b"content-type;x-amz-date"
    )
    assert "'Host'" in refusal(signed.having(b"authorization", authorization))


def test_a_session_token_is_signed_and_else_ignored():
    signed = Signed(token="FwoGZXIvYXdzEBYaD")
    assert b"x-amz-security-token" in signed.value(b"authorization")
    assert signed.verify().key == KEY
    refusal(signed.having(b"x-amz-security-token", b"another"))


def test_a_declared_hash_of_the_body_is_compared():
    digest = sha256(b"{}").hexdigest()
    assert Signed(headers=[("X-Amz-Content-SHA256", digest)]).verify()
    assert "x-amz-content-sha256" in refusal(Signed(headers=[("X-Amz-Content-SHA256", "0" * 64)]))
    assert "x-amz-content-sha256" in refusal(Signed(headers=[("X-Amz-Content-SHA256", "STREAMING-X")]))


def test_an_unsigned_payload_is_accepted_only_if_that_was_signed():
    signed = Signed(headers=[("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD")])
    signed.body = b"anything"
    assert signed.verify()
    refusal(Signed().having(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"))
    signed = Signed(headers=[("X-Amz-Content-SHA256", sha256(b"{}").hexdigest())])
    refusal(signed.having(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"))


def test_an_unknown_key():
    signed = Signed(key=Key("AKIDOTHER", "secret", "1" * 12))
    assert refusal(signed, UnrecognizedClient) == "The security token included in the request is invalid."


def test_a_wrong_secret():
    signed = Signed(key=KEY._replace(secret="wrong"))
    assert refusal(signed).startswith("The request signature we calculated does not match")


def test_a_key_whose_secret_changes_or_that_is_revoked_is_refused_at_once():
    keys = {KEY.access_key: KEY}
    verifier = Verifier(keys.get, ManualClock(NOON), 300)
    assert Signed().verify(verifier)
    keys[KEY.access_key] = KEY._replace(secret="new")
    refusal(Signed(), verifier=verifier)
    assert Signed(key=keys[KEY.access_key]).verify(verifier)
    keys.clear()
    refusal(Signed(), UnrecognizedClient, verifier=verifier)


def test_a_signature_expires():
    assert Signed().verify(now=NOON + 300)
    assert refusal(Signed(), now=NOON + 301) == (
        "Signature expired: 20261123T234512Z is now earlier than 20261123T234513Z (20261123T235013Z - 5 min.)"
    )


def test_a_signature_may_not_be_of_the_future():
    assert Signed().verify(now=NOON - 300)
    assert refusal(Signed(), now=NOON - 400) == (
        "Signature not yet current: 20261123T234512Z is still later than 20261123T234332Z "
        "(20261123T233832Z + 5 min.)"
    )


def test_the_date_header_serves_where_there_is_no_x_amz_date():
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=NOW):
        signed = Signed(headers=[("Date", "x")])
    assert b";date;" in signed.value(b"authorization")
    assert b"x-amz-date" not in dict(signed.headers)
    assert signed.verify()
    refusal(signed, now=NOON + 301)


def test_a_date_other_than_the_scope_s_is_refused():
    signed = Signed()
    changed = signed.value(b"authorization").replace(b"20261123", b"20261122")
    assert "'20261122' != '20261123'" in refusal(signed.having(b"authorization", changed))


def test_no_authorization():
    refusal(Signed().without(b"authorization"), MissingAuthenticationToken)
    refusal(Signed().having(b"authorization", b""), MissingAuthenticationToken)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (b"AWS4-HMAC-SHA256", b"Bearer", "AWS4-HMAC-SHA256"),
        (b"Credential=", b"Cred=", "'Credential'"),
        (b"SignedHeaders=", b"Signed=", "'SignedHeaders'"),
        (b"Signature=", b"Sig=", "'Signature'"),
        (b"/eu-west-1/", b"/", "5 slash-delimited"),
        (b"aws4_request", b"aws3_request", "'aws4_request'"),
        (b"/20261123/", b"/today/", "YYYYMMDD"),
        (b"AKIDEXAMPLE", b"\xff", "5 slash-delimited"),
    ],
)
def test_a_malformed_authorization_names_what_is_wrong(before, after, named):
    signed = Signed()
    changed = signed.value(b"authorization").replace(before, after)
    assert named in refusal(signed.having(b"authorization", changed), IncompleteSignature)


@pytest.mark.parametrize(
    "date", [b"", b"yesterday", b"20261323T234512Z", b"2026-11-23T23:45:12", b"\xff" * 16]
)
def test_a_malformed_date(date):
    assert "basic format" in refusal(Signed().having(b"x-amz-date", date), IncompleteSignature)


def test_no_date_at_all():
    assert "'X-Amz-Date'" in refusal(Signed().without(b"x-amz-date"), IncompleteSignature)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"authorization", b"x-amz-date", b"x-amz-content-sha256"]))
def test_random_headers_are_refused_as_bad_requests(value, name):
    signed = Signed().having(name, value)
    with pytest.raises((MissingAuthenticationToken, IncompleteSignature, InvalidSignature)):
        signed.verify()


def test_the_cache_of_signing_keys_is_bounded():
    verifier = Verifier(find_key, ManualClock(NOON), 300)
    for i in range(1100):
        signed = Signed(headers=[(f"X-H{i}", "x")])
        signed.verify(verifier)
    assert len(verifier._known) <= 1024


def test_a_failed_request_leaves_nothing_in_the_cache():
    verifier = Verifier(find_key, ManualClock(NOON), 300)
    refusal(Signed(key=KEY._replace(secret="wrong")), verifier=verifier)
    assert not verifier._known
