"""A step of training as CUDA graphs, one for each shape of batch.

A GPU computes the kernels of a network as narrow as this one faster than Python asks for them; a graph asks for all of
a step's at once, and they give what they give one by one, bit for bit.
"""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_MET = 3  # times before a shape is worth a graph
_ROOM = 256 << 20  # bytes that are free before a graph is made, beside twice what a step takes

Shapes = tuple[torch.Size, ...]


class Replayed:
    """``step``, a function of tensors on a GPU that keeps none of them and always works on the same others.

    A process is aborted where the GPU's memory ends inside a graph that is being made. So graphs are made only while
    there is much memory, and ``mark``, where given, is a file that is there meanwhile: where a process before has left
    it, none is made.
    """

    def __init__(self, step: Callable[..., None], mark: Path | None = None) -> None:
        self._step, self._mark = step, mark
        self._met: Counter[Shapes] = Counter()
        self._graphs: dict[Shapes, tuple[torch.cuda.CUDAGraph, list[Tensor]]] = {}
        self._taken = 0  # bytes, by a step at most
        self._makes_graphs = mark is None or not mark.exists()
        if not self._makes_graphs:
            log.warning(
                "a process ended as it made a CUDA graph; the network is trained without, which is slower"
            )

    def __call__(self, *given: Tensor) -> None:
        shapes = tuple(tensor.shape for tensor in given)
        self._met[shapes] += 1
        if shapes not in self._graphs and self._met[shapes] >= _MET and self._makes_graphs:
            self._make(shapes, given)
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

    def _make(self, shapes: Shapes, given: tuple[Tensor, ...]) -> None:
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        self._makes_graphs = free > 2 * self._taken + _ROOM
        if not self._makes_graphs:
            log.warning("the GPU has %d MiB free, too few for CUDA graphs; training is slower", free >> 20)
            return
        if self._mark:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._mark.touch()
        inputs = [tensor.clone() for tensor in given]
        graph = torch.cuda.CUDAGraph()
        pool = next((graph.pool() for graph, _ in self._graphs.values()), None)
        with torch.cuda.graph(graph, pool=pool):
            self._step(*inputs)
        self._graphs[shapes] = graph, inputs
        if self._mark:
            self._mark.unlink()
