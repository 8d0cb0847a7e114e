"""The network as arrays that serve without PyTorch: tables, and a graph that reads a history and gives one vector.

The graph is written node by node rather than traced: it computes the last block for the newest event alone, whose
vector is all that is wanted, and does not depend on what a version of PyTorch makes of a module. Items stay outside
it: their table is mapped once for all workers, and a history's rows are picked from it before.

    x [L, d] = table[items] + codes' embeddings   ->   graph   ->   norm x_L [d]
    h [d] = norm x_L + contexts' embeddings       ->   table @ h + bias = logits [n]
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from nextpick.models.transformer import Block, Network

_OPSET, _IR = 17, 8  # opset 17 is the first with LayerNormalization
_EPSILON = 1e-5  # torch's of LayerNorm


def tables(network: Network) -> dict[str, np.ndarray]:
    """Return ``items`` float32 [n, d] and ``bias`` float32 [n] of the softmax, ``codes`` float32 [c, d] of what is
    beside events, ``graph`` uint8 [bytes] and, where there are contextual columns, ``contexts`` float32 [v, d]."""
    with torch.no_grad():
        items = network.items().numpy()
    made = {
        "items": np.ascontiguousarray(items, np.float32),
        "bias": _array(network.content_bias),
        "codes": _array(network.sides.weight),
        "graph": np.frombuffer(_model(network), np.uint8),
    }
    if network.shape.n_contexts > 1:
        made["contexts"] = _array(network.circumstances.weight)
    return made


def _model(network: Network) -> bytes:
    graph = _Graph()
    d, length = network.shape.width, network.shape.length
    back = np.arange(length)[:, None] - np.arange(length)  # [length, length]
    distances = np.where(back < 0, -np.inf, _array(network.distance)[:, back.clip(0)]).astype(np.float32)
    size = graph.add("Shape", "x", end=1)  # [1] = L
    newest = graph.add("Sub", size, graph.constant("one", np.array([1], np.int64)))  # [1] = L - 1
    square = graph.add("Concat", size, size, axis=0)  # [2] = (L, L)
    corner = graph.constant("corner", np.zeros(2, np.int64))
    x = "x"
    for number, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        is_last, name = number == network.shape.blocks - 1, f"block{number}."
        mask = graph.add(
            "Slice", graph.constant(name + "distance", distances[number]), corner, square
        )  # [L, L]
        x = _block(graph, block, name, x, mask, newest if is_last else None)
    x = _norm(graph, "norm.", network.norm, x)  # [1, d]
    flat = graph.constant("flat", np.array([-1], np.int64))
    graph.nodes.append(helper.make_node("Reshape", [x, flat], ["h"]))  # [d]
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


def _block(graph: "_Graph", block: Block, name: str, x: str, mask: str, newest: str | None) -> str:
    """Add a block; one that is asked for the ``newest`` event alone gives [1, d], else [L, d]."""
    normed = asking = _norm(graph, name + "norm_1.", block.norm_1, x)
    if newest is not None:
        asking, x, mask = (graph.add("Gather", each, newest, axis=0) for each in (normed, x, mask))  # [1, .]
    query, key, value = block.qkv.weight.chunk(3)  # each [d, d]
    of_query, of_key, of_value = block.qkv.bias.chunk(3)  # each [d]
    scale = len(query) ** -0.5
    q = _linear(graph, name + "q.", asking, query * scale, of_query * scale)  # [L, d]
    k = _linear(graph, name + "k.", normed, key, of_key)  # [L, d]
    v = _linear(graph, name + "v.", normed, value, of_value)  # [L, d]
    share = graph.add("Softmax", graph.add("Gemm", q, k, mask, transB=1), axis=-1)  # [L, L]
    mixed = graph.add("MatMul", share, v)  # [L, d]
    x = graph.add("Add", x, _linear(graph, name + "out.", mixed, block.out.weight, block.out.bias))
    normed = _norm(graph, name + "norm_2.", block.norm_2, x)
    up = graph.add("Relu", _linear(graph, name + "up.", normed, block.up.weight, block.up.bias))  # [L, 2d]
    return graph.add("Add", x, _linear(graph, name + "down.", up, block.down.weight, block.down.bias))


def _linear(graph: "_Graph", name: str, x: str, weight: torch.Tensor, bias: torch.Tensor) -> str:
    constants = (graph.constant(name + "weight", _array(weight)), graph.constant(name + "bias", _array(bias)))
    return graph.add("Gemm", x, *constants, transB=1)


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
