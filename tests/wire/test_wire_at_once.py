"""An answer from memory, sent without a task, is the answer that the application gives with one."""

import time

from wire_world import CAMPAIGN, answer, post, read_all

from nextpick.errors import ResourceNotFound
from nextpick.wire.dispatch import Route
from nextpick.wire.structs import GetRecommendations


def routes(handler):
    """Return a table with one operation that is served on the event loop."""
    return {("personalize-runtime", "GetRecommendations"): Route(handler, GetRecommendations, True)}


def in_two_pieces(connection, request):
    """Send a request so that its last byte comes by itself, as the application then reads it."""
    connection.sendall(request[:-1])
    time.sleep(0.05)
    connection.sendall(request[-1:])


def test_whole_and_in_pieces_a_request_has_the_same_answer(serve, dial):
    calls = []

    def handler(call, request):
        calls.append(request.userId)
        return b'{"recommendationId":"%s"}' % request.userId.encode()

    connection = dial(serve(routes(handler))[0])
    connection.sendall(post("a"))
    whole = answer(connection)
    in_two_pieces(connection, post("a"))
    pieces = answer(connection)
    for status, headers, body in (whole, pieces):
        assert (status, body) == (200, b'{"recommendationId":"a"}')
        assert headers["content-type"] == "application/json"
    assert set(whole[1]) == set(pieces[1])
    assert whole[1]["x-amzn-requestid"] != pieces[1]["x-amzn-requestid"]
    assert calls == ["a", "a"]


def test_an_error_is_the_applications(serve, dial):
    def handler(call, request):
        raise ResourceNotFound(f"There is no {request.userId}.")

    connection = dial(serve(routes(handler))[0])
    connection.sendall(post("a"))
    whole = answer(connection)
    in_two_pieces(connection, post("a"))
    assert (whole[0], whole[2]) == (404, answer(connection)[2])
    connection.sendall(post(body=b'{"campaignArn": 7}'))
    assert answer(connection)[1]["x-amzn-errortype"] == "SerializationException"


def test_a_handler_that_has_to_wait_is_waited_for_and_asked_once(serve, dial):
    calls = []

    async def handler(call, request):
        calls.append(request.userId)
        return b"{}"

    connection = dial(serve(routes(handler))[0])
    connection.sendall(post("a"))
    assert answer(connection)[2] == b"{}"
    assert calls == ["a"]


def test_answers_keep_the_order_of_a_pipeline_of_both_kinds(serve, dial):
    async def later(request):
        return b'{"recommendationId":"%s"}' % request.userId.encode()

    def handler(call, request):
        if request.userId in "bd":
            return later(request)
        return b'{"recommendationId":"%s"}' % request.userId.encode()

    connection = dial(serve(routes(handler))[0])
    connection.sendall(b"".join(map(post, "abcde")) + post("f", headers=[b"Connection: close"]))
    text = read_all(connection)
    assert text.count(b"HTTP/1.1 200 OK") == 6
    places = [text.index(b'"%s"' % user.encode()) for user in "abcdef"]
    assert places == sorted(places)


def test_a_body_over_the_limit_is_refused(serve, dial):
    connection = dial(serve(routes(lambda call, request: b"{}"), max_body_bytes=60)[0])
    connection.sendall(post(body=b'{"campaignArn": "%s"}' % CAMPAIGN.encode()))
    assert answer(connection)[0] == 413


def test_a_connection_that_rests_too_long_is_closed(serve, dial, monkeypatch):
    monkeypatch.setattr("nextpick.wire.http.KEEP_ALIVE_S", 0.5)
    connection = dial(serve(routes(lambda call, request: b"{}"), header_timeout_s=0.2)[0])
    for _ in range(4):
        connection.sendall(post("a"))
        assert answer(connection)[0] == 200
        time.sleep(0.2)
    assert read_all(connection) == b""
