"""What is deployed: APIs, deployments, stages, keys, usage plans and their counts, in ``HOME/gateway/gateway.db``.

A deployment is a document as it was and never changes; a stage points at one. A change sets the stamp beside the
database, so that every worker sees it at its next request.
"""

import json
import secrets
import sqlite3
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.durable import make_dirs
from nextpick.store.stamp import Stamp
from nextpick.wal import write_ahead

_SCHEMA = """
CREATE TABLE IF NOT EXISTS api (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, account TEXT NOT NULL,
    region TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deployment (id TEXT PRIMARY KEY, api TEXT NOT NULL REFERENCES api ON DELETE CASCADE,
    created REAL NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stage (api TEXT NOT NULL REFERENCES api ON DELETE CASCADE, name TEXT NOT NULL,
    deployment TEXT NOT NULL REFERENCES deployment, variables TEXT NOT NULL, settings TEXT NOT NULL,
    updated REAL NOT NULL, PRIMARY KEY (api, name));
CREATE TABLE IF NOT EXISTS plan (name TEXT PRIMARY KEY, rate REAL, burst INTEGER, quota INTEGER, period TEXT);
CREATE TABLE IF NOT EXISTS plan_stage (plan TEXT NOT NULL REFERENCES plan ON DELETE CASCADE, api TEXT NOT NULL,
    stage TEXT NOT NULL, PRIMARY KEY (plan, api, stage));
CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, value TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS plan_key (plan TEXT NOT NULL REFERENCES plan ON DELETE CASCADE,
    key TEXT NOT NULL REFERENCES key ON DELETE CASCADE, PRIMARY KEY (plan, key));
CREATE TABLE IF NOT EXISTS usage (plan TEXT NOT NULL, key TEXT NOT NULL, period TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (plan, key, period)) WITHOUT ROWID;
"""
_LETTERS = string.ascii_lowercase + string.digits


class Unknown(LookupError):
    """There is no such API, stage, plan or key; says which."""


class Taken(ValueError):
    """There is one of that name."""


class StageRow(NamedTuple):
    """A stage as it is kept. ``settings`` as stage.py reads them."""

    api: str
    api_name: str
    name: str
    account: str
    region: str
    deployment: str
    variables: dict[str, str]
    settings: dict[str, Any]
    updated: float


class Plan(NamedTuple):
    """A usage plan: requests a second, how many at once, requests a DAY, WEEK or MONTH; None for no limit."""

    name: str
    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    period: str | None = None


class Holder(NamedTuple):
    """An API key, and the plan that lets it use a stage."""

    id: str
    name: str
    plan: Plan | None
    enabled: bool


def exists(home: Path) -> bool:
    """Tell whether anything was ever deployed."""
    return (home / "gateway" / "gateway.db").exists()


class GatewayStore:
    """The database of a home. Each call is a transaction, on disk when it returns. For one thread at a time."""

    def __init__(self, home: Path) -> None:
        make_dirs(home / "gateway")
        path = home / "gateway" / "gateway.db"
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        write_ahead(self._db)
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(_SCHEMA)
        self._stamp = Stamp(path.with_suffix(".stamp"))

    def version(self) -> bytes:
        """Return what differs from an earlier answer when anything was changed since."""
        return self._stamp.value()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._stamp.change()

    def deploy(
        self,
        name: str,
        stage: str,
        document: dict[str, Any],
        *,
        account: str,
        region: str,
        variables: dict[str, str],
        settings: dict[str, Any],
        now: float,
    ) -> str:
        """Deploy a document to a stage of the API of that name, which is made if need be; return the API's id."""
        with self._write() as db:
            row = db.execute("SELECT id FROM api WHERE name = ?", (name,)).fetchone()
            api = row[0] if row else _id(10)
            if row is None:
                db.execute("INSERT INTO api VALUES (?, ?, ?, ?, ?)", (api, name, account, region, now))
            deployment = _id(6)
            text = json.dumps(document)
            db.execute("INSERT INTO deployment VALUES (?, ?, ?, ?)", (deployment, api, now, text))
            told = (api, stage, deployment, json.dumps(variables), json.dumps(settings), now)
            db.execute("INSERT OR REPLACE INTO stage VALUES (?, ?, ?, ?, ?, ?)", told)
        return api

    def point(self, api: str, stage: str, deployment: str, now: float) -> None:
        """Let a stage show another deployment of its API. Raises Unknown."""
        api = self.api(api)
        with self._write() as db:
            known = db.execute(
                "SELECT 1 FROM deployment WHERE id = ? AND api = ?", (deployment, api)
            ).fetchone()
            if known is None:
                raise Unknown(f"API {api} has no deployment {deployment}.")
            query = "UPDATE stage SET deployment = ?, updated = ? WHERE api = ? AND name = ?"
            if not db.execute(query, (deployment, now, api, stage)).rowcount:
                raise Unknown(f"API {api} has no stage {stage}.")

    def flush(self, api: str, stage: str, now: float) -> None:
        """Have every worker read a stage anew, without what it kept of answers. Raises Unknown."""
        api = self.api(api)
        with self._write() as db:
            query = "UPDATE stage SET updated = ? WHERE api = ? AND name = ?"
            if not db.execute(query, (now, api, stage)).rowcount:
                raise Unknown(f"API {api} has no stage {stage}.")

    def api(self, named: str) -> str:
        """Return the id of an API by its id or name. Raises Unknown."""
        row = self._db.execute("SELECT id FROM api WHERE id = ? OR name = ?", (named, named)).fetchone()
        if row is None:
            raise Unknown(f"There is no API {named}.")
        return row[0]

    def stages(self, api: str | None = None, name: str | None = None) -> list[StageRow]:
        """Return stages, by API and name."""
        query = (
            "SELECT api.id, api.name, stage.name, account, region, deployment, variables, settings, updated "
            "FROM stage JOIN api ON api.id = stage.api "
            "WHERE (? IS NULL OR api.id = ?) AND (? IS NULL OR stage.name = ?) ORDER BY api.name, stage.name"
        )
        return [
            StageRow._make((*row[:6], json.loads(row[6]), json.loads(row[7]), row[8]))
            for row in self._db.execute(query, (api, api, name, name))
        ]

    def deployments(self, api: str) -> list[tuple[str, float]]:
        """Return ids and times of an API's deployments, the newest first."""
        query = "SELECT id, created FROM deployment WHERE api = ? ORDER BY created DESC, rowid DESC"
        return list(self._db.execute(query, (api,)))

    def document(self, deployment: str) -> dict[str, Any]:
        """Return the document of a deployment."""
        row = self._db.execute("SELECT document FROM deployment WHERE id = ?", (deployment,)).fetchone()
        return json.loads(row[0])

    def delete(self, named: str, stage: str | None = None) -> None:
        """Delete a stage, or an API with all there is of it. Raises Unknown."""
        api = self.api(named)
        with self._write() as db:
            where, values = ("api = ? AND name = ?", (api, stage)) if stage else ("api = ?", (api,))
            if not db.execute(f"DELETE FROM stage WHERE {where}", values).rowcount and stage:
                raise Unknown(f"API {named} has no stage {stage}.")
            where = where.replace("name", "stage")
            db.execute(f"DELETE FROM plan_stage WHERE {where}", values)
            if stage is None:
                db.execute("DELETE FROM deployment WHERE api = ?", (api,))
                db.execute("DELETE FROM api WHERE id = ?", (api,))

    def add_plan(self, plan: Plan, stages: list[tuple[str, str]]) -> None:
        """Make a usage plan, or change it, for stages (API, stage). Raises Unknown."""
        found = [(self.api(api), stage) for api, stage in stages]
        with self._write() as db:
            db.execute(
                "INSERT INTO plan VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET rate = excluded.rate, "
                "burst = excluded.burst, quota = excluded.quota, period = excluded.period",
                plan,
            )
            db.executemany(
                "INSERT OR IGNORE INTO plan_stage VALUES (?, ?, ?)", [(plan.name, *s) for s in found]
            )

    def add_key(self, name: str, value: str | None, plans: list[str], now: float) -> str:
        """Make an API key of usage plans and return its value. Raises Taken, Unknown."""
        value = value or "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40))
        with self._write() as db:
            key = _id(10)
            try:
                db.execute("INSERT INTO key VALUES (?, ?, ?, 1, ?)", (key, name, value, now))
            except sqlite3.IntegrityError:
                raise Taken(f"There is an API key {name}, or one of that value.") from None
            for plan in plans:
                if db.execute("SELECT 1 FROM plan WHERE name = ?", (plan,)).fetchone() is None:
                    raise Unknown(f"There is no usage plan {plan}.")
                db.execute("INSERT INTO plan_key VALUES (?, ?)", (plan, key))
        return value

    def remove(self, table: str, name: str) -> None:
        """Delete the ``plan`` or ``key`` of a name. Raises Unknown."""
        with self._write() as db:
            if not db.execute(f"DELETE FROM {table} WHERE name = ?", (name,)).rowcount:
                raise Unknown(f"There is no {table} {name}.")

    def plans(self) -> list[tuple[Plan, list[str], list[str]]]:
        """Return each usage plan with its stages (``api/stage``) and the names of its keys."""
        found = []
        for row in self._db.execute("SELECT * FROM plan ORDER BY name").fetchall():
            stages = self._db.execute("SELECT api || '/' || stage FROM plan_stage WHERE plan = ?", row[:1])
            of_plan = "SELECT key.name FROM key JOIN plan_key ON key.id = plan_key.key WHERE plan = ?"
            keys = self._db.execute(of_plan, row[:1])
            found.append((Plan(*row), [s for (s,) in stages.fetchall()], [k for (k,) in keys.fetchall()]))
        return found

    def api_keys(self) -> list[tuple[str, str]]:
        """Return names and values of the API keys."""
        return list(self._db.execute("SELECT name, value FROM key ORDER BY name"))

    def holder(self, value: str, api: str, stage: str) -> Holder | None:
        """Return the key of a value, with its plan for a stage."""
        row = self._db.execute("SELECT id, name, enabled FROM key WHERE value = ?", (value,)).fetchone()
        if row is None:
            return None
        query = (
            "SELECT plan.* FROM plan JOIN plan_key ON plan_key.plan = plan.name "
            "JOIN plan_stage ON plan_stage.plan = plan.name WHERE key = ? AND api = ? AND stage = ?"
        )
        plan = self._db.execute(query, (row[0], api, stage)).fetchone()
        return Holder(row[0], row[1], Plan(*plan) if plan else None, bool(row[2]))

    def reserve(self, plan: Plan, key: str, period: str, wanted: int) -> int:
        """Count up to ``wanted`` requests of a plan's quota in a period as used; return how many there were left."""
        assert plan.quota is not None
        self._db.execute("BEGIN IMMEDIATE")
        try:
            row = self._db.execute(
                "SELECT count FROM usage WHERE plan = ? AND key = ? AND period = ?", (plan.name, key, period)
            ).fetchone()
            used = row[0] if row else 0
            taken = max(0, min(wanted, plan.quota - used))
            if taken:
                self._db.execute(
                    "INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)", (plan.name, key, period, used + taken)
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return taken

    def give_back(self, plan: str, key: str, period: str, count: int) -> None:
        """Undo the counting of requests that were not made."""
        query = "UPDATE usage SET count = max(0, count - ?) WHERE plan = ? AND key = ? AND period = ?"
        self._db.execute(query, (count, plan, key, period))

    def usage(self) -> list[tuple[str, str, str, int]]:
        """Return (plan, key's name, period, requests), the newest period first."""
        query = (
            "SELECT plan, key.name, period, count FROM usage JOIN key ON key.id = usage.key "
            "ORDER BY period DESC, plan, key.name"
        )
        return list(self._db.execute(query))

    def close(self) -> None:
        """Close the database."""
        self._db.close()
        self._stamp.close()


def _id(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
