"""HPO: the same seed gives the same result however many processes there are, and none is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextpick.data.dataset import Data
from nextpick.data.run import Run, Stopped
from nextpick.jobs import tune as tuning
from nextpick.jobs.choice import prepared
from nextpick.jobs.tune import Trials, tune
from nextpick.recipes import catalogue
from served import children_of
from worlds import Shop, checkerboard, open_api

NAME = "aws-user-personalization"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    api = open_api(home)
    shop = Shop(api)
    shop.imported(shop.start_import("j", checkerboard()))
    trained = shop.trained(shop.train(shop.solution()))
    assert trained["status"] == "ACTIVE", trained
    api.library.close()
    (found,) = home.rglob("snapshot")
    return found


def trials(snapshot: Path, most: int, parallel: int, **hpo: Any) -> Trials:
    resources = {"maxNumberOfTrainingJobs": str(most), "maxParallelTrainingJobs": str(parallel)}
    info = catalogue.find(NAME)
    assert info is not None
    return Trials(info, {}, snapshot, {"hpoConfig": {"hpoResourceConfig": resources, **hpo}}, None)


def a_run(should_stop: bool = False) -> Run:
    return Run(lambda done, stage: None, lambda: should_stop, np.random.default_rng(3))


def tuned(of: Trials) -> dict[str, str]:
    return tune(of, {}, prepared(of.snapshot, {}, None), a_run())


@pytest.mark.parametrize("least_users", [1, 1 << 30])
def test_no_trial_begins_when_the_time_is_over_and_the_defaults_are_tried_in_any_case(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch, least_users: int
) -> None:
    monkeypatch.setattr(tuning, "_LEAST_USERS", least_users)
    notes: dict[str, Any] = {}
    few = trials(snapshot, 6, 1)._replace(limit_s=0.0)
    assert tune(few, {}, prepared(snapshot, {}, None), a_run()._replace(note=notes.__setitem__))
    assert notes["tuning"]["tried"] == 1
    assert notes["tuning"]["best"] == notes["tuning"]["defaults"] > 0


def test_a_trial_that_the_time_ends_is_worth_nothing(snapshot: Path) -> None:
    of, data = trials(snapshot, 1, 1), prepared(snapshot, {}, None)
    now = time.monotonic()
    assert of.value({}, 1, data, a_run(), end=now) == -np.inf
    assert of.value({}, 1, data, a_run(), end=now + 600) > 0
    with pytest.raises(Stopped):
        of.value({}, 1, data, a_run(should_stop=True), end=now)


def test_trials_in_processes_find_what_trials_in_one_find(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tuned(trials(snapshot, 6, 2))
    monkeypatch.setattr(tuning.os, "cpu_count", lambda: 1)
    assert tuned(trials(snapshot, 6, 2)) == many
    monkeypatch.undo()
    monkeypatch.setattr(tuning, "_LEAST_USERS", 1)
    many = tuned(trials(snapshot, 6, 2))
    monkeypatch.setattr(tuning.os, "cpu_count", lambda: 1)
    assert tuned(trials(snapshot, 6, 2)) == many


def test_of_many_users_trials_are_of_a_part_and_only_the_best_and_the_defaults_of_all(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_LEAST_USERS", 1)
    fits: list[tuple[int, float]] = []
    value = Trials.value

    def counted(
        of: Trials, params: dict[str, str], seed: int, data: Data, run: Run, part: float, end: float
    ) -> float:
        """A stand-in for metrics of real data, where the fewer items count the better."""
        fits.append((int(params["bptt"]), part))
        assert value(of, params, seed, data, run, part, end) >= 0
        return 1.0 / int(params["bptt"])

    monkeypatch.setattr(Trials, "value", counted)
    notes: dict[str, Any] = {}
    of = trials(snapshot, 10, 1)
    found = tune(of, {}, prepared(snapshot, {}, None), a_run()._replace(note=notes.__setitem__))
    early, whole = ([bptt for bptt, share in fits if share == part] for part in (tuning._PART, 1.0))
    assert notes["tuning"]["tried"] == len(early)
    assert notes["tuning"]["ended_early"] == len(early) - len(whole)
    assert whole == [32, *sorted(early)[:3]]  # the defaults, in any case
    assert int(catalogue.plain_names(found)["bptt"]) == min(early)


def test_a_part_of_the_users_is_the_same_part_for_every_trial(snapshot: Path) -> None:
    of, data = trials(snapshot, 1, 1), prepared(snapshot, {}, None)
    once, again, whole = (of.value({}, 5, data, a_run(), part) for part in (0.25, 0.25, 1.0))
    assert once == again != whole


def test_it_is_never_worse_than_the_defaults(snapshot: Path) -> None:
    of = trials(snapshot, 8, 1)
    data = prepared(snapshot, {}, None)
    found = catalogue.plain_names(tune(of, {}, data, a_run()))
    seed = int(a_run().rng.integers(1 << 31, size=2)[0])
    defaults = catalogue.default_params(of.info)
    assert of.value(found, seed, data, a_run()) >= of.value(defaults, seed, data, a_run())


def test_what_is_reported_is_in_the_ranges_asked_for(snapshot: Path) -> None:
    ranges = {
        "integerHyperParameterRanges": [{"name": "bptt", "minValue": 3, "maxValue": 5}],
        "categoricalHyperParameterRanges": [{"name": "recency_mask", "values": ["false"]}],
    }
    for most in (1, 4):
        found = catalogue.plain_names(tuned(trials(snapshot, most, 1, algorithmHyperParameterRanges=ranges)))
        assert 3 <= int(found["bptt"]) <= 5
        assert found["recency_mask"] == "false"


def test_a_metric_the_recipe_does_not_have_leaves_the_usual_one(snapshot: Path) -> None:
    data = prepared(snapshot, {}, None)
    usual, unknown = (
        trials(snapshot, 1, 1, **more).value({}, 1, data, a_run())
        for more in ({}, {"hpoObjective": {"metricName": "likes"}})
    )
    assert usual == unknown > 0


def test_an_objective_may_be_made_small(snapshot: Path) -> None:
    data = prepared(snapshot, {}, None)
    metric = "normalized_discounted_cumulative_gain_at_25"
    most, least = (
        trials(snapshot, 1, 1, hpoObjective={"type": type_, "metricName": metric}).value({}, 1, data, a_run())
        for type_ in ("Maximize", "Minimize")
    )
    assert most == -least > 0


def test_a_tuning_that_is_no_longer_wanted_stops(snapshot: Path) -> None:
    of = trials(snapshot, 4, 2)
    with pytest.raises(Stopped):
        tune(of, {}, prepared(snapshot, {}, None), a_run(should_stop=True))


def test_processes_of_a_killed_tuning_end(snapshot: Path, tmp_path: Path) -> None:
    script = tmp_path / "tuning.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from pathlib import Path\nfrom test_tune import trials, tuned\n"
        f"if __name__ == '__main__':\n    tuned(trials(Path({str(snapshot)!r}), 40, 2))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)])
    workers: list[int] = []
    deadline = time.monotonic() + 60
    while len(workers) < 3 and time.monotonic() < deadline and process.poll() is None:
        workers = children_of(process.pid)  # two workers, and the resource tracker of multiprocessing
        time.sleep(0.05)
    assert len(workers) == 3
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{pid}/stat").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
