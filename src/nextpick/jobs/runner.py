"""The supervisor's hand on the jobs: one subprocess per job, stopped, retried or failed as it ends."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time

from nextpick.clock import Clock
from nextpick.jobs import attribution_schedule, compact_schedule, forks, queue, schedule, sweep, warm
from nextpick.resources import reports
from nextpick.settings import Settings
from nextpick.store.records import Job, Records

_POLL_S = 0.02
_STOP_GRACE_S = 10.0
_LIGHT = ("deploy", "filter", "attribute")  # seconds at most, so they do not wait for a training's slot
_LIGHT_SLOTS = 4
_REPORT_SLOTS = 1  # reports take no slot from what somebody waits for

log = logging.getLogger(__name__)


class _Child:
    def __init__(self, job: Job, process: forks.Process) -> None:
        self.job = job
        self.process = process
        self.kill_at: float | None = None


class JobRunner:
    """Claims queued jobs and runs each in a process of its own; also keeps the schedule and sweeps.

    Exactly one runner works on a home: its owner holds the home's lock.
    """

    def __init__(self, records: Records, settings: Settings, clock: Clock) -> None:
        self._records, self._settings, self._clock = records, settings, clock
        self._children: dict[str, _Child] = {}
        self._attributions = attribution_schedule.AttributionSchedule(records, settings)
        self._compactions = compact_schedule.CompactSchedule(records, settings)
        self._warming: subprocess.Popen | None = None
        self._ending = threading.Event()
        # the read end goes to every child, the write end stays here: when this process is gone, reads end
        self._pipe = os.pipe()
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Deal with what an earlier server left, then work until ``stop``."""
        queue.recover(self._records, self._clock.now(), self._settings.job_attempts)
        sweep.sweep(self._records, self._settings.home)
        self._warming = warm.start(self._pipe[0])
        self._thread.start()

    def stop(self) -> None:
        """End the running processes; their jobs are taken up again at the next start."""
        self._ending.set()
        self._thread.join()
        processes: list[forks.Process] = [child.process for child in self._children.values()]
        if self._warming is not None:
            processes.append(self._warming)
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        for fd in self._pipe:
            os.close(fd)

    def _loop(self) -> None:
        seen, due = b"", 0.0
        while not self._ending.wait(_POLL_S):
            try:
                ended = self._reap()
                version = self._records.version()
                if ended or version != seen or self._children:
                    seen = version
                    self._stop_asked()
                    self._start_queued()
                if time.monotonic() >= due:
                    due = time.monotonic() + 1.0
                    schedule.tick(self._records, self._settings, self._clock.now())
                    self._attributions.tick(self._clock.now())
                    self._compactions.tick(self._clock.now())
                    sweep.bury_the_dead(self._records, self._clock.now() - self._settings.tombstone_s)
            except Exception:
                log.exception("the job runner met an error and goes on")
                self._ending.wait(1.0)

    def _start_queued(self) -> None:
        with self._records.read() as tx:
            queued = tx.find_jobs(states=("QUEUED",))
        for job in queued:
            weight = _weight(job.kind)
            running = [c for c in self._children.values() if _weight(c.job.kind) == weight]
            slots = {"light": _LIGHT_SLOTS, "report": _REPORT_SLOTS}.get(weight, self._settings.job_slots)
            if len(running) >= slots or any(c.job.arn == job.arn for c in running):
                continue
            claimed = queue.claim(self._records, job.id, self._clock.now())
            if claimed is None:
                continue
            try:
                process = self._spawn(claimed)
            except OSError as error:
                self._release(claimed, f"no process could be started ({error.strerror})")
                raise
            self._children[claimed.id] = _Child(claimed, process)

    def _release(self, job: Job, why: str) -> None:
        queue.release(self._records, job, self._clock.now(), why, self._settings.job_attempts)

    def _spawn(self, job: Job) -> forks.Process:
        arguments = (str(self._settings.home), job.id, str(job.fence))
        return forks.start(arguments, self._settings.environ(), self._pipe[0])

    def _stop_asked(self) -> None:
        with self._records.read() as tx:
            asked = {job.id for job in tx.find_jobs(states=("STOPPING",))}
        for child in self._children.values():
            if child.job.id in asked and child.kill_at is None:
                child.kill_at = time.monotonic() + _STOP_GRACE_S

    def _reap(self) -> bool:
        """Deal with the processes that have ended; tell whether there were any."""
        ended = False
        for job_id, child in list(self._children.items()):
            if child.kill_at is not None and time.monotonic() > child.kill_at:
                with contextlib.suppress(ProcessLookupError):
                    child.process.kill()
            status = child.process.poll()
            if status is None:
                continue
            self._release(child.job, _why(status))
            del self._children[job_id]  # only now: a release that could not be written is tried again
            ended = True
        if ended:
            sweep.sweep(self._records, self._settings.home)
        return ended


def _weight(kind: str) -> str:
    """Return whose slots a job takes."""
    return "light" if kind in _LIGHT else "report" if kind in reports.KINDS else "heavy"


def _why(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (", perhaps for memory" if name == "SIGKILL" else "")
    return f"ended with status {status}"
