"""How many resources there may be, and which keep another from being deleted: the tables, row by row."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nextpick.errors import LimitExceeded, ResourceInUse
from nextpick.resources import rules
from nextpick.resources.kinds import CAMPAIGN, DATASET, DATASET_GROUP, SCHEMA, SOLUTION, Kind
from nextpick.store import migrate
from nextpick.store.records import Records, Resource, Transaction

OWNER = {"account": "111111111111", "region": "r"}
OTHER = {"account": "222222222222", "region": "r"}
FILTER = Kind("filter", "Filter", "datasetGroupArn")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """An empty database."""
    migrate.migrate(tmp_path / "nextpick.db")
    with closing(Records(tmp_path / "nextpick.db")) as opened:
        yield opened


def add(
    tx: Transaction, kind: str, name: str, parent: str | None = None, status: str = "ACTIVE", **body: Any
) -> Resource:
    """Insert a resource as it is."""
    resource = Resource(
        f"arn:aws:personalize:r:111111111111:{kind}/{name}",
        *OWNER.values(), kind, name, parent, status, body, 0.0, 0.0,
    )  # fmt: skip
    tx.insert(resource)
    return resource


@pytest.mark.parametrize("arn_kind", sorted(rules.QUOTAS))
def test_one_more_than_the_quota_is_refused(records: Records, arn_kind: str) -> None:
    quota = rules.QUOTAS[arn_kind]
    kind = CAMPAIGN if arn_kind == "campaign" else Kind(arn_kind, "Anything")
    status = "CREATE IN_PROGRESS" if quota.running else "ACTIVE"
    with records.write() as tx:
        group, elsewhere = (add(tx, "dataset-group", name).arn for name in ("g", "h"))
        parent = add(tx, "solution", "s", group).arn if kind is CAMPAIGN else group
        there = {"dataset-group": 2}.get(arn_kind, 0)
        for i in range(quota.most - there - 1):
            add(tx, arn_kind, f"n{i}", parent, status)
        if quota.running:
            add(tx, arn_kind, "ended", parent, "CREATE FAILED")
        rules.check_quota(tx, kind, **OWNER, parent=group, name="new")
        add(tx, arn_kind, "last", parent, status)
        with pytest.raises(LimitExceeded) as raised:
            rules.check_quota(tx, kind, **OWNER, parent=group, name="new")
        assert str(quota.most) in raised.value.message
        rules.check_quota(tx, kind, **OWNER, parent=group, name="last")  # that it is taken is told instead
        if quota.within == "region":
            rules.check_quota(tx, kind, **OTHER)
        else:
            rules.check_quota(tx, kind, **OWNER, parent=elsewhere)


def test_the_words_of_the_limits(records: Records) -> None:
    words = {
        SOLUTION: "More than 10 solutions are not allowed in one dataset group.",
        CAMPAIGN: "Cannot create a campaign. More than 5 resources in ACTIVE state. "
        "Please delete some and try again.",
        SCHEMA: "More than 500 schemas are not allowed in one region.",
    }
    with records.write() as tx:
        group = add(tx, "dataset-group", "g").arn
        for i in range(10):
            add(tx, "solution", f"s{i}", group)
        for i in range(5):
            add(tx, "campaign", f"c{i}", f"arn:aws:personalize:r:111111111111:solution/s{i}")
        for i in range(500):
            add(tx, "schema", f"x{i}")
        for kind, text in words.items():
            with pytest.raises(LimitExceeded, match="More than") as raised:
                rules.check_quota(tx, kind, **OWNER, parent=group)
            assert raised.value.message == text


def refuse(tx: Transaction, resource: Resource, blocker: Resource) -> None:
    """See that one resource keeps another from being deleted, and is named."""
    with pytest.raises(ResourceInUse) as raised:
        rules.delete(tx, resource, 1.0)
    assert blocker.arn in raised.value.message


@pytest.mark.parametrize(
    "held", ["event-tracker", "solution", "recommender", "dataset", "filter", "metric-attribution"]
)
def test_a_dataset_group_goes_last(records: Records, held: str) -> None:
    with records.write() as tx:
        group = add(tx, DATASET_GROUP.arn_kind, "g")
        child = add(tx, held, "x", group.arn)
        done = add(tx, "data-deletion-job", "done", group.arn, "COMPLETED")
        refuse(tx, group, child)
        rules.delete(tx, child, 1.0)
        rules.delete(tx, group, 1.0)
        assert (group.status, tx.get(done.arn)) == ("DELETE PENDING", None)


def test_a_running_deletion_job_holds_its_group(records: Records) -> None:
    with records.write() as tx:
        group = add(tx, DATASET_GROUP.arn_kind, "g")
        refuse(tx, group, add(tx, "data-deletion-job", "j", group.arn, "IN_PROGRESS"))


def test_a_filter_that_a_running_batch_job_uses_stays(records: Records) -> None:
    with records.write() as tx:
        used, other = (add(tx, FILTER.arn_kind, name) for name in ("used", "other"))
        job = add(tx, "batch-segment-job", "j", status="CREATE IN_PROGRESS", filterArn=used.arn)
        add(tx, "batch-inference-job", "k", status="ACTIVE", filterArn=other.arn)
        rules.delete(tx, other, 1.0)
        refuse(tx, used, job)


@pytest.mark.parametrize("kind", ["dataset-import-job", "dataset-export-job"])
def test_a_dataset_goes_with_its_jobs_when_they_have_ended(records: Records, kind: str) -> None:
    with records.write() as tx:
        dataset = add(tx, DATASET.arn_kind, "g/ITEMS")
        ended = add(tx, kind, "ended", dataset.arn)
        running = add(tx, kind, "running", dataset.arn, "CREATE PENDING")
        refuse(tx, dataset, running)
        tx.remove(running)
        rules.delete(tx, dataset, 1.0)
        assert tx.get(ended.arn) is None


def test_a_solution_stays_while_a_batch_job_reads_a_version_of_it(records: Records) -> None:
    with records.write() as tx:
        solution = add(tx, SOLUTION.arn_kind, "s")
        version = add(tx, "solution-version", "s/1", solution.arn)
        job = add(tx, "batch-inference-job", "j", version.arn, "CREATE IN_PROGRESS")
        refuse(tx, solution, job)
        tx.remove(job)
        rules.delete(tx, solution, 1.0)
        assert tx.get(version.arn) is None


@pytest.mark.parametrize("status", ["CREATE PENDING", "START IN_PROGRESS", "STOP PENDING", "CREATE STOPPING"])
def test_what_is_on_its_way_is_not_deleted(records: Records, status: str) -> None:
    with records.write() as tx:
        with pytest.raises(ResourceInUse, match=status):
            rules.delete(tx, add(tx, "recommender", "r", status=status), 1.0)
        updated = add(tx, "recommender", "u", latestRecommenderUpdate={"status": "CREATE IN_PROGRESS"})
        with pytest.raises(ResourceInUse, match="update"):
            rules.delete(tx, updated, 1.0)
