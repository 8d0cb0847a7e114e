"""How the parts of functions talk over sockets of this machine: a head in JSON, then bytes.

A frame is the lengths of both, four bytes each, big endian, then both.
"""

import asyncio
import socket
import struct
from typing import Any

import msgspec

Frame = tuple[dict[str, Any], bytes]

_LENGTHS = struct.Struct("!II")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return a frame."""
    told = msgspec.json.encode(head)
    return _LENGTHS.pack(len(told), len(body)) + told + body


async def read(reader: asyncio.StreamReader) -> Frame:
    """Return the next frame. Raises asyncio.IncompleteReadError at the end of the stream."""
    head, body = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    return _decode(await reader.readexactly(head)), await reader.readexactly(body) if body else b""


def receive(sock: socket.socket) -> Frame:
    """Return the next frame. Raises EOFError at the end of the stream, TimeoutError."""
    head, body = _LENGTHS.unpack(_exactly(sock, _LENGTHS.size))
    return _decode(_exactly(sock, head)), _exactly(sock, body)


def _exactly(sock: socket.socket, size: int) -> bytes:
    pieces = []
    while size:
        piece = sock.recv(min(size, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
