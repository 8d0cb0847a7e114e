"""What is watched: objects of a bucket under a prefix, with a suffix, and what a new one sets off.

Source of the event: S3 User Guide, "Event message structure".
"""

import json
import re
import sqlite3
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from nextpick.store.buckets import Buckets, NoSuchBucket, Stored
from nextpick.workflow import firing
from nextpick.workflow.database import Database
from nextpick.workflow.timing import time_text

EVERY = ("s3:ObjectCreated:*",)

_PAGE = 1000
_WHOLE = re.compile(r"[0-9a-f]{32}(-\d+)?")


class Watch(NamedTuple):
    """One thing to watch. ``owner`` is what keeps it: "" for a person, or a bucket's notification configuration."""

    name: str
    bucket: str
    prefix: str
    suffix: str
    events: tuple[str, ...]
    action: dict[str, Any]
    owner: str
    created_at: float

    def is_about(self, key: str, event: str) -> bool:
        """Tell whether an event ("ObjectCreated:Put") of a key is to be told."""
        names = {f"s3:{event}", f"s3:{event.partition(':')[0]}:*"}
        return key.startswith(self.prefix) and key.endswith(self.suffix) and bool(names & set(self.events))


class Created(NamedTuple):
    """A content that a key has got."""

    bucket: str
    key: str
    size: int
    etag: str
    modified_at: float
    event: str = "ObjectCreated:Put"
    source_ip: str = "127.0.0.1"
    request_id: str = ""

    @classmethod
    def of(cls, bucket: str, stored: Stored) -> "Created":
        """Return an object as it is found, whoever put it there."""
        return cls(bucket, stored.key, stored.size, stored.meta.etag, stored.modified_at)

    @property
    def identity(self) -> str:
        """What tells this content of the key from another."""
        return f"{self.etag}@{self.modified_at!r}"

    @property
    def is_whole(self) -> bool:
        """Whether it was put in one step, through the S3 door or by a job; a file put by hand may still grow."""
        return _WHOLE.fullmatch(self.etag) is not None


def find(db: sqlite3.Connection, *, bucket: str | None = None, owner: str | None = None) -> list[Watch]:
    """Return watches by name: all, those of a bucket, or those of an owner."""
    query, values = "SELECT * FROM watch WHERE 1", []
    for column, value in (("bucket", bucket), ("owner", owner)):
        if value is not None:
            query, values = f"{query} AND {column} = ?", [*values, value]
    rows = db.execute(f"{query} ORDER BY name", values).fetchall()
    return [
        Watch(**{**row, "events": tuple(json.loads(row["events"])), "action": json.loads(row["action"])})
        for row in rows
    ]


def put(database: Database, buckets: Buckets, watches: list[Watch], owner: str) -> None:
    """Make these the watches of an owner. What lies there already is nothing new to a watch that is."""
    with database.read() as db:
        known = {one.name: one for one in find(db, owner=owner)}
    fresh = [one for one in watches if not _is_same(known.get(one.name), one)]
    lying = {one.name: list(objects(buckets, one)) for one in fresh}
    with database.write() as db:
        for name in known:
            db.execute("DELETE FROM watch WHERE name = ?", (name,))
        for name in {*known, *lying} - {one.name for one in watches if one not in fresh}:
            db.execute("DELETE FROM seen WHERE watch = ?", (name,))
        for one in watches:
            since = one if one in fresh else one._replace(created_at=known[one.name].created_at)
            values = since._replace(events=json.dumps(since.events), action=json.dumps(since.action))  # type: ignore[arg-type]
            db.execute("INSERT INTO watch VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            rows = [(one.name, found.key, found.identity) for found in lying.get(one.name, ())]
            db.executemany("INSERT INTO seen VALUES (?, ?, ?)", rows)


def _is_same(one: Watch | None, other: Watch) -> bool:
    return one is not None and one[1:4] == other[1:4]


def objects(buckets: Buckets, watch: Watch) -> list[Created]:
    """Return the objects that a watch is about."""
    found: list[Created] = []
    after = ""
    while True:
        try:
            page = buckets.objects(watch.bucket, prefix=watch.prefix, after=after, limit=_PAGE)
        except NoSuchBucket:
            return found
        keys = (stored for stored in page.objects if stored.key.endswith(watch.suffix))
        found += [Created.of(watch.bucket, stored) for stored in keys]
        if not page.more:
            return found
        after = page.last


def set_off(
    db: sqlite3.Connection, watch: Watch, what: Created, region: str, account: str, now: float
) -> None:
    """Write the firing of a new content, once, and that it was seen."""
    identity = f"watch/{watch.name}/{what.bucket}/{what.key}/{what.identity}"
    firing.add(
        db, identity, f"trigger/{watch.name}", watch.action, event_of(watch, what, region, account), now
    )


def event_of(watch: Watch, what: Created, region: str, account: str) -> dict[str, Any]:
    """Return the event as S3 tells it to functions; the key is URL-encoded."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": time_text(what.modified_at),
        "eventName": what.event,
        "userIdentity": {"principalId": account},
        "requestParameters": {"sourceIPAddress": what.source_ip},
        "responseElements": {"x-amz-request-id": what.request_id, "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": watch.name,
            "bucket": {
                "name": what.bucket,
                "ownerIdentity": {"principalId": account},
                "arn": f"arn:aws:s3:::{what.bucket}",
            },
            "object": {
                "key": quote_plus(what.key, safe="/"),
                "size": what.size,
                "eTag": what.etag,
                "sequencer": f"{int(what.modified_at * 1e6):018X}",
            },
        },
    }
    return {"Records": [record]}
