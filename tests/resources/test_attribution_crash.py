"""kill -9 of jobs and of the whole server between events: each event is in the sums once."""

import contextlib
import os
import signal
import time
from pathlib import Path

from attribution_world import COUNT, Market

from served import Server, jobs_of

EVENTS = 60


def send(server: Server, tracker: str, round: int) -> None:
    """Send events that are answered 200."""
    events = [
        {"eventType": "watch", "sentAt": time.time(), "itemId": "i1", "eventId": f"{round}-{i}"}
        for i in range(10)
    ]
    for _ in range(EVENTS // 10):
        server.events.put_events(trackingId=tracker, sessionId="s", userId="u", eventList=events)


def counted(server: Server, arn: str) -> float:
    """Return how many events are in the sums."""
    metrics = server.nextpick.get_attribution_metrics(metricAttributionArn=arn)["metrics"]
    return sum(one["value"] for one in metrics)


def test_what_is_killed_counts_no_event_twice_and_loses_none(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", NEXTPICK_ATTRIBUTION_EVERY_S="0.05")
    server.start()
    try:
        market = Market(server)
        tracker = server.personalize.create_event_tracker(name="t", datasetGroupArn=market.group)[
            "trackingId"
        ]
        arn = market.attribute(COUNT)
        sent = 0
        for round in range(4):
            jobs: list[int] = []
            while not jobs:  # they are short
                send(server, tracker, sent)
                sent += 1
                soon = time.monotonic() + 0.3
                while not jobs and time.monotonic() < soon:
                    jobs = jobs_of(server.pid)
            time.sleep(0.02 * round)  # at different stages of the job
            if round % 2:
                server.kill()
                server.start()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(jobs[0], signal.SIGKILL)
            deadline = time.monotonic() + 60
            while counted(server, arn) < sent * EVENTS:
                assert time.monotonic() < deadline, counted(server, arn)
                time.sleep(0.1)
            assert counted(server, arn) == sent * EVENTS
    finally:
        server.stop()
