"""Conditions on one record, and on whole columns.

A condition holds for a record when any of its values does (``a|b`` has two); NOT IN and != when none does. A
record without a value meets no condition.
"""

from collections.abc import Callable, Mapping

import numba
import numpy as np

from nextpick.data.filters.terms import Condition
from nextpick.data.view import Record, Texts

_COMPARE: Mapping[str, Callable] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def matches(condition: Condition, record: Record) -> bool:
    """Tell whether a record meets a condition whose values are bound."""
    held = record.get(condition.column)
    if held is None or not condition.values:
        return False
    if condition.op in ("IN", "NOT IN"):
        among = any(value in condition.values for value in (held if isinstance(held, tuple) else (held,)))
        return among == (condition.op == "IN")
    return bool(_COMPARE[condition.op](held, condition.values[0]))


def number_mask(condition: Condition, numbers: np.ndarray) -> np.ndarray:
    """Return which of numbers [n] float64 (NaN none) meet a condition, bool [n]."""
    if not condition.values:
        return np.zeros(len(numbers), bool)
    if condition.op == "IN":
        return np.isin(numbers, np.array(condition.values, np.float64))
    if condition.op == "NOT IN":
        return ~np.isin(numbers, np.array(condition.values, np.float64)) & ~np.isnan(numbers)
    found = _COMPARE[condition.op](numbers, condition.values[0])
    return found & ~np.isnan(numbers) if condition.op == "!=" else found


def text_mask(condition: Condition, texts: Texts) -> np.ndarray:
    """Return which rows of a column of texts meet a condition (IN or NOT IN), bool [n]."""
    if not condition.values:
        return np.zeros(len(texts.offsets) - 1, bool)
    wanted = np.zeros(len(texts.values), bool)
    codes = texts.values.rows([str(value) for value in condition.values])
    wanted[codes[codes >= 0]] = True
    wanted.setflags(write=False)  # as mapped arrays are: so that there is one compiled function
    return _rows_with(texts.offsets, texts.codes, wanted, condition.op == "IN")


@numba.njit(cache=True)
def _rows_with(offsets, codes, wanted, among):
    """Return which rows have (``among``) or lack a wanted code; rows without codes are in neither."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(found)):
        start, end = offsets[row], offsets[row + 1]
        hit = False
        for at in range(start, end):
            if wanted[codes[at]]:
                hit = True
                break
        found[row] = end > start and hit == among
    return found
