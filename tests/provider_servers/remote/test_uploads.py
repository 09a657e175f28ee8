"""Inputs on their way to a vendor: small ones inline, others once per content while their URL lives."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial

import aiohttp
import pytest

from automarket.errors import BackendFailed, InputTooLarge, InvalidRequestError, ProviderNotConfigured, RateLimited
from automarket.media.probe import probe
from provider_servers.fal.refusals import read_refusal
from provider_servers.fal.settings import VENDOR
from provider_servers.runtime.remote import Unanswered, Uploaded, Uploads, VendorApi, Waits
from provider_servers.runtime.remote.pictures import PictureLimit, fitted
from provider_servers.runtime.remote.uploads import data_uri, type_of
from provider_servers.runtime.vendors.upstream import Upstream
from tests.vendors.http import FakeServer, Reply, answer
from tests.vendors.made import made, made_file

QUICK = Waits(retry=0.01)
LOST = Unanswered(BackendFailed("the connection broke"), reached=True)


class Storage:
    """Takes uploads; what is in `faults` comes first."""

    def __init__(self, *faults, seconds=3600.0):
        self.faults = list(faults)
        self.seconds = seconds
        self.names = []

    async def __call__(self, file, media_type, name):
        await asyncio.sleep(0.02)
        if self.faults:
            raise self.faults.pop(0)
        self.names.append(name)
        return Uploaded(f"https://files/{len(self.names)}/{name}", self.seconds)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(made("mp4") + bytes(100_000))
    return path


async def test_small_files_go_within_the_request(tmp_path):
    storage = Storage()
    path = tmp_path / "small"
    path.write_bytes(b"tiny")
    assert await Uploads(QUICK).url_for(path, "image/png", storage) == "data:image/png;base64,dGlueQ=="
    assert await Uploads(QUICK, small_bytes=0).url_for(path, "image/png", storage) != data_uri(b"tiny", "image/png")
    assert len(storage.names) == 1


async def test_the_same_content_goes_up_once_even_at_the_same_time(tmp_path, large):
    storage, uploads = Storage(), Uploads(QUICK)
    twin = tmp_path / "twin"
    twin.write_bytes(large.read_bytes())
    urls = await asyncio.gather(*(uploads.url_for(one, "video/mp4", storage) for one in (large, twin) * 3))
    assert len(set(urls)) == len(storage.names) == 1
    digest = hashlib.sha256(large.read_bytes()).hexdigest()
    assert storage.names == [f"{digest[:16]}.mp4"]
    assert await uploads.url_for(large, "video/mp4", storage, account="other") != urls[0]
    uploads.forget()
    assert await uploads.url_for(large, "video/mp4", storage) != urls[0]


async def test_a_url_that_is_about_to_die_is_not_used(large):
    storage, uploads = Storage(seconds=200), Uploads(QUICK)
    first, second = [await uploads.url_for(large, "video/mp4", storage) for _ in range(2)]
    assert first != second


async def test_an_upload_that_fails_is_tried_again_and_one_that_is_refused_is_not(large):
    storage = Storage(LOST, RateLimited("slow", retry_after=0.01))
    assert await Uploads(QUICK).url_for(large, "video/mp4", storage)
    with pytest.raises(BackendFailed):
        await Uploads(QUICK).url_for(large, "video/mp4", Storage(*[LOST] * 3))
    refusing = Storage(InvalidRequestError("no"), InvalidRequestError("no"))
    with pytest.raises(InvalidRequestError):
        await Uploads(QUICK).url_for(large, "video/mp4", refusing)
    assert len(refusing.faults) == 1


def test_the_type_of_a_file_is_what_its_bytes_say(tmp_path):
    assert type_of(made_file("jpg"), "image/png") == "image/jpeg"
    odd = tmp_path / "odd"
    odd.write_bytes(bytes(100))
    assert (type_of(odd, "x/y"), type_of(odd, "")) == ("x/y", "application/octet-stream")


async def test_a_file_is_sent_as_it_is_read_whole_or_in_parts(large):
    seen = []

    def take(request):
        seen.append((request.method, request.size, request.sha256, request.headers.get("content-type")))
        return answer({}) if request.path != "/no" else Reply(403, b'{"detail": "no"}')

    server = FakeServer(take)
    async with server.serving(), aiohttp.ClientSession() as http:
        upstream = Upstream(VENDOR, lambda: http, server.url, read_refusal, {"authorization": "Key secret"})
        api = VendorApi(upstream, lambda _: http)
        send = partial(api.send_file, "PUT", f"{server.url}/x", large, {"content-type": "video/mp4"})
        await send()
        await send(begin=10, size=1000)
        data = large.read_bytes()
        assert seen[0] == ("PUT", len(data), hashlib.sha256(data).hexdigest(), "video/mp4")
        assert seen[1][1:3] == (1000, hashlib.sha256(data[10:1010]).hexdigest())
        assert all("authorization" not in one.headers for one in server.requests)
        assert all("transfer-encoding" not in one.headers for one in server.requests)
        with pytest.raises(ProviderNotConfigured, match="no"):
            await api.send_file("PUT", f"{server.url}/no", large, {})
        with pytest.raises(Unanswered) as caught:
            await api.send_file("PUT", "http://127.0.0.1:9/x", large, {})
        assert not caught.value.reached


@pytest.mark.parametrize("limit", [PictureLimit(max_side=100), PictureLimit(3000), PictureLimit(3000, 100)])
async def test_a_picture_that_is_too_large_is_made_smaller_in_proportion(limit, tmp_path):
    file, media_type = await fitted(made_file("png"), "image/png", limit, tmp_path)
    facts = (await probe(file)).video
    assert file.stat().st_size <= (limit.max_bytes or 10**9)
    assert max(facts.width, facts.height) <= (limit.max_side or 320)
    assert abs(facts.width / facts.height - 320 / 180) < 0.05
    assert media_type == ("image/jpeg" if limit.max_bytes and facts.width < 320 and not limit.max_side else media_type)
    assert type_of(file, "") == media_type


async def test_a_picture_that_fits_is_left_alone_and_one_that_cannot_fit_is_refused(tmp_path):
    given = made_file("png")
    for limit in (PictureLimit(), PictureLimit(10**6, 320)):
        assert await fitted(given, "image/png", limit, tmp_path) == (given, "image/png")
    with pytest.raises(InputTooLarge):
        await fitted(given, "image/png", PictureLimit(100), tmp_path)
