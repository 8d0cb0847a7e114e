"""The ``credentials`` file: access keys in AWS profile format, and the account each belongs to.

An operator adds keys by adding profiles; the account is the profile's ``nextpick_account`` (12 digits).
"""

import configparser
import os
import secrets
import string
from pathlib import Path
from time import monotonic

from nextpick.durable import sync
from nextpick.names import Key

_TRUSTED_S = 0.25
_ALPHABET = string.ascii_uppercase + "234567"


class KeyFile:
    """Looks keys up, reading the file again when it has changed.

    A key that is known is taken for good for a moment; one that is not is looked for in the file at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._checked_at = 0.0

    def find(self, access_key: str) -> Key | None:
        """Return the key pair of an access key, or None."""
        pair = self._keys.get(access_key)
        now = monotonic()
        if pair is not None and now - self._checked_at < _TRUSTED_S:
            return pair
        self._checked_at = now
        stat = os.stat(self._path)
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._keys = {pair.access_key: pair for pair in read(Path(self._path))}
            self._stamp = stamp
        return self._keys.get(access_key)


def read(path: Path) -> list[Key]:
    """Return the key pairs of a credentials file, the administrator's first.

    Raises ValueError naming the profile in which something is missing.
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    pairs = []
    for profile in parser.sections():
        section = parser[profile]
        try:
            pair = Key(
                section["aws_access_key_id"], section["aws_secret_access_key"], section["nextpick_account"]
            )
        except KeyError as missing:
            raise ValueError(f"{path}: profile {profile} has no {missing.args[0]}") from None
        if not (len(pair.account) == 12 and pair.account.isdigit()):
            raise ValueError(f"{path}: nextpick_account of profile {profile} is not 12 digits")
        pairs.append(pair)
    return pairs


def ensure_administrator(path: Path, account: str) -> Key:
    """Return the first key of the file, making the file with a new administrator key when there is none."""
    if path.exists():
        pairs = read(path)
        if pairs:
            return pairs[0]
    access_key = "AKIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    pair = Key(access_key, secrets.token_urlsafe(30), account)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(
            f"[default]\naws_access_key_id = {pair.access_key}\n"
            f"aws_secret_access_key = {pair.secret}\nnextpick_account = {pair.account}\n"
        )
    sync(partial)
    partial.rename(path)
    sync(path.parent)
    return pair
