"""What was put into a dataset, written as a part of it; the log's rows are then no longer needed for its data.

A fold goes from the position that the dataset's record names to a later one, and the record takes part and position
together: no row is folded twice or left out, whatever is killed when.
"""

from nextpick.data import kinds
from nextpick.data.avro import Schema
from nextpick.data.filters.resolve import EVENTS
from nextpick.data.put_table import table_of
from nextpick.data.streamed import rows_of
from nextpick.data.table import write_part
from nextpick.jobs.work import Work, datasets_dir
from nextpick.resources.datasets import PUT, Fold
from nextpick.store import log as event_log
from nextpick.store.records import Resource


def fold(work: Work, dataset: Resource, schema: Schema, upto: dict[str, int] | None = None) -> Fold:
    """Write what was put up to a position of the log (by default: now) beside the dataset's parts.

    Raises DataFailure or Stopped as the writing of a part does; the part counts when the record takes the fold.
    """
    kind = kinds.find(dataset.body["datasetType"], None)
    assert kind is not None
    after = dataset.internal.get("folded", {})
    upto = event_log.positions(work.settings.home / "log") if upto is None else upto
    log_dir = work.settings.home / "log"
    if kind.dataset_type in EVENTS:
        events = event_log.read_between(log_dir, stream_of(dataset), after, upto)
        table = rows_of(events, schema, kind)
    else:
        table = table_of(event_log.read_records(log_dir, dataset.arn, after, upto), schema, kind)
    if not table.num_rows:
        return Fold(None, 0, after, upto)
    part = f"{PUT}{work.job.id}.{work.job.fence}"
    write_part(
        table, schema, kind, datasets_dir(work.settings.home) / dataset.internal["dir"] / part, work.run
    )
    return Fold(part, table.num_rows, after, upto)


def stream_of(dataset: Resource) -> str:
    """Return under which ARN the log has what is put into a dataset: its group's for interactions, else its own."""
    return (dataset.parent or "") if dataset.body["datasetType"] == "INTERACTIONS" else dataset.arn
