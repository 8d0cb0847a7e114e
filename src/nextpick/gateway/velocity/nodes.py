"""What a template is made of: functions that write text, and functions that return values.

Values are what JSON has, and objects of ``variables.py`` whose methods stand in a table. Nothing looks up an attribute
of a Python object, so a template reaches what it is given and no further.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nextpick.gateway.velocity.methods import LARGEST_TEXT, TooLarge, call_method, member, text_of

MOST_STEPS = 100_000


class TemplateError(Exception):
    """A template that cannot be read or, at a request, cannot be followed to its end."""


class Run:
    """One evaluation: its variables, what it has written, and how far it may still go."""

    __slots__ = ("left", "output", "size", "variables")

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = dict(variables)
        self.output: list[str] = []
        self.size, self.left = 0, MOST_STEPS

    def write(self, text: str) -> None:
        """Add text. Raises TooLarge."""
        self.size += len(text)
        if self.size > LARGEST_TEXT:
            raise TooLarge
        self.output.append(text)

    def step(self) -> None:
        """Count a step. Raises TemplateError beyond the last."""
        self.left -= 1
        if self.left < 0:
            raise TemplateError(f"The template takes more than {MOST_STEPS} steps.")

    def inner(self, node: "Node") -> str:
        """Return what a node writes by itself: a text with references in it."""
        run = Run(self.variables)
        run.left = self.left
        node(run)
        self.left = run.left
        return "".join(run.output)


Node = Callable[[Run], None]
Value = Callable[[Run], Any]


class Stop(Exception):
    """``#stop``."""


class Break(Exception):
    """``#break``."""


class Absent:
    """What a reference to a variable that was never set gives, so that its source can be written in its place."""


ABSENT = Absent()

Link = tuple[str | None, Value | tuple[Value, ...] | None]
"""``.name`` is (name, None), ``.name(…)`` is (name, arguments), ``[…]`` is (None, index)."""


def reference(name: str, links: tuple[Link, ...]) -> Value:
    """Return the value of ``$name.link.link…``."""

    def evaluate(run: Run) -> Any:
        run.step()
        value = run.variables.get(name, ABSENT)
        for link, given in links:
            if value is None or value is ABSENT:
                return value
            if link is None:
                value = member(value, given(run))  # type: ignore[operator, misc]
            elif given is None:
                value = member(value, link)
            else:
                value = call_method(value, link, [argument(run) for argument in given])  # type: ignore[union-attr]
        return value

    return evaluate


def written(source: str, value: Value, is_quiet: bool) -> Node:
    """Write a reference; one to nothing at all is written as it stands in the template, unless it is quiet."""

    def write(run: Run) -> None:
        found = value(run)
        if found is ABSENT:
            run.write("" if is_quiet else source)
        elif found is not None:
            run.write(text_of(found))

    return write


def known(value: Any) -> Any:
    """Return a value, None for an absent one."""
    return None if value is ABSENT else value


def is_true(value: Any) -> bool:
    """Tell what ``#if`` does: only null, absent and false are false."""
    return value is not None and value is not ABSENT and value is not False


def compare(operator: str, left: Any, right: Any) -> bool:
    """Return what a comparison says; things that have no order are in none."""
    left, right = known(left), known(right)
    if operator in ("==", "!="):
        same = left == right if _alike(left, right) else text_of(left) == text_of(right)
        return same == (operator == "==")
    if not _alike(left, right) or not isinstance(left, (int, float, str)):
        return False
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]


def _alike(left: Any, right: Any) -> bool:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (left, right))
    return numbers or type(left) is type(right) or left is None or right is None


def calculate(operator: str, left: Any, right: Any) -> Any:
    """Return what arithmetic gives, None where Velocity has no answer; ``+`` joins texts."""
    left, right = known(left), known(right)
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (left, right))
    if not numbers:
        if operator != "+":
            return None
        joined = text_of(left) + text_of(right)
        if len(joined) > LARGEST_TEXT:
            raise TooLarge
        return joined
    if operator in ("/", "%"):
        if not right:
            return None
        if isinstance(left, int) and isinstance(right, int):  # towards zero, as Java
            quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
            return quotient if operator == "/" else left - right * quotient
        return left / right if operator == "/" else left - right * int(left / right)
    result = left + right if operator == "+" else left - right if operator == "-" else left * right
    if isinstance(result, int) and abs(result) > 1 << 63:
        raise TemplateError("A number in the template is too large.")
    return result
