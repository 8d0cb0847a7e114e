"""Steps of what is done again from time to time: copies of data, imports, trainings, batch jobs."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nextpick.workflow.apply.step import KEEP, Decision, Step, Will, tag
from nextpick.workflow.apply.world import Failed, Resource, World
from nextpick.workflow.config import place as places
from nextpick.workflow.config.model import Batch, Config, Dataset, Solution

_LONGEST_NAME = 63


def is_running(one: Resource) -> bool:
    """Tell whether a job or a training has not ended."""
    return one["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS")


def is_active(one: Resource) -> bool:
    """Tell whether a job or a training has ended well."""
    return one["status"] == "ACTIVE"


def stamped(world: World, stem: str) -> str:
    """Return the name of a job that begins now: ``stem_YYYY_MM_DD_hh_mm_ss``, cut at 63 characters."""
    tail = datetime.fromtimestamp(world.clock.now(), UTC).strftime("_%Y_%m_%d_%H_%M_%S")
    return stem[: _LONGEST_NAME - len(tail)] + tail


def decide(
    world: World,
    runs: list[Resource],
    verb: str,
    max_age_s: float | None,
    newer: Callable[[Resource], str],
    forced: datetime | None,
) -> Decision:
    """Decide about something of which there are runs, oldest first.

    None yet: begin. One that runs: wait for it. One that is ACTIVE: keep it, unless it is older than ``max_age_s``
    and ``newer`` names newer data. ``forced`` begins one unless one was begun since then.
    """
    alive = [one for one in runs if is_running(one) or is_active(one)]
    if not alive:
        return Decision(verb, "none yet" if not runs else f"the last one is {runs[-1]['status']}")
    last = alive[-1]
    if is_running(last):
        return Decision("wait", last["status"])
    if forced is not None:
        begun = last["creationDateTime"] >= forced
        return Decision(KEEP) if begun else Decision(verb, "it is scheduled now")
    if max_age_s is None:
        return Decision(KEEP)
    age = world.clock.now() - last["lastUpdatedDateTime"].timestamp()
    news = newer(last)
    if age <= max_age_s:
        return Decision(KEEP, f"{news}, in {max_age_s - age:.0f} s" if news else "")
    return Decision(verb, news) if news else Decision(KEEP, "old, but nothing is newer")


def copy_step(world: World, config: Config) -> Step:
    """Return the step that copies local data into the bucket."""
    kinds = [declared.kind for declared in config.datasets]
    solutions = [solution.name for solution in config.solutions if solution.batches]

    def find() -> list[places.Copy]:
        return places.to_copy(world.s3, world.place, kinds, config.name, solutions)

    def look(will: Will) -> Decision:
        found = find()
        return Decision("copy", ", ".join(copy.path.name for copy in found)) if found else Decision(KEEP)

    def act(decision: Decision) -> None:
        copies = find()
        if copies:
            world.s3.create_bucket(Bucket=world.place.bucket)
        for path, key in copies:
            extra = {"Metadata": {"sha256": places.digest(path)}}
            world.s3.upload_file(str(path), world.place.bucket, key, ExtraArgs=extra)

    return Step("copy", f"data in s3://{world.place.bucket}/{world.place.prefix}", (), look, act)


def import_step(world: World, config: Config, declared: Dataset, forced: datetime | None) -> Step:
    """Return the step that imports a dataset's data."""
    kind, title = declared.kind, f"import of {declared.kind}"
    group = world.arn("group", config.name)

    def runs() -> list[Resource]:
        dataset = world.dataset(group, kind)
        if dataset is None:
            return []
        arn = dataset["datasetArn"]
        return world.listed("list_dataset_import_jobs", "datasetImportJobs", datasetArn=arn)

    def newer(last: Resource) -> str:
        data = places.find_data(world.s3, world.place, kind)
        return "newer data" if data and data.modified_at > last["lastUpdatedDateTime"] else ""

    def look(will: Will) -> Decision:
        found = runs()
        if forced is not None and any(is_active(one) for one in found) and not newer(found[-1]):
            return Decision(KEEP, "nothing is newer")
        decision = decide(world, found, "import", config.import_max_age_s, newer, forced)
        is_coming = will.get("copy", Decision(KEEP)).changes
        if (
            decision.verb == "import"
            and not is_coming
            and places.find_data(world.s3, world.place, kind) is None
        ):
            there = world.place.url(f"{world.place.prefix}{kind}")
            raise Failed(f"{title}: could not find data at {there}.csv or in {there}/")
        return decision

    def act(decision: Decision) -> None:
        decision = look({})
        if decision.verb == "import":
            data, dataset = places.find_data(world.s3, world.place, kind), world.dataset(group, kind)
            if data is None or dataset is None:
                raise Failed(f"{title}: the data or the dataset is gone.")
            arn = world.personalize.create_dataset_import_job(
                **config.imports,
                jobName=stamped(world, f"import_{config.name}_{kind}"),
                datasetArn=dataset["datasetArn"],
                dataSource={"dataLocation": data.location},
                roleArn=world.role,
            )["datasetImportJobArn"]
        elif decision.verb == "wait":
            arn = runs()[-1]["datasetImportJobArn"]
        else:
            return
        world.wait("import", arn)

    return Step(f"import/{kind}", title, (f"dataset/{kind}", "copy"), look, act)


def versions(world: World, solution: Solution) -> list[Resource]:
    """Return the versions of a solution, oldest first."""
    arn = world.arn("solution", solution.name)
    return world.listed("list_solution_versions", "solutionVersions", solutionArn=arn)


def newest_version(world: World, solution: Solution) -> Resource | None:
    """Return the newest ACTIVE version of a solution."""
    return next((one for one in reversed(versions(world, solution)) if is_active(one)), None)


def version_step(
    world: World, config: Config, solution: Solution, forced: datetime | None, mode: str | None
) -> Step:
    """Return the step that trains a solution; ``mode`` is the trainingMode of a scheduled training."""
    title = f"version of {solution.name}"
    group = world.arn("group", config.name)

    def newer(last: Resource) -> str:
        since = last["creationDateTime"]
        for dataset in world.listed("list_datasets", "datasets", datasetGroupArn=group):
            arn = dataset["datasetArn"]
            for job in world.listed("list_dataset_import_jobs", "datasetImportJobs", datasetArn=arn):
                if is_active(job) and job["lastUpdatedDateTime"] > since:
                    return f"newer {dataset['datasetType'].lower()}"
        return ""

    def look(will: Will) -> Decision:
        imports = any(will.get(f"import/{d.kind}", Decision(KEEP)).verb == "import" for d in config.datasets)
        news = (lambda last: "newer data is imported") if imports else newer
        return decide(world, versions(world, solution), "train", solution.max_age_s, news, forced)

    def act(decision: Decision) -> None:
        known = versions(world, solution)
        decision = look({})
        if decision.verb == "train":
            given: dict[str, Any] = {**solution.version, **({"trainingMode": mode} if mode else {})}
            if not any(is_active(one) and one.get("trainingMode", "FULL") == "FULL" for one in known):
                given["trainingMode"] = "FULL"  # there is nothing yet that could be updated
            if known:
                given.pop("name", None)  # it was the first one's
            solution_arn = world.arn("solution", solution.name)
            arn = world.personalize.create_solution_version(**given, solutionArn=solution_arn)[
                "solutionVersionArn"
            ]
        elif decision.verb == "wait":
            arn = known[-1]["solutionVersionArn"]
        else:
            return
        world.wait("version", arn)
        tag(world, arn, solution.version.get("tags", []))

    return Step(f"version/{solution.name}", title, (f"solution/{solution.name}",), look, act)


def batch_step(
    world: World,
    config: Config,
    solution: Solution,
    number: int,
    forced: datetime | None,
    needs: tuple[str, ...],
) -> Step:
    """Return the step of one of a solution's batch jobs."""
    batch: Batch = solution.batches[number]
    title = f"batch {batch.kind} job {number + 1} of {solution.name}"
    folder = world.place.batch_folder(config.name, solution.name)
    source = f"{folder}{places.BATCH_INPUT}"
    key = f"batch{batch.kind.capitalize()}Job"
    stem = f"batch_{solution.name}"
    same = [
        one for one in solution.batches[:number] if one.kind == batch.kind and one.service == batch.service
    ]

    def runs() -> list[Resource]:
        found = []
        for version in versions(world, solution):
            arn = version["solutionVersionArn"]
            found += world.listed(f"list_batch_{batch.kind}_jobs", f"{key}s", solutionVersionArn=arn)
        mine = [one for one in found if one["jobName"].startswith(stem) and _is_as_declared(one)]
        return sorted(mine, key=lambda one: one["creationDateTime"])

    def _is_as_declared(summary: Resource) -> bool:
        job = world.describe(batch.kind, summary[f"{key}Arn"]) or {}
        wanted = {name: value for name, value in batch.service.items() if name != "tags"}
        return all(job.get(name) == value for name, value in wanted.items())

    def newer(last: Resource) -> str:
        modified = places.modified_at(world.s3, world.place.bucket, source)
        if modified is not None and modified > last["creationDateTime"]:
            return "a newer input"
        version = newest_version(world, solution)
        if version is not None and version["lastUpdatedDateTime"] > last["creationDateTime"]:
            return "a newer version"
        return ""

    def look(will: Will) -> Decision:
        if same:
            return Decision(KEEP, "it is the same as another")
        decision = decide(world, runs(), "run", batch.max_age_s, newer, forced)
        is_coming = will.get("copy", Decision(KEEP)).changes
        is_there = places.modified_at(world.s3, world.place.bucket, source) is not None
        if decision.verb == "run" and not (is_coming or is_there):
            raise Failed(f"{title}: could not find its input at {world.place.url(source)}")
        return decision

    def act(decision: Decision) -> None:
        decision = look({})
        if decision.verb == "run":
            version, name = newest_version(world, solution), stamped(world, stem)
            if version is None:
                raise Failed(f"{title}: {solution.name} has no version that is ACTIVE.")
            parameters = {
                "jobName": name,
                "solutionVersionArn": version["solutionVersionArn"],
                "jobInput": {"s3DataSource": {"path": world.place.url(source)}},
                "jobOutput": {"s3DataDestination": {"path": world.place.url(f"{folder}{name}/")}},
                "roleArn": world.role,
            }
            create = getattr(world.personalize, f"create_batch_{batch.kind}_job")
            arn = create(**{**parameters, **batch.service})[f"{key}Arn"]
        elif decision.verb == "wait":
            arn = runs()[-1][f"{key}Arn"]
        else:
            return
        world.wait(batch.kind, arn)

    return Step(f"batch/{solution.name}/{number}", title, (f"version/{solution.name}", *needs), look, act)
