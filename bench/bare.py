"""The floor of serving: a raw ASGI application that answers 25 items whatever it is asked, under uvicorn.

``python bench/bare.py PORT``
"""

import json
import sys

import uvicorn

ITEMS = [{"itemId": str(1000 + i), "score": round(0.0123456 - i * 0.0001, 7)} for i in range(25)]
BODY = json.dumps({"itemList": ITEMS, "recommendationId": "RID-" + "0" * 25 + "-CID-000000"}).encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(scope, receive, send):
    """Read the body, send the answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off", log_level="error",
                access_log=False)  # fmt: skip
