"""A network on a GPU: for how long it is trained, in half precision, as graphs, and what happens where that fails."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from networks import LENGTH, N_ITEMS, PLAN, SEED, SHAPE, content, histories, queries, run, trained  # noqa: E402

from nextpick.data.run import Run  # noqa: E402
from nextpick.models import network, transformer_export, transformer_graphs, transformer_train  # noqa: E402
from nextpick.models.transformer import Network  # noqa: E402
from nextpick.models.transformer_batches import Histories  # noqa: E402
from nextpick.models.transformer_train import Plan  # noqa: E402


@pytest.mark.parametrize("draws", [0, 16])
def test_half_precision_learns_what_single_does(draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU is trained on, but for the device."""
    losses = []
    for is_mixed in (False, True):
        rng = np.random.default_rng(1)
        torch.manual_seed(3)
        plan = Plan(rounds=1, steps=120, tokens=256, draws=draws)
        data, device = histories(rng), torch.device("cpu")
        count = np.bincount(data.item, minlength=N_ITEMS)
        training = transformer_train._Training(Network(SHAPE, content(rng)), plan, count, device)
        training.is_mixed = is_mixed
        training.loss_dtype = torch.bfloat16 if is_mixed else torch.float32
        kept: list[float] = []
        loss_of = training._loss

        def noted(*batch: Any, loss_of: Any = loss_of, kept: list[float] = kept) -> Any:
            loss = loss_of(*batch)
            kept.append(float(loss.detach()))
            return loss

        monkeypatch.setattr(training, "_loss", noted)
        batches = transformer_train._steps(data, LENGTH, plan, 0, 0, few_shapes=False)
        for _ in range(plan.steps):
            training.set_rates()
            training.step(*transformer_train._moved(next(batches), device))
        losses.append(kept)
    single, half = np.array(losses)
    assert half[0] == pytest.approx(single[0], rel=0.02)
    assert half[-20:].mean() < 0.9 * half[:5].mean()
    assert half[-20:].mean() == pytest.approx(single[-20:].mean(), rel=0.1)


@pytest.mark.parametrize(
    "problem",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)
def test_where_a_gpu_has_too_little_memory_the_training_goes_to_the_processor(
    problem: RuntimeError, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fitted(run: Run) -> tuple[dict[str, bytes], Plan]:
        rng = np.random.default_rng(1)
        found, _, plan = network._fitted(SHAPE, content(rng), histories(rng), queries(rng), run)
        return {name: array.tobytes() for name, array in transformer_export.tables(found).items()}, plan

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    one, other = run(), run()
    plain = fitted(one)
    asked: list[str] = []
    train, plan_of = transformer_train.train, network._plan

    def small(*given: Any) -> Any:
        asked.append(given[6].type)
        if asked == ["cuda"]:
            monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
            raise problem
        return train(*given)

    monkeypatch.setattr(transformer_train, "train", small)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(
        network,
        "_plan",
        lambda *given: plan_of(*given)._replace(draws=1) if given[-1] == "cuda" else plan_of(*given),
    )
    assert fitted(other) == plain
    assert asked == ["cuda", "cpu"]
    assert "too little memory" in caplog.text
    assert one.rng.random() == other.rng.random()


def test_what_fails_on_a_gpu_for_another_reason_fails_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> Any:
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")

    monkeypatch.setattr(transformer_train, "train", broken)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    rng = np.random.default_rng(1)
    with pytest.raises(RuntimeError, match="must match"):
        network._fitted(SHAPE, content(rng), histories(rng), queries(rng), run())


class FakeGraph:
    """A CUDA graph where there is no GPU: it counts how often it is replayed."""

    def __init__(self) -> None:
        self.replayed = 0

    def pool(self) -> int:
        return 1

    def replay(self) -> None:
        self.replayed += 1


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[FakeGraph]]:
    """Make graphs without a GPU, with so many bytes free; return those that were made."""

    def set_free(free: int) -> list[FakeGraph]:
        made: list[FakeGraph] = []

        @contextlib.contextmanager
        def capturing(graph: FakeGraph, pool: int | None) -> Iterator[None]:
            assert pool == (1 if made else None)
            yield
            made.append(graph)

        for name, fake in (
            ("reset_peak_memory_stats", lambda: None),
            ("memory_allocated", lambda: 0),
            ("max_memory_allocated", lambda: 1 << 20),
            ("empty_cache", lambda: None),
            ("mem_get_info", lambda: (free, 1 << 40)),
            ("CUDAGraph", FakeGraph),
            ("graph", capturing),
        ):
            monkeypatch.setattr(torch.cuda, name, fake)
        return made

    return set_free


def test_a_shape_that_comes_again_and_again_becomes_a_graph(
    fake_cuda: Callable[[int], list[FakeGraph]], tmp_path: Path
) -> None:
    made, asked, mark = fake_cuda(1 << 30), [], tmp_path / "training" / "graph"
    step = transformer_graphs.Replayed(lambda tensor: asked.append((len(tensor), mark.exists())), mark)
    for n in (1, 2, 1, 2, 1, 1, 2, 3):
        step(torch.zeros(n))
    assert asked == [(1, False), (2, False), (1, False), (2, False), (1, True), (2, True), (3, False)]
    assert [graph.replayed for graph in made] == [2, 1]
    assert not mark.exists()


def test_graphs_are_not_made_where_memory_is_short_or_one_has_ended_a_process(
    fake_cuda: Callable[[int], list[FakeGraph]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mark, asked = tmp_path / "graph", []
    made = fake_cuda(transformer_graphs._ROOM)
    step = transformer_graphs.Replayed(asked.append, mark)
    for _ in range(6):
        step(torch.zeros(1))
    assert (len(asked), made) == (6, [])
    assert "too few for CUDA graphs" in caplog.text

    def aborted(tensor: torch.Tensor) -> None:
        if mark.exists():
            raise KeyboardInterrupt

    made = fake_cuda(1 << 30)
    step = transformer_graphs.Replayed(aborted, mark)
    for _ in range(2):
        step(torch.zeros(1))
    with pytest.raises(KeyboardInterrupt):
        step(torch.zeros(1))
    step = transformer_graphs.Replayed(asked.append, mark)
    for _ in range(6):
        step(torch.zeros(1))
    assert (len(asked), made) == (12, [])
    assert "trained without" in caplog.text


def plans(n: int, n_items: int) -> list[Plan]:
    data = Histories(np.array([0, n]), np.zeros(n, np.int8), *(np.zeros(0) for _ in range(3)))
    return [
        network._plan(data, SHAPE._replace(width=64, length=200), n_items, device)
        for device in ("cpu", "cuda")
    ]


def test_how_long_a_training_is_follows_from_the_data_and_the_device() -> None:
    small, on_gpu = plans(1_000_000, 3400)
    assert small == on_gpu
    assert small.draws == 0
    assert small.rounds * small.steps * small.tokens == pytest.approx(12e6, rel=0.01)
    cut, whole = plans(25_000_000, 70_000)
    assert whole.rounds * whole.steps * whole.tokens == pytest.approx(300e6, rel=0.01)
    assert cut.rounds * cut.steps < 0.2 * whole.rounds * whole.steps
    assert (cut.draws, whole.draws) == (2048, 2516)


def test_a_gpu_has_as_many_items_in_the_softmax_as_the_data_leaves_time_for() -> None:
    draws = [[plan.draws for plan in plans(n, 80_000)] for n in (500_000, 3_000_000, 100_000_000)]
    assert draws == [[2048, 0], [2048, 8192], [2048, 2048]]
    assert [plan.draws for plan in plans(40_000, 5_000_000)] == [2048, 8192]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("draws", [0, 16])
def test_steps_as_graphs_give_the_bytes_of_their_kernels_one_by_one(
    draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PLAN._replace(draws=draws, steps=40)
    made, graphs = [], []
    make = transformer_graphs.Replayed._make

    def counted(self: transformer_graphs.Replayed, *given: Any) -> None:
        make(self, *given)
        graphs.append(len(self._graphs))

    monkeypatch.setattr(transformer_graphs.Replayed, "_make", counted)
    for met in (10_000, 2, 5):
        monkeypatch.setattr(transformer_graphs, "_MET", met)
        made.append(trained(run(), plan))
    assert made[0] == made[1] == made[2]
    assert max(graphs) > 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" in os.environ, reason="other tests train on the GPU beside it")
def test_a_training_ends_well_however_little_of_a_gpu_others_leave_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(1)
    given = SHAPE, content(rng), histories(rng), queries(rng)
    for mib in (0, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256, 272, 288, 320, 512):
        caplog.clear()
        torch.cuda.empty_cache()
        of_others = torch.empty(torch.cuda.mem_get_info()[0] - mib * 2**20, dtype=torch.uint8, device="cuda")
        _, values, _ = network._fitted(*given, run())
        assert values[-1] > 0
        del of_others
    assert not caplog.records  # of the last, which has room


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_learns_what_a_processor_does() -> None:
    plan, values = PLAN._replace(steps=60), []
    for device in ("cuda", "cpu"):
        rng = np.random.default_rng(1)
        found = transformer_train.train(
            SHAPE, content(rng), histories(rng), queries(rng), plan, SEED, torch.device(device), run()
        )
        values.append(found[1][-1])
    assert values[0] == pytest.approx(values[1], abs=0.1)
