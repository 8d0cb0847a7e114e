"""A network for next items, from data to arrays that serve: what of the data it is trained on, and how much.

Every event but the peeled ones (``weighing.py``) is a target once an epoch. How long is set in steps, by the amount of
data, the arithmetic a step takes and whether a GPU does it, never by a clock: the same data and seed give the same
bytes on a slow machine and a quick one. Needs the extra ``torch``.
"""

import logging
import math
from typing import NamedTuple

import numpy as np
import torch

from nextpick.data.dataset import Context, Data, Interactions
from nextpick.data.run import Run
from nextpick.models import (
    attributes,
    lsa,
    transformer_batches,
    transformer_export,
    transformer_input,
    transformer_start,
    transformer_train,
    weighing,
)
from nextpick.models.rows import weights_of
from nextpick.models.transformer import Content, Network, Shape
from nextpick.models.transformer_batches import Histories
from nextpick.models.transformer_input import Sides
from nextpick.models.transformer_train import Plan, Queries
from nextpick.models.weighing import Peeled

log = logging.getLogger(__name__)

_WIDTH, _BLOCKS = 64, 2
_DROPOUT, _DROPOUT_OF_FEW = 0.05, 0.2  # few interactions would be learnt by heart
_FEW = 500_000
LENGTH = 200  # of the history it is trained on
_SERVED = 32  # newest events that an answer reads: of 50 it is hardly better, and dearer
_MOST_OWN = 100_000  # items with an embedding of their own, the most frequent; the others are their metadata
_MOST_ATTRIBUTES = 16  # of an item
_FULL_SOFTMAX = 30_000  # items: of more, a step sees a sample, unless a GPU has time for all
_MOST_IN_SOFTMAX = 1 << 18  # items, whatever the time: more take too much of a GPU's memory
_DRAWS = (2048, 8192)  # items of a sample, fewest and most; more than the fewest do not pay on a processor
_EPOCHS, _LEAST_STEPS = 12, 150
_MOST_OPERATIONS = {"cpu": 6e13, "cuda": 5e14}  # of a training: ten minutes of two cores, three of a GPU
_TOKENS = (256, 4096)  # of a step
_STEPS_AN_EPOCH = 40
_MOST_ROUNDS = 12
_MOST_QUERIES = 1000  # that a round is measured on, half of all at most
_LEAST_TAUGHT = 10  # events under a value of a contextual column that has an embedding
_REPEATS = 0.05  # share of targets taken before, below which what a user has taken is not measured


class Trained(NamedTuple):
    """``arrays`` as ``transformer_serve.logits`` takes them; ``judged_on`` int64 [q], the peeled queries that have said
    when to stop; how it went: steps, rounds, the best measure."""

    arrays: dict[str, np.ndarray]
    judged_on: np.ndarray
    told: dict[str, float]


def train(data: Data, left: Interactions, peeled: Peeled, run: Run) -> Trained:
    """Train on what is ``left`` of the data's interactions; the ``peeled`` queries say when to stop."""
    content, shape = _content(data, left)
    sides = transformer_input.sides_of(left.offsets, np.asarray(left.time), len(left.event_types))
    codes = transformer_batches.coded(left.offsets, np.asarray(left.time), np.asarray(left.event_type), sides)
    numbered = _numbered(left.contexts)
    contexts = _coded(left.contexts, len(left.item), numbered)
    shape = shape._replace(n_codes=sides.n_codes, n_contexts=1 + int(numbered.rows.max(initial=0)))
    histories = Histories(np.asarray(left.offsets), np.asarray(left.item), codes, contexts, weights_of(left))
    whole = run.rng.permutation(np.flatnonzero(weighing.is_whole(peeled, data.interactions)))
    judged_on = whole[: min(_MOST_QUERIES, len(whole) // 2)]
    queries = _queries(data.interactions, peeled, judged_on, sides)
    network, values, plan = _fitted(shape, content, histories, queries, run)
    arrays = transformer_export.tables(network)
    arrays["reads"] = np.array([min(_SERVED, shape.length), *sides], np.int64)
    if "contexts" in arrays:
        arrays |= numbered._asdict()
    return Trained(
        arrays,
        judged_on,
        {"rounds": len(values), "steps": len(values) * plan.steps, "validation": max(values)},
    )


def _fitted(
    shape: Shape, content: Content, histories: Histories, queries: Queries, run: Run
) -> tuple[Network, list[float], Plan]:
    """Return what a GPU or, where there is none or its memory is taken, the processor makes of it, and by what plan."""
    seed = int(run.rng.integers(1 << 31))

    def on(name: str) -> tuple[Network, list[float], Plan]:
        plan, device = _plan(histories, shape, len(content.bias), name), torch.device(name)
        found = transformer_train.train(shape, content, histories, queries, plan, seed, device, run)
        return *found, plan

    if torch.cuda.is_available():
        try:
            return on("cuda")
        except RuntimeError as problem:
            if not _is_out_of_memory(problem):
                raise
            log.warning(
                "the GPU has too little memory; the network is trained on the processor", exc_info=True
            )
        torch.cuda.empty_cache()
    return on("cpu")


def _is_out_of_memory(problem: RuntimeError) -> bool:
    """Tell whether a GPU has failed for want of memory, which its libraries say in words only."""
    return isinstance(problem, torch.OutOfMemoryError) or any(
        words in str(problem) for words in ("out of memory", "ALLOC_FAILED")
    )


def _content(data: Data, left: Interactions) -> tuple[Content, Shape]:
    count = np.bincount(left.item, minlength=len(data.items.ids))
    frequent = np.lexsort((np.arange(len(count)), -count))[:_MOST_OWN]
    frequent = np.sort(frequent[count[frequent] > 0])
    own = np.zeros(len(count), np.int64)
    own[frequent] = np.arange(1, len(frequent) + 1)
    held = attributes.attributes(data.items)
    texts = np.zeros((len(count), 0), np.float32)
    if data.terms is not None and len(data.terms.codes):
        texts = lsa.points(data.terms, np.random.default_rng(0)).astype(np.float32) / lsa.SCALE
    bias = np.log((count + 1.0) / (count.sum() + len(count))).astype(np.float32)
    dropout = _DROPOUT_OF_FEW if len(left.item) < _FEW else _DROPOUT
    shape = Shape(_WIDTH, _BLOCKS, LENGTH, dropout, len(frequent), held.n + 1, 1, texts.shape[1])
    start = transformer_start.factors(left, len(count), _WIDTH)[frequent]
    return Content(own, _padded(held), texts, bias, start), shape


class Contexts(NamedTuple):
    """How contextual columns are numbered: ``rows`` int32 [values of all columns], 0 of a value that hardly anything
    was taken under; ``first`` int64 [C + 1], where each column's values are."""

    rows: np.ndarray
    first: np.ndarray


def _numbered(columns: tuple[Context, ...]) -> Contexts:
    first = np.cumsum([0, *(column.size for column in columns)])
    counts = [np.bincount(column.codes[column.codes >= 0], minlength=column.size) for column in columns]
    taught = np.concatenate([np.zeros(0, np.int64), *counts]) >= _LEAST_TAUGHT
    return Contexts(np.where(taught, np.cumsum(taught), 0).astype(np.int32), first)


def _coded(columns: tuple[Context, ...], n: int, numbered: Contexts) -> np.ndarray:
    """Return what the network reads of the columns, int32 [n, C], 0 where a cell is empty."""
    codes = np.zeros((n, len(columns)), np.int32)
    for c, column in enumerate(columns):
        told = np.asarray(column.codes) >= 0
        codes[told, c] = numbered.rows[numbered.first[c] + column.codes[told]]
    return codes


def _padded(held: attributes.Attributes) -> np.ndarray:
    """Return the attributes of items from 1, int64 [n, m], 0 where there is none; m at most 16."""
    sizes = np.diff(held.offsets)
    width = int(min(max(sizes.max(initial=0), 1), _MOST_ATTRIBUTES))
    step = np.arange(width)
    real = step < sizes[:, None]  # [n, m]
    at = np.where(real, held.offsets[:-1, None] + step, 0)
    codes = held.codes if len(held.codes) else np.zeros(1, np.int32)
    return np.where(real, codes[at].astype(np.int64) + 1, 0)


def _queries(interactions: Interactions, peeled: Peeled, rows: np.ndarray, sides: Sides) -> Queries:
    """Return the peeled queries ``rows``, without a request clock, which not every caller has."""
    start, end, taken = peeled.start[rows], peeled.end[rows], np.asarray(interactions.item)
    again = [taken[b] in taken[a:b] for a, b in zip(start, end, strict=True)]
    length = np.minimum(end - start, LENGTH)
    step = np.arange(max(int(length.max(initial=1)), 1))
    real = step < length[:, None]  # [q, L]
    at = np.where(real, (end - length)[:, None] + step, 0)
    before = transformer_input.between(interactions.offsets, np.asarray(interactions.time))[at]
    kind = np.asarray(interactions.event_type)[at]
    unknown = np.full(len(step), -1)
    codes = [
        transformer_input.codes(gaps, unknown, types, *sides)
        for gaps, types in zip(before, kind, strict=True)
    ]
    item = np.where(real, taken[at], 0).astype(np.int64)
    repeats = bool(np.mean(again) >= _REPEATS)
    return Queries(item, length, np.stack(codes), taken[end].astype(np.int64), repeats)


def _plan(histories: Histories, shape: Shape, n_items: int, device: str) -> Plan:
    """Return how long to train: so many epochs, at least some steps, at most so many operations; and with a softmax
    over how many items."""
    targets = max(len(histories.item) - int(np.count_nonzero(np.diff(histories.offsets))), 1)
    tokens = int(np.clip(targets // _STEPS_AN_EPOCH, *_TOKENS))
    steps = max(_EPOCHS * targets / tokens, _LEAST_STEPS)
    a_product = 6 * shape.width  # of two vectors, and its gradients
    in_blocks = (8 * shape.width + 2 * shape.length) * shape.blocks  # products for a token
    most = _MOST_OPERATIONS[device] / (a_product * tokens)
    afforded = int(most / steps) - in_blocks if device == "cuda" else _DRAWS[0]
    is_whole = n_items <= max(min(afforded, _MOST_IN_SOFTMAX), _FULL_SOFTMAX)
    draws = 0 if is_whole else int(np.clip(afforded, *_DRAWS))
    steps = max(min(steps, most / (in_blocks + (draws or n_items))), 1)
    rounds = int(np.clip(steps // _STEPS_AN_EPOCH, 3, _MOST_ROUNDS))
    return Plan(rounds, math.ceil(steps / rounds), tokens, draws)
