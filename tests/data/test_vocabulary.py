"""Vocabularies: ids and rows, in memory and mapped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.data import vocabulary
from nextpick.data.vocabulary import Vocabulary, hash_text, hash_texts, join_texts

IDS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=40), unique=True, max_size=200)


@given(IDS)
def test_each_id_has_its_row(ids):
    made = Vocabulary.build(ids)
    assert len(made) == len(ids)
    assert [made.row(id) for id in ids] == list(range(len(ids)))
    assert made.rows(ids).tolist() == list(range(len(ids)))
    assert made.ids(np.arange(len(ids))) == made.ids(range(len(ids))) == ids
    assert [made.id(row) for row in range(len(ids))] == ids


@given(IDS, IDS)
def test_an_unknown_id_is_row_minus_one(ids, others):
    made = Vocabulary.build(ids)
    wanted = [ids.index(other) if other in ids else -1 for other in others]
    assert [made.row(other) for other in others] == wanted
    assert made.rows_of_bytes(*join_texts(others)).tolist() == wanted


@given(IDS)
def test_one_hash_is_computed_in_two_ways(ids):
    assert hash_texts(*join_texts(ids)).tolist() == [hash_text(id.encode()) for id in ids]


def test_ids_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(vocabulary, "hash_text", lambda raw: 7)
    monkeypatch.setattr(
        vocabulary, "hash_texts", lambda offsets, data: np.full(len(offsets) - 1, 7, np.uint64)
    )
    ids = [f"id{i}" for i in range(100)]
    made = Vocabulary.build(ids)
    assert made.rows([*ids, "id100"]).tolist() == [*range(100), -1]
    assert [made.row(id) for id in ids] == list(range(100))
    with pytest.raises(ValueError, match="'id3' occurs twice"):
        Vocabulary.build([*ids, "id3"])


def test_an_id_that_occurs_twice_is_refused():
    with pytest.raises(ValueError, match="'b' occurs twice"):
        Vocabulary.build(["a", "b", "c", "b"])


def test_a_lone_surrogate_is_an_unknown_id():
    assert Vocabulary.build(["a"]).row("\ud800") == -1


@pytest.mark.parametrize("ids", [[], ["a"], [f"ü{i}" for i in range(1000)]])
def test_a_saved_vocabulary_is_mapped_back(tmp_path, ids):
    Vocabulary.build(ids).save(tmp_path / "v")
    opened = Vocabulary.open(tmp_path / "v")
    assert opened.ids(range(len(opened))) == ids
    assert opened.rows(ids).tolist() == list(range(len(ids)))
    assert opened.row("none") == -1


def test_a_file_that_is_cut_off_is_not_opened(tmp_path):
    Vocabulary.build([f"id{i}" for i in range(100)]).save(tmp_path)
    file = tmp_path / "hash.npy"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ValueError, match="buffer"):
        Vocabulary.open(tmp_path)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        Vocabulary.open(tmp_path)
