"""The database's own version: made when new, migrated after a backup when old, refused when newer.

A serving worker never imports this module (nor Alembic): the supervisor migrates before it starts them.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from nextpick.durable import sync
from nextpick.store import records

HEAD = "0002"


class NewerDatabase(Exception):
    """The database was written by a newer nextpick."""


def migrate(path: Path) -> None:
    """Bring the database at ``path`` to ``HEAD``.

    Raises NewerDatabase, naming the version found, when it is of a version this code does not know.
    """
    if path.exists() and path.stat().st_size:
        found = _version(path)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise NewerDatabase(
                f"{path} is of version {found}; this nextpick knows versions up to {HEAD}. Install a newer nextpick."
            )
        _back_up(path, path.with_name(f"{path.name}.before-{HEAD}"))
    _upgrade(path)


def _version(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        has = connection.execute("SELECT 1 FROM sqlite_master WHERE name='alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if has else None
    return row[0] if row else None


def _back_up(path: Path, copy: Path) -> None:
    partial = copy.with_name(copy.name + ".partial")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
        source.backup(target)
    sync(partial)
    partial.rename(copy)
    sync(copy.parent)


def _upgrade(path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = records.migration_engine(path)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
    engine.dispose()
    path.chmod(0o600)
