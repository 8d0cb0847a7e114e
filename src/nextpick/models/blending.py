"""How much of a network: its logit is one more column of the blend, and all weights are chosen anew with it.

    logit(i) = sum over columns d of w_d x_d(i)  +  v z(i)          x: blend.py, z: transformer_serve.py

(w, v) are those of ``weighing.py``, with the network's likeliest items among the candidates, on queries that neither
the blend's tables nor the network have seen. For each length of history v is 0 and w what it is without a network,
unless two-fold validation, over users, is sure that it ranks what was taken higher, on queries that have not even said
when the network's training stops, and finds lists of ten no worse: a network that does not help does not hurt. Ranks
are judged by their discounted gain without a cut, 1 / log2(1 + rank), which tells of every query and so takes fewer of
them to be sure than the gain in lists of ten.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models import logit, transformer_serve, weighing
from nextpick.models.blend import Tables
from nextpick.models.logit import Choices
from nextpick.models.rows import read_only
from nextpick.models.topk import top_k
from nextpick.models.transformer_serve import Asked
from nextpick.models.weighing import Peeled

_ALSO = 100  # likeliest items of the network
_CUT = 10
_SURE = 1.645  # standard errors: for a length of history, one in twenty useless networks would pass
_CHECKED = 256  # queries


class Chosen(NamedTuple):
    """Weights of the blend's columns, float32 [buckets, D], and of the network, float32 [buckets]; mean NDCG@10 of the
    blend without and with it on ``n`` fresh queries of whole histories. The weights with it were not learnt on them,
    those without it were."""

    weights: np.ndarray
    of_network: np.ndarray
    without: float
    with_network: float
    n: int


def choose(
    peeled: Peeled,
    interactions: Interactions,
    tables: Tables,
    limit: int,
    alone: np.ndarray,
    network: dict[str, np.ndarray],
    fresh: np.ndarray,
    rng: np.random.Generator,
    check: Callable[[], None] = lambda: None,
) -> Chosen:
    """Return the weights; ``alone`` [buckets, D] are those without a network, ``fresh`` bool [Q] the queries that no
    part of the network's training has seen."""
    weights, of_network = alone.copy(), np.zeros(len(alone), np.float32)
    seeds = rng.integers(1 << 31, size=len(peeled.user))
    is_told = fresh & weighing.is_whole(peeled, interactions)
    learnt, gains = [], []
    for b, rows in weighing.buckets(peeled):
        vectors, also = _ask(peeled, rows, interactions, network, check)
        choices, items = weighing.features(peeled, rows, seeds, interactions, tables, limit, also, check)
        choices = _with(choices, items, vectors, network)
        before = np.append(alone[b], 0.0)
        found, gain, is_better = _judged(choices, before, peeled.user[rows], fresh[rows], check)
        if is_better:
            weights[b], of_network[b] = found[:-1], found[-1]
        gains.append(np.where(is_better, gain, gain[0])[:, is_told[rows]])
        learnt.append(b)
    weighing.take_nearest(weights, learnt)
    weighing.take_nearest(of_network, learnt)
    told = np.concatenate(gains, axis=1) if gains else np.zeros((2, 0))
    without, with_network = told.sum(axis=1) / max(told.shape[1], 1)
    return Chosen(weights, of_network, float(without), float(with_network), told.shape[1])


def _ask(
    peeled: Peeled,
    rows: np.ndarray,
    interactions: Interactions,
    network: dict[str, np.ndarray],
    check: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network makes of each query's history, float32 [Q, d], and its likeliest items that are not in
    it, int32 [Q, M]."""
    item, time, kind = (read_only(column) for column in interactions[1:4])
    most = min(_ALSO, len(network["items"]))
    vectors = np.empty((len(rows), network["items"].shape[1]), np.float32)
    also = np.empty((len(rows), most), np.int32)
    for q, row in enumerate(rows.tolist()):
        if q % _CHECKED == 0:
            check()
        own = slice(int(peeled.start[row]), int(peeled.end[row]))
        vectors[q] = transformer_serve.vector(network, Asked(item[own], time[own], kind[own]))
        z = transformer_serve.of_items(network["items"], network["bias"], vectors[q])
        z[item[own]] = -np.inf
        also[q] = top_k(z, most)
    return vectors, also


def _with(
    choices: Choices, items: np.ndarray, vectors: np.ndarray, network: dict[str, np.ndarray]
) -> Choices:
    """Return choices with the network's logits as their last column, where there is a candidate."""
    table, bias, z = network["items"], network["bias"], np.empty(items.shape, np.float32)
    for q, own in enumerate(items):
        z[q] = transformer_serve.of_items(read_only(table[own]), read_only(bias[own]), vectors[q])
    z[np.isinf(choices.offsets)] = 0.0
    return choices._replace(features=np.concatenate((choices.features, z[:, :, None]), axis=2))


def _judged(
    choices: Choices, before: np.ndarray, user: np.ndarray, fresh: np.ndarray, check: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return weights [D + 1]; the NDCG@10 of each query with the weights ``before`` and with those of the other fold,
    [2, Q]; whether the latter are surely better on ``fresh`` ones."""
    ahead, fold = np.stack((logit.ranks(choices, before),) * 2), user % 2
    for one in (0, 1):
        learnt_on, told_on = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        if len(learnt_on) and len(told_on):
            others = weighing.fit(choices.only(learnt_on), check)
            ahead[1, told_on] = logit.ranks(choices.only(told_on), others)
    whole = 1.0 / np.log2(ahead + 2.0)
    gain = np.where(ahead < _CUT, whole, 0.0)
    more, more_at_10 = (_by_user(each[1] - each[0], user, fresh) for each in (whole, gain))
    is_better = len(more) > 1 and bool(more.mean() > _SURE * more.std() / np.sqrt(len(more)))
    found = weighing.fit(choices, check)
    return found, gain, is_better and more_at_10.mean() >= 0 and found[-1] > 0


def _by_user(values: np.ndarray, user: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Return each user's mean of the ``told`` values: those of one user are not independent."""
    _, row = np.unique(user[told], return_inverse=True)
    return np.bincount(row, values[told]) / np.bincount(row)
