"""The database: transactions, order, and its version."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nextpick.errors import ServiceUnavailable
from nextpick.store import (
    documents,  # noqa: F401  its table is part of the metadata
    migrate,
)
from nextpick.store.records import Job, Records, Resource, metadata, migration_engine


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    migrate.migrate(tmp_path / "nextpick.db")
    made = Records(tmp_path / "nextpick.db")
    yield made
    made.close()


def resource(arn: str, **more: object) -> Resource:
    given = {"account": "1", "region": "r", "kind": "schema", "name": arn, "parent": None, "status": None}
    return Resource(**{"arn": arn, **given, "body": {}, "created_at": 1.0, "updated_at": 1.0, **more})


def test_a_failed_transaction_leaves_nothing(records: Records) -> None:
    def fail_halfway() -> None:
        with records.write() as tx:
            tx.insert(resource("a"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    with records.read() as tx:
        assert tx.get("a") is None


def test_a_full_disk_is_said_so_and_keeps_nothing(records: Records) -> None:
    def fill() -> None:
        with records.write() as tx:
            tx.connection.exec_driver_sql("PRAGMA max_page_count = 1")
            for n in range(200):
                tx.insert(resource(f"a{n}", body={"text": "x" * 1000}))

    with pytest.raises(ServiceUnavailable, match="could not be written to disk: database or disk is full"):
        fill()
    with records.write() as tx:
        tx.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        tx.insert(resource("b"))
    with records.read() as tx:
        assert [r.arn for r in tx.find("schema")] == ["b"]


def test_what_was_read_in_a_write_still_holds_when_it_commits(records: Records) -> None:
    with records.write() as tx:
        tx.insert(resource("counter", body={"n": 0}))

    def count() -> None:
        for _ in range(20):
            with records.write() as tx:
                found = tx.get("counter")
                assert found is not None
                found.body = {"n": found.body["n"] + 1}
                tx.save(found)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with records.read() as tx:
        counter = tx.get("counter")
    assert counter is not None
    assert (counter.body["n"], counter.revision) == (80, 81)


def test_resources_come_in_order_of_creation_and_by_page(records: Records) -> None:
    with records.write() as tx:
        for name in "cab":
            tx.insert(resource(name))
    with records.read() as tx:
        first = tx.find("schema", limit=2)
        rest = tx.find("schema", after=first[-1].seq)
    assert [r.arn for r in first + rest] == ["c", "a", "b"]


def test_the_version_changes_with_each_commit(records: Records) -> None:
    before = records.version()
    assert records.version() == before
    with records.write() as tx:
        tx.insert(resource("a"))
    assert records.version() != before


def test_jobs_are_found_by_state_and_newest_first(records: Records) -> None:
    with records.write() as tx:
        for name in ("one", "two"):
            tx.add_job(Job(id=name, account="1", region="r", kind="train", arn="a", created_at=1.0))
        job = tx.get_job("one")
        assert job is not None
        job.state = "DONE"
        tx.save_job(job)
    with records.read() as tx:
        assert [j.id for j in tx.find_jobs(states=("QUEUED",))] == ["two"]
        assert [j.id for j in tx.newest_jobs(account="1", region="r", limit=9)] == ["two", "one"]


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate.migrate(tmp_path / "nextpick.db")
    engine = migration_engine(tmp_path / "nextpick.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_newer_database_is_refused_by_its_version(tmp_path: Path) -> None:
    path = tmp_path / "nextpick.db"
    migrate.migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(migrate.NewerDatabase, match="9999"):
        migrate.migrate(path)


def test_an_older_database_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "nextpick.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("CREATE TABLE precious (x)")
        connection.commit()
    migrate.migrate(path)
    with closing(sqlite3.connect(tmp_path / f"nextpick.db.before-{migrate.HEAD}")) as copy:
        names = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
    assert names == {"alembic_version", "precious"}
