"""When metric attributions are worked on: as soon as the log has events that they have not counted."""

from nextpick.jobs.queue import LIVE
from nextpick.resources import attributions, lifecycle
from nextpick.resources.kinds import METRIC_ATTRIBUTION
from nextpick.settings import Settings
from nextpick.store import log as event_log
from nextpick.store.records import Job, Records, Resource

_RETRY_S = 600.0


class AttributionSchedule:
    """Queues the counting of new events, for each attribution every ``attribution_every_s`` at most."""

    def __init__(self, records: Records, settings: Settings) -> None:
        self._records, self._settings = records, settings
        self._due = 0.0
        self._without: dict[str, attributions.Positions] = {}  # up to here the log has no events of the group

    def tick(self, now: float) -> None:
        """Queue a job for every attribution with new events that has none."""
        if now < self._due:
            return
        self._due = now + self._settings.attribution_every_s
        with self._records.read() as tx:
            found = tx.find(METRIC_ATTRIBUTION.arn_kind, status=(lifecycle.ACTIVE,))
            jobs = {a.arn: tx.find_jobs(arn=a.arn) for a in found}
        if not found:
            return
        positions = event_log.positions(self._settings.home / "log")
        for attribution in found:
            if not _waits(jobs[attribution.arn], now) and self._is_behind(attribution, positions):
                with self._records.write() as tx:
                    tx.forget_jobs(attribution.arn)
                    lifecycle.queue_job(tx, "attribute", attribution, now)

    def _is_behind(self, attribution: Resource, positions: attributions.Positions) -> bool:
        read, without = attributions.counted(attribution), self._without.get(attribution.arn, {})
        after = {name: max(read.get(name, 0), without.get(name, 0)) for name in positions}
        if all(last <= after[name] for name, last in positions.items()):
            return False
        if event_log.has_events(self._settings.home / "log", attribution.parent or "", after):
            return True
        self._without[attribution.arn] = positions
        return False


def _waits(jobs: list[Job], now: float) -> bool:
    """Tell whether a job is at it, or the last one failed a short while ago."""
    if any(job.state in (*LIVE, "QUEUED") for job in jobs):
        return True
    return bool(jobs) and jobs[-1].state == "FAILED" and now < (jobs[-1].finished_at or 0.0) + _RETRY_S
