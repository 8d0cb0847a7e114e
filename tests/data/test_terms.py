"""Terms of texts equal an obvious slow count."""

import re
from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nextpick.data.avro import Field, Schema
from nextpick.data.dataset import Terms
from nextpick.data.terms import count_words, text_columns

SCHEMA = Schema(
    "Items",
    (
        Field("ITEM_ID", "string"),
        Field("NAME", "string", item_name=True),
        Field("TEXT", "string", nullable=True, textual=True),
    ),
)
WORD = st.sampled_from(["Ship", "ship", "the", "Öl", "x", "42", "star-fish", "né", "it's"])
TEXT = st.one_of(st.none(), st.lists(WORD, max_size=5).map(" ".join))


def slow(names: list[str | None], texts: list[str | None]) -> list[Counter[str]]:
    def words(text: str | None) -> list[str]:
        return [w for w in re.findall(r"[^\W_]+", (text or "").lower()) if len(w) >= 2]

    return [Counter(words(name) * 2 + words(text)) for name, text in zip(names, texts, strict=True)]


def counted(names: list[str | None], texts: list[str | None]) -> Terms:
    table = pa.table({"NAME": pa.array(names, pa.string()), "TEXT": pa.array(texts, pa.string())})
    return count_words(table, *text_columns(SCHEMA))[0]


def as_counters(terms: Terms) -> list[Counter[int]]:
    spans = zip(terms.offsets[:-1].tolist(), terms.offsets[1:].tolist(), strict=True)
    return [
        Counter(dict(zip(terms.codes[a:b].tolist(), map(int, terms.counts[a:b]), strict=True)))
        for a, b in spans
    ]


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12))
def test_each_word_is_counted_and_a_name_twice(rows: list[tuple[str | None, str | None]]) -> None:
    names, texts = [name for name, _ in rows], [text for _, text in rows]
    wanted = slow(names, texts)
    numbers = {
        word: code for code, word in enumerate(sorted({w for row in wanted for w in row}, key=str.encode))
    }
    terms = counted(names, texts)
    assert terms.n_terms == len(numbers)
    assert as_counters(terms) == [Counter({numbers[w]: n for w, n in row.items()}) for row in wanted]


def test_words_of_one_item_and_of_most_are_left_out_where_there_are_many() -> None:
    names: list[str | None] = [f"book{n} the {'sea' if n % 4 == 0 else 'land'}" for n in range(40)]
    terms = counted(names, [None] * 40)
    assert terms.n_terms == 1  # "sea": "the" and "land" are of more than half, each "book…" of one
    assert [len(row) for row in as_counters(terms)] == [1, 0, 0, 0] * 10
