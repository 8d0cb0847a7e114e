"""The network as arrays that serve without PyTorch: tables, and a graph that reads a history and gives one vector.

The graph is written node by node rather than traced: it computes the last block for the newest event alone, whose
vector is all that is wanted, and does not depend on what a version of PyTorch makes of a module. Items stay outside
it: their table is mapped once for all workers, and a history's rows are picked from it before.

    x [L, d] = table[items] + codes' embeddings   ->   graph   ->   norm x_L [d]   ->   table @ it + bias = logits [n]
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from nextpick.models.transformer import Block, Network

_OPSET, _IR = 20, 9  # opset 20 is the first with Gelu
_EPSILON = 1e-5  # torch's of LayerNorm


def tables(network: Network) -> dict[str, np.ndarray]:
    """Return ``items`` float32 [n, d] and ``bias`` float32 [n] of the softmax, ``codes`` float32 [c, d] of what is
    beside events, and ``graph`` uint8 [bytes]."""
    with torch.no_grad():
        items = network.items().numpy()
    return {
        "items": np.ascontiguousarray(items, np.float32),
        "bias": _array(network.content_bias),
        "codes": _array(network.sides.weight),
        "graph": np.frombuffer(_model(network), np.uint8),
    }


def _model(network: Network) -> bytes:
    graph = _Graph()
    d, heads, length = network.shape.width, network.shape.heads, network.shape.length
    back = np.arange(length)[:, None] - np.arange(length)  # [length, length]
    bias = np.where(back < 0, -np.inf, _array(network.distance)[:, back.clip(0)]).astype(
        np.float32
    )  # [H, ., .]
    graph.constant("distance", bias)
    graph.constant("one", np.array([1], np.int64))
    size = graph.add("Shape", "x", end=1)  # [1] = L
    x, before = "x", graph.add("Sub", size, "one")  # L - 1
    both = graph.constant("rows_and_columns", np.array([1, 2], np.int64))
    for number, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        is_last = number == network.shape.blocks - 1
        first = before if is_last else graph.constant("zero", np.array([0], np.int64))
        starts = graph.add("Concat", first, graph.constant("zero", np.array([0], np.int64)), axis=0)
        ends = graph.add("Concat", size, size, axis=0)
        mask = graph.add("Slice", "distance", starts, ends, both)  # [H, L, L], of the last block [H, 1, L]
        x = _block(graph, block, f"block{number}.", x, mask, before if is_last else None, d, heads)
    x = _norm(graph, "norm.", network.norm, x)  # [1, d]
    graph.nodes.append(
        helper.make_node("Reshape", [x, graph.constant("flat", np.array([-1], np.int64))], ["h"])
    )
    made = helper.make_graph(
        graph.nodes,
        "transformer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["L", d])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [d])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _block(
    graph: "_Graph", block: Block, name: str, x: str, mask: str, newest: str | None, d: int, heads: int
) -> str:
    """Add a block; one that is asked for the ``newest`` event alone gives [1, d], else [L, d]."""
    width = d // heads
    weight, bias = _array(block.qkv.weight), _array(block.qkv.bias)
    scale = np.float32(width**-0.5)
    normed = _norm(graph, name + "norm_1.", block.norm_1, x)
    asking = normed
    if newest is not None:
        asking, x = (graph.add("Gather", each, newest, axis=0) for each in (normed, x))  # [1, d]
    q = _linear(graph, name + "q.", asking, weight[:d] * scale, bias[:d] * scale)
    k = _linear(graph, name + "k.", normed, weight[d : 2 * d], bias[d : 2 * d])
    v = _linear(graph, name + "v.", normed, weight[2 * d :], bias[2 * d :])
    by_head = graph.constant("by_head", np.array([0, heads, width], np.int64))
    q, k, v = (graph.add("Reshape", each, by_head) for each in (q, k, v))  # [L, H, d/H]
    q, v = (graph.add("Transpose", each, perm=[1, 0, 2]) for each in (q, v))  # [H, L, d/H]
    k = graph.add("Transpose", k, perm=[1, 2, 0])  # [H, d/H, L]
    logits = graph.add("Add", graph.add("MatMul", q, k), mask)  # [H, L, L]
    mixed = graph.add("MatMul", graph.add("Softmax", logits, axis=-1), v)  # [H, L, d/H]
    mixed = graph.add("Transpose", mixed, perm=[1, 0, 2])  # [L, H, d/H]
    mixed = graph.add("Reshape", mixed, graph.constant("joined", np.array([0, d], np.int64)))  # [L, d]
    x = graph.add(
        "Add", x, _linear(graph, name + "out.", mixed, _array(block.out.weight), _array(block.out.bias))
    )
    up = _linear(
        graph,
        name + "up.",
        _norm(graph, name + "norm_2.", block.norm_2, x),
        _array(block.up.weight),
        _array(block.up.bias),
    )
    down = _linear(
        graph, name + "down.", graph.add("Gelu", up), _array(block.down.weight), _array(block.down.bias)
    )
    return graph.add("Add", x, down)


def _linear(graph: "_Graph", name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    made = graph.add("MatMul", x, graph.constant(name + "weight", np.ascontiguousarray(weight.T)))
    return graph.add("Add", made, graph.constant(name + "bias", bias))


def _norm(graph: "_Graph", name: str, norm: torch.nn.LayerNorm, x: str) -> str:
    weight, bias = (graph.constant(name + part, _array(getattr(norm, part))) for part in ("weight", "bias"))
    return graph.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=_EPSILON)


class _Graph:
    """Nodes in order, and constants by name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant, once, and return its name."""
        if name not in {constant.name for constant in self.constants}:
            self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
