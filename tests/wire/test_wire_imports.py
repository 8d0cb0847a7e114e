import subprocess
import sys

HEAVY = ("botocore", "numpy", "pyarrow", "scipy", "sqlalchemy", "starlette")


def test_the_server_imports_nothing_heavy():
    code = (
        "import sys, nextpick.wire.http, nextpick.wire.structs, nextpick.wire.paging\n"
        "import nextpick.wire.shapes as s\n"
        "for name in s.SERVICES: s.service(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
