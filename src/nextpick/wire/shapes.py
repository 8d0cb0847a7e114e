"""What the API says a request may be: the operations and shapes of the service models, and the one validator.

The models are botocore's own (``personalize``, ``personalize-runtime``, ``personalize-events``, and of the
neighbours ``s3``, ``sts``, ``iam``, ``lambda``, ``kinesis``, …) and ours (``nextpick``). ``validate`` enforces all they
state: required, type, min, max, pattern, enum. Its wording is that of AWS's services. Where real SDKs send what the
model does not allow, it is lenient, and only there:

- unknown members are ignored, null members are absent;
- booleans may be the strings "true" and "false" (a Step Functions state machine sends such);
- numResults of the runtime may be a string of digits, or "NaN" for absent (JavaScript SDK);
- timestamps may be strings, of digits or in ISO 8601; an event's sentAt may be null (JavaScript SDK);
- JSON text members (``properties``) may be the object itself.
"""

import base64
import functools
import gzip
import importlib.util
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import regex

from nextpick.errors import InvalidInput, Serialization
from nextpick.wire.dispatch import NEIGHBOURS, SERVICES

Shape = dict[str, Any]

LARGEST_INTEGER = 2**31 - 1
EARLIEST, LATEST = -62135596800.0, 253402300799.0  # the years 1 and 9999, in seconds since 1970

# Patterns whose backtracking is cubic in the text, and a linear one that matches the same.
_LINEAR = {r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$": r"\x20*[\x21-\x7E][\x20-\x7E]*"}

_LONGEST_QUOTE = 200
_MOST_TOLD = 20


class Operation(NamedTuple):
    """One operation: how it is called and what goes in and out (names in ``Service.shapes``)."""

    name: str
    method: str
    path: str
    input: str | None
    output: str | None
    errors: frozenset[str]
    status: int
    deprecated: bool


class Service(NamedTuple):
    """One service model. ``statuses``: HTTP status by error code, where the model states one."""

    name: str
    protocol: str
    target_prefix: str | None
    xml_namespace: str | None
    operations: dict[str, Operation]
    shapes: dict[str, Shape]
    statuses: dict[str, int]


@functools.cache
def service(name: str) -> Service:
    """Return the newest model of one of ``dispatch``'s services or neighbours. Raises KeyError for another."""
    if name not in (*SERVICES, *NEIGHBOURS):
        raise KeyError(name)
    model = _read_model(name)
    metadata = model["metadata"]
    operations = {
        key: Operation(
            key,
            operation["http"]["method"],
            operation["http"]["requestUri"],
            operation.get("input", {}).get("shape"),
            operation.get("output", {}).get("shape"),
            frozenset(error["shape"] for error in operation.get("errors", ())),
            operation["http"].get("responseCode", 200),
            operation.get("deprecated", False),
        )
        for key, operation in model["operations"].items()
    }
    errors = {key: shape for key, shape in model["shapes"].items() if shape.get("exception")}
    return Service(
        name,
        metadata["protocol"],
        metadata.get("targetPrefix"),
        metadata.get("xmlNamespace"),
        operations,
        model["shapes"],
        {key: shape.get("error", {}).get("httpStatusCode", 400) for key, shape in errors.items()},
    )


def models_dir() -> Path:
    """Return the directory of nextpick's own models and of what it adds to others, laid out as botocore's data."""
    return Path(str(resources.files("nextpick.wire"))) / "models"


def _read_model(name: str) -> dict:
    # The files are read directly: importing botocore's loaders costs every serving worker 100 ms and 10 MB.
    if name == "nextpick":
        folder = models_dir() / name
    else:
        spec = importlib.util.find_spec("botocore")
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent / "data" / name
    newest = max(path for path in folder.iterdir() if path.is_dir())
    packed = newest / "service-2.json.gz"
    if packed.exists():
        model = msgspec.json.decode(gzip.decompress(packed.read_bytes()))
    else:
        model = msgspec.json.decode((newest / "service-2.json").read_bytes())
    extras = models_dir() / name / newest.name / "service-2.sdk-extras.json"
    if extras.exists():
        _merge(msgspec.json.decode(extras.read_bytes())["merge"], model)
    return model


def _merge(extras: dict, model: dict) -> None:
    """Add to a model what another has more, as botocore does with extras."""
    for key, value in extras.items():
        if isinstance(value, dict) and key in model:
            _merge(value, model[key])
        else:
            model[key] = value


def validate(service_name: str, operation: str, value: Any) -> dict:
    """Return the request as the model reads it: known members only, of the model's types.

    Raises Serialization where a value is of another JSON type than the model's, InvalidInput naming every
    violated constraint otherwise.
    """
    model = service(service_name)
    name = model.operations[operation].input
    reader = _Reader(service_name, model.shapes)
    answer = reader.read_structure(model.shapes[name] if name else {"members": {}}, value, "")
    if reader.problems:
        n = len(reader.problems)
        told = "; ".join(reader.problems[:_MOST_TOLD]) + "; …" * (n > _MOST_TOLD)
        raise InvalidInput(f"{n} validation error{'s' * (n > 1)} detected: {told}")
    return answer


class _Reader:
    """Reads one request, gathering violated constraints on the way."""

    def __init__(self, service_name: str, shapes: dict[str, Shape]) -> None:
        self.service_name = service_name
        self.shapes = shapes
        self.problems: list[str] = []

    def read(self, shape: Shape, value: Any, path: str) -> Any:
        kind = shape["type"]
        if kind == "structure":
            return self.read_structure(shape, value, path)
        if kind == "list":
            return self.read_list(shape, value, path)
        if kind == "map":
            return self.read_map(shape, value, path)
        value = _scalar(kind, value, path)
        for constraint, holds in _constraints(shape, value):
            if not holds:
                self.complain(shape, value, path, constraint)
        return value

    def read_structure(self, shape: Shape, value: Any, path: str) -> dict:
        if not isinstance(value, dict):
            raise Serialization(_mismatch(value, "an object", path))
        answer = {}
        for name, reference in shape["members"].items():
            if name not in value:
                continue
            given = value[name]
            here = f"{path}.{name}" if path else name
            if given is None:
                if name == "sentAt":
                    answer[name] = None
                continue
            if reference.get("jsonvalue") and isinstance(given, dict):
                given = msgspec.json.encode(given).decode()
            if name == "numResults" and self.service_name == "personalize-runtime" and isinstance(given, str):
                if given == "NaN":
                    continue
                given = _digits(given)
            answer[name] = self.read(self.shapes[reference["shape"]], given, here)
        for name in shape.get("required", ()):
            if name not in answer:
                here = f"{path}.{name}" if path else name
                self.problems.append(_FAILED.format("null ", here, "Member must not be null"))
        return answer

    def read_list(self, shape: Shape, value: Any, path: str) -> list:
        if not isinstance(value, list):
            raise Serialization(_mismatch(value, "a list", path))
        if not self.fits(shape, value, path):
            return []
        member = self.shapes[shape["member"]["shape"]]
        if None in value:
            self.complain(shape, value, path, "Member must not be null")
            value = [given for given in value if given is not None]
        if member["type"] in _NESTED:
            return [self.read(member, given, f"{path}.{i}.member") for i, given in enumerate(value, 1)]
        answer = [_scalar(member["type"], given, f"{path}.{i}.member") for i, given in enumerate(value, 1)]
        if not all(_satisfies(member, given) for given in answer):
            self.complain(shape, value, path, f"Member must satisfy constraint: [{_stated(member)}]")
        return answer

    def read_map(self, shape: Shape, value: Any, path: str) -> dict:
        if not isinstance(value, dict):
            raise Serialization(_mismatch(value, "an object", path))
        value = {name: given for name, given in value.items() if given is not None}
        if not self.fits(shape, value, path):
            return {}
        key, member = self.shapes[shape["key"]["shape"]], self.shapes[shape["value"]["shape"]]
        if not all(_satisfies(key, name) for name in value):
            self.complain(shape, value, path, f"Map keys must satisfy constraint: [{_stated(key)}]")
        if member["type"] in _NESTED:
            return {name: self.read(member, given, f"{path}.{name}.member") for name, given in value.items()}
        answer = {name: _scalar(member["type"], given, f"{path}.{name}") for name, given in value.items()}
        if not all(_satisfies(member, given) for given in answer.values()):
            self.complain(shape, value, path, f"Map value must satisfy constraint: [{_stated(member)}]")
        return answer

    def fits(self, shape: Shape, value: list | dict, path: str) -> bool:
        """Return whether a list or map has an allowed size; of one that has not, the members are not read."""
        size, least = len(value), shape.get("min", 0)
        if "max" in shape and size > shape["max"]:
            self.complain(shape, value, path, f"Member must have length less than or equal to {shape['max']}")
        if size < least:
            self.complain(shape, value, path, f"Member must have length greater than or equal to {least}")
        return least <= size <= shape.get("max", size)

    def complain(self, shape: Shape, value: Any, path: str, constraint: str) -> None:
        quoted = "" if self.sensitive(shape) else f"'{_quote(value)}' "
        self.problems.append(_FAILED.format(quoted, path, constraint))

    def sensitive(self, shape: Shape) -> bool:
        """Whether values must not be repeated in a message: as the model says, also of what a list holds."""
        parts = [self.shapes[shape[part]["shape"]] for part in ("member", "value") if part in shape]
        return bool(shape.get("sensitive")) or any(map(self.sensitive, parts))


_NESTED = {"structure", "list", "map"}
_FAILED = "Value {}at '{}' failed to satisfy constraint: {}"


def _scalar(kind: str, value: Any, path: str) -> Any:
    """Return ``value`` as the model's scalar type. Raises Serialization."""
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
    if kind == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise Serialization(f"{path}: '{_quote(value)}' is not base64") from None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in ("integer", "long") and number and value == value // 1:
        if abs(value) <= LARGEST_INTEGER:
            return int(value)
        raise Serialization(f"{path}: {_quote(value)} is out of the range of an Integer")
    if kind in ("double", "float") and number:
        try:
            return float(value)
        except OverflowError:
            raise Serialization(f"{path}: the number is out of the range of a Double") from None
    if kind == "timestamp" and (number or isinstance(value, str)):
        return _time(value, path)
    raise Serialization(_mismatch(value, _NAMES[kind], path))


_NAMES = {
    "string": "a String",
    "boolean": "a Boolean",
    "integer": "an Integer",
    "long": "a Long",
    "double": "a Double",
    "float": "a Float",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
}


def _mismatch(value: Any, wanted: str, path: str) -> str:
    where = f"{path}: " if path else ""
    if isinstance(value, dict):
        return f"{where}Start of structure or map found where not expected; {wanted} is expected."
    if isinstance(value, list):
        return f"{where}Start of list found where not expected; {wanted} is expected."
    kinds = {bool: "BOOLEAN_VALUE", str: "STRING_VALUE", type(None): "NULL_VALUE"}
    return f"{where}{kinds.get(type(value), 'NUMBER_VALUE')} can not be converted to {wanted}"


def _digits(text: str) -> int | str:
    """Return the integer that ``text`` writes, else the text."""
    return int(text) if regex.fullmatch(r"-?[0-9]{1,10}", text) else text


def _time(value: float | str, path: str) -> float:
    """Return seconds since 1970 of a number, of digits, or of ISO 8601 text (UTC if it does not say)."""
    if isinstance(value, str):
        try:
            if regex.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value):
                value = float(value)
            else:
                moment = datetime.fromisoformat(value)
                value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise Serialization(
                f"{path}: '{_quote(value)}' is not a time (seconds since 1970, or ISO 8601)"
            ) from None
    if not EARLIEST <= value <= LATEST:
        raise Serialization(f"{path}: {_quote(value)} is not a time in seconds since 1970")
    return float(value)


def _constraints(shape: Shape, value: Any) -> Iterator[tuple[str, bool]]:
    """Yield each constraint of a scalar shape, in words, and whether ``value`` satisfies it."""
    has_length = isinstance(value, (str, bytes))
    size = len(value) if has_length else value
    noun = "length" if has_length else "value"
    # The patterns may be quadratic: they only ever see text of the allowed length.
    fits = "max" not in shape or size <= shape["max"]
    if "max" in shape:
        yield f"Member must have {noun} less than or equal to {shape['max']}", fits
    if "min" in shape:
        yield f"Member must have {noun} greater than or equal to {shape['min']}", size >= shape["min"]
    if "pattern" in shape:
        matches = not fits or bool(pattern(shape["pattern"]).fullmatch(str(value)))
        yield f"Member must satisfy regular expression pattern: {shape['pattern']}", matches
    if "enum" in shape:
        yield f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]", value in shape["enum"]


def _satisfies(shape: Shape, value: Any) -> bool:
    return all(holds for _, holds in _constraints(shape, value))


def _stated(shape: Shape) -> str:
    return ", ".join(words for words, _ in _constraints(shape, "" if shape["type"] == "string" else 0))


def _quote(value: Any, inside: bool = False) -> str:
    """Return a value as AWS's messages print it (as Java does), cut to a readable length and depth."""
    if isinstance(value, (list, dict)) and inside:
        return "…"
    if isinstance(value, list):
        text = f"[{', '.join(_quote(given, True) for given in value[:_LONGEST_QUOTE])}]"
    elif isinstance(value, dict):
        pairs = itertools.islice(value.items(), _LONGEST_QUOTE)
        text = "{" + ", ".join(f"{name}={_quote(given, True)}" for name, given in pairs) + "}"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        text = f"{len(value)} bytes"
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**_LONGEST_QUOTE:
        text = "a number of many digits"
    else:
        text = json.dumps(value)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


@functools.cache
def pattern(text: str) -> regex.Pattern[str]:
    """Return a model's pattern, compiled. Match it in full, as AWS does."""
    return regex.compile(python_pattern(text))


def python_pattern(text: str) -> str:
    """Return a model's Java pattern as ``regex`` reads it; ``\\d`` is only 0-9 in Java."""
    text = _LINEAR.get(text, text)
    parts = []
    in_class = False
    for part in regex.findall(r"\\.|[^\\]", text, flags=regex.DOTALL):
        if part == "[":
            in_class = True
        elif part == "]":
            in_class = False
        elif part == r"\d":
            part = "0-9" if in_class else "[0-9]"
        parts.append(part)
    return "".join(parts)
