"""Wildcards and variables of policies: ``*`` for any characters, ``?`` for one, ``${aws:username}`` for a value.

Source: IAM User Guide, "IAM JSON policy elements: Resource", "IAM policy elements: Variables and tags".
"""

import functools
import re
from collections.abc import Mapping

Words = tuple[str, ...]  # the values that a request has for one key

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_STAR, _MARK = "\U000f0000", "\U000f0001"  # stand for characters that are themselves, not wildcards
_LITERAL = {"*": _STAR, "?": _MARK, "$": "$"}
_SINGLE = {"?": ".", _STAR: r"\*", _MARK: r"\?"}


@functools.lru_cache(maxsize=4096)
def _pieces(pattern: str, fold: bool) -> tuple[re.Pattern[str], ...]:
    """Return expressions for what is between the stars of a pattern."""
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    pieces = pattern.split("*")
    return tuple(
        re.compile("".join(_SINGLE.get(char) or re.escape(char) for char in piece), flags) for piece in pieces
    )


def matches(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Tell whether a pattern covers a whole text; ``fold`` is for letters of either case.

    Each piece between stars is taken at its first place, which is enough, so the time is that of a search per
    piece and not exponential in the stars.
    """
    first, *others = _pieces(pattern, fold)
    found = first.match(text)
    if found is None:
        return False
    if not others:
        return found.end() == len(text)
    at = found.end()
    for piece in others[:-1]:
        found = piece.search(text, at)
        if found is None:
            return False
        at = found.end()
    width = len(pattern.rpartition("*")[2])
    start = len(text) - width
    return start >= at and others[-1].fullmatch(text, start) is not None


def arn_matches(pattern: str, arn: str) -> bool:
    """Tell whether a pattern covers an ARN: segment by segment, the last taking all that is left.

    ``*`` alone covers everything. Only what covers everything covers ``*``, the resource of a list. Segments that
    a pattern does not have may be anything.
    """
    if pattern == "*":
        return True
    ours, theirs = pattern.split(":", 5), arn.split(":", 5)
    if len(theirs) < 6:
        return matches(pattern, arn)
    ours += ["*"] * (6 - len(ours))
    return all(matches(one, other) for one, other in zip(ours, theirs, strict=True))


def substitute(pattern: str, context: Mapping[str, Words]) -> str | None:
    """Return a pattern with its variables replaced; None when the request has not exactly one value for one.

    A star in a value is a star, no wildcard.
    """
    if "${" not in pattern:
        return pattern
    missing = False

    def replace(match: re.Match[str]) -> str:
        nonlocal missing
        name, comma, default = (part.strip() for part in match[1].partition(","))
        if name in _LITERAL:
            return _LITERAL[name]
        values = context.get(name.lower(), ())
        if len(values) == 1 or comma:
            value = values[0] if len(values) == 1 else default.strip("'")
            return value.replace("*", _STAR).replace("?", _MARK)
        missing = True
        return ""

    answer = _VARIABLE.sub(replace, pattern)
    return None if missing else answer


def literal(pattern: str) -> str:
    """Return a substituted pattern as text in which nothing is a wildcard."""
    return pattern.replace(_STAR, "*").replace(_MARK, "?")
