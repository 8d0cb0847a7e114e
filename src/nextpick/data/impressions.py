"""Impressions of a training: how often each item was shown, and how often it was taken from the list it was in.

An interaction's IMPRESSION is the list it was chosen from, items joined by ``|``. Source: developer guide, "Impressions
data".
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from nextpick.data.columns import pc
from nextpick.data.spill import codes_of

FIELD = pa.field("IMPRESSION", pa.dictionary(pa.int32(), pa.string()))


class ImpressionCounter:
    """Counts the lists of interactions, a table at a time."""

    def __init__(self) -> None:
        self._ids: list[pa.Array] = []
        self._counts: list[np.ndarray] = []  # [m, 2] each: shown, taken

    def append(self, items: pa.DictionaryArray, lists: pa.DictionaryArray) -> None:
        """Add interactions: the item of each and the list it was chosen from, or null."""
        texts, codes = lists.dictionary, codes_of(lists)
        has = codes >= 0
        if not len(texts) or not has.any():
            return
        split = pc.split_pattern(texts, "|")
        flat = pc.list_flatten(split).dictionary_encode()
        of_list, of_item = pc.list_parent_indices(split).to_numpy(), codes_of(flat)
        n = len(flat.dictionary)
        times = np.bincount(codes[has], minlength=len(texts))
        shown = np.bincount(of_item, weights=times[of_list], minlength=n)
        row_of = pc.fill_null(pc.index_in(items.dictionary, value_set=flat.dictionary), -1).to_numpy()
        chosen = row_of[codes_of(items)]
        asked = has & (chosen >= 0)
        pairs = np.unique(of_list.astype(np.int64) * n + of_item)
        hit = np.isin(codes[asked].astype(np.int64) * n + chosen[asked], pairs)
        taken = np.bincount(chosen[asked][hit], minlength=n)
        self._ids.append(flat.dictionary)
        self._counts.append(np.stack((shown, taken), axis=1))

    def save(self, directory: Path, ids: pa.Array) -> bool:
        """Write ``shown.npy`` and ``taken.npy``, float32 [n_items], by ``ids``; tell whether there was any list."""
        if not self._ids:
            return False
        rows = pc.fill_null(pc.index_in(pa.concat_arrays(self._ids), value_set=ids), -1).to_numpy()
        counts, found = np.concatenate(self._counts), np.zeros((len(ids), 2), np.float32)
        np.add.at(found, rows[rows >= 0], counts[rows >= 0])
        for at, name in enumerate(("shown", "taken")):
            np.save(directory / f"{name}.npy", np.ascontiguousarray(found[:, at]))
        return True
