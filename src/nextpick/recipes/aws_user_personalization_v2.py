"""aws-user-personalization-v2: the items a user is likely to take next, by a transformer and the instant engine.

    logit(i) = sum over the engine's columns d of w_d x_d(i)  +  v z(i)

The engine is that of aws-user-personalization (models/blend.py); z are the logits of a causal transformer over the
user's history (models/transformer.py), one more column. All weights depend on how long the history is and are learnt
together on the newest events of users, which no member has seen (models/blending.py): where the network does not help,
v is 0, and the state is the engine's, byte for byte. So it is, and the version says so, without PyTorch or with too few
events to tell.
Circumstances that a request tells are part of z and tilt the blend by lifts (models/context.py), as much as they are
worth beside the network.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP); uses EVENT_TYPE, metadata and texts of ITEMS, metadata of USERS
          where there is any. The extra ``torch``; serving a version with a network needs onnxruntime of it.
Answers:  GetRecommendations(userId). Events count from the next request on. Exploration sets itself.
Sources:  models/transformer.py, models/blending.py; developer guide, "User-Personalization-v2 recipe".
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import blending, transformer_serve, weighing
from nextpick.models.rows import read_only
from nextpick.models.transformer_serve import Asked
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes import contextual
from nextpick.recipes.interface import Query, Reasons, State, tunable

NAME = "aws-user-personalization-v2"

_LEAST_QUERIES = 200
_NEEDS = ("torch", "onnx", "onnxruntime")
_NETWORK = "net_"


@dataclass(frozen=True, slots=True)
class Params:
    apply_recency_bias: bool = tunable(True, help="whether newer items count more than older ones")


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state and, where it helps, the network's arrays (``net_*``, see
    ``transformer_serve.logits``) and its weights ``net_weights`` float32 [buckets].

    Tells ``run.note`` of ``network``: whether there is one, and why; what was measured.
    """
    engine_params = engine.Params(recency_mask=params.apply_recency_bias)
    own = run._replace(rng=run.rng.spawn(1)[0])  # so that the engine's draws are those it has alone
    lifts = engine.lifts_of(data, engine_params, run.share(0.0, 0.05))
    learnt = engine.learn(data, engine_params, run.share(0.05, 0.15))
    weights, added = _with_network(data, learnt, engine_params, own.share(0.15, 0.95))
    tables = engine.count(data, learnt.linear, engine_params, run.share(0.95, 1.0))
    return {**engine.state_of(data, tables, engine_params, weights), **lifts, **added}


def _with_network(
    data: Data, learnt: engine.Learnt, params: engine.Params, run: Run
) -> tuple[np.ndarray, State]:
    """Return the weights of the engine's columns, and the network's arrays, none where it does not help."""
    n_queries = int(weighing.is_whole(learnt.peeled, data.interactions).sum())
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        why = f"{', '.join(missing)} cannot be imported; pip install 'nextpick[torch]' and train again"
        _tell(run, False, why)
        return learnt.weights, {}
    if n_queries < _LEAST_QUERIES:
        why = f"{n_queries} events can be held out, {_LEAST_QUERIES} are needed to tell whether it helps"
        _tell(run, False, why)
        return learnt.weights, {}
    try:
        from nextpick.models import network
    except (ImportError, OSError) as problem:  # a package for another machine
        _tell(run, False, f"PyTorch cannot be loaded here: {problem}")
        return learnt.weights, {}
    trained = network.train(data, learnt.left.interactions, learnt.peeled, run.share(0.0, 0.9))
    arrays = {name: read_only(array) for name, array in trained.arrays.items()}
    run.checkpoint(0.9, "choosing how much the network counts")
    peeled = learnt.peeled
    fresh = ~np.isin(peeled.end, peeled.end[trained.judged_on])
    chosen = blending.choose(
        peeled, data.interactions, learnt.tables, params.bptt, learnt.weights, arrays, fresh, run.rng, run.check
    )  # fmt: skip
    used = bool(chosen.of_network.any())
    measured = {
        "engine": round(chosen.without, 4),
        "blend": round(chosen.with_network, 4),
        "queries": chosen.n,
    }
    why = (
        f"it ranks held-out events better after histories of {_lengths(chosen.of_network)} events"
        if used
        else "it does not rank held-out events better by more than the error"
    )
    weights = chosen.of_network.tolist()
    _tell(run, used, why, ndcg_at_10=measured, weights=weights, training=trained.told)
    if not used:
        return learnt.weights, {}
    added = {f"{_NETWORK}{name}": array for name, array in arrays.items()}
    added[f"{_NETWORK}weights"] = chosen.of_network
    if data.interactions.contexts:
        state = {**engine.state_of(learnt.left, learnt.tables, params, chosen.weights), **added}
        asked = np.stack((peeled.user, peeled.start, peeled.end), axis=1)
        asked = asked[fresh & weighing.is_whole(peeled, data.interactions)]
        by_network = [chosen.of_network[weighing.bucket(end - start)] > 0 for _, start, end in asked.tolist()]
        if any(by_network):
            asked = asked[np.array(by_network)]
            added[f"{_NETWORK}exponents"] = contextual.exponents(score, state, data, learnt.left, asked)
    return chosen.weights, added


def _lengths(of_network: np.ndarray) -> str:
    """Return in words the lengths of histories for which a network counts: "1 to 2 and 8 or more"."""
    counts = [*(of_network > 0), False]
    starts = [b for b in range(len(of_network)) if counts[b] and not counts[b - 1]]
    words = []
    for start in starts:
        end = counts.index(False, start)
        least = weighing.LEAST_LENGTHS[start]
        is_last = end == len(weighing.LEAST_LENGTHS)
        words.append(f"{least} or more" if is_last else f"{least} to {weighing.LEAST_LENGTHS[end] - 1}")
    return " and ".join(words)


def _tell(run: Run, used: bool, why: str, **measured: Any) -> None:
    run.note("network", {"used": used, "why": why, **measured})
    served_by = "the instant engine and a network" if used else "the instant engine alone"
    run.note("description", f"Served by {served_by}: {why}.")


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities of the next item, float32; each full row sums to 1."""
    if f"{_NETWORK}graph" not in state:
        return engine.score(state, queries, items)
    out = engine.score(state, [query._replace(context=()) for query in queries])
    arrays = _network_of(state)
    for p, query in zip(out, queries, strict=True):
        weight = _weight(state, query)
        if weight > 0:
            transformer_serve.tilt(p, transformer_serve.logits(arrays, _asked(query)), weight)
        if query.context:
            contextual.apply(
                state, query.context, p, state.get(f"{_NETWORK}exponents") if weight > 0 else None
            )
    return out if items is None else out[:, items]


def reasons(state: State, query: Query, item: int) -> Reasons:
    """Return what each event and each member, the network one of them, adds to the item's logit."""
    known = engine.reasons(state, query, item)
    weight = float(_weight(state, query))
    if not weight:
        return known
    added, told, rest = transformer_serve.parts(_network_of(state), _asked(query), item)
    sources = {**known.sources, "network": weight * (float(added.sum()) + rest)}
    rest, told = known.rest + weight * rest, weight * told
    if query.context:
        lifts = [
            contextual.log_lift(state, query.context, item, of)
            for of in (None, state.get(f"{_NETWORK}exponents"))
        ]
        told += lifts[1] - lifts[0]
        sources["circumstances"] += told
    return Reasons(known.events + weight * added, rest + told, sources)


def reached(state: State, query: Query) -> np.ndarray | None:
    """Return the items that the user's history or attributes speak for, int32, or None: all, for the network and what a
    request tells of its circumstances concern each."""
    if _weight(state, query) > 0 or max(query.context, default=-1) >= 0:
        return None
    return engine.reached(state, query)


def _weight(state: State, query: Query) -> np.float32:
    """Return how much the network counts for a query, 0 where there is none."""
    weights = state.get(f"{_NETWORK}weights")
    return np.float32(0.0) if weights is None else weights[weighing.bucket(len(query.items))]


def _asked(query: Query) -> Asked:
    return Asked(query.items, query.times, query.types, query.now, query.context)


def _network_of(state: State) -> dict[str, np.ndarray]:
    return {
        name: state[_NETWORK + name]
        for name in ("items", "bias", "codes", "graph", "reads", "contexts", "rows", "first")
        if _NETWORK + name in state
    }
