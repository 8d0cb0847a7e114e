"""What is deployed: a record for each function, and its code, in ``HOME/functions``.

    records/ACCOUNT/REGION/NAME.json   one function; replaced by a rename
    code/ID/                           one deployment's code, never changed; a record names it
    lock                               held by whoever changes either

A record is written last, so a function has its old code or its new code and nothing between. Code that no record
names is removed by ``sweep``, once no process runs it.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from nextpick.durable import make_dirs, sync, sync_tree
from nextpick.functions import code

_NAME = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?function:)?"
    r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)
_EVERY_RUN = re.compile(
    r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/[0-9-]+/functions/(?P<arn>.+)/invocations"
)


class Retries(msgspec.Struct, frozen=True):
    """What becomes of asynchronous invocations; destinations are ARNs, "" for none."""

    attempts: int = 2
    age_s: int = 21_600
    on_success: str = ""
    on_failure: str = ""
    changed_at: float = 0.0


class Function(msgspec.Struct, frozen=True):
    """One function. ``runtime`` is Lambda's name of it, ``code`` the directory below ``code/``, ``concurrency`` None
    for no limit of its own, ``statements`` those of its resource policy, ``revision`` another after each change."""

    account: str
    region: str
    name: str
    runtime: str
    handler: str
    role: str
    timeout_s: int
    memory_mb: int
    description: str
    environment: dict[str, str]
    layers: list[str]
    code: str
    code_sha256: str
    code_size: int
    changed_at: float
    revision: str
    concurrency: int | None = None
    retries: Retries | None = None
    statements: list[dict[str, Any]] = []
    tags: dict[str, str] = {}
    told: dict[str, Any] = {}

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return function_arn(self.region, self.account, self.name)

    @property
    def is_node(self) -> bool:
        """Whether the handler is JavaScript."""
        return self.runtime.startswith("nodejs")


def function_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a function."""
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


class Reference(msgspec.Struct, frozen=True):
    """A function as it may be named; what a name leaves open is ""."""

    name: str
    account: str = ""
    region: str = ""
    qualifier: str = ""


def parse_name(text: str) -> Reference | None:
    """Return what a name, a partial or whole ARN, or the URI of an API Gateway integration means, None for neither."""
    if found := _EVERY_RUN.fullmatch(text):
        text = found["arn"]
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    return Reference(match["name"], match["account"] or "", match["region"] or "", match["qualifier"] or "")


_DECODE = msgspec.json.Decoder(Function).decode


class Registry:
    """The functions of a home. Any number of processes may use one at once."""

    def __init__(self, home: Path) -> None:
        self.root = home / "functions"
        self._records, self._code = self.root / "records", self.root / "code"
        self._known: dict[Path, tuple[tuple[int, int], Function]] = {}
        self._paths: dict[Reference, Path] = {}

    def get(self, account: str, region: str, name: str) -> Function | None:
        """Return a function, None where there is none."""
        return self._load(self._records / account / region / f"{name}.json")

    def find(self, reference: Reference) -> Function | None:
        """Return the function a reference means. Where account and region have none of that name, the only one of it,
        or the first by account and region: files written for AWS name accounts that are not here."""
        if reference.account and reference.region:
            exact = self.get(reference.account, reference.region, reference.name)
            if exact is not None:
                return exact
        known = self._paths.get(reference)
        if known is not None and (found := self._load(known)) is not None:
            return found
        for path in sorted(self._records.glob(f"*/*/{reference.name}.json")):
            if (found := self._load(path)) is not None:
                self._paths[reference] = path
                return found
        return None

    def list(self, account: str | None = None, region: str | None = None) -> list[Function]:
        """Return all functions, or those of an account and a region, by name."""
        paths = sorted(
            self._records.glob(f"{account or '*'}/{region or '*'}/*.json"), key=lambda path: path.stem
        )
        return [found for path in paths if (found := self._load(path)) is not None]

    def _load(self, path: Path) -> Function | None:
        try:
            told = os.stat(path)
            stamp = (told.st_ino, told.st_mtime_ns)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            function = _DECODE(path.read_bytes())
        except FileNotFoundError:
            self._known.pop(path, None)
            return None
        self._known[path] = stamp, function
        return function

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other changes out meanwhile."""
        make_dirs(self.root)
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def put(self, function: Function) -> Function:
        """Write a function under a new revision; it is on the disk when this returns. Call it while ``changing``."""
        function = msgspec.structs.replace(function, revision=secrets.token_hex(16))
        path = self._records / function.account / function.region / f"{function.name}.json"
        make_dirs(path.parent)
        partial = path.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(function))
        sync(partial)
        partial.rename(path)
        sync(path.parent)
        return function

    def delete(self, function: Function) -> None:
        """Remove a function. Call it while ``changing``."""
        path = self._records / function.account / function.region / f"{function.name}.json"
        path.unlink(missing_ok=True)
        sync(path.parent)

    def unpack(self, archive: bytes) -> tuple[str, str, int]:
        """Put the code of a ZIP file into a directory of its own, on the disk; return its id, the archive's SHA-256 in
        base64 and its size. Call it while ``changing``. Raises code.BadArchive."""
        made = secrets.token_hex(16)
        make_dirs(self._code)
        target = self._code / made
        try:
            code.unpack(archive, target)
            sync_tree(target)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        return made, code.digest(hashlib.sha256(archive)), len(archive)

    def code_dir(self, function: Function) -> Path:
        """Return the directory of a function's code."""
        return self._code / function.code

    def sweep(self, running: Collection[str]) -> None:
        """Remove code that no record names and that is none of ``running``."""
        if not self._code.is_dir():
            return
        with self.changing():
            wanted = {function.code for function in self.list()} | set(running)
            for entry in self._code.iterdir():
                if entry.name not in wanted:
                    shutil.rmtree(entry, ignore_errors=True)
