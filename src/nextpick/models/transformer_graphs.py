"""A step of training as CUDA graphs, one for each shape of batch.

A GPU computes the kernels of a network as narrow as this one faster than Python asks for them; a graph asks for all of
a step's at once, and they give what they give one by one, bit for bit.
"""

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

_MET = 3  # times before a shape is worth a graph
_ROOM = 256 << 20  # bytes that are free before a graph is made, beside twice what a step takes

Shapes = tuple[torch.Size, ...]


class Replayed:
    """``step``, a function of tensors on a GPU that keeps none of them and always works on the same others.

    Graphs are made while there is much memory: where it ends inside one, the process does.
    """

    def __init__(self, step: Callable[..., None]) -> None:
        self._step = step
        self._met: Counter[Shapes] = Counter()
        self._graphs: dict[Shapes, tuple[torch.cuda.CUDAGraph, list[Tensor]]] = {}
        self._taken = 0  # bytes, by a step at most
        self._is_room = True

    def __call__(self, *given: Tensor) -> None:
        shapes = tuple(tensor.shape for tensor in given)
        self._met[shapes] += 1
        if shapes not in self._graphs and self._met[shapes] >= _MET and self._is_room:
            self._capture(shapes, given)
        if shapes not in self._graphs:
            self._one_by_one(given)
            return
        graph, inputs = self._graphs[shapes]
        for own, tensor in zip(inputs, given, strict=True):
            own.copy_(tensor)
        graph.replay()

    def _one_by_one(self, given: tuple[Tensor, ...]) -> None:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self._step(*given)
        self._taken = max(self._taken, torch.cuda.max_memory_allocated() - before)

    def _capture(self, shapes: Shapes, given: tuple[Tensor, ...]) -> None:
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        self._is_room = free > 2 * self._taken + _ROOM
        if not self._is_room:
            return
        inputs = [tensor.clone() for tensor in given]
        graph = torch.cuda.CUDAGraph()
        pool = next((graph.pool() for graph, _ in self._graphs.values()), None)
        with torch.cuda.graph(graph, pool=pool):
            self._step(*inputs)
        self._graphs[shapes] = graph, inputs
