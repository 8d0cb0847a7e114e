"""A small network, and histories for it to learn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from nextpick.data.run import Run
from nextpick.models import transformer_export, transformer_train
from nextpick.models.transformer import Content, Network, Shape
from nextpick.models.transformer_batches import Histories, coded
from nextpick.models.transformer_input import Sides
from nextpick.models.transformer_train import Plan, Queries

N_ITEMS, LENGTH = 30, 8
SIDES = Sides(n_types=2, longest=10_000)
ROWS = np.array([1, 2, 3, 4, 5, 0], np.int32)  # of two contextual columns' values
FIRST = np.array([0, 3, 6])
SHAPE = Shape(16, 2, LENGTH, 0.1, N_ITEMS, 4, SIDES.n_codes, 5, len(ROWS))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SEED = 7
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
        SHAPE, content(rng), histories(rng), queries(rng), plan, SEED, DEVICE, run
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
