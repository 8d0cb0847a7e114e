"""Code as it is deployed: ZIP files, made of a directory and taken apart into one."""

import base64
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

LARGEST_ARCHIVE = 50 * 1024**2  # of Lambda, sent with the call
LARGEST_UNPACKED = 250 * 1024**2  # of Lambda

_LEFT_OUT = frozenset({"__pycache__", ".git", ".venv"})


class BadArchive(Exception):
    """The archive cannot be used; the text says why."""


def unpack(archive: bytes, target: Path) -> None:
    """Take a ZIP file apart below a new directory, which no entry may leave. Raises BadArchive."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            entries = file.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST_UNPACKED:
                raise BadArchive(f"Unzipped size must be smaller than {LARGEST_UNPACKED} bytes")
            target.mkdir(mode=0o700)
            for entry in entries:
                _extract(file, entry, target)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise BadArchive(f"Could not unzip uploaded file: {error}") from None


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    parts = entry.filename.split("/")
    mode = entry.external_attr >> 16
    if entry.filename.startswith("/") or ".." in parts or stat.S_ISLNK(mode):
        raise BadArchive(f"Could not unzip uploaded file: {entry.filename!r} would be outside of it")
    path = target.joinpath(*parts)
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size  # as declared: what inflates to more is no honest archive
    with file.open(entry) as source, path.open("wb") as sink:
        while piece := source.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise BadArchive(f"Could not unzip uploaded file: {entry.filename!r} is longer than declared")
            sink.write(piece)
    if mode & 0o111:
        path.chmod(0o755)


def pack(source: Path) -> bytes:
    """Return the ZIP file of a directory, of one file, or the ZIP file that ``source`` is.

    Equal content gives equal bytes. Raises FileNotFoundError, BadArchive.
    """
    if source.suffix == ".zip" and source.is_file():
        return source.read_bytes()
    if source.is_file():
        files = {source.name: source}
    else:
        if not source.is_dir():
            raise FileNotFoundError(f"{source} is neither a directory nor a file")
        files = {
            path.relative_to(source).as_posix(): path
            for path in source.rglob("*")
            if path.is_file() and not _LEFT_OUT.intersection(path.relative_to(source).parts)
        }
    if not files:
        raise BadArchive(f"{source} has no files")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            file.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def digest(sha256: Any) -> str:
    """Return a SHA-256 as Lambda writes it."""
    return base64.b64encode(sha256.digest()).decode()
