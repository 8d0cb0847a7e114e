"""What a filter expression says, once read: expressions of conditions.

Names of datasets and columns are upper case here, as schemas write them. Source: developer guide, "Filter
expressions".
"""

from typing import NamedTuple


class Placeholder(NamedTuple):
    """``$NAME``: a value that comes with each request."""

    name: str


class CurrentItem(NamedTuple):
    """``CurrentItem.COLUMN``: the values of the item that a request for related items names."""

    column: str


Value = str | float | Placeholder | CurrentItem  # a number is a str until its column is known

ANY = "*"
ORDERED = ("<", "<=", ">", ">=")


def event_name(text: str) -> str:
    """Return an event type as filters compare it: in any case, with blanks or underscores."""
    return text.casefold().replace(" ", "_")


class Condition(NamedTuple):
    """``DATASET.COLUMN op values``; ``op`` is ``IN``, ``NOT IN``, ``=``, ``!=`` or one of ``ORDERED``.

    All but ``IN`` and ``NOT IN`` have one value. The dataset is CURRENTUSER after IF.
    """

    dataset: str
    column: str
    op: str
    values: tuple[Value, ...]


class Expression(NamedTuple):
    """``INCLUDE|EXCLUDE subject WHERE any_of IF when``: ``any_of`` is an OR of ANDs, ``when`` an AND."""

    includes: bool
    subject: str
    any_of: tuple[tuple[Condition, ...], ...]
    when: tuple[Condition, ...] = ()

    @property
    def dataset(self) -> str:
        """The dataset the conditions are about; there is one in an expression."""
        return self.any_of[0][0].dataset

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions but those after IF."""
        return tuple(condition for all_of in self.any_of for condition in all_of)


class Filter(NamedTuple):
    """Expressions joined by ``|``: what any INCLUDE includes (all without one), less what any EXCLUDE excludes."""

    expressions: tuple[Expression, ...]

    @property
    def subject(self) -> str:
        """``ITEMID``, ``USERID`` or ``ACTIONID``: what is filtered."""
        return self.expressions[0].subject

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions, those after IF included."""
        return tuple(c for e in self.expressions for c in (*e.conditions, *e.when))

    @property
    def datasets(self) -> frozenset[str]:
        """The datasets that must be known to evaluate it: ITEMS, USERS, INTERACTIONS, …"""
        named = {"USERS" if c.dataset == "CURRENTUSER" else c.dataset for c in self.conditions}
        return frozenset(named | ({"ITEMS"} if self.needs_item else set()))

    @property
    def needs_item(self) -> bool:
        """Whether it speaks of CurrentItem."""
        return any(isinstance(value, CurrentItem) for c in self.conditions for value in c.values)

    @property
    def needs_user(self) -> bool:
        """Whether it depends on who asks."""
        about = {c.dataset for c in self.conditions}
        return "CURRENTUSER" in about or (
            self.subject != "USERID" and bool(about & {"INTERACTIONS", "ACTION_INTERACTIONS"})
        )

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of its placeholders."""
        return frozenset(v.name for c in self.conditions for v in c.values if isinstance(v, Placeholder))
