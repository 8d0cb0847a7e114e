"""Gateway: a direct route beside the engine's own signed GetRecommendations in the same run.

``python bench/gateway.py [--seconds S] [--rounds N]``. One worker, 16 connections, the default recipe on MovieLens 1M
(NEXTPICK_DATA; random data of its size without it). Rounds take turns; the ratio is that of each round.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from nextpick.gateway.store import GatewayStore
from serve import Server, campaign, measure

CONNECTIONS = 16


def document(arn: str) -> dict:
    """Return an API with the route that the examples have, validated and answered from the engine."""
    user = {"name": "user_id", "in": "query", "required": True, "schema": {"type": "string"}}
    integration = {
        "type": "recommendations",
        "campaignArn": arn,
        "userId": "method.request.querystring.user_id",
        "numResults": "method.request.querystring.numResults",
    }
    return {
        "openapi": "3.0.1",
        "info": {"title": "bench"},
        "x-amazon-apigateway-request-validators": {"params": {"validateRequestParameters": True}},
        "x-amazon-apigateway-request-validator": "params",
        "paths": {"/recommend": {"get": {"parameters": [user], "x-nextpick-integration": integration}}},
    }


def deploy(home: Path, arn: str, **settings: object) -> str:
    """Deploy the API and return the path of its stage."""
    store = GatewayStore(home)
    api = store.deploy(
        f"bench {settings}", "dev", document(arn), account="000000000000", region="us-east-1", variables={},
        settings=settings, now=0.0,
    )  # fmt: skip
    store.close()
    return f"/gateway/{api}/dev"


def get(path: str, users: list[str]) -> list[bytes]:
    """Return requests of users to a stage."""
    head = "HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n"
    return [f"GET {path}/recommend?user_id={user} {head}".encode() for user in users]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "home")
        server.start()
        try:
            arn, _, users = campaign(server, "aws-user-personalization")
            users = users[:2000]
            asked = {
                "engine, signed": [
                    server.signed("/recommendations", {"campaignArn": arn, "userId": user}) for user in users
                ],
                "direct route": get(deploy(server.home, arn), users),
                "direct route, no access log": get(deploy(server.home, arn, accessLog=""), users),
                "direct route, throttled": get(deploy(server.home, arn, throttlingRateLimit=1e6), users),
                "direct route, cached": get(deploy(server.home, arn, cacheTtlInSeconds=60), users),
            }
            found: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
            for requests in asked.values():
                measure(server.worker(), server.port, requests, 1, 0.5)
            for _ in range(options.rounds):
                for name, requests in asked.items():
                    found[name].append(
                        measure(server.worker(), server.port, requests, CONNECTIONS, options.seconds)
                    )
        finally:
            server.stop()
    engine = found["engine, signed"]
    for name, rounds in found.items():
        ratio = median(own["rate"] / other["rate"] for own, other in zip(rounds, engine, strict=True))
        cpu = median(own["cpu_us"] for own in rounds)
        print(
            f"{name}: {median(r['rate'] for r in rounds):.0f}/s, {ratio:.2f} of the engine's rate; "
            f"{cpu:.0f} us CPU a request, p50 {median(r['p50_ms'] for r in rounds):.2f} ms"
        )


if __name__ == "__main__":
    main()
