"""The directories of what a dataset group has trained: versions, and what recommenders serve."""

from nextpick.names import parse_arn
from nextpick.resources.kinds import CAMPAIGN, DATASET_GROUP, RECOMMENDER, SOLUTION, SOLUTION_VERSION
from nextpick.store.records import Resource, Transaction


def directories(tx: Transaction, group: str) -> list[str]:
    """Return the names of the directories under the home's versions, without repetition."""
    versions = [
        version
        for solution in tx.find(SOLUTION.arn_kind, parent=group)
        for version in tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn)
    ]
    found = [version.internal["dir"] for version in versions if "dir" in version.internal]
    recommenders = tx.find(RECOMMENDER.arn_kind, parent=group)
    found += [r.internal["serving"]["dir"] for r in recommenders if "serving" in r.internal]
    return list(dict.fromkeys(found))


def point_at(tx: Transaction, old: str, new: str) -> None:
    """Let every version, campaign and recommender that has the directory ``old`` have ``new``."""
    for kind in (SOLUTION_VERSION, CAMPAIGN, RECOMMENDER):
        for resource in tx.find(kind.arn_kind):
            if resource.internal.get("dir") == old:
                resource.internal = {**resource.internal, "dir": new}
                tx.save(resource)
            serving = resource.internal.get("serving", {})
            if serving.get("dir") == old:
                resource.internal = {**resource.internal, "serving": {**serving, "dir": new}}
                tx.save(resource)


def group_of(tx: Transaction, arn: str) -> str | None:
    """Return the dataset group that a resource is in, at any depth."""
    resource: Resource | None = tx.get(arn)
    while resource is not None:
        parts = parse_arn(resource.arn)
        if parts is not None and parts.kind == DATASET_GROUP.arn_kind:
            return resource.arn
        resource = tx.get(resource.parent or "")
    return None
