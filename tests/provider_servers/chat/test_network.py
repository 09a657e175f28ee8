"""Proxies, TLS, redirects, health, and connections that are not there."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import asynccontextmanager

import aiohttp
import pytest

from automarket.errors import BackendFailed, ProviderNotConfigured
from automarket.service_status import ServiceState
from provider_servers.runtime.http.transport import new_http, proxy_for, read, send
from provider_servers.runtime.vendors.health import Health
from provider_servers.runtime.vendors.waits import asked_wait
from tests.provider_servers.chat.asking import VENDORS, talking_to
from tests.provider_servers.chat.test_closing import until
from tests.support.mesh import free_port
from tests.vendors.http import Cut, FakeServer, Reply, Request, answer
from tests.vendors.openai import OpenAI
from tests.vendors.said import KEY, TEXT

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    more = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *more], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


@asynccontextmanager
async def tunnelling():
    """Serve a proxy that knows CONNECT; give its address and what it was asked for."""
    asked: list[str] = []
    tunnels: set[asyncio.Task] = set()

    async def accept(reader, writer):
        tunnels.add(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ")[1]
        asked.append(target)
        host, _, port = target.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def pour(source, sink):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(pour(reader, back), pour(there, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*tunnels), 5)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_tls_is_checked_and_its_failure_is_told(vendor, certificate, monkeypatch):
    context, cert = certificate
    fake, _, _, path = VENDORS[vendor]
    async with FakeServer(fake().handle).serving(context) as server:
        async with talking_to(vendor, base_url=server.url + path) as asked:
            heard = await asked.ask("ok")
        assert heard.error.metadata["retry"] == "other"
        assert type(heard.error) is BackendFailed
        assert "TLS says self" in heard.error.message
        assert "SSL_CERT_FILE" in heard.error.hint
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        async with talking_to(vendor, base_url=server.url + path) as asked:
            server.piece_bytes = 3
            assert (await asked.ask("ok")).text == TEXT


async def test_what_speaks_no_tls_is_told():
    async with talking_to("openai") as asked:
        asked.provider._settings.base_url = asked.fake.url.replace("http", "https")
        heard = await asked.ask("ok")
    assert type(heard.error) is BackendFailed
    assert "TLS says" in heard.error.message


@pytest.mark.parametrize("vendor", VENDORS)
async def test_calls_go_through_the_proxy_of_the_environment(vendor, certificate, monkeypatch):
    context, cert = certificate
    fake, _, _, path = VENDORS[vendor]
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    async with FakeServer(fake().handle).serving(context) as server, tunnelling() as (proxy, tunnels):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with talking_to(vendor, base_url=server.url + path) as asked:
            assert (await asked.ask("ok")).text == TEXT
        assert tunnels
        assert set(tunnels) == {server.url.removeprefix("https://")}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_plain_calls_go_through_a_proxy_too(vendor, monkeypatch):
    async with talking_to(vendor, base_url=f"http://vendor.test{VENDORS[vendor][3]}") as asked:
        monkeypatch.setenv("HTTP_PROXY", asked.fake.url)
        await asked.provider._clients.popitem()[1].close()
        assert (await asked.ask("ok")).text == TEXT
        assert asked.fake.posts[-1].headers["host"] == "vendor.test"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_proxy_that_refuses_is_told(vendor, monkeypatch):
    def refuse(_: Request):
        return answer({}, 407)

    async with FakeServer(refuse).serving() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with talking_to(vendor, base_url="https://vendor.test/v1") as asked:
            heard = await asked.ask("ok")
    assert type(heard.error) is BackendFailed
    assert "HTTPS_PROXY" in heard.error.hint


def test_which_proxy_it_is(monkeypatch):
    assert proxy_for("https://api.vendor.test/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    assert proxy_for("https://api.vendor.test/v1") == "http://proxy.test:3128"
    assert proxy_for("http://api.vendor.test/v1") is None
    monkeypatch.setenv("NO_PROXY", "vendor.test")
    assert proxy_for("https://api.vendor.test/v1") is None
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.test:1080")
    with pytest.raises(ProviderNotConfigured, match="socks5"):
        proxy_for("https://api.vendor.test/v1")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_nobody_there(vendor):
    async with talking_to(vendor, base_url=f"http://127.0.0.1:{free_port()}/v1") as asked:
        heard = await asked.ask("ok")
        status = await asked.provider.service_status()
    assert type(heard.error) is BackendFailed
    assert heard.error.metadata["retry"] == "other"
    assert "127.0.0.1 cannot be reached" in heard.error.message
    assert (status.state, status.healthy) == (ServiceState.FAILED, False)
    assert "cannot be reached" in status.error


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_redirect_is_not_followed_with_a_key(vendor):
    async with FakeServer(OpenAI().handle).serving() as elsewhere:
        async with talking_to(vendor) as asked:
            first = asked.fake._handle

            def redirecting(request):
                reply = first(request)
                return type(reply)(307, headers={"location": f"{elsewhere.url}{request.path}"})

            asked.fake._handle = redirecting
            heard = await asked.ask("ok")
        assert elsewhere.requests == []
    assert type(heard.error) is ProviderNotConfigured
    assert "redirects to http://127.0.0.1" in heard.error.message
    assert "BASE_URL" in heard.error.hint


@pytest.mark.parametrize("vendor", VENDORS)
async def test_health_is_asked_once_without_a_message_that_costs(vendor):
    async with talking_to(vendor) as asked:
        statuses = [await asked.provider.service_status() for _ in range(5)]
        assert {(one.state, one.healthy, one.running) for one in statuses} == {(ServiceState.READY, True, True)}
        assert [one async for one in asked.provider.start_service()] == statuses[:1]
        assert await asked.provider.stop_service() == statuses[0]
        assert asked.fake.posts == []
        path = {"openrouter": "/key"}.get(vendor, "/models")
        assert len(asked.fake.asked(path)) <= 3  # the list of models is the other, of two pages at one vendor
        assert all(KEY in str(one.headers) for one in asked.fake.requests)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_key_that_is_refused_shows_in_the_vendors_health(vendor):
    async with talking_to(vendor, api_key="sk-wrong-0123456789") as asked:
        status = await asked.provider.service_status()
    assert (status.state, status.healthy) == (ServiceState.FAILED, False)
    assert asked.provider.vendor.key_variable in f"{status.error} {status.hint}"


async def test_a_call_that_finds_the_key_revoked_tells_those_who_watch():
    async with talking_to("openai") as asked:
        watch = asked.provider.watch_service()
        assert (await anext(watch)).healthy
        asked.fake._handle = lambda _: answer({"error": {"message": "revoked", "code": "invalid_api_key"}}, 401)
        waiting = asyncio.ensure_future(anext(watch))
        assert type((await asked.ask("ok")).error) is ProviderNotConfigured
        assert not (await asyncio.wait_for(waiting, 1)).healthy
        await watch.aclose()


async def test_a_vendor_that_is_back_is_found_without_anybody_asking():
    there = False

    async def ask():
        if not there:
            raise BackendFailed("not there")

    watch = Health(ask, seconds=0.05).watch()
    assert not (await anext(watch)).healthy
    there = True
    assert (await asyncio.wait_for(anext(watch), 2)).healthy
    await watch.aclose()


async def test_one_model_that_is_not_allowed_says_nothing_of_the_vendor():
    async with talking_to("openai") as asked:
        assert type((await asked.ask("forbidden")).error) is ProviderNotConfigured
        assert (await asked.provider.service_status()).healthy


async def test_what_came_before_a_connection_broke_is_given_first():
    reply = Reply(steps=[b"one", b"two", Cut])
    async with FakeServer(lambda _: reply).serving() as server, new_http(server.url) as http:
        response = await send(http, "GET", server.url)
        await until(lambda: server.open == 0)
        await asyncio.sleep(0.05)  # the end has come, too
        assert await read(response) == b"onetwo"
        with pytest.raises(aiohttp.ClientError):
            await read(response)
        response.close()


async def test_a_request_is_not_made_twice_on_a_connection_that_is_new():
    asked = []

    async def accept(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.append(1)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server, talking_to("openai") as asking:
        await until(lambda: asking.fake.requests)
        port = server.sockets[0].getsockname()[1]
        asking.provider._settings.base_url = f"http://127.0.0.1:{port}/v1"
        heard = await asking.ask("ok")
    assert type(heard.error) is BackendFailed
    assert "closed before there was an answer" in heard.error.message
    assert len(asked) == 1


async def test_a_connection_that_was_closed_meanwhile_is_made_anew():
    async with talking_to("openai") as asked:
        assert (await asked.ask("ok")).text == TEXT
        await until(lambda: asked.fake.open)
        asked.fake.close_connections()
        assert (await asked.ask("ok")).text == TEXT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "9", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "999999999"}, 86400),
        ({"x-ratelimit-reset": "3"}, 3),
        ({"x-ratelimit-reset": "1445412480000"}, 0),
        ({}, None),
    ],
)
def test_how_long_a_vendor_asks_to_wait(headers, seconds):
    assert asked_wait(headers) == seconds
