"""aws-user-personalization-v2: the items a user is likely to take next, by a transformer and the instant engine.

    log p(i) = a log p_engine(i) + b z_network(i) + constant

The engine is that of aws-user-personalization; z are the logits of a causal transformer over the user's history
(models/transformer.py). a and b depend on how long the history is and are learnt on the newest event of some users,
which neither model has seen (models/blending.py): where the network does not help, b is 0, and the state is the
engine's, byte for byte. So it is, and the job's report says so, without PyTorch or with too few users to tell.
Circumstances that a request tells change the blend as they change the engine's answers.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP); uses EVENT_TYPE, metadata and texts of ITEMS, metadata of USERS
          where there is any. The extra ``torch``; serving a version with a network needs onnxruntime of it.
Answers:  GetRecommendations(userId). Events count from the next request on. Exploration sets itself.
Sources:  models/transformer.py, models/blending.py; developer guide, "User-Personalization-v2 recipe".
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data, Interactions
from nextpick.data.run import Run
from nextpick.models import blending, transformer_serve
from nextpick.models.rows import read_only
from nextpick.models.transformer_serve import Asked
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes import contextual
from nextpick.recipes.interface import Query, Reasons, State, tunable

NAME = "aws-user-personalization-v2"

_LEAST_HELD = 100  # users
_NEEDS = ("torch", "onnx", "onnxruntime")
_NETWORK = "net_"


@dataclass(frozen=True, slots=True)
class Params:
    apply_recency_bias: bool = tunable(True, help="whether newer items count more than older ones")


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state and, where it helps, the network's arrays (``net_*``, see
    ``transformer_serve.logits``) with the blend's weights ``net_weights`` float32 [buckets, 2].

    Tells ``run.note`` of ``network``: whether there is one, and why; what was measured.
    """
    engine_params = engine.Params(recency_mask=params.apply_recency_bias)
    own = run._replace(rng=run.rng.spawn(1)[0])  # so that the engine's draws are those it has alone
    state = engine.fit(data, engine_params, run.share(0.0, 0.1))
    held = blending.hold_out(data.interactions, own.rng)
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        why = f"{', '.join(missing)} cannot be imported; pip install 'nextpick[torch]' and train again"
        run.note("network", {"used": False, "why": why})
        return state
    if len(held.users) < _LEAST_HELD:
        why = f"{len(held.users)} users can be held out, {_LEAST_HELD} are needed to tell whether it helps"
        run.note("network", {"used": False, "why": why})
        return state
    from nextpick.models import network

    rest = held.rest(data.interactions)
    trained = network.train(data, rest, held, own.share(0.1, 0.8))
    unseen = data._replace(interactions=rest._replace(contexts=()))
    peeled = engine.fit(unseen, engine_params, own.share(0.8, 0.9))
    run.checkpoint(0.9, "choosing how much the network counts")
    chosen = _choose(peeled, trained.arrays, data.interactions, rest, held, run.share(0.9, 1.0))
    used = bool((chosen.weights[:, 1] > 0).any())
    measured = {
        "engine": round(chosen.alone, 4),
        "blend": round(chosen.blended, 4),
        "queries": len(held.users),
    }
    why = (
        "it ranks held-out events better"
        if used
        else "it does not rank held-out events better by more than the error"
    )
    told = {"used": used, "why": why, "ndcg_at_10": measured, "weights": chosen.weights.tolist()}
    run.note("network", {**told, "training": trained.told})
    if used:
        state |= {f"{_NETWORK}{name}": array for name, array in trained.arrays.items()}
        state[f"{_NETWORK}weights"] = chosen.weights
    return state


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities of the next item, float32; each full row sums to 1."""
    if f"{_NETWORK}graph" not in state:
        return engine.score(state, queries, items)
    out = engine.score(state, [query._replace(context=()) for query in queries])
    arrays = _network_of(state)
    for p, query in zip(out, queries, strict=True):
        if len(query.items):
            z = transformer_serve.logits(arrays, _asked(query))
            blending.blend(p, z, arrays["weights"][blending.bucket(len(query.items))])
        if query.context:
            contextual.apply(state, query.context, p)
    return out if items is None else out[:, items]


def reasons(state: State, query: Query, item: int) -> Reasons:
    """Return what each event and each member, the network one of them, adds to the item's logit."""
    if f"{_NETWORK}graph" not in state or not len(query.items):
        return engine.reasons(state, query, item)
    arrays = _network_of(state)
    a, b = arrays["weights"][blending.bucket(len(query.items))].tolist()
    known = engine.reasons(state, query._replace(context=()), item)
    added, rest = transformer_serve.parts(arrays, _asked(query), item)
    sources = {name: a * part for name, part in known.sources.items()}
    sources["network"] = b * (float(added.sum()) + rest)
    lift = contextual.log_lift(state, query.context, item) if query.context else 0.0
    if query.context:
        sources["circumstances"] = lift
    return Reasons(a * known.events + b * added, a * known.rest + b * rest + lift, sources)


def _asked(query: Query) -> Asked:
    return Asked(query.items, query.times, query.types, query.now)


def _network_of(state: State) -> dict[str, np.ndarray]:
    return {name: state[_NETWORK + name] for name in ("items", "bias", "codes", "graph", "reads", "weights")}


def _choose(
    peeled: State,
    arrays: State,
    interactions: Interactions,
    rest: Interactions,
    held: blending.Held,
    run: Run,
) -> blending.Weights:
    """Return how much the network counts beside ``peeled``, the engine's state without the held-out events."""
    peeled = {name: read_only(array) for name, array in peeled.items()}
    item, time, kind = (read_only(column) for column in (rest.item, rest.time, rest.event_type))
    histories = [slice(*rest.offsets[user : user + 2]) for user in held.users]
    targets = np.asarray(interactions.item)[held.at].tolist()
    cases = []
    for number, (user, own, target) in enumerate(zip(held.users.tolist(), histories, targets, strict=True)):
        if number % 256 == 0:
            run.checkpoint(number / len(targets), "choosing how much the network counts")
        p = engine.score(peeled, [Query(user, item[own])])[0]
        z = transformer_serve.logits(arrays, Asked(item[own], time[own], kind[own]))
        left_out = item[:0] if held.repeats else item[own]
        cases.append(blending.case(p, z, target, own.stop - own.start, left_out))
    return blending.choose([one for one in cases if one is not None])
