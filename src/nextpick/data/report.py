"""What an import found: counts, and the problems with examples."""

from dataclasses import dataclass, field

import msgspec

from nextpick.data.failure import DataFailure

MOST_EXAMPLES = 5
_MOST_SHOWN = 100  # characters of a value in a message


class Example(msgspec.Struct, frozen=True):
    """Where a problem was met: file, line (of Parquet: row), and the cell's text."""

    file: str
    line: int
    value: str


class Problem(msgspec.Struct, frozen=True):
    """A kind of problem in a column, how many cells or rows have it, and the first of them."""

    kind: str
    column: str
    count: int
    examples: tuple[Example, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """What became of the rows of an import.

    duplicates: rows left out because the same event was there already, or a later record of the id;
    latest_timestamp: newest event, seconds since 1970, None for data without events;  seconds: time it took.
    """

    rows_read: int
    rows_written: int
    rows_dropped: int
    cells_nulled: int
    duplicates: int
    problems: tuple[Problem, ...]
    latest_timestamp: int | None
    seconds: float


@dataclass
class Ledger:
    """Counts problems while rows are read, and fails the import when there are too many.

    share: rows with problems that are tolerated, of all rows.
    """

    share: float
    rows: int = 0
    bad_rows: int = 0
    dropped: int = 0
    nulled: int = 0
    _problems: dict[tuple[str, str], tuple[list[Example], list[int], str]] = field(default_factory=dict)

    def note(self, kind: str, column: str, count: int, examples: list[Example], first: str) -> None:
        """Count cells or rows of one problem; ``first`` describes the first of them in a sentence."""
        kept, total, _ = self._problems.setdefault((kind, column), ([], [0], first))
        kept.extend(examples[: MOST_EXAMPLES - len(kept)])
        total[0] += count

    def problems(self) -> tuple[Problem, ...]:
        """Return the problems, most frequent first."""
        found = [
            Problem(kind, column, total[0], tuple(kept))
            for (kind, column), (kept, total, _) in self._problems.items()
        ]
        return tuple(sorted(found, key=lambda problem: -problem.count))

    def check(self, most_rows: int) -> None:
        """Raise DataFailure when the problems are too many even if ``most_rows`` rows come in all."""
        if self.bad_rows <= self.share * most_rows:
            return
        worst = max(self._problems.values(), key=lambda problem: problem[1][0])
        raise DataFailure(
            f"{worst[2]}. {self.bad_rows} of {self.rows} rows read have such problems; "
            f"at most {self.share:.3g} of all rows may."
        )


def shown(value: str) -> str:
    """Return a cell's text as messages show it: quoted, not too long, what is not UTF-8 as ``\\xNN``."""
    text = value if len(value) <= _MOST_SHOWN else value[:_MOST_SHOWN] + "…"
    raw = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "'" + raw.replace("\n", "\\n").replace("\r", "\\r") + "'"
