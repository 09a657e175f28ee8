"""Outputs from a vendor's URLs: whole, resumed, refreshed, and never from where they should not come."""

from __future__ import annotations

import base64
import gzip
from urllib.parse import urlsplit

import aiohttp
import pytest

from automarket.errors import AddressRefused, BackendFailed, MediaLimit
from provider_servers.runtime.http.transport import new_http
from provider_servers.runtime.remote import Downloads, Waits
from provider_servers.runtime.remote.downloads import Expired
from tests.vendors.http import FakeServer, Reply

DATA = bytes(range(256)) * 4096  # 1 MiB
TYPE = {"content-type": "video/mp4; codecs=h264"}
QUICK = Waits(retry=0.01, downloads=4)


class Host:
    """Answers in turn; the last answer is repeated."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def handle(self, _):
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.mp4"
    path.write_bytes(DATA)
    return path


async def fetched(tmp_path, *replies, url="/x.mp4", trusted=True, headers=None, **more):
    """Give what was written, its media type, and the server."""
    server = FakeServer(Host(*replies).handle)
    async with server.serving(), aiohttp.ClientSession() as http:
        own = (urlsplit(server.url).netloc,) if trusted else ()
        downloads = Downloads("Acme", lambda _: http, own, QUICK, **more)
        file = tmp_path / "made"
        whole = server.url + url if url.startswith("/") else url
        media_type = await downloads.fetch(whole, file, headers)
        return file.read_bytes(), media_type, server


async def test_a_file_comes_whole_with_its_type(tmp_path, source):
    data, media_type, _ = await fetched(tmp_path, Reply(file=source, headers=TYPE))
    assert (data, media_type) == (DATA, "video/mp4")


async def test_a_download_that_breaks_off_goes_on_where_it_was(tmp_path, source):
    cut = Reply(file=source, headers=TYPE, breaks_after=300_000)
    data, _, server = await fetched(tmp_path, cut, cut, Reply(file=source, headers=TYPE))
    assert data == DATA
    ranges = [one.headers.get("range") for one in server.requests]
    assert ranges == [None, "bytes=300000-", "bytes=600000-"]
    assert server.requests[1].headers["if-range"] == f'"{len(DATA)}"'


async def test_a_download_of_a_server_without_ranges_begins_anew(tmp_path, source):
    cut = Reply(file=source, headers=TYPE, breaks_after=300_000, ranges=False)
    data, _, server = await fetched(tmp_path, cut, Reply(file=source, headers=TYPE, ranges=False))
    assert data == DATA
    assert [one.headers.get("range") for one in server.requests] == [None, None]


async def test_what_is_busy_is_asked_again_and_what_stays_so_is_said(tmp_path, source):
    busy = Reply(503, headers={"retry-after": "0"})
    data, _, _ = await fetched(tmp_path, busy, Reply(429), Reply(500), Reply(file=source))
    assert data == DATA
    with pytest.raises(BackendFailed, match="answered 503"):
        await fetched(tmp_path, busy)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_url_that_leads_nowhere_has_expired(tmp_path, status):
    with pytest.raises(Expired):
        await fetched(tmp_path, Reply(status))


async def test_an_output_that_is_too_large_is_refused_at_once(tmp_path, source):
    with pytest.raises(MediaLimit):
        await fetched(tmp_path, Reply(file=source), max_bytes=1000)
    with pytest.raises(MediaLimit):
        await fetched(tmp_path, Reply(steps=[DATA]), max_bytes=1000)


@pytest.mark.parametrize(
    "url", ["/x.mp4", "http://localhost:9/x", "http://[::1]:9/x", "file:///etc/passwd", "ftp://x/y"]
)
async def test_a_private_address_that_the_user_did_not_set_is_refused(tmp_path, url):
    with pytest.raises(AddressRefused):
        await fetched(tmp_path, Reply(200, DATA), url=url, trusted=False)


async def test_a_redirect_takes_no_key_along_and_leads_to_no_private_address(tmp_path, source):
    async def through(target):
        server = FakeServer(lambda _: Reply(302, headers={"location": target}))
        other = FakeServer(lambda _: Reply(file=source))
        async with server.serving(), other.serving(), aiohttp.ClientSession() as http:
            own = [urlsplit(one.url).netloc for one in (server, other)]
            place = target or f"{other.url}/y.mp4"
            server._handle = lambda _: Reply(302, headers={"location": place})
            file = tmp_path / "made"
            downloads = Downloads("Acme", lambda _: http, own, QUICK)
            await downloads.fetch(f"{server.url}/x.mp4", file, {"authorization": "Bearer secret"})
            return file.read_bytes(), server.requests, other.requests

    data, first, second = await through("")
    assert data == DATA
    assert first[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in second[0].headers
    with pytest.raises(AddressRefused):
        await through("http://169.254.169.254/latest/meta-data")


async def test_a_name_that_has_come_to_mean_a_private_address_is_refused_when_it_is_connected_to(tmp_path, monkeypatch):
    async def passes(*_):
        pass  # at the check it was a public one

    monkeypatch.setattr(Downloads, "_check", passes)
    server = FakeServer(lambda _: Reply(200, DATA))
    async with server.serving(), new_http("http://localhost", public=True) as http:
        url = f"http://localhost:{urlsplit(server.url).port}/x.mp4"
        with pytest.raises(AddressRefused):
            await Downloads("Acme", lambda _: http, (), QUICK).fetch(url, tmp_path / "made")
    assert server.requests == []


async def test_an_output_that_comes_packed_is_unpacked(tmp_path):
    packed = Reply(200, gzip.compress(DATA), headers={**TYPE, "content-encoding": "gzip"})
    data, _, server = await fetched(tmp_path, packed)
    assert data == DATA
    assert len(server.requests) == 1


async def test_an_address_that_is_none_is_said(tmp_path):
    with pytest.raises(BackendFailed, match="address cannot be read"):
        await fetched(tmp_path, Reply(200, DATA), url="http://[::1/x.mp4")


async def test_a_data_uri_is_an_output(tmp_path):
    uri = f"data:image/png;base64,{base64.b64encode(b'picture').decode()}"
    data, media_type, _ = await fetched(tmp_path, Reply(), url=uri)
    assert (data, media_type) == (b"picture", "image/png")
    assert (await fetched(tmp_path, Reply(), url="data:text/plain,a%20kite"))[0] == b"a kite"
    for bad in ("data:image/png;base64,@@", "data:image/png;base64", "data:,"):
        with pytest.raises(BackendFailed):
            await fetched(tmp_path, Reply(), url=bad)
