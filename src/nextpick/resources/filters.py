"""Filters: what their expressions may name, and what must be there before they work.

Source: developer guide, "Filtering recommendations and user segments".
"""

from nextpick.data.avro import parse_schema
from nextpick.data.filters.grammar import parse
from nextpick.data.filters.resolve import Columns, columns_of, fields_of, resolve
from nextpick.data.filters.terms import Filter
from nextpick.errors import LimitExceeded
from nextpick.resources import views
from nextpick.resources.kinds import DATASET, FILTER
from nextpick.store.records import Resource, Transaction

_MOST_FIELDS = 20


def check(tx: Transaction, group: Resource, filter: Filter) -> Columns:
    """Return what the columns a filter names are; raises InvalidInput for what the group's schemas do not have."""
    schemas = {}
    for dataset in tx.find(DATASET.arn_kind, parent=group.arn):
        schema = tx.get(dataset.body["schemaArn"])
        if schema is not None:
            schemas[dataset.body["datasetType"]] = parse_schema(schema.body["schema"])
    columns = columns_of(schemas)
    resolve(filter, columns)
    named = fields_of(filter)
    return {
        dataset: {name: columns[dataset][name] for of, name in named if of == dataset} for dataset, _ in named
    }


def check_fields(tx: Transaction, group: Resource, filter: Filter) -> None:
    """Raise LimitExceeded when the group's filters would name too many different fields."""
    others = [parse(f.body["filterExpression"]) for f in tx.find(FILTER.arn_kind, parent=group.arn)]
    named = set().union(*map(fields_of, (*others, filter)))
    if len(named) > _MOST_FIELDS:
        raise LimitExceeded(
            f"More than {_MOST_FIELDS} different fields are not allowed in the filters of one dataset group."
        )


def lacking_views(tx: Transaction, group: str, filter: Filter) -> list[Resource]:
    """Return the datasets that a filter needs a view of and that have none of their present data."""
    datasets = tx.find(DATASET.arn_kind, parent=group)
    return [d for d in datasets if d.body["datasetType"] in filter.datasets and views.is_lacking(d)]
