"""Documents: JSON by collection and key, for the state of what stands around the engine.

They live in the database of the records and are read and written inside its transactions.
"""

from typing import Any

import sqlalchemy as sa

from nextpick.store.records import Transaction, metadata

document_table = sa.Table(
    "document",
    metadata,
    sa.Column("collection", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

_c = document_table.c


def get(tx: Transaction, collection: str, key: str) -> dict[str, Any] | None:
    """Return a document, or None."""
    query = sa.select(_c.body).where(_c.collection == collection, _c.key == key)
    row = tx.connection.execute(query).first()
    return row.body if row else None


def put(tx: Transaction, collection: str, key: str, body: dict[str, Any]) -> None:
    """Write a document, in place of one with the same key."""
    delete(tx, collection, key)
    tx.connection.execute(document_table.insert().values(collection=collection, key=key, body=body))


def delete(tx: Transaction, collection: str, key: str) -> bool:
    """Delete a document; tell whether there was one."""
    result = tx.connection.execute(document_table.delete().where(_c.collection == collection, _c.key == key))
    return result.rowcount > 0


def find(tx: Transaction, collection: str, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return keys and documents of a collection whose keys begin with ``prefix``, in order of the keys."""
    query = sa.select(_c.key, _c.body).where(_c.collection == collection).order_by(_c.key)
    if prefix:
        query = query.where(_c.key >= prefix, _c.key < prefix + "\U0010ffff")
    return [(row.key, row.body) for row in tx.connection.execute(query)]


def between(
    tx: Transaction, collection: str, first: str, last: str, limit: int | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Return keys and documents from key ``first`` to before ``last``, in order of the keys."""
    query = sa.select(_c.key, _c.body).where(_c.collection == collection, _c.key >= first, _c.key < last)
    return [(row.key, row.body) for row in tx.connection.execute(query.order_by(_c.key).limit(limit))]


def delete_between(tx: Transaction, collection: str, first: str, last: str) -> None:
    """Delete the documents from key ``first`` to before ``last``."""
    within = (_c.collection == collection, _c.key >= first, _c.key < last)
    tx.connection.execute(document_table.delete().where(*within))
