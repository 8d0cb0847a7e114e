"""Live tails: what a version's snapshot, or a view, has not folded in, from every worker's log file.

Events by user, records that were put by dataset.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from nextpick.serving.impressions import Answers, Lists, Shown
from nextpick.store.log import EventRow

Positions = dict[str, int]


class Reader(Protocol):
    """What is read from; ``store.log.LogReader`` is one."""

    def changed(self) -> bool: ...

    def poll(self, since: Positions) -> list[tuple[str, int, EventRow]]: ...

    def removed(self) -> bool: ...

    def rewind(self) -> None: ...


class Event(NamedTuple):
    """One event of a tail. ``time`` in seconds since 1970."""

    file: str
    seq: int
    time: int
    item: str
    type: str = ""


class Put(NamedTuple):
    """One record that was put. ``time`` in milliseconds since 1970; ``record`` as JSON (data/records.py)."""

    file: str
    seq: int
    time: int
    id: str
    record: str


class Tails:
    """Events by (dataset group, user or session), in memory, from the oldest position that is in use on.

    A session's events without a user, earlier and later, are the user's as soon as an event of that session names one.
    """

    def __init__(self, reader: Reader, answers: Answers | None = None) -> None:
        self._reader, self.answers = reader, answers
        self._lists: dict[str, Lists] = {}
        self._held: dict[str, Positions] = {}
        self._floor: Positions | None = None
        self._since: Positions = {}
        self._events: dict[tuple[str, str], list[Event]] = {}
        self._puts: dict[str, list[Put]] = {}
        self._n_puts: dict[str, int] = {}
        self._items: dict[str, dict[str, tuple[int, str, int]]] = {}
        self._users: dict[tuple[str, str], str] = {}  # by group and session, whose it is

    def hold(self, name: str, positions: Positions) -> None:
        """See that every event after ``positions`` is known until ``release(name)``; reads again what was not."""
        self._held[name] = positions
        if self._floor is None:
            self._restart(dict(positions))
        elif any(position < self._floor.get(file, 0) for file, position in positions.items()) or any(
            file not in positions and floor for file, floor in self._floor.items()
        ):
            self._restart({file: min(floor, positions.get(file, 0)) for file, floor in self._floor.items()})

    def release(self, names: Iterable[str]) -> None:
        """Forget the events that only these still needed."""
        for name in names:
            self._held.pop(name, None)
        if not self._held:
            return
        files = set.intersection(*(set(held) for held in self._held.values()))
        floor = {file: min(held[file] for held in self._held.values()) for file in files}
        self._floor = floor
        kept = {
            key: [e for e in events if e.seq > floor.get(e.file, 0)] for key, events in self._events.items()
        }
        self._events = {key: events for key, events in kept.items() if events}
        self._users = {
            session: user for session, user in self._users.items() if (session[0], user) in self._events
        }
        for dataset, puts in self._puts.items():
            self._puts[dataset] = [put for put in puts if put.seq > floor.get(put.file, 0)]

    def of(self, group: str, user: str, positions: Positions) -> list[Event]:
        """Return a user's (or session's) events after ``positions``, in order of time, then of arrival."""
        if self._reader.changed():
            self._read()
        events = self._events.get((group, user))
        if not events:
            return []
        newer = [event for event in events if event.seq > positions.get(event.file, 0)]
        newer.sort(key=lambda event: event.time)
        return newer

    def events(self, group: str, positions: Positions) -> Iterator[tuple[str, Event]]:
        """Yield (user or session, event) of every event of a group after ``positions``."""
        if self._reader.changed():
            self._read()
        for (of, user), events in self._events.items():
            if of == group:
                yield from ((user, e) for e in events if e.seq > positions.get(e.file, 0))

    def lists(self, group: str) -> Lists | None:
        """Return what the events of a group that are in memory were chosen from, None where there is nothing."""
        return self._lists.get(group)

    def items(self, group: str, positions: Positions) -> dict[str, int]:
        """Return the items of a group's events after ``positions``, with the time of the first one in memory."""
        held = self._items.get(group, {})
        return {item: first for item, (first, file, seq) in held.items() if seq > positions.get(file, 0)}

    def n_puts(self, dataset: str) -> int:
        """Return a number that grows with each record put into a dataset."""
        return self.met(dataset, "")[0]

    def met(self, dataset: str, group: str) -> tuple[int, int]:
        """Return ``n_puts`` of a dataset, and how many items the events of a group in memory are of: both only grow."""
        if self._reader.changed():
            self._read()
        return self._n_puts.get(dataset, 0), len(self._items.get(group, ()))

    def puts(self, dataset: str, positions: Positions) -> list[Put]:
        """Return the records put into a dataset after ``positions``, in the order they came."""
        found = [put for put in self._puts.get(dataset, []) if put.seq > positions.get(put.file, 0)]
        return sorted(found, key=lambda put: put.time)

    def _restart(self, floor: Positions) -> None:
        self._floor, self._since = floor, dict(floor)
        self._forget()
        self._reader.rewind()
        self._read()

    def _forget(self) -> None:
        self._events, self._puts, self._items, self._users, self._lists = {}, {}, {}, {}, {}

    def _read(self) -> None:
        if self._reader.removed():  # so that what is in memory goes as well
            self._since = dict(self._floor or {})
            self._forget()
            self._reader.rewind()
        for file, seq, row in self._reader.poll(self._since):
            self._since[file] = seq
            if not row.event_type:
                put = Put(file, seq, row.time, row.item or "", row.properties or "{}")
                self._puts.setdefault(row.group, []).append(put)
                self._n_puts[row.group] = self._n_puts.get(row.group, 0) + 1
                continue
            if shown := row.impression or self._answered(row.recommendation_id):
                lists = self._lists.setdefault(row.group, Lists())
                lists.add(Shown(file, seq, shown, row.item))
            session = (row.group, row.session)
            if row.user is not None:
                self._users[session] = row.user
                if session in self._events:
                    self._take_over(row.group, row.session, row.user)
            if row.item is not None:
                key = (row.group, self._users.get(session, row.session))
                self._events.setdefault(key, []).append(Event(file, seq, row.time, row.item, row.event_type))
                met = self._items.setdefault(row.group, {})
                met[row.item] = (met[row.item][0] if row.item in met else row.time, file, seq)

    def _answered(self, recommendation_id: str | None) -> tuple[str, ...]:
        if recommendation_id is None or self.answers is None:
            return ()
        return self.answers.get(recommendation_id)

    def _take_over(self, group: str, session: str, user: str) -> None:
        if session != user:
            self._events.setdefault((group, user), []).extend(self._events.pop((group, session)))
