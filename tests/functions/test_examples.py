"""The handlers in examples/functions, deployed by the command and run against a real campaign."""

import base64
import hashlib
import hmac
import io
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functions_world import until
from pyarrow import parquet
from typer.testing import CliRunner

from hooks import Post
from nextpick.cli.main import app
from served import Server
from worlds import Shop, checkerboard

EXAMPLES = Path(__file__).parents[2] / "examples" / "functions"
TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
 "Principal": {"Service": "lambda.amazonaws.com"}}]}"""
PERSONALIZE = "arn:aws:iam::aws:policy/service-role/AmazonPersonalizeFullAccess"


class Command:
    """``nextpick function`` on a home."""

    def __init__(self, server: Server, group: str, version: str) -> None:
        self.server, self.home, self.group, self.version = server, server.home, group, version

    def __call__(self, *words: str, fails: bool = False) -> str:
        """Run it; return what it printed, of one that fails what it said."""
        return self.run("function", *words, fails=fails)

    def run(self, *words: str, fails: bool = False) -> str:
        """Run any command on the home, in the same way."""
        done = CliRunner().invoke(app, [*words, "--home", str(self.home)])
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    def deploy(self, name: str, *words: str) -> None:
        """Deploy an example."""
        assert self("deploy", name, "--code", str(EXAMPLES / name), "--timeout", "60", *words).endswith(
            f":{name}\n"
        )


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    server = Server(tmp_path_factory.mktemp("examples") / "home", workers=1).start()
    try:
        iam = server.client("iam")
        iam.create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="function", PolicyArn=PERSONALIZE)
        shop = Shop(server)
        shop.imported(shop.start_import("j", checkerboard()))
        version = shop.trained(shop.train(shop.solution(recipe="aws-popularity-count")))["solutionVersionArn"]
        shop.deployed("books", version)
        yield Command(server, shop.group, version)
    finally:
        server.stop()


def test_a_constant_arn_and_a_query_string(command: Command) -> None:
    command.deploy("recommend")
    event = json.dumps({"queryStringParameters": {"user_id": "u10"}})
    items = json.loads(command("invoke", "recommend", "--payload", event))
    assert len(items) == 25
    campaign = "arn:aws:personalize:us-east-1:000000000000:campaign/books"
    assert items == command.server.runtime.get_recommendations(campaignArn=campaign, userId="u10")["itemList"]
    failed = json.loads(
        command("invoke", "recommend", "--payload", '{"queryStringParameters": null}', fails=True)
    )
    assert failed["errorType"] == "TypeError"


def test_everything_from_the_environment(command: Command) -> None:
    campaign = "arn:aws:personalize:us-east-1:000000000000:campaign/books"
    command.deploy("recommend-movies", "--env", f"CAMPAIGN_ARN={campaign}", "--env", "NUM_RESULTS=7")
    event = '{"user_id": 5, "context": "{\\"DEVICE\\": \\"phone\\"}"}'
    whole = json.loads(command("invoke", "recommend-movies", "--payload", event))
    assert len(whole["itemList"]) == 7
    assert whole["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "recommendations for user 5 in {'DEVICE': 'phone'}" in command("logs", "recommend-movies")


def test_a_proxy_answer_with_errors_by_their_code(command: Command) -> None:
    gone = "arn:aws:personalize:us-east-1:000000000000:campaign/gone"
    command.deploy("recommend-api", "--handler", "app.handler", "--env", f"CAMPAIGN_ARN={gone}")
    event = json.dumps({"body": '{"userId": "u1"}'})
    found = json.loads(command("invoke", "recommend-api", "--payload", event))
    assert (found["statusCode"], found["body"]) == ("500", '"Campaign Not Found"')
    command.deploy("recommend-api", "--handler", "app.handler", "--env", f"CAMPAIGN_ARN={gone[:-4]}books")
    found = json.loads(command("invoke", "recommend-api", "--payload", event))
    assert found["statusCode"] == "200"
    assert len(json.loads(found["body"])) == 5


def test_what_recommendations_come_from_is_made_and_deleted_through_an_api(command: Command) -> None:
    command.deploy("delete-resources")
    url = command.run("gateway", "deploy", str(EXAMPLES.parent / "gateway" / "near-real-time.yaml")).split()[
        -1
    ]

    def call(path: str, method: str = "POST", **body: str) -> tuple[int, Any]:
        request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    group = command.group
    solution = command.version.rpartition("/")[0]
    status, version = call("solutionVersion", solutionArn=solution, version="v1")
    assert (status, version["solutionVersionArn"], version["$metadata"]["httpStatusCode"]) == (
        200,
        f"{solution}/v1",
        200,
    )
    until(lambda: call("describeSolutionVersion", solutionVersionArn=f"{solution}/v1") == (200, "ACTIVE"))
    _, campaign = call("campaign", name="managed", solutionVersionArn=f"{solution}/v1")
    until(lambda: call("describeCampaign", campaignArn=campaign["campaignArn"]) == (200, "ACTIVE"))
    _, tracker = call("eventTracker", name="managed", datasetGroupArn=group)
    assert {"eventTrackerArn", "trackingId"} <= set(tracker)
    again = call("eventTracker", name="managed", datasetGroupArn=group)
    assert (again[0], json.loads(again[1])["name"]) == (500, "ResourceAlreadyExistsException")
    query = urllib.parse.urlencode({"campaignArn": campaign["campaignArn"], "userId": "u1", "numResults": 5})
    with urllib.request.urlopen(f"{url}/getRecommendations?{query}") as answer:
        assert len(json.load(answer)["itemList"]) == 5
    made = {"campaignArn": campaign["campaignArn"], "eventTrackerArn": tracker["eventTrackerArn"]}
    assert call("deleteResources", "DELETE", **made) == (200, dict.fromkeys(made, "deleted"))
    gone = (500, "Campaign is deleted or does not exist")
    until(lambda: call("describeCampaign", campaignArn=campaign["campaignArn"]) == gone)


def test_a_dropped_file_starts_a_batch_job(command: Command) -> None:
    dropped = command.home / "buckets" / "movies" / "batch" / "input" / "users.json"
    dropped.parent.mkdir(parents=True)
    dropped.write_text('{"userId": "u1"}\n{"userId": "u2"}')
    settings = {
        "SOLUTION_VERSION_ARN": command.version,
        "JOB_NAME": "batch",
        "RESULTS_KEY": "batch/results/",
        "NUM_RESULTS": "10",
        "ROLE_NAME": "personalize",
    }
    words = [word for name, text in settings.items() for word in ("--env", f"{name}={text}")]
    command.deploy("batch-trigger", *words)
    record = {"s3": {"bucket": {"name": "movies"}, "object": {"key": "batch/input/users.json"}}}
    arn = json.loads(command("invoke", "batch-trigger", "--payload", json.dumps({"Records": [record]})))
    assert ":batch-inference-job/batch_" in arn


def test_a_function_tells_what_invokes_it_and_its_policy_who_may(command: Command) -> None:
    command.deploy("recommend")
    assert command("publish", "recommend", "--alias", "live", "--description", "first") == "1\n"
    variables = ("--variable", "function=recommend:live", "--setting", "functionType=aws")
    words = ("deploy", str(EXAMPLES.parent / "gateway" / "books.yaml"), "--stage", "dev", *variables)
    for _ in range(2):  # what is deployed again is permitted once
        url = command.run("gateway", *words).splitlines()[-1]
    watched = ("--bucket", "movies", "--suffix", ".csv", "--function", "recommend:live")
    command.run("trigger", "add", "arrivals", *watched)
    command.run("schedule", "add", "hourly", "--rate", "rate(1 hour)", "--run", "function:recommend")
    told = command("show", "recommend").splitlines()
    assert "  version 1  first" in told
    assert "  alias live is 1" in told
    assert [line for line in told if "invoked by" in line] == [
        f"  invoked by API books  GET {url}/recommend  as live",
        "  invoked by bucket arrivals  s3://movies/*.csv  as live",
        "  invoked by schedule hourly  rate(1 hour)",
    ]
    client = command.server.client("lambda")
    policy = json.loads(client.get_policy(FunctionName="recommend", Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    api = url.split("/")[-2]
    source = f"arn:aws:execute-api:us-east-1:000000000000:{api}/*/GET/recommend"
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": source}}
    with urllib.request.urlopen(f"{url}/recommend?user_id=u10") as answer:
        assert len(json.load(answer)) == 25
    command.run("gateway", "delete", "books")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName="recommend", Qualifier="live")
    assert "API" not in command("show", "recommend")


def test_a_request_is_traced_through_gateway_function_and_engine(command: Command) -> None:
    command.deploy("recommend")
    words = ("--variable", "function=recommend", "--setting", "functionType=aws", "--setting", "tracing=1")
    document = str(EXAMPLES.parent / "gateway" / "books.yaml")
    url = command.run("gateway", "deploy", document, "--name", "traced", *words).splitlines()[-1]
    with urllib.request.urlopen(f"{url}/recommend?user_id=u1") as answer:
        trace = answer.headers["X-Amzn-Trace-Id"]
    assert trace.endswith(";Sampled=1")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"{url}/recommend")

    def shown() -> list[str]:
        done = CliRunner().invoke(app, ["trace", "show", trace, "--home", str(command.home)])
        return [line[54:] for line in done.output.splitlines()]

    parts = [
        "ApiGateway::Stage traced/dev GET /recommend",
        "  Lambda recommend $LATEST",
        "    Lambda::Function recommend $LATEST",
        "      Initialization",
        "      Invocation",
        "        Service personalize-runtime GetRecommendations",
        "      Overhead",
    ]
    until(lambda: shown() == parts)
    (failed,) = until(lambda: command.run("trace", "list", "--failed").splitlines())
    assert failed.endswith("error  traced/dev  GET /recommend")
    nodes = command.run("trace", "map").splitlines()
    assert nodes[0].startswith("AWS::ApiGateway::Stage traced/dev\t2\t50% errors\t0% faults\t")
    assert nodes[1::2] == [
        "  → AWS::Lambda recommend",
        "  → AWS::Lambda::Function recommend",
        "  → AWS::Service personalize-runtime",
    ]


def test_users_dropped_in_a_bucket_become_a_table_with_titles_and_that_is_told(command: Command) -> None:
    hook, s3 = Post(), command.server.client("s3")
    topic = command.server.client("sns").create_topic(Name="movies")["TopicArn"]
    words = (
        "--webhook",
        hook.url,
        "--on",
        "Batch Inference Job:*",
        "--on",
        "Topic movies:*",
        "--secret",
        "s3cret",
    )
    command.run("notify", "add", "ops", *words)
    command.deploy(
        "batch-transform",
        "--memory",
        "512",
        "--env",
        "METADATA_KEY=movies.csv",
        "--on-success",
        topic,
        "--role",
        "transform",
    )
    job = ("--batch-inference", "movies", "--solution-version", command.version, "--num-results", "10")
    output = ("--output", "s3://drops/batch/results/inference/")
    command.run("trigger", "add", "users", "--bucket", "drops", "--suffix", "users.json", *job, *output)
    ended = ("--prefix", "batch/results/", "--suffix", ".out", "--function", "batch-transform")
    command.run("trigger", "add", "results", "--bucket", "drops", *ended)
    s3.create_bucket(Bucket="drops")
    titles = "".join(f"i{n},Film {n} (1999),Drama|War\n" for n in range(60))
    s3.put_object(Bucket="drops", Key="movies.csv", Body=f"movieId,title,genres\n{titles}".encode())
    s3.put_object(Bucket="drops", Key="batch/input/users.json", Body=b'{"userId": "u1"}\n{"userId": "u2"}')
    try:
        until(lambda: any("Message" in told["detail"] for told in hook.bodies))
    finally:
        hook.close()
    key = "batch/results/inference/transformed.parquet"
    table = parquet.read_table(io.BytesIO(s3.get_object(Bucket="drops", Key=key)["Body"].read())).to_pylist()
    assert [row["userId"] for row in table] == ["u1", "u2"]
    films = table[0]["Recommendations"].split(" | ")
    assert len(films) == 10
    assert all(re.fullmatch(r"Film \d+ \(1999\) \(Drama\)", film) for film in films)
    assert [told["detail"].get("Status") for told in hook.bodies][-2:] == ["ACTIVE", None]
    message = json.loads(hook.bodies[-1]["detail"]["Message"])
    assert message["requestContext"]["condition"] == "Success"
    assert message["responsePayload"] == {"rows": 2, "table": f"s3://drops/{key}"}
    for headers, body in hook.got:
        stamp, digest = (part.partition("=")[2] for part in headers["X-Nextpick-Signature"].split(","))
        assert digest == hmac.new(b"s3cret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_records_of_a_stream_in_javascript(command: Command, tmp_path: Path) -> None:
    command.deploy("node", "--handler", "index.handler")
    data = {"userId": "429", "itemId": "185", "interactions": 2}
    record = {"kinesis": {"data": base64.b64encode(json.dumps(data).encode()).decode()}}
    payload = tmp_path / "event.json"
    payload.write_text(json.dumps({"Records": [record]}))
    told = json.loads(command("invoke", "node", "--payload", f"@{payload}"))
    assert told == [{"userId": "429", "itemId": "185"}] * 2
    assert "node\tnodejs20.x\tindex.handler\tarn:aws:iam::000000000000:role/function" in command("list")
    command("delete", "node")
    assert "Function not found" in command("invoke", "node", fails=True)


def test_what_cannot_be_deployed_says_why(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    where = str(tmp_path)
    assert "no other.py" in command("deploy", "f", "--code", where, "--handler", "other.f", fails=True)
    assert "neither a directory nor a file" in command("deploy", "f", "--code", f"{where}/none", fails=True)
    assert "K=V" in command("deploy", "f", "--code", where, "--handler", "a.f", "--env", "x", fails=True)
    assert "Timeout is 1000" in command(
        "deploy", "f", "--code", where, "--handler", "a.f", "--timeout", "1000", fails=True
    )
