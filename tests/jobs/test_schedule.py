"""Automatic training comes when it is due and only then: seen on the records with a clock of the test's own."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from nextpick.jobs import schedule
from nextpick.resources import lifecycle, versions
from nextpick.resources.kinds import DATASET, DATASET_GROUP, DATASET_IMPORT_JOB, SOLUTION, SOLUTION_VERSION
from nextpick.settings import Settings
from nextpick.store import migrate
from nextpick.store.log import EventRow, LogWriter, positions
from nextpick.store.records import Records, Resource

DAY = 86_400.0
CREATED = 1_000.0
OWNER = {"account": "111111111111", "region": "r"}


class World:
    """A group with an interactions dataset and a solution."""

    def __init__(self, home: Path, **body: Any) -> None:
        self.settings = Settings(home=home)
        migrate.migrate(home / "nextpick.db")
        self.records = Records(home / "nextpick.db")
        self.writer = LogWriter(home / "log", "one")
        with self.records.write() as tx:
            made = {"now": CREATED, **OWNER}
            self.group = lifecycle.create(tx, DATASET_GROUP, name="g", body={}, **made).arn
            self.dataset = lifecycle.create(
                tx, DATASET, name="d", path="g/INTERACTIONS", parent=self.group,
                body={"datasetType": "INTERACTIONS"}, internal={"parts": ["p1"]}, **made,
            ).arn  # fmt: skip
            self.solution = lifecycle.create(
                tx, SOLUTION, name="s", parent=self.group, body={"performAutoTraining": True, **body}, **made
            ).arn

    def tick(self, now: float) -> int:
        """Let the schedule look, and return how many versions there are."""
        schedule.tick(self.records, self.settings, now)
        with self.records.read() as tx:
            return len(tx.find(SOLUTION_VERSION.arn_kind, parent=self.solution))

    def finish_training(self, now: float) -> None:
        """End the training of the newest version with what is there now."""
        with self.records.write() as tx:
            version = tx.find(SOLUTION_VERSION.arn_kind, parent=self.solution)[-1]
            dataset = tx.get(self.dataset)
            assert dataset is not None
            lifecycle.move(tx, version, lifecycle.CREATE_IN_PROGRESS, now)
            seen = {"parts": dataset.internal["parts"], "positions": positions(self.settings.home / "log")}
            versions.complete(tx, version, now, trained={"trainingHours": 0.1}, internal={"trained_on": seen})

    def set_parts(self, *parts: str) -> None:
        with self.records.write() as tx:
            dataset = tx.get(self.dataset)
            assert dataset is not None
            dataset.internal = {**dataset.internal, "parts": list(parts)}
            tx.save(dataset)

    def fail_training(self, now: float) -> None:
        """End the training of the newest version badly."""
        with self.records.write() as tx:
            version = tx.find(SOLUTION_VERSION.arn_kind, parent=self.solution)[-1]
            lifecycle.move(tx, version, lifecycle.CREATE_FAILED, now, "no")

    def put_event(self, group: str | None = None) -> None:
        event = EventRow(group or self.group, "u", "s", "i", "click", None, 1, "e")
        asyncio.run(self.writer.append([event]))

    def newest(self) -> Resource:
        with self.records.read() as tx:
            return tx.find(SOLUTION_VERSION.arn_kind, parent=self.solution)[-1]

    def close(self) -> None:
        self.writer.close()
        self.records.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_the_first_training_leaves_time_for_one_by_hand(world: World) -> None:
    delay = world.settings.auto_training_delay_s
    assert world.tick(CREATED + delay - 1) == 0
    assert world.tick(CREATED + delay) == 1
    assert world.newest().body["trainingType"] == "AUTOMATIC"
    assert world.tick(CREATED + delay + 1) == 1  # one is under way


def test_the_next_comes_after_a_week_and_only_with_new_data(world: World) -> None:
    world.tick(CREATED + 60)
    world.finish_training(CREATED + 70)
    assert world.tick(CREATED + 60 + 8 * DAY) == 1
    world.put_event()
    assert world.tick(CREATED + 60 + 7 * DAY - 1) == 1
    assert world.tick(CREATED + 60 + 7 * DAY) == 2


def test_an_import_is_new_data_too(world: World) -> None:
    world.tick(CREATED + 60)
    world.finish_training(CREATED + 70)
    world.set_parts("p1", "p2")
    assert world.tick(CREATED + 60 + 7 * DAY) == 2


def test_the_expression_says_how_often(tmp_path: Path) -> None:
    config = {"solutionConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(2 days)"}}}
    world = World(tmp_path, **config)
    world.tick(CREATED + 60)
    world.finish_training(CREATED + 70)
    world.put_event()
    assert world.tick(CREATED + 60 + 2 * DAY - 1) == 1
    assert world.tick(CREATED + 60 + 2 * DAY) == 2
    world.close()


def test_a_version_made_by_hand_counts_as_the_last(world: World) -> None:
    with world.records.write() as tx:
        solution = tx.get(world.solution)
        assert solution is not None
        versions.create_version(tx, solution, CREATED + 5)
    world.finish_training(CREATED + 10)
    world.put_event()
    assert world.tick(CREATED + 60) == 1
    assert world.tick(CREATED + 5 + 7 * DAY) == 2


def test_nothing_is_trained_before_there_is_data(world: World) -> None:
    world.set_parts()
    assert world.tick(CREATED + 3600) == 0


@pytest.mark.parametrize("off", ["the solution", "the setting"])
def test_it_can_be_turned_off(tmp_path: Path, off: str) -> None:
    world = World(tmp_path, performAutoTraining=off != "the solution")
    if off == "the setting":
        world.settings = Settings(home=tmp_path, auto_training=False)
    assert world.tick(CREATED + 9 * DAY) == 0
    world.close()


def test_events_of_another_group_are_no_new_data(world: World) -> None:
    world.tick(CREATED + 60)
    world.finish_training(CREATED + 70)
    world.put_event(group="another")
    assert world.tick(CREATED + 60 + 8 * DAY) == 1
    world.put_event()
    assert world.tick(CREATED + 60 + 8 * DAY) == 2


def test_a_training_that_failed_is_tried_again_in_its_time_without_new_data(world: World) -> None:
    world.tick(CREATED + 60)
    world.fail_training(CREATED + 70)
    assert world.tick(CREATED + 60 + 7 * DAY - 1) == 1
    assert world.tick(CREATED + 60 + 7 * DAY) == 2


def test_an_import_that_runs_is_waited_for(world: World) -> None:
    with world.records.write() as tx:
        running = lifecycle.create(
            tx,
            DATASET_IMPORT_JOB,
            name="j",
            parent=world.dataset,
            body={},
            now=CREATED,
            job="import",
            **OWNER,
        )
    assert world.tick(CREATED + 90) == 0
    with world.records.write() as tx:
        lifecycle.move(tx, running, lifecycle.CREATE_FAILED, CREATED + 95, "no")
    assert world.tick(CREATED + 100) == 1


def test_a_training_that_takes_longer_than_its_period_is_not_overtaken(world: World) -> None:
    world.tick(CREATED + 60)
    world.put_event()
    assert world.tick(CREATED + 60 + 9 * DAY) == 1
    world.finish_training(CREATED + 60 + 10 * DAY)
    world.put_event()
    assert world.tick(CREATED + 60 + 10 * DAY) == 2


def test_a_refusal_is_tried_again_after_an_hour(world: World) -> None:
    with world.records.write() as tx:
        solution = tx.get(world.solution)
        assert solution is not None
        running = [
            lifecycle.create(
                tx, SOLUTION_VERSION, name=f"o/{n}", path=f"o/{n}", parent="o", body={}, now=CREATED,
                job="train", **OWNER,
            )
            for n in range(20)
        ]  # fmt: skip
    assert world.tick(CREATED + 60) == 0
    with world.records.write() as tx:
        for version in running:
            lifecycle.move(tx, version, lifecycle.CREATE_FAILED, CREATED + 70, "no")
    assert world.tick(CREATED + 60 + 3599) == 0
    assert world.tick(CREATED + 60 + 3600) == 1


def test_turned_on_later_it_counts_from_then(world: World) -> None:
    world.tick(CREATED + 60)
    world.finish_training(CREATED + 70)
    world.put_event()
    on = CREATED + 30 * DAY
    with world.records.write() as tx:
        solution = tx.get(world.solution)
        assert solution is not None
        solution.internal = {**solution.internal, "auto_training_since": on}  # as UpdateSolution writes it
        tx.save(solution)
    assert world.tick(on + 7 * DAY - 1) == 1
    assert world.tick(on + 7 * DAY) == 2


def test_a_deleted_solution_is_not_trained(world: World) -> None:
    with world.records.write() as tx:
        solution = tx.get(world.solution)
        assert solution is not None
        lifecycle.bury(tx, solution, CREATED + 1)
    assert world.tick(CREATED + DAY) == 0


@tries(max_examples=15, deadline=None)
@given(st.integers(1, 9), st.sets(st.integers(0, 4 * 30)), st.sets(st.integers(0, 4 * 30), max_size=3))
def test_a_month_of_looking_trains_once_a_period_and_never_twice_on_the_same(
    days: int, events: set[int], imports: set[int]
) -> None:
    config = {"solutionConfig": {"autoTrainingConfig": {"schedulingExpression": f"rate({days} days)"}}}
    trained: list[float] = []
    wanted: list[float] = []
    is_news = True
    with tempfile.TemporaryDirectory() as scratch, closing(World(Path(scratch), **config)) as world:
        for quarter in range(4 * 30):  # of a day
            now = CREATED + quarter * DAY / 4
            if quarter in events:
                world.put_event()
            if quarter in imports:
                world.set_parts(f"p{quarter}")
            is_news |= quarter in events or quarter in imports
            since = wanted[-1] + days * DAY if wanted else CREATED + 60
            if now >= since and is_news:
                wanted.append(now)
                is_news = False
            if world.tick(now) > len(trained):
                trained.append(now)
                world.finish_training(now)
    assert trained == wanted
