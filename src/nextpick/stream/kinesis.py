"""Kinesis on the wire, as far as producers and consumers of records use it.

Source: Kinesis Data Streams API reference.
"""

import base64
import re
import time
from concurrent.futures import Executor
from typing import Any

import msgspec

from nextpick.access.guard import Caller, Guard
from nextpick.clock import Clock
from nextpick.errors import InternalFailure, ResourceInUse, ResourceNotFound, ServiceError
from nextpick.store import stream as store
from nextpick.store.stream import Config, New, Record, Stream, StreamFull, StreamMissing, hash_of, shard_name
from nextpick.stream.registry import MOST_SHARDS, StreamExists, Streams
from nextpick.stream.writer import StreamWriter
from nextpick.wire.dispatch import Call
from nextpick.wire.json_rpc import JsonService

_ITERATOR_LIVES_S = 300
_MOST_RECORDS, _MOST_BYTES = 10_000, 10 << 20
_LARGEST_PUT = 10 << 20
_METHOD = re.compile("(?<=[a-z])(?=[A-Z])")

Request = dict[str, Any]


class InvalidArgument(ServiceError):
    """A specified parameter exceeds its restrictions, is not supported, or can't be used."""


class ExpiredIterator(ServiceError):
    """The provided iterator exceeds the maximum age allowed."""


class ProvisionedThroughputExceeded(ServiceError):
    """The stream takes no more records until its consumers have taken some."""


class _Iterator(msgspec.Struct, array_like=True):
    """Where GetRecords goes on. ``created`` tells a stream from a later one of the same name."""

    account: str
    region: str
    name: str
    created: float
    shard: int
    after: int
    issued: float


OPERATIONS = (
    *("CreateStream", "DeleteStream", "DescribeStream", "DescribeStreamSummary", "ListStreams", "ListShards"),
    *("PutRecord", "PutRecords", "GetShardIterator", "GetRecords"),
)


class Kinesis:
    """The operations, over the streams of a home."""

    def __init__(
        self,
        streams: Streams,
        writer: StreamWriter,
        guard: Guard,
        clock: Clock,
        pool: Executor,
    ) -> None:
        self._streams, self._writer, self._guard, self._clock = streams, writer, guard, clock
        handlers = {name: getattr(self, _METHOD.sub("_", name).lower()) for name in OPERATIONS}
        self.service = JsonService("kinesis", handlers, pool)

    def create_stream(self, call: Call, request: Request) -> None:
        """CreateStream: it is ACTIVE when this returns."""
        name = request["StreamName"]
        self._require(call, _arn(call, name))
        on_demand = request.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND"
        shards = request.get("ShardCount", 4 if on_demand else None)
        if shards is None or shards > MOST_SHARDS:
            raise InvalidArgument(
                f"ShardCount is {shards}; nextpick's streams have 1 to {MOST_SHARDS} shards."
            )
        try:
            self._streams.create(Config(name, call.account, call.region, shards, self._clock.now()))
        except StreamExists:
            raise ResourceInUse(f"Stream {name} under account {call.account} already exists.") from None

    def delete_stream(self, call: Call, request: Request) -> None:
        """DeleteStream: with all its records."""
        name = self._named(call, request)
        try:
            self._streams.delete(call.account, call.region, name)
        except StreamMissing:
            raise _missing(call, name) from None

    def describe_stream(self, call: Call, request: Request) -> Request:
        """DescribeStream."""
        stream = self._stream(call, request)
        shards, more = self._shards(
            stream, request.get("ExclusiveStartShardId"), request.get("Limit", _MOST_RECORDS)
        )
        return {"StreamDescription": {**_described(stream), "Shards": shards, "HasMoreShards": more}}

    def describe_stream_summary(self, call: Call, request: Request) -> Request:
        """DescribeStreamSummary."""
        stream = self._stream(call, request)
        counts = {"OpenShardCount": stream.config.shards, "ConsumerCount": 0}
        return {"StreamDescriptionSummary": {**_described(stream), **counts}}

    def list_streams(self, call: Call, request: Request) -> Request:
        """ListStreams."""
        self._require(call, "*")
        start = request.get("NextToken") or request.get("ExclusiveStartStreamName", "")
        names = [name for name in self._streams.names(call.account, call.region) if name > start]
        page = names[: request.get("Limit", 100)]
        more = len(page) < len(names)
        summaries = [{key: _described(stream)[key] for key in _SUMMARY} for stream in self._all(call, page)]
        answer = {"StreamNames": page, "HasMoreStreams": more, "StreamSummaries": summaries}
        return {**answer, "NextToken": page[-1]} if more else answer

    def list_shards(self, call: Call, request: Request) -> Request:
        """ListShards: all in one page, or as many as MaxResults says."""
        start, named = request.get("ExclusiveStartShardId"), request
        if token := request.get("NextToken"):
            name, _, start = token.partition("/")
            named = {"StreamName": name}
        stream = self._stream(call, named)
        shards, more = self._shards(stream, start, request.get("MaxResults", 1000))
        token = f"{stream.config.name}/{shards[-1]['ShardId']}" if more else None
        return {"Shards": shards, "NextToken": token}

    async def put_record(self, call: Call, request: Request) -> Request:
        """PutRecord: on disk before the answer."""
        name = self._named(call, request)
        ((stream, shard, number),) = await self._put(call, name, [_new(request)])
        return _placed(stream, shard, number) | {"EncryptionType": stream.config.encryption}

    async def put_records(self, call: Call, request: Request) -> Request:
        """PutRecords: all or none of them."""
        name = self._named(call, request)
        entries = request["Records"]
        if sum(len(entry["Data"]) for entry in entries) > _LARGEST_PUT:
            raise InvalidArgument(f"The records are larger than {_LARGEST_PUT} bytes together.")
        placed = await self._put(call, name, [_new(entry) for entry in entries])
        encryption = placed[0][0].config.encryption
        return {
            "FailedRecordCount": 0,
            "Records": [_placed(*place) for place in placed],
            "EncryptionType": encryption,
        }

    def get_shard_iterator(self, call: Call, request: Request) -> Request:
        """GetShardIterator."""
        stream = self._stream(call, request)
        shard = _shard(stream, request["ShardId"])
        kind, sequence = request["ShardIteratorType"], request.get("StartingSequenceNumber")
        if kind == "TRIM_HORIZON":
            after = stream.first(shard) - 1
        elif kind == "LATEST":
            after = stream.last(shard)
        elif kind == "AT_TIMESTAMP":
            if "Timestamp" not in request:
                raise InvalidArgument("AT_TIMESTAMP needs a Timestamp.")
            after = stream.before(shard, request["Timestamp"])
        else:
            number = stream.number(sequence) if sequence else None
            if number is None:
                raise InvalidArgument(
                    f"StartingSequenceNumber {sequence} is not of stream {stream.config.name}."
                )
            after = number - (kind == "AT_SEQUENCE_NUMBER")
        return {"ShardIterator": self._iterator(stream, shard, max(after, 0))}

    def get_records(self, call: Call, request: Request) -> Request:
        """GetRecords."""
        at = _read_iterator(request["ShardIterator"])
        if (at.account, at.region) != (call.account, call.region):
            raise InvalidArgument("The ShardIterator is of another account or region.")
        stream = self._stream(call, {"StreamName": at.name})
        if stream.config.created != at.created:
            raise _missing(call, at.name)
        if self._clock.now() - at.issued > _ITERATOR_LIVES_S:
            issued = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(at.issued))
            raise ExpiredIterator(f"Iterator expired. The iterator was created at time {issued}.")
        try:
            found = stream.read(at.shard, at.after, request.get("Limit", _MOST_RECORDS), _MOST_BYTES)
        except StreamMissing:
            raise _missing(call, at.name) from None
        after = found[-1].number if found else at.after
        behind = 0.0
        if found and after < stream.last(at.shard):
            behind = max(0.0, self._clock.now() - found[-1].arrived)
        return {
            "Records": [_record(stream, record) for record in found],
            "NextShardIterator": self._iterator(stream, at.shard, after),
            "MillisBehindLatest": int(behind * 1000),
        }

    async def _put(self, call: Call, name: str, records: list[New]) -> list[tuple[Stream, int, int]]:
        try:
            return await self._writer.put(call.account, call.region, name, records)
        except StreamMissing:
            raise _missing(call, name) from None
        except StreamFull:
            raise ProvisionedThroughputExceeded(
                f"Stream {name} under account {call.account} is full: its consumers are too far behind."
            ) from None
        except OSError as error:
            raise InternalFailure(f"The record could not be written to disk: {error}.") from None

    def _named(self, call: Call, request: Request) -> str:
        """Return the name of the stream a request is about, which the caller may use."""
        name, arn = request.get("StreamName"), request.get("StreamARN")
        if arn is not None:
            own = _arn(call, arn.rpartition("/")[2])
            if arn != own or (name is not None and not own.endswith(f"/{name}")):
                raise _missing(call, arn)
            name = arn.rpartition("/")[2]
        if name is None:
            raise InvalidArgument("Either StreamName or StreamARN must be given.")
        self._require(call, _arn(call, name))
        return name

    def _stream(self, call: Call, request: Request) -> Stream:
        name = self._named(call, request)
        try:
            return self._streams.get(call.account, call.region, name)
        except StreamMissing:
            raise _missing(call, name) from None

    def _all(self, call: Call, names: list[str]) -> list[Stream]:
        return [
            stream for stream in self._streams.all() if _own(call, stream) and stream.config.name in names
        ]

    def _require(self, call: Call, resource: str) -> None:
        if call.principal:
            self._guard.require(Caller.of(call), f"kinesis:{call.operation}", resource)

    def _shards(self, stream: Stream, start: str | None, limit: int) -> tuple[list[Request], bool]:
        shards = [n for n in range(stream.config.shards) if start is None or shard_name(n) > start]
        told = []
        for n in shards[:limit]:
            first, last = store.hash_range(n, stream.config.shards)
            told.append(
                {
                    "ShardId": shard_name(n),
                    "HashKeyRange": {"StartingHashKey": str(first), "EndingHashKey": str(last)},
                    "SequenceNumberRange": {"StartingSequenceNumber": stream.sequence(n, 0)},
                }
            )
        return told, len(shards) > limit

    def _iterator(self, stream: Stream, shard: int, after: int) -> str:
        config = stream.config
        at = _Iterator(
            config.account, config.region, config.name, config.created, shard, after, self._clock.now()
        )
        return base64.b64encode(msgspec.json.encode(at)).decode()


_SUMMARY = ("StreamName", "StreamARN", "StreamStatus", "StreamModeDetails", "StreamCreationTimestamp")


def _described(stream: Stream) -> Request:
    config = stream.config
    return {
        "StreamName": config.name,
        "StreamARN": stream.arn,
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "RetentionPeriodHours": config.retention_hours,
        "StreamCreationTimestamp": config.created,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": config.encryption,
    }


def _new(entry: Request) -> New:
    key, data, explicit = entry.get("PartitionKey"), entry["Data"], entry.get("ExplicitHashKey")
    if key is None:
        raise InvalidArgument("A record needs a PartitionKey.")
    if len(data) + len(key.encode()) > store.LARGEST_RECORD:
        raise InvalidArgument(f"A record and its partition key may have {store.LARGEST_RECORD} bytes.")
    if explicit is not None and int(explicit) >= store.HASH_SPACE:
        raise InvalidArgument(f"ExplicitHashKey {explicit} is not below 2^128.")
    return New(key, data, int(explicit) if explicit is not None else hash_of(key))


def _placed(stream: Stream, shard: int, number: int) -> Request:
    return {"ShardId": shard_name(shard), "SequenceNumber": stream.sequence(shard, number)}


def _record(stream: Stream, record: Record) -> Request:
    return {
        "SequenceNumber": stream.sequence(record.shard, record.number),
        "ApproximateArrivalTimestamp": record.arrived,
        "Data": base64.b64encode(record.data).decode(),
        "PartitionKey": record.key,
        "EncryptionType": stream.config.encryption,
    }


def _shard(stream: Stream, name: str) -> int:
    for shard in range(stream.config.shards):
        if shard_name(shard) == name:
            return shard
    raise ResourceNotFound(f"Shard {name} in stream {stream.config.name} does not exist.")


def _read_iterator(text: str) -> _Iterator:
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=_Iterator)
    except ValueError:
        raise InvalidArgument("The ShardIterator is not one of GetShardIterator or GetRecords.") from None


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:kinesis:{call.region}:{call.account}:stream/{name}"


def _own(call: Call, stream: Stream) -> bool:
    return (stream.config.account, stream.config.region) == (call.account, call.region)


def _missing(call: Call, name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Stream {name} under account {call.account} not found.")
