"""A log in memory."""

from typing import Any

from nextpick.store.log import EventRow

GROUP = "group"


class FakeReader:
    """Files of rows in memory; ``polled`` counts how often they were read."""

    def __init__(self) -> None:
        self.files: dict[str, list[EventRow]] = {}
        self.has_changed = False
        self.polled = 0

    def write(
        self, file: str, user: str | None, item: str | None, time: int = 0, session: str = "s", **more: Any
    ) -> None:
        row = EventRow(GROUP, user, session, item, "click", None, time, f"{file}-{len(self.files)}", **more)
        self.files.setdefault(file, []).append(row)
        self.has_changed = True

    def changed(self) -> bool:
        return self.has_changed

    def removed(self) -> bool:
        return False

    def poll(self, since: dict[str, int]) -> list[tuple[str, int, EventRow]]:
        self.polled += 1
        self.has_changed = False
        return [
            (file, seq, row)
            for file, rows in self.files.items()
            for seq, row in enumerate(rows, 1)
            if seq > since.get(file, 0)
        ]

    def rewind(self) -> None:
        self.has_changed = True
