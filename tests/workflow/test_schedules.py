"""Schedules: when they are due, that they fire once, and what they do."""

from datetime import UTC, datetime

import pytest
from states_world import machine
from workshop import Workshop

from nextpick.workflow import cron, schedules
from nextpick.workflow.schedules import Schedule


def times(expression: str, start: str, number: int = 3) -> list[str]:
    found, moment = [], datetime.fromisoformat(f"{start}+00:00").timestamp()
    for _ in range(number):
        moment = cron.parse(expression, 0.0).next_after(moment) or 0.0
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        (
            "cron(0 2 * * ? *)",
            "2024-02-28T02:00",
            ["2024-02-29 02:00", "2024-03-01 02:00", "2024-03-02 02:00"],
        ),
        (
            "cron(0 */6 * * ? *)",
            "2024-01-01T05:00",
            ["2024-01-01 06:00", "2024-01-01 12:00", "2024-01-01 18:00"],
        ),
        (
            "cron(15,45 8-10/2 ? JAN MON-FRI *)",
            "2024-01-05T09:00",
            ["2024-01-05 10:15", "2024-01-05 10:45", "2024-01-08 08:15"],
        ),
        (
            "cron(0 0 ? * 1 *)",
            "2024-01-01T00:00",
            ["2024-01-07 00:00", "2024-01-14 00:00", "2024-01-21 00:00"],
        ),
        (
            "cron(0 9 L * ? *)",
            "2024-02-01T00:00",
            ["2024-02-29 09:00", "2024-03-31 09:00", "2024-04-30 09:00"],
        ),
        (
            "cron(0 9 LW * ? *)",
            "2024-03-01T00:00",
            ["2024-03-29 09:00", "2024-04-30 09:00", "2024-05-31 09:00"],
        ),
        (
            "cron(0 9 1W * ? *)",
            "2024-06-01T00:00",
            ["2024-06-03 09:00", "2024-07-01 09:00", "2024-08-01 09:00"],
        ),
        (
            "cron(0 9 15W 6,9 ? *)",
            "2024-06-01T00:00",
            ["2024-06-14 09:00", "2024-09-16 09:00", "2025-06-16 09:00"],
        ),
        (
            "cron(0 9 ? * 6L *)",
            "2024-01-01T00:00",
            ["2024-01-26 09:00", "2024-02-23 09:00", "2024-03-29 09:00"],
        ),
        (
            "cron(0 9 ? * TUE#2 *)",
            "2024-01-01T00:00",
            ["2024-01-09 09:00", "2024-02-13 09:00", "2024-03-12 09:00"],
        ),
        (
            "cron(0 9 29 2 ? *)",
            "2024-03-01T00:00",
            ["2028-02-29 09:00", "2032-02-29 09:00", "2036-02-29 09:00"],
        ),
        (
            "cron(0 0 ? * SAT-SUN *)",
            "2024-01-01T00:00",
            ["2024-01-06 00:00", "2024-01-07 00:00", "2024-01-13 00:00"],
        ),
        ("rate(5 minutes)", "1970-01-02T00:02", ["1970-01-02 00:05", "1970-01-02 00:10", "1970-01-02 00:15"]),
        ("rate(1 day)", "1970-01-05T00:00", ["1970-01-06 00:00", "1970-01-07 00:00", "1970-01-08 00:00"]),
    ],
)
def test_a_schedule_is_due(expression: str, start: str, expected: list[str]) -> None:
    assert times(expression, start) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 2 * * * *)",
        "cron(0 2 ? * ? *)",
        "cron(0 2 * * ?)",
        "cron(60 2 * * ? *)",
        "cron(0 2 32 * ? *)",
        "cron(0 2 ? * XXX *)",
        "cron(0/0 2 * * ? *)",
        "rate(1 days)",
        "rate(2 day)",
        "rate(0 days)",
        "0 2 * * *",
        "cron(0 2 ? * 2#6 *)",
    ],
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="'"):
        cron.parse(expression)


def test_a_year_that_is_over_is_never_due() -> None:
    assert cron.parse("cron(0 2 * * ? 2020)").next_after(1.7e9) is None


def hourly(shop: Workshop, **more: object) -> None:
    with shop.workflow.database.write() as db:
        action = {"kind": "function", "name": "f", **more}
        schedules.put(db, Schedule("hourly", "rate(1 hour)", action), shop.clock.now())


def test_a_schedule_fires_once_and_makes_up_for_one_missed_time(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    hourly(shop)
    shop.tick()
    assert shop.functions.called == []
    shop.clock.advance(3600)
    shop.tick()
    shop.tick()
    assert len(shop.functions.called) == 1
    name, event = shop.functions.called[0]
    assert (name, event["detail-type"], event["source"]) == ("f", "Scheduled Event", "aws.events")
    shop.workflow.stop()
    shop.clock.advance(5.5 * 3600)  # nothing runs meanwhile
    shop.workflow = shop._begin()
    shop.tick()
    shop.tick()
    assert len(shop.functions.called) == 2
    shop.clock.advance(1800)
    shop.tick()
    assert len(shop.functions.called) == 3  # and then it is in step again


def test_what_was_due_when_the_process_was_killed_is_done_once(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    hourly(shop)
    shop.clock.advance(3600)
    shop.workflow.schedules.tick()  # on the disk, not yet done
    shop.restart()
    shop.workflow.schedules.tick()
    shop.workflow.firings.run_due()
    shop.restart()
    shop.tick()
    assert len(shop.functions.called) == 1


def test_what_fails_for_now_is_tried_again_and_what_cannot_be_is_told(shop: Workshop) -> None:
    hourly(shop)
    shop.clock.advance(3600)
    shop.tick()
    with shop.workflow.database.read() as db:
        (row,) = db.execute("SELECT state, error FROM firing").fetchall()
    assert (row["state"], row["error"]) == ("FAILED", "There is no function 'f'.")
    shop.functions.known["f"] = lambda event: None
    shop.functions.is_down = True
    shop.clock.advance(3600)
    for _ in range(4):
        shop.tick()
        shop.clock.advance(1)
    shop.functions.is_down = False
    for _ in range(10):
        shop.clock.advance(1)
        shop.tick()
    assert len(shop.functions.called) == 1


def test_a_schedule_starts_a_workflow_under_a_name_of_its_own(shop: Workshop) -> None:
    arn = shop.make(machine(P={"Type": "Pass"}), "echo")
    hourly(shop, kind="workflow", name="echo", input={"a": 1})
    shop.clock.advance(3600)
    shop.tick()
    (execution,) = shop.states.list_executions(stateMachineArn=arn)["executions"]
    assert execution["name"] == f"hourly-{int(shop.clock.now())}"
    assert shop.finish(execution["executionArn"])["output"] == '{"a": 1}'


def test_a_disabled_schedule_is_not_due(shop: Workshop) -> None:
    shop.functions.known["f"] = lambda event: None
    hourly(shop)
    with shop.workflow.database.write() as db:
        assert schedules.enable(db, "hourly", False, shop.clock.now())
    shop.clock.advance(7200)
    shop.tick()
    assert shop.functions.called == []
    with shop.workflow.database.write() as db:
        schedules.enable(db, "hourly", True, shop.clock.now())
    shop.tick()
    assert shop.functions.called == []  # what was missed while it was disabled is not made up for
    shop.clock.advance(3600)
    shop.tick()
    assert len(shop.functions.called) == 1
