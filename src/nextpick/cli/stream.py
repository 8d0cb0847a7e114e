"""``nextpick stream``: event streams, their consumers, their records."""

import base64
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.store.stream import Stream

app = typer.Typer(no_args_is_help=True, help="Event streams: records on disk in order, taken by consumers.")

Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
Name = Annotated[str, typer.Argument(help="Name of the stream.")]


@app.command()
def create(
    name: Name,
    shards: Annotated[int, typer.Option(min=1, help="Shards; records of one partition key are in one.")] = 1,
    retention: Annotated[int, typer.Option(min=1, help="Hours that records are kept at least.")] = 24,
    encryption: Annotated[
        str, typer.Option(help="What answers say as EncryptionType: NONE or KMS.")
    ] = "NONE",
    events: Annotated[bool, typer.Option(help="Whether records become PutEvents.")] = True,
    tracking_id: Annotated[str, typer.Option(help="For records that have no trackingId.")] = "",
    archive: Annotated[str, typer.Option(help="s3://bucket/prefix that records are put under as well.")] = "",
    home: Home = None,
) -> None:
    """Make a stream."""
    import re

    from nextpick.store.stream import Config
    from nextpick.stream.registry import StreamExists, Streams

    settings = _settings(home)
    if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,128}", name):
        _fail(f"{name!r} is no name of a stream: letters, digits, _ . and - are")
    if encryption not in ("NONE", "KMS"):
        _fail(f"--encryption is {encryption}; it must be NONE or KMS")
    consumers: list[dict[str, Any]] = []
    if events:
        consumers.append(
            {"name": "events", "type": "events", **({"trackingId": tracking_id} if tracking_id else {})}
        )
    if archive:
        consumers.append(_archive("archive", archive))
    config = Config(
        name, settings.account, settings.region, shards, time.time(), retention, encryption, tuple(consumers)
    )
    try:
        print(Streams(settings.home).create(config).arn)
    except StreamExists:
        _fail(f"there is a stream {name}")
    except ValueError as error:
        _fail(str(error))


@app.command()
def consume(
    name: Name,
    consumer: Annotated[str, typer.Argument(help="Name of the consumer; one there is is changed.")],
    function: Annotated[str, typer.Option(help="Function that takes the records.")] = "",
    events: Annotated[bool, typer.Option("--events", help="Records become PutEvents.")] = False,
    archive: Annotated[str, typer.Option(help="s3://bucket/prefix that records are put under.")] = "",
    batch_size: Annotated[
        int, typer.Option(min=1, max=10_000, help="Most records a function gets at once.")
    ] = 100,
    attempts: Annotated[int, typer.Option(min=1, help="How often a function is called with a batch.")] = 3,
    bisect: Annotated[bool, typer.Option(help="Whether a batch that fails is halved.")] = True,
    buffer_seconds: Annotated[
        float, typer.Option(min=1, help="Longest time until records are archived.")
    ] = 60.0,
    latest: Annotated[
        bool, typer.Option("--latest", help="Begin with the next record, not the oldest.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the consumer.")] = False,
    home: Home = None,
) -> None:
    """Add, change or remove a consumer of a stream."""
    from nextpick.stream.consumers import check

    stream = _stream(_settings(home), name)
    others = [held for held in stream.config.consumers if held["name"] != consumer]
    if not remove:
        given: dict[str, Any] = {"name": consumer, "type": "events"}
        if function:
            given |= {"type": "function", "function": function, "batchSize": batch_size}
            given |= {"attempts": attempts, "bisect": bisect}
        elif archive:
            given = _archive(consumer, archive) | {"bufferSeconds": buffer_seconds}
        elif not events:
            _fail("say what takes the records: --function, --events or --archive")
        if latest:
            given["after"] = {str(shard): stream.last(shard) for shard in range(stream.config.shards)}
        check(given)
        others.append(given)
    stream.reconfigure(consumers=tuple(others))


@app.command(name="list")
def list_(home: Home = None) -> None:
    """List streams: shards, records, how far their consumers are behind, dead letters."""
    from nextpick.store.stream import letters_path
    from nextpick.stream.checkpoints import Checkpoints, position
    from nextpick.stream.registry import Streams

    for stream in Streams(_settings(home).home).all():
        config = stream.config
        shards = range(config.shards)
        kept = sum(stream.last(shard) - stream.first(shard) + 1 for shard in shards)
        print(f"{config.name}\t{config.region}\t{config.shards} shards\t{kept} records")
        checkpoints = Checkpoints(stream.directory)
        for consumer in config.consumers:
            behind = sum(stream.last(shard) - position(checkpoints, consumer, shard) for shard in shards)
            print(f"  {consumer['name']}\t{consumer['type']}\t{behind} behind")
        checkpoints.close()
        letters = letters_path(stream.directory)
        if letters.exists():
            print(f"  {len(letters.read_text().splitlines())} dead letters in {letters}")


@app.command()
def tail(
    name: Name,
    number: Annotated[int, typer.Option("-n", min=0, help="Records of each shard to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come.")] = False,
    home: Home = None,
) -> None:
    """Print records as JSON lines."""
    stream = _stream(_settings(home), name)
    at = {shard: max(0, stream.last(shard) - number) for shard in range(stream.config.shards)}
    while True:
        seen = stream.stamp.value()
        for shard in at:
            while records := stream.read(shard, at[shard], 1000):
                for record in records:
                    print(json.dumps(_told(stream, record)), flush=True)
                at[shard] = records[-1].number
        if not follow:
            return
        while stream.stamp.value() == seen:
            time.sleep(0.05)


@app.command()
def delete(name: Name, home: Home = None) -> None:
    """Delete a stream with all its records."""
    from nextpick.store.stream import StreamMissing
    from nextpick.stream.registry import Streams

    settings = _settings(home)
    try:
        Streams(settings.home).delete(settings.account, settings.region, name)
    except StreamMissing:
        _fail(f"there is no stream {name}")


def _told(stream: "Stream", record: Any) -> dict[str, Any]:
    from nextpick.store.stream import shard_name

    told = {
        "shardId": shard_name(record.shard),
        "sequenceNumber": stream.sequence(record.shard, record.number),
        "partitionKey": record.key,
        "arrived": round(record.arrived, 3),
    }
    try:
        return told | {"data": record.data.decode()}
    except UnicodeDecodeError:
        return told | {"base64": base64.b64encode(record.data).decode()}


def _archive(name: str, location: str) -> dict[str, Any]:
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    if not location.startswith("s3://") or not bucket:
        _fail(f"{location!r} is no location: s3://bucket/prefix is")
    return {"name": name, "type": "archive", "bucket": bucket, "prefix": prefix}


def _stream(settings: Settings, name: str) -> "Stream":
    from nextpick.store.stream import StreamMissing
    from nextpick.stream.registry import Streams

    try:
        return Streams(settings.home).get(settings.account, settings.region, name)
    except StreamMissing:
        _fail(f"there is no stream {name}")


def _settings(home: Path | None) -> Settings:
    try:
        return Settings.load(home=home)
    except ValueError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)
