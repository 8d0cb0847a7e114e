"""Filters over a million items: what a filter adds to a request, beside its floor.

``python bench/filters.py [--items N] [--seconds S] [--rounds N]``. The filter has two clauses on metadata and one on
the user's history; the floor is to copy one mask and to read as many scores by it. Made data, one worker.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from serve import ROLE, Server, measure, only, until

FILTER = (
    'INCLUDE ItemID WHERE Items.GENRE IN ("g1", "g2", "g3") AND Items.PRICE < 50 '
    '| EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")'
)
_ROWS = 2_000_000
SCHEMAS = {
    "Interactions": {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long", "EVENT_TYPE": "string"},
    "Items": {"ITEM_ID": "string", "GENRE": "categorical", "PRICE": "float"},
}


def write(home: Path, n_items: int, n_users: int) -> None:
    """Write as many items, and 2 M interactions of as many users."""
    bucket = home / "buckets" / "bench"
    bucket.mkdir(parents=True)
    rng = np.random.default_rng(1)
    genre, price = rng.integers(0, 20, n_items), rng.uniform(0, 100, n_items)
    with (bucket / "Items.csv").open("w") as file:
        file.write("ITEM_ID,GENRE,PRICE\n")
        file.writelines(f"i{i},g{genre[i]},{price[i]:.2f}\n" for i in range(n_items))
    user = rng.integers(0, n_users, _ROWS)
    item = (n_items * rng.uniform(0, 1, _ROWS) ** 3).astype(int)
    with (bucket / "Interactions.csv").open("w") as file:
        file.write("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n")
        file.writelines(
            f"u{user[i]},i{item[i]},{1_700_000_000 + i},{'purchase' if i % 10 == 0 else 'view'}\n"
            for i in range(_ROWS)
        )


def dataset(personalize: Any, group: str, kind: str) -> None:
    """Create and import a dataset."""
    fields = [
        {"name": name, "type": "string", "categorical": True}
        if type_ == "categorical"
        else {"name": name, "type": type_}
        for name, type_ in SCHEMAS[kind].items()
    ]
    schema = json.dumps({"type": "record", "name": kind, "fields": fields, "version": "1.0"})
    made = personalize.create_schema(name=kind, schema=schema)["schemaArn"]
    arn = personalize.create_dataset(name=kind, schemaArn=made, datasetGroupArn=group, datasetType=kind)
    source = {"dataLocation": f"s3://bench/{kind}.csv"}
    job = personalize.create_dataset_import_job(
        jobName=kind, dataSource=source, roleArn=ROLE, **only(arn, "datasetArn")
    )
    timed(
        f"import of {kind}",
        lambda: personalize.describe_dataset_import_job(**only(job, "datasetImportJobArn")),
        "datasetImportJob",
    )


def timed(what: str, describe: Any, member: str) -> None:
    """Describe until ACTIVE and print how long it took."""
    started = time.perf_counter()
    until(describe, member)
    print(f"{what}: {time.perf_counter() - started:.1f} s")


def campaign(personalize: Any, group: str) -> str:
    """Train and deploy the default recipe."""
    recipe = "arn:aws:personalize:::recipe/aws-user-personalization"
    solution = personalize.create_solution(
        name="bench", datasetGroupArn=group, recipeArn=recipe, performAutoTraining=False
    )
    version = personalize.create_solution_version(**only(solution, "solutionArn"))
    timed(
        "training",
        lambda: personalize.describe_solution_version(**only(version, "solutionVersionArn")),
        "solutionVersion",
    )
    made = personalize.create_campaign(name="bench", **only(version, "solutionVersionArn"))
    until(lambda: personalize.describe_campaign(**only(made, "campaignArn")), "campaign")
    return made["campaignArn"]


def floor_us(n_items: int) -> float:
    """Return the microseconds of copying a mask and multiplying as many scores by it, in place."""
    scores, allowed = np.random.rand(n_items).astype(np.float32), np.random.rand(n_items) > 0.9
    out = scores.copy()
    times = []
    for _ in range(50):
        started = time.perf_counter()
        np.multiply(scores, allowed.copy(), out=out)
        times.append(time.perf_counter() - started)
    return median(times) * 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "home")
        write(server.home, options.items, 20_000)
        server.start()
        try:
            personalize = server.client("personalize")
            group = personalize.create_dataset_group(name="bench")["datasetGroupArn"]
            for kind in SCHEMAS:
                dataset(personalize, group, kind)
            arn = campaign(personalize, group)
            made = personalize.create_filter(name="f", datasetGroupArn=group, filterExpression=FILTER)
            timed("filter", lambda: personalize.describe_filter(**only(made, "filterArn")), "filter")
            users = [f"u{u}" for u in range(2000)]
            plain = [server.signed("/recommendations", {"campaignArn": arn, "userId": u}) for u in users]
            filtered = [
                server.signed(
                    "/recommendations", {"campaignArn": arn, "userId": u, **only(made, "filterArn")}
                )
                for u in users
            ]
            measure(server.worker(), server.port, filtered, 1, 1.0)
            rounds = [
                [
                    measure(server.worker(), server.port, requests, 1, options.seconds)["cpu_us"]
                    for requests in (plain, filtered)
                ]
                for _ in range(options.rounds)
            ]
            without, with_filter = (median(column) for column in zip(*rounds, strict=True))
            added, floor = with_filter - without, floor_us(options.items)
            print(
                f"{options.items} items: {without:.0f} us CPU a request, {with_filter:.0f} with the filter: it adds "
                f"{added:.0f}; the floor {floor:.0f}, ratio {added / floor:.2f}"
            )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
