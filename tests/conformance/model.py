"""What the service models say, as botocore reads them: small requests, values beyond a limit, answers that fit."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import regex
from botocore.model import OperationModel, Shape
from estate import NOWHERE, SERVICES

_SESSION = botocore.session.get_session()
MODELS = {name: _SESSION.get_service_model(name) for name in SERVICES}
OPERATIONS: dict[str, OperationModel] = {
    operation: model.operation_model(operation)
    for model in MODELS.values()
    for operation in model.operation_names
}
ERRORS = sorted({(o, shape.name) for o, model in OPERATIONS.items() for shape in model.error_shapes})
_TEXTS = (
    ("name", ""),
    (f"{NOWHERE}thing/", ""),
    ("arn:aws:iam::000000000000:role/", ""),
    ("s3://", ""),
    ("arn:aws:kms:us-east-1:000000000000:key/", ""),
    ("rate(1", " days)"),
)
Path = tuple[str | int, ...]


def sample(shape: Shape) -> Any:
    """Return a value that a shape allows: only required members, one element."""
    if shape.type_name == "structure":
        return {member: sample(shape.members[member]) for member in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else text_of(shape) or "name"
    return {"boolean": True, "timestamp": 1_700_000_000}.get(shape.type_name, shape.metadata.get("min", 1))


def text_of(shape: Shape, length: int | None = None) -> str | None:
    """Return a text, of a length if one is given, that a shape's pattern allows; None where none of ours does."""
    pattern = shape.metadata.get("pattern", ".*")
    for start, end in _TEXTS:
        text = start + "a" * (1 if length is None else length - len(start) - len(end)) + end
        if regex.fullmatch(pattern, text) and (length is None or len(text) == length):
            return text
    return None


def beyond(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield (path, a value just beyond a limit, the last one within) for every limit below a shape."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "structure":
        for member, inner in shape.members.items():
            yield from beyond(inner, (*path, member))
    elif shape.type_name == "list":
        if high is not None and high < 1000:
            yield path, [sample(shape.member)] * (high + 1), None
        yield from beyond(shape.member, (*path, 0))
    elif shape.type_name == "string":
        if high is not None and high < 100_000:
            yield path, text_of(shape, high + 1) or "a" * (high + 1), text_of(shape, high)
        if shape.enum:
            yield path, "NO_SUCH_THING", shape.enum[-1]
        pattern = shape.metadata.get("pattern")
        if pattern and not regex.fullmatch(pattern, "-?-"):
            yield path, "-?-", None
    elif shape.type_name in ("integer", "long", "float", "double"):
        if low is not None:
            yield path, low - 1, low
        if high is not None and high < 2**31 - 1:
            yield path, high + 1, high


def placed(shape: Shape, path: Path, value: Any) -> Any:
    """Return a sample of a shape with a value at a path."""
    if not path:
        return value
    if shape.type_name == "list":
        return [placed(shape.member, path[1:], value)]
    return {**sample(shape), path[0]: placed(shape.members[path[0]], path[1:], value)}


def misfits(shape: Shape, value: Any, path: str = "") -> list[str]:
    """Return where a JSON value is not what a shape says."""
    kinds = {
        "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool,
        "integer": int, "long": int, "float": int | float, "double": int | float, "timestamp": int | float,
    }  # fmt: skip
    if not isinstance(value, kinds[shape.type_name]) or (
        isinstance(value, bool) and shape.type_name != "boolean"
    ):
        return [f"{path} is {value!r}, not a {shape.type_name}"]
    if shape.type_name == "structure":
        found = [f"{path}.{name} is not in the model" for name in value if name not in shape.members]
        found += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
        known = [(name, held) for name, held in value.items() if name in shape.members]
        return found + [m for n, held in known for m in misfits(shape.members[n], held, f"{path}.{n}")]
    if shape.type_name == "list":
        return [m for n, held in enumerate(value) for m in misfits(shape.member, held, f"{path}[{n}]")]
    if shape.type_name == "map":
        return [m for name, held in value.items() for m in misfits(shape.value, held, f"{path}.{name}")]
    return []
