"""The expressions of attributed metrics: ``SUM(Items.PRICE)``, ``SUM(Interactions.EVENT_VALUE)``, ``SAMPLECOUNT()``.

Functions, datasets and columns are read in any letter case. Source: developer guide, "Creating a metric attribution".
"""

import re
from typing import NamedTuple

from nextpick.data.avro import Schema
from nextpick.errors import InvalidInput

WINDOW_S = 900
UNDEFINED = "SOURCE_NAME_UNDEFINED"

NUMERIC = ("int", "long", "float", "double")

_EXPRESSION = re.compile(
    r"\s*(?:(SAMPLECOUNT)\s*\(\s*\)|(SUM)\s*\(\s*(ITEMS|INTERACTIONS)\s*\.\s*(\w+)\s*\))\s*", re.IGNORECASE
)


class Metric(NamedTuple):
    """A metric: the events of ``event_type`` (any letter case) are counted, or a number of theirs is summed.

    ``function`` is "samplecount" or "sum"; ``dataset`` is "ITEMS" or "INTERACTIONS" and ``column`` its column as the
    schema names it, both empty for a count.
    """

    name: str
    event_type: str
    function: str
    dataset: str = ""
    column: str = ""


class Cell(NamedTuple):
    """A sum: of a metric's events from a source in a window, which starts at ``window`` seconds since 1970."""

    metric: str
    event_type: str
    function: str
    source: str
    window: int
    value: float


def parse_metric(name: str, event_type: str, expression: str, schemas: dict[str, Schema]) -> Metric:
    """Read a metric; ``schemas`` are those of the dataset group by type of dataset (upper case).

    Raises InvalidInput naming the expression, the dataset or the column that cannot be.
    """
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise InvalidInput(
            f"The expression {expression!r} of metric {name} is none of SUM(Items.COLUMN), "
            "SUM(Interactions.COLUMN) and SAMPLECOUNT()."
        )
    if match[1]:
        return Metric(name, event_type, "samplecount")
    dataset = match[3].upper()
    schema = schemas.get(dataset)
    if schema is None:
        raise InvalidInput(
            f"Metric {name} sums {match[4]} of the {dataset} dataset, which the dataset group does not have."
        )
    found = [field for field in schema.fields if field.name.upper() == match[4].upper()]
    field = schema.field(match[4]) or (found[0] if len(found) == 1 else None)
    if field is None:
        raise InvalidInput(f"Metric {name} sums {match[4]}, which is no column of the {dataset} schema.")
    if field.type not in NUMERIC or field.categorical:
        kind = "categorical" if field.categorical else field.type
        raise InvalidInput(f"Metric {name} sums {field.name} of {dataset}, which is {kind} and not numeric.")
    return Metric(name, event_type, "sum", dataset, field.name)
