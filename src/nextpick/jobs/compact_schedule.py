"""When what was put into datasets is folded: a day after it was, so that sessions are joined to their users."""

from nextpick.jobs.folding import stream_of
from nextpick.jobs.queue import LIVE
from nextpick.resources import lifecycle, reports
from nextpick.resources.kinds import DATASET
from nextpick.settings import Settings
from nextpick.store import log as event_log
from nextpick.store.records import Records

_LOOK_EVERY_S, _RETRY_S = 60.0, 600.0


class CompactSchedule:
    """Marks where the log is, and queues a compaction up to the mark once it is ``compact_after_s`` old."""

    def __init__(self, records: Records, settings: Settings) -> None:
        self._records, self._settings, self._due = records, settings, 0.0

    def tick(self, now: float) -> None:
        """Look at every dataset, once a minute."""
        after_s = self._settings.compact_after_s
        if now < self._due:
            return
        self._due = now + min(_LOOK_EVERY_S, after_s)
        log_dir = self._settings.home / "log"
        positions = event_log.positions(log_dir)
        with self._records.read() as tx:
            found = [(d, reports.without(tx.find_jobs(arn=d.arn))) for d in tx.find(DATASET.arn_kind)]
        for dataset, jobs in found:
            mark = dataset.internal.get("mark")
            if dataset.status != lifecycle.ACTIVE or any(job.state in (*LIVE, "QUEUED") for job in jobs):
                continue
            if jobs and jobs[-1].state == "FAILED" and now < (jobs[-1].finished_at or 0.0) + _RETRY_S:
                continue
            if mark is not None and now < mark["at"] + after_s:
                continue
            if not event_log.has_events(log_dir, stream_of(dataset), {}):
                continue
            with self._records.write() as tx:
                fresh = tx.get(dataset.arn)
                if fresh is None or fresh.deleted_at is not None:
                    continue
                if mark is None:
                    fresh.internal = {**fresh.internal, "mark": {"at": now, "positions": positions}}
                    tx.save(fresh)
                else:
                    lifecycle.queue_job(tx, "compact", fresh, now)
