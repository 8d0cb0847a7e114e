"""``nextpick demo``: from data files to recommendations that follow a reader's clicks, on a temporary home."""

import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from nextpick.testing.bookshop import bookshop
from nextpick.testing.movielens import find_ml100k, movielens
from nextpick.testing.server import ServerFailed, ServerProcess, without_aws_variables
from nextpick.testing.shopfiles import DATASET_TYPES, ShopFiles

_BUCKET = "demo"
_ROLE = "arn:aws:iam::000000000000:role/demo"
_RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"
_SHOWN = 10
_CLICKS = 6
_POLL_S = 0.05
_METRICS = (
    "coverage",
    "mean_reciprocal_rank_at_25",
    "normalized_discounted_cumulative_gain_at_10",
    "precision_at_10",
)
_COLUMNS = (("before", "", 32), ("", "dim", 18), ("after", "", 32), ("", "dim", 18), ("", "green", 3))


class DemoFailed(Exception):
    """A step did not end as it should; the text says which and how."""


def demo(stay: bool) -> int:
    """Run the demo and return the exit status; ``stay`` leaves the server running."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    home = Path(tempfile.mkdtemp(prefix="nextpick-demo-"))
    server = ServerProcess(home)
    kept, user = False, ""
    with _signals_as_exceptions(), without_aws_variables():
        try:
            user = _Demo(server, console).run()
            kept = stay
        except (DemoFailed, ServerFailed, ClientError, BotoCoreError, OSError, ValueError) as error:
            console.print("\n[red]The demo failed:[/red]", escape(str(error)), soft_wrap=True)
            if server.is_running:
                console.print(
                    f"\nThe end of the server's log:\n{server.log_tail()}", markup=False, soft_wrap=True
                )
            return 1
        except KeyboardInterrupt:
            console.print("\nStopped.")
            return 130
        finally:
            if not kept:
                if server.is_running:
                    server.stop()
                shutil.rmtree(home, ignore_errors=True)
    if kept:
        _say_how_to_go_on(server, user, console)
    return 0


class _Demo:
    """One run on a server that is not started yet."""

    def __init__(self, server: ServerProcess, console: Console) -> None:
        self._server, self._console = server, console

    def run(self) -> str:
        """Go through all steps and return the user they asked for. Raises DemoFailed or what boto3 raises."""
        began = time.monotonic()
        with self._step("Start nextpick serve"):
            self._server.start()
        self._personalize = self._server.client("personalize")
        self._runtime = self._server.client("personalize-runtime")
        self._events = self._server.client("personalize-events")
        self._own = self._server.client("nextpick")
        with self._step("Write the data files"):
            shop = self._shop()
            shop.write(self._server.home / "buckets" / _BUCKET)
        self._console.print(f"         {_described(shop)}")
        with self._step("Create schemas, dataset group, datasets, event tracker"):
            group, datasets, tracking_id = self._create(shop)
        self._import(datasets)
        version = self._train(group)
        with self._step("GetSolutionMetrics"):
            metrics = self._personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
        self._console.print(
            "".join(f"         {name}  {metrics[name]:.4f}\n" for name in _METRICS if name in metrics), end=""
        )
        campaign = self._deploy(version)
        user = self._show_live(campaign, tracking_id, shop)
        total = time.monotonic() - began
        self._console.print(
            f"\n{total:7.2f} s  in all, from an empty directory to answers that follow clicks"
        )
        return user

    def _shop(self) -> ShopFiles:
        folder = find_ml100k()
        return movielens(folder) if folder else bookshop()

    def _create(self, shop: ShopFiles) -> tuple[str, dict[str, str], str]:
        group = self._personalize.create_dataset_group(name=shop.name)["datasetGroupArn"]
        datasets = {}
        for kind in DATASET_TYPES:
            name = f"{shop.name}-{kind.lower()}"
            schema = self._personalize.create_schema(name=name, schema=shop.schemas[kind])["schemaArn"]
            datasets[kind] = self._personalize.create_dataset(
                name=name, schemaArn=schema, datasetGroupArn=group, datasetType=kind
            )["datasetArn"]
        tracker = self._personalize.create_event_tracker(name=shop.name, datasetGroupArn=group)
        return group, datasets, tracker["trackingId"]

    def _import(self, datasets: dict[str, str]) -> None:
        for kind, dataset in datasets.items():
            with self._step(f"Import {kind.lower()}") as show:
                arn = self._personalize.create_dataset_import_job(
                    jobName=f"demo-{kind.lower()}",
                    datasetArn=dataset,
                    dataSource={"dataLocation": f"s3://{_BUCKET}/{kind.lower()}.csv"},
                    roleArn=_ROLE,
                )["datasetImportJobArn"]
                self._follow(arn, show)
                job = self._personalize.describe_dataset_import_job(datasetImportJobArn=arn)
                _check_active(f"The import of {kind}", job["datasetImportJob"])

    def _train(self, group: str) -> str:
        with self._step("Train a solution version (aws-user-personalization)") as show:
            solution = self._personalize.create_solution(
                name="demo", datasetGroupArn=group, recipeArn=_RECIPE, performAutoTraining=False
            )["solutionArn"]
            arn = self._personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
            self._follow(arn, show)
            version = self._personalize.describe_solution_version(solutionVersionArn=arn)["solutionVersion"]
            _check_active("The training", version)
        return arn

    def _deploy(self, version: str) -> str:
        with self._step("Create a campaign") as show:
            # Without exploration, so that the clicks below are all that changes the answer.
            config = {"itemExplorationConfig": {"explorationWeight": "0"}}
            arn = self._personalize.create_campaign(
                name="demo", solutionVersionArn=version, minProvisionedTPS=1, campaignConfig=config
            )["campaignArn"]
            self._follow(arn, show)
            _check_active("The campaign", self._personalize.describe_campaign(campaignArn=arn)["campaign"])
        return arn

    def _show_live(self, campaign: str, tracking_id: str, shop: ShopFiles) -> str:
        """Recommend to a user, click on items of another genre, and recommend again; return the user."""
        user, history = _reader(shop)
        with self._step(f"GetRecommendations for user {user}"):
            before = self._recommend(campaign, user)
        genre, clicked = _unlike(shop, before, history)
        with self._step(f"PutEvents: {len(clicked)} clicks on {genre}"):
            now = int(time.time())
            self._events.put_events(
                trackingId=tracking_id,
                userId=user,
                sessionId="demo",
                eventList=[
                    {"eventType": "click", "itemId": item, "sentAt": now - len(clicked) + place}
                    for place, item in enumerate(clicked)
                ],
            )
        with self._step(f"GetRecommendations for user {user} again"):
            after = self._recommend(campaign, user)
        table = Table(title=f"\nUser {user}, before and after the clicks on {genre}", title_justify="left")
        for heading, style, width in _COLUMNS:
            table.add_column(heading, style=style, overflow="ellipsis", no_wrap=True, max_width=width)
        for old, new in zip(before, after, strict=True):
            table.add_row(*_shown(shop, old), *_shown(shop, new), "" if new in before else "new")
        self._console.print(table)
        if before == after:
            raise DemoFailed("The recommendations did not change after the clicks.")
        return user

    def _recommend(self, campaign: str, user: str) -> list[str]:
        answer = self._runtime.get_recommendations(campaignArn=campaign, userId=user, numResults=_SHOWN)
        return [item["itemId"] for item in answer["itemList"]]

    def _follow(self, arn: str, show: Callable[[float, str], None]) -> None:
        """Show the progress of the job that works for a resource until it ends."""
        while True:
            job = self._own.describe_job(resourceArn=arn)["job"]
            show(job.get("progress", 0.0), job.get("stage", ""))
            if job["state"] not in ("QUEUED", "RUNNING", "STOPPING"):
                return
            time.sleep(_POLL_S)

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[float, str], None]]:
        """Show a step while it runs, and its seconds when it ended well."""
        columns = (
            TextColumn("         {task.description}"),
            BarColumn(30),
            TextColumn("{task.fields[stage]}"),
        )
        began = time.monotonic()
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as bars:
            bar = bars.add_task(name, total=1.0, stage="")
            yield lambda done, stage: bars.update(bar, completed=done, stage=stage)
        self._console.print(f"{time.monotonic() - began:7.2f} s  {name}", markup=False)


def _check_active(what: str, resource: dict[str, Any]) -> None:
    if resource["status"] != "ACTIVE":
        raise DemoFailed(
            f"{what} is {resource['status']}: {resource.get('failureReason', 'no reason given')}"
        )


def _described(shop: ShopFiles) -> str:
    rows = {kind: shop.csv[kind].count("\n") - 1 for kind in DATASET_TYPES}
    return f"{shop.name}: " + ", ".join(f"{count:,} {kind.lower()}" for kind, count in rows.items())


def _reader(shop: ShopFiles) -> tuple[str, set[str]]:
    """Return a user of typical history length, and the items of that history."""
    histories: dict[str, set[str]] = {}
    for line in shop.csv["Interactions"].splitlines()[1:]:
        user, item = line.split(",")[:2]
        histories.setdefault(user, set()).add(item)
    by_length = sorted(histories, key=lambda user: (len(histories[user]), user))
    user = by_length[len(by_length) // 2]
    return user, histories[user]


def _unlike(shop: ShopFiles, recommended: list[str], history: set[str]) -> tuple[str, list[str]]:
    """Return the genre least like a user's history and recommendations, and its most popular items."""
    liked = Counter(genre for item in [*history, *recommended] for genre in shop.genres[item])
    visits = Counter(line.split(",", 2)[1] for line in shop.csv["Interactions"].splitlines()[1:])
    by_genre: dict[str, list[str]] = {}
    for item, _ in visits.most_common():
        if item not in history and item not in recommended:
            for genre in shop.genres[item]:
                by_genre.setdefault(genre, []).append(item)
    enough = [genre for genre, items in by_genre.items() if len(items) >= len(visits) / 20] or list(by_genre)
    genre = min(enough, key=lambda genre: (liked[genre], genre))
    return genre, by_genre[genre][:_CLICKS]


def _shown(shop: ShopFiles, item: str) -> tuple[str, str]:
    return escape(shop.titles[item]), escape(", ".join(shop.genres[item]))


def _say_how_to_go_on(server: ServerProcess, user: str, console: Console) -> None:
    lines = (
        f"\nThe server goes on at {server.url} with its home in {server.home}",
        f'  curl "{server.url}/gateway/demo/dev/recommend?user_id={user}"',
        f'  eval "$(nextpick env --home {server.home})"   # boto3 and the AWS CLI then reach it',
        f"  kill {server.pid} && rm -r {server.home}   # stops it and removes the data",
    )
    console.print("\n".join(lines), markup=False, soft_wrap=True)


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Turn the signals that would end this process into KeyboardInterrupt, so that the server is stopped too."""

    def interrupt(signum: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    old = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
