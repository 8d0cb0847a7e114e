"""Deployed APIs answer as API Gateway and the engine do, with keys, limits, caches and experiments."""

import collections
import http.client
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from calls import Answer, deploy, example, one_route, over_http
from typer.testing import CliRunner

from nextpick.cli.main import app
from nextpick.gateway.store import GatewayStore, Plan
from served import Server
from worlds import Shop, checkerboard


class World:
    """A server with two campaigns of one version and a tracker."""

    def __init__(self, server: Server) -> None:
        self.server = server
        shop = Shop(server)
        shop.imported(shop.start_import("j", checkerboard()))
        version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
        self.a, self.b = shop.deployed("a", version), shop.deployed("b", version)
        self.tracker = server.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)[
            "trackingId"
        ]

    def deploy(self, document: dict[str, Any], **more: Any) -> str:
        return self.server.url + deploy(self.server.home, document, **more)

    def recommending(self, title: str, document: dict[str, Any] | None = None, **more: Any) -> str:
        """Deploy GET /?user=… and return its URL."""
        settings = more.pop("settings", {})
        integration = {"type": "recommendations", "userId": "method.request.querystring.user", **more}
        if "experiment" not in more:
            integration.setdefault("campaignArn", self.a)
        operation = {"x-nextpick-integration": integration, **({"security": [{"k": []}]} if document else {})}
        return self.deploy({**one_route(title, operation), **(document or {})}, settings=settings)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    served = Server(tmp_path_factory.mktemp("apis") / "home", workers=1).start()
    yield World(served)
    served.stop()


KEYED = {"components": {"securitySchemes": {"k": {"type": "apiKey", "name": "x-api-key", "in": "header"}}}}


def wanted(world: World, user: str, campaign: str | None = None, **more: Any) -> list[dict[str, Any]]:
    return world.server.runtime.get_recommendations(campaignArn=campaign or world.a, userId=user, **more)[
        "itemList"
    ]


def test_the_route_of_the_bookshop_answers_with_the_items_of_a_user(world: World) -> None:
    url = world.deploy(example("books"), stage="development")
    answer = over_http(f"{url}/recommend?user_id=u10")
    assert (answer.status, len(answer.json)) == (200, 25)
    assert answer.json == wanted(world, "u10", world.b)  # the newest campaign
    assert answer.headers["content-type"] == "application/json"
    assert {"x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id"} <= set(answer.headers)
    assert len(over_http(f"{url}/recommend?user_id=nobody&numResults=3").json) == 3
    missing = over_http(f"{url}/recommend")
    assert (missing.status, missing.body) == (
        400,
        b'{"message": "Missing required request parameters: [user_id]"}',
    )
    assert missing.headers["access-control-allow-origin"] == "*"
    preflight = over_http(f"{url}/recommend", "OPTIONS")
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-methods"] == "GET,OPTIONS"
    assert preflight.headers["access-control-allow-headers"].startswith(
        "Content-Type,X-Amz-Date,Authorization"
    )


def test_the_gateway_answers_by_itself_as_api_gateway_does(world: World) -> None:
    url = world.deploy(example("books"), stage="development")
    unknown = over_http(f"{url}/nothing")
    assert (unknown.status, unknown.body) == (403, b'{"message":"Missing Authentication Token"}')
    assert unknown.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert over_http(f"{url}/recommend", "DELETE").body == b'{"message":"Missing Authentication Token"}'
    for elsewhere in (
        "/gateway/none/dev/x",
        "/gateway/none",
        f"{url.removeprefix(world.server.url)}x/recommend",
    ):
        answer = over_http(world.server.url + elsewhere)
        assert (answer.status, answer.body) == (403, b'{"message":"Forbidden"}')


def test_the_newest_of_the_two_campaigns_is_asked_as_the_sdk_prints_it(world: World) -> None:
    url = world.deploy(example("near-real-time"), stage="prod")
    for arn in (world.a, quote(world.a, safe=""), world.a + "%20"):
        answer = over_http(f"{url}/getRecommendations?campaignArn={arn}&userId=u9&numResults=5").json
        assert set(answer) == {"$metadata", "itemList", "recommendationId"}
        assert answer["$metadata"]["httpStatusCode"] == 200
        assert answer["itemList"] == wanted(world, "u9", numResults=5)
    for number in ("", "&numResults=", "&numResults=NaN", "&numResults=many"):
        assert (
            len(
                over_http(f"{url}/getRecommendations?campaignArn={world.a}&userId=u9{number}").json[
                    "itemList"
                ]
            )
            == 25
        )
    gone = over_http(f"{url}/getRecommendations?campaignArn={world.a}x&userId=u9")
    assert (gone.status, gone.json) == (500, {"message": "Campaign is deleted or does not exist"})


def test_an_event_through_the_stream_changes_the_next_answer(world: World) -> None:
    world.server.client("kinesis").create_stream(StreamName="my-stream", ShardCount=1)
    from nextpick.stream.registry import Streams

    stream = Streams(world.server.home).get("000000000000", "us-east-1", "my-stream")
    stream.reconfigure(consumers=({"name": "events", "type": "events"},))
    url = world.deploy(example("near-real-time"), stage="prod")
    before = wanted(world, "u12")
    data = {
        "userId": "u12",
        "interactions": 2,
        "itemId": "i1",
        "trackingId": world.tracker,
        "eventType": "click",
    }
    body = {"stream-name": "my-stream", "Data": {**data, "sentAt": "1698711110"}, "PartitionKey": "userId"}
    answer = over_http(f"{url}/data", "POST", body)
    assert answer.status == 200
    assert answer.json["Message"] == "Event sent successfully"
    assert answer.json["data"]["ShardId"] == "shardId-000000000000"
    assert set(answer.json["data"]) == {"EncryptionType", "SequenceNumber", "ShardId"}
    deadline = time.monotonic() + 20
    while wanted(world, "u12") == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_the_stream_refuses_is_told_in_data_with_200(world: World) -> None:
    url = world.deploy(example("near-real-time"), stage="prod")
    answer = over_http(f"{url}/data", "POST", {"stream-name": "none", "Data": {}, "PartitionKey": "k"})
    assert (answer.status, answer.json["data"]["__type"]) == (200, "ResourceNotFoundException")
    text = over_http(f"{url}/data", "POST", b"x", {"content-type": "text/plain"})
    assert (text.status, text.body) == (415, b'{"message":"Unsupported Media Type"}')


def test_ids_by_a_path_and_events_that_count_at_once(world: World) -> None:
    variables = {"campaign": world.a, "tracker": world.tracker}
    url = world.deploy(example("videos"), stage="prod", variables=variables)
    before = over_http(f"{url}/recommendations/u%31%34?numResults=9")
    assert before.json == [item["itemId"] for item in wanted(world, "u14", numResults=9)]
    assert before.headers["access-control-allow-origin"] == "*"
    event = {"userId": "u14", "eventList": [{"eventType": "watch", "itemId": "i3"}]}
    assert over_http(f"{url}/events", "POST", event).status == 200
    assert over_http(f"{url}/recommendations/u14?numResults=9").json != before.json
    preflight = over_http(f"{url}/events", "OPTIONS")
    assert (preflight.status, preflight.headers["access-control-max-age"]) == (204, "600")
    bad = over_http(f"{url}/events", "POST", {"eventList": [{"itemId": "i3"}]})
    assert bad.status == 400
    assert "eventType" in bad.json["message"]


def test_a_deployment_is_a_snapshot_and_a_stage_can_go_back(world: World) -> None:
    def mock(text: str) -> dict[str, Any]:
        integration = {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": text}}},
        }
        return one_route("snapshots", {"x-amazon-apigateway-integration": integration})

    dev, prod = world.deploy(mock('"one"')), world.deploy(mock('"one"'), stage="prod")
    assert world.deploy(mock('"$context.stage"')) == dev  # the same API
    assert (over_http(dev).json, over_http(prod).json) == ("dev", "one")
    store = GatewayStore(world.server.home)
    api = store.api("snapshots")
    oldest = store.deployments(api)[-1][0]
    store.point(api, "dev", oldest, 2.0)
    assert over_http(dev).json == "one"
    store.delete(api, "dev")
    assert over_http(dev).body == b'{"message":"Forbidden"}'
    assert over_http(prod).json == "one"
    store.close()


def test_users_are_split_by_weight_always_the_same_way_and_their_events_say_so(world: World) -> None:
    experiments = {
        "x-nextpick-experiments": {
            "front": {
                "variations": [
                    {"name": "a", "campaignArn": world.a, "weight": 3},
                    {"name": "b", "campaignArn": world.b, "weight": 1},
                ]
            }
        }
    }
    own = {"x-nextpick-integration": {"type": "recommendations", "experiment": "front", "numResults": 1,
                                      "userId": "method.request.querystring.user"}}  # fmt: skip
    events = {
        "x-nextpick-integration": {"type": "events", "trackingId": world.tracker, "experiment": "front"}
    }
    document = {**one_route("split", own, "/"), **experiments}
    document["paths"]["/events"] = {"post": events}
    url = world.deploy(document)
    seen = {f"s{n}": over_http(f"{url}?user=s{n}").headers["x-nextpick-variation"] for n in range(200)}
    counts = collections.Counter(seen.values())
    assert set(counts) == {"front:a", "front:b"}
    assert 120 < counts["front:a"] < 180
    assert over_http(f"{url}?user=s7").headers["x-nextpick-variation"] == seen["s7"]
    from nextpick.store.log import LogReader

    event = {"userId": "s7", "sessionId": "split", "eventList": [{"eventType": "click", "itemId": "i1"}]}
    assert over_http(f"{url}/events", "POST", event).status == 200
    reader = LogReader(world.server.home / "log")
    (row,) = [row for _, _, row in reader.poll({}) if row.session == "split"]
    reader.close()
    assert row.source == seen["s7"]


def test_a_key_is_needed_where_the_document_says_so_and_its_plan_limits_it(world: World) -> None:
    url = world.recommending("keyed", KEYED)
    store = GatewayStore(world.server.home)
    api = store.api("keyed")
    store.add_plan(Plan("few", quota=3, period="DAY"), [(api, "dev")])
    store.add_plan(Plan("slow", rate=0.001, burst=2), [(api, "dev")])
    few, slow = store.add_key("few", None, ["few"], 1.0), store.add_key("slow", "s" * 20, ["slow"], 1.0)
    loose = store.add_key("loose", None, [], 1.0)

    def call(key: str) -> Answer:
        return over_http(f"{url}?user=u1", headers={"x-api-key": key} if key else {})

    for bad in ("", "no-such-key", loose):
        assert (call(bad).status, call(bad).body) == (403, b'{"message":"Forbidden"}')
    assert [call(few).status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert call(few).body == b'{"message":"Limit Exceeded"}'
    assert [call(slow).status for _ in range(3)] == [200, 200, 429]
    assert call(slow).body == b'{"message":"Too Many Requests"}'
    assert call(slow).headers["x-amzn-errortype"] == "TooManyRequestsException"
    assert [count for plan, _, _, count in store.usage() if plan == "few"] == [3]
    store.remove("key", "slow")
    assert call(slow).body == b'{"message":"Forbidden"}'
    store.close()


def test_a_request_takes_from_its_plan_once(world: World) -> None:
    url = world.recommending("once", KEYED)
    store = GatewayStore(world.server.home)
    store.add_plan(Plan("once", rate=0.001, burst=4, quota=6, period="WEEK"), [(store.api("once"), "dev")])
    key = store.add_key("once", None, ["once"], 1.0)
    connection = http.client.HTTPConnection(
        world.server.url.removeprefix("http://")
    )  # may be answered at once
    statuses = []
    for _ in range(5):
        connection.request("GET", url.removeprefix(world.server.url) + "?user=u1", headers={"x-api-key": key})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 200, 200, 200, 429]
    assert [count for plan, _, _, count in store.usage() if plan == "once"] == [4]
    store.close()


def test_quota_counts_outlive_a_kill(world: World) -> None:
    url = world.recommending("counted", KEYED)
    store = GatewayStore(world.server.home)
    store.add_plan(Plan("counted", quota=2, period="MONTH"), [(store.api("counted"), "dev")])
    key = store.add_key("counted", None, ["counted"], 1.0)
    store.close()
    path = url.removeprefix(world.server.url)
    assert over_http(f"{url}?user=u1", headers={"x-api-key": key}).status == 200
    world.server.kill()
    world.server.start()
    statuses = [
        over_http(f"{world.server.url}{path}?user=u1", headers={"x-api-key": key}).status for _ in range(2)
    ]
    assert statuses == [200, 429]


def test_a_stage_can_be_throttled(world: World) -> None:
    url = world.recommending("throttled", settings={"throttlingRateLimit": 0.001, "throttlingBurstLimit": 2})
    assert [over_http(f"{url}?user=u1").status for _ in range(3)] == [200, 200, 429]


def test_answers_are_kept_by_their_key_parameters(world: World) -> None:
    url = world.recommending("cached", settings={"cacheTtlInSeconds": 60})
    first = over_http(f"{url}?user=u20").json
    assert over_http(f"{url}?user=u20").json == first  # the id of the recommendation as well
    assert over_http(f"{url}?user=u21").json["recommendationId"] != first["recommendationId"]
    uncached = world.recommending("uncached")
    assert (
        over_http(f"{uncached}?user=u20").json["recommendationId"]
        != over_http(f"{uncached}?user=u20").json["recommendationId"]
    )


def test_a_cache_is_counted_and_can_be_emptied(world: World) -> None:
    url = world.recommending("emptied", settings={"cacheTtlInSeconds": 60})
    for path in ("?user=u1", "?user=u1", "?user=u2", "/none"):
        over_http(url + path)
    kept = over_http(f"{url}?user=u1").json["recommendationId"]

    def run(*words: str) -> list[str]:
        done = CliRunner().invoke(app, ["gateway", *words, "emptied", "--home", str(world.server.home)])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    told = ["Count\t5", "4XXError\t1", "5XXError\t0", "CacheHitCount\t2\t50%", "CacheMissCount\t2"]
    deadline = time.monotonic() + 10
    while [line for line in run("metrics") if not line.startswith("Latency")] != told:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run("flush")
    assert over_http(f"{url}?user=u1").json["recommendationId"] != kept


def test_clients_may_keep_an_answer_for_a_time(world: World) -> None:
    url = world.recommending("fresh", cache={"maxAge": 60})
    answer = over_http(f"{url}?user=u20")
    assert answer.headers["cache-control"] == "private, max-age=60"
    again = over_http(f"{url}?user=u20", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    aged = answer.headers["etag"].replace("-1", "-0", 1)  # of long ago
    assert over_http(f"{url}?user=u20", headers={"if-none-match": aged}).status == 200


def test_items_are_given_what_a_file_says_of_them(world: World) -> None:
    world.server.put_object(
        "shop", "titles.csv", "ITEM_ID,TITLE,PAGES\n" + "".join(f"i{n},Book {n},{n}\n" for n in range(40))
    )
    url = world.recommending("titles", items={"location": "s3://shop/titles.csv", "columns": ["TITLE"]})
    for item in over_http(f"{url}?user=u3").json["itemList"]:
        assert item["metadata"] == {"TITLE": f"Book {item['itemId'][1:]}"}


def test_services_are_called_with_a_mapping_template(world: World) -> None:
    integration = {
        "type": "aws",
        "httpMethod": "POST",
        "uri": "arn:aws:apigateway:us-east-1:personalize-runtime:path/recommendations",
        "requestTemplates": {
            "application/json": """
                #set($user = $input.params('id'))
                {"campaignArn": "$stageVariables.arn", "userId": "$user", "numResults": 2}"""
        },
        "responses": {
            "default": {
                "statusCode": "200",
                "responseParameters": {"method.response.header.X-User": "method.request.path.id"},
                "responseTemplates": {
                    "application/json": """
                        [#foreach($i in $input.path('$.itemList'))"$i.itemId"#if($foreach.hasNext),#end#end]"""
                },
            },
            "4\\d{2}": {
                "statusCode": "404",
                "responseTemplates": {"application/json": '{"wrong": "$input.path(\'$.__type\')"}'},
            },
        },
    }
    document = one_route("service", {"x-amazon-apigateway-integration": integration}, "/u/{id}")
    url = world.deploy(document, variables={"arn": world.a})
    answer = over_http(f"{url}/u/u5")
    assert answer.json == [item["itemId"] for item in wanted(world, "u5", numResults=2)]
    assert answer.headers["x-user"] == "u5"
    wrong = world.deploy(document, stage="wrong", variables={"arn": world.a + "x"})
    answer = over_http(f"{wrong}/u/u5")
    assert (answer.status, answer.json) == (404, {"wrong": "ResourceNotFoundException"})


TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
 "Principal": {"Service": "%s.amazonaws.com"}}]}"""
ASKING = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
 "Action": ["personalize:GetRecommendations", "lambda:InvokeFunction"]}]}"""


def test_an_integration_calls_with_the_rights_of_its_role(world: World) -> None:
    arn = "arn:aws:iam::000000000000:role/gateway"
    integration = {
        "type": "aws",
        "uri": "arn:aws:apigateway:us-east-1:personalize-runtime:path/recommendations",
        "requestTemplates": {"application/json": f'{{"campaignArn": "{world.a}", "userId": "u1"}}'},
        "responses": {"default": {"statusCode": "200"}, "400|403": {"statusCode": "403"}},
        "credentials": arn,
    }
    url = world.deploy(one_route("role", {"x-amazon-apigateway-integration": integration}))
    iam = world.server.client("iam")
    assert over_http(url).status == 200  # a role that was never set up is not asked
    iam.create_role(RoleName="gateway", AssumeRolePolicyDocument=TRUST % "glue")
    refused = over_http(url)
    assert (refused.status, refused.body) == (500, b'{"message": "Internal server error"}')
    iam.update_assume_role_policy(RoleName="gateway", PolicyDocument=TRUST % "apigateway")
    denied = over_http(url)
    assert (denied.status, denied.json["__type"]) == (403, "AccessDeniedException")
    assert "assumed-role/gateway/BackplaneAssumeRoleSession is not authorized" in denied.json["message"]
    iam.put_role_policy(RoleName="gateway", PolicyName="ask", PolicyDocument=ASKING)
    assert over_http(url).json["itemList"] == wanted(world, "u1")


def test_a_list_is_ranked_for_a_user(world: World) -> None:
    integration = {
        "type": "personalized-ranking",
        "campaignArn": world.a,
        "userId": "method.request.path.user",
        "inputList": "method.request.path.items",
    }
    url = world.deploy(one_route("rank", {"x-nextpick-integration": integration}, "/rank/{user}/{items}"))
    answer = over_http(f"{url}/rank/u4/i1,i2")
    assert answer.status == 400  # this campaign's recipe does not rank
    assert "aws-user-personalization" in answer.json["message"]


def test_requests_are_sent_on_to_http_endpoints(world: World) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told = {"path": self.path, "x": self.headers["x-given"], "body": body.decode()}
            self.send_response(201)
            self.send_header("x-answered", "yes")
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: Any) -> None:
            pass

    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    integration = {
        "type": "http_proxy",
        "httpMethod": "POST",
        "uri": f"http://127.0.0.1:{endpoint.server_port}/items/{{id}}",
        "requestParameters": {
            "integration.request.path.id": "method.request.path.id",
            "integration.request.header.x-given": "'constant'",
        },
    }
    url = world.deploy(
        one_route("forward", {"x-amazon-apigateway-integration": integration}, "/i/{id}", "post")
    )
    answer = over_http(f"{url}/i/a%20b?q=1", "POST", {"a": 1})
    assert (answer.status, answer.headers["x-answered"]) == (201, "yes")
    assert answer.json == {"path": "/items/a%20b?q=1", "x": "constant", "body": '{"a": 1}'}
    endpoint.shutdown()
    endpoint.server_close()
    answer = over_http(f"{url}/i/a", "POST", {"a": 1})
    assert (answer.status, answer.body) == (502, b'{"message": "Internal server error"}')


def test_an_answer_is_the_same_whether_it_is_given_at_once_or_not(world: World) -> None:
    url = world.recommending("both ways", settings={"throttlingRateLimit": 1000})
    path = url.removeprefix(world.server.url)
    connection = http.client.HTTPConnection(world.server.url.removeprefix("http://"))
    for query in ("?user=u1", "?user=u2&numResults=3", "?user=u3&numResults=-1", "", "/none?x=%20"):
        found = []
        for headers in ({}, {"Connection": "close"}):  # the first may be answered at once
            connection.request("GET", path + query, headers=headers)
            answer = connection.getresponse()
            names = {name.lower() for name, _ in answer.getheaders()} - {"date", "connection"}
            body = json.loads(answer.read())
            body.pop("recommendationId", None)
            found.append((answer.status, names, body))
        assert found[0] == found[1]
    connection.close()


def test_every_request_is_a_line_of_the_access_log(world: World) -> None:
    url = world.recommending(
        "logged",
        settings={"accessLog": "$context.httpMethod $context.resourcePath $context.status $context.nothing"},
    )
    for path in ("?user=u1", "/none"):
        over_http(url + path)
    store = GatewayStore(world.server.home)
    directory = world.server.home / "gateway" / "logs" / store.api("logged") / "dev"
    store.close()
    deadline = time.monotonic() + 10
    while not (
        lines := [line for path in directory.glob("*.log") for line in path.read_text().splitlines()][1:]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [path.read_text() for path in directory.glob("*.log")] == ["GET / 200 -\nGET - 403 -\n"]
    assert len(lines) == 1
