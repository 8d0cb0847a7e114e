"""MovieLens 100K in the files that GroupLens publishes, as the CSVs that Personalize imports.

Source: https://grouplens.org/datasets/movielens/100k/. Every rating is kept as an interaction of EVENT_TYPE
"watch"; the rating itself becomes EVENT_VALUE.
"""

import calendar
import os
from pathlib import Path

from nextpick.testing.shopfiles import ShopFiles, categorical, csv_text, plain, schema

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

SCHEMAS = {
    "Interactions": schema(
        "Interactions",
        plain("USER_ID", "string"),
        plain("ITEM_ID", "string"),
        plain("TIMESTAMP", "long"),
        plain("EVENT_TYPE", "string"),
        plain("EVENT_VALUE", "float"),
    ),
    "Items": schema(
        "Items",
        plain("ITEM_ID", "string"),
        plain("TITLE", "string"),
        categorical("GENRE"),
        plain("CREATION_TIMESTAMP", "long"),
    ),
    "Users": schema(
        "Users",
        plain("USER_ID", "string"),
        plain("AGE", "int"),
        categorical("GENDER"),
        categorical("OCCUPATION"),
    ),
}
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_EPOCH_YEAR = 1970


def find_ml100k() -> Path | None:
    """Return the folder of MovieLens 100K, or None.

    It is ``MOVIELENS`` when that is set, else ``ml-100k`` in ``NEXTPICK_DATA`` (default ``../shared/data``).
    Raises FileNotFoundError when ``MOVIELENS`` names a folder without u.data.
    """
    named = os.environ.get("MOVIELENS")
    if named:
        folder = Path(named).expanduser()
        if not (folder / "u.data").is_file():
            raise FileNotFoundError(f"MOVIELENS={named} has no u.data in it.")
        return folder
    folder = Path(os.environ.get("NEXTPICK_DATA") or "../shared/data").expanduser() / "ml-100k"
    return folder if (folder / "u.data").is_file() else None


def movielens(folder: Path) -> ShopFiles:
    """Read u.data, u.item and u.user. Raises OSError when one is missing, ValueError when one is damaged."""
    interactions = []
    for line in (folder / "u.data").read_text().splitlines():
        user, item, rating, time = line.split("\t")
        interactions.append((user, item, int(time), "watch", float(rating)))
    items, titles, genres = [], {}, {}
    for line in (folder / "u.item").read_text(encoding="latin-1").split("\n"):
        if not line:
            continue
        cells = line.split("|")
        item, title, released = cells[:3]
        names = tuple(name for name, flag in zip(GENRES, cells[5:], strict=True) if flag == "1")
        titles[item], genres[item] = title, names
        items.append((item, title, "|".join(names), _seconds(released)))
    users = []
    for line in (folder / "u.user").read_text().splitlines():
        user, age, gender, occupation, _zip = line.split("|")
        users.append((user, age, gender, occupation))
    texts = {
        "Interactions": csv_text("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE", interactions),
        "Items": csv_text("ITEM_ID,TITLE,GENRE,CREATION_TIMESTAMP", items),
        "Users": csv_text("USER_ID,AGE,GENDER,OCCUPATION", users),
    }
    return ShopFiles("movielens", texts, SCHEMAS, titles, genres)


def _seconds(released: str) -> int:
    """Return "01-Jan-1995" as seconds; what lies before 1970, or is not known, as 0."""
    if not released:
        return 0
    day, month, year = released.split("-")
    if int(year) < _EPOCH_YEAR:
        return 0
    return calendar.timegm((int(year), _MONTHS[month], int(day), 0, 0, 0))
