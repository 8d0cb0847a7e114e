"""Training job: a snapshot of the data, an honest evaluation, then the model that serves, fitted on all of it.

Sources: developer guide, "Creating a solution version", "Evaluating a solution version with metrics".
"""

import json
import logging
import math
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from nextpick.data import objective, snapshot
from nextpick.data.dataset import Data
from nextpick.data.objective import EventRule
from nextpick.data.run import Run
from nextpick.durable import sync
from nextpick.jobs.choice import Choice, measure, prepared
from nextpick.jobs.choose import candidates, choose, chosen
from nextpick.jobs.sources import events_of, find_sources
from nextpick.jobs.work import JobFailure, Outcome, Work, training
from nextpick.models import artifact
from nextpick.names import builtin_arn
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.resources import reports, training_data, versions
from nextpick.resources.kinds import DATASET, SOLUTION
from nextpick.serving.versions import FORMAT, load
from nextpick.store import log as event_log
from nextpick.store.records import Resource, Transaction

_MOST_ACTIONS = 1000
_READ = "read.json"  # what a training reads, written down for the process that goes on

log = logging.getLogger(__name__)


class Trained(NamedTuple):
    """A training: what was chosen, its metrics, what it was trained on, a report for the job."""

    choice: Choice
    metrics: dict[str, float]
    trained_on: dict[str, Any]
    hours: float
    report: dict[str, Any]


def perform(work: Work) -> Outcome:
    """Train the version and write it to a directory of its own.

    Raises JobFailure when the data does not suffice, DataFailure when it cannot be read.
    """
    with work.records.read() as tx:
        solution = tx.get(work.resource.parent or "")
    if solution is None or solution.kind != SOLUTION.arn_kind:
        raise JobFailure("The solution was deleted during the training.")
    body = work.resource.body
    excluded = excluded_columns(work, body.get("solutionConfig", {}), solution)
    base = _base(work, solution) if body["trainingMode"] == "UPDATE" else None
    with training(work) as (kept, out):
        made = train(kept, out, body, solution.parent or "", body.get("eventType"), excluded, base)
    trained: dict[str, Any] = {
        "trainingHours": made.hours,
        "recipeArn": builtin_arn("recipe", made.choice.info.name),
    }
    if "description" in made.report:
        trained["description"] = made.report["description"]
    if made.choice.is_tuned:
        trained["tunedHPOParams"] = {"algorithmHyperParameters": made.choice.hyperparameters}
    internal = {"dir": out.name, "metrics": made.metrics, "trained_on": made.trained_on}

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        versions.complete(tx, resource, now, trained=trained, internal=internal)
        if work.settings.auto_reports:
            reports.queue(tx, resource, now)

    return Outcome(commit, made.report)


def train(
    work: Work,
    out: Path,
    body: dict[str, Any],
    group: str,
    event_type: str | None,
    excluded: dict[str, list[str]],
    base: Resource | None = None,
) -> Trained:
    """Train what ``body`` (of a solution version or a recommender) asks for on a dataset group's data, into ``out``.

    event_type: all that is trained on;  excluded: by dataset type, columns to leave out;  base: a version to update,
    whose hyperparameters, metrics and costly parts stay. ``work`` and ``out`` are those of ``training``. Raises as
    ``perform``.
    """
    started = work.clock.now()
    run, positions = work.run, _positions(work, group)
    info = catalogue.find((body.get("recipeArn") or "").rpartition("/")[2])  # None where AutoML chooses
    found = find_sources(work, group, positions, info)
    out.mkdir()
    config, infos = body.get("solutionConfig", {}), candidates(body)
    about_actions = info is not None and info.type == "PERSONALIZED_ACTIONS"
    rules = objective.event_rules(config, event_type)
    snapshot.build_snapshot(
        out / "snapshot",
        **found.sources,
        events=events_of(work, found.events, positions),
        run=work.run.share(0.0, 0.3),
        rules=rules,
        excluded_columns=excluded,
        about_actions=about_actions,
        with_terms=any(one.reads_texts or one.uses_texts for one in infos),
        with_contexts=any(one.reads_context for one in infos),
        with_impressions=not about_actions and any(one.explores for one in infos),
    )
    artifact.seal(out / "snapshot", {})
    data = prepared(out / "snapshot", config, event_type)._replace(now=int(started))
    _check(data, work, info, rules)
    notes: dict[str, Any] = {}
    noting = run._replace(note=notes.__setitem__)
    if base is None:
        tuning = run.share(0.3, 0.4)
        tuning = tuning._replace(rng=work.run.rng.spawn(1)[0])  # what is measured next does not depend on it
        limit_s = work.settings.tuning_s
        choice = choose(body, out / "snapshot", data, tuning, notes.__setitem__, limit_s)
        module, params = _fitting(choice, data)
        metrics, measured, _ = measure(choice, data, run.share(0.4, 0.65))
        data = choice.featurized(data)
        # what is dear was learnt on nine users of ten
        if measured is not None and hasattr(module, "update"):
            state = module.update(measured, data, params, noting.share(0.65, 0.95))
        else:
            state = module.fit(data, params, noting.share(0.65, 0.95))
    else:
        choice, metrics = chosen(base.body), base.internal["metrics"]
        _fitting(choice, data)
        data = choice.featurized(data)
        state = _updated(work, base, choice, data, noting.share(0.3, 0.95))
    work.run.progress(0.95, "writing the version")
    for name, told in notes.items():
        log.info("%s: %s: %s", work.resource.arn, name, told)
    artifact.save(out / "model", state, {"recipe": choice.info.name})
    described = {
        "format": FORMAT,
        "recipe": choice.info.name,
        "log_positions": positions,
        "metrics": metrics,
        "items_view": found.items_view,
        **notes,
    }
    _write_last(out / "version.json", described)
    load(out)  # that it can be, and that the code it is served by is compiled
    hours = math.ceil((work.clock.now() - started) / 3.6) / 1000  # in thousandths, begun ones count
    report = {
        "interactions": len(data.interactions.item),
        "users": len(data.users.ids),
        "items": len(data.items.ids),
        "metrics": metrics,
        **notes,
    }
    trained_on = {"parts": found.news.internal["parts"], "positions": positions, "started_at": started}
    return Trained(choice, metrics, trained_on, hours, report)


def _positions(work: Work, group: str) -> dict[str, int]:
    """Return up to where the log of events is read. A job that goes on after a kill reads what it read before, unless a
    dataset was written anew since: of other data nothing that was learnt could be taken over."""
    scratch = work.run.scratch
    assert scratch is not None
    with work.records.read() as tx:
        datasets = {
            dataset.arn: [dataset.internal["parts"], dataset.internal.get("folded", {})]
            for dataset in tx.find(DATASET.arn_kind, parent=group)
        }
    path = scratch / _READ
    try:
        noted = json.loads(path.read_text())
        if noted["datasets"] == datasets:
            return noted["positions"]
    except (OSError, ValueError, KeyError):
        pass
    positions = event_log.positions(work.settings.home / "log")
    scratch.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"datasets": datasets, "positions": positions}))
    return positions


def _fitting(choice: Choice, data: Data) -> tuple[ModuleType, Any]:
    """Return the recipe's module and its Params; raises DataFailure for data the recipe says it cannot learn from."""
    module, params = choice.load()
    if hasattr(module, "check"):
        module.check(data, params)
    return module, params


def _updated(work: Work, base: Resource, choice: Choice, data: Data, run: Run) -> dict[str, np.ndarray]:
    """Return the state of a version on newer data; a recipe with nothing dear to keep is fitted anew."""
    module, params = choice.load()
    if not hasattr(module, "update"):
        return module.fit(data, params, run)
    earlier, _ = artifact.load(work.versions / base.internal["dir"] / "model")
    return module.update(earlier, data, params, run)


def _base(work: Work, solution: Resource) -> Resource:
    with work.records.read() as tx:
        base = versions.newest_full(tx, solution)
    if base is None:
        raise JobFailure("The version that was to be updated was deleted.")
    return base


def excluded_columns(work: Work, config: dict[str, Any], solution: Resource) -> dict[str, list[str]]:
    """Return by type of dataset the columns that a solution leaves out."""
    chosen, new = config.get("trainingDataConfig", {}), solution.internal.get("excluded", {})
    with work.records.read() as tx:
        return training_data.left_out(tx, solution.parent or "", chosen, new)


def _check(data: Data, work: Work, info: RecipeInfo | None, rules: tuple[EventRule, ...]) -> None:
    """Raise JobFailure when there is too little to learn from, or too much."""
    if info is not None and info.type == "PERSONALIZED_ACTIONS":
        _check_actions(data)
    elif info is not None and info.reads_texts:
        if data.terms is None or not len(data.terms.codes):
            raise JobFailure("No word occurs in the texts of two items or more; there is nothing to compare.")
    else:
        _check_minimums(data, work, rules)


def _check_actions(data: Data) -> None:
    if not 0 < len(data.items.ids) <= _MOST_ACTIONS:
        raise JobFailure(f"There are {len(data.items.ids)} actions; there must be 1 to {_MOST_ACTIONS}.")


def _check_minimums(data: Data, work: Work, rules: tuple[EventRule, ...]) -> None:
    types = ", ".join(rule.type for rule in rules if rule.type)
    after = f" after filtering by event type: {types}" if types else ""
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
