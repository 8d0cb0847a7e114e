"""Notifications: what changes is told to webhooks, by mail and to commands, at least once."""

import hashlib
import hmac
import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from hooks import Post
from nextpick.automation import Context
from nextpick.cli.main import app
from nextpick.notify import subscriptions
from nextpick.notify.channels import rendered
from nextpick.notify.service import PAUSES_S, Notifications
from nextpick.notify.subscriptions import Subscription
from nextpick.settings import Settings
from nextpick.store.records import Records
from worlds import Shop, checkerboard, open_api


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.close()


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    api = open_api(tmp_path_factory.mktemp("topics") / "home")
    yield api.library.client("sns")
    api.library.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    api = open_api(tmp_path / "home")
    yield Shop(api)
    api.library.close()


class Desk:
    """A service whose work is done when it is told to, on the records of an engine."""

    def __init__(self, shop: Shop, **settings: Any) -> None:
        self.home, self.clock = shop.api.library.home, Clock()
        self.records = Records(self.home / "nextpick.db")
        nothing: Any = None
        self.settings = Settings.load(home=self.home, **settings)
        self.service = Notifications(Context(self.settings, self.clock, self.records, nothing))

    def subscribe(self, name: str, **told: Any) -> None:
        with self.records.write() as tx:
            subscriptions.put(tx, Subscription(name, **told))

    def work(self, later: float = 0.0) -> None:
        self.clock.seconds += later
        self.service.work()

    def failed(self) -> list[dict[str, Any]]:
        with self.records.read() as tx:
            return subscriptions.failed(tx)


@pytest.fixture
def desk(shop: Shop) -> Iterator[Desk]:
    made = Desk(shop)
    yield made
    made.records.close()


def test_a_webhook_is_told_what_becomes_of_an_import_and_a_campaign(
    shop: Shop, desk: Desk, post: Post
) -> None:
    desk.subscribe("hook", webhook=post.url, secret="s3cret")
    job = shop.imported(shop.start_import("good", checkerboard()))["datasetImportJobArn"]
    shop.imported(shop.start_import("bad", "USER_ID,TIMESTAMP\nu,1\n"))
    version = shop.trained(shop.train(shop.solution("s", "aws-popularity-count")))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    desk.work()
    told = {(body["detail"]["Arn"], body["detail"]["Status"]): body for body in post.bodies}
    assert told[job, "ACTIVE"]["detail-type"] == "Personalize Dataset Import Job State Change"
    assert (campaign, "ACTIVE") in told
    bad = told[job.replace("good", "bad"), "CREATE FAILED"]
    assert "missing the following columns:[ITEM_ID]" in bad["detail"]["FailureReason"]
    assert (job, "CREATE IN_PROGRESS") not in told
    headers, body = post.got[0]
    seconds, given = (part.partition("=")[2] for part in headers["X-Nextpick-Signature"].split(","))
    wanted = hmac.new(b"s3cret", f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert given == wanted


def test_only_what_a_subscription_wants_is_told(shop: Shop, desk: Desk, post: Post) -> None:
    desk.subscribe("groups", webhook=post.url, events=["dataset group:*"])
    other = shop.api.personalize.create_dataset_group(name="other")["datasetGroupArn"]
    shop.api.personalize.create_schema(name="another", schema=_schema())
    shop.api.personalize.delete_dataset_group(datasetGroupArn=other)
    desk.work()
    assert [(b["detail"]["Name"], b["detail"]["Status"]) for b in post.bodies] == [
        ("other", "ACTIVE"), ("other", "DELETE PENDING"),
    ]  # fmt: skip


def test_an_update_of_a_campaign_is_told_as_one(shop: Shop, desk: Desk, post: Post) -> None:
    shop.imported(shop.start_import("all", checkerboard()))
    version = shop.trained(shop.train(shop.solution("s", "aws-popularity-count")))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    desk.subscribe("hook", webhook=post.url, events=["Campaign:*"])
    shop.api.personalize.update_campaign(campaignArn=campaign, minProvisionedTPS=2)
    shop.api.settle(lambda: shop.api.personalize.describe_campaign(campaignArn=campaign))
    desk.work()
    assert post.bodies[-1]["detail"]["Status"] == "UPDATE ACTIVE"


def test_what_is_not_taken_is_told_again_later_with_the_same_id(shop: Shop, desk: Desk, post: Post) -> None:
    desk.subscribe("hook", webhook=post.url, events=["*:ACTIVE"])
    post.status = 503
    shop.api.personalize.create_dataset_group(name="other")
    desk.work()
    desk.work()
    assert len(post.got) == 1, "not at once"
    post.status = 200
    desk.work(later=PAUSES_S[0] + 0.1)
    desk.work(later=10_000)
    assert len(post.got) == 2
    assert len({headers["X-Nextpick-Id"] for headers, _ in post.got}) == 1


def test_after_the_last_attempt_it_is_kept_among_the_failed(shop: Shop, desk: Desk, post: Post) -> None:
    desk.subscribe("hook", webhook=post.url, events=["*:ACTIVE"])
    post.status = 500
    shop.api.personalize.create_dataset_group(name="other")
    for pause in (0.0, *PAUSES_S):
        desk.work(later=pause + 0.1)
    desk.work(later=100_000)
    assert len(post.got) == 1 + len(PAUSES_S)
    (failed,) = desk.failed()
    assert failed["reason"] == f"{post.url} answered 500"
    assert failed["event"]["name"] == "other"


def test_a_delivery_that_a_kill_cut_off_is_made_by_the_next_process(
    shop: Shop, desk: Desk, post: Post
) -> None:
    desk.subscribe("hook", webhook=post.url, events=["*:ACTIVE"])
    shop.api.personalize.create_dataset_group(name="other")
    with desk.records.write() as tx:  # what the process had done when it was killed
        subscriptions.spread(tx, desk.clock.now())
    Desk(shop).work()
    assert [body["detail"]["Name"] for body in post.bodies] == ["other"]


def test_a_command_gets_json_and_its_failure_is_told(shop: Shop, desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "told.json"
    write = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"
    desk.subscribe("good", command=[sys.executable, "-c", write], events=["*:ACTIVE"])
    desk.subscribe(
        "bad", command=[sys.executable, "-c", "import sys; sys.exit('no way')"], events=["*:ACTIVE"]
    )
    shop.api.personalize.create_dataset_group(name="other")
    for pause in (0.0, *PAUSES_S):
        desk.work(later=pause + 0.1)
    assert json.loads(out.read_text())["detail"]["Name"] == "other"
    assert [(f["subscription"], f["reason"]) for f in desk.failed()] == [
        ("bad", "the command ended with 1: no way")
    ]


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """A server that speaks as much SMTP as a client needs, and what was sent to it."""
    got: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper().strip()
                if word == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    lines = []
                    while (line := self.rfile.readline()) != b".\r\n":
                        lines.append(line.decode())
                    got.append("".join(lines))
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    break

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], got
        server.shutdown()


def test_a_mail_is_written_by_its_templates(shop: Shop) -> None:
    with mail_server() as (port, got):
        desk = Desk(shop, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="shop@example.org")
        desk.subscribe(
            "mail",
            email=["a@example.org"],
            events=["*:ACTIVE"],
            subject="$name: $status",
            body="$kind $arn\n",
        )
        arn = shop.api.personalize.create_dataset_group(name="other")["datasetGroupArn"]
        desk.work()
        desk.records.close()
    (mail,) = got
    assert "Subject: other: ACTIVE" in mail
    assert "From: shop@example.org" in mail
    assert f"Dataset Group {arn}" in mail


def test_what_is_published_to_a_topic_reaches_those_who_subscribed(shop: Shop, post: Post) -> None:
    sns = shop.api.library.client("sns")
    movies = sns.create_topic(Name="movies", Tags=[{"Key": "team", "Value": "films"}])["TopicArn"]
    assert (
        movies == "arn:aws:sns:us-east-1:000000000000:movies" == sns.create_topic(Name="movies")["TopicArn"]
    )
    other = sns.create_topic(Name="other")["TopicArn"]
    made = sns.subscribe(TopicArn=movies, Protocol="email", Endpoint="a@example.org")["SubscriptionArn"]
    with mail_server() as (port, got):
        desk = Desk(shop, smtp_url=f"smtp://127.0.0.1:{port}")
        desk.subscribe("hook", webhook=post.url, events=["Topic *:*"])
        sns.publish(TopicArn=other, Message="not for mail")
        attributes = {"kind": {"DataType": "String", "StringValue": "batch"}}
        sns.publish(TopicArn=movies, Message="All is done.", Subject="Batch", MessageAttributes=attributes)
        texts = json.dumps({"default": "short", "email": "a longer text"})
        sns.publish(TopicArn=movies, Message=texts, MessageStructure="json")
        desk.work()
        desk.records.close()
    assert [("Subject: Batch" in mail, "All is done." in mail, "a longer text" in mail) for mail in got] == [
        (True, True, False),
        (False, False, True),
    ]
    assert [told["detail"]["TopicArn"] for told in post.bodies] == [other, movies, movies]
    assert post.bodies[1]["detail"] == {"TopicArn": movies, "Subject": "Batch", "Message": "All is done."}
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=movies)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == (made, "a@example.org")
    sns.unsubscribe(SubscriptionArn=made)
    assert sns.list_subscriptions()["Subscriptions"] == []
    sns.delete_topic(TopicArn=movies)
    assert sns.list_topics()["Topics"] == [{"TopicArn": other}]


@pytest.mark.parametrize(
    ("code", "operation", "members"),
    [
        ("NotFound", "publish", {"TopicArn": "arn:aws:sns:us-east-1:000000000000:none", "Message": "x"}),
        ("InvalidParameter", "publish", {"PhoneNumber": "+100", "Message": "x"}),
        ("InvalidParameter", "publish", {"TopicArn": "a", "Message": "{}", "MessageStructure": "json"}),
        ("InvalidParameter", "create_topic", {"Name": "a b"}),
        ("InvalidParameter", "subscribe", {"TopicArn": "a", "Protocol": "https", "Endpoint": "https://a.b"}),
        ("NotFound", "unsubscribe", {"SubscriptionArn": "arn:aws:sns:us-east-1:000000000000:movies:x"}),
    ],
)
def test_what_topics_cannot_do_is_refused(
    topics: Any, code: str, operation: str, members: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as error:
        getattr(topics, operation)(**members)
    assert error.value.response["Error"]["Code"] == code


def test_events_that_programs_put_are_told_as_they_are(shop: Shop, desk: Desk, post: Post) -> None:
    desk.subscribe("hook", webhook=post.url, events=["Event Filter*:*"])
    good = {
        "Source": "shop",
        "DetailType": "FilterCreated",
        "Detail": '{"name": "f"}',
        "Resources": ["arn:f"],
    }
    bad = [{**good, "Detail": "[]"}, {**good, "Detail": "{"}, {"Source": "shop", "Detail": "{}"}]
    told = shop.api.library.client("events").put_events(Entries=[good, *bad, {**good, "DetailType": "Other"}])
    codes = [entry.get("ErrorCode") for entry in told["Entries"]]
    assert (told["FailedEntryCount"], codes) == (
        3,
        [None, "MalformedDetail", "MalformedDetail", "InvalidArgument", None],
    )
    desk.work()
    (event,) = post.bodies
    assert event.pop("time")
    assert event == {
        "id": told["Entries"][0]["EventId"],
        "source": "shop",
        "detail-type": "FilterCreated",
        "resources": ["arn:f"],
        "detail": {"name": "f"},
    }


def test_a_mail_without_a_server_says_what_is_missing(shop: Shop, desk: Desk) -> None:
    desk.subscribe("mail", email=["a@example.org"], events=["*:ACTIVE"])
    shop.api.personalize.create_dataset_group(name="other")
    for pause in (0.0, *PAUSES_S):
        desk.work(later=pause + 0.1)
    assert desk.failed()[0]["reason"] == "NEXTPICK_SMTP_URL names no mail server"


def test_nothing_is_kept_while_nobody_listens(shop: Shop, desk: Desk, post: Post) -> None:
    shop.api.personalize.create_dataset_group(name="before")
    desk.subscribe("hook", webhook=post.url)
    with desk.records.write() as tx:
        assert subscriptions.remove(tx, "hook")
    shop.api.personalize.create_dataset_group(name="between")
    desk.subscribe("hook", webhook=post.url)
    desk.work()
    assert post.got == []


def test_templates_leave_alone_what_they_do_not_know() -> None:
    event = {"arn": "a", "kind": "Campaign", "status": "ACTIVE", "time": 0.0}
    assert (
        rendered("$kind $nothing ${status} $$ $time", event)
        == "Campaign $nothing ACTIVE $ 1970-01-01T00:00:00Z"
    )


def test_the_command_line_adds_tries_lists_and_removes(tmp_path: Path, post: Post) -> None:
    def run(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, ["notify", *words, "--home", str(tmp_path / "home")])
        assert done.exit_code == status, done.output
        return done.output

    run("add", "hook", "--webhook", post.url, "--on", "*:*FAILED", "--secret", "x")
    assert post.url in run("list")
    assert run("test", "hook") == "taken\n"
    assert post.bodies[0]["detail"]["Status"] == "TEST"
    run("add", "wrong", "--webhook", post.url, "--email", "a@b", status=2)
    run("add", "wrong", "--webhook", "ftp://x", status=2)
    run("add", "wrong", "--command", "true", "--on", "FAILED", status=2)
    run("remove", "hook")
    assert "there is no subscription hook" in run("remove", "hook", status=1)


def test_a_served_home_delivers_by_itself(tmp_path: Path, post: Post) -> None:
    api = open_api(tmp_path / "home")
    try:
        done = CliRunner().invoke(
            app, ["notify", "add", "hook", "--webhook", post.url, "--home", str(tmp_path / "home")]
        )
        assert done.exit_code == 0, done.output
        api.personalize.create_dataset_group(name="other")
        _until(lambda: bool(post.got))
        assert post.bodies[0]["detail"]["Name"] == "other"
    finally:
        api.library.close()


def _until(is_so: Any) -> None:
    import time

    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _schema() -> str:
    from worlds import INTERACTIONS_SCHEMA

    return INTERACTIONS_SCHEMA
