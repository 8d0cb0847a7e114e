"""All steps of a configuration, in an order in which each comes after those it needs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from nextpick.workflow import schedules
from nextpick.workflow.apply import resources, runs
from nextpick.workflow.apply.step import KEEP, Decision, Step, Will
from nextpick.workflow.apply.world import Failed, World
from nextpick.workflow.config.model import Config
from nextpick.workflow.database import Database
from nextpick.workflow.schedules import Schedule


class Part(NamedTuple):
    """What a schedule does of a configuration: "all", "import", or "full", "update", "batch" of a solution; since
    when."""

    what: str
    since: datetime
    solution: str = ""
    number: int = 0


class Planned(NamedTuple):
    """A step and what is to be done about it."""

    step: Step
    decision: Decision


def steps(world: World, config: Config, database: Database, source: dict[str, Any]) -> list[Step]:
    """Return the steps that make everything as declared. ``source``: the configuration's text and file, for
    schedules."""
    made = [resources.group_step(world, config), runs.copy_step(world, config)]
    for declared in config.datasets:
        made.append(resources.schema_step(world, declared))
        made.append(resources.dataset_step(world, config, declared))
        made.append(runs.import_step(world, config, declared, None))
    datasets = tuple(f"dataset/{declared.kind}" for declared in config.datasets) or ("group",)
    imports = tuple(f"import/{declared.kind}" for declared in config.datasets) or ("group",)
    if config.tracker is not None:
        made.append(resources.tracker_step(world, config, config.tracker, datasets))
    filters = tuple(f"filter/{one['name']}" for one in config.filters)
    made += [resources.filter_step(world, config, one, datasets) for one in config.filters]
    made += [resources.recommender_step(world, config, one, imports) for one in config.recommenders]
    for solution in config.solutions:
        made.append(resources.solution_step(world, config, solution, imports))
        made.append(runs.version_step(world, config, solution, None, None))
        made += [resources.campaign_step(world, solution, one) for one in solution.campaigns]
        made += [
            runs.batch_step(world, config, solution, number, None, filters)
            for number in range(len(solution.batches))
        ]
    return [*made, schedule_step(world, config, database, source, tuple(step.key for step in made))]


def scheduled_steps(world: World, config: Config, part: Part) -> list[Step]:
    """Return the steps that a schedule does."""
    if part.what == "import":
        return [
            runs.import_step(world, config, declared, part.since)._replace(needs=())
            for declared in config.datasets
        ]
    solution = next((one for one in config.solutions if one.name == part.solution), None)
    if solution is None:
        raise Failed(f"{config.name} declares no solution {part.solution}.")
    if part.what == "batch":
        return [runs.batch_step(world, config, solution, part.number, part.since, ())._replace(needs=())]
    mode = part.what.upper()
    train = runs.version_step(world, config, solution, part.since, mode)._replace(needs=())
    return [train, *(resources.campaign_step(world, solution, one) for one in solution.campaigns)]


def plan(made: list[Step]) -> list[Planned]:
    """Return what is to be done. Raises Failed with everything that cannot be made as declared."""
    will: Will = {}
    problems, planned = [], []
    for step in made:
        try:
            decision = step.look(will)
        except Failed as error:
            problems.append(str(error))
            continue
        will[step.key] = decision
        planned.append(Planned(step, decision))
    if problems:
        raise Failed("\n".join(problems))
    return planned


def owner_of(config: Config) -> str:
    """Return the owner of a configuration's schedules."""
    return f"config/{config.name}"


def _declared(config: Config, source: dict[str, Any]) -> Iterator[Schedule]:
    def schedule(name: str, expression: str, what: str, **more: Any) -> Schedule:
        action = {"kind": "apply", "part": what, **more, **source}
        return Schedule(f"{config.name}-{name}", expression, action, owner_of(config))

    if config.import_schedule:
        yield schedule("import", config.import_schedule, "import")
    for solution in config.solutions:
        for what in ("full", "update"):
            if what in solution.schedules:
                yield schedule(
                    f"{solution.name}-{what}", solution.schedules[what], what, solution=solution.name
                )
        for number, batch in enumerate(solution.batches):
            if batch.schedule:
                name = f"{solution.name}-batch-{number + 1}"
                yield schedule(name, batch.schedule, "batch", solution=solution.name, number=number)


def schedule_step(
    world: World, config: Config, database: Database, source: dict[str, Any], needs: tuple[str, ...]
) -> Step:
    """Return the step of all schedules: those that are no longer declared go."""
    declared = list(_declared(config, source))

    def differing() -> tuple[list[Schedule], list[str]]:
        with database.read() as db:
            found = {one.name: one for one in schedules.all_of(db, owner_of(config))}
        changed = [one for one in declared if one.name not in found or found[one.name][1:3] != one[1:3]]
        return changed, [name for name in found if name not in {one.name for one in declared}]

    def look(will: Will) -> Decision:
        changed, gone = differing()
        told = [*(one.name for one in changed), *(f"without {name}" for name in gone)]
        return Decision("schedule", ", ".join(told)) if told else Decision(KEEP)

    def act(decision: Decision) -> None:
        changed, gone = differing()
        with database.write() as db:
            for name in gone:
                schedules.remove(db, name)
            for one in changed:
                schedules.put(db, one, world.clock.now())

    return Step("schedules", "schedules", needs, look, act)
