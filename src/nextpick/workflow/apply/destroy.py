"""Taking away what a configuration declares: first what uses, then what is used."""

from collections.abc import Callable
from typing import NamedTuple

from botocore.exceptions import ClientError

from nextpick.workflow import schedules
from nextpick.workflow.apply.plan import owner_of
from nextpick.workflow.apply.world import GONE, World
from nextpick.workflow.config.model import Config
from nextpick.workflow.database import Database
from nextpick.workflow.refusal import code_of


class Removal(NamedTuple):
    """One thing to be removed, and how."""

    title: str
    remove: Callable[[], None]


def removals(world: World, config: Config, database: Database) -> list[Removal]:
    """Return what is there of what is declared, in the order in which it has to go."""
    group = world.arn("group", config.name)
    found: list[Removal] = []

    def add(kind: str, name: str, arn: str | None, delete: str, argument: str) -> None:
        if arn is None or world.describe(kind, arn) is None:
            return

        def remove() -> None:
            try:
                getattr(world.personalize, delete)(**{argument: arn})
            except ClientError as error:
                if code_of(error) != GONE:
                    raise
            world.wait_until_gone(kind, arn)

        found.append(Removal(f"{kind} {name}", remove))

    with database.read() as db:
        names = [one.name for one in schedules.all_of(db, owner_of(config))]
    found += [Removal(f"schedule {name}", lambda name=name: _unschedule(database, name)) for name in names]
    for solution in config.solutions:
        for one in solution.campaigns:
            add("campaign", one["name"], world.arn("campaign", one["name"]), "delete_campaign", "campaignArn")
    for one in config.recommenders:
        add(
            "recommender",
            one["name"],
            world.arn("recommender", one["name"]),
            "delete_recommender",
            "recommenderArn",
        )
    for solution in config.solutions:
        name = solution.name
        add("solution", name, world.arn("solution", name), "delete_solution", "solutionArn")
    for one in config.filters:
        add("filter", one["name"], world.arn("filter", one["name"]), "delete_filter", "filterArn")
    for one in world.listed("list_event_trackers", "eventTrackers", datasetGroupArn=group):
        if config.tracker is not None and one["name"] == config.tracker["name"]:
            add("tracker", one["name"], one["eventTrackerArn"], "delete_event_tracker", "eventTrackerArn")
    for declared in config.datasets:
        dataset = world.dataset(group, declared.kind)
        arn = dataset["datasetArn"] if dataset else None
        add("dataset", declared.dataset["name"], arn, "delete_dataset", "datasetArn")
    for declared in config.datasets:
        name = declared.schema["name"]
        add("schema", name, world.arn("schema", name), "delete_schema", "schemaArn")
    add("group", config.name, group, "delete_dataset_group", "datasetGroupArn")
    return found


def _unschedule(database: Database, name: str) -> None:
    with database.write() as db:
        schedules.remove(db, name)
