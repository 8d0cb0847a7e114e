"""Access keys: the administrators' in the credentials file, users' and role sessions' in the records."""

from nextpick.access import directory
from nextpick.names import Key
from nextpick.store.keys import KeyFile
from nextpick.store.records import Records

_MOST = 10_000


class Keys:
    """Looks keys up; those in the records are kept until the records change."""

    def __init__(self, file: KeyFile, records: Records) -> None:
        self._file, self._records = file, records
        self._version = b""
        self._found: dict[str, Key | None] = {}

    def find(self, access_key: str) -> Key | None:
        """Return the key pair of an access key, or None."""
        key = self._file.find(access_key)
        if key is not None:
            return key
        version = self._records.version()
        if version != self._version or len(self._found) > _MOST:
            self._found, self._version = {}, version
        if access_key not in self._found:
            with self._records.read() as tx:
                self._found[access_key] = directory.find_key(tx, access_key)
        return self._found[access_key]
