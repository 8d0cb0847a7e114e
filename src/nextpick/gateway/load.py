"""Documents on their way to a deployment: read from a file, checked before anything is kept."""

import json
import re
from pathlib import Path
from typing import Any

from nextpick.clock import SystemClock
from nextpick.gateway.document import DocumentError
from nextpick.gateway.door import Door
from nextpick.gateway.stage import Stage
from nextpick.gateway.store import StageRow
from nextpick.settings import Settings

_LARGEST = 8 << 20
_PSEUDO = {"AWS::Region": "region", "AWS::AccountId": "account"}


def load(path: Path) -> dict[str, Any]:
    """Read a document of JSON or YAML. Raises DocumentError, OSError."""
    if path.stat().st_size > _LARGEST:
        raise DocumentError(f"{path} is larger than {_LARGEST} bytes.")
    text = path.read_text()
    try:
        held = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path} cannot be read: {error}") from None
    if not isinstance(held, dict):
        raise DocumentError(f"{path} is no OpenAPI document.")
    return json.loads(json.dumps(_texts(held), default=str))


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
    door = Door(settings.home, SystemClock(), nothing, nothing, nothing, nothing, nothing)
    Stage(row, held, door)


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Also reads the short forms of CloudFormation's functions."""

    def sub(loader: Any, node: Any) -> Any:
        return {
            "Fn::Sub": loader.construct_scalar(node)
            if node.id == "scalar"
            else loader.construct_sequence(node)
        }

    Loader.add_constructor("!Sub", sub)
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _texts(value: Any) -> Any:
    """Return a document whose keys are texts: YAML reads the status codes of responses as numbers."""
    if isinstance(value, dict):
        return {str(key): _texts(held) for key, held in value.items()}
    return [_texts(held) for held in value] if isinstance(value, list) else value
