"""The network at serving: a history's logits over the catalogue, by onnxruntime and one product.

onnxruntime is imported when the first version that has a network is asked, PyTorch never. A version's session is
made once in a process.
"""

import weakref
from typing import Any

import numpy as np

from nextpick.models import transformer_input
from nextpick.models.rows import read_only

_UNKNOWN_TIMES = read_only(np.zeros(0, np.int64))
_UNKNOWN_TYPES = read_only(np.zeros(0, np.int16))


class Unservable(ValueError):
    """The network needs a package that is not installed here."""


def logits(
    arrays: dict[str, np.ndarray],
    items: np.ndarray,
    time: np.ndarray | None = None,
    kind: np.ndarray | None = None,
    now: int | None = None,
) -> np.ndarray:
    """Return the logits of the next item, float32 [n_items].

    arrays: ``items``, ``bias``, ``codes``, ``graph`` as ``transformer_export.tables`` makes them, and ``reads`` int64
    [3] = (longest history, n_types, longest gap), see ``Sides``;  items [h] rows, oldest first, at least one; time [h]
    int64 seconds and kind [h] of these events, None unknown;  now: when it is asked, seconds, None unknown. Raises
    Unservable without onnxruntime.
    """
    length, n_types, longest = arrays["reads"].tolist()
    x = transformer_input.embedded(
        items,
        _UNKNOWN_TIMES if time is None else time,
        _UNKNOWN_TYPES if kind is None else kind,
        -1 if now is None else now,
        length,
        n_types,
        longest,
        arrays["items"],
        arrays["codes"],
    )  # [L, d]
    (h,) = _session(arrays["graph"]).run(None, {"x": x})  # [d]
    out = arrays["items"] @ h  # [n]
    out += arrays["bias"]
    return out


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
