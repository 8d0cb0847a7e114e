"""Histories as batches: windows of like length, as many as hold a given number of tokens.

A history longer than the network reads is cut into windows at a phase drawn anew each epoch, so every event is a
target once an epoch and the network learns from contexts of every length.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nextpick.models import transformer_input
from nextpick.models.transformer_input import AFTER, Sides

_SHOWN = np.array((0.25, 0.25, 0.5))  # how often no codes, all but the time until the next event, all


class Histories(NamedTuple):
    """Events by user, oldest first: offsets [n_users+1] int64; item [n] int32; codes [n, K] int16 of what is beside
    each; contexts [n, C] int32, codes of its circumstances; weight [n] float32, how much it counts as a target."""

    offsets: np.ndarray
    item: np.ndarray
    codes: np.ndarray
    contexts: np.ndarray
    weight: np.ndarray


class Batch(NamedTuple):
    """B windows of at most L events, padded at the end: item [B, L] int64;  codes [B, L, K] int64. Of their T events
    that have a target: at [T] int64, which of B * L it is;  contexts [T, C] int64 and target [T] int64, of the next
    one;  weight [T] float32."""

    item: np.ndarray
    codes: np.ndarray
    at: np.ndarray
    contexts: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def coded(offsets: np.ndarray, time: np.ndarray, kind: np.ndarray, sides: Sides) -> np.ndarray:
    """Return the codes beside the events of all histories, int16 [n, K]."""
    before = transformer_input.between(offsets, time)
    after = np.append(before[1:], np.int64(-1))[: len(before)]  # none after a user's last event
    return transformer_input.codes(before, after, kind, *sides).astype(np.int16)


def windows(offsets: np.ndarray, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return where windows start and how many targets each has (at most ``length``), int64 [w]; the target of an
    event is the next one of its user, and every target is in one window."""
    targets = np.maximum(np.diff(offsets) - 1, 0)
    first = np.minimum(np.where(targets > length, rng.integers(1, length + 1, len(targets)), targets), length)
    n = (targets > 0) + -(-(targets - first) // length)
    user = np.repeat(np.arange(len(targets)), n)
    number = np.arange(len(user)) - np.repeat(np.cumsum(n) - n, n)
    begin = np.where(number == 0, 0, first[user] + (number - 1) * length)
    size = np.where(number == 0, first[user], np.minimum(length, targets[user] - begin))
    return offsets[user] + begin, size


class Epoch:
    """The batches of one epoch, in random order; one has at most ``tokens`` tokens, padding included, or one window.

    With ``few_shapes`` L is one of few numbers and B follows from it, as graphs of a GPU want it. So that a batch has
    as many events as without, it may have an eighth more tokens; a window without events and a target of weight 0
    take the place of what is not there.
    """

    def __init__(
        self,
        histories: Histories,
        length: int,
        tokens: int,
        rng: np.random.Generator,
        few_shapes: bool = False,
    ) -> None:
        self._histories, self._length = histories, length
        self._tokens, self._few_shapes = tokens, few_shapes
        self._start, self._size = windows(histories.offsets, length, rng)
        order = np.lexsort((rng.random(len(self._size)), -self._size))
        self._groups, at = [], 0
        while at < len(order):
            n = self._shape(int(self._size[order[at]]))[0]
            self._groups.append(order[at : at + n])
            at += n
        self._order = rng.permutation(len(self._groups))
        self._shown = rng.choice(3, len(order), p=_SHOWN)
        # of a window each contextual column is hidden as often as is drawn for it: all are in one of C + 1
        hidden = rng.random((len(order), 1)) > rng.random((len(order), histories.contexts.shape[1]))
        self._told = ~hidden  # [w, C]

    def __len__(self) -> int:
        return len(self._groups)

    def after(self, skipped: int) -> Iterator[Batch]:
        """Yield all but the first ``skipped``."""
        for g in self._order[skipped:]:
            yield self._batch(self._groups[g])

    def _shape(self, longest: int) -> tuple[int, int]:
        """Return B and L of a batch by its longest window."""
        if self._few_shapes:
            step = 1 << max((longest - 1).bit_length() - 3, 0)  # four to an octave
            most = min(-(-longest // step) * step, self._length)
            least = (most - 1) // step * step + 1
            return max(2 * self._tokens // (least + most), 1), most
        return max(self._tokens // longest, 1), longest

    def _batch(self, group: np.ndarray) -> Batch:
        histories, start, size = self._histories, self._start[group, None], self._size[group, None]  # [B, 1]
        told, shown = self._told[group], self._shown[group]
        n, length = self._shape(int(size.max()))
        if self._few_shapes:
            start, size, told, shown = (
                np.concatenate((array, np.zeros((n - len(group), *array.shape[1:]), array.dtype)))
                for array in (start, size, told, shown)
            )
        step = np.arange(length)
        real = step < size  # [B, L]
        event = np.where(real, start + step, start)
        codes = histories.codes[event].astype(np.int64)  # [B, L, K]
        codes[shown == 0] = 0
        codes[shown == 1, :, AFTER] = 0
        at = np.arange(real.size) if self._few_shapes else np.flatnonzero(real)  # [T]
        real, after = real.ravel()[at], (event + real).ravel()[at]
        contexts = histories.contexts[after] * np.repeat(told, length, axis=0)[at]  # [T, C]
        weight = np.where(real, histories.weight[after], 0).astype(np.float32)
        item, target = (histories.item[where].astype(np.int64) for where in (event, after))
        return Batch(item, codes, at, contexts.astype(np.int64), target, weight)
