"""Objects: what a location names, how keys lie in a directory, what is refused."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.settings import Settings
from nextpick.store.blobs import BlobError, escape, list_objects, unescape


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "buckets" / "b").mkdir(parents=True)
    return Settings(home=tmp_path)


def put(settings, path, content=b"x"):
    file = settings.home / "buckets" / "b" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def keys(location, settings):
    return [found.key for found in list_objects(location, settings)]


def read(found):
    with found.open() as file:
        return file.read()


def test_a_location_is_the_object_of_that_key(settings):
    put(settings, "in/ratings.csv", b"abc")
    put(settings, "in/ratings.csv.old", b"other")
    (found,) = list_objects("s3://b/in/ratings.csv", settings)
    assert (found.key, found.name, found.size, read(found)) == ("in/ratings.csv", "ratings.csv", 3, b"abc")


@pytest.mark.parametrize("location", ["s3://b/in", "s3://b/in/"])
def test_a_prefix_is_its_first_level_sorted_with_or_without_slash(settings, location):
    for name in ("in/b.csv", "in/a.csv", "in/deep/c.csv", "in2/d.csv"):
        put(settings, name)
    put(settings, "in/_SUCCESS", b"")
    assert keys(location, settings) == ["in/a.csv", "in/b.csv"]


def test_a_whole_bucket_is_a_prefix(settings):
    put(settings, "a.csv")
    assert keys("s3://b", settings) == keys("s3://b/", settings) == ["a.csv"]


def test_an_object_wins_over_a_prefix(settings):
    put(settings, "in.d/x.csv")
    put(settings, "in")
    assert keys("s3://b/in", settings) == ["in"]


@pytest.mark.parametrize("location", ["b/in", "s3://", "s3:///in", "http://b/in", "s3://../in", "s3://b\0/x"])
def test_what_is_no_location_is_refused(settings, location):
    with pytest.raises(BlobError, match="Invalid Data location"):
        list_objects(location, settings)


def test_nothing_at_a_location_is_said_so(settings):
    with pytest.raises(BlobError, match=r"There is no object at s3://b/none\.csv"):
        list_objects("s3://b/none.csv", settings)


def test_a_missing_bucket_is_named(settings):
    with pytest.raises(BlobError, match="There is no bucket other"):
        list_objects("s3://other/a.csv", settings)


@pytest.mark.parametrize("key", ["../secret", "in/../../secret", "..", "./secret", "in//../../secret"])
def test_no_key_reaches_outside_its_bucket(settings, key):
    (settings.home / "buckets" / "secret").write_text("x")
    (settings.home / "secret").write_text("x")
    put(settings, "in/a.csv")
    with pytest.raises(BlobError, match="There is no object"):
        list_objects(f"s3://b/{key}", settings)


def test_a_link_is_refused_as_object_as_folder_and_as_bucket(settings):
    buckets = settings.home / "buckets"
    target = put(settings, "real/a.csv")
    (buckets / "b" / "link.csv").symlink_to(target)
    (buckets / "b" / "folder").symlink_to(target.parent)
    (buckets / "linked").symlink_to(buckets / "b")
    for location in (
        "s3://b/link.csv",
        "s3://b/folder/a.csv",
        "s3://b/folder/",
        "s3://linked/real/a.csv",
        "s3://b/",
    ):
        with pytest.raises(BlobError, match="symbolic link"):
            list_objects(location, settings)


def test_a_link_put_in_place_after_the_listing_is_refused(settings):
    file = put(settings, "a.csv")
    (found,) = list_objects("s3://b/a.csv", settings)
    file.unlink()
    file.symlink_to("/etc/hostname")
    with pytest.raises(BlobError, match="symbolic link"):
        found.open()


def test_no_descriptor_is_left_open(settings):
    put(settings, "in/a.csv")
    (settings.home / "buckets" / "b" / "link").symlink_to("/etc")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for location in ("s3://b/in/a.csv", "s3://b/in/", "s3://b/none/x", "s3://none/x", "s3://b/link/x"):
        try:
            for found in list_objects(location, settings):
                found.open().close()
        except BlobError:
            pass
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_object_is_insufficient_privileges(settings):
    put(settings, "a.csv").chmod(0)
    (found,) = list_objects("s3://b/a.csv", settings)
    with pytest.raises(BlobError, match=r"Insufficient privileges for accessing data in Amazon S3\."):
        found.open()


def test_a_refused_open_is_insufficient_privileges(settings, monkeypatch):
    put(settings, "a.csv")
    (found,) = list_objects("s3://b/a.csv", settings)
    real = os.open

    def refuse(path, *args, **kwargs):
        if path == "a.csv":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        BlobError, match=r"Insufficient privileges for accessing data in Amazon S3\. s3://b/a\.csv"
    ):
        found.open()


def test_a_file_whose_name_is_no_escape_is_the_object_of_that_name(settings):
    put(settings, "sale/100%.csv", b"plain")
    assert keys("s3://b/sale/", settings) == ["sale/100%.csv"]
    (found,) = list_objects("s3://b/sale/100%.csv", settings)
    assert read(found) == b"plain"


def test_an_escaped_key_is_found_and_listed_under_its_own_name(settings):
    put(settings, f"in/{escape('a%41')}", b"escaped")
    put(settings, f"in/{escape('..')}", b"dots")
    put(settings, f"in/{escape('')}/x.csv", b"empty")
    assert keys("s3://b/in/", settings) == ["in/..", "in/a%41"]
    assert [read(found) for found in list_objects("s3://b/in/a%41", settings)] == [b"escaped"]
    assert [read(found) for found in list_objects("s3://b/in//x.csv", settings)] == [b"empty"]


SEGMENTS = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs",)), max_size=20)


@given(SEGMENTS)
def test_every_segment_has_a_safe_name_that_stands_for_it_alone(segment):
    name = escape(segment)
    assert unescape(name) == segment
    assert name not in ("", ".", "..")
    assert not any(c == "/" or ord(c) < 32 or ord(c) == 127 for c in name)


OBJECTS = {"in/a.csv": b"USER_ID\nu1\n", "in/b.csv": b"USER_ID\nu2\n", "in/deep/c.csv": b"x"}


class FakeS3(BaseHTTPRequestHandler):
    credentials: list

    def log_message(self, *args):
        pass

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.credentials.append(
            (self.headers.get("Authorization", ""), self.headers.get("x-amz-security-token"))
        )
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if bucket != "b":
            code = "AccessDenied" if bucket == "closed" else "NoSuchBucket"
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self._answer(403 if bucket == "closed" else 404, body)
        elif not key:
            prefix = parse_qs(parts.query).get("prefix", [""])[0]
            found = [k for k in OBJECTS if k.startswith(prefix) and "/" not in k[len(prefix) :]]
            rows = "".join(
                f"<Contents><Key>{k}</Key><Size>{len(OBJECTS[k])}</Size><ETag>e</ETag>"
                "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
                for k in found
            )
            self._answer(
                200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()
            )
        elif key in OBJECTS:
            body = OBJECTS[key]
            status, extra = 200, {}
            if wanted := self.headers.get("Range"):
                start, _, end = wanted.removeprefix("bytes=").partition("-")
                last = min(int(end), len(body) - 1)
                extra = {"Content_Range": f"bytes {start}-{last}/{len(body)}"}
                status, body = 206, body[int(start) : last + 1]
            self._answer(status, body, ETag="e", Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT", **extra)
        else:
            self._answer(404)

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def service(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "FROM-THE-ENVIRONMENT")
    handler = type("Handler", (FakeS3,), {"credentials": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield (
        Settings(
            home=tmp_path,
            s3_endpoint=f"http://127.0.0.1:{server.server_port}",
            s3_access_key_id="OURKEY",
            s3_secret_access_key="secret",
        ),
        handler.credentials,
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_service_lists_and_reads_with_the_keys_of_the_settings_only(service):
    settings, credentials = service
    assert keys("s3://b/in", settings) == keys("s3://b/in/", settings) == ["in/a.csv", "in/b.csv"]
    (found,) = list_objects("s3://b/in/b.csv", settings)
    with found.open() as file:
        assert file.readline() == b"USER_ID\n"
        assert file.read() == b"u2\n"
        file.seek(0)
        assert file.read(4) == b"USER"
    assert credentials
    assert all("Credential=OURKEY/" in header and token is None for header, token in credentials)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("s3://b/none.csv", r"There is no object at s3://b/none\.csv"),
        ("s3://other/a.csv", "There is no bucket other"),
        ("s3://closed/a.csv", r"Insufficient privileges for accessing data in Amazon S3\."),
    ],
)
def test_a_service_that_refuses_is_told_apart(service, location, text):
    settings, _ = service
    with pytest.raises(BlobError, match=text):
        list_objects(location, settings)
