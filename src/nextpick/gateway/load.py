"""Documents on their way to a deployment: read from a file, checked before anything is kept."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nextpick.clock import SystemClock
from nextpick.gateway.document import DocumentError
from nextpick.gateway.door import Door
from nextpick.gateway.stage import Stage
from nextpick.gateway.store import StageRow
from nextpick.settings import Settings

_LARGEST = 8 << 20
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.Arn)?\}")


def load(path: Path, settings: Settings) -> dict[str, Any]:
    """Read a document of JSON or YAML; resources of CloudFormation that it names become stage variables.

    Raises DocumentError, OSError.
    """
    if path.stat().st_size > _LARGEST:
        raise DocumentError(f"{path} is larger than {_LARGEST} bytes.")
    text = path.read_text()
    try:
        held = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path} cannot be read: {error}") from None
    if not isinstance(held, dict):
        raise DocumentError(f"{path} is no OpenAPI document.")
    return json.loads(json.dumps(_texts(held, settings), default=str))


def checked(
    held: dict[str, Any],
    title: str,
    stage: str,
    variables: dict[str, str],
    values: dict[str, Any],
    settings: Settings,
) -> None:
    """Raise DocumentError for a document that could not be served: everything is compiled once."""
    if not re.fullmatch("[A-Za-z0-9_-]{1,128}", stage):
        raise DocumentError(f"The stage's name is {stage!r}; it may have letters, digits, - and _.")
    row = StageRow("checked", title, stage, settings.account, settings.region, "", variables, values, 0.0)
    nothing: Any = None
    door = Door(settings.home, SystemClock(), *[nothing] * (len(Door._fields) - 2))
    Stage(row, held, door)


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Also reads the short forms of CloudFormation's functions."""

    def short(name: str) -> Callable[[Any, Any], Any]:
        def construct(loader: Any, node: Any) -> Any:
            is_text = node.id == "scalar"
            return {
                name: loader.construct_scalar(node) if is_text else loader.construct_sequence(node, deep=True)
            }

        return construct

    for tag, name in (("!Sub", "Fn::Sub"), ("!Ref", "Ref"), ("!GetAtt", "Fn::GetAtt")):
        Loader.add_constructor(tag, short(name))
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _texts(value: Any, settings: Settings) -> Any:
    """Return a document whose keys are texts: YAML reads the status codes of responses as numbers. What CloudFormation
    would fill in is filled in."""
    if isinstance(value, dict):
        if len(value) == 1 and (name := next(iter(value))) in _FUNCTIONS:
            return _FUNCTIONS[name](value[name], settings)
        return {str(key): _texts(held, settings) for key, held in value.items()}
    return [_texts(held, settings) for held in value] if isinstance(value, list) else value


def _substituted(given: Any, settings: Settings) -> str:
    """Return what ``Fn::Sub`` gives: ``${Name}`` and ``${Name.Arn}`` of a resource are the stage variable Name."""
    text, given_values = given if isinstance(given, list) else (given, {})
    known = {"AWS::Region": settings.region, "AWS::AccountId": settings.account, "AWS::Partition": "aws"}
    for name, value in {**known, **given_values}.items():
        text = text.replace(f"${{{name}}}", str(_texts(value, settings)))
    return _REFERENCE.sub(r"${stageVariables.\1}", text)


_FUNCTIONS: dict[str, Callable[[Any, Settings], str]] = {
    "Fn::Sub": _substituted,
    "Ref": lambda name, settings: _substituted(f"${{{name}}}", settings),
    "Fn::GetAtt": lambda given, settings: _substituted(
        f"${{{given[0] if isinstance(given, list) else given.partition('.')[0]}}}", settings
    ),
}
