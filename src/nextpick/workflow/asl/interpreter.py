"""Goes through a definition, state by state.

It is written as if nothing could go wrong in between. Everything that could turn out differently a second time
(what a task answered, when a state was entered) is recorded; after a crash the same way is gone again over what is
recorded, and no recorded task is run a second time.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from nextpick.workflow.asl import choices, retry
from nextpick.workflow.asl.definition import Definition
from nextpick.workflow.asl.failure import RUNTIME, TASK_FAILED, TIMEOUT, StateFailed
from nextpick.workflow.asl.templates import View, limited, put_result
from nextpick.workflow.tasks.integration import Ask, Integration
from nextpick.workflow.timing import time_text

log = logging.getLogger(__name__)


class Recorded(Protocol):
    """An event as the interpreter needs it."""

    @property
    def id(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def details(self) -> dict[str, Any]: ...


class Journal(Protocol):
    """What has happened, and where to write what happens; see ``workflow.journal``."""

    def find(self, path: str, type: str) -> Recorded | None: ...
    def record(self, path: str, type: str, previous: int, details: dict[str, Any]) -> Recorded: ...
    def flush(self) -> None: ...


class Surroundings(NamedTuple):
    """What a run needs: ``until`` waits for a time, ``find_task`` returns the integration of a Resource."""

    journal: Journal
    until: Callable[[float], Awaitable[None]]
    find_task: Callable[[str], Integration]
    context: dict[str, Any]
    role: str


class Line:
    """States that follow one another: of the machine, of a branch, of one iteration."""

    def __init__(self, run: Surroundings, path: str, last: int, context: dict[str, Any]) -> None:
        self.run, self.path, self.last, self.context = run, path, last, context

    def record(self, place: str, type: str, **details: Any) -> Recorded:
        """Record an event behind the last one of this line."""
        event = self.run.journal.record(place, type, self.last, details)
        self.last = event.id
        return event

    def branch(self, path: str, context: dict[str, Any] | None = None) -> "Line":
        """Return a line that starts here."""
        return Line(self.run, path, self.last, {**self.context, **(context or {})})


class Visit(NamedTuple):
    """One visit of a state: where, when, with what."""

    name: str
    state: dict[str, Any]
    line: Line
    place: str
    data: Any
    entered_at: float

    def view(self, retries: int = 0) -> View:
        """Return what the state's paths look into."""
        entered = time_text(self.entered_at)
        state = {"Name": self.name, "EnteredTime": entered, "RetryCount": retries}
        seed = f"{self.line.context['Execution']['Id']}{self.place}"
        return View(self.data, {**self.line.context, "State": state}, seed)


Step = tuple[Any, str | None]


async def interpret(run: Surroundings, definition: Definition, data: Any) -> tuple[Any, int]:
    """Run a definition; return its output and the id of the last event. Raises StateFailed, with that id in
    ``last``."""
    line = Line(run, "", 1, run.context)
    try:
        return await _follow(definition, data, line), line.last
    except StateFailed as failure:
        failure.last = line.last
        raise


async def _follow(machine: dict[str, Any], data: Any, line: Line) -> Any:
    visits: Counter[str] = Counter()
    name: str | None = machine["StartAt"]
    while name is not None:
        state = machine["States"][name]
        visits[name] += 1
        place = f"{line.path}/{name}:{visits[name]}"
        data, name = await _visit(name, state, data, line, place)
        await asyncio.sleep(0)  # a loop without waits must not keep the others from theirs
    return data


async def _visit(name: str, state: dict[str, Any], data: Any, line: Line, place: str) -> Step:
    kind = state["Type"]
    entered = line.record(place, f"{kind}StateEntered", name=name, input=json.dumps(data))
    visit = Visit(name, state, line, place, data, entered.at)
    output, following = await _KINDS[kind](visit)
    limited(output, f"The output of the state '{name}'")
    line.record(place, f"{kind}StateExited", name=name, output=json.dumps(output))
    return output, following


def _leave(visit: Visit, data: Any) -> Step:
    output = visit.view().of(data).select(visit.state.get("OutputPath", "$"))
    return output, visit.state.get("Next")


async def _pass(visit: Visit) -> Step:
    state, view = visit.state, visit.view()
    given = view.select(state.get("InputPath", "$"))
    result = view.of(given).fill(state["Parameters"]) if "Parameters" in state else given
    result = state.get("Result", result)
    return _leave(visit, put_result(visit.data, result, state.get("ResultPath", "$")))


async def _succeed(visit: Visit) -> Step:
    given = visit.view().select(visit.state.get("InputPath", "$"))
    return visit.view().of(given).select(visit.state.get("OutputPath", "$")), None


async def _fail(visit: Visit) -> Step:
    state, view = visit.state, visit.view()
    said = {name: state.get(name, "") for name in ("Error", "Cause")}
    for name in said:
        if f"{name}Path" in state:
            said[name] = str(view.value(state[f"{name}Path"], f".{name}Path"))
    raise StateFailed(said["Error"], said["Cause"])


async def _choice(visit: Visit) -> Step:
    state, view = visit.state, visit.view()
    given = view.select(state.get("InputPath", "$"))
    for rule in state["Choices"]:
        if choices.holds(rule, view.of(given)):
            following = rule["Next"]
            break
    else:
        following = state.get("Default")
        if following is None:
            raise StateFailed(
                "States.NoChoiceMatched", f"No rule of '{visit.name}' holds, and it has no Default."
            )
    return view.of(given).select(state.get("OutputPath", "$")), following


async def _wait(visit: Visit) -> Step:
    state, view = visit.state, visit.view()
    given = view.select(state.get("InputPath", "$"))
    seconds, stamp = state.get("Seconds"), state.get("Timestamp")
    if "SecondsPath" in state:
        seconds = view.of(given).find(state["SecondsPath"], RUNTIME)
    if "TimestampPath" in state:
        stamp = view.of(given).find(state["TimestampPath"], RUNTIME)
    if seconds is not None:
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            raise StateFailed(RUNTIME, f"'{visit.name}' cannot wait for {seconds!r} seconds.")
        moment = visit.entered_at + seconds
    else:
        found = choices.seconds_of(stamp)
        if found is None:
            raise StateFailed(RUNTIME, f"'{visit.name}' cannot wait until {stamp!r}.")
        moment = found
    visit.line.run.journal.flush()
    await visit.line.run.until(moment)
    return view.of(given).select(state.get("OutputPath", "$")), state.get("Next")


async def _work(visit: Visit) -> Step:
    """Visit a state that does something, which may fail, be tried again, and be caught."""
    state = visit.state
    counts: Counter[int] = Counter()
    while True:
        retries = sum(counts.values())
        view = visit.view(retries)
        try:
            given = view.select(state.get("InputPath", "$"))
            result = await _WORK[state["Type"]](visit, view.of(given), f"{visit.place}~{retries}")
            if "ResultSelector" in state:
                result = view.of(result).fill(state["ResultSelector"], ".ResultSelector")
            return _leave(visit, put_result(visit.data, result, state.get("ResultPath", "$")))
        except StateFailed as failure:
            delay = retry.delay_s(state, failure, counts, view.seed)
            if delay is not None:
                visit.line.run.journal.flush()
                await visit.line.run.until((failure.at or visit.entered_at) + delay)
                continue
            catcher = retry.catcher_of(state, failure)
            if catcher is None:
                raise
            said = {"Error": failure.error, "Cause": failure.cause}
            return put_result(visit.data, said, catcher.get("ResultPath", "$")), catcher["Next"]


async def _task(visit: Visit, view: View, place: str) -> Any:
    state, line, journal = visit.state, visit.line, visit.line.run.journal
    given = view.fill(state["Parameters"]) if "Parameters" in state else view.data
    task = line.run.find_task(state["Resource"])
    timeout = state.get("TimeoutSeconds")
    if "TimeoutSecondsPath" in state:
        timeout = view.find(state["TimeoutSecondsPath"], RUNTIME)
    is_resumed = journal.find(place, task.events.scheduled) is not None
    scheduled = line.record(place, task.events.scheduled, **task.describe(given, timeout))
    line.record(place, task.events.started, **task.about)
    deadline = None if timeout is None else scheduled.at + timeout
    ended = _ended(task, line, place)
    if ended is None:
        ask = Ask(given, f"{line.context['Execution']['Id']}{place}", scheduled.at, is_resumed, line.run.role)
        journal.flush()
        await _perform(task, ask, line, place, deadline)
        journal.flush()
        ended = _ended(task, line, place)
    assert ended is not None
    return ended


def _ended(task: Integration, line: Line, place: str) -> Any:
    """Return what a task that was run has answered; None when it was not. Raises StateFailed where it failed."""
    journal, events = line.run.journal, task.events
    if (done := journal.find(place, events.succeeded)) is not None:
        line.last = done.id
        return _Answer(json.loads(done.details["output"]))
    for type in (events.failed, events.timed_out):
        if (failed := journal.find(place, type)) is not None:
            line.last = failed.id
            raise StateFailed(failed.details["error"], failed.details["cause"], failed.at)
    return None


class _Answer(NamedTuple):
    value: Any


async def _perform(task: Integration, ask: Ask, line: Line, place: str, deadline: float | None) -> None:
    """Run a task and record how it ended."""
    work = asyncio.ensure_future(task.run(ask))
    late = None if deadline is None else asyncio.ensure_future(line.run.until(deadline))
    try:
        await asyncio.wait({work, late} if late else {work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            cause = "The task did not end within TimeoutSeconds."
            line.record(place, task.events.timed_out, **task.about, error=TIMEOUT, cause=cause)
            return
        result = limited(work.result(), "The result of the task")
        line.record(place, task.events.succeeded, **task.about, output=json.dumps(result))
    except StateFailed as failure:
        line.record(place, task.events.failed, **task.about, error=failure.error, cause=failure.cause)
    except Exception as error:
        log.exception("the task at %s failed", place)
        cause = f"{type(error).__name__}: {error}"
        line.record(place, task.events.failed, **task.about, error=TASK_FAILED, cause=cause)
    finally:
        for one in (work, late):
            if one is not None and not one.done():
                one.cancel()


async def _do_task(visit: Visit, view: View, place: str) -> Any:
    return (await _task(visit, view, place)).value


async def _parallel(visit: Visit, view: View, place: str) -> Any:
    state, line = visit.state, visit.line
    given = view.fill(state["Parameters"]) if "Parameters" in state else view.data

    async def branch(number: int) -> Any:
        return await _follow(state["Branches"][number], given, line.branch(f"{place}/{number}"))

    line.record(place, "ParallelStateStarted")
    return await _together(visit, place, branch, len(state["Branches"]), 0)


async def _map(visit: Visit, view: View, place: str) -> Any:
    state, line = visit.state, visit.line
    items = view.find(state.get("ItemsPath", "$"), RUNTIME)
    if not isinstance(items, list):
        raise StateFailed(RUNTIME, f"The ItemsPath of '{visit.name}' leads to no array.")
    most = state.get("MaxConcurrency", 0)
    if "MaxConcurrencyPath" in state:
        most = view.find(state["MaxConcurrencyPath"], RUNTIME)
    selector = state.get("ItemSelector", state.get("Parameters"))
    processor = state.get("ItemProcessor") or state["Iterator"]

    async def iteration(number: int) -> Any:
        item = {"Map": {"Item": {"Index": number, "Value": items[number]}}}
        inner = line.branch(f"{place}/{number}", item)
        about = {"name": visit.name, "index": number}
        inner.record(inner.path, "MapIterationStarted", **about)
        given = items[number]
        try:
            if selector is not None:
                inside = view._replace(context={**view.context, **item}, seed=f"{view.seed}/{number}")
                given = inside.fill(selector)
            result = await _follow(processor, given, inner)
        except StateFailed:
            inner.record(inner.path, "MapIterationFailed", **about)
            raise
        inner.record(inner.path, "MapIterationSucceeded", **about)
        return result

    line.record(place, "MapStateStarted", length=len(items))
    return await _together(visit, place, iteration, len(items), most)


async def _together(
    visit: Visit, place: str, start: Callable[[int], Coroutine[Any, Any, Any]], number: int, most: int
) -> list[Any]:
    """Run branches or iterations at the same time, ``most`` of them (0: all); the first failure ends the others."""
    line, kind, journal = visit.line, visit.state["Type"], visit.line.run.journal
    failed = journal.find(place, f"{kind}StateFailed")
    if failed is not None:  # the others must not go on a second time
        line.last = failed.id
        raise StateFailed(failed.details["error"], failed.details["cause"], failed.at)
    slots = asyncio.Semaphore(most or max(number, 1))

    async def one(index: int) -> Any:
        async with slots:
            return await start(index)

    tasks = [asyncio.ensure_future(one(index)) for index in range(number)]
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        results = [task.result() for task in tasks if task.done()]
    except StateFailed as failure:
        said = {"error": failure.error, "cause": failure.cause}
        event = line.record(place, f"{kind}StateFailed", **said)
        journal.flush()
        raise StateFailed(failure.error, failure.cause, event.at) from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    line.record(place, f"{kind}StateSucceeded")
    return results


_WORK: dict[str, Callable[[Visit, View, str], Awaitable[Any]]] = {
    "Task": _do_task,
    "Parallel": _parallel,
    "Map": _map,
}
_KINDS: dict[str, Callable[[Visit], Awaitable[Step]]] = {
    "Pass": _pass,
    "Succeed": _succeed,
    "Fail": _fail,
    "Choice": _choice,
    "Wait": _wait,
    "Task": _work,
    "Parallel": _work,
    "Map": _work,
}
