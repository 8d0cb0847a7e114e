"""Steps of what is made once, under its name: group, schemas, datasets, tracker, filters, recommenders, solutions."""

import json
from collections.abc import Callable
from typing import Any

from nextpick.workflow.apply.step import KEEP, Decision, Step, Will, compare, missing_tags, tag
from nextpick.workflow.apply.world import Resource, World
from nextpick.workflow.config.model import Config, Dataset, Parameters, Solution

_HIDDEN = ("tags", "name")


class Named:
    """Makes the step of one resource. ``find`` returns it, ``make`` creates it and returns its ARN, ``check`` raises
    Mismatch and returns what is to be updated, which ``update`` does."""

    def __init__(
        self,
        world: World,
        kind: str,
        title: str,
        find: Callable[[], Resource | None],
        make: Callable[[], str],
        check: Callable[[Resource], Parameters],
        tags: list[dict[str, str]],
        arn_key: str,
        update: Callable[[str, Parameters], None] | None = None,
    ) -> None:
        self.world, self.kind, self.title, self.find, self.make = world, kind, title, find, make
        self.check, self.tags, self.arn_key, self.update = check, tags, arn_key, update

    def look(self, will: Will) -> Decision:
        found = self.find()
        if found is None:
            return Decision("create")
        if found.get("status", "").endswith("FAILED"):
            return Decision("wait", f"{found['status']}: {found.get('failureReason', '')}")
        changes = self.check(found)
        if changes:
            return Decision("update", ", ".join(sorted(changes)))
        if found.get("status", "ACTIVE") not in ("ACTIVE", "INACTIVE"):
            return Decision("wait", found["status"])
        lacking = missing_tags(self.world, found[self.arn_key], self.tags)
        return Decision("tag", ", ".join(one["tagKey"] for one in lacking)) if lacking else Decision(KEEP)

    def act(self, decision: Decision) -> None:
        found = self.find()
        arn = self.make() if found is None else found[self.arn_key]
        if found is not None and self.update is not None and (changes := self.check(found)):
            self.world.wait(self.kind, arn)  # an update that runs must end before another
            if changes := self.check(self.find() or found):
                self.update(arn, changes)
        if self.kind != "schema":
            self.world.wait(self.kind, arn)
        tag(self.world, arn, self.tags)

    def step(self, key: str, *needs: str) -> Step:
        return Step(key, self.title, needs, self.look, self.act)


def _own(parameters: Parameters, *hidden: str) -> Parameters:
    return {key: value for key, value in parameters.items() if key not in (*_HIDDEN, *hidden)}


def _checks(title: str, wanted: Parameters) -> Callable[[Resource], Parameters]:
    def check(found: Resource) -> Parameters:
        compare(title, found, wanted)
        return {}

    return check


def group_step(world: World, config: Config) -> Step:
    """Return the step of the dataset group."""
    title = f"dataset group {config.name}"
    make = lambda: world.personalize.create_dataset_group(**config.group)["datasetGroupArn"]  # noqa: E731
    find = lambda: world.named("group", config.name)  # noqa: E731
    tags = config.group.get("tags", [])
    return Named(
        world, "group", title, find, make, _checks(title, _own(config.group)), tags, "datasetGroupArn"
    ).step("group")


def schema_step(world: World, declared: Dataset) -> Step:
    """Return the step of a schema."""
    title = f"schema {declared.schema['name']}"
    wanted = {**_own(declared.schema), "schema": json.loads(declared.schema["schema"])}

    def check(found: Resource) -> Parameters:
        compare(title, {**found, "schema": json.loads(found["schema"])}, wanted)
        return {}

    make = lambda: world.personalize.create_schema(**declared.schema)["schemaArn"]  # noqa: E731
    find = lambda: world.named("schema", declared.schema["name"])  # noqa: E731
    return Named(world, "schema", title, find, make, check, [], "schemaArn").step(f"schema/{declared.kind}")


def dataset_step(world: World, config: Config, declared: Dataset) -> Step:
    """Return the step of a dataset."""
    title = f"{declared.kind} dataset {declared.dataset['name']}"
    group = world.arn("group", config.name)
    schema = world.arn("schema", declared.schema["name"])
    parameters = {
        **declared.dataset,
        "datasetGroupArn": group,
        "schemaArn": schema,
        "datasetType": declared.kind,
    }
    make = lambda: world.personalize.create_dataset(**parameters)["datasetArn"]  # noqa: E731
    wanted = {"name": declared.dataset["name"], "schemaArn": schema}
    find = lambda: world.dataset(group, declared.kind)  # noqa: E731
    tags = declared.dataset.get("tags", [])
    made = Named(world, "dataset", title, find, make, _checks(title, wanted), tags, "datasetArn")
    return made.step(f"dataset/{declared.kind}", "group", f"schema/{declared.kind}")


def tracker_step(world: World, config: Config, declared: Parameters, needs: tuple[str, ...]) -> Step:
    """Return the step of the event tracker."""
    title, group = f"event tracker {declared['name']}", world.arn("group", config.name)

    def find() -> Resource | None:
        for one in world.listed("list_event_trackers", "eventTrackers", datasetGroupArn=group):
            return world.describe("tracker", one["eventTrackerArn"])
        return None

    make = lambda: world.personalize.create_event_tracker(**declared, datasetGroupArn=group)[
        "eventTrackerArn"
    ]  # noqa: E731
    wanted = {"name": declared["name"]}
    tags = declared.get("tags", [])
    made = Named(world, "tracker", title, find, make, _checks(title, wanted), tags, "eventTrackerArn")
    return made.step("tracker", *needs)


def filter_step(world: World, config: Config, declared: Parameters, needs: tuple[str, ...]) -> Step:
    """Return the step of a filter."""
    name, group = declared["name"], world.arn("group", config.name)
    title = f"filter {name}"
    make = lambda: world.personalize.create_filter(**declared, datasetGroupArn=group)["filterArn"]  # noqa: E731
    find = lambda: world.named("filter", name)  # noqa: E731
    wanted = {**_own(declared), "datasetGroupArn": group}
    tags = declared.get("tags", [])
    made = Named(world, "filter", title, find, make, _checks(title, wanted), tags, "filterArn")
    return made.step(f"filter/{name}", *needs)


def recommender_step(world: World, config: Config, declared: Parameters, needs: tuple[str, ...]) -> Step:
    """Return the step of a recommender; a changed recommenderConfig is an update."""
    name, group = declared["name"], world.arn("group", config.name)
    title = f"recommender {name}"
    fixed = {**_own(declared, "recommenderConfig"), "datasetGroupArn": group}

    def check(found: Resource) -> Parameters:
        compare(title, found, fixed)
        return _differing(found, {key: declared[key] for key in ("recommenderConfig",) if key in declared})

    def update(arn: str, changes: Parameters) -> None:
        world.personalize.update_recommender(recommenderArn=arn, **changes)

    make = lambda: world.personalize.create_recommender(**declared, datasetGroupArn=group)["recommenderArn"]  # noqa: E731
    find = lambda: world.named("recommender", name)  # noqa: E731
    tags = declared.get("tags", [])
    made = Named(world, "recommender", title, find, make, check, tags, "recommenderArn", update)
    return made.step(f"recommender/{name}", *needs)


def solution_step(world: World, config: Config, declared: Solution, needs: tuple[str, ...]) -> Step:
    """Return the step of a solution."""
    group = world.arn("group", config.name)
    title = f"solution {declared.name}"
    make = lambda: world.personalize.create_solution(**declared.service, datasetGroupArn=group)["solutionArn"]  # noqa: E731
    find = lambda: world.named("solution", declared.name)  # noqa: E731
    wanted = {**_own(declared.service), "datasetGroupArn": group}
    tags = declared.service.get("tags", [])
    made = Named(world, "solution", title, find, make, _checks(title, wanted), tags, "solutionArn")
    return made.step(f"solution/{declared.name}", *needs)


def campaign_step(world: World, solution: Solution, declared: Parameters, newest: Callable[[], Any]) -> Step:
    """Return the step of a campaign, which serves the newest version; what changes is updated."""
    name = declared["name"]
    title = f"campaign {name}"
    arn = world.arn("campaign", name)
    above = f"version/{solution.name}"

    def wanted() -> Parameters:
        return {**_own(declared), "solutionVersionArn": newest()["solutionVersionArn"]}

    def check(found: Resource) -> Parameters:
        if newest() is None:
            return {}
        latest = found.get("latestCampaignUpdate") or {}
        is_on_its_way = latest.get("status", "").startswith("CREATE") and not latest["status"].endswith(
            "FAILED"
        )
        return _differing({**found, **latest} if is_on_its_way else found, wanted())

    def update(arn: str, changes: Parameters) -> None:
        world.personalize.update_campaign(campaignArn=arn, **changes)

    def make() -> str:
        given = {**declared, **wanted()}
        return world.personalize.create_campaign(**given)["campaignArn"]

    tags = declared.get("tags", [])
    find = lambda: world.describe("campaign", arn)  # noqa: E731
    made = Named(world, "campaign", title, find, make, check, tags, "campaignArn", update)

    def look(will: Will) -> Decision:
        decision = made.look(will)
        if decision.verb == KEEP and will.get(above, Decision(KEEP)).verb == "train":
            return Decision("update", "solutionVersionArn")
        return decision

    return Step(f"campaign/{name}", title, (above,), look, made.act)


def _differing(found: Resource, wanted: Parameters) -> Parameters:
    """Return what is declared and is not so; of an object, only its declared members are compared."""

    def is_so(has: Any, want: Any) -> bool:
        if isinstance(want, dict) and isinstance(has, dict):
            return all(is_so(has.get(key), value) for key, value in want.items())
        return has == want

    return {key: value for key, value in wanted.items() if not is_so(found.get(key), value)}
