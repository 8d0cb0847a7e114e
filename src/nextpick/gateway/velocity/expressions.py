"""References and expressions of templates."""

import re
from collections.abc import Callable
from typing import Any

from nextpick.gateway.velocity import nodes
from nextpick.gateway.velocity.methods import text_of
from nextpick.gateway.velocity.nodes import Link, Run, TemplateError, Value

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]+)?(?![0-9])")
_WORDS = {"true": True, "false": False, "null": None}
_LEVELS = (
    (("||", "or"),),
    (("&&", "and"),),
    (("==", "eq"), ("!=", "ne"), ("<=", "le"), (">=", "ge"), ("<", "lt"), (">", "gt")),
    (("+", "+"), ("-", "-")),
    (("*", "*"), ("/", "/"), ("%", "%")),
)
_DEEPEST = 50
_LONGEST_RANGE = 10_000


class Reader:
    """Reads from a place in a template on; ``at`` is how far it has come."""

    def __init__(
        self, source: str, at: int, wrong: Callable[[str, int], TemplateError], depth: int = 0
    ) -> None:
        self.source, self.at, self._wrong, self._depth = source, at, wrong, depth

    def expect(self, text: str) -> None:
        """Read a sign. Raises TemplateError where another stands."""
        if not self.take(text):
            raise self._wrong(f"{text} is missing before {self.source[self.at : self.at + 20]!r}", self.at)

    def take(self, text: str) -> bool:
        """Read a sign if it comes next."""
        self._skip()
        if not self.source.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def word(self, text: str) -> bool:
        """Read a word if it comes next."""
        self._skip()
        match = _NAME.match(self.source, self.at)
        if match is None or match[0] != text:
            return False
        self.at = match.end()
        return True

    def reference(self) -> Value:
        """Read ``$name…``, ``${name…}``, with ``!`` for quiet ones."""
        return nodes.reference(*self.target())

    def target(self) -> tuple[str, tuple[Link, ...]]:
        """Read a reference: its name, and what hangs on it."""
        self.expect("$")
        if self.source.startswith("!", self.at):
            self.at += 1
        braced = self.source.startswith("{", self.at)
        self.at += braced
        match = _NAME.match(self.source, self.at)
        if match is None:
            raise self._wrong("a name is missing after $", self.at)
        self.at = match.end()
        links = self._links()
        if braced:
            if not self.source.startswith("}", self.at):
                raise self._wrong("} is missing", self.at)
            self.at += 1
        return match[0], links

    def _links(self) -> tuple[Link, ...]:
        links: list[Link] = []
        while True:
            if self.source.startswith("[", self.at):
                self.at += 1
                links.append((None, self.expression()))
                self.expect("]")
                continue
            match = _NAME.match(self.source, self.at + 1) if self.source.startswith(".", self.at) else None
            if match is None:
                return tuple(links)
            self.at = match.end()
            if self.source.startswith("(", self.at):
                self.at += 1
                links.append((match[0], self._list(")")))
            else:
                links.append((match[0], None))

    def _list(self, end: str) -> tuple[Value, ...]:
        values: list[Value] = []
        while not self.take(end):
            if values:
                self.expect(",")
            values.append(self.expression())
        return tuple(values)

    def expression(self) -> Value:
        """Read an expression."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("an expression is nested too deeply", self.at)
        try:
            return self._level(0)
        finally:
            self._depth -= 1

    def _level(self, n: int) -> Value:
        if n == len(_LEVELS):
            return self._unary()
        value = self._level(n + 1)
        while (operator := self._operator(n)) is not None:
            value = _joined(operator, value, self._level(n + 1))
        return value

    def _operator(self, n: int) -> str | None:
        for sign, word in _LEVELS[n]:
            if self.take(sign) or (word != sign and self.word(word)):
                return sign
        return None

    def _unary(self) -> Value:
        if self.take("!") or self.word("not"):
            value = self._unary()
            return lambda run: not nodes.is_true(value(run))
        if self.take("-"):
            value = self._unary()
            return lambda run: nodes.calculate("-", 0, value(run))
        return self._primary()

    def _primary(self) -> Value:
        self._skip()
        sign = self.source[self.at : self.at + 1]
        if sign == "$":
            return self.reference()
        if sign in ("'", '"'):
            return self._text(sign)
        if sign == "(":
            self.at += 1
            value = self.expression()
            self.expect(")")
            return value
        if sign == "[":
            self.at += 1
            return self._array()
        if sign == "{":
            self.at += 1
            return self._map()
        if match := _NUMBER.match(self.source, self.at):
            whole = "." not in match[0] or self.source.startswith("..", match.start() + match[0].index("."))
            text = match[0].partition(".")[0] if whole else match[0]
            self.at += len(text)
            number: Any = int(text) if whole else float(text)
            return lambda run: number
        match = _NAME.match(self.source, self.at)
        if match and match[0] in _WORDS:
            self.at = match.end()
            constant = _WORDS[match[0]]
            return lambda run: constant
        raise self._wrong(f"a value is missing before {self.source[self.at : self.at + 20]!r}", self.at)

    def _text(self, quote: str) -> Value:
        end = self.at + 1
        while True:
            end = self.source.find(quote, end)
            if end < 0:
                raise self._wrong(f"a text has no end: {quote} is missing", self.at)
            if self.source[end + 1 : end + 2] != quote:  # a doubled quote is one quote
                break
            end += 2
        text = self.source[self.at + 1 : end].replace(quote * 2, quote)
        self.at = end + 1
        if quote == "'" or not ("$" in text or "#" in text):
            return lambda run: text
        from nextpick.gateway.velocity.parse import compile_template

        inner = compile_template(text)
        return lambda run: run.inner(inner.node)

    def _array(self) -> Value:
        values = []
        while not self.take("]"):
            if values:
                self.expect(",")
            first = self.expression()
            if self.take(".."):
                last = self.expression()
                self.expect("]")
                return lambda run: _range(run, first(run), last(run))
            values.append(first)
        return lambda run: [nodes.known(value(run)) for value in values]

    def _map(self) -> Value:
        pairs: list[tuple[Value, Value]] = []
        while not self.take("}"):
            if pairs:
                self.expect(",")
            key = self.expression()
            self.expect(":")
            pairs.append((key, self.expression()))
        return lambda run: {text_of(nodes.known(k(run))): nodes.known(v(run)) for k, v in pairs}

    def _skip(self) -> None:
        match = _SPACE.match(self.source, self.at)
        self.at = match.end() if match else self.at


def _joined(operator: str, left: Value, right: Value) -> Value:
    if operator == "||":
        return lambda run: nodes.is_true(left(run)) or nodes.is_true(right(run))
    if operator == "&&":
        return lambda run: nodes.is_true(left(run)) and nodes.is_true(right(run))
    if operator in ("+", "-", "*", "/", "%"):
        return lambda run: nodes.calculate(operator, left(run), right(run))
    return lambda run: nodes.compare(operator, left(run), right(run))


def _range(run: Run, first: Any, last: Any) -> list[int]:
    if not isinstance(first, int) or not isinstance(last, int):
        return []
    if abs(last - first) > _LONGEST_RANGE:
        raise TemplateError(f"A range in the template is longer than {_LONGEST_RANGE}.")
    step = 1 if last >= first else -1
    return list(range(first, last + step, step))
