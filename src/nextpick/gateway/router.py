"""Which resource a path is: literal segments before ``{name}`` before ``{name+}``."""

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Router(Generic[T]):
    """Resources by path template."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, template: str, value: T) -> None:
        """Enter a resource. Raises ValueError for a template that cannot be, or is there already."""
        node, names = self._root, []
        segments = _segments(template)
        for n, segment in enumerate(segments):
            if segment.startswith("{") and segment.endswith("}"):
                is_greedy = segment.endswith("+}")
                if is_greedy and n < len(segments) - 1:
                    raise ValueError(f"{template}: {segment} must be the last segment.")
                names.append(segment[1:-2] if is_greedy else segment[1:-1])
                segment = "{+}" if is_greedy else "{}"
            node = node.setdefault(segment, {})
        if "" in node:
            raise ValueError(f"{template} is the same resource as {node[''][0]}.")
        node[""] = (template, names, value)

    def find(self, path: str) -> tuple[str, dict[str, str], T] | None:
        """Return the template, the path's parameters and the resource, None where there is none."""
        found = self._find(self._root, _segments(path), [])
        if found is None:
            return None
        (template, names, value), values = found
        return template, dict(zip(names, values, strict=True)), value

    def _find(self, node: dict[str, Any], segments: list[str], values: list[str]) -> Any:
        if not segments:
            return (node[""], values) if "" in node else None
        first, rest = segments[0], segments[1:]
        if first in node and first not in ("", "{}", "{+}"):
            found = self._find(node[first], rest, values)
            if found is not None:
                return found
        if "{}" in node and first:
            found = self._find(node["{}"], rest, [*values, first])
            if found is not None:
                return found
        if "{+}" in node:
            return node["{+}"][""], [*values, "/".join(segments)]
        return None


def _segments(path: str) -> list[str]:
    path = path.removeprefix("/").removesuffix("/")
    return path.split("/") if path else []
