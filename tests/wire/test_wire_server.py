import asyncio
import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import botocore
import pytest
from botocore.exceptions import ClientError
from wire_world import CAMPAIGN, GROUP, KEY, error_of

from nextpick.clock import ManualClock
from nextpick.errors import LimitExceeded, ResourceInUse, ResourceNotFound, ServiceUnavailable
from nextpick.wire.dispatch import SERVICES, Route, Unsettled
from nextpick.wire.shapes import service
from nextpick.wire.structs import GetRecommendations, PutEvents

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def raising(error):
    def handler(call, request):
        raise error

    return Route(handler)


def test_a_call_carries_who_calls_and_what(make_app, connect):
    calls = []

    def handler(call, request):
        calls.append((call, request))
        return {"datasetGroupArn": GROUP}

    app = make_app({("personalize", "CreateDatasetGroup"): Route(handler)})
    answer = connect(app, region="ap-southeast-2").create_dataset_group(name="g", tags=[])
    ((made, request),) = calls
    assert answer["datasetGroupArn"] == GROUP
    assert request == {"name": "g", "tags": []}
    assert made[:3] == (KEY.account, "ap-southeast-2", KEY.access_key)
    assert made.operation == "CreateDatasetGroup"
    assert made.request_id == answer["ResponseMetadata"]["RequestId"]
    assert re.fullmatch(UUID, made.request_id)


def test_a_struct_is_decoded_for_the_handler_and_bytes_are_sent_as_they_are(make_app, connect):
    requests = []

    def handler(call, request):
        requests.append(request)
        return b'{"itemList":[{"itemId":"1","score":0.5}],"recommendationId":"RID"}'

    route = Route(handler, struct=GetRecommendations, inline=True)
    runtime = connect(make_app({("personalize-runtime", "GetRecommendations"): route}), "personalize-runtime")
    answer = runtime.get_recommendations(campaignArn=CAMPAIGN, userId="u", numResults=5)
    assert answer["itemList"] == [{"itemId": "1", "score": 0.5}]
    assert requests == [GetRecommendations(campaignArn=CAMPAIGN, userId="u", numResults=5)]


def test_leniency_reaches_the_struct(make_app, connect):
    requests = []
    routes = {
        ("personalize-runtime", "GetRecommendations"): Route(
            lambda call, r: requests.append(r), GetRecommendations, True
        ),
        ("personalize-events", "PutEvents"): Route(lambda call, r: requests.append(r), PutEvents, True),
    }
    app = make_app(routes)
    connect(app, "personalize-runtime").get_recommendations(userId="u", numResults="NaN")
    assert requests.pop() == GetRecommendations(userId="u")
    event = {"eventType": "click", "sentAt": float("nan"), "properties": {"itemId": "i"}, "newer": [1]}
    events = connect(app, "personalize-events")
    # The client would refuse to write NaN, as the JavaScript SDK does: so it is put into the body.
    events.meta.events.register(
        "before-call",
        lambda params, **_: params.update(
            body=json.dumps({"trackingId": "t", "sessionId": "s", "eventList": [event]})
        ),
    )
    events.put_events(trackingId="t", sessionId="s", eventList=[])
    assert requests[0].eventList[0].sentAt is None
    assert requests[0].eventList[0].properties == '{"itemId":"i"}'


def test_an_operation_without_output_answers_200_and_nothing(make_app, connect):
    app = make_app(
        {
            ("personalize-events", "PutEvents"): Route(lambda call, request: None),
            ("personalize", "DeleteSchema"): Route(lambda call, request: None),
        }
    )
    event = {"eventType": "click", "sentAt": 1700000000}
    answer = connect(app, "personalize-events").put_events(trackingId="t", sessionId="s", eventList=[event])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "0"
    assert connect(app).delete_schema(schemaArn=GROUP)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_handler_may_be_awaited(make_app, connect):
    async def answer():
        await asyncio.sleep(0)
        return {"datasetGroups": []}

    for inline in (True, False):
        app = make_app({("personalize", "ListDatasetGroups"): Route(lambda call, r: answer(), inline=inline)})
        assert connect(app).list_dataset_groups()["datasetGroups"] == []


def test_slow_handlers_do_not_hold_up_inline_ones(make_app, connect):
    held, release = threading.Event(), threading.Event()

    def slow(call, request):
        held.set()
        assert release.wait(30)
        return {"datasetGroups": []}

    app = make_app(
        {
            ("personalize", "ListDatasetGroups"): Route(slow),
            ("personalize-runtime", "GetRecommendations"): Route(
                lambda call, r: b"{}", GetRecommendations, True
            ),
        }
    )
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connect(app).list_dataset_groups)
        assert held.wait(30)
        connect(app, "personalize-runtime").get_recommendations(userId="u")
        assert not waiting.done()
        release.set()
        assert waiting.result(30)["datasetGroups"] == []


def test_one_client_serves_many_threads(make_app, connect):
    route = Route(lambda call, request: {"datasetGroupArn": GROUP + request["name"]})
    made = connect(make_app({("personalize", "CreateDatasetGroup"): route}))
    names = [f"g{i}" for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        arns = list(pool.map(lambda name: made.create_dataset_group(name=name)["datasetGroupArn"], names))
    assert arns == [GROUP + name for name in names]


def describing(states, wait_s, times=None):
    """Return a handler of DescribeDatasetGroup that goes through ``states``, the last one settled."""
    left = list(states)

    def handler(call, request):
        if times is not None:
            times.append(time.monotonic())
        state = left.pop(0) if len(left) > 1 else left[0]
        answer = {"datasetGroup": {"status": state}}
        return answer if state == "ACTIVE" else Unsettled(answer, wait_s)

    return Route(handler)


def test_a_describe_waits_until_its_answer_is_settled(make_app, connect):
    app = make_app(
        {("personalize", "DescribeDatasetGroup"): describing(["CREATE PENDING"] * 3 + ["ACTIVE"], 30)}
    )
    answer = connect(app).describe_dataset_group(datasetGroupArn=GROUP)
    assert answer["datasetGroup"]["status"] == "ACTIVE"


def test_a_describe_answers_the_newest_state_when_the_wait_is_over(make_app, connect):
    times = []
    route = describing(["CREATE PENDING", "CREATE IN_PROGRESS"], 0.2, times)
    app = make_app({("personalize", "DescribeDatasetGroup"): route})
    answer = connect(app).describe_dataset_group(datasetGroupArn=GROUP)
    assert answer["datasetGroup"]["status"] == "CREATE IN_PROGRESS"
    assert len(times) >= 3
    app = make_app({("personalize", "DescribeDatasetGroup"): describing(["CREATE PENDING", "ACTIVE"], 0)})
    answer = connect(app).describe_dataset_group(datasetGroupArn=GROUP)
    assert answer["datasetGroup"]["status"] == "CREATE PENDING"


def test_an_error_ends_the_wait(make_app, connect):
    answers = [Unsettled({}, 30), ResourceNotFound("It is gone.")]

    def handler(call, request):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    app = make_app({("personalize", "DescribeDatasetGroup"): Route(handler)})
    assert error_of(connect(app).describe_dataset_group, datasetGroupArn=GROUP)[2] == "It is gone."


def test_a_wait_ends_when_the_client_goes_away(make_app, loop):
    calls = []

    def handler(call, request):
        calls.append(call)
        return Unsettled({"datasetGroup": {}}, 3600)

    app = make_app({("personalize", "DescribeDatasetGroup"): Route(handler)}, auth=False)

    async def request():
        body = b'{"datasetGroupArn":"%s"}' % GROUP.encode()
        coming = [{"type": "http.disconnect"}, {"type": "http.request", "body": body}]

        async def receive():
            return coming.pop()

        async def send(message):
            raise AssertionError(message)

        headers = [(b"host", b"localhost"), (b"x-amz-target", b"AmazonPersonalize.DescribeDatasetGroup")]
        scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b""}
        await app({**scope, "headers": headers}, receive, send)

    asyncio.run_coroutine_threadsafe(request(), loop).result(30)
    assert 1 <= len(calls) <= 3


def test_a_wait_ends_when_the_server_stops(make_app, connect, loop):
    asked = threading.Event()

    def handler(call, request):
        asked.set()
        return Unsettled({"datasetGroup": {"status": "CREATE PENDING"}}, 3600)

    app = make_app({("personalize", "DescribeDatasetGroup"): Route(handler)})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connect(app).describe_dataset_group, datasetGroupArn=GROUP)
        assert asked.wait(30)
        loop.call_soon_threadsafe(app.stopping.set)
        assert waiting.result(30)["datasetGroup"]["status"] == "CREATE PENDING"


@pytest.mark.parametrize(
    ("service_name", "operation", "parameters", "error", "status"),
    [
        ("personalize", "DescribeDatasetGroup", {"datasetGroupArn": GROUP}, ResourceNotFound, 400),
        ("personalize", "CreateDatasetGroup", {"name": "g"}, LimitExceeded, 400),
        ("personalize-runtime", "GetRecommendations", {"campaignArn": CAMPAIGN}, ResourceNotFound, 404),
        ("personalize-runtime", "GetRecommendations", {"campaignArn": CAMPAIGN}, ServiceUnavailable, 503),
        (
            "personalize-events",
            "PutItems",
            {"datasetArn": GROUP, "items": [{"itemId": "1"}]},
            ResourceInUse,
            409,
        ),
        (
            "personalize-events",
            "PutUsers",
            {"datasetArn": GROUP, "users": [{"userId": "1"}]},
            ResourceNotFound,
            404,
        ),
    ],
)
def test_an_error_has_the_status_of_its_service(
    make_app, connect, service_name, operation, parameters, error, status
):
    app = make_app({(service_name, operation): raising(error("What is wrong: é."))})
    made = connect(app, service_name)
    method = getattr(made, re.sub("([A-Z])", r"_\1", operation).lower().lstrip("_"))
    assert error_of(method, **parameters) == (error.code, status, "What is wrong: é.")


def test_an_error_has_its_code_in_body_and_header(make_app, call):
    status, headers, body = call(make_app({}), headers=[(b"x-amz-target", b"AmazonPersonalize.ListSchemas")])
    assert status == 400
    assert headers[b"x-amzn-errortype"] == b"MissingAuthenticationTokenException"
    assert json.loads(body) == {
        "__type": "MissingAuthenticationTokenException",
        "message": "Missing Authentication Token",
    }
    assert re.fullmatch(UUID, headers[b"x-amzn-requestid"].decode())
    assert headers[b"content-type"] == b"application/x-amz-json-1.1"


def test_a_violated_constraint_is_told_by_the_server(make_app, connect):
    app = make_app({("personalize", "CreateDatasetGroup"): Route(lambda call, request: {})})
    code, status, text = error_of(connect(app).create_dataset_group, name="x" * 64)
    assert (code, status) == ("InvalidInputException", 400)
    assert text.startswith("1 validation error detected: Value 'xxx")


def test_an_unexpected_exception_shows_nothing_of_itself(make_app, connect, caplog):
    def handler(call, request):
        raise RuntimeError("secret detail")

    for inline in (True, False):
        app = make_app({("personalize", "ListSchemas"): Route(handler, inline=inline)})
        caplog.clear()
        with pytest.raises(ClientError) as caught:
            connect(app).list_schemas()
        response = caught.value.response
        assert response["Error"]["Code"] == "InternalFailure"
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert "secret" not in str(response)
        assert response["ResponseMetadata"]["RequestId"] in caplog.text
        assert "secret detail" in caplog.text


def test_an_answer_that_cannot_be_written_is_an_internal_failure(make_app, connect, caplog):
    app = make_app({("personalize", "ListSchemas"): Route(lambda call, request: {"schemas": object()})})
    assert error_of(connect(app).list_schemas)[:2] == ("InternalFailure", 500)


def test_an_error_the_model_does_not_declare_is_logged_once(make_app, connect, caplog):
    app = make_app({("personalize", "ListSchemas"): raising(ResourceNotFound())})
    with caplog.at_level(logging.WARNING, "nextpick.wire"):
        for _ in range(2):
            assert error_of(connect(app).list_schemas)[0] == "ResourceNotFoundException"
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(": ")[2] for line in lines] == [
        "ListSchemas does not declare ResourceNotFoundException"
    ]


def test_every_operation_of_every_model_answers_that_it_has_no_route(make_app, connect):
    app = make_app({})
    for name in SERVICES:
        made = connect(app, name)
        for operation in service(name).operations:
            code, status, text = error_of(getattr(made, botocore.xform_name(operation)))
            assert (code, status) == ("NotImplementedException", 501)
            assert operation in text


def test_a_route_without_an_operation_is_a_mistake(make_app):
    with pytest.raises(ValueError, match=r"personalize\.CreateNothing"):
        make_app({("personalize", "CreateNothing"): Route(lambda call, request: {})})


def test_an_operation_newer_than_the_model_is_unknown(make_app, connect):
    made = connect(make_app({}))
    made.meta.events.register(
        "before-call",
        lambda params, **_: params["headers"].update({"X-Amz-Target": "AmazonPersonalize.Brew"}),
    )
    code, status, text = error_of(made.list_schemas)
    assert (code, status) == ("UnknownOperationException", 400)
    assert "AmazonPersonalize.Brew" in text


@pytest.mark.parametrize(
    ("content_type", "served"),
    [
        ("application/x-amz-json-1.1", True),
        ("application/x-amz-json-1.0", True),
        ("application/json; charset=UTF-8", True),
        ("application/vnd.api+json", True),
        ("", True),
        ("text/plain", False),
        ("multipart/form-data", False),
        ("application/xml", False),
    ],
)
def test_content_types(make_app, connect, content_type, served):
    made = connect(make_app({("personalize", "ListSchemas"): Route(lambda call, request: {"schemas": []})}))
    made.meta.events.register(
        "before-call", lambda params, **_: params["headers"].update({"Content-Type": content_type})
    )
    if served:
        assert made.list_schemas()["schemas"] == []
    else:
        assert error_of(made.list_schemas)[:2] == ("UnsupportedMediaTypeException", 415)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", None),
        (b'{"name": ', "SerializationException"),
        (b"[]", "SerializationException"),
        (b"null", "SerializationException"),
        (b"[" * 200_000, "SerializationException"),
        (b'{"newer": ' + b"9" * 100_000 + b"}", "SerializationException"),
        (b'{"maxResults": 1e400}', "SerializationException"),
        (b'{"maxResults": 123456789012345678901234567890}', "SerializationException"),
        (b'{"nextToken": "\xff"}', "SerializationException"),
        (b'{"nextToken": "\\ud800"}', "SerializationException"),
        (b'{"nextToken": "\xc3\xa9"}', "InvalidInputException"),
        (b'{"maxResults": NaN}', None),
    ],
)
def test_odd_bodies(make_app, connect, body, code):
    made = connect(make_app({("personalize", "ListSchemas"): Route(lambda call, request: {"schemas": []})}))
    made.meta.events.register("before-call", lambda params, **_: params.update(body=body))
    if code is None:
        assert made.list_schemas()["schemas"] == []
    else:
        assert error_of(made.list_schemas)[:2] == (code, 400)


def test_a_body_that_is_too_large_is_refused(make_app, connect, call):
    app = make_app({("personalize", "CreateSchema"): Route(lambda c, r: {})}, max_body_bytes=1000)
    assert error_of(connect(app).create_schema, name="s", schema="x" * 1000)[:2] == (
        "RequestEntityTooLargeException",
        413,
    )
    assert call(app, body=b"x" * 1001)[0] == 413
    assert call(app, headers=[(b"content-length", b"9" * 30)])[0] == 413


def test_a_body_that_stops_arriving_is_not_waited_for(make_app, loop):
    app = make_app({}, body_timeout_s=0.05)
    sent = []

    async def request():
        first = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive():
            if first:
                return first.pop()
            await asyncio.sleep(3600)
            raise AssertionError

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [],
        }
        await app(scope, receive, send)

    asyncio.run_coroutine_threadsafe(request(), loop).result(30)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["__type"] == "RequestTimeoutException"


def test_a_client_that_goes_away_is_not_answered(make_app, loop):
    sent = []

    async def request():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "headers": [],
        }
        await make_app({})(scope, receive, send)

    asyncio.run_coroutine_threadsafe(request(), loop).result(30)
    assert sent == []


def test_a_clock_that_is_wrong_is_told_so_that_clients_correct_theirs(make_app, connect):
    app = make_app({}, clock=ManualClock(1.0e9))
    code, status, text = error_of(connect(app).list_schemas)
    assert (code, status) == ("InvalidSignatureException", 400)
    assert text.startswith("Signature not yet current: ")


def test_a_client_on_the_application_s_own_loop_is_refused(make_app, connect, loop):
    made = connect(make_app({("personalize", "ListSchemas"): Route(lambda c, r: {"schemas": []})}))

    async def call():
        with pytest.raises(RuntimeError, match="event loop"):
            made.list_schemas()

    asyncio.run_coroutine_threadsafe(call(), loop).result(30)
