"""The network: what it computes is what its formulas say, and a training can be repeated and gone on with."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from networks import (  # noqa: E402
    LENGTH,
    N_ITEMS,
    PLAN,
    SHAPE,
    SIDES,
    content,
    random_network,
    run,
    served,
    trained,
)  # fmt: skip

from nextpick.data.dataset import Context  # noqa: E402
from nextpick.models import (  # noqa: E402
    network,
    transformer_input,
    transformer_loss,
    transformer_serve,
    transformer_train,
)  # fmt: skip
from nextpick.models.transformer import Network  # noqa: E402
from nextpick.models.transformer_serve import Asked  # noqa: E402
from nextpick.testing.worlds import made_data  # noqa: E402


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


def test_few_interactions_are_learnt_with_more_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_data(users=20, items=10, longest=9)
    found = []
    for more in (1, 0):
        monkeypatch.setattr(network, "_FEW", len(data.interactions.item) + more)
        found.append(network._content(data, data.interactions)[1].dropout)
    assert found == [0.2, 0.05]


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
