"""Steps of what is made once, under its name: group, schemas, datasets, tracker, filters, recommenders, solutions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nextpick.workflow.apply.runs import newest_version
from nextpick.workflow.apply.step import KEEP, Decision, Step, Will, compare, missing_tags, tag
from nextpick.workflow.apply.world import KINDS, Resource, World
from nextpick.workflow.config.model import Config, Dataset, Parameters, Solution

_UNSETTLED = ("CREATE PENDING", "CREATE IN_PROGRESS")


@dataclass(frozen=True)
class Named:
    """A resource that is found again. ``parameters`` are those of its Create; those in ``updatable`` can be changed
    later, the others cannot; those in ``unseen`` are not compared."""

    world: World
    kind: str
    title: str
    create: Callable[..., dict[str, Any]]
    find: Callable[[], Resource | None]
    parameters: Callable[[], Parameters]
    update: Callable[..., Any] | None = None
    updatable: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ("tags",)

    @property
    def arn_key(self) -> str:
        """The member that holds its ARN."""
        return KINDS[self.kind].argument

    def changes(self, found: Resource) -> Parameters:
        """Return what is to be updated. Raises Mismatch for what is not as declared and cannot be."""
        wanted = {key: value for key, value in self.parameters().items() if key not in self.unseen}
        fixed = {key: value for key, value in wanted.items() if key not in self.updatable}
        compare(self.title, found, fixed)
        latest = next(
            (found[key] for key in found if key.startswith("latest") and key.endswith("Update")), {}
        )
        shown = {**found, **latest} if latest.get("status") in _UNSETTLED else found
        return {
            key: wanted[key] for key in wanted if key not in fixed and not _is_so(shown.get(key), wanted[key])
        }

    def look(self, will: Will) -> Decision:
        found = self.find()
        if found is None:
            return Decision("create")
        if found.get("status", "").endswith("FAILED"):
            return Decision("wait", f"{found['status']}: {found.get('failureReason', '')}")
        changes = self.changes(found)
        if changes:
            return Decision("update", ", ".join(sorted(changes)))
        if found.get("status") in _UNSETTLED:
            return Decision("wait", found["status"])
        lacking = missing_tags(self.world, found[self.arn_key], self.parameters().get("tags", []))
        return Decision("tag", ", ".join(one["tagKey"] for one in lacking)) if lacking else Decision(KEEP)

    def act(self, decision: Decision) -> None:
        found = self.find()
        if found is None:
            arn = self.create(**self.parameters())[self.arn_key]
        else:
            arn = found[self.arn_key]
            if self.update is not None and self.changes(found):
                self.world.wait(self.kind, arn)  # an update that runs must end before another
                if changes := self.changes(self.find() or found):
                    self.update(**{self.arn_key: arn}, **changes)
        if self.kind != "schema":
            self.world.wait(self.kind, arn)
            tag(self.world, arn, self.parameters().get("tags", []))

    def step(self, key: str, *needs: str) -> Step:
        """Return its step."""
        return Step(key, self.title, needs, self.look, self.act)


def _is_so(has: Any, want: Any) -> bool:
    """Tell whether something is as declared; of an object, only what is declared is compared."""
    if isinstance(want, dict) and isinstance(has, dict):
        return all(_is_so(has.get(key), value) for key, value in want.items())
    return has == want


def group_step(world: World, config: Config) -> Step:
    """Return the step of the dataset group."""
    create, find = world.personalize.create_dataset_group, partial(world.named, "group", config.name)
    return Named(world, "group", f"dataset group {config.name}", create, find, lambda: config.group).step(
        "group"
    )


def schema_step(world: World, declared: Dataset) -> Step:
    """Return the step of a schema; schemas are the same when they say the same."""
    name, said = declared.schema["name"], json.loads(declared.schema["schema"])

    def find() -> Resource | None:
        found = world.named("schema", name)
        is_same = found is not None and json.loads(found["schema"]) == said
        return {**found, "schema": declared.schema["schema"]} if found and is_same else found

    create = world.personalize.create_schema
    made = Named(world, "schema", f"schema {name}", create, find, lambda: declared.schema)
    return made.step(f"schema/{declared.kind}")


def dataset_step(world: World, config: Config, declared: Dataset) -> Step:
    """Return the step of a dataset."""
    group = world.arn("group", config.name)
    schema = world.arn("schema", declared.schema["name"])
    given = {**declared.dataset, "datasetGroupArn": group, "schemaArn": schema, "datasetType": declared.kind}
    made = Named(
        world,
        "dataset",
        f"{declared.kind} dataset {declared.dataset['name']}",
        world.personalize.create_dataset,
        partial(world.dataset, group, declared.kind),
        lambda: given,
        unseen=("tags", "datasetType"),
    )
    return made.step(f"dataset/{declared.kind}", "group", f"schema/{declared.kind}")


def tracker_step(world: World, config: Config, declared: Parameters, needs: tuple[str, ...]) -> Step:
    """Return the step of the event tracker, of which a group has one."""
    group = world.arn("group", config.name)

    def find() -> Resource | None:
        found = world.listed("list_event_trackers", "eventTrackers", datasetGroupArn=group)
        return world.describe("tracker", found[0]["eventTrackerArn"]) if found else None

    create, title = world.personalize.create_event_tracker, f"event tracker {declared['name']}"
    given = {**declared, "datasetGroupArn": group}
    return Named(world, "tracker", title, create, find, lambda: given).step("tracker", *needs)


def filter_step(world: World, config: Config, declared: Parameters, needs: tuple[str, ...]) -> Step:
    """Return the step of a filter."""
    name, given = declared["name"], {**declared, "datasetGroupArn": world.arn("group", config.name)}
    create, find = world.personalize.create_filter, partial(world.named, "filter", name)
    return Named(world, "filter", f"filter {name}", create, find, lambda: given).step(
        f"filter/{name}", *needs
    )


def recommender_step(world: World, config: Config, declared: Parameters, needs: tuple[str, ...]) -> Step:
    """Return the step of a recommender; a changed recommenderConfig is an update."""
    name, given = declared["name"], {**declared, "datasetGroupArn": world.arn("group", config.name)}
    made = Named(
        world,
        "recommender",
        f"recommender {name}",
        world.personalize.create_recommender,
        partial(world.named, "recommender", name),
        lambda: given,
        world.personalize.update_recommender,
        ("recommenderConfig",),
    )
    return made.step(f"recommender/{name}", *needs)


def solution_step(world: World, config: Config, declared: Solution, needs: tuple[str, ...]) -> Step:
    """Return the step of a solution."""
    name, given = declared.name, {**declared.service, "datasetGroupArn": world.arn("group", config.name)}
    create, find = world.personalize.create_solution, partial(world.named, "solution", name)
    made = Named(world, "solution", f"solution {name}", create, find, lambda: given)
    return made.step(f"solution/{name}", *needs)


def campaign_step(world: World, solution: Solution, declared: Parameters) -> Step:
    """Return the step of a campaign, which serves the newest version; what changes is updated."""
    name, above = declared["name"], f"version/{solution.name}"

    def parameters() -> Parameters:
        newest = newest_version(world, solution)
        return {**declared, "solutionVersionArn": newest["solutionVersionArn"]} if newest else declared

    made = Named(
        world,
        "campaign",
        f"campaign {name}",
        world.personalize.create_campaign,
        partial(world.named, "campaign", name),
        parameters,
        world.personalize.update_campaign,
        ("minProvisionedTPS", "campaignConfig", "solutionVersionArn"),
    )

    def look(will: Will) -> Decision:
        decision = made.look(will)
        is_trained = will.get(above, Decision(KEEP)).verb in ("train", "wait")
        return Decision("update", "solutionVersionArn") if decision.verb == KEEP and is_trained else decision

    return Step(f"campaign/{name}", f"campaign {name}", (above,), look, made.act)
