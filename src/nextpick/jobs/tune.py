"""HPO: trials of hyperparameters, each chosen by what the earlier ones taught, as many at a time as asked for.

A trial is a fit and a measurement on held-out users, the same users for all; the first is the defaults, or what is
nearest to them in the ranges, so that the result is never worse than these. Where there are enough users, trials are
fits on a tenth of them, which cost a part of the time, and only the defaults and the best quarter are then fitted and
measured on all. Trials come in rounds of ``maxParallelTrainingJobs``, so that one seed gives one result
whatever the machine; one that the time for all ends is worth nothing. Sources: developer guide, "Hyperparameters and
HPO"; Bergstra et al. 2011 (the tree-structured Parzen estimator), as Optuna has it; Jamieson & Talwalkar 2016
(successive halving, here of one step).
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from math import ceil, inf
from multiprocessing.connection import wait
from multiprocessing.pool import AsyncResult
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nextpick.data.dataset import Data
from nextpick.data.run import Run, Stopped
from nextpick.jobs.choice import METRIC, SEGMENT_METRIC, Choice, measure, prepared
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo

_TRIALS, _PARALLEL = 8, 1
_DECIMALS = 4
_PART = 0.1
_LEAST_USERS = 200_000  # of fewer, a part costs more than half of what all do; a tenth of a part is held out
_KEPT = 0.25  # of the trials on a part
_LOOK_EVERY_S = 0.2

_Key = tuple[tuple[str, str], ...]


class Trials(NamedTuple):
    """What every trial of a tuning shares; ``config`` and ``event_type`` are the solution's. ``limit_s``: how long all
    but the first round of them may take, half of it those on a part of the users; of all users the first is besides."""

    info: RecipeInfo
    features: dict[str, str]
    snapshot: Path
    config: dict[str, Any]
    event_type: str | None
    limit_s: float = inf

    def value(
        self,
        hyperparameters: dict[str, str],
        seed: int,
        data: Data,
        run: Run,
        part: float = 1.0,
        end: float = inf,
    ) -> float:
        """Return how good hyperparameters are on a ``part`` of the users, by the metric asked for where the recipe has
        it; -inf when that is not known before ``end``, by ``time.monotonic``."""
        data = _part(data, part, seed)
        choice = Choice(self.info, hyperparameters, features=self.features)
        alone = run._replace(rng=np.random.default_rng(seed), note=lambda name, told: None)
        alone = alone._replace(should_stop=lambda: time.monotonic() >= end or run.should_stop())
        try:
            metrics = measure(choice, data, alone).metrics
        except Stopped:
            run.check()
            return -inf
        asked = self.config.get("hpoConfig", {}).get("hpoObjective", {})
        sign = -1.0 if asked.get("type", "").casefold() == "minimize" else 1.0
        names = (asked.get("metricName"), METRIC, SEGMENT_METRIC)
        return sign * next((metrics[name] for name in names if name in metrics), 0.0)


def tune(trials: Trials, given: dict[str, str], data: Data, run: Run) -> dict[str, str]:
    """Return the best hyperparameters, named as Personalize names tuned ones, ``given`` where not tuned.

    Tells ``run.note`` of ``tuning``: how many different ones were tried, how many of them ended early, and what the
    defaults and the best are worth.
    """
    hpo = trials.config.get("hpoConfig", {})
    resources = hpo.get("hpoResourceConfig", {})
    most, parallel = (
        int(resources.get(name, default))
        for name, default in (("maxNumberOfTrainingJobs", _TRIALS), ("maxParallelTrainingJobs", _PARALLEL))
    )
    space = _distributions(hpo.get("algorithmHyperParameterRanges") or catalogue.tunable_ranges(trials.info))
    start = catalogue.plain_names({**catalogue.default_params(trials.info), **given})
    start |= {name: _nearest(range_, start[name]) for name, range_ in space.items()}
    seed, sampler_seed = (int(s) for s in run.rng.integers(1 << 31, size=2))
    search = _Search(space, start, sampler_seed, most)
    is_part = int((np.diff(data.interactions.offsets) > 0).sum()) >= _LEAST_USERS
    began = time.monotonic()
    end = began + trials.limit_s
    with _Workers(trials, seed, data, min(parallel, os.cpu_count() or 1)) as workers:
        part, searching, enough = (
            (_PART, run.share(0.0, 0.5), began + trials.limit_s / 2) if is_part else (1.0, run, end)
        )
        for first, last, share, until in _rounds(most, parallel, searching, enough):
            search.round(last - first, workers, share, part, until)
        finalists = search.finalists() if is_part else []
        for first, last, share, until in _rounds(len(finalists), parallel, run.share(0.5, 1.0), end):
            search.learn(finalists[first:last], workers, share, 1.0, until)
    best = search.best()
    told = {
        "tried": len(search.early | search.known),
        "ended_early": len(search.early.keys() - search.known.keys()),
    }
    run.note("tuning", {**told, "defaults": search.known[_key(start)], "best": search.known[_key(best)]})
    return catalogue.tuned_names(trials.info, best)


def _rounds(n: int, parallel: int, run: Run, end: float) -> Iterator[tuple[int, int, Run, float]]:
    """Yield where each round of trials begins and ends, its share of the run, and until when it may take; the first may
    take as long as it does, and none begins after ``end``."""
    for first in range(0, n, parallel):
        if first and time.monotonic() >= end:
            break
        last = min(first + parallel, n)
        yield first, last, run.share(first / n, last / n), end if first else inf


class _Search:
    """Hyperparameters by what is known of others: ``known`` of all users, ``early`` of a part of them."""

    def __init__(
        self, space: dict[str, BaseDistribution], start: dict[str, str], seed: int, most: int
    ) -> None:
        self._space, self._start = space, start
        self.known: dict[_Key, float] = {}
        self.early: dict[_Key, float] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, max(most // 2, 2))),
        )
        self._study.enqueue_trial({name: _number(range_, start[name]) for name, range_ in space.items()})

    def round(self, n: int, workers: "_Workers", run: Run, part: float, end: float) -> None:
        """Try ``n`` more, those that are new, on a part of the users, until ``end``."""
        asked = [(trial, self._params(trial)) for trial in (self._study.ask(self._space) for _ in range(n))]
        self.learn([params for _, params in asked], workers, run, part, end)
        values = self._values(part)
        for trial, params in asked:
            self._study.tell(trial, values[_key(params)])

    def learn(
        self, wanted: list[dict[str, str]], workers: "_Workers", run: Run, part: float, end: float
    ) -> None:
        """Measure those that are not known yet, on a part of the users, until ``end``."""
        values = self._values(part)
        new = {_key(params): params for params in wanted if _key(params) not in values}
        values.update(zip(new, workers.values(list(new.values()), run, part, end), strict=True))

    def finalists(self) -> list[dict[str, str]]:
        """Return the defaults, then the best on a part of the users of all that were tried there."""
        ended = sorted(
            (key for key in self.early if self.early[key] > -inf), key=lambda key: -self.early[key]
        )
        best = ended[: ceil(_KEPT * len(self.early))]
        return [self._start, *(dict(key) for key in best if key != _key(self._start))]

    def best(self) -> dict[str, str]:
        """Return the best of those measured on all users."""
        return dict(max(self.known, key=lambda key: self.known[key]))

    def _params(self, trial: optuna.Trial) -> dict[str, str]:
        drawn = {name: _text(trial.params[name]) for name in self._space}
        return {**self._start, **drawn} if trial.number else self._start

    def _values(self, part: float) -> dict[_Key, float]:
        return self.known if part == 1.0 else self.early


class _Workers:
    """Where trials run: here when there is one at a time, else in processes, each with the data mapped."""

    def __init__(self, trials: Trials, seed: int, data: Data, n: int) -> None:
        self._trials, self._seed, self._data = trials, seed, data
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(n, _open, (trials, seed)) if n > 1 else None

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()

    def values(self, params: list[dict[str, str]], run: Run, part: float, end: float) -> list[float]:
        """Return the value of each on a part of the users, -inf where the time ends first; raises Stopped when ``run``
        says so."""
        if self._pool is None:
            return [self._trials.value(one, self._seed, self._data, run, part, end) for one in params]
        asked = [(one, part, end) for one in params]
        result: AsyncResult[list[float]] = self._pool.starmap_async(_value, asked, chunksize=1)
        while not result.ready():
            result.wait(_LOOK_EVERY_S)
            run.checkpoint(0.0, "trying hyperparameters")
        return result.get()


_worker: dict[str, Any] = {}


def _open(trials: Trials, seed: int) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _worker.update(trials=trials, seed=seed)
    _worker["data"] = prepared(trials.snapshot, trials.config, trials.event_type)


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _value(params: dict[str, str], part: float, end: float) -> float:
    alone = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    return _worker["trials"].value(params, _worker["seed"], _worker["data"], alone, part, end)


def _part(data: Data, part: float, seed: int) -> Data:
    """Return the data with the interactions of some users only, the same ones for one seed."""
    if part == 1.0:
        return data
    lengths = np.diff(data.interactions.offsets)
    stays = np.random.default_rng(seed).random(len(lengths)) < part
    return data._replace(interactions=data.interactions.only(np.repeat(stays, lengths)))


def _key(params: dict[str, str]) -> _Key:
    return tuple(sorted(params.items()))


def _distributions(ranges: dict[str, list[dict[str, Any]]]) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {}
    for given in ranges.get("integerHyperParameterRanges", []):
        space[given["name"]] = IntDistribution(given["minValue"], given["maxValue"])
    for given in ranges.get("continuousHyperParameterRanges", []):
        space[given["name"]] = FloatDistribution(given["minValue"], given["maxValue"])
    for given in ranges.get("categoricalHyperParameterRanges", []):
        space[given["name"]] = CategoricalDistribution(given["values"])
    return {name.rpartition(".")[2]: distribution for name, distribution in space.items()}


def _text(value: Any) -> str:
    return f"{value:.{_DECIMALS}f}" if isinstance(value, float) else str(value)


def _number(distribution: BaseDistribution, text: str) -> Any:
    if isinstance(distribution, IntDistribution):
        return int(text)
    return float(text) if isinstance(distribution, FloatDistribution) else text


def _nearest(distribution: BaseDistribution, text: str) -> str:
    """Return a value, or the one nearest to it that a range holds."""
    if isinstance(distribution, CategoricalDistribution):
        return text if text in distribution.choices else str(distribution.choices[0])
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    number = min(max(_number(distribution, text), distribution.low), distribution.high)
    return text if number == float(text) else _text(number)
