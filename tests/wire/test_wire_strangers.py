"""What is no call of ours: other methods and paths, other services, mounts, pages of browsers, and noise."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_world import KEY, error_of

from nextpick.wire.dispatch import Route
from nextpick.wire.structs import GetRecommendations, PutEvents

JSON = (b"content-type", b"application/json")
SCOPE = (
    b"AWS4-HMAC-SHA256 Credential=AKID/20261123/us-west-2/%s/aws4_request, SignedHeaders=host, Signature=0"
)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 405, b"UnknownOperationException"),
        ("GET", "/recommendations", 405, b"UnknownOperationException"),
        ("PUT", "/events", 405, b"UnknownOperationException"),
        ("HEAD", "/events", 405, b"UnknownOperationException"),
        ("POST", "/nothing", 404, b"UnknownOperationException"),
        ("GET", "/nothing", 404, b"UnknownOperationException"),
        ("OPTIONS", "/nothing", 404, b"UnknownOperationException"),
        ("OPTIONS", "/", 204, None),
    ],
)
def test_other_methods_and_paths(make_app, call, method, path, status, code):
    answered, headers, body = call(make_app({}), method, path)
    assert answered == status
    assert headers.get(b"x-amzn-errortype") == code
    assert (b"allow" in headers) == (path != "/nothing")
    assert b"x-amzn-requestid" in headers
    if code:
        assert json.loads(body)["__type"] == code.decode()
        assert int(headers[b"content-length"]) == len(body)
    else:
        assert b"content-length" not in headers


@pytest.mark.parametrize("known", [True, False], ids=["our key", "another key"])
@pytest.mark.parametrize(
    ("service_name", "operation", "parameters", "signed_as"),
    [
        ("s3", "list_buckets", {}, "s3"),
        ("s3", "put_object", {"Bucket": "b", "Key": "a//b.csv", "Body": b"x"}, "s3"),
        ("sts", "get_caller_identity", {}, "sts"),
        ("iam", "list_roles", {}, "iam"),
        ("sns", "list_topics", {}, "sns"),
        ("ec2", "describe_regions", {}, "ec2"),
        ("sqs", "list_queues", {}, "sqs"),
        ("stepfunctions", "list_state_machines", {}, "states"),
        ("lambda", "list_functions", {}, "lambda"),
        ("kinesis", "put_record", {"StreamName": "s", "Data": b"x", "PartitionKey": "p"}, "kinesis"),
    ],
)
def test_another_service_s_client_is_told_so_in_its_own_protocol(
    make_app, connect, service_name, operation, parameters, signed_as, known
):
    key = KEY if known else KEY._replace(access_key="AKIDOTHER")
    made = connect(make_app({}), service_name, key=key, parameter_validation=True)
    code, status, text = error_of(getattr(made, operation), **parameters)
    assert (code, status) == ("NotImplemented", 501)
    assert f"'{signed_as}'" in text


def test_a_presigned_url_of_another_service_is_told_so(make_app, call):
    query = (
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fs3%2Faws4_request"
    )
    status, headers, body = call(make_app({}), "GET", "/bucket/key", query=query)
    assert status == 501
    assert headers[b"content-type"] == b"text/xml"
    assert b"<Code>NotImplemented</Code>" in body
    assert b"'s3'" in body


def test_a_mount_answers_for_its_prefix(make_app, call):
    def mount(name):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": f"{name}:{scope['path']}".encode()})

        return app

    mounts = {
        "/gateway": mount("gateway"),
        "/gateway/docs": mount("docs"),
        "/healthz": mount("health"),
        "/": mount("root"),
    }
    app = make_app({}, mounts=mounts)
    assert call(app, "GET", "/gateway")[2] == b"gateway:/gateway"
    assert call(app, "POST", "/gateway/x")[2] == b"gateway:/gateway/x"
    assert call(app, "GET", "/gateway/docs/y")[2] == b"docs:/gateway/docs/y"
    assert call(app, "GET", "/healthz")[2] == b"health:/healthz"
    assert call(app, "GET", "/gatewayish")[2] == b"root:/gatewayish"
    assert call(app, "GET", "/bucket", headers=[(b"authorization", SCOPE % b"s3")])[0] == 501
    assert call(app, "POST", "/events")[0] == 400


@pytest.mark.parametrize(
    "host", [b"localhost:7300", b"127.0.0.1", b"127.8.9.1:80", b"[::1]:7300", b"a.localhost"]
)
def test_without_auth_a_loopback_host_is_served(make_app, call, host):
    calls = []
    routes = {("personalize-runtime", "GetRecommendations"): Route(lambda c, r: calls.append(c))}
    app = make_app(routes, auth=False, region="eu-central-1", account="210987654321")
    assert call(app, path="/recommendations", headers=[(b"host", host), JSON])[0] == 200
    assert calls[0][:2] == ("210987654321", "eu-central-1")
    signed = [(b"host", host), (b"authorization", SCOPE.replace(b"AKID", b"AKIDEXAMPLE") % b"personalize")]
    assert call(app, path="/recommendations", headers=signed)[0] == 200
    assert calls[1][:3] == (KEY.account, "us-west-2", KEY.access_key)
    signed = [(b"host", host), (b"authorization", SCOPE % b"personalize")]
    assert call(app, path="/recommendations", headers=signed)[0] == 200
    assert calls[2][:3] == ("210987654321", "us-west-2", "AKID")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"evil.example")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"10.0.0.1:7300")],
        [(b"host", b"[")],
        [(b"host", b"localhost:7300"), (b"origin", b"http://evil.example")],
        [(b"host", b"localhost:7300"), (b"origin", b"http://localhost:8000")],
        [(b"host", b"localhost:7300"), (b"origin", b"null")],
    ],
)
def test_without_auth_foreign_pages_are_refused(make_app, call, headers):
    app = make_app({("personalize-runtime", "GetRecommendations"): Route(lambda c, r: None)}, auth=False)
    status, answered, _ = call(app, path="/recommendations", headers=[*headers, JSON])
    assert status == 400
    assert answered[b"x-amzn-errortype"] == b"AccessDeniedException"


def test_without_auth_a_page_of_the_same_origin_is_served(make_app, call):
    app = make_app({("personalize-runtime", "GetRecommendations"): Route(lambda c, r: None)}, auth=False)
    headers = [(b"host", b"localhost:7300"), (b"origin", b"http://localhost:7300"), JSON]
    assert call(app, path="/recommendations", headers=headers)[0] == 200


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["/", "/events", "/recommendations", "/x", "//", "/%ff", "/healthz/../"]),
    st.sampled_from(["POST", "GET", "PUT", "BREW"]),
    st.one_of(
        st.binary(max_size=40), st.sampled_from([b"AmazonPersonalize.ListSchemas", b"Nextpick.GetHealth"])
    ),
    st.one_of(
        st.binary(max_size=80),
        st.builds(lambda name: SCOPE % name, st.sampled_from([b"s3", b"personalize", b"", b"/", b"<&>"])),
    ),
    st.one_of(
        st.binary(max_size=60), st.sampled_from([b'{"eventList":[{}]}', b'{"numResults":"5"}', b"[" * 5000])
    ),
    st.booleans(),
)
def test_random_requests_are_refused_in_order(
    make_app, call, path, method, target, authorization, body, auth
):
    routes = {
        ("personalize", "ListSchemas"): Route(lambda c, r: {"schemas": []}),
        ("personalize-runtime", "GetRecommendations"): Route(lambda c, r: b"{}", GetRecommendations, True),
        ("personalize-events", "PutEvents"): Route(lambda c, r: None, PutEvents, True),
    }
    app = make_app(routes, auth=auth)
    headers = [
        (b"host", b"localhost"),
        (b"x-amz-target", target),
        (b"authorization", authorization),
        (b"x-amz-date", target),
    ]
    status, answered, _ = call(app, method, path, headers=headers, body=body, query=target)
    assert status in ({400, 404, 405, 501} if auth else {200, 400, 404, 405, 501})
    assert b"x-amzn-requestid" in answered
    assert (b"x-amzn-errortype" in answered) == (status != 200)
