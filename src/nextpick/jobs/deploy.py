"""Deploy job: see that a version's files are whole, then point the campaign at them."""

from typing import Any

from nextpick.jobs.work import JobFailure, Outcome, Work
from nextpick.models import artifact
from nextpick.resources import campaigns, lifecycle, versions
from nextpick.resources.kinds import SOLUTION, SOLUTION_VERSION
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Verify the version that the campaign's creation or update names.

    Raises JobFailure when a file of the version is missing or damaged; what served before goes on serving.
    """
    arn = campaigns.target(work.resource)
    with work.records.read() as tx:
        version = tx.get(arn)
    if version is None or version.kind != SOLUTION_VERSION.arn_kind or version.status != lifecycle.ACTIVE:
        raise JobFailure(f"{arn} is not an ACTIVE solution version.")
    work.run.progress(0.1, "verifying the version's files")
    verify(work, arn, version.internal["dir"])
    serving: dict[str, Any] = {
        "version": arn,
        "dir": version.internal["dir"],
        "recipe": version.body["recipeArn"].rpartition("/")[2],
        "group": version.body["datasetGroupArn"],
    }

    def commit(tx: Transaction, campaign: Resource, now: float) -> None:
        campaigns.finish(tx, campaign, now, serving=serving)
        solution = tx.get(campaign.parent or "")
        newest = versions.newest_active(tx, solution) if solution else None
        if solution and solution.kind == SOLUTION.arn_kind and newest and newest.arn != arn:
            campaigns.follow(tx, solution, newest, now)

    return Outcome(commit)


def verify(work: Work, arn: str, name: str) -> None:
    """Raise JobFailure naming what is wrong when a file of a version's directory is missing or damaged."""
    try:
        for part in ("snapshot", "model"):
            artifact.verify(work.versions / name / part)
    except artifact.Damaged as damage:
        raise JobFailure(f"{arn} is damaged: {damage}. Train a new version.") from None
