"""The JSONPath that mapping templates use: ``$.a.b``, ``$['a-b'][0]``, ``$.list[*].id``, ``$..id``.

Source: API Gateway developer guide, "Variables for data transformations".
"""

import functools
import re
from typing import Any

_STEP = re.compile(
    r"""(?P<deep>\.\.)?(?:\.?\[\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<index>-?[0-9]{1,9})|(?P<star>\*))\s*\]"""
    r"""|\.?(?P<all>\*)|\.?(?P<name>[^.\[\]*'"\s]+))"""
)

Step = tuple[bool, str | int | None]
"""Whether at any depth, and a name, an index, or None for all members."""


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Step, ...]:
    """Return the steps of a path. Raises ValueError naming a path that cannot be read."""
    if not text.startswith("$"):
        raise ValueError(f"JSONPath {text!r} does not begin with $.")
    steps: list[Step] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or match.end() == at or (at == 1 and match["name"] and text[1] not in ".["):
            raise ValueError(f"JSONPath {text!r} cannot be read at {text[at : at + 20]!r}.")
        named = next((match[key] for key in ("single", "double", "name") if match[key] is not None), None)
        steps.append((bool(match["deep"]), int(match["index"]) if match["index"] else named))
        at = match.end()
    return tuple(steps)


def find(value: Any, text: str) -> Any:
    """Return what a path leads to: a list where it may lead to several, None where it leads nowhere.

    Raises ValueError for a path that cannot be read.
    """
    found, several = [value], False
    for deep, step in parse(text):
        several = several or deep or step is None
        candidates = [inner for held in found for inner in _descend(held)] if deep else found
        found = [inner for held in candidates for inner in _step(held, step)]
    if several:
        return found
    return found[0] if found else None


def _step(value: Any, step: str | int | None) -> list[Any]:
    if step is None:
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    if isinstance(value, list) and -len(value) <= step < len(value):
        return [value[step]]
    return []


def _descend(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(deeper for held in inner for deeper in _descend(held))]
