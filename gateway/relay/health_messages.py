"""The messages of `grpc.health.v1.Health`, which a data plane answers itself, read and written without protobuf."""

from __future__ import annotations

import struct

from automarket.errors import InvalidRequestError
from gateway.relay.wire import WireType, fields, message, number, text


def service_of(data: bytes) -> str:
    """Give the service that a HealthCheckRequest asks about, "" for the whole server.

    Raises:
        InvalidRequestError: it is no such message.
    """
    service = b""
    try:
        for field, wire_type, value in fields(data):
            if field == 1 and wire_type == WireType.BYTES and isinstance(value, bytes):
                service = value
        return service.decode()
    except ValueError:
        raise InvalidRequestError("the message is not a HealthCheckRequest") from None


def answer(serving: int) -> bytes:
    """Give a HealthCheckResponse with its five bytes of framing; 1 is SERVING, 2 NOT_SERVING."""
    return _framed(_response(serving))


def listing(states: dict[str, int]) -> bytes:
    """Give a HealthListResponse with its five bytes of framing, from the state of each service."""
    entries = [message(1, text(1, service) + message(2, _response(state))) for service, state in states.items()]
    return _framed(b"".join(entries))


def _response(serving: int) -> bytes:
    return number(1, serving) if serving else b""


def _framed(data: bytes) -> bytes:
    return struct.pack(">BI", 0, len(data)) + data
