"""Training job: a snapshot of the data, an honest evaluation, then the model that serves, fitted on all of it.

Sources: developer guide, "Creating a solution version", "Evaluating a solution version with metrics".
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from nextpick.data import featurize, snapshot
from nextpick.data.avro import parse_schema
from nextpick.data.dataset import Data, open_snapshot
from nextpick.durable import sync
from nextpick.jobs.choose import choose, measure
from nextpick.jobs.work import JobFailure, Outcome, Work, datasets_dir, results
from nextpick.models import artifact
from nextpick.names import builtin_arn
from nextpick.recipes import catalogue
from nextpick.resources import versions
from nextpick.resources.kinds import DATASET, SOLUTION
from nextpick.serving.versions import FORMAT, load
from nextpick.store import log as event_log
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Train the version and write it to a directory of its own.

    Raises JobFailure when the data does not suffice, DataFailure when it cannot be read.
    """
    with results(work.versions / f"{work.job.id}.{work.job.fence}") as out:
        return _train(work, out)


def _train(work: Work, out: Path) -> Outcome:
    started = work.clock.now()
    version = work.resource
    sources, solution, dataset = _sources(work)
    log_dir = work.settings.home / "log"
    positions = event_log.positions(log_dir)
    out.mkdir()
    config = version.body.get("solutionConfig", {})
    threshold = config.get("eventValueThreshold")
    snapshot.build_snapshot(
        out / "snapshot",
        **sources,
        events=event_log.read_group(log_dir, version.body["datasetGroupArn"], positions),
        run=work.run.share(0.0, 0.3),
        event_type=version.body.get("eventType"),
        event_value_threshold=float(threshold) if threshold else None,
        excluded_columns=_excluded(config, solution),
    )
    artifact.seal(out / "snapshot", {})
    data = open_snapshot(out / "snapshot")
    percentiles = {
        name: float(text) for name, text in config.get("featureTransformationParameters", {}).items()
    }
    data = featurize.without_outliers(data, percentiles)
    _check_minimums(data, work, version.body.get("eventType"))
    choice = choose(version.body, data, work.run.share(0.3, 0.5))
    metrics = measure(choice, data, work.run.share(0.5, 0.65))
    module = catalogue.load(choice.info)
    params = catalogue.parse_params(module, choice.hyperparameters)
    state = module.fit(data, params, work.run.share(0.65, 0.95))
    work.run.progress(0.95, "writing the version")
    artifact.save(out / "model", state, {"recipe": choice.info.name})
    described = {"format": FORMAT, "recipe": choice.info.name, "log_positions": positions, "metrics": metrics}
    _write_last(out / "version.json", described)
    load(out)  # that it can be, and that the code it is served by is compiled
    hours = math.ceil((work.clock.now() - started) / 3.6) / 1000  # in thousandths, begun ones count
    trained: dict[str, Any] = {"trainingHours": hours, "recipeArn": builtin_arn("recipe", choice.info.name)}
    if choice.is_tuned:
        trained["tunedHPOParams"] = {"algorithmHyperParameters": choice.hyperparameters}
    internal = {
        "dir": out.name,
        "metrics": metrics,
        "trained_on": {"parts": dataset.internal["parts"], "positions": positions},
    }

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        versions.complete(tx, resource, now, trained=trained, internal=internal)

    n_users, n_items = len(data.users.ids), len(data.items.ids)
    report = {
        "interactions": len(data.interactions.item),
        "users": n_users,
        "items": n_items,
        "metrics": metrics,
    }
    return Outcome(commit, report)


def _sources(work: Work) -> tuple[dict[str, Any], Resource, Resource]:
    """Return the snapshot's sources by dataset type, the solution, and the interactions dataset."""
    sources: dict[str, Any] = {"interactions": None, "items": None, "users": None}
    interactions = None
    with work.records.read() as tx:
        solution = tx.get(work.resource.parent or "")
        if solution is None or solution.kind != SOLUTION.arn_kind:
            raise JobFailure("The solution was deleted during the training.")
        for dataset in tx.find(DATASET.arn_kind, parent=solution.parent):
            member = dataset.body["datasetType"].lower()
            schema = tx.get(dataset.body["schemaArn"])
            if member not in sources or schema is None or not dataset.internal["parts"]:
                continue
            directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
            parts = [directory / part for part in dataset.internal["parts"]]
            sources[member] = snapshot.Source(parse_schema(schema.body["schema"]), parts)
            if member == "interactions":
                interactions = dataset
    if interactions is None:
        least = work.settings.min_interactions
        raise JobFailure(f"Dataset has fewer than {least} interactions: nothing was imported yet.")
    return sources, solution, interactions


def _excluded(config: dict[str, Any], solution: Resource) -> dict[str, list[str]]:
    asked = config.get("trainingDataConfig", {}).get("excludedDatasetColumns", {})
    new = solution.internal.get("excluded", {})
    return {kind: [*asked.get(kind, []), *new.get(kind, [])] for kind in {*asked, *new}}


def _check_minimums(data: Data, work: Work, event_type: str | None) -> None:
    after = f" after filtering by event type: {event_type}" if event_type else ""
    least = work.settings.min_interactions
    if len(data.interactions.item) < least:
        raise JobFailure(f"Dataset has fewer than {least} interactions{after}")
    least = work.settings.min_users
    if int(np.count_nonzero(np.diff(data.interactions.offsets) >= 2)) < least:
        raise JobFailure(f"Dataset has fewer than {least} users with at least 2 interactions each{after}")


def _write_last(path: Path, content: dict[str, Any]) -> None:
    """Write the file that makes the directory a version, and see all names on disk."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True))
    for made in (path, path.parent, path.parent.parent):
        sync(made)
