"""Cross-entropy over a catalogue, without its matrix of logits.

    full:     log sum_j exp(h . e_j + b_j) - (h . e_t + b_t), in chunks of positions; the gradient of a chunk is made
              with it, so that [positions, items] never exists as a whole (Liger kernels, Hsu et al. 2024)
    sampled:  the sum over j is estimated from S draws of q: exp(s_t) + sum over draws j != t of exp(s_j) / (S q_j)
              (Bengio and Senecal 2008), the logQ correction; the target is in the sum exactly, as it always is

Shapes: T positions, n items, S draws, d width.
"""

import math

import torch
from torch import Tensor

_CHUNK = 512  # positions: a chunk's logits over 3,400 items stay in a processor's cache
_CHUNK_ON_GPU = 1 << 28  # logits
_TINY = 1e-12  # of weights that are all 0


class _Full(torch.autograd.Function):
    """h [T, d], e [n, d], b [n], target [T] int64, weight [T] (sum 1), dtype of the products -> loss []."""

    @staticmethod
    def forward(ctx, h, e, b, target, weight, dtype):
        table, bias, loss = e.to(dtype), b.to(dtype), h.new_zeros(())
        d_h, d_e = torch.empty_like(h), torch.zeros_like(e)
        chunk = max(_CHUNK_ON_GPU // len(e), _CHUNK) if h.is_cuda else _CHUNK
        for start in range(0, len(h), chunk):
            own = target[start : start + chunk, None]  # [c, 1]
            w = weight[start : start + chunk, None]
            x = h[start : start + chunk].to(dtype)  # [c, d]
            p = torch.softmax(torch.addmm(bias, x, table.T), 1)  # [c, n]
            p_own = p.gather(1, own)
            loss -= (w * p_own.float().clamp(min=1e-30).log()).sum()
            p.scatter_(1, own, p_own - 1).mul_(w.to(dtype))  # d loss / d logits
            d_h[start : start + chunk] = p @ table
            d_e += p.T @ x
        ctx.save_for_backward(d_h, d_e)
        return loss

    @staticmethod
    def backward(ctx, d_loss):  # pyright: ignore[reportIncompatibleMethodOverride]
        d_h, d_e = ctx.saved_tensors
        return d_loss * d_h, d_loss * d_e, None, None, None, None


def full(h: Tensor, e: Tensor, b: Tensor, target: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the weighted mean cross-entropy over all items; gradients flow to h and e.

    h [T, d], e [n, d], b [n], target [T] int64, weight [T].
    """
    return _Full.apply(h, e, b, target, weight / weight.sum().clamp(min=_TINY), dtype)  # pyright: ignore[reportReturnType]


def sampled(
    h: Tensor, e_own: Tensor, e: Tensor, b_own: Tensor, b: Tensor, log_q: Tensor, hit: Tensor, weight: Tensor
) -> Tensor:
    """Return the weighted mean of the sampled cross-entropy.

    h [T, d], e_own [T, d] and b_own [T] of the targets;  e [S, d], b [S] and log_q [S] = log q of the draws;
    hit [T, S] bool: the draw is the target;  weight [T].
    """
    own = (h * e_own).sum(1) + b_own  # [T]
    others = h @ e.T + (b - log_q - math.log(len(e)))  # [T, S]
    others = others.masked_fill(hit, -torch.inf)
    total = torch.logaddexp(own, torch.logsumexp(others, 1))  # [T]
    return (weight * (total - own)).sum() / weight.sum().clamp(min=_TINY)
