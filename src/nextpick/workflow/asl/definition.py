"""State machine definitions: read, and checked whole before anything runs.

Source: Amazon States Language, "States" and "Top-level fields".
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from nextpick.workflow.asl import choices, intrinsics, paths
from nextpick.workflow.asl.choices import seconds_of

Definition = dict[str, Any]

_EVERY = {"Type", "Comment", "QueryLanguage"}
_INPUT_OUTPUT = {"InputPath", "OutputPath"}
_RESULT = {"ResultPath", "ResultSelector", "Parameters"}
_FLOW = {"Next", "End"}
_ERRORS = {"Retry", "Catch"}
_TIMES = {"TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"}
_WAITS = {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"}

_FIELDS: dict[str, set[str]] = {
    "Task": {"Resource", "Credentials", *_INPUT_OUTPUT, *_RESULT, *_FLOW, *_ERRORS, *_TIMES},
    "Pass": {"Result", "ResultPath", "Parameters", *_INPUT_OUTPUT, *_FLOW},
    "Wait": {*_WAITS, *_INPUT_OUTPUT, *_FLOW},
    "Choice": {"Choices", "Default", *_INPUT_OUTPUT},
    "Succeed": {*_INPUT_OUTPUT},
    "Fail": {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": {"Branches", *_INPUT_OUTPUT, *_RESULT, *_FLOW, *_ERRORS},
    "Map": {
        *("ItemProcessor", "Iterator", "ItemsPath", "ItemSelector", "MaxConcurrency", "MaxConcurrencyPath"),
        *_INPUT_OUTPUT,
        *_RESULT,
        *_FLOW,
        *_ERRORS,
    },
}
_TOP = {"StartAt", "States", "Comment", "Version", "TimeoutSeconds", "QueryLanguage"}
_PATHS = (
    *("InputPath", "OutputPath", "ResultPath", "ItemsPath", "SecondsPath", "TimestampPath", "TimeoutSecondsPath"),
    *("HeartbeatSecondsPath", "MaxConcurrencyPath", "ErrorPath", "CausePath"),
)  # fmt: skip
_MAY_BE_NULL = ("InputPath", "OutputPath", "ResultPath")
_MAY_BE_CALLED = ("ErrorPath", "CausePath")
_RETRIER_NUMBERS = {"IntervalSeconds": 1, "MaxAttempts": 0, "BackoffRate": 1.0, "MaxDelaySeconds": 1}
_RETRIER = {"ErrorEquals", "JitterStrategy", "Comment", *_RETRIER_NUMBERS}

CheckResource = Callable[[str], str | None]
"""Says what is wrong with a Task's Resource, None when it can be run."""


class InvalidDefinition(ValueError):
    """A definition cannot be run; ``problems`` are all the reasons."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse(text: str | bytes, check_resource: CheckResource) -> Definition:
    """Return the definition in a JSON text. Raises InvalidDefinition with everything that is wrong with it."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidDefinition([f"the definition is no JSON: {error}"]) from None
    wrong = list(_machine(found, "", check_resource, is_top=True))
    if wrong:
        raise InvalidDefinition(wrong)
    return found


def _machine(machine: Any, at: str, check: CheckResource, is_top: bool = False) -> Iterator[str]:
    if not isinstance(machine, dict) or not isinstance(machine.get("States"), dict) or not machine["States"]:
        yield f"{at or 'the definition'} has no States"
        return
    states = machine["States"]
    allowed = _TOP if is_top else {*_TOP, "ProcessorConfig"} - {"Version", "TimeoutSeconds"}
    yield from (f"{at}{name} is not a field of a state machine" for name in machine if name not in allowed)
    yield from _language(machine, at or "the definition")
    if machine.get("ProcessorConfig", {}).get("Mode", "INLINE") != "INLINE":
        yield f"{at}ProcessorConfig: only the mode INLINE is spoken"
    if machine.get("StartAt") not in states:
        yield f"{at}StartAt names no state: {machine.get('StartAt')!r}"
    for name, state in states.items():
        yield from _state(state, f"{at}{name}", states, check)
    if machine.get("StartAt") in states:
        reached = _reached(states, machine["StartAt"])
        yield from (f"{at}{name} is reached from no state" for name in states if name not in reached)


def _language(holder: dict[str, Any], at: str) -> Iterator[str]:
    if holder.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield f"{at}: the QueryLanguage {holder['QueryLanguage']} is not spoken, only JSONPath"


def _reached(states: dict[str, Any], start: str) -> set[str]:
    reached, left = set(), [start]
    while left:
        name = left.pop()
        if name in reached or not isinstance(states.get(name), dict):
            continue
        reached.add(name)
        state = states[name]
        rules = [*_listed(state, "Choices"), *_listed(state, "Catch"), state]
        left += [rule[key] for rule in rules for key in ("Next", "Default") if isinstance(rule.get(key), str)]
    return reached


def _listed(state: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = state.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _state(state: Any, at: str, states: dict[str, Any], check: CheckResource) -> Iterator[str]:
    kind = state.get("Type") if isinstance(state, dict) else None
    if kind not in _FIELDS:
        yield f"{at} has the Type {kind!r}, which is none of {', '.join(_FIELDS)}"
        return
    allowed = _FIELDS[kind] | _EVERY
    yield from (f"{at}.{name} is not a field of a {kind} state" for name in state if name not in allowed)
    yield from _language(state, at)
    if "Next" in allowed and ("Next" in state) == bool(state.get("End")):
        yield f"{at} must have either Next or End"
    targets = [state.get("Next"), state.get("Default")]
    targets += [rule.get("Next") for name in ("Choices", "Catch") for rule in _listed(state, name)]
    yield from (
        f"{at} goes to {t!r}, which is no state" for t in targets if t is not None and t not in states
    )
    for name in _PATHS:
        if name in state:
            yield from _path(state[name], f"{at}.{name}", name)
    for name in ("Parameters", "ResultSelector", "ItemSelector"):
        yield from _template(state.get(name), f"{at}.{name}")
    yield from _retries(state, at)
    yield from _OWN.get(kind, lambda *_: iter(()))(state, at, check)


def _path(text: Any, at: str, name: str) -> Iterator[str]:
    if text is None and name in _MAY_BE_NULL:
        return
    if not isinstance(text, str):
        yield f"{at} is no path"
        return
    try:
        if name in _MAY_BE_CALLED and intrinsics.is_call(text):
            intrinsics.parse(text)
            return
        path = paths.parse(text.replace("$$", "$", 1))
    except ValueError as error:
        yield f"{at}: {error}"
        return
    if name == "ResultPath" and not path.is_definite:
        yield f"{at}: {text} may select several values"


def _template(template: Any, at: str) -> Iterator[str]:
    if isinstance(template, list):
        for number, value in enumerate(template):
            yield from _template(value, f"{at}[{number}]")
    if not isinstance(template, dict):
        return
    for key, value in template.items():
        if not key.endswith(".$"):
            yield from _template(value, f"{at}.{key}")
            continue
        try:
            if not isinstance(value, str):
                raise ValueError("the value of a member that ends with .$ must be a text")
            if intrinsics.is_call(value):
                intrinsics.parse(value)
            else:
                paths.parse(value.replace("$$", "$", 1))
        except ValueError as error:
            yield f"{at}.{key}: {error}"


def _retries(state: dict[str, Any], at: str) -> Iterator[str]:
    for name, allowed in (("Retry", _RETRIER), ("Catch", {"ErrorEquals", "Next", "ResultPath", "Comment"})):
        rules = state.get(name, [])
        if not isinstance(rules, list):
            yield f"{at}.{name} is no list"
            continue
        for number, rule in enumerate(rules):
            here = f"{at}.{name}[{number}]"
            errors = rule.get("ErrorEquals") if isinstance(rule, dict) else None
            if not isinstance(errors, list) or not errors or not all(isinstance(e, str) for e in errors):
                yield f"{here}.ErrorEquals is no list of names of errors"
                continue
            if "States.ALL" in errors and (len(errors) > 1 or number < len(rules) - 1):
                yield f"{here}: States.ALL must stand alone, in the last place"
            yield from (f"{here}.{key} is not a field of {name}" for key in rule if key not in allowed)
            if name == "Catch" and "Next" not in rule:
                yield f"{here} has no Next"
            if name == "Catch" and "ResultPath" in rule:
                yield from _path(rule["ResultPath"], f"{here}.ResultPath", "ResultPath")
            for key, least in _RETRIER_NUMBERS.items():
                if key in rule and not _is_number(rule[key], least):
                    yield f"{here}.{key} must be a number from {least}"
            if rule.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
                yield f"{here}.JitterStrategy must be NONE or FULL"


def _is_number(value: Any, least: float = 0) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def _task(state: dict[str, Any], at: str, check: CheckResource) -> Iterator[str]:
    wrong = check(state["Resource"]) if isinstance(state.get("Resource"), str) else "a Task needs one"
    if wrong:
        yield f"{at}.Resource: {wrong}"
    timeout, beat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    for name, value in (("TimeoutSeconds", timeout), ("HeartbeatSeconds", beat)):
        if value is not None and not _is_number(value, 1):
            yield f"{at}.{name} must be a number from 1"
        if value is not None and f"{name}Path" in state:
            yield f"{at} has both {name} and {name}Path"
    if timeout is not None and _is_number(timeout) and _is_number(beat, timeout):
        yield f"{at}.HeartbeatSeconds must be smaller than TimeoutSeconds"


def _wait(state: dict[str, Any], at: str, check: CheckResource) -> Iterator[str]:
    if len(_WAITS & set(state)) != 1:
        yield f"{at} must have exactly one of {', '.join(sorted(_WAITS))}"
    if "Seconds" in state and not (_is_number(state["Seconds"]) and state["Seconds"] <= 99_999_999):
        yield f"{at}.Seconds must be a number from 0 to 99999999"
    if "Timestamp" in state and seconds_of(state["Timestamp"]) is None:
        yield f"{at}.Timestamp must be written as 2024-03-14T01:59:00Z"


def _choice(state: dict[str, Any], at: str, check: CheckResource) -> Iterator[str]:
    rules = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        yield f"{at}.Choices is no list of rules"
        return
    for number, rule in enumerate(rules):
        yield from choices.problems(rule, f"{at}.Choices[{number}]")


def _fail(state: dict[str, Any], at: str, check: CheckResource) -> Iterator[str]:
    for name in ("Error", "Cause"):
        if name in state and f"{name}Path" in state:
            yield f"{at} has both {name} and {name}Path"
        if not isinstance(state.get(name, ""), str):
            yield f"{at}.{name} must be a text"


def _parallel(state: dict[str, Any], at: str, check: CheckResource) -> Iterator[str]:
    branches = state.get("Branches")
    if not isinstance(branches, list) or not branches:
        yield f"{at}.Branches is no list of state machines"
        return
    for number, branch in enumerate(branches):
        yield from _machine(branch, f"{at}.Branches[{number}].", check)


def _map(state: dict[str, Any], at: str, check: CheckResource) -> Iterator[str]:
    held = [name for name in ("ItemProcessor", "Iterator") if name in state]
    if len(held) != 1:
        yield f"{at} must have an ItemProcessor"
        return
    yield from _machine(state[held[0]], f"{at}.{held[0]}.", check)
    most = state.get("MaxConcurrency", 0)
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        yield f"{at}.MaxConcurrency must be a whole number from 0"
    if "Parameters" in state and "ItemSelector" in state:
        yield f"{at} has both Parameters and ItemSelector"


_OWN: dict[str, Callable[[dict[str, Any], str, CheckResource], Iterator[str]]] = {
    "Task": _task,
    "Wait": _wait,
    "Choice": _choice,
    "Fail": _fail,
    "Parallel": _parallel,
    "Map": _map,
}
