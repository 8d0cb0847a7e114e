"""A causal transformer over a history of items, whose items are what is known of them.

    e_i = own_i + mean of a_c over the attributes c of i + P t_i          an item: itself, its metadata, its texts
    x_k = e_{i_k} + sum of s_c over the codes c beside event k            an event: item, gaps of time, type
    x  <- x + W_o attention(norm x);  x <- x + W_2 relu(W_1 norm x)       a block, pre-norm
    h   = norm x_k + sum of v_c over the codes c of what is told of the next event
    p(i | x_1 ... x_k, v) = softmax over i of (h . e_i + b_i)             the next item, tied to the input

Attention sees only what came before, and its logits have a bias for each distance, of each block, in place of absolute
positions, so that a window of a long history means the same wherever it was cut. b_i is a constant, the log
popularity, which the embeddings correct. v_c are of contextual columns, the circumstances that the next item is taken
in; told before the last block instead, they were worth no more. An item without interactions has no ``own``; training
hides that of others at random, so that attributes and texts learn to stand alone.

Sources: SASRec (Kang and McAuley 2018); pre-norm (Xiong et al. 2020); relative bias (Raffel et al. 2020); softmax over
the whole catalogue for SASRec (Klenitskiy and Vasilev 2023); item features in the embedding (S3-Rec, Zhou et al. 2020);
context as a factor of the question (factorization machines, Rendle 2010).

Shapes: B sequences, L events, d width, n items, m attributes an item, K columns of codes, C of context.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

_INIT_STD = 0.02


class Shape(NamedTuple):
    """The sizes of a network. ``length``: the longest history it reads; ``n_own``: items with an embedding of their
    own; the ``n_`` of attributes, codes and contexts count the code 0, which is nothing."""

    width: int
    blocks: int
    length: int
    dropout: float
    n_own: int
    n_attributes: int
    n_codes: int
    text_width: int
    n_contexts: int = 1


class Content(NamedTuple):
    """What is known of the items: own [n] int64, row of ``own`` embeddings from 1, 0 none; attributes [n, m] int64,
    codes from 1, 0 nothing; texts [n, text_width] float32; bias [n] float32; start [n_own, width] float32, where own
    embeddings begin."""

    own: np.ndarray
    attributes: np.ndarray
    texts: np.ndarray
    bias: np.ndarray
    start: np.ndarray


class Block(nn.Module):
    """One pre-norm block. Its attention has one head: at this width more did not help, and cost a third of the time."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.norm_1, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [B, L, d];  bias [L, L], -inf for what came later."""
        q, k, v = self.qkv(self.norm_1(x)).chunk(3, -1)  # [B, L, 3d] -> each [B, L, d]
        share = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias, -1)  # [B, L, L]
        x = x + self.dropout(self.out(share @ v))  # [B, L, d]
        return x + self.dropout(self.down(F.relu(self.up(self.norm_2(x)))))  # [B, L, 2d] inside


class Network(nn.Module):
    """The network. ``content`` belongs to the data: it is no parameter."""

    content_own: Tensor
    content_attributes: Tensor
    content_texts: Tensor
    content_bias: Tensor

    def __init__(self, shape: Shape, content: Content) -> None:
        super().__init__()
        d = shape.width
        self.shape = shape
        self.own = nn.Embedding(shape.n_own + 1, d, padding_idx=0)
        self.attributes = nn.EmbeddingBag(shape.n_attributes, d, mode="mean", padding_idx=0)
        self.texts = nn.Parameter(torch.randn(shape.text_width, d) * _INIT_STD)
        self.sides = nn.EmbeddingBag(shape.n_codes, d, mode="sum", padding_idx=0)
        self.distance = nn.Parameter(torch.zeros(shape.blocks, shape.length))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(d)
        self.dropout = nn.Dropout(shape.dropout)
        if shape.n_contexts > 1:
            self.circumstances = nn.EmbeddingBag(shape.n_contexts, d, mode="sum", padding_idx=0)
        for name in ("own", "attributes", "texts", "bias"):
            array = np.ascontiguousarray(getattr(content, name))
            self.register_buffer(f"content_{name}", torch.from_numpy(array), persistent=False)
        self.apply(_initialise)
        with torch.no_grad():
            self.own.weight[1:] = torch.from_numpy(content.start)

    @property
    def has_content(self) -> bool:
        """Whether anything is known of items besides themselves."""
        return self.shape.n_attributes > 1 or self.shape.text_width > 0

    def items(self, rows: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        """Return e of ``rows`` [r], None all: [r, d]. ``hidden`` [n_own + 1] bool: whose ``own`` is left out."""
        pick = (lambda array: array) if rows is None else (lambda array: array[rows])
        own_rows = pick(self.content_own)  # [r]
        if hidden is not None:
            own_rows = torch.where(hidden[own_rows], 0, own_rows)
        e = self.own(own_rows)  # [r, d]
        if self.shape.n_attributes > 1:
            e = e + self.attributes(pick(self.content_attributes))  # [r, m] -> [r, d]
        if self.shape.text_width:
            e = e + pick(self.content_texts) @ self.texts  # [r, text_width] -> [r, d]
        return e

    def forward(self, e: Tensor, codes: Tensor) -> Tensor:
        """Return norm x of every event, [B, L, d], from its item's e [B, L, d] and its codes [B, L, K]."""
        L = e.shape[1]  # noqa: N806
        beside = self.sides(codes.flatten(0, 1)).view(e.shape)  # [B * L, K] -> [B, L, d]
        x = self.dropout(e + beside)
        later = self.distance.new_full((self.shape.blocks, L - 1), -torch.inf)
        by_distance = torch.cat((later, self.distance[:, :L]), 1)  # [blocks, 2L - 1], from 1 - L to L - 1
        biases = by_distance.unfold(1, L, 1).flip(2)  # [blocks, L, L], row: reader, column: what is read
        for block, bias in zip(self.blocks, biases, strict=True):
            x = block(x, bias)
        return self.norm(x)

    def under(self, x: Tensor, contexts: Tensor) -> Tensor:
        """Return h [T, d] from norm x [T, d] and the codes of the next events' contexts [T, C]."""
        return x + self.circumstances(contexts) if self.shape.n_contexts > 1 else x


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding | nn.EmbeddingBag):
        nn.init.normal_(module.weight, std=_INIT_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        with torch.no_grad():
            module.weight[0] = 0.0
