"""A load generator: prepared HTTP requests over keep-alive connections, each waiting for its answer.

``python bench/load.py PORT CONNECTIONS SECONDS < requests`` reads requests as JSON strings, one a line, and
prints JSON: count, errors, seconds, p50_ms, p99_ms.
"""

import asyncio
import json
import sys
import time


class _Connection(asyncio.Protocol):
    def __init__(self, requests: list[bytes], start: int, until: float, done: asyncio.Future) -> None:
        self.requests, self.next, self.until, self.done = requests, start, until, done
        self.latencies: list[float] = []
        self.errors = 0
        self.buffer = b""
        self.wanted = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.send()

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])
        self.next += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.wanted < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.wanted = end + 4 + length
            self.errors += not head.startswith(b"http/1.1 200")
        if len(self.buffer) < self.wanted:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent_at)
        self.buffer, self.wanted = b"", -1
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, requests: list[bytes], connections: int, seconds: float) -> dict:
    """Return what ``connections`` clients saw in ``seconds``."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    clients = []
    for i in range(connections):
        done = loop.create_future()
        _, client = await loop.create_connection(
            lambda i=i, done=done: _Connection(requests, i * 97, started + seconds, done), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - started
    latencies = sorted(x for client in clients for x in client.latencies)
    return {
        "count": len(latencies),
        "errors": sum(client.errors for client in clients),
        "seconds": took,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


if __name__ == "__main__":
    import uvloop

    prepared = [json.loads(line).encode("latin-1") for line in sys.stdin]
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(uvloop.run(load(port, prepared, connections, seconds))))
