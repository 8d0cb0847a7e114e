"""What goes into and out of a state: paths into data and context, payload templates, ResultPath.

Source: Amazon States Language, "Input and output processing".
"""

import json
from typing import Any, NamedTuple

from nextpick.workflow.asl import intrinsics, paths
from nextpick.workflow.asl.failure import DATA_LIMIT, StateFailed

_MOST_BYTES = 262_144


class View(NamedTuple):
    """What the paths of one state look into: its data (``$``) and the context object (``$$``). ``seed``: its
    place."""

    data: Any
    context: dict[str, Any]
    seed: str

    def of(self, data: Any) -> "View":
        """Return the view of other data."""
        return self._replace(data=data)

    def find(self, path: str, error: str = "States.ParameterPathFailure") -> Any:
        """Return what a path selects. Raises StateFailed under the name ``error``."""
        try:
            if path.startswith("$$"):
                return paths.parse(path[1:]).find(self.context)
            return paths.parse(path).find(self.data)
        except paths.PathError as reason:
            raise StateFailed(error, str(reason)) from None

    def value(self, text: str, at: str) -> Any:
        """Return what a path or a call of an intrinsic function gives; ``at`` tells calls of one state apart."""
        if intrinsics.is_call(text):
            place = intrinsics.Place(self.find, f"{self.seed}{at}")
            return intrinsics.evaluate(intrinsics.parse(text), place)
        return self.find(text)

    def fill(self, template: Any, at: str = "") -> Any:
        """Return a payload template with the values of its members ``name.$`` filled in."""
        if isinstance(template, dict):
            return {
                key.removesuffix(".$") if key.endswith(".$") else key: self.value(value, f"{at}.{key}")
                if key.endswith(".$")
                else self.fill(value, f"{at}.{key}")
                for key, value in template.items()
            }
        if isinstance(template, list):
            return [self.fill(value, f"{at}.{number}") for number, value in enumerate(template)]
        return template

    def select(self, path: str | None) -> Any:
        """Return what InputPath or OutputPath lets through; null is an empty object."""
        return {} if path is None else self.find(path, "States.Runtime")


def put_result(data: Any, result: Any, path: str | None) -> Any:
    """Return a state's data with its result at ResultPath; null leaves the data as it was. Raises StateFailed."""
    if path is None:
        return data
    try:
        return paths.parse(path).put(data, result)
    except paths.PathError as error:
        raise StateFailed("States.ResultPathMatchFailure", str(error)) from None


def limited(value: Any, what: str) -> Any:
    """Return a value that is small enough to be passed on. Raises StateFailed (States.DataLimitExceeded)."""
    if len(json.dumps(value, separators=(",", ":"))) > _MOST_BYTES:
        raise StateFailed(DATA_LIMIT, f"{what} is larger than {_MOST_BYTES} bytes.")
    return value
