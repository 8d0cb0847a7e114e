"""Refresh job: what a version serves is trained anew on the data of now, under the same ARN.

Source: developer guide, "Semantic-Similarity recipe" (incremental updates), "Trending-Now recipe".
"""

from nextpick.jobs import train
from nextpick.jobs.work import JobFailure, Outcome, Work, training
from nextpick.resources import trained
from nextpick.resources.kinds import SOLUTION
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Train what the version was trained with; metrics and hyperparameters stay. Raises as a training does; what
    served before goes on serving then."""
    with work.records.read() as tx:
        solution = tx.get(work.resource.parent or "")
    if solution is None or solution.kind != SOLUTION.arn_kind:
        raise JobFailure("The solution was deleted during the refresh.")
    body = work.resource.body
    excluded = train.excluded_columns(work, body.get("solutionConfig", {}), solution)
    with training(work) as (kept, out):
        made = train.train(
            kept, out, body, solution.parent or "", body.get("eventType"), excluded, work.resource
        )

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        trained.point_at(tx, resource.internal["dir"], out.name)
        fresh = tx.get(resource.arn)
        if fresh is not None:
            fresh.internal = {**fresh.internal, "trained_on": made.trained_on}
            tx.save(fresh)

    return Outcome(commit, made.report)
