"""Objects that jobs write, in a bucket directory and in an S3 service, are there for S3 with what they hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nextpick.settings import Settings
from nextpick.store import blobs
from nextpick.store.keys import ensure_administrator
from nextpick.store.put import put_file
from served import Server

KEY = "out/Aggregated é - 1.csv"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that speaks S3, with a bucket."""
    started = Server(tmp_path_factory.mktemp("s3") / "home", 1)
    started.start()
    started.client("s3").create_bucket(Bucket="out")
    yield started
    started.stop()


def settings_of(server: Server, elsewhere: Path, external: bool) -> Settings:
    """Return settings that write into the server's buckets, by its directory or over HTTP."""
    if not external:
        return Settings(home=server.home)
    pair = ensure_administrator(server.home / "credentials", "000000000000")
    return Settings(
        home=elsewhere,
        s3_endpoint=server.url,
        s3_access_key_id=pair.access_key,
        s3_secret_access_key=pair.secret,
    )


@pytest.mark.parametrize("external", [False, True])
def test_a_written_object_is_read_back_and_replaced(server: Server, tmp_path: Path, external: bool) -> None:
    settings, file = settings_of(server, tmp_path, external), tmp_path / "file"
    for content in (b"first", b"second, longer"):
        file.write_bytes(content)
        put_file(file, "out", KEY, settings, owner="t")
        found = server.client("s3").get_object(Bucket="out", Key=KEY)
        assert found["Body"].read() == content
    with blobs.list_objects(f"s3://out/{KEY}", settings)[0].open() as read:
        assert read.read() == b"second, longer"


@pytest.mark.parametrize("external", [False, True])
def test_a_missing_bucket_is_named(server: Server, tmp_path: Path, external: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    with pytest.raises(blobs.BlobError, match="nowhere"):
        put_file(file, "nowhere", KEY, settings_of(server, tmp_path, external), owner="t")
