"""Records put into a bucket, as Firehose delivers them: by size or age, under a prefix of the hour.

Source: Firehose developer guide, "Configure Amazon S3 object prefix and suffix". An object's name is made of its first
record, so one that is put again after a kill takes the place of itself; each record ends with a newline.
"""

import time
import uuid
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from nextpick.store.stream import Record
from nextpick.stream.consumers import SHORTEST_BUFFER_S, Surroundings, TryAgain, told

_BUFFER_S, _BUFFER_BYTES = 60.0, 5 << 20


class ArchiveConsumer:
    """Puts records into ``bucket`` under ``prefix`` once ``bufferBytes`` are there or the oldest is ``bufferSeconds``
    old. A bucket that is missing is made."""

    batch = 10_000

    def __init__(self, config: dict[str, Any], around: Surroundings) -> None:
        self._config, self._around = config, around
        self._s3 = around.client("s3")
        self.batch_bytes = config.get("bufferBytes", _BUFFER_BYTES)
        self._age_s = config.get("bufferSeconds", _BUFFER_S)
        self.pause_s = SHORTEST_BUFFER_S

    def take(self, records: Sequence[Record]) -> int:
        """Put one object, or wait for more."""
        size = sum(len(record.data) for record in records)
        is_due = self._around.clock.now() - records[0].arrived >= self._age_s
        if not is_due and size < self.batch_bytes * 0.9 and len(records) < self.batch:
            return 0
        body = b"".join(r.data if r.data.endswith(b"\n") else r.data + b"\n" for r in records)
        try:
            self._put(self._key(records[0]), body)
        except (ClientError, BotoCoreError) as error:
            raise TryAgain(str(error)) from None
        return len(records)

    def _put(self, key: str, body: bytes) -> None:
        bucket = self._config["bucket"]
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)
        except ClientError as error:
            if told(error)[0] != "NoSuchBucket":
                raise
            self._s3.create_bucket(Bucket=bucket)
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _key(self, first: Record) -> str:
        stream, moment = self._around.stream, time.gmtime(first.arrived)
        identity = uuid.uuid5(uuid.NAMESPACE_OID, stream.arn + stream.sequence(first.shard, first.number))
        hour, second = time.strftime("%Y/%m/%d/%H/", moment), time.strftime("%Y-%m-%d-%H-%M-%S", moment)
        return f"{self._config.get('prefix', '')}{hour}{stream.config.name}-1-{second}-{identity}"

    def close(self) -> None:
        """Nothing is held."""
