"""Asynchronous invocations: run when they are due, again where they fail, with a message about how they ended.

Source: AWS Lambda Developer Guide, "Invoking a Lambda function asynchronously", "How Lambda handles errors and retries
with asynchronous invocation", "Capturing records of Lambda asynchronous invocations".
"""

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from nextpick.functions.client import FunctionBusy
from nextpick.functions.destinations import deliver
from nextpick.functions.events import Event, Message, Queue
from nextpick.functions.host import Host
from nextpick.functions.process import Outcome
from nextpick.functions.registry import LATEST, Function, Retries

_TOGETHER = 8  # so many run at once, that those who wait for an answer find room
_MESSAGES = 4
_LOOK_S = 2.0  # whoever enqueues says so; this is for when that was not heard
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 600.0  # between deliveries

log = logging.getLogger(__name__)


class Asynchronous:
    """Runs the events of a host's home, on its event loop. ``client(service)`` makes a boto3 client."""

    def __init__(self, host: Host, client: Callable[..., Any]) -> None:
        self._host, self._client = host, client
        self._queue = Queue(host.settings.home)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")  # the queue's only one
        self._woken = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._delivering: dict[str, asyncio.Task[None]] = {}
        host.wake = self._woken.set

    async def run(self) -> None:
        """Run what is due, for ever."""
        while True:
            self._woken.clear()
            now = self._host.clock.now()
            room = _TOGETHER - len(self._running)
            if room > 0:
                for event in await self._ask(self._queue.due, now, room + len(self._running), self._full()):
                    if event.id not in self._running and len(self._running) < _TOGETHER:
                        self._begin(self._running, event.id, self._attempt(event))
            for message in await self._ask(self._queue.messages, now, _MESSAGES + len(self._delivering)):
                if message.id not in self._delivering and len(self._delivering) < _MESSAGES:
                    self._begin(self._delivering, message.id, self._deliver(message))
            due = await self._ask(self._queue.next_due)
            pause = _LOOK_S if due is None else min(_LOOK_S, max(0.0, due - self._host.clock.now()))
            if self._running and pause == 0.0:
                pause = _LOOK_S  # what is due is running, or waits for one that is, which wakes us at its end
            try:
                async with asyncio.timeout(max(pause, 0.01)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _full(self) -> list[str]:
        """Return the functions that have no room for another invocation."""
        return [function.arn for function in self._host.registry.list() if not self._host.has_room(function)]

    def _begin(self, tasks: dict[str, asyncio.Task[None]], key: str, work: Any) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            del tasks[key]
            self._woken.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("event %s", key, exc_info=error)

        tasks[key] = task = asyncio.create_task(work)
        task.add_done_callback(ended)

    async def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, *arguments)

    async def _attempt(self, event: Event) -> None:
        function = self._host.find(event.function)
        if function is None:
            log.warning("event %s is dropped: its function %s was deleted", event.id, event.function)
            await self._ask(self._queue.settle, event, "", b"", self._host.clock.now())
            return
        retries = function.retries or Retries()
        if self._host.clock.now() - event.put_at > retries.age_s:
            await self._end(event, function, retries, None, "EventAgeExceeded")
            return
        try:
            outcome = await self._host.invoke(
                function, event.function, event.id, event.payload, event.context
            )
        except FunctionBusy:
            await self._ask(self._queue.postpone, event, self._host.clock.now() + 1.0, event.attempts)
            return
        attempts = event.attempts + 1
        if outcome.error is None:
            await self._end(event, function, retries, outcome, "Success")
        elif attempts > retries.attempts:
            await self._end(event, function, retries, outcome, "RetriesExhausted")
        else:
            pause = self._host.settings.function_retry_s * 2 ** (attempts - 1)
            await self._ask(self._queue.postpone, event, self._host.clock.now() + pause, attempts)

    async def _end(
        self, event: Event, function: Function, retries: Retries, outcome: Outcome | None, condition: str
    ) -> None:
        now = self._host.clock.now()
        destination = retries.on_success if condition == "Success" else retries.on_failure
        body = record_of(event, function, outcome, condition, now) if destination else b""
        await self._ask(self._queue.settle, event, destination, body, now)

    async def _deliver(self, message: Message) -> None:
        now = self._host.clock.now()
        try:
            await asyncio.to_thread(deliver, self._client, message)
        except Exception as error:
            if now - message.put_at > Retries().age_s:
                log.error(
                    "%s was not told of event %s: %s; it is given up", message.destination, message.id, error
                )
                await self._ask(self._queue.delivered, message)
                return
            log.warning("%s could not be told of event %s: %s", message.destination, message.id, error)
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**message.attempts)
            await self._ask(self._queue.redeliver, message, now + pause)
        else:
            await self._ask(self._queue.delivered, message)

    async def close(self) -> None:
        """Stop; what was running is run again at the next start."""
        tasks = [*self._running.values(), *self._delivering.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown()
        self._queue.close()


def record_of(event: Event, function: Function, outcome: Outcome | None, condition: str, now: float) -> bytes:
    """Return what a destination is told: Lambda's invocation record, version 1.0."""
    moment = datetime.fromtimestamp(now, UTC)
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z",
        "requestContext": {
            "requestId": event.id,
            "functionArn": event.function if event.function != function.arn else f"{function.arn}:{LATEST}",
            "condition": condition,
            "approximateInvokeCount": event.attempts + (outcome is not None),
        },
        "requestPayload": json.loads(event.payload),
    }
    if outcome is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": function.version}
        if outcome.error is not None:
            context["functionError"] = outcome.error
        record |= {"responseContext": context, "responsePayload": json.loads(outcome.payload)}
    return json.dumps(record).encode()
