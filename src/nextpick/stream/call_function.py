"""A function as a consumer: it gets records in batches, as Lambda's event source mapping gives those of Kinesis.

Source: Lambda developer guide, "Process Amazon Kinesis Data Streams records with Lambda".
"""

import base64
import json
import time
from collections.abc import Sequence
from typing import Any

from nextpick.store.stream import Record, Stream, shard_name
from nextpick.stream.consumers import Surroundings, TryAgain

_BATCH, _ATTEMPTS = 100, 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class FunctionConsumer:
    """Calls a function until it takes a batch, or ``attempts`` times; then, with ``bisect``, halves of the batch, so
    that one bad record becomes a dead letter alone."""

    batch_bytes, pause_s = 4 << 20, None

    def __init__(self, config: dict[str, Any], around: Surroundings) -> None:
        self._config, self._around = config, around
        self.batch = config.get("batchSize", _BATCH)
        self._attempts, self._bisects = config.get("attempts", _ATTEMPTS), config.get("bisect", True)

    def take(self, records: Sequence[Record]) -> int:
        """Give the records to the function. Raises TryAgain when there is no function, or it is too busy."""
        reason, done = "", 0
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
            reason, taken = self._call(records[done:])
            done += taken
            if done == len(records):
                return done
        if self._bisects and len(records) - done > 1:
            middle = done + (len(records) - done) // 2
            self.take(records[done:middle])
            self.take(records[middle:])
        else:
            left = records[done:]
            self._around.letters.write(self._config["name"], left, reason, self._around.clock.now())
        return len(records)

    def _call(self, records: Sequence[Record]) -> tuple[str, int]:
        """Return what went wrong, and how many of the records were taken."""
        from nextpick.functions import client

        event = {"Records": [_told(self._around.stream, record) for record in records]}
        name = self._config["function"]
        try:
            done = client.invoke(self._around.home, name, json.dumps(event).encode(), timeout_s=None)
        except (client.FunctionError, OSError) as error:
            raise TryAgain(f"{name}: {type(error).__name__} {error}") from None
        text = done.payload.decode(errors="replace")
        if done.error is not None:
            return f"{name} failed: {text}", 0
        return f"{name} reported: {text}", self._taken(records, text)

    def _taken(self, records: Sequence[Record], answer: str) -> int:
        """Return how many records a function took: all up to the first it names in ``batchItemFailures``."""
        try:
            failures = json.loads(answer)["batchItemFailures"]
            named = {failure["itemIdentifier"] for failure in failures}
        except (ValueError, TypeError, KeyError):
            return len(records)
        numbers = [self._around.stream.sequence(record.shard, record.number) for record in records]
        return next((i for i, number in enumerate(numbers) if number in named), len(records))

    def close(self) -> None:
        """Nothing is held."""


def _told(stream: Stream, record: Record) -> dict[str, Any]:
    sequence = stream.sequence(record.shard, record.number)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.key,
            "sequenceNumber": sequence,
            "data": base64.b64encode(record.data).decode(),
            "approximateArrivalTimestamp": round(record.arrived, 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_name(record.shard)}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{stream.config.account}:role/nextpick-stream",
        "awsRegion": stream.config.region,
        "eventSourceARN": stream.arn,
    }
