"""Solution versions: made by a client or by the schedule, ended by a training job.

Sources: developer guide, "Creating a solution version", "Configuring automatic training".
"""

from typing import Any

from nextpick.errors import InvalidInput, ResourceInUse, ResourceNotFound
from nextpick.names import short_id
from nextpick.recipes import catalogue
from nextpick.resources import campaigns, lifecycle, rules, usage
from nextpick.resources.kinds import DATASET, SOLUTION, SOLUTION_VERSION
from nextpick.store.records import Resource, Transaction

_COPIED = (
    "performHPO",
    "performAutoML",
    "performIncrementalUpdate",
    "recipeArn",
    "eventType",
    "solutionConfig",
)
_UPDATABLE = ("aws-user-personalization", "aws-hrnn-coldstart")


def create_version(
    tx: Transaction,
    solution: Resource,
    now: float,
    *,
    name: str | None = None,
    training_mode: str = "FULL",
    training_type: str = "MANUAL",
    quotas: bool = True,
) -> Resource:
    """Queue the training of a new version of a solution.

    Raises InvalidInput (no interactions dataset, or an UPDATE that has nothing to update), LimitExceeded,
    ResourceAlreadyExists, ResourceInUse.
    """
    lifecycle.require_active(solution, "a solution version")
    if quotas:
        rules.check_quota(tx, SOLUTION_VERSION, account=solution.account, region=solution.region)
    if training_mode == "UPDATE":
        _check_update(tx, solution)
    elif training_mode != "FULL":
        raise InvalidInput(f"trainingMode {training_mode} cannot be requested; FULL or UPDATE can.")
    if events_dataset(tx, solution) is None:
        raise InvalidInput(
            f"{solution.parent} has no {_wanted(solution).capitalize()} dataset; create one and import data first."
        )
    suffix = name or short_id()
    body: dict[str, Any] = {m: solution.body[m] for m in _COPIED if m in solution.body}
    body |= {
        "name": f"{solution.name}/{suffix}",
        "solutionArn": solution.arn,
        "datasetGroupArn": solution.parent,
        "trainingMode": training_mode,
        "trainingType": training_type,
    }
    return lifecycle.create(
        tx,
        SOLUTION_VERSION,
        account=solution.account,
        region=solution.region,
        name=body["name"],
        path=f"{solution.name}/{suffix}",
        body=body,
        now=now,
        parent=solution.arn,
        job="train",
    )


def _check_update(tx: Transaction, solution: Resource) -> None:
    recipe = solution.body.get("recipeArn", "").rpartition("/")[2]
    if recipe not in _UPDATABLE:
        raise InvalidInput(
            f"trainingMode UPDATE is for {' and '.join(_UPDATABLE)}, not for {recipe or 'AutoML'}."
        )
    if newest_full(tx, solution) is None:
        raise InvalidInput(f"{solution.arn} has no ACTIVE version trained with trainingMode FULL to update.")


def interactions_dataset(tx: Transaction, group: str | None) -> Resource | None:
    """Return the interactions dataset of a dataset group."""
    datasets = tx.find(DATASET.arn_kind, parent=group)
    return next((d for d in datasets if d.body["datasetType"] == "INTERACTIONS"), None)


def events_dataset(tx: Transaction, solution: Resource) -> Resource | None:
    """Return the dataset whose news are a reason to train a solution: of interactions, or of those with actions (of
    the actions, where there is none), or of items."""
    wanted = _wanted(solution)
    held = {d.body["datasetType"]: d for d in tx.find(DATASET.arn_kind, parent=solution.parent)}
    if wanted == "ACTIONS":
        return held.get("ACTION_INTERACTIONS", held.get("ACTIONS"))
    return held.get(wanted)


def _wanted(solution: Resource) -> str:
    info = catalogue.find((solution.body.get("recipeArn") or "").rpartition("/")[2])
    return info.learns_from if info else "INTERACTIONS"


def newest_full(tx: Transaction, solution: Resource) -> Resource | None:
    """Return the newest ACTIVE version of a solution that was trained with trainingMode FULL."""
    versions = tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn, status=(lifecycle.ACTIVE,))
    return next((v for v in reversed(versions) if v.body["trainingMode"] == "FULL"), None)


def newest_active(tx: Transaction, solution: Resource) -> Resource | None:
    """Return the newest ACTIVE version of a solution."""
    versions = tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn, status=(lifecycle.ACTIVE,))
    return versions[-1] if versions else None


def resolve(tx: Transaction, arn: str, *, account: str, region: str) -> Resource:
    """Return the version of an ARN, or of ``…solution/name/$LATEST`` the newest ACTIVE one."""
    solution_arn, _, last = arn.rpartition("/")
    if last != "$LATEST":
        return lifecycle.get(tx, SOLUTION_VERSION, arn, account=account, region=region)
    solution = lifecycle.get(tx, SOLUTION, solution_arn, account=account, region=region)
    version = newest_active(tx, solution)
    if version is None:
        raise ResourceNotFound(f"{solution_arn} has no ACTIVE solution version.")
    return version


def stop(tx: Transaction, version: Resource, now: float) -> None:
    """Stop a training: one that waits is stopped at once, one that runs is told to stop.

    Raises InvalidInput when the version is not being created.
    """
    if version.status not in (lifecycle.CREATE_PENDING, lifecycle.CREATE_IN_PROGRESS):
        if version.status == lifecycle.CREATE_STOPPING:
            raise ResourceInUse(f"{version.arn} is already {version.status}.")
        raise InvalidInput(
            f"{version.arn} is {version.status}; only a version that is being created can be stopped."
        )
    jobs = tx.find_jobs(arn=version.arn, states=("QUEUED", "RUNNING"))
    runs = any(job.state == "RUNNING" for job in jobs)
    for job in jobs:
        job.state, job.finished_at = ("STOPPING", None) if runs else ("STOPPED", now)
        tx.save_job(job)
    if version.status == lifecycle.CREATE_IN_PROGRESS:
        lifecycle.move(tx, version, lifecycle.CREATE_STOPPING, now)
    if not runs:
        lifecycle.move(tx, version, lifecycle.CREATE_STOPPED, now)


def complete(
    tx: Transaction, version: Resource, now: float, *, trained: dict[str, Any], internal: dict[str, Any]
) -> None:
    """End a training well: ``trained`` joins the API members, campaigns that follow the solution follow."""
    version.body = {**version.body, **trained}
    version.internal = {**version.internal, **internal}
    lifecycle.move(tx, version, lifecycle.ACTIVE, now)
    usage.use(tx, version, usage.TRAINING_HOURS, trained["trainingHours"], now)
    solution = tx.get(version.parent or "")
    if solution is None:
        return
    if version.body.get("performAutoML"):
        solution.body = {**solution.body, "autoMLResult": {"bestRecipeArn": version.body["recipeArn"]}}
        tx.save(solution)
    campaigns.follow(tx, solution, version, now)
