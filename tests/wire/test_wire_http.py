"""The server on a real socket."""

import contextlib
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_world import CAMPAIGN, KEY, answer, post, read_all

from nextpick.wire.dispatch import Route, Unsettled
from nextpick.wire.http import LARGEST_HEADERS


def test_a_real_client_on_a_real_socket(serve):
    port, _ = serve(auth=True)
    made = botocore.session.Session().create_client(
        "personalize-runtime",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEY.access_key,
        aws_secret_access_key=KEY.secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
    for user in ("a", "b"):
        response = made.get_recommendations(campaignArn=CAMPAIGN, userId=user)
        assert response["recommendationId"] == user
        assert response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    with pytest.raises(ClientError, match="regular expression"):
        made.get_recommendations(campaignArn="nonsense", userId="u")
    made.close()


def test_a_connection_is_kept_and_headers_hold_no_surprises(serve, dial):
    connection = dial(serve()[0])
    for user in ("a", "b"):
        connection.sendall(post(user))
        status, headers, body = answer(connection)
        assert (status, body) == (200, b'{"recommendationId":"%s"}' % user.encode())
        assert set(headers) == {"date", "content-type", "x-amzn-requestid", "content-length"}


def test_pipelined_requests_are_answered_in_order(serve, dial):
    connection = dial(serve()[0])
    connection.sendall(post("a") + post("b") + post("c", headers=[b"Connection: close"]))
    text = read_all(connection)
    assert text.count(b"HTTP/1.1 200 OK") == 3
    assert text.index(b'"a"') < text.index(b'"b"') < text.index(b'"c"')


def test_a_pipelined_request_may_arrive_in_pieces(serve, dial):
    connection = dial(serve()[0])
    for cut in (10, 100, len(post("b")) - 3):
        connection.sendall(post("a") + post("b")[:cut])
        assert answer(connection)[2] == b'{"recommendationId":"a"}'
        connection.sendall(post("b")[cut:])
        assert answer(connection)[2] == b'{"recommendationId":"b"}'


@pytest.mark.parametrize("begun", [b"", b"POST", post()[:60], b"\r\n"])
def test_headers_that_do_not_arrive_in_time_close_the_connection(serve, dial, begun):
    connection = dial(serve(header_timeout_s=0.2)[0])
    connection.sendall(begun)
    assert read_all(connection) == b""


def test_headers_that_trickle_close_the_connection(serve, dial):
    connection = dial(serve(header_timeout_s=0.3)[0])
    connection.sendall(b"POST / HTTP/1.1\r\n")
    connection.settimeout(0.02)
    for _ in range(1000):
        try:
            connection.sendall(b"X-A: b\r\n")
            if connection.recv(1) == b"":
                return
        except TimeoutError:
            continue
        except ConnectionError:
            return
    pytest.fail("the connection stayed open")


def test_the_deadline_holds_for_every_request_of_a_connection_and_not_between_them(serve, dial):
    connection = dial(serve(header_timeout_s=0.3)[0])
    for _ in range(2):
        connection.sendall(post())
        assert answer(connection)[0] == 200
        time.sleep(0.5)  # idle for longer than headers may take
    connection.sendall(post()[:50])
    assert read_all(connection) == b""


def test_headers_that_are_too_large_are_refused(serve, dial):
    connection = dial(serve()[0])
    sender = threading.Thread(
        target=send_quietly, args=(connection, b"POST / HTTP/1.1\r\nX: " + b"x" * (2 * LARGEST_HEADERS))
    )
    sender.start()
    assert read_all(connection).startswith(b"HTTP/1.1 431 ")
    sender.join()


def send_quietly(connection, data):
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_a_body_that_stops_arriving_is_answered_and_the_connection_closed(serve, dial):
    connection = dial(serve(body_timeout_s=0.2)[0])
    connection.sendall(post(body=b"{", headers=[b"Content-Length: 100"]))
    text = read_all(connection)
    assert text.startswith(b"HTTP/1.1 408 ")
    assert b"RequestTimeoutException" in text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(serve, dial):
    connection = dial(serve(max_body_bytes=1000)[0])
    connection.sendall(post(body=b"", headers=[b"Content-Length: 100000000000"]))
    sender = threading.Thread(target=send_quietly, args=(connection, b"x" * 5_000_000))
    sender.start()
    text = read_all(connection)
    sender.join()
    assert text.startswith(b"HTTP/1.1 413 ")
    assert b"RequestEntityTooLargeException" in text


def test_a_chunked_body_is_read_and_limited(serve, dial):
    port, _ = serve(max_body_bytes=1000)
    connection = dial(port)
    chunked = [b"Transfer-Encoding: chunked"]
    connection.sendall(post(body=b'a\r\n{"userId":\r\n5\r\n"abc"\r\n1\r\n}\r\n0\r\n\r\n', headers=chunked))
    assert answer(connection)[2] == b'{"recommendationId":"abc"}'
    connection.sendall(post(body=b"7d0\r\n" + b"x" * 2000, headers=chunked))
    assert read_all(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(serve, dial):
    connection = dial(serve()[0])
    body = b'{"userId":"late"}'
    expecting = [b"Expect: 100-continue", b"Content-Length: %d" % len(body)]
    connection.sendall(post(body=b"", headers=expecting))
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert answer(connection)[2] == b'{"recommendationId":"late"}'


def test_a_client_that_asks_before_it_sends_too_much_is_told_so(serve, dial):
    connection = dial(serve(max_body_bytes=1000)[0])
    connection.sendall(post(body=b"", headers=[b"Expect: 100-continue", b"Content-Length: 2000"]))
    assert read_all(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    ],
)
def test_what_is_no_http_is_refused(serve, dial, text):
    port, _ = serve()
    connection = dial(port)
    connection.sendall(text)
    assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    connection = dial(port)
    connection.sendall(post())
    assert answer(connection)[0] == 200


def test_an_upgrade_to_http_2_is_declined(serve, dial):
    connection = dial(serve()[0])
    upgrade = [
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    ]
    connection.sendall(post("a", headers=upgrade))
    assert answer(connection)[2] == b'{"recommendationId":"a"}'


def test_a_head_request_is_answered_without_a_body(serve, dial):
    connection = dial(serve()[0])
    connection.sendall(b"HEAD /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert body == b""


def test_the_end_of_the_server_answers_those_who_wait(serve, dial):
    asked = threading.Event()

    def describe(call, request):
        asked.set()
        return Unsettled({"schema": {"name": "waiting"}}, 3600)

    port, stop = serve({("personalize", "DescribeSchema"): Route(describe)})
    idle, waiting = dial(port), dial(port)
    body = b'{"schemaArn":"%s"}' % CAMPAIGN.encode()
    request = post(body=body, headers=[b"X-Amz-Target: AmazonPersonalize.DescribeSchema"])
    waiting.sendall(request.replace(b"/recommendations", b"/"))
    assert asked.wait(20)
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(stop)
        assert answer(waiting)[2] == b'{"schema":{"name":"waiting"}}'
        assert read_all(idle) == b""
        stopped.result(30)


def test_a_large_body_within_the_limit_arrives_whole(serve):
    port, _ = serve()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = b'{"name":"s","schema":"%s","newer":"%s"}' % (b"x" * 20_000, b"y" * 5_000_000)
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonPersonalize.CreateSchema"}
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    assert response.read() == b'{"schemaArn":"20000"}'
    connection.close()


def test_random_bytes_end_in_an_answer_or_a_closed_connection(serve, dial):
    port, _ = serve(header_timeout_s=1.0, body_timeout_s=1.0)

    @settings(max_examples=80, deadline=None)
    @given(st.integers(0, 200), st.binary(max_size=60), st.integers(0, 200))
    def send(start, junk, end):
        text = post("a", headers=[b"X-Amz-Target: AmazonPersonalize.ListSchemas"])
        connection = dial(port)
        connection.sendall(text[:start] + junk + text[end:])
        connection.shutdown(socket.SHUT_WR)
        heard = read_all(connection)
        assert heard == b"" or heard.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.1 100"))
        connection.close()

    send()
    connection = dial(port)
    connection.sendall(post())
    assert answer(connection)[0] == 200
