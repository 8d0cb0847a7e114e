import io
import json

import pytest
from botocore.exceptions import ParamValidationError
from wire_world import KEY

from nextpick.errors import InvalidNextToken
from nextpick.wire.dispatch import Route
from nextpick.wire.inprocess import client
from nextpick.wire.paging import position, token

JOBS = [
    {"jobId": f"j{i}", "state": "DONE", "createdAt": 1_700_000_000.5 + i, "progress": 1.0} for i in range(7)
]


def list_jobs(call, request):
    assert call.operation == "ListJobs"
    scope = {"scope": f"{call.operation}/{call.account}/{call.region}", "secret": b"secret"}
    start = position(request.get("nextToken"), **scope)
    end = start + request.get("maxResults", 100)
    return {"jobs": JOBS[start:end], "nextToken": token(end, **scope) if end < len(JOBS) else None}


def test_our_own_service_has_a_client_with_paginators(make_app, connect):
    made = connect(make_app({("nextpick", "ListJobs"): Route(list_jobs)}), "nextpick")
    pages = list(made.get_paginator("list_jobs").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(found["jobs"]) for found in pages] == [3, 3, 1]
    jobs = [job for found in pages for job in found["jobs"]]
    assert [job["jobId"] for job in jobs] == [job["jobId"] for job in JOBS]
    assert jobs[0]["createdAt"].timestamp() == 1_700_000_000.5
    assert "nextToken" not in pages[-1]
    with pytest.raises(made.exceptions.InvalidNextTokenException, match=InvalidNextToken().message):
        made.list_jobs(nextToken="x")
    with pytest.raises(made.exceptions.InvalidInputException, match="QUEUED, RUNNING"):
        made.list_jobs(state="LATE")


def test_a_client_checks_its_parameters_unless_told_otherwise(make_app, loop):
    made = client(make_app({}), loop, "personalize", region="r", access_key=KEY.access_key, secret=KEY.secret)
    with pytest.raises(ParamValidationError):
        made.create_schema(name="s")
    made.close()


def test_nothing_is_read_from_the_environment(make_app, loop, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text("[default]\nregion = nowhere\nendpoint_url = http://127.0.0.1:1\n")
    for name, value in {
        "AWS_PROFILE": "missing",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_PERSONALIZE": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "wrong",
        "AWS_SESSION_TOKEN": "wrong",
        "AWS_REGION": "wrong",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    calls = []
    app = make_app({("personalize", "ListSchemas"): Route(lambda call, r: calls.append(call))})
    made = client(app, loop, "personalize", region="eu-west-1", access_key=KEY.access_key, secret=KEY.secret)
    made.list_schemas()
    assert calls[0][:3] == (KEY.account, "eu-west-1", KEY.access_key)
    made.close()


@pytest.mark.parametrize(
    "wrap", [bytes, io.BytesIO, lambda body: body.decode()], ids=["bytes", "file", "text"]
)
def test_a_body_may_be_bytes_a_file_or_text(make_app, connect, wrap):
    requests = []
    app = make_app({("personalize", "CreateSchema"): Route(lambda call, r: requests.append(r))})
    made = connect(app)
    made.meta.events.register(
        "before-call",
        lambda params, **_: params.update(body=wrap(b'{"name":"s","schema":"x"}')),
    )
    made.create_schema(name="", schema="")
    assert requests == [{"name": "s", "schema": "x"}]


def test_an_answer_may_be_streamed_in_pieces(connect):
    async def app(scope, receive, send):
        text = json.dumps({"schemas": [], "nextToken": "t" * 200_000}).encode()
        headers = [(b"content-type", b"application/x-amz-json-1.1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text[:100_000], "more_body": True})
        await send({"type": "http.response.body", "body": text[100_000:]})

    assert len(connect(app).list_schemas()["nextToken"]) == 200_000


def test_an_application_that_fails_raises_in_the_caller(connect):
    async def app(scope, receive, send):
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        connect(app).list_schemas()
