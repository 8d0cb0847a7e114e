"""What opening a snapshot may load into a serving process."""

import json
import subprocess
import sys

HEAVY = ("pyarrow", "scipy", "torch", "ray", "alembic")


def test_opening_a_snapshot_imports_neither_pyarrow_nor_scipy():
    code = (
        "import nextpick.data.dataset, nextpick.data.vocabulary, nextpick.data.avro, nextpick.store.blobs, json, sys;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded: list[str] = json.loads(done.stdout)
    assert "numpy" in loaded
    assert not set(HEAVY) & set(loaded)
