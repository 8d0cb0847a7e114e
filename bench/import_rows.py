"""Importing a CSV: nextpick's import_part beside a bare pyarrow script, in the same run on the same file.

    python bench/import_rows.py [ROWS] [--keep FILE]

The bare script does the least that ends in the same columns: read with dictionary-encoded ids, argsort
by (user, time), take, zstd Parquet. Each runs in a process of its own, in turns, for its wall time, CPU time
and peak resident memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "EVENT_VALUE", "type": ["null", "float"]},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}


def generate(path: Path, rows: int) -> None:
    """Write interactions of rows / 62 users with items of a long tail; one value in ten is empty."""
    rng = np.random.default_rng(1)
    users, items = max(rows // 62, 100), max(min(rows // 300, 70_000), 50)
    with path.open("w") as file:
        file.write("USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP\n")
        for start in range(0, rows, 500_000):
            n = min(500_000, rows - start)
            user = rng.integers(0, users, n)
            item = np.minimum((rng.pareto(0.7, n) * items / 200).astype(np.int64), items - 1)
            event = rng.integers(0, 3, n)
            value = rng.integers(1, 11, n)
            when = rng.integers(1_300_000_000, 1_700_000_000, n)
            names = ("watch", "click", "view")
            file.writelines(
                f"u{u:07d},i{i:06d},{names[e]},{v / 2 if v > 1 else ''},{t}\n"
                for u, i, e, v, t in zip(
                    user.tolist(), item.tolist(), event.tolist(), value.tolist(), when.tolist(), strict=True
                )
            )


def bare(path: Path, out: Path) -> int:
    """Read, dictionary-encode, argsort, write: pyarrow and numpy with nothing checked."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    repeated = pa.dictionary(pa.int32(), pa.string())
    types = {"USER_ID": repeated, "ITEM_ID": repeated, "EVENT_TYPE": repeated}
    table = pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(column_types=types))
    table = table.unify_dictionaries().combine_chunks()
    user = table["USER_ID"].chunk(0).indices.to_numpy().astype(np.int64)
    order = np.argsort(user << 32 | table["TIMESTAMP"].chunk(0).to_numpy(), kind="stable")
    table = table.take(pa.array(order))
    pa.parquet.write_table(table, out / "bare.parquet", compression="zstd")
    return table.num_rows


def ours(path: Path, out: Path) -> int:
    """Import the same file with nextpick."""
    from functools import partial

    from nextpick.data.avro import parse_schema
    from nextpick.data.run import Run
    from nextpick.data.table import import_part
    from nextpick.settings import Settings
    from nextpick.store.blobs import Object

    schema = parse_schema(json.dumps(SCHEMA))
    objects = [Object(path.name, path.stat().st_size, partial(path.open, "rb"))]
    run = Run(lambda fraction, stage: None, lambda: False, np.random.default_rng(0))
    return import_part(objects, schema, "INTERACTIONS", out / "part", Settings(), run).rows_written


def _measure(engine: str, path: Path) -> dict[str, float]:
    """Run an engine in a process of its own."""
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        done = subprocess.run(
            [sys.executable, __file__, "--engine", engine, "--file", str(path), "--out", out],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return json.loads(done.stdout)


def _engine(name: str, path: Path, out: Path) -> None:
    """Print one engine's figures; files are flushed to disk by both."""
    started = time.perf_counter()
    rows = {"bare": bare, "ours": ours}[name](path, out)
    os.sync()
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KiB here
    size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
    figures = {
        "rows": rows,
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_gb": used.ru_maxrss * scale / 1e9,
        "size_mb": size / 1e6,
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=int, nargs="?", default=2_500_000)
    parser.add_argument("--keep", type=Path, help="write the CSV here and leave it, or use it when it exists")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.engine:
        _engine(given.engine, given.file, given.out)
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = given.keep or Path(scratch) / "interactions.csv"
        if not path.exists():
            generate(path, given.rows)
        print(f"{given.rows:,} rows, {path.stat().st_size / 1e9:.3f} GB of CSV")
        ratios = []
        for _ in range(given.rounds):
            figures = {engine: _measure(engine, path) for engine in ("bare", "ours")}
            for engine, found in figures.items():
                print(
                    f"{engine:>5}  {found['wall_s']:7.2f} s wall  {found['cpu_s']:7.2f} s CPU  "
                    f"{found['peak_gb']:5.2f} GB peak  {found['size_mb']:7.1f} MB Parquet  {found['rows']:,} rows"
                )
            ratios.append(figures["ours"]["wall_s"] / figures["bare"]["wall_s"])
            print(f"ratio  {ratios[-1]:.2f}")


if __name__ == "__main__":
    main()
