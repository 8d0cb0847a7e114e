"""Texts of items as terms: words in lower case, each with how often it occurs in an item's texts.

A word is a run of letters and digits of any script, two characters or more; scripts without blanks between words are
not taken apart. A name counts twice. Terms of one item, and of more than half of them, tell nothing and are left out.
"""

from collections.abc import Container
from pathlib import Path

import numpy as np
import pyarrow as pa

from nextpick.data.avro import Schema
from nextpick.data.columns import pc
from nextpick.data.dataset import Terms
from nextpick.data.spill import one_chunk

_SPLIT = r"[^\p{L}\p{N}]+"
_MOST_TERMS = 50_000
_MOST_SHARE = 0.5
_FEW = 20  # items or fewer: every term counts
_ROWS = 50_000
_NAME_COUNTS = 2


def text_columns(schema: Schema, excluded: Container[str] = ()) -> tuple[str | None, str | None]:
    """Return the names of the itemName field and of the textual one, None where there is none that may be used."""
    usable = [field for field in schema.fields if field.name not in excluded]
    name = next((field.name for field in usable if field.item_name), None)
    return name, next((field.name for field in usable if field.textual), None)


def count_words(table: pa.Table, name: str | None, text: str | None) -> tuple[Terms, list[str]]:
    """Count the terms of two columns, either of which may be missing; return also what the terms are."""
    n_rows = table.num_rows
    vocabulary = pa.array([], pa.string())
    rows, codes = [], []
    for start in range(0, n_rows, _ROWS):
        for column, times in ((name, _NAME_COUNTS), (text, 1)):
            if column is None:
                continue
            cells = one_chunk(table.select([column]).slice(start, _ROWS)).column(0).chunk(0)
            words = pc.split_pattern_regex(pc.utf8_lower(cells.cast(pa.string())), _SPLIT)
            flat = pc.list_flatten(words)
            row = pc.list_parent_indices(words).to_numpy() + start
            kept = pc.greater_equal(pc.utf8_length(flat), 2)
            flat, row = flat.filter(kept).dictionary_encode(), row[kept.to_numpy(zero_copy_only=False)]
            new = flat.dictionary.filter(pc.invert(pc.is_in(flat.dictionary, value_set=vocabulary)))
            vocabulary = pa.concat_arrays([vocabulary, new])
            number = pc.index_in(flat.dictionary, value_set=vocabulary).to_numpy()
            rows.append(np.repeat(row, times))
            codes.append(np.repeat(number[flat.indices.to_numpy()], times))
    return _counted(_joined(rows), _joined(codes), n_rows, vocabulary)


def _counted(
    row: np.ndarray, code: np.ndarray, n_rows: int, vocabulary: pa.StringArray
) -> tuple[Terms, list[str]]:
    pairs, times = np.unique(row * max(len(vocabulary), 1) + code, return_counts=True)
    row, code = np.divmod(pairs, max(len(vocabulary), 1))
    frequency = np.bincount(code, minlength=len(vocabulary))
    least, most = (1, n_rows) if n_rows <= _FEW else (2, n_rows * _MOST_SHARE)
    telling = np.flatnonzero((frequency >= least) & (frequency <= most))
    # the frequent ones stay; among equals, and in the numbering, the order of the words decides
    rank = np.empty(len(vocabulary), np.int64)
    rank[pc.sort_indices(vocabulary).to_numpy()] = np.arange(len(vocabulary))
    telling = telling[np.lexsort((rank[telling], -frequency[telling]))][:_MOST_TERMS]
    telling = telling[np.argsort(rank[telling])]
    number = np.full(len(vocabulary), -1, np.int64)
    number[telling] = np.arange(len(telling))
    kept = number[code] >= 0
    row, code, times = row[kept], number[code[kept]], times[kept]
    order = np.lexsort((code, row))
    offsets = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n_rows), out=offsets[1:])
    counts = times[order].astype(np.float32)
    words = vocabulary.take(pa.array(telling)).to_pylist()
    return Terms(offsets, code[order].astype(np.int32), counts, len(telling)), words


def save_terms(terms: Terms, directory: Path) -> int:
    """Write counted terms beside a snapshot's columns and return how many different ones there are."""
    for name in ("offsets", "codes", "counts"):
        np.save(directory / f"terms.{name}.npy", getattr(terms, name))
    return terms.n_terms


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays).astype(np.int64) if arrays else np.zeros(0, np.int64)
