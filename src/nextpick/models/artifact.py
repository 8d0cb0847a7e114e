"""Arrays on disk, with a manifest that says what each must be: no pickle, the same bytes for the same arrays."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from nextpick.durable import sync

FORMAT = 1
MANIFEST = "manifest.json"
_BLOCK = 1 << 20


class Damaged(Exception):
    """A file is missing, of another size or content than its manifest says, or of an unknown format."""


def save(directory: Path, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> None:
    """Write arrays as .npy files and seal the directory; ``info`` is kept in the manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    seal(directory, info)


def seal(directory: Path, info: Mapping[str, Any]) -> None:
    """Write the manifest of all files under a directory, and see all of it on disk."""
    files = {}
    for path in _files(directory):
        files[str(path.relative_to(directory))] = {"bytes": path.stat().st_size, "blake2b": _digest(path)}
        sync(path)
    with (directory / MANIFEST).open("w") as file:
        json.dump({"format": FORMAT, "files": files, **info}, file, indent=1, sort_keys=True)
    sync(directory / MANIFEST)
    for folder in (directory, *sorted(path for path in directory.rglob("*") if path.is_dir())):
        sync(folder)


def verify(directory: Path) -> dict[str, Any]:
    """Return the manifest of a directory whose files are all as it says. Raises Damaged, naming the file."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"{directory.name}/{MANIFEST} cannot be read: {error}") from None
    if manifest.get("format") != FORMAT:
        raise Damaged(f"{directory.name} is of format {manifest.get('format')}, this nextpick reads {FORMAT}")
    for name, wanted in manifest["files"].items():
        path = directory / name
        if not path.is_file():
            raise Damaged(f"{directory.name}/{name} is missing")
        if path.stat().st_size != wanted["bytes"]:
            raise Damaged(
                f"{directory.name}/{name} has {path.stat().st_size} bytes instead of {wanted['bytes']}"
            )
        if _digest(path) != wanted["blake2b"]:
            raise Damaged(f"{directory.name}/{name} has another checksum than its manifest")
    return manifest


def load(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays, memory-mapped, and the manifest. Raises Damaged."""
    manifest = verify(directory)
    names = [name for name in manifest["files"] if name.endswith(".npy")]
    arrays = {name[:-4]: _map(directory / name) for name in names}
    return arrays, manifest


def _map(path: Path) -> np.ndarray:
    # a plain view: np.memmap's own slicing costs microseconds
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
