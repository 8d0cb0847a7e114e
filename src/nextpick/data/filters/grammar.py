"""Reading filter expressions.

Keywords, datasets and columns are read in any letter case, values as they are written; texts stand in double or
single quotes. Conditions are joined by AND, which binds closer, and OR; there are no parentheses around them.
Source: developer guide, "Filter expression structure and elements".
"""

from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from nextpick.data.filters.terms import Condition, CurrentItem, Expression, Filter, Placeholder, Value
from nextpick.errors import InvalidInput

LONGEST = 2500

_GRAMMAR = r"""
start: expression ("|" expression)*
expression: ACTION SUBJECT _WHERE any_of [_IF when]
any_of: all_of (_OR all_of)*
all_of: condition (_AND condition)*
when: user_condition (_AND user_condition)*
condition: DATASET "." NAME _IN operands        -> is_in
         | DATASET "." NAME _NOT _IN operands   -> not_in
         | DATASET "." NAME OPERATOR operand    -> compare
user_condition: CURRENT_USER "." NAME _IN values       -> is_in
              | CURRENT_USER "." NAME _NOT _IN values  -> not_in
              | CURRENT_USER "." NAME OPERATOR scalar  -> compare
?operands: values | current_item -> one
values: "(" value ("," value)* ")"
operand: scalar | current_item
scalar: value | "(" value ")"
current_item: CURRENT_ITEM "." NAME
?value: STRING -> text | NUMBER -> number | PLACEHOLDER -> placeholder

ACTION.2: /(INCLUDE|EXCLUDE)\b/i
SUBJECT.2: /(ItemID|UserID|ActionID)\b/i
_WHERE.2: /WHERE\b/i
_IF.2: /IF\b/i
_AND.2: /AND\b/i
_OR.2: /OR\b/i
_NOT.2: /NOT\b/i
_IN.2: /IN\b/i
DATASET.2: /(Action_Interactions|Interactions|Items|Users|Actions)\b/i
CURRENT_USER.2: /CurrentUser\b/i
CURRENT_ITEM.2: /CurrentItem\b/i
NAME: /[A-Za-z_][A-Za-z0-9_]*/
OPERATOR: "<=" | ">=" | "!=" | "<" | ">" | "="
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/
NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
PLACEHOLDER: /\$[A-Za-z0-9_]+/
%import common.WS
%ignore WS
"""
_WORDS = {
    "ACTION": "INCLUDE or EXCLUDE",
    "SUBJECT": "ItemID, UserID or ActionID",
    "DATASET": "Interactions, Items, Users, Actions or Action_Interactions",
    "CURRENT_USER": "CurrentUser",
    "CURRENT_ITEM": "CurrentItem",
    "NAME": "the name of a column",
    "OPERATOR": "a comparison",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    "PLACEHOLDER": "a placeholder",
    "LPAR": "(",
    "RPAR": ")",
    "VBAR": "|",
    "COMMA": ",",
    "DOT": ".",
    "$END": "the end",
}


def parse(text: str) -> Filter:
    """Return what an expression says. Raises InvalidInput with the column at which it cannot be read."""
    if len(text) > LONGEST:
        raise InvalidInput(f"The filter expression has {len(text)} characters; it may have {LONGEST}.")
    try:
        return _Reader().transform(_parser().parse(text))
    except UnexpectedCharacters as error:
        found = repr(text[error.pos_in_stream])
        raise _unexpected(error.pos_in_stream + 1, found, error.allowed or set()) from None
    except UnexpectedEOF as error:
        raise _unexpected(len(text) + 1, "the end", set(error.expected)) from None
    except UnexpectedToken as error:
        ended = error.token.type == "$END"
        at = len(text) + 1 if ended else (error.token.start_pos or 0) + 1
        raise _unexpected(
            at, "the end" if ended else repr(str(error.token)), error.accepts or set()
        ) from None


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)


def _unexpected(column: int, found: str, expected: set[str]) -> InvalidInput:
    words = sorted(_WORDS.get(name, name.strip("_")) for name in expected if name != "WS")
    said = f"; expected {', '.join(words)}" if words else ""
    return InvalidInput(f"Invalid filter expression at column {column}: {found}{said}.")


class _Reader(Transformer[Token, Any]):
    """Turns lark's tree into terms."""

    def start(self, expressions: list[Expression]) -> Filter:
        return Filter(tuple(expressions))

    def expression(self, parts: list[Any]) -> Expression:
        action, subject, any_of, when = parts
        return Expression(action.upper() == "INCLUDE", subject.upper(), any_of, when or ())

    def any_of(self, parts: list[Any]) -> tuple[tuple[Condition, ...], ...]:
        return tuple(parts)

    def all_of(self, parts: list[Condition]) -> tuple[Condition, ...]:
        return tuple(parts)

    when = all_of

    def is_in(self, parts: list[Any]) -> Condition:
        return Condition(parts[0].upper(), parts[1].upper(), "IN", parts[2])

    def not_in(self, parts: list[Any]) -> Condition:
        return Condition(parts[0].upper(), parts[1].upper(), "NOT IN", parts[2])

    def compare(self, parts: list[Any]) -> Condition:
        return Condition(parts[0].upper(), parts[1].upper(), str(parts[2]), (parts[3],))

    def one(self, parts: list[Value]) -> tuple[Value, ...]:
        return (parts[0],)

    def values(self, parts: list[Value]) -> tuple[Value, ...]:
        return tuple(parts)

    def operand(self, parts: list[Value]) -> Value:
        return parts[0]

    scalar = operand

    def current_item(self, parts: list[Token]) -> CurrentItem:
        return CurrentItem(parts[1].upper())

    def text(self, parts: list[Token]) -> str:
        return unquote(str(parts[0]))

    def number(self, parts: list[Token]) -> str:
        return str(parts[0])

    def placeholder(self, parts: list[Token]) -> Placeholder:
        return Placeholder(str(parts[0])[1:])


def unquote(text: str) -> str:
    """Return a quoted text without its quotes and the backslashes before quotes and backslashes."""
    out, inner, at = [], text[1:-1], 0
    while at < len(inner):
        if inner[at] == "\\" and at + 1 < len(inner) and inner[at + 1] in "\\\"'":
            at += 1
        out.append(inner[at])
        at += 1
    return "".join(out)
