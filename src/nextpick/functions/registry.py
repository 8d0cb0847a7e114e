"""What is deployed: a record for each function, and its code, in ``HOME/functions``.

    records/ACCOUNT/REGION/NAME.json     one function; replaced by a rename
    records/ACCOUNT/REGION/NAME/3.json   a published version of it; never changed
    code/ID/                             one deployment's code, never changed; a record names it
    lock                                 held by whoever changes any of them

A record is written last, so a function has its old code or its new code and nothing between. Code that no record
names is removed by ``sweep``, once no process runs it.
"""

import fcntl
import hashlib
import os
import random
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

LATEST = "$LATEST"

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


class Alias(msgspec.Struct, frozen=True):
    """A name of a version. ``weights`` are the shares of invocations, 0 to 1, that other versions get instead."""

    version: str
    description: str = ""
    weights: dict[str, float] = {}
    revision: str = ""


class Function(msgspec.Struct, frozen=True):
    """One function, or a published version of it.

    ``runtime`` is Lambda's name of it, ``code`` the directory below ``code/``, ``concurrency`` None for no limit of
    its own, ``statements`` those of the resource policies of the function, its versions and aliases, ``revision``
    another after each change, ``published`` the newest version's number, ``other_retries`` by version or alias.
    """

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
    version: str = LATEST
    published: int = 0
    aliases: dict[str, Alias] = {}
    other_retries: dict[str, Retries] = {}

    @property
    def arn(self) -> str:
        """The function's ARN, without a version."""
        return function_arn(self.region, self.account, self.name)

    @property
    def key(self) -> tuple[str, str]:
        """What tells versions of functions apart."""
        return self.arn, self.version

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

# What belongs to a function and not to its versions.
_OF_THE_WHOLE: dict[str, Any] = {
    "concurrency": None,
    "retries": None,
    "statements": [],
    "tags": {},
    "published": 0,
    "aliases": {},
    "other_retries": {},
}


def _drawn(alias: Alias) -> str:
    """Return the version that one invocation of an alias gets."""
    left = random.random()
    for version, weight in alias.weights.items():
        left -= weight
        if left < 0:
            return version
    return alias.version


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

    def resolve(self, function: Function, qualifier: str) -> Function | None:
        """Return what an invocation of a version or an alias runs, with retries and limits as they are now; of an alias
        with weights one version by chance. None where there is no such qualifier."""
        if qualifier in ("", LATEST):
            return function
        alias = function.aliases.get(qualifier)
        found = self.version(function, _drawn(alias) if alias else qualifier)
        if found is None:
            return None
        retries = function.other_retries.get(qualifier)
        return msgspec.structs.replace(found, concurrency=function.concurrency, retries=retries)

    def version(self, function: Function, number: str) -> Function | None:
        """Return a version of a function, None where there is none."""
        if number == LATEST:
            return function
        if not number.isdecimal() or int(number) > function.published:
            return None
        return self._load(self._versions(function) / f"{number}.json")

    def versions(self, function: Function) -> list[Function]:
        """Return the published versions of a function, the oldest first."""
        numbers = sorted(int(path.stem) for path in self._versions(function).glob("*.json"))
        found = [self.version(function, str(number)) for number in numbers]
        return [version for version in found if version is not None]

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
        if not function.published:  # what a killed deletion of another function of the name left
            shutil.rmtree(self._versions(function), ignore_errors=True)
        self._write(self._versions(function).with_name(f"{function.name}.json"), function)
        return function

    def publish(self, function: Function, description: str) -> tuple[Function, Function]:
        """Make a version of what a function is now; return both, on the disk. Call it while ``changing``."""
        number = function.published + 1
        version = msgspec.structs.replace(
            function,
            version=str(number),
            description=description,
            revision=secrets.token_hex(16),
            **_OF_THE_WHOLE,
        )
        self._write(self._versions(function) / f"{number}.json", version)
        return self.put(msgspec.structs.replace(function, published=number)), version

    def delete(self, function: Function) -> None:
        """Remove a function with its versions, or one version. Call it while ``changing``."""
        directory = self._versions(function)
        is_whole = function.version == LATEST
        path = (
            directory.with_name(f"{function.name}.json")
            if is_whole
            else directory / f"{function.version}.json"
        )
        path.unlink(missing_ok=True)
        sync(path.parent)
        if is_whole:
            shutil.rmtree(directory, ignore_errors=True)

    def _versions(self, function: Function) -> Path:
        return self._records / function.account / function.region / function.name

    def _write(self, path: Path, function: Function) -> None:
        make_dirs(path.parent)
        partial = path.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(function))
        sync(partial)
        partial.rename(path)
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
            everything = [each for one in self.list() for each in (one, *self.versions(one))]
            wanted = {function.code for function in everything} | set(running)
            for entry in self._code.iterdir():
                if entry.name not in wanted:
                    shutil.rmtree(entry, ignore_errors=True)
