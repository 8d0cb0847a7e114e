"""What of the event log is still needed: by datasets, by what serves, by metric attributions."""

from nextpick.resources import attributions, lifecycle
from nextpick.resources.kinds import (
    CAMPAIGN,
    METRIC_ATTRIBUTION,
    RECOMMENDER,
    SOLUTION,
    SOLUTION_VERSION,
)
from nextpick.store.records import Resource, Transaction

Positions = dict[str, int]


def of_stream(tx: Transaction, dataset: Resource) -> Positions:
    """Return up to where what was put into a dataset is needed by nobody.

    It is in a part; views have it; the versions that campaigns and recommenders serve, the newest version of each
    solution, and those that are being made are trained on it; metric attributions have counted it.
    """
    folded: Positions = dataset.internal.get("folded", {})
    found = [folded]
    if "view" in dataset.internal:
        found.append(dataset.internal["view"]["positions"])
    group = dataset.parent or ""
    for solution in tx.find(SOLUTION.arn_kind, parent=group):
        versions = tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn)
        if any(version.status in lifecycle.UNSETTLED for version in versions):
            return {}
        campaigns = tx.find(CAMPAIGN.arn_kind, parent=solution.arn)
        if any(campaign.status in lifecycle.UNSETTLED for campaign in campaigns):
            return {}
        trained = [v for v in versions if "trained_on" in v.internal]
        served = {c.internal.get("serving", {}).get("version") for c in campaigns}
        kept = [v for v in trained if v.arn in served] + trained[-1:]
        found += [v.internal["trained_on"]["positions"] for v in kept]
    for recommender in tx.find(RECOMMENDER.arn_kind, parent=group):
        if "serving" in recommender.internal:
            found.append(recommender.internal["serving"]["trained_on"]["positions"])
    for attribution in tx.find(METRIC_ATTRIBUTION.arn_kind, parent=group):
        found.append(attributions.counted(attribution))
    return {name: min(positions.get(name, 0) for positions in found) for name in folded}
