"""The network: what it computes is what its formulas say, and a training can be repeated and gone on with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from nextpick.data.dataset import Context  # noqa: E402
from nextpick.data.run import Run  # noqa: E402
from nextpick.models import (  # noqa: E402
    network,
    transformer_export,
    transformer_graphs,
    transformer_input,
    transformer_loss,
    transformer_serve,
    transformer_train,
)
from nextpick.models.transformer import Content, Network, Shape  # noqa: E402
from nextpick.models.transformer_batches import Epoch, Histories, coded, windows  # noqa: E402
from nextpick.models.transformer_input import Sides  # noqa: E402
from nextpick.models.transformer_serve import Asked  # noqa: E402
from nextpick.models.transformer_train import Plan, Queries  # noqa: E402

N_ITEMS, LENGTH = 30, 8
SIDES = Sides(n_types=2, longest=10_000)
ROWS = np.array([1, 2, 3, 4, 5, 0], np.int32)  # of two contextual columns' values
FIRST = np.array([0, 3, 6])
SHAPE = Shape(16, 2, LENGTH, 0.1, N_ITEMS, 4, SIDES.n_codes, 5, len(ROWS))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PLAN = Plan(rounds=3, steps=4, tokens=64, draws=0)


def content(rng: np.random.Generator) -> Content:
    return Content(
        np.arange(1, N_ITEMS + 1),
        rng.integers(0, 4, (N_ITEMS, 2)),
        rng.standard_normal((N_ITEMS, 5)).astype(np.float32),
        rng.standard_normal(N_ITEMS).astype(np.float32),
        (0.1 * rng.standard_normal((N_ITEMS, 16))).astype(np.float32),
    )


def histories(rng: np.random.Generator, users: int = 40) -> Histories:
    """Return histories in which the item after i is i + 1, more often than not."""
    lengths = rng.integers(1, 25, users)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    n = int(offsets[-1])
    item = ((np.arange(n) + (rng.random(n) < 0.2) * rng.integers(0, N_ITEMS, n)) % N_ITEMS).astype(np.int32)
    time = np.cumsum(rng.integers(0, 4000, n)).astype(np.int64)
    codes = coded(offsets, time, rng.integers(-1, 2, n), SIDES)
    contexts = np.stack((rng.integers(0, 4, n), np.where(item % 2, 4, 5)), axis=1).astype(np.int32)
    return Histories(offsets, item, codes, contexts, rng.uniform(0.5, 2, n).astype(np.float32))


def queries(rng: np.random.Generator) -> Queries:
    length = rng.integers(1, LENGTH + 1, 12)
    item = np.where(np.arange(LENGTH) < length[:, None], rng.integers(0, N_ITEMS, (12, LENGTH)), 0)
    last = item[np.arange(12), length - 1]
    return Queries(item, length, np.zeros((12, LENGTH, 3), np.int64), (last + 1) % N_ITEMS, repeats=True)


def run(
    scratch: Path | None = None, progress: Callable[[float, str], None] = lambda done, stage: None
) -> Run:
    return Run(progress, lambda: False, np.random.default_rng(5), scratch=scratch)


def trained(run: Run, plan: Plan = PLAN) -> dict[str, bytes]:
    """Return the bytes of everything a training gives."""
    rng = np.random.default_rng(1)
    network, values = transformer_train.train(
        SHAPE, content(rng), histories(rng), queries(rng), plan, run, DEVICE
    )
    assert len(values) <= plan.rounds
    return {name: array.tobytes() for name, array in transformer_export.tables(network).items()}


def random_network(rng: np.random.Generator) -> Network:
    torch.manual_seed(0)
    network = Network(SHAPE, content(rng)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3)
        for table in (network.own, network.attributes, network.sides, network.circumstances):
            table.weight[0] = 0.0  # nothing, of which training makes nothing
    return network


def served(network: Network) -> dict[str, np.ndarray]:
    reads = np.array([LENGTH, *SIDES])
    return {**transformer_export.tables(network), "reads": reads, "rows": ROWS, "first": FIRST}


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_the_chunked_loss_is_the_plain_one(dtype: torch.dtype, error: float) -> None:
    torch.manual_seed(0)
    n = 1200  # more than two chunks
    h, e = (torch.randn(rows, 16, dtype=torch.float32, requires_grad=True) for rows in (n, N_ITEMS))
    b, target, weight = torch.randn(N_ITEMS), torch.randint(0, N_ITEMS, (n,)), torch.rand(n)
    loss = transformer_loss.full(h, e, b, target, weight, dtype)
    loss.backward()
    found = [loss.detach(), h.grad, e.grad]
    h.grad = e.grad = None
    each = torch.nn.functional.cross_entropy(h @ e.T + b, target, reduction="none")
    plain = (each * weight).sum() / weight.sum()
    plain.backward()
    for one, other in zip(found, [plain.detach(), h.grad, e.grad], strict=True):
        assert one is not None
        assert other is not None
        assert (one - other).abs().max() <= error * other.abs().max()


def test_the_sampled_loss_estimates_the_whole_sum_without_bias() -> None:
    torch.manual_seed(0)
    h, e, b = torch.randn(1, 16) * 0.5, torch.randn(N_ITEMS, 16) * 0.5, torch.randn(N_ITEMS)
    target, popular = torch.tensor([3]), torch.rand(N_ITEMS) + 0.1
    q = popular / popular.sum()
    logits = (h @ e.T + b)[0]
    sums = []
    for _ in range(4000):
        draws = torch.multinomial(q, 8, replacement=True)
        hit = draws[None] == target[:, None]
        loss = transformer_loss.sampled(
            h, e[target], e[draws], b[target], b[draws], q[draws].log(), hit, torch.ones(1)
        )
        sums.append((loss + logits[3]).exp())
    estimates = torch.stack(sums)
    error = estimates.std() / len(sums) ** 0.5
    assert (estimates.mean() - logits.exp().sum()).abs() < 4 * error


def test_every_target_is_in_one_window() -> None:
    rng = np.random.default_rng(0)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(0, 40, 50)))).astype(np.int64)
    start, size = windows(offsets, LENGTH, rng)
    assert size.min() > 0
    assert size.max() <= LENGTH
    targets = np.concatenate([np.arange(s + 1, s + n + 1) for s, n in zip(start, size, strict=True)])
    inner = np.setdiff1d(np.arange(offsets[-1]), offsets[:-1])
    assert np.array_equal(np.sort(targets), inner)


@pytest.mark.parametrize("few_shapes", [False, True])
def test_batches_hold_their_windows_and_no_more_tokens_than_they_may(few_shapes: bool) -> None:
    data = histories(np.random.default_rng(0))
    epoch = Epoch(data, LENGTH, 64, np.random.default_rng(1), few_shapes)
    weights = 0.0
    for batch in epoch.after(0):
        assert batch.item.size <= 64
        assert (batch.codes[:, :, 2] <= 2 + 2 * 64).all()
        assert np.array_equal(batch.at, np.unique(batch.at))
        assert (batch.weight > 0).all() or few_shapes
        of_next = batch.at + 1
        inner = (of_next % batch.item.shape[1] > 0) & np.isin(of_next, batch.at[batch.weight > 0])
        assert np.array_equal(batch.target[inner], batch.item.ravel()[of_next[inner]])
        weights += batch.weight.sum()
    first = data.offsets[:-1][np.diff(data.offsets) > 0]
    assert weights == pytest.approx(np.delete(data.weight, first).sum(), rel=1e-5)
    tail = list(Epoch(data, LENGTH, 64, np.random.default_rng(1), few_shapes).after(2))
    whole = list(Epoch(data, LENGTH, 64, np.random.default_rng(1), few_shapes).after(0))
    assert all(np.array_equal(a.item, b.item) for a, b in zip(tail, whole[2:], strict=True))


def test_batches_of_few_shapes_hold_the_same_windows() -> None:
    lengths = np.random.default_rng(0).geometric(1 / 40, 3000)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    n = int(offsets[-1])
    item, codes, contexts = (
        np.arange(n, dtype=np.int32),
        np.zeros((n, 3), np.int16),
        np.zeros((n, 0), np.int32),
    )
    data = Histories(offsets, item, codes, contexts, np.ones(n, np.float32))
    free, few = (
        list(Epoch(data, 200, 2048, np.random.default_rng(1), is_few).after(0)) for is_few in (False, True)
    )
    targets = [np.sort(np.concatenate([b.target[b.weight > 0] for b in batches])) for batches in (free, few)]
    assert np.array_equal(targets[0], targets[1])
    assert len({batch.item.shape for batch in few}) <= 28 < len({batch.item.shape for batch in free})
    assert len(few) < 1.2 * len(free)


def test_each_contextual_column_is_told_in_some_windows_and_hidden_in_others() -> None:
    data = histories(np.random.default_rng(0), users=200)
    seen = set()
    for batch in Epoch(data, LENGTH, 64, np.random.default_rng(1)).after(0):
        told = batch.contexts
        assert ((told[:, 1] == 0) | (told[:, 1] == np.where(batch.target % 2, 4, 5))).all()
        window = batch.at // batch.item.shape[1]
        seen |= {tuple((told[window == one] > 0).any(axis=0).tolist()) for one in np.unique(window)}
    assert seen == {(a, b) for a in (False, True) for b in (False, True)}


def test_a_value_that_hardly_anything_was_taken_under_has_no_embedding() -> None:
    hour = np.repeat([0, 1, 2, -1], [30, 9, 10, 5]).astype(np.int32)
    place = np.repeat([1, 0], [50, 4]).astype(np.int32)
    columns = (Context("HOUR", hour, ("a", "b", "c"), ()), Context("PLACE", place, ("d", "e"), ()))
    numbered = network._numbered(columns)
    assert numbered.rows.tolist() == [1, 0, 2, 0, 3]
    assert numbered.first.tolist() == [0, 3, 5]
    coded = network._coded(columns, 54, numbered)
    assert np.array_equal(coded, np.stack((np.array([1, 0, 2, 0])[hour], np.array([0, 3])[place]), axis=1))
    assert network._coded((), 7, network._numbered(())).shape == (7, 0)


def test_an_event_is_read_without_what_comes_after_it() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng)
    e, codes = torch.randn(1, LENGTH, 16), torch.zeros(1, LENGTH, 3, dtype=torch.int64)
    changed = e.clone()
    changed[:, 5:] += torch.randn(3, 16)
    before, after = network(e, codes), network(changed, codes)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("length", [1, 3, LENGTH, LENGTH + 5])
def test_onnx_and_torch_agree(length: int) -> None:
    rng = np.random.default_rng(length)
    network = random_network(rng)
    arrays = served(network)
    items, kind = rng.integers(0, N_ITEMS, length), rng.integers(-1, 2, length)
    time = np.cumsum(rng.integers(0, 4000, length))
    now = int(time[-1]) + 300
    gaps = np.diff(time, append=now)
    codes = transformer_input.codes(np.concatenate(([-1], gaps[:-1])), gaps, kind, *SIDES)[-LENGTH:]
    with torch.no_grad():
        e = network.items()
        x = network(e[torch.from_numpy(items[-LENGTH:])][None], torch.from_numpy(codes)[None])[0, -1:]
        for context, codes in (((), (0, 0)), ((2, -1), (3, 0)), ((0, 1), (1, 5)), ((1, 2), (2, 0))):
            h = network.under(x, torch.tensor([codes]))[0]
            expected = (e @ h + network.content_bias).numpy()
            found = transformer_serve.logits(arrays, Asked(items, time, kind, now, context))
            assert np.abs(found - expected).max() < 1e-5


def test_a_clock_far_from_the_data_is_no_clock() -> None:
    arrays = served(random_network(np.random.default_rng(0)))
    items, time = np.array([1, 2, 3]), np.array([0, 50, 900])
    answers = [
        transformer_serve.logits(arrays, Asked(items, time, None, now)) for now in (None, 10**9, 800, 1000)
    ]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])
    assert not np.allclose(answers[0], answers[3])


def test_what_events_add_makes_up_the_logit() -> None:
    rng = np.random.default_rng(0)
    arrays = served(random_network(rng))
    items = rng.integers(0, N_ITEMS, LENGTH + 3)
    asked = Asked(items, np.arange(LENGTH + 3) * 500, None, LENGTH * 600, (1, 0))
    added, told, rest = transformer_serve.parts(arrays, asked, 7)
    assert added[:3].tolist() == [0, 0, 0]  # the network does not read as far back
    assert np.count_nonzero(added) == LENGTH
    z = transformer_serve.logits(arrays, asked)
    assert added.sum() + told + rest == pytest.approx(z[7] - z.mean(), abs=1e-4)
    untold, none, _ = transformer_serve.parts(arrays, asked._replace(context=()), 7)
    assert none == 0
    assert np.array_equal(added, untold)


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


def test_where_a_gpu_has_too_little_memory_the_training_goes_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked: list[tuple[str, Plan]] = []
    train = transformer_train.train

    def small(*given: Any) -> Any:
        *_, plan, _, device = given
        asked.append((device.type, plan))
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train(*given)

    monkeypatch.setattr(transformer_train, "train", small)
    rng = np.random.default_rng(1)
    found, values, plan = network._fitted(SHAPE, content(rng), histories(rng), queries(rng), run())
    assert [device for device, _ in asked] == ["cuda", "cpu"]
    assert plan == asked[-1][1]
    assert all(weight.device.type == "cpu" for weight in found.parameters())
    assert values[-1] > 0


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
    assert cut.draws == 2048 < whole.draws < 8192


def test_a_gpu_has_as_many_items_in_the_softmax_as_the_data_leaves_time_for() -> None:
    draws = [[plan.draws for plan in plans(n, 80_000)] for n in (500_000, 3_000_000, 100_000_000)]
    assert draws == [[2048, 0], [2048, 8192], [2048, 2048]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("draws", [0, 16])
def test_steps_as_graphs_give_the_bytes_of_their_kernels_one_by_one(
    draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PLAN._replace(draws=draws, steps=40)
    made = []
    for met in (10_000, 2, 5):
        monkeypatch.setattr(transformer_graphs, "_MET", met)
        made.append(trained(run(), plan))
    assert made[0] == made[1] == made[2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
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
            SHAPE, content(rng), histories(rng), queries(rng), plan, run(), torch.device(device)
        )
        values.append(found[1][-1])
    assert values[0] == pytest.approx(values[1], abs=0.1)


def test_items_are_drawn_as_often_as_they_should_be_and_those_nobody_took_never() -> None:
    count = np.arange(N_ITEMS) * (np.arange(N_ITEMS) % 3 > 0)
    plan = PLAN._replace(draws=200_000)
    training = transformer_train._Training(
        Network(SHAPE, content(np.random.default_rng(1))), plan, count, torch.device("cpu")
    )
    drawn = np.bincount(training._draws().numpy(), minlength=N_ITEMS) / plan.draws
    assert (drawn[count == 0] == 0).all()
    assert drawn == pytest.approx(training.drawn_by.numpy(), abs=0.005)


@pytest.mark.parametrize("draws", [0, 16])
def test_two_trainings_with_one_seed_give_the_same_bytes(draws: int) -> None:
    plan = PLAN._replace(draws=draws)
    assert trained(run(), plan) == trained(run(), plan)


def test_a_training_that_was_killed_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    steps = []

    def kill_in_the_third_round(done: float, stage: str) -> None:
        steps.append(done)
        if len(steps) == 2 * PLAN.steps + 2:
            raise Killed

    with pytest.raises(Killed):
        trained(run(tmp_path, kill_in_the_third_round))
    steps_again = []
    resumed = trained(run(tmp_path, lambda done, stage: steps_again.append(done)))
    assert len(steps_again) == PLAN.steps
    assert resumed == trained(run())


def test_a_damaged_checkpoint_is_not_gone_on_with(tmp_path: Path) -> None:
    whole = trained(run(tmp_path))
    (checkpoint,) = tmp_path.glob("*/round-*")
    (checkpoint / "weight.own.weight.npy").write_bytes(b"torn")
    assert trained(run(tmp_path)) == whole
