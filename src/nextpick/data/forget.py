"""Users taken out of what is on disk: parts lose their rows, snapshots their interactions, columns and ids.

In a snapshot a user's row stays, without anything in it and under a name that nobody has (``NOBODY``), so that rows
of models fit.
"""

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nextpick.data.columns import pc
from nextpick.data.dataset import MANIFEST, NOBODY, context_path, open_snapshot
from nextpick.data.failure import DataFailure
from nextpick.data.part import BUCKET_BITS
from nextpick.data.part import MANIFEST as PART_MANIFEST
from nextpick.data.spill import HASH_BITS, codes_of, compact, key_hashes, one_chunk
from nextpick.data.table import write_parquet
from nextpick.data.vocabulary import Vocabulary
from nextpick.durable import sync_tree

_KEY = "USER_ID"


def count_in_part(part: Path, users: pa.Array) -> int:
    """Return how many rows of a part are of some users. Raises DataFailure when it cannot be read."""
    manifest = _manifest(part)
    if manifest["key"] != _KEY:
        return 0
    return sum(
        pc.sum(pc.is_in(_read(part / file["name"], [_KEY]).column(_KEY), value_set=users)).as_py() or 0
        for file in manifest["files"]
    )


def copy_part(part: Path, out: Path, users: pa.Array) -> None:
    """Write a part without the rows of some users to the new directory ``out``: on disk when this returns.

    Examples of cells that the report of its import may show are left out.
    """
    manifest = _manifest(part)
    out.mkdir(parents=True)
    buckets, files = np.zeros(1 << BUCKET_BITS, np.int64), []
    for file in manifest["files"]:
        table = _read(part / file["name"], None)
        table = one_chunk(table.filter(pc.invert(pc.is_in(table.column(_KEY), value_set=users))))
        if not table.num_rows:
            continue
        table = compact(table)
        keys = table.column(_KEY).chunk(0)
        bucket = (key_hashes(keys.dictionary) >> np.uint64(HASH_BITS - BUCKET_BITS)).astype(np.int64)
        buckets += np.bincount(bucket[codes_of(keys)], minlength=1 << BUCKET_BITS)
        write_parquet(table, out / file["name"])
        files.append({"name": file["name"], "rows": table.num_rows})
    report = {**manifest["report"], "problems": [], "rows_written": sum(file["rows"] for file in files)}
    manifest |= {"files": files, "buckets": buckets.tolist(), "report": report}
    (out / PART_MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
    sync_tree(out)


def rows_in_snapshot(snapshot: Path, users: list[str]) -> np.ndarray:
    """Return the rows, int32, of those users that a snapshot knows. Raises DataFailure when it cannot be read."""
    rows = open_snapshot(snapshot).users.ids.rows(users)
    return rows[rows >= 0]


def empty_rows(snapshot: Path, gone: np.ndarray) -> None:
    """Take users (rows, int32) out of a snapshot that nobody reads yet, in its place."""
    data = open_snapshot(snapshot)
    offsets = np.asarray(data.interactions.offsets)
    is_gone = np.zeros(len(offsets) - 1, bool)
    is_gone[gone] = True
    lengths = np.diff(offsets)
    kept = ~np.repeat(is_gone, lengths)
    for name in ("item", "time", "event_type", "event_value"):
        _replace(
            snapshot / "interactions" / f"{name}.npy", np.asarray(getattr(data.interactions, name))[kept]
        )
    for at, context in enumerate(data.interactions.contexts):
        _replace(context_path(snapshot, at), np.asarray(context.codes)[kept])
    _replace(snapshot / "interactions" / "offsets.npy", _offsets(np.where(is_gone, 0, lengths)))
    names = data.users.ids.ids(np.arange(len(is_gone), dtype=np.int32))
    for row in gone.tolist():
        names[row] = f"{NOBODY}{uuid.uuid4().hex}"
    for at, column in enumerate(data.users.columns):
        stem = snapshot / "users" / f"column{at}"
        if column.numbers is not None:
            _replace(stem.with_suffix(".numbers.npy"), np.where(is_gone, np.float32(np.nan), column.numbers))
        elif column.offsets is not None and column.codes is not None:
            sizes = np.diff(column.offsets)
            _replace(stem.with_suffix(".codes.npy"), np.asarray(column.codes)[~np.repeat(is_gone, sizes)])
            _replace(stem.with_suffix(".offsets.npy"), _offsets(np.where(is_gone, 0, sizes)))
    shutil.rmtree(snapshot / "users.new", ignore_errors=True)
    Vocabulary.build(names).save(snapshot / "users.new")
    for path in (snapshot / "users.new").iterdir():
        path.replace(snapshot / "users" / path.name)
    (snapshot / "users.new").rmdir()
    assert (snapshot / MANIFEST).exists()


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def _replace(path: Path, array: np.ndarray) -> None:
    """Write an array in place of a file that may be mapped: what is mapped stays as it is."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        np.save(file, array)
    new.replace(path)


def _manifest(part: Path) -> dict:
    try:
        return json.loads((part / PART_MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise DataFailure(f"The part {part} cannot be read: {error}.") from None


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataFailure(f"The part {path} cannot be read: {error}.") from None
