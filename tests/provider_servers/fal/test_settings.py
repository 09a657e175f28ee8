"""What a user sets of fal.ai, and what the provider is without it."""

from __future__ import annotations

import pytest

from automarket.errors import ModelUnknown, ProviderNotConfigured
from automarket.secrets import scrub
from provider_servers.fal import FalProvider
from provider_servers.fal.settings import FalSettings
from tests.provider_servers.fal.asking import DEV, finished, shopping, told
from tests.support.gateway import until
from tests.vendors.fal import Fal
from tests.vendors.http import Reply, page

VARIABLES = ("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET", "AUTOMARKET_FAL_API_KEY")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, ""),
        ({"FAL_KEY": " id-0123456789:secret-0123456789\n"}, "id-0123456789:secret-0123456789"),
        ({"FAL_KEY_ID": "id-0123456789", "FAL_KEY_SECRET": "secret-9876543210"}, "id-0123456789:secret-9876543210"),
        ({"FAL_KEY_ID": "id-0123456789"}, ""),
        ({"FAL_KEY": "other-key-0123456789", "AUTOMARKET_FAL_API_KEY": "own-key-0123456789"}, "own-key-0123456789"),
    ],
)
def test_the_key_comes_in_one_piece_or_in_two(given, key, monkeypatch):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert FalSettings().key == key
    assert FalProvider.availability().available == bool(key)
    if ":" in key:
        assert scrub(f"a {key.partition(':')[2]} b") == "a [hidden] b"


def test_without_a_key_the_hint_names_the_variable():
    assert "FAL_KEY" in FalProvider.availability().hint


def test_settings_that_are_none_are_said(monkeypatch):
    monkeypatch.setenv("FAL_KEY", "id-0123456789:secret-0123456789")
    monkeypatch.setenv("AUTOMARKET_FAL_POLL_SECONDS", "never")
    assert "poll_seconds" in FalProvider.availability().reason


async def test_endpoints_that_the_user_names_are_listed_and_those_that_are_none_are_not_there():
    async with shopping(models="acme/kite/dream, acme/none") as shop:
        models = {model.id: model for model in shop.provider.models()}
        assert not models["acme/none"].availability.available
        await until(lambda: shop.provider._endpoints.get("acme/kite/dream") is not None)
        await until(lambda: {one.id: one for one in shop.provider.models()}["acme/kite/dream"].pricing is not None)
        assert {one.id: one for one in shop.provider.models()}["acme/kite/dream"].availability.available
        with pytest.raises((ProviderNotConfigured, ModelUnknown)):
            await shop.call("acme/none").of("text").run()
        with pytest.raises(ModelUnknown):
            await shop.call("acme/nobody").of("text").run()


async def test_another_key_is_taken_while_it_runs():
    async with shopping(api_key="wrong-key-0123456789") as shop:
        with pytest.raises(ProviderNotConfigured):
            await shop.call(DEV).of("text").run()
        shop.provider.configure({"api_key": "sk-planted-0123456789abcdef"})
        assert finished(await shop.call(DEV).of("text").run())


async def test_faults_of_the_vendors_edge_are_waited_out_once_it_has_the_work():
    async with shopping(Fal(running=0.4)) as shop:
        faults = [("stream", page(502)), ("status", page(503)), ("status", Reply(never=True)), ("status", Reply(429))]
        shop.fake.instead.extend(("GET", f"/{end}", reply) for end, reply in faults)
        events = await shop.call(DEV).of("text").run()
        assert finished(events)
        assert told(events)
        assert len(shop.fake.submits) == 1
        assert not shop.fake.instead


async def test_a_result_that_the_edge_answers_for_is_asked_for_again():
    async with shopping() as shop:
        asked = shop.call(DEV).of("text")
        first = []

        def meddle(request, inner=shop.fake.handle):
            is_result = request.method == "GET" and request.path.endswith(
                shop.fake.submits[-1] if shop.fake.submits else "-"
            )
            if is_result and len(first) < 2:
                first.append(request.path)
                return page(502)
            return inner(request)

        shop.server._handle = meddle
        assert finished(await asked.run())
        assert len(first) == 2
