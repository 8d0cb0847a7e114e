"""Which columns a solution or recommender is trained on.

Source: developer guide, "Configuring columns used when training"; API reference, TrainingDataConfig.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nextpick.data import kinds
from nextpick.errors import InvalidInput
from nextpick.resources.datasets import schemas_of
from nextpick.store.records import Transaction

EXCLUDED, INCLUDED = "excludedDatasetColumns", "includedDatasetColumns"


def check(tx: Transaction, group: str, config: Mapping[str, Any]) -> None:
    """Raise InvalidInput, naming it, for a column that is not there, or that may not be left out, and for a dataset of
    which columns are both included and excluded."""
    schemas = schemas_of(tx, group)
    for member in (EXCLUDED, INCLUDED):
        for dataset_type, columns in config.get(member, {}).items():
            kind = kinds.find(dataset_type.upper(), None)  # what a domain requires too may be left out
            if kind is None:
                raise InvalidInput(f"{member} names {dataset_type}, which is no type of dataset.")
            schema = schemas.get(kind.dataset_type)
            for column in columns:
                if member == EXCLUDED and (column == "EVENT_TYPE" or column in kind.required):
                    raise InvalidInput(
                        f"The column {column} of {dataset_type} cannot be excluded from training."
                    )
                if schema is not None and schema.field(column) is None:
                    raise InvalidInput(f"{member} names {column}, which {dataset_type} does not have.")
    both = set(_upper(config, EXCLUDED)) & set(_upper(config, INCLUDED))
    if both:
        raise InvalidInput(f"{', '.join(sorted(both))} cannot be in both {EXCLUDED} and {INCLUDED}.")


def left_out(
    tx: Transaction, group: str, config: Mapping[str, Any], new: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Return by type of dataset the columns that are left out: the excluded ones, of a dataset with included ones all
    other metadata, and ``new`` ones, which came later."""
    found: dict[str, list[str]] = {}
    for columns in (_upper(config, EXCLUDED), new or {}):
        for dataset_type, names in columns.items():
            found.setdefault(dataset_type, []).extend(names)
    schemas = schemas_of(tx, group)
    for dataset_type, names in _upper(config, INCLUDED).items():
        kind, schema = kinds.find(dataset_type, None), schemas.get(dataset_type)
        if kind is not None and schema is not None:
            others = [f.name for f in schema.fields if kind.is_metadata(f.name) and f.name not in names]
            found.setdefault(dataset_type, []).extend(others)
    return found


def _upper(config: Mapping[str, Any], member: str) -> dict[str, list[str]]:
    return {dataset_type.upper(): names for dataset_type, names in config.get(member, {}).items()}
