"""Connections that are no HTTP/2, and more of them than a worker takes."""

from __future__ import annotations

import asyncio

import pytest

from tests.support import h2
from tests.support.attacked import opening
from tests.support.gateway import until
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

NOT_HTTP2 = {
    "nothing but noise": bytes(range(256)),
    "zeros": bytes(1000),
    "a preface with one letter changed": h2.PREFACE[:-6] + b"sm\r\n\r\n",
    "frames without a preface": h2.settings() + h2.ping(),
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(192),
    "an SSH client": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a PROXY protocol header": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + h2.PREFACE,
}


@pytest.mark.parametrize("sent", NOT_HTTP2.values(), ids=NOT_HTTP2)
async def test_what_is_no_http2_is_hung_up_on_at_once(unharmed, sent):
    async with raw_client(unharmed.public, sent, preface=b"") as client:
        await client.gone(2)


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/1.1", b"POST /automarket.v1.ModelService/Transform HTTP/1.1", b"GET / HTTP/1.0", b"PUT /x HTTP/1.1"],
)
async def test_an_http_1_request_gets_an_answer_that_a_person_can_read(unharmed, request_line):
    async with raw_client(unharmed.public, request_line + b"\r\nhost: mesh\r\n\r\n", preface=b"") as client:
        await client.gone(2)
        head, _, body = bytes(client.raw).partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        assert status == b"HTTP/1.1 505 HTTP Version Not Supported"
        assert b"content-length: %d" % len(body) in [line.lower() for line in lines]
        assert b"HTTP/2" in body


async def test_an_upgrade_to_h2c_is_not_taken(unharmed):
    """HTTP/2 by upgrade is obsolete: no gRPC client asks for it."""
    upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: \r\n"
    asked = b"GET / HTTP/1.1\r\nhost: mesh\r\n" + upgrade + b"\r\n"
    async with raw_client(unharmed.public, asked, preface=b"") as client:
        await client.gone(2)
        assert bytes(client.raw).startswith(b"HTTP/1.1 505")


async def test_a_first_frame_that_is_not_settings_ends_the_connection(unharmed):
    async with raw_client(unharmed.public, h2.ping(), settle=False) as client:
        assert await client.judged() == Verdict("goaway", h2.PROTOCOL_ERROR)


async def test_settings_that_only_acknowledge_do_not_count_as_the_first(unharmed):
    async with raw_client(unharmed.public, h2.frame(h2.SETTINGS, h2.ACK, 0), settle=False) as client:
        await client.send(h2.ping())
        assert await client.judged() == Verdict("goaway", h2.PROTOCOL_ERROR)


async def test_a_preface_that_comes_byte_by_byte_is_a_preface(unharmed):
    # An answer to the gateway's SETTINGS must not go out in the middle of a frame of one's own: it is one of the bytes.
    async with raw_client(unharmed.public, preface=b"", polite=False) as client:
        for byte in h2.PREFACE + h2.settings() + h2.frame(h2.SETTINGS, h2.ACK, 0):
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        await client.settled()


async def test_a_client_that_goes_at_any_point_of_its_request_leaves_nothing(unharmed):
    whole = h2.PREFACE + h2.settings() + h2.headers(1, h2.block(h2.request())) + h2.data(1, opening("echo"), end=True)
    before = unharmed.descriptors()
    for size in range(0, len(whole), 7):
        _, writer = await asyncio.open_connection(*unharmed.public.rsplit(":", 1))
        writer.write(whole[:size])
        await writer.drain()
        writer.transport.abort()
    async with raw_client(unharmed.public) as client:
        await client.sync()
    # Connections to providers are kept for a while, 32 for each.
    await until(lambda: unharmed.descriptors() < before + 70, 10, "descriptors are given back")


async def test_a_connection_more_than_the_limit_is_turned_away_and_the_rest_go_on(unharmed):
    clients = []
    try:
        for _ in range(1000):
            reader, writer = await asyncio.open_connection(*unharmed.public.rsplit(":", 1))
            writer.write(h2.PREFACE + h2.settings())
            clients.append((reader, writer))
        async with raw_client(unharmed.public, settle=False) as above:
            await above.gone(5)
            verdict = above.verdict()
            assert verdict in (Verdict("closed"), Verdict("goaway", h2.ENHANCE_YOUR_CALM))
        reader, writer = clients[500]
        await asyncio.wait_for(reader.readexactly(9), 5)
    finally:
        for _, writer in clients:
            writer.close()
    async with asyncio.timeout(10):
        while True:  # the places are free again as soon as the gateway has noticed
            async with raw_client(unharmed.public, settle=False) as client:
                stream_id = await client.call(h2.request(), opening("echo"), end=True)
                if await client.judged(stream_id) == Verdict("status", 0):
                    break
