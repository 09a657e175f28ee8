"""Fetching URLs: a real server on the loopback, which only `allow_private` reaches."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ssl
import subprocess
import tempfile
from contextlib import asynccontextmanager

import pytest

from automarket.assets import AssetLoader, Audio, Role, Speech
from automarket.assets.fetch import is_public
from automarket.errors import (
    AddressRefused,
    InputEmpty,
    InputTooLarge,
    InputUnsuitable,
    InvalidRequestError,
    MediaRefused,
    NotFoundError,
    UnavailableError,
)


class Site:
    """Answers by path; keeps the requests that came."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.requests: list[str] = []
        self.url = ""

    async def answer(self, reader, writer):
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            writer.write(
                self.pages.get(
                    request.split()[1].partition("?")[0], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                )
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def page(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def served(pages, *, tls=None, host="127.0.0.1"):
    site = Site(pages)
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    site.url = f"{'https' if tls else 'http'}://{host}:{port}"
    async with server:
        yield site


@pytest.fixture(autouse=True)
def spools(tmp_path, monkeypatch):
    """Let temporary files be made in a folder of their own, and give what lies there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: [path.name for path in tmp_path.glob("automarket-*")]


async def test_what_a_url_gives_is_an_asset_with_a_file_of_its_own(media):
    data = media.speech_wav().read_bytes()
    async with served({"/talk": page(data, f"Content-Length: {len(data)}")}) as site:
        asset = await AssetLoader.from_url(f"{site.url}/talk", allow_private=True)
        assert type(asset) is Audio
        assert asset.read_bytes() == data
        speech = await AssetLoader.from_url(f"{site.url}/talk", allow_private=True, as_=Role.SPEECH)
        assert type(speech) is Speech
    path = asset.path
    assert path is not None
    assert path.exists()
    del asset
    gc.collect()
    assert not path.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "127.1", "0.0.0.0"])
async def test_private_addresses_are_refused_however_they_are_written(host):
    async with served({"/": page(b"words")}) as site:
        port = site.url.rpartition(":")[2]
        with pytest.raises((AddressRefused, UnavailableError, InvalidRequestError)):
            await AssetLoader.from_url(f"http://{host}:{port}/")
        assert site.requests == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/x", "gopher://x", "/etc/passwd", "http:///x", "data:,x"]
)
async def test_other_schemes_are_refused(url):
    with pytest.raises((AddressRefused, InvalidRequestError)):
        await AssetLoader.from_url(url, allow_private=True)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("172.16.5.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
    ],
)
def test_an_address_is_public_or_not_also_when_it_wraps_another(address, public):
    assert is_public(address) is public


async def test_redirects_are_followed_each_checked_and_not_for_ever():
    pages = {
        "/one": page(b"", "Location: /two", status="302 Found"),
        "/two": page(b"words at last"),
        "/file": page(b"", "Location: file:///etc/passwd", status="301 Moved"),
        "/loop": page(b"", "Location: /loop", status="307 Again"),
    }
    async with served(pages) as site:
        asset = await AssetLoader.from_url(f"{site.url}/one", allow_private=True, as_=Role.TEXT)
        assert asset.content == "words at last"
        with pytest.raises(AddressRefused, match="file URLs"):
            await AssetLoader.from_url(f"{site.url}/file", allow_private=True)
        before = len(site.requests)
        with pytest.raises(UnavailableError, match="redirects more than 5"):
            await AssetLoader.from_url(f"{site.url}/loop", allow_private=True)
        assert len(site.requests) - before == 6


async def test_too_many_bytes_are_refused_declared_or_not_and_leave_no_file(spools):
    bomb = gzip.compress(bytes(5_000_000))
    pages = {
        "/declared": page(b"x" * 2000, "Content-Length: 2000"),
        "/silent": page(b"x" * 2000),
        "/bomb": page(bomb, "Content-Encoding: gzip"),
    }
    async with served(pages) as site:
        for path in pages:
            with pytest.raises(InputTooLarge, match="more than 1,000 bytes"):
                await AssetLoader.from_url(site.url + path, allow_private=True, max_bytes=1000)
    assert spools() == []


async def test_what_is_not_there_or_broken_says_so_without_what_may_be_secret(spools):
    pages = {
        "/denied": page(b"", status="403 Forbidden"),
        "/broken": page(b"", status="502 Bad Gateway"),
        "/short": page(b"words", "Content-Length: 500"),
        "/empty": page(b"", "Content-Length: 0"),
        "/list": page(b"#EXTM3U\n/etc/passwd\n"),
        "/noise": page(bytes(range(256))),
    }
    wanted = {
        "/none": NotFoundError,
        "/denied": NotFoundError,
        "/broken": UnavailableError,
        "/short": UnavailableError,
        "/empty": InputEmpty,
        "/list": MediaRefused,
        "/noise": InputUnsuitable,
    }
    async with served(pages) as site:
        for path, error in wanted.items():
            with pytest.raises(error) as caught:
                await AssetLoader.from_url(
                    f"{site.url.replace('//', '//user:pass@')}{path}?token=sesame", allow_private=True
                )
            assert "sesame" not in str(caught.value)
            assert "pass" not in str(caught.value)
        assert "Authorization: Basic dXNlcjpwYXNz" in site.requests[0]
    assert spools() == []


async def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(UnavailableError, match="cannot be fetched"):
        await AssetLoader.from_url("http://127.0.0.1:1/x", allow_private=True)
    with pytest.raises(UnavailableError, match="is not known"):
        await AssetLoader.from_url("http://no-such-host.invalid/x")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Give a certificate for the name "localhost" that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run([*new, "-keyout", str(key), "-out", str(cert), *subject], check=True, capture_output=True)
    return cert, key


async def test_https_goes_to_the_checked_address_and_still_checks_the_name(certificate, monkeypatch):
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with served({"/": page(b"words")}, tls=context, host="localhost") as site:
        with pytest.raises(UnavailableError):
            await AssetLoader.from_url(f"{site.url}/", allow_private=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        asset = await AssetLoader.from_url(f"{site.url}/", allow_private=True, as_=Role.TEXT)
        assert asset.content == "words"
        assert "Host: localhost" in site.requests[-1]
        with pytest.raises(UnavailableError):
            await AssetLoader.from_url(site.url.replace("localhost", "127.0.0.1") + "/", allow_private=True)
