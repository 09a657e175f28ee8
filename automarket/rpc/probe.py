"""Ask a server by grpc.health.v1 whether it takes work: python -P -m automarket.rpc.probe ADDRESS [SERVICE].

It is the health check of containers, which runs every few seconds in each of them. Importing gRPC would cost a quarter
of a second of processor time each time, so the frames of this one call are written and read here.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 3.0

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
_SERVING = b"\0\0\0\0\x02\x08\x01"  # a HealthCheckResponse of 2 bytes: field 1 is SERVING


def is_serving(address: str, service: str = "", seconds: float = SECONDS) -> bool:
    """Tell whether the server at "unix:/path" or "host:port" takes work; with a name, whether that service does.

    Raises:
        OSError: nobody answers there, or not in time.
    """
    with _connect(address, seconds) as connection:
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0) + _request(service.encode()))
        for kind, payload in _answer(connection):
            if kind == _DATA:
                return payload == _SERVING
            if kind in (_RST_STREAM, _GOAWAY):
                break
    return False


def _connect(address: str, seconds: float) -> socket.socket:
    if not address.startswith("unix:"):
        host, _, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), seconds)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds)
        connection.connect(address.removeprefix("unix:"))
    except BaseException:
        connection.close()
        raise
    return connection


def _request(service: bytes) -> bytes:
    """Give the frames of Check: header fields of HPACK's static table and literals, then one message."""
    path = b"/grpc.health.v1.Health/Check"
    block = b"\x83\x86" + b"\x01\x09localhost" + b"\x04" + bytes([len(path)]) + path  # POST, http, authority, path
    block += b"\x0f\x10\x10application/grpc" + b"\x00\x02te\x08trailers"
    message = b"\x0a" + bytes([len(service)]) + service if service else b""
    framed = b"\0" + len(message).to_bytes(4) + message
    return _frame(_HEADERS, _END_HEADERS, 1, block) + _frame(_DATA, _END_STREAM, 1, framed)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _answer(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Give kind and payload of each frame, until the call or the connection ends."""
    with connection.makefile("rb") as stream:
        while len(head := stream.read(9)) == 9:
            kind, flags = head[3], head[4]
            yield kind, stream.read(int.from_bytes(head[:3]))
            if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
                return


def main(arguments: list[str]) -> int:
    """Say what the server says; the exit code is 0 when it takes work."""
    if len(arguments) not in (1, 2) or any(len(one.encode()) > 100 for one in arguments[1:]):
        sys.stderr.write("usage: python -P -m automarket.rpc.probe ADDRESS [SERVICE]\n")
        return 2
    try:
        serving = is_serving(arguments[0], "".join(arguments[1:]))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{arguments[0]} does not answer: {error}\n")
        return 1
    sys.stdout.write("serving\n" if serving else "not serving\n")
    return 0 if serving else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
