"""What a list of items has in common, in the words of the catalogue: its theme.

A feature (a category, or a word of a text) speaks for a list of m items by its part of the divergence between the
list and the catalogue of n items,

    s(f) = a/m log((a/m) / (df/n))        a, df: items of the list, of the catalogue, that have it

(Kullback and Leibler 1951). The best few make the theme; an item's relevance to it is the cosine between the item's
features and the theme's, a feature weighing log((n + 1) / (df + 1)).
"""

from typing import NamedTuple

import numpy as np

_MOST_CATEGORIES, _MOST_WORDS = 2, 3
_LEAST_SHARE, _LEAST_LIFT = 0.2, 1.5


class Features(NamedTuple):
    """What items have: item i has the features codes[offsets[i] to offsets[i+1]], int32, each once.

    names: what each feature is called;  n_categories: features below it are categories, the others words.
    """

    offsets: np.ndarray
    codes: np.ndarray
    names: tuple[str, ...]
    n_categories: int


class Theme(NamedTuple):
    """A theme's text, its features (int64 rows) and how much of it each is (float64)."""

    text: str
    features: np.ndarray
    shares: np.ndarray


class Themes:
    """Finds themes in a catalogue."""

    def __init__(self, features: Features) -> None:
        self._features = features
        n_items = len(features.offsets) - 1
        self._frequency = np.bincount(features.codes, minlength=len(features.names))
        self._share = np.maximum(self._frequency, 1) / max(n_items, 1)
        self._weight = np.log((n_items + 1) / (self._frequency + 1))

    def find(self, items: np.ndarray) -> Theme | None:
        """Return the theme of some items (int32 rows), None where nothing is told of two of them."""
        held = np.concatenate([np.zeros(0, np.int32), *(self._of(item) for item in items.tolist())])
        found, counts = np.unique(held, return_counts=True)
        share = counts / max(len(items), 1)
        lift = share / self._share[found]
        score = share * np.log(lift)
        shared = counts >= 2
        telling = shared & (share >= _LEAST_SHARE) & (lift >= _LEAST_LIFT)
        if not telling.any():
            telling = shared & (score >= np.max(score[shared], initial=0.0)) & (score > 0)
        if not telling.any():
            return None
        found, score = found[telling], score[telling]
        best = np.lexsort((found, -score))
        is_word = found[best] >= self._features.n_categories
        categories, words = best[~is_word][:_MOST_CATEGORIES], best[is_word]
        names = self._features.names
        said = {part for c in found[categories].tolist() for part in names[c].casefold().split()}
        words = [w for w in words.tolist() if names[found[w]].casefold() not in said][:_MOST_WORDS]
        chosen = np.array([*categories.tolist(), *words])
        text = _text([names[c] for c in found[categories]], [names[w] for w in found[words]])
        return Theme(text, found[chosen].astype(np.int64), score[chosen] / score[chosen].sum())

    def relevance(self, theme: Theme, items: np.ndarray) -> np.ndarray:
        """Return how near items are to a theme, float64 [m] from 0 to 1."""
        wanted = np.zeros(len(self._features.names))
        wanted[theme.features] = theme.shares * self._weight[theme.features]
        length = np.linalg.norm(wanted) or 1.0
        found = np.zeros(len(items))
        for at, item in enumerate(items.tolist()):
            held = self._of(item)
            own = np.linalg.norm(self._weight[held])
            if own > 0:
                found[at] = self._weight[held] @ wanted[held] / (own * length)
        return found

    def _of(self, item: int) -> np.ndarray:
        return self._features.codes[self._features.offsets[item] : self._features.offsets[item + 1]]


def _text(categories: list[str], words: list[str]) -> str:
    """Return ``Comedy and Romance: wedding, paris``, or what there is of it, its first letter a capital."""
    text = ": ".join(part for part in (" and ".join(categories), ", ".join(words)) if part)
    return text[:1].upper() + text[1:]
