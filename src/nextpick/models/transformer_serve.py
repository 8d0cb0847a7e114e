"""The network at serving: a history's logits over the catalogue, by onnxruntime and one pass over the items.

onnxruntime is imported when the first version that has a network is asked, PyTorch never. A version's session is
made once in a process.
"""

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np

from nextpick.models import transformer_input
from nextpick.models.rows import read_only
from nextpick.models.simd import exp

_UNKNOWN_TIMES = read_only(np.zeros(0, np.int64))
_UNKNOWN_TYPES = read_only(np.zeros(0, np.int16))


class Unservable(ValueError):
    """The network needs a package that is not installed here."""


class Asked(NamedTuple):
    """A history and when it is read: items [h] rows, oldest first, at least one; time [h] int64 seconds and kind [h] of
    these events, None unknown; now: when it is asked, seconds, None unknown; context: codes of the contextual columns,
    -1 unknown, none where nothing is told."""

    items: np.ndarray
    time: np.ndarray | None = None
    kind: np.ndarray | None = None
    now: int | None = None
    context: Sequence[int] = ()


def logits(arrays: dict[str, np.ndarray], asked: Asked) -> np.ndarray:
    """Return the logits of the next item, float32 [n_items].

    arrays: ``items``, ``bias``, ``codes``, ``graph``, ``contexts`` as ``transformer_export.tables`` makes them;
    ``reads`` int64 [3] = (longest history, n_types, longest gap), see ``Sides``; with ``contexts``, ``rows``
    and ``first`` as ``network.Contexts``. Raises Unservable without onnxruntime.
    """
    return of_items(arrays["items"], arrays["bias"], vector(arrays, asked))


def vector(arrays: dict[str, np.ndarray], asked: Asked) -> np.ndarray:
    """Return what the network makes of a history and its context, float32 [d]. Raises Unservable without
    onnxruntime."""
    (h,) = _session(arrays["graph"]).run(None, {"x": _read(arrays, asked)})
    rows = _context_rows(arrays, asked)
    return h + arrays["contexts"][rows].sum(axis=0) if rows else h


def _context_rows(arrays: dict[str, np.ndarray], asked: Asked) -> list[int]:
    if not asked.context or "contexts" not in arrays:
        return []
    firsts, rows = arrays["first"].tolist(), arrays["rows"]
    return [int(rows[first + code]) for first, code in zip(firsts, asked.context, strict=False) if code >= 0]


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def of_items(items, bias, h):
    """Return the logits of all items, float32 [n_items], from a history's vector. It is not left to BLAS, which takes
    other cores for it."""
    out = np.empty(len(items), np.float32)
    for i in range(len(items)):
        total = bias[i]
        for d in range(items.shape[1]):
            total += items[i, d] * h[d]
        out[i] = total
    return out


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def tilt(p, z, weight):
    """Make probabilities p [n_items] those whose logits have weight * z [n_items] added."""
    most = z.max()
    mass = np.float32(0.0)
    for i in range(len(p)):
        p[i] *= exp(weight * (z[i] - most))
        mass += p[i]
    for i in range(len(p)):
        p[i] /= mass


def parts(arrays: dict[str, np.ndarray], asked: Asked, item: int) -> tuple[np.ndarray, float, float]:
    """Return what each event adds to an item's logit, float64 [h], what the context does, and what none of them does;
    together they are the logit, as against the mean of all items.

    The history is read from its newest event back: an event adds what the logit becomes with it beside all newer ones,
    less what it was without.
    """
    x, session = _read(arrays, asked), _session(arrays["graph"])  # [L, d]
    added, before = np.zeros(len(asked.items)), 0.0
    own = arrays["items"][item] - arrays["items"].mean(axis=0)  # [d]
    for back in range(1, len(x) + 1):
        (h,) = session.run(None, {"x": x[-back:]})  # [d]
        now = float(own @ h)
        added[-back], before = now - before, now
    told = sum(float(own @ arrays["contexts"][row]) for row in _context_rows(arrays, asked))
    return added, told, float(arrays["bias"][item] - arrays["bias"].mean())


def _read(arrays: dict[str, np.ndarray], asked: Asked) -> np.ndarray:
    """Return the newest events as the network reads them, float32 [L, d]."""
    length, n_types, longest = arrays["reads"].tolist()
    return transformer_input.embedded(
        asked.items,
        _UNKNOWN_TIMES if asked.time is None else asked.time,
        _UNKNOWN_TYPES if asked.kind is None else asked.kind,
        -1 if asked.now is None else asked.now,
        length,
        n_types,
        longest,
        arrays["items"],
        arrays["codes"],
    )


_sessions: dict[int, Any] = {}


def _session(graph: np.ndarray) -> Any:
    """Return the session of a graph's array, which it goes away with."""
    session = _sessions.get(id(graph))
    if session is None:
        session = _sessions[id(graph)] = _open(graph)
        weakref.finalize(graph, _sessions.pop, id(graph), None)
    return session


def _open(graph: np.ndarray) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Unservable(
            f"the version has a network, and onnxruntime cannot be imported here ({error}); "
            "install nextpick[torch]"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a worker is one core
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.tobytes(), options, ["CPUExecutionProvider"])
