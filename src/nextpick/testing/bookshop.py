"""A made bookshop: believable readers, books and visits, for demos, tests and benchmarks.

Popularity follows Zipf's law within a genre. Readers have a few genres they like, and move on from one to the
next; within a visit they stay with a genre, an author, and read a series in its order. New books appear while
the shop is open and are bought more at first. The same seed gives the same bytes.
"""

from typing import NamedTuple

import numpy as np

from nextpick.testing.shopfiles import ShopFiles, categorical, csv_text, plain, schema

OPENED = 1_735_689_600  # 2025-01-01 UTC
DAYS_OPEN = 180
DAY = 86_400

GENRES = (
    "fantasy", "crime", "romance", "history", "science", "poetry", "travel", "cookery", "children",
    "thriller", "science fiction", "biography",
)  # fmt: skip
AGE_GROUPS = ("under 18", "18-24", "25-34", "35-49", "50-64", "65 and over")
COUNTRIES = ("DE", "FR", "GB", "IE", "NL", "US")

SCHEMAS = {
    "Interactions": schema(
        "Interactions",
        plain("USER_ID", "string"),
        plain("ITEM_ID", "string"),
        plain("TIMESTAMP", "long"),
        plain("EVENT_TYPE", "string"),
    ),
    "Items": schema(
        "Items",
        plain("ITEM_ID", "string"),
        plain("TITLE", "string"),
        categorical("GENRE"),
        plain("PRICE", "float"),
        plain("CREATION_TIMESTAMP", "long"),
    ),
    "Users": schema("Users", plain("USER_ID", "string"), categorical("AGE_GROUP"), categorical("COUNTRY")),
}

_NEXT_IN_SERIES, _SAME_AUTHOR, _NEW_ARRIVAL = 0.35, 0.15, 0.08
_VISIT_ENDS, _TASTE_DRIFTS = 0.18, 0.12

_THINGS = (
    "Lantern", "Harbour", "Orchard", "Salt Road", "Clockmaker", "Winter Garden", "Cartographer", "Glass Bridge",
    "Heron", "Lighthouse", "Violin", "Tide", "Copper Moon", "Beekeeper", "North Gate", "River", "Library",
    "Paper Crown", "Ferryman", "Silver Fox", "Attic", "Comet", "Weaver", "Empty Chair", "Long Field",
)  # fmt: skip
_QUALITIES = (
    "Quiet", "Hidden", "Last", "Burning", "Forgotten", "Crooked", "Hollow", "Distant", "Restless", "Patient",
    "Broken", "Early", "Wandering", "Pale", "Second",
)  # fmt: skip
_FORMS = (
    "The {q} {t}",
    "{q} Is the {t}",
    "One {q} {t}",
    "Beyond the {q} {t}",
    "My {q} {t}",
    "The {q} {t} Mystery",
)
_SUBJECTS = {
    "history": "A History of the {q} {t}",
    "science": "Notes on the {q} {t}",
    "poetry": "The {q} {t}: Poems",
    "travel": "Walking to the {q} {t}",
    "cookery": "Recipes from the {q} {t}",
    "children": "Where Is the {q} {t}?",
    "biography": "The {q} {t}: A Life",
}


class _Books(NamedTuple):
    """n books in order of release. ``next`` [n]: the next of the series, or -1; ``released`` [n] seconds."""

    genre: np.ndarray  # [n] int, the main one
    second: np.ndarray  # [n] int, -1 without
    author: np.ndarray  # [n] int
    next: np.ndarray  # [n] int
    part: np.ndarray  # [n] int, 1 for the first of a series, 0 for a book by itself
    series: np.ndarray  # [n] int, -1 without
    released: np.ndarray  # [n] int64
    price: np.ndarray  # [n] float
    weight: np.ndarray  # [n] float, popularity


def bookshop(users: int = 2_000, books: int = 1_500, interactions: int = 60_000, seed: int = 7) -> ShopFiles:
    """Make the shop's files.

    ``interactions`` is exact and at least ``2 * users``; memory is ``users * books`` bytes. Every reader and
    every book of an interaction is in the users and items files. Raises ValueError for sizes that cannot be.
    """
    if users < 1 or books < len(GENRES) or interactions < 2 * users:
        raise ValueError(f"A bookshop needs a reader, {len(GENRES)} books and two interactions per reader.")
    rng = np.random.default_rng(seed)
    shelf = _books(books, rng)
    titles = _titles(shelf, rng)
    tastes = _tastes(users, rng)
    user, book, time = _visits(shelf, tastes, _lengths(users, interactions, rng), rng)
    bought = rng.random(len(user)) < 0.3

    item_ids = np.array([f"book-{n:0{len(str(books))}d}" for n in range(1, books + 1)])
    user_ids = np.array([f"reader-{n:0{len(str(users))}d}" for n in range(1, users + 1)])
    genres = [
        (GENRES[main],) if other < 0 else (GENRES[main], GENRES[other])
        for main, other in zip(shelf.genre.tolist(), shelf.second.tolist(), strict=True)
    ]
    ages = rng.choice(len(AGE_GROUPS), users, p=[0.08, 0.17, 0.25, 0.25, 0.15, 0.1])
    ages[tastes.argmax(axis=1) == GENRES.index("children")] = 3
    countries = rng.choice(len(COUNTRIES), users, p=[0.2, 0.15, 0.3, 0.05, 0.1, 0.2])
    texts = {
        "Interactions": csv_text(
            "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE",
            zip(
                user_ids[user].tolist(),
                item_ids[book].tolist(),
                time.tolist(),
                np.where(bought, "purchase", "click").tolist(),
                strict=True,
            ),
        ),
        "Items": csv_text(
            "ITEM_ID,TITLE,GENRE,PRICE,CREATION_TIMESTAMP",
            zip(
                item_ids.tolist(),
                titles,
                map("|".join, genres),
                [f"{price:.2f}" for price in shelf.price.tolist()],
                shelf.released.tolist(),
                strict=True,
            ),
        ),
        "Users": csv_text(
            "USER_ID,AGE_GROUP,COUNTRY",
            zip(
                user_ids.tolist(),
                [AGE_GROUPS[age] for age in ages.tolist()],
                [COUNTRIES[country] for country in countries.tolist()],
                strict=True,
            ),
        ),
    }
    ids = item_ids.tolist()
    return ShopFiles(
        "bookshop",
        texts,
        SCHEMAS,
        dict(zip(ids, titles, strict=True)),
        dict(zip(ids, genres, strict=True)),
    )


def _books(n: int, rng: np.random.Generator) -> _Books:
    """Fill the shelf: authors with a genre, series of three to six, one book in six yet to appear."""
    authors = max(len(GENRES), n // 6)
    author_genre = np.concatenate(
        [np.arange(len(GENRES)), rng.integers(0, len(GENRES), authors - len(GENRES))]
    )
    # The first books give every genre one.
    author = np.concatenate([np.arange(len(GENRES)), rng.integers(0, authors, n - len(GENRES))])
    genre = author_genre[author]
    second = np.where(rng.random(n) < 0.4, rng.integers(0, len(GENRES), n), -1)
    second[second == genre] = -1
    old = OPENED - rng.integers(30 * DAY, 3_650 * DAY, n)
    new = OPENED + rng.integers(0, DAYS_OPEN * DAY, n)
    is_new = rng.random(n) < 1 / 6
    is_new[: len(GENRES)] = False
    released = np.where(is_new, new, old)
    order = np.argsort(released, kind="stable")
    genre, second, author, released = genre[order], second[order], author[order], released[order]

    following, part, series = np.full(n, -1), np.zeros(n, int), np.full(n, -1)
    made = 0
    for writer in range(authors):
        works = np.flatnonzero(author == writer)  # in order of release, as a series is
        if len(works) >= 3 and rng.random() < 0.7:
            works = works[: int(rng.integers(3, 7))]
            following[works[:-1]] = works[1:]
            part[works] = np.arange(1, len(works) + 1)
            series[works] = made
            made += 1
    weight = np.empty(n)
    for name in range(len(GENRES)):
        here = np.flatnonzero(genre == name)
        weight[here] = 1 / (1 + rng.permutation(len(here)))
    price = np.round(rng.lognormal(2.5, 0.35, n)) + 0.99
    return _Books(genre, second, author, following, part, series, released, price, weight)


def _titles(shelf: _Books, rng: np.random.Generator) -> list[str]:
    """Return a title for each book, no two alike."""
    titles: list[str] = []
    taken: set[str] = set()
    series_names: dict[int, str] = {}
    for genre, part, series in zip(
        shelf.genre.tolist(), shelf.part.tolist(), shelf.series.tolist(), strict=True
    ):
        if series >= 0 and series not in series_names:
            series_names[series] = _distinct("{q} {t}", taken, rng)
        if series >= 0:
            titles.append(_distinct(f"{{q}} {{t}} ({series_names[series]}, {part})", taken, rng))
        else:
            form = _SUBJECTS.get(GENRES[genre]) or _FORMS[int(rng.integers(len(_FORMS)))]
            titles.append(_distinct(form, taken, rng))
    return titles


def _distinct(form: str, taken: set[str], rng: np.random.Generator) -> str:
    """Fill a form with words so that it is not taken; editions are numbered when the words run out."""
    first = rng.integers(len(_QUALITIES) * len(_THINGS))
    for edition in range(1, 1_000_000):
        for step in range(len(_QUALITIES) * len(_THINGS)):
            quality, thing = divmod((first + step * 7) % (len(_QUALITIES) * len(_THINGS)), len(_THINGS))
            title = form.format(q=_QUALITIES[quality], t=_THINGS[thing])
            if edition > 1:
                title += f", edition {edition}"
            if title not in taken:
                taken.add(title)
                return title
    raise ValueError("There are no titles left.")


def _tastes(users: int, rng: np.random.Generator) -> np.ndarray:
    """Return [users, genres] shares that sum to 1: a few genres each."""
    share = rng.dirichlet(np.full(len(GENRES), 0.18), users) + 1e-3
    return share / share.sum(axis=1, keepdims=True)


def _lengths(users: int, interactions: int, rng: np.random.Generator) -> np.ndarray:
    """Return [users] numbers of interactions, at least 2, long-tailed, that sum to ``interactions``."""
    share = rng.lognormal(0, 0.9, users)
    spare = interactions - 2 * users
    extra = np.floor(share / share.sum() * spare).astype(int)
    rest = spare - extra.sum()
    extra[rng.choice(users, rest, replace=False)] += 1
    return extra + 2


class _Shelves:
    """Draws books of a genre: by popularity, or from the newest arrivals."""

    def __init__(self, shelf: _Books) -> None:
        self._by_genre = np.argsort(shelf.genre, kind="stable")  # within a genre in order of release
        self._released = shelf.released
        self._genre = shelf.genre[self._by_genre]
        self._start = np.searchsorted(self._genre, np.arange(len(GENRES) + 1))
        self._sums = np.cumsum(shelf.weight[self._by_genre])
        self._key = self._genre * (1 << 40) + shelf.released[self._by_genre]

    def popular(self, genre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a book of each genre, by Zipf's law."""
        sums = np.concatenate([[0.0], self._sums])
        low, high = sums[self._start[genre]], sums[self._start[genre + 1]]
        place = np.searchsorted(self._sums, low + rng.random(len(genre)) * (high - low), side="right")
        return self._by_genre[np.clip(place, self._start[genre], self._start[genre + 1] - 1)]

    def newest(self, genre: np.ndarray, now: np.ndarray, back: np.ndarray) -> np.ndarray:
        """Return the ``back``-th newest book of each genre at a time; the oldest where there are fewer."""
        place = np.searchsorted(self._key, genre * (1 << 40) + now, side="right") - 1 - back
        return self._by_genre[np.maximum(place, self._start[genre])]


def _visits(
    shelf: _Books, tastes: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk all readers through the shop, one interaction of each at a time.

    Returns user, book and time [interactions], in order of time.
    """
    users = len(lengths)
    longest_first = np.argsort(-lengths, kind="stable")
    lengths, tastes = lengths[longest_first], tastes[longest_first].cumsum(axis=1)
    shelves = _Shelves(shelf)
    authors = _authors(shelf)
    seen = np.zeros((users, len(shelf.genre)), bool)
    joined = rng.integers(0, DAYS_OPEN * DAY // 2, users)
    pause = (DAYS_OPEN * DAY - joined) / (1 + lengths * _VISIT_ENDS)  # between visits, on average
    now = OPENED + joined.astype(np.int64)
    genre, book = np.zeros(users, int), np.full(users, -1)
    entering = np.ones(users, bool)
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for step in range(int(lengths[0])):
        n = int(np.searchsorted(-lengths, -step, side="left"))  # the readers with more to come
        entering[:n] |= rng.random(n) < _VISIT_ENDS
        waited = np.where(entering[:n], rng.exponential(0.7, n) * pause[:n], rng.exponential(90, n))
        left = OPENED + (DAYS_OPEN + 30) * DAY - now[:n]
        now[:n] += 5 + np.minimum(waited, left / 8).astype(np.int64)  # busier rather than past the last day
        _drift(tastes, n, rng)
        drawn = (rng.random(n)[:, None] > tastes[:n]).sum(axis=1).clip(0, len(GENRES) - 1)
        genre[:n] = np.where(entering[:n], drawn, genre[:n])
        book[:n] = _choose(shelves, authors, shelf, book[:n], genre[:n], now[:n], seen[:n], rng)
        seen[np.arange(n), book[:n]] = True
        entering[:n] = False
        steps.append((longest_first[:n], book[:n].copy(), now[:n].copy()))
    user, chosen, time = (np.concatenate(column) for column in zip(*steps, strict=True))
    order = np.lexsort((np.arange(len(time)), user, time))
    return user[order], chosen[order], time[order]


def _drift(tastes: np.ndarray, n: int, rng: np.random.Generator) -> None:
    """Now and then, turn a reader's (cumulative) tastes towards one genre."""
    turning = np.flatnonzero(rng.random(n) < _TASTE_DRIFTS * _VISIT_ENDS)
    towards = rng.integers(0, len(GENRES), len(turning))
    step = (np.arange(len(GENRES))[None, :] >= towards[:, None]).astype(float)
    tastes[turning] = 0.5 * tastes[turning] + 0.5 * step


def _authors(shelf: _Books) -> tuple[np.ndarray, np.ndarray]:
    """Return the books by author [n], and where each author's begin [authors + 1]."""
    order = np.argsort(shelf.author, kind="stable")
    return order, np.searchsorted(shelf.author[order], np.arange(shelf.author.max() + 2))


def _choose(
    shelves: _Shelves,
    authors: tuple[np.ndarray, np.ndarray],
    shelf: _Books,
    last: np.ndarray,
    genre: np.ndarray,
    now: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return each reader's next book: one that is out and, where six draws find it, not seen yet."""
    n = len(last)
    stays = (last >= 0) & (shelf.genre[last] == genre)
    how = rng.random(n)
    book = shelves.popular(genre, rng)
    newest = how > 1 - _NEW_ARRIVAL
    book[newest] = shelves.newest(genre[newest], now[newest], rng.integers(0, 4, int(newest.sum())))
    by_author, start = authors
    writer = shelf.author[last]
    some = by_author[start[writer] + (rng.random(n) * (start[writer + 1] - start[writer])).astype(int)]
    book = np.where(stays & (how < _NEXT_IN_SERIES + _SAME_AUTHOR), some, book)
    book = np.where(stays & (how < _NEXT_IN_SERIES) & (shelf.next[last] >= 0), shelf.next[last], book)
    for _ in range(6):
        again = np.flatnonzero(seen[np.arange(n), book] | (shelf.released[book] > now))
        if not len(again):
            return book
        book[again] = shelves.popular(genre[again], rng)
    early = np.flatnonzero(shelf.released[book] > now)
    book[early] = shelves.newest(genre[early], now[early], rng.integers(0, 4, len(early)))
    return book
