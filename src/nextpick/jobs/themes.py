"""What a batch inference job of themes reads of the items: names, descriptions and categories, as they are now."""

from typing import Any

import numpy as np
import pyarrow as pa

from nextpick.data import entities, kinds
from nextpick.data.avro import parse_schema
from nextpick.data.dataset import Source
from nextpick.data.terms import count_words, text_columns
from nextpick.jobs.work import JobFailure, Work, datasets_dir
from nextpick.models.themes import Features, Themes
from nextpick.resources.kinds import DATASET
from nextpick.serving.versions import Version
from nextpick.store import log as event_log
from nextpick.store.records import Resource

_LEAST_LETTERS = 3  # of a word that may stand in a theme
_COMMON_SHARE, _FEW = (
    0.1,
    100,
)  # words of more items than this, in a catalogue that is not small, are like "the"


def find_themes(work: Work, version: Version, group: str, config: dict[str, Any]) -> Themes:
    """Return what finds themes among the version's items. Raises JobFailure when the items are gone."""
    dataset, source = _items(work, group)
    wanted = config["fieldsForThemeGeneration"]["itemName"].upper()
    name = next((field.name for field in source.schema.fields if field.name.upper() == wanted), None)
    if name is None:
        raise JobFailure(f"The schema of {dataset.arn} has no field {wanted} any more.")
    _, text = text_columns(source.schema)
    categorical = [field.name for field in source.schema.fields if field.categorical and field.name != name]
    columns = [name, *([text] if text else []), *categorical]
    n_items = len(version.data.items.ids)
    ids = pa.array(version.data.items.ids.ids(np.arange(n_items, dtype=np.int32)), pa.string())
    records = entities.align(entities.read_columns(source, kinds.ITEMS, columns), "ITEM_ID", ids)
    row, code, names = [], [], []
    for column in categorical:
        cells = records.column(column).combine_chunks()
        cells = cells.chunk(0) if isinstance(cells, pa.ChunkedArray) else cells
        offsets, codes, values = entities.categories(cells)
        row.append(np.repeat(np.arange(n_items), np.diff(offsets)))
        code.append(codes.astype(np.int64) + len(names))
        names.extend(values)
    n_categories = len(names)
    terms, words = count_words(records, name, text)
    telling = np.array([len(w) >= _LEAST_LETTERS and not w.isdigit() for w in words], bool)
    if n_items > _FEW:
        telling &= np.bincount(terms.codes, minlength=len(words)) <= _COMMON_SHARE * n_items
    kept = telling[terms.codes] if len(terms.codes) else np.zeros(0, bool)
    row.append(np.repeat(np.arange(n_items), np.diff(terms.offsets))[kept])
    code.append(terms.codes[kept].astype(np.int64) + n_categories)
    names.extend(words)
    return Themes(_features(np.concatenate(row), np.concatenate(code), names, n_categories, n_items))


def _items(work: Work, group: str) -> tuple[Resource, Source]:
    log_dir = work.settings.home / "log"
    with work.records.read() as tx:
        found = [d for d in tx.find(DATASET.arn_kind, parent=group) if d.body["datasetType"] == "ITEMS"]
        schema = tx.get(found[0].body["schemaArn"]) if found else None
        if schema is None:
            raise JobFailure(f"{group} has no Items dataset any more.")
        dataset = found[0]
    directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
    parts = [directory / part for part in dataset.internal["parts"]]
    folded, end = dataset.internal.get("folded", {}), event_log.positions(log_dir)
    put = event_log.read_records(log_dir, dataset.arn, folded, end)
    return dataset, Source(parse_schema(schema.body["schema"]), parts, put)


def _features(
    row: np.ndarray, code: np.ndarray, names: list[str], n_categories: int, n_items: int
) -> Features:
    pairs = np.unique(row * max(len(names), 1) + code)
    row, code = np.divmod(pairs, max(len(names), 1))
    offsets = np.zeros(n_items + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n_items), out=offsets[1:])
    return Features(offsets, code.astype(np.int32), tuple(names), n_categories)
