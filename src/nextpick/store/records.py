"""Records: resources and jobs, in SQLite through SQLAlchemy Core.

One transaction is one unit of meaning: a handler or a job opens ``write()`` once, reads, checks and writes,
and nothing is half-written. ``write()`` takes the database's write lock at its start, so what was checked
still holds when it commits; a commit is on disk when it returns (WAL, synchronous=FULL).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from nextpick.errors import ServiceUnavailable
from nextpick.store.stamp import Stamp
from nextpick.wal import write_ahead

metadata = sa.MetaData()

resource_table = sa.Table(
    "resource",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("arn", sa.String, nullable=False, unique=True),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("parent", sa.String),
    sa.Column("status", sa.String),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("internal", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("deleted_at", sa.Float),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Index("resource_by_kind", "account", "region", "kind", "seq"),
    sa.Index("resource_by_parent", "parent", "kind"),
)

job_table = sa.Table(
    "job",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("arn", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("pid", sa.Integer),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("message", sa.String),
    sa.Column("report", sa.JSON),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("heartbeat_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Index("job_by_state", "state", "seq"),
    sa.Index("job_by_arn", "arn", "seq"),
)

secret_table = sa.Table(
    "secret", metadata, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.LargeBinary)
)


@dataclass(slots=True)
class Resource:
    """One resource. ``body`` holds API members as clients sent them, ``internal`` what only nextpick reads."""

    arn: str
    account: str
    region: str
    kind: str
    name: str
    parent: str | None
    status: str | None
    body: dict[str, Any]
    created_at: float
    updated_at: float
    internal: dict[str, Any] = field(default_factory=dict)
    deleted_at: float | None = None
    revision: int = 1
    seq: int = 0


@dataclass(slots=True)
class Job:
    """One piece of work for a subprocess. ``fence`` grows with each claim: only the newest holder may write."""

    id: str
    account: str
    region: str
    kind: str
    arn: str
    created_at: float
    state: str = "QUEUED"
    fence: int = 0
    attempts: int = 0
    pid: int | None = None
    progress: float = 0.0
    stage: str = ""
    message: str | None = None
    report: dict[str, Any] | None = None
    started_at: float | None = None
    heartbeat_at: float | None = None
    finished_at: float | None = None
    seq: int = 0


class Transaction:
    """Reads and, inside ``Records.write``, writes of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def get(self, arn: str) -> Resource | None:
        """Return the resource of that ARN, deleted ones included, or None."""
        row = self.connection.execute(sa.select(resource_table).where(resource_table.c.arn == arn)).first()
        return Resource(**row._mapping) if row else None

    def find(
        self,
        kind: str,
        *,
        account: str | None = None,
        region: str | None = None,
        parent: str | None = None,
        status: tuple[str, ...] | None = None,
        deleted: bool = False,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Resource]:
        """Return resources of a kind in order of creation; ``after`` is the ``seq`` of the last one seen."""
        c = resource_table.c
        query = sa.select(resource_table).where(c.kind == kind, c.seq > after).order_by(c.seq)
        if account is not None:
            query = query.where(c.account == account, c.region == region)
        if parent is not None:
            query = query.where(c.parent == parent)
        if status is not None:
            query = query.where(c.status.in_(status))
        query = query.where(c.deleted_at.is_not(None) if deleted else c.deleted_at.is_(None))
        return [Resource(**row._mapping) for row in self.connection.execute(query.limit(limit))]

    def insert(self, resource: Resource) -> None:
        """Add a resource; one deleted under the same ARN makes way."""
        self.connection.execute(
            resource_table.delete().where(
                resource_table.c.arn == resource.arn, resource_table.c.deleted_at.is_not(None)
            )
        )
        result = self.connection.execute(resource_table.insert().values(**_columns(resource)))
        resource.seq = result.lastrowid

    def save(self, resource: Resource) -> None:
        """Write a changed resource back under a new revision."""
        resource.revision += 1
        self.connection.execute(
            resource_table.update().where(resource_table.c.seq == resource.seq).values(**_columns(resource))
        )

    def remove(self, resource: Resource) -> None:
        """Remove a resource for good."""
        self.connection.execute(resource_table.delete().where(resource_table.c.seq == resource.seq))

    def add_job(self, job: Job) -> None:
        """Put a job into the queue."""
        self.connection.execute(job_table.insert().values(**_columns(job)))

    def get_job(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        row = self.connection.execute(sa.select(job_table).where(job_table.c.id == job_id)).first()
        return Job(**row._mapping) if row else None

    def find_jobs(self, *, arn: str | None = None, states: tuple[str, ...] | None = None) -> list[Job]:
        """Return jobs of every account in order of creation."""
        return self._jobs(arn, states, sa.select(job_table).order_by(job_table.c.seq))

    def newest_jobs(
        self,
        *,
        account: str,
        region: str,
        arn: str | None = None,
        states: tuple[str, ...] | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[Job]:
        """Return jobs of one account and region, newest first; ``before`` is the last ``seq`` seen."""
        c = job_table.c
        query = sa.select(job_table).where(c.account == account, c.region == region)
        if before is not None:
            query = query.where(c.seq < before)
        return self._jobs(arn, states, query.order_by(c.seq.desc()).limit(limit))

    def _jobs(self, arn: str | None, states: tuple[str, ...] | None, query: sa.Select) -> list[Job]:
        if arn is not None:
            query = query.where(job_table.c.arn == arn)
        if states is not None:
            query = query.where(job_table.c.state.in_(states))
        return [Job(**row._mapping) for row in self.connection.execute(query)]

    def save_job(self, job: Job) -> None:
        """Write a changed job back."""
        self.connection.execute(job_table.update().where(job_table.c.id == job.id).values(**_columns(job)))

    def forget_jobs(self, arn: str) -> None:
        """Remove the jobs of a resource that have ended."""
        c = job_table.c
        ended = c.state.in_(("DONE", "FAILED", "STOPPED"))
        self.connection.execute(job_table.delete().where(c.arn == arn, ended))

    def secret(self, name: str, new: bytes) -> bytes:
        """Return the stored secret of that name, storing ``new`` when there is none."""
        row = self.connection.execute(
            sa.select(secret_table.c.value).where(secret_table.c.name == name)
        ).first()
        if row:
            return row.value
        self.connection.execute(secret_table.insert().values(name=name, value=new))
        return new


class Records:
    """The database of resources and jobs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = sa.create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=24,
            connect_args={"check_same_thread": False, "timeout": 30},
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._stamp = Stamp(path.with_suffix(".stamp"))
        self._stamp.change()  # a process that died between a commit and its stamp was the reason for this opening

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that sees one state of the database."""
        with self._engine.connect().execution_options(reads_only=True) as connection, connection.begin():
            yield Transaction(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open the only writing transaction; commit at the end, roll back on an exception.

        Raises ServiceUnavailable when the database cannot be written: nothing of it is kept then.
        """
        try:
            with self._engine.connect() as connection, connection.begin():
                yield Transaction(connection)
        except OperationalError as error:
            raise ServiceUnavailable(f"The change could not be written to disk: {error.orig}.") from error
        self._stamp.change()

    def version(self) -> bytes:
        """Return what differs from an earlier answer when any process has committed since (no system call)."""
        return self._stamp.value()

    def close(self) -> None:
        """Close every connection."""
        self._stamp.close()
        self._engine.dispose()


def evolve(resource: Resource, **changes: Any) -> Resource:
    """Return a copy of a resource with some fields changed."""
    return replace(resource, **changes)


def _columns(row: Resource | Job) -> dict[str, Any]:
    return {f.name: getattr(row, f.name) for f in fields(row) if f.name != "seq"}


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, so that a write takes its lock at once
    write_ahead(connection)
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: sa.Connection) -> None:
    reads_only = connection.get_execution_options().get("reads_only")
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def migration_engine(path: Path) -> sa.Engine:
    """Return an engine for the migrations, which manage their own transactions."""
    return sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
