"""The batches a network learns from hold every event once, with what is beside it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from networks import LENGTH, histories  # noqa: E402

from nextpick.models.transformer_batches import Epoch, Histories, windows  # noqa: E402


def test_every_target_is_in_one_window() -> None:
    rng = np.random.default_rng(0)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(0, 40, 50)))).astype(np.int64)
    start, size = windows(offsets, LENGTH, rng)
    assert size.min() > 0
    assert size.max() <= LENGTH
    targets = np.concatenate([np.arange(s + 1, s + n + 1) for s, n in zip(start, size, strict=True)])
    inner = np.setdiff1d(np.arange(offsets[-1]), offsets[:-1])
    assert np.array_equal(np.sort(targets), inner)


def numbered(lengths: np.ndarray) -> Histories:
    """Return histories whose items, codes and contexts say which event it is."""
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    n = int(offsets[-1])
    item = np.arange(n, dtype=np.int32)
    codes = np.repeat(item[:, None] % 100 + 1, 3, axis=1).astype(np.int16)
    contexts = np.stack((item, item), axis=1) + np.array([1, 2 * n], np.int32)
    return Histories(offsets, item, codes, contexts, 1 + item.astype(np.float32) / n)


@pytest.mark.parametrize("few_shapes", [False, True])
def test_batches_hold_each_event_once_with_what_is_beside_it(few_shapes: bool) -> None:
    data = numbered(np.random.default_rng(0).geometric(1 / 60, 400))
    n = len(data.item)
    epoch = Epoch(data, 200, 2048, np.random.default_rng(1), few_shapes)
    targets = []
    for batch in epoch.after(0):
        assert batch.item.size <= 2048 * (9 / 8 if few_shapes else 1)
        assert np.array_equal(batch.at, np.unique(batch.at))
        assert (batch.weight > 0).all() or few_shapes
        real = batch.weight > 0
        item, target, contexts = batch.item.ravel()[batch.at[real]], batch.target[real], batch.contexts[real]
        assert np.array_equal(target, item + 1)
        assert np.array_equal(batch.weight[real], data.weight[target])
        told = batch.codes.reshape(-1, 3)[batch.at[real]]
        assert ((told == 0) | (told == item[:, None] % 100 + 1)).all()
        assert ((contexts == 0) | (contexts == target[:, None] + np.array([1, 2 * n]))).all()
        assert (contexts > 0).any()
        targets.append(target)
    first = data.offsets[:-1]
    assert np.array_equal(np.sort(np.concatenate(targets)), np.setdiff1d(np.arange(n), first))
    tail = list(Epoch(data, 200, 2048, np.random.default_rng(1), few_shapes).after(2))
    whole = list(Epoch(data, 200, 2048, np.random.default_rng(1), few_shapes).after(0))
    assert all(np.array_equal(a.item, b.item) for a, b in zip(tail, whole[2:], strict=True))


@pytest.mark.parametrize("mean", [5, 60, 1000])
def test_batches_of_few_shapes_are_as_many_as_others(mean: int) -> None:
    data = numbered(np.random.default_rng(0).geometric(1 / mean, 200_000 // mean))
    free, few = (
        list(Epoch(data, 200, 4096, np.random.default_rng(1), is_few).after(0)) for is_few in (False, True)
    )
    assert len(few) == pytest.approx(len(free), rel=0.04)
    assert len({batch.item.shape for batch in few}) <= 27


def test_each_contextual_column_is_told_in_some_windows_and_hidden_in_others() -> None:
    data = histories(np.random.default_rng(0), users=200)
    seen = set()
    for batch in Epoch(data, LENGTH, 64, np.random.default_rng(1)).after(0):
        told = batch.contexts
        assert ((told[:, 1] == 0) | (told[:, 1] == np.where(batch.target % 2, 4, 5))).all()
        window = batch.at // batch.item.shape[1]
        seen |= {tuple((told[window == one] > 0).any(axis=0).tolist()) for one in np.unique(window)}
    assert seen == {(a, b) for a in (False, True) for b in (False, True)}
