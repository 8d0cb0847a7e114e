"""What an import of interactions adds to its group's metric attribution: a report in S3, and sums when INCREMENTAL.

Source: developer guide, "Publishing metric attribution reports to Amazon S3".
"""

from pathlib import Path

from nextpick.access.job import Refused
from nextpick.data.attribution import Attribution, of_part, report
from nextpick.data.avro import Schema
from nextpick.data.expressions import Cell
from nextpick.jobs.attribute import gather
from nextpick.jobs.work import JobFailure, Work
from nextpick.resources import attributions
from nextpick.store import blobs
from nextpick.store.put import put_file
from nextpick.store.records import Resource, Transaction, evolve


class ImportAttribution:
    """The part of one import job in a metric attribution, if its group has one."""

    def __init__(self, work: Work, attribution: Resource | None) -> None:
        self._work, self._attribution = work, attribution
        body = work.resource.body
        self._adds = attribution is not None and body["importMode"] == "INCREMENTAL"
        self._target: tuple[str, str] | None = None
        self._cells: list[Cell] = []
        if attribution is not None and body.get("publishAttributionMetricsToS3"):
            self._target = self._allowed_target(attribution)

    def measure(self, part: Path, schema: Schema) -> None:
        """Sum up the events of an imported part and write the report. Raises JobFailure, DataFailure, Stopped.

        A job that is started again writes the same report to the same place.
        """
        if self._attribution is None or not (self._adds or self._target):
            return
        attribution = Attribution(*gather(self._work, self._attribution))
        of_part(attribution, part, schema, self._work.run)
        self._cells = attribution.cells()
        if self._target is not None:
            kept, _ = attributions.admitted(self._attribution.internal["sources"], self._cells)
            file = part / "report.csv"
            file.write_text(report(kept), encoding="utf-8")
            try:
                put_file(file, *self._target, self._work.settings, owner=f"job-{self._work.job.id}")
            except blobs.BlobError as error:
                raise JobFailure(str(error)) from None
            file.unlink()

    def record(self, tx: Transaction, now: float) -> None:
        """Add the sums of an INCREMENTAL import to those of the events, for the metrics that are still there."""
        found = tx.get(self._attribution.arn) if self._attribution is not None and self._adds else None
        if found is not None and found.deleted_at is None:
            cells = [cell for cell in self._cells if cell.metric in found.internal["read"]]
            attributions.record(tx, found, cells, now)

    def _allowed_target(self, attribution: Resource) -> tuple[str, str] | None:
        """Return bucket and key of the report. Raises JobFailure when its role may not write there."""
        config = attribution.body["metricsOutputConfig"]
        if "s3DataDestination" not in config:
            return None
        job = self._work.resource
        name = f"AggregatedAttributionMetrics - {job.body['importMode']} - {int(job.created_at * 1000)}.csv"
        try:
            bucket, prefix = blobs.parse_location(config["s3DataDestination"]["path"])
            self._check_bucket(bucket)
            key = f"{prefix.removesuffix('/')}/{name}".removeprefix("/")
            access = self._work.access(evolve(attribution, body={"roleArn": config["roleArn"]}))
            access.require("s3:PutObject", bucket, key)
        except (blobs.BlobError, Refused) as error:
            raise JobFailure(str(error)) from None
        return bucket, key

    def _check_bucket(self, bucket: str) -> None:
        """Raise JobFailure when there is no such bucket; one of another S3 service is met when it is written to."""
        settings = self._work.settings
        if not settings.s3_endpoint and not (settings.home / "buckets" / bucket).is_dir():
            raise JobFailure(f"Invalid S3 output path. There is no bucket {bucket}.")


def begin(work: Work, dataset: Resource) -> ImportAttribution:
    """Return an import's part in the metric attribution of its group. Raises JobFailure when it may not report."""
    if dataset.body["datasetType"] != "INTERACTIONS":
        return ImportAttribution(work, None)
    with work.records.read() as tx:
        return ImportAttribution(work, attributions.find(tx, dataset.parent or ""))
