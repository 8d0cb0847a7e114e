"""Lines of batch jobs: what one asks, and its answer as a line.

The forms are those of the real service's files: inference lines are compact, segment lines have blanks after colons
and commas but within lists, numbers are written as Java writes them. Source: developer guide, "Batch
recommendations and user segments"; recorded outputs.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.filters.grammar import parse
from nextpick.data.filters.resolve import number
from nextpick.errors import InvalidInput
from nextpick.models.themes import Themes
from nextpick.models.topk import top_k
from nextpick.serving import recommend
from nextpick.serving.recommend import Asker, PredictedItem, Wish
from nextpick.serving.versions import CampaignView, Version

_LONGEST_ID = 256
_MOST_ITEMS = 500
_NUMBERS = ("scores", "itemsThemeRelevanceScores")  # what is written as Java writes it, last in a line
_THEME_DECIMALS = 8
Allowed = Callable[[dict[str, str], "str | None", "str | None"], Any]
"""Takes a line's filterValues, userId and itemId; returns bool [n] of what the job's filter lets through, or None."""


class Inference(NamedTuple):
    """What the lines of a batch inference job are answered with; ``k`` results each."""

    asker: Asker
    campaign: CampaignView
    version: Version
    k: int
    allowed: Allowed

    def answer(self, line: bytes) -> tuple[bytes, bool]:
        """Return the line for an input line, and whether the input was good."""
        return _answered(line, self._output, compact)

    def _output(self, asked: dict[str, Any]) -> dict[str, Any]:
        return _output(self.items(asked), is_scored=self.version.info.is_scored)

    def items(self, asked: dict[str, Any]) -> list[PredictedItem]:
        """Return the items that a line asks for; raises InvalidInput for what it lacks."""
        info = self.version.info
        user = _id(asked, "userId", is_needed=info.type in ("USER_PERSONALIZATION", "PERSONALIZED_RANKING"))
        item = _id(asked, "itemId", is_needed=info.type == "RELATED_ITEMS")
        allowed = self.allowed(_texts(asked, "filterValues"), user, item)
        told = _texts(asked, "context")
        if info.type == "PERSONALIZED_RANKING":
            items = _items(asked)
            return recommend.rank(self.asker, self.campaign, self.version, user or "", items, allowed, told)
        wish = Wish(user, item, self.k, allowed, context=told)
        return recommend.recommend(self.asker, self.campaign, self.version, wish)


class Themed(NamedTuple):
    """What the lines of a batch inference job of themes are answered with: related items, and what they have in
    common."""

    inference: Inference
    themes: Themes

    def answer(self, line: bytes) -> tuple[bytes, bool]:
        """Return the line for an input line, and whether the input was good."""
        return _answered(line, self._output, compact)

    def _output(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = np.array([item.itemId for item in self.inference.items(asked)], object)
        rows = self.inference.version.data.items.ids.rows(found.tolist())
        theme = self.themes.find(rows)
        if theme is None:
            raise InvalidInput(
                f"The items like {asked['itemId']} have nothing in common that is told of them."
            )
        relevance = self.themes.relevance(theme, rows)
        order = np.argsort(-relevance, kind="stable")
        return {
            "recommendedItems": found[order].tolist(),
            "theme": theme.text,
            "itemsThemeRelevanceScores": np.round(relevance[order], _THEME_DECIMALS).tolist(),
        }


class Segment(NamedTuple):
    """What the lines of a batch segment job are answered with: the ``k`` users with most affinity."""

    version: Version
    k: int
    allowed: Allowed
    present: np.ndarray  # bool [n_users], those that were not deleted

    def answer(self, line: bytes) -> tuple[bytes, bool]:
        """Return the line for an input line, and whether the input was good."""
        return _answered(line, self._output, spaced)

    def _output(self, asked: dict[str, Any]) -> list[str]:
        allowed = self.allowed(_texts(asked, "filterValues"), None, None)
        if self.version.info.name == "aws-item-affinity":
            item = _id(asked, "itemId", is_needed=True) or ""
            items = np.array([self.version.data.items.ids.row(item)], np.int32)
            if items[0] < 0:
                raise InvalidInput(f"The item {item} was not there when the version was trained.")
        else:
            items = items_with(self.version.data, attributes(asked.get("itemAttributes")))
        scores = self.version.module.rank_users(self.version.state, items)
        users = top_k(scores, self.k, self.present if allowed is None else allowed & self.present)
        return self.version.data.users.ids.ids(users)


def items_with(data: Data, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Return the rows of the items that have all of some (column, value) pairs, int32.

    Raises InvalidInput naming a column that was not trained on, or what no item has.
    """
    columns = {column.name.upper(): column for column in data.items.columns}
    held = np.ones(len(data.items.ids), bool)
    for name, value in pairs:
        column = columns.get(name)
        if column is None:
            raise InvalidInput(f"The items were trained without a column {name}.")
        has = np.zeros(len(held), bool)
        if column.numbers is not None:
            known = number(value)
            has = column.numbers == np.float32(np.nan if known is None else known)
        elif value in column.values and column.offsets is not None and column.codes is not None:
            row_of = np.repeat(np.arange(len(held)), np.diff(column.offsets))
            has[row_of[column.codes == column.values.index(value)]] = True
        held &= has
    if not held.any():
        told = " AND ".join(f"{name} = {value}" for name, value in pairs)
        raise InvalidInput(f"No item has {told}.")
    return np.flatnonzero(held).astype(np.int32)


def attributes(text: Any) -> list[tuple[str, str]]:
    """Return the (column, value) pairs of ``ITEMS.genres = "Comedy" AND …``, columns in upper case.

    Raises InvalidInput for anything but equalities of Items columns joined by AND.
    """
    if not isinstance(text, str):
        raise InvalidInput("itemAttributes must be a text.")
    refused = f'itemAttributes is {text!r}; it must be like ITEMS.GENRE = "Comedy" AND ITEMS.YEAR = 1999.'
    try:
        expression, *others = parse(f"INCLUDE ItemID WHERE {text}").expressions
    except InvalidInput:
        raise InvalidInput(refused) from None
    if others or len(expression.any_of) > 1 or expression.when:
        raise InvalidInput(refused)
    pairs = []
    for condition in expression.conditions:
        value = condition.values[0]
        if condition.dataset != "ITEMS" or condition.op != "=" or not isinstance(value, str):
            raise InvalidInput(refused)
        pairs.append((condition.column, value))
    return pairs


def java_number(value: float) -> str:
    """Return a number from 0 on as Java's Double.toString writes it: 0.0183162, but 3.773E-4."""
    if value == 0 or value >= 1e-3:
        return repr(float(value))
    _, digits, exponent = Decimal(repr(float(value))).as_tuple()
    first, *others = "".join(map(str, digits)).rstrip("0")
    return f"{first}.{''.join(others) or '0'}E{len(digits) - 1 + int(exponent)}"


def _answered(
    line: bytes, output: Callable[[dict[str, Any]], Any], write: Callable[[Any, Any, str | None], bytes]
) -> tuple[bytes, bool]:
    try:
        asked = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return write(line.decode(errors="replace"), None, f"The line is not JSON: {error}."), False
    try:
        if not isinstance(asked, dict):
            raise InvalidInput("The line is not a JSON object.")
        return write(asked, output(asked), None), True
    except InvalidInput as refused:
        return write(asked, None, refused.message), False


def compact(asked: Any, output: dict[str, Any] | None, error: str | None) -> bytes:
    """Return an inference job's line, as the real service writes it."""
    head, tail = _json(asked), _json(error)
    if output is None:
        return b'{"input":%s,"output":null,"error":%s}' % (head, tail)
    body = _json({name: value for name, value in output.items() if name not in _NUMBERS})
    for name in _NUMBERS:
        if name in output:
            numbers = ",".join(map(java_number, output[name]))
            body = body[:-1] + f',"{name}":[{numbers}]}}'.encode()
    return b'{"input":%s,"output":%s,"error":%s}' % (head, body, tail)


def _output(items: list[PredictedItem], *, is_scored: bool) -> dict[str, Any]:
    output: dict[str, Any] = {"recommendedItems": [item.itemId for item in items]}
    if any(item.reason for item in items):
        output["reasons"] = [item.reason or [] for item in items]
    if is_scored:
        output["scores"] = [item.score or 0.0 for item in items]
    return output


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def spaced(asked: Any, users: list[str] | None, error: str | None) -> bytes:
    """Return a segment job's line, as the real service spaces it."""
    output = "null"
    if users is not None:
        output = f'{{"usersList": {json.dumps(users, ensure_ascii=False, separators=(",", ":"))}}}'
    asked, error = (json.dumps(value, ensure_ascii=False) for value in (asked, error))
    return f'{{"input": {asked}, "output": {output}, "error": {error}}}'.encode()


def _id(asked: dict[str, Any], member: str, *, is_needed: bool) -> str | None:
    given = asked.get(member)
    if given is None and not is_needed:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_ID:
        raise InvalidInput(f"{member} must be a text of 1 to {_LONGEST_ID} characters.")
    return given


def _items(asked: dict[str, Any]) -> list[str]:
    given = asked.get("itemList")
    if not isinstance(given, list) or not given or not all(isinstance(item, str) for item in given):
        raise InvalidInput("itemList must be a list of texts.")
    if len(given) > _MOST_ITEMS:
        raise InvalidInput(f"itemList has {len(given)} items; it may have {_MOST_ITEMS}.")
    return given


def _texts(asked: dict[str, Any], member: str) -> dict[str, str]:
    given = asked.get(member) or {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise InvalidInput(f"{member} must be an object of texts.")
    return given
