"""What states do: input and output, choices, waits, branches, failures."""

import json
import threading
from typing import Any

import pytest
from states_world import START, Hall, machine, task

from nextpick.workflow.asl.definition import InvalidDefinition, parse
from nextpick.workflow.asl.failure import StateFailed


def test_a_pass_puts_its_result_where_it_is_told(hall: Hall) -> None:
    states = machine(
        A={"Type": "Pass", "Result": {"x": 1}, "ResultPath": "$.made.here"},
        B={"Type": "Pass", "Parameters": {"n.$": "$.made.here.x", "who.$": "$$.State.Name", "c": [1]}},
    )
    assert hall.output(states, {"kept": True}) == {"n": 1, "who": "B", "c": [1]}
    assert hall.types() == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert [event.previous for event in hall.history()] == [0, 1, 2, 3, 4, 5]


def test_a_task_is_given_parameters_and_its_result_is_selected(hall: Hall) -> None:
    hall.tasks["add"] = lambda ask: {"sum": ask.parameters["a"] + ask.parameters["b"], "noise": "x"}
    states = machine(
        A=task(
            "add",
            InputPath="$.numbers",
            Parameters={"a.$": "$.one", "b": 2},
            ResultSelector={"total.$": "$.sum"},
            ResultPath="$.out",
            OutputPath="$.out.total",
        )
    )
    assert hall.output(states, {"numbers": {"one": 40}}) == 42


def test_null_paths_let_nothing_through(hall: Hall) -> None:
    hall.tasks["echo"] = lambda ask: ask.parameters
    assert hall.output(machine(A=task("echo", InputPath=None, ResultPath=None)), {"a": 1}) == {"a": 1}


def test_choices_are_taken_in_order_with_a_default(hall: Hall) -> None:
    rules = [
        {
            "And": [{"Variable": "$.n", "IsPresent": True}, {"Variable": "$.n", "NumericGreaterThan": 5}],
            "Next": "Big",
        },
        {"Not": {"Variable": "$.s", "StringEquals": "NONE"}, "Next": "Named"},
    ]
    states = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": rules, "Default": "Other"},
            **{name: {"Type": "Pass", "Result": name, "End": True} for name in ("Big", "Named", "Other")},
        },
    }
    for name, given in (("Big", {"n": 6}), ("Named", {"n": 1, "s": "x"}), ("Other", {"s": "NONE"})):
        arn = hall.begin(states, given, name)
        hall.wait(lambda arn=arn: hall.find(arn).status != "RUNNING")
        assert json.loads(hall.find(arn).output or "") == name


def test_waits_last_as_long_as_they_say(hall: Hall) -> None:
    states = machine(
        A={"Type": "Wait", "Seconds": 30},
        B={"Type": "Wait", "SecondsPath": "$.s"},
        C={"Type": "Wait", "Timestamp": "2023-11-14T22:15:00Z"},
        D={"Type": "Wait", "TimestampPath": "$.t"},
    )
    hall.run(states, {"s": 15, "t": "2023-11-14T22:16:00Z"})
    times = [event.at - START for event in hall.history() if event.type == "WaitStateExited"]
    assert times == [30, 45, 100, 160]


def test_branches_run_at_once_and_give_a_list(hall: Hall) -> None:
    meeting = threading.Barrier(2, timeout=20)
    hall.tasks["meet"] = lambda ask: (meeting.wait(), ask.parameters)[1]
    branch = machine(M=task("meet", Parameters={"got.$": "$.v"}))
    assert (
        hall.output(machine(P={"Type": "Parallel", "Branches": [branch, branch]}), {"v": 7})
        == [{"got": 7}] * 2
    )


def test_a_map_runs_as_many_at_once_as_it_may_and_keeps_the_order(hall: Hall) -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work(ask: Any) -> Any:
        with lock:
            running.append(1)
            most.append(len(running))
        with lock:
            running.pop()
        return ask.parameters["n"] * 10

    hall.tasks["work"] = work
    states = machine(
        M={
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemSelector": {"n.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index", "all.$": "$.name"},
            "MaxConcurrency": 2,
            "ItemProcessor": machine(W=task("work")),
        }
    )
    assert hall.output(states, {"items": [3, 1, 2, 5], "name": "x"}) == [30, 10, 20, 50]
    assert max(most) <= 2
    assert hall.types().count("MapIterationSucceeded") == 4


def test_a_failure_is_tried_again_after_growing_pauses(hall: Hall) -> None:
    calls: list[float] = []

    def fail(ask: Any) -> Any:
        calls.append(hall.clock.now() - START)
        raise StateFailed("Personalize.ResourceInUseException", "busy")

    hall.tasks["fail"] = fail
    retry = {
        "ErrorEquals": ["Personalize.ResourceInUseException"],
        "IntervalSeconds": 5,
        "MaxAttempts": 3,
        "MaxDelaySeconds": 15,
    }
    ended = hall.run(machine(A=task("fail", Retry=[retry])))
    assert calls == [0, 5, 15, 30]
    assert (ended.status, ended.error, ended.cause) == (
        "FAILED",
        "Personalize.ResourceInUseException",
        "busy",
    )


def test_jitter_stays_below_the_pause(hall: Hall) -> None:
    calls: list[float] = []

    def fail(ask: Any) -> Any:
        calls.append(hall.clock.now() - START)
        raise StateFailed("Some", "")

    hall.tasks["fail"] = fail
    hall.run(
        machine(
            A=task(
                "fail",
                Retry=[
                    {
                        "ErrorEquals": ["States.ALL"],
                        "IntervalSeconds": 100,
                        "MaxAttempts": 1,
                        "JitterStrategy": "FULL",
                    }
                ],
            )
        )
    )
    assert 0 < calls[1] < 100


def test_a_catch_puts_the_error_beside_the_input(hall: Hall) -> None:
    def fail(ask: Any) -> Any:
        raise StateFailed("Custom", "why")

    hall.tasks["fail"] = fail
    states = {
        "StartAt": "A",
        "States": {
            "A": task(
                "fail",
                End=True,
                Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "B"}],
            ),
            "B": {"Type": "Succeed"},
        },
    }
    assert hall.output(states, {"kept": 1}) == {"kept": 1, "error": {"Error": "Custom", "Cause": "why"}}


def test_a_failing_branch_ends_the_others(hall: Hall) -> None:
    fails = machine(F={"Type": "Fail", "Error": "Broken", "CausePath": "States.Format('no {}', $.v)"})
    waits = machine(W={"Type": "Wait", "Seconds": 10_000})
    ended = hall.run(machine(P={"Type": "Parallel", "Branches": [waits, fails]}), {"v": "way"})
    assert (ended.error, ended.cause) == ("Broken", "no way")
    assert hall.clock.now() == START


def test_a_task_that_takes_too_long_times_out(hall: Hall) -> None:
    release = threading.Event()
    hall.tasks["slow"] = lambda ask: release.wait(20)
    ended = hall.run(machine(A=task("slow", TimeoutSeconds=60)))
    release.set()
    assert (ended.status, ended.error) == ("FAILED", "States.Timeout")
    assert hall.clock.now() == START + 60


def test_an_execution_that_takes_too_long_times_out(hall: Hall) -> None:
    ended = hall.run({**machine(W={"Type": "Wait", "Seconds": 100}), "TimeoutSeconds": 50})
    assert (ended.status, ended.error) == ("TIMED_OUT", "States.Timeout")


def test_an_endless_loop_ends_with_the_history(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextpick.workflow.executions.MOST_EVENTS", 200)
    ended = hall.run({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}})
    assert ended.error == "States.Runtime"
    assert "maximum number of history events" in (ended.cause or "")


def test_what_no_choice_matches_and_what_no_path_finds_fail_by_name(hall: Hall) -> None:
    none = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "E"}]},
            "E": {"Type": "Succeed"},
        },
    }
    assert hall.run(none, {"a": 1}).error == "States.NoChoiceMatched"
    arn = hall.begin(machine(A={"Type": "Pass", "Parameters": {"x.$": "$.none"}}), {}, "second")
    hall.wait(lambda: hall.find(arn).status != "RUNNING")
    assert hall.find(arn).error == "States.ParameterPathFailure"


DISTRIBUTED = {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, **machine(A={"Type": "Pass"})}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Type": "Task"}, "a Task needs one"),
        ({"Type": "Pass", "Nxt": "B"}, "Nxt is not a field of a Pass state"),
        ({"Type": "Wait"}, "exactly one of"),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.a", "Equals": 1, "Next": "A"}]},
            "no comparison operator",
        ),
        ({"Type": "Pass", "Parameters": {"a.$": "nopath"}}, "is no path"),
        ({"Type": "Pass", "Parameters": {"a.$": "States.Nope()"}}, "no intrinsic function"),
        ({"Type": "Pass", "ResultPath": "$.a[*]"}, "may select several values"),
        ({"Type": "Pass", "QueryLanguage": "JSONata"}, "JSONata is not spoken"),
        (
            {
                "Type": "Map",
                "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, **machine(A={"Type": "Pass"})},
            },
            "only the mode INLINE",
        ),
        (task("x", Retry=[{"ErrorEquals": ["States.ALL", "B"]}]), "must stand alone"),
    ],
)
def test_what_cannot_run_is_refused_before_it_runs(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        parse(json.dumps(machine(A=change)), lambda resource: None)
    assert told in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    states = {"StartAt": "X", "States": {"A": {"Type": "Pass", "Next": "B"}, "C": {"Type": "Odd"}}}
    with pytest.raises(InvalidDefinition) as caught:
        parse(json.dumps(states), lambda resource: None)
    assert caught.value.problems == [
        "StartAt names no state: 'X'",
        "A goes to 'B', which is no state",
        "C has the Type 'Odd', which is none of Task, Pass, Wait, Choice, Succeed, Fail, Parallel, Map",
    ]
