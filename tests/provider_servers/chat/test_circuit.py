"""A vendor that fails again and again is not asked for a while, nor is one that asked to wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from automarket.errors import BackendFailed, ContextTooLong, RateLimited, VendorFailing, VendorOverloaded
from automarket.service_status import ServiceState
from tests.provider_servers.chat.asking import VENDORS, talking_to
from tests.provider_servers.chat.test_closing import until
from tests.support.mesh import free_port
from tests.vendors.http import page
from tests.vendors.said import TEXT

OPEN_SECONDS = 0.4
QUICK = {"breaker_failures": 3, "breaker_seconds": OPEN_SECONDS}


async def errors_of(asked, model, count):
    return [(await asked.ask(model)).error for _ in range(count)]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_model_that_fails_again_and_again_is_not_asked_for_a_while(vendor):
    async with talking_to(vendor, **QUICK) as asked:
        *failed, refused = await errors_of(asked, "html-502", 4)
        assert {type(error) for error in failed} == {BackendFailed}
        assert type(refused) is VendorFailing
        assert len(asked.fake.posts) == 3
        assert "failed 3 times in a row" in refused.message
        assert "502" in refused.message
        assert 0 < refused.retry_after <= OPEN_SECONDS
        assert refused.metadata["circuit"] == "open"
        assert refused.metadata.get("retry", refused.retry) == "other"
        assert (await asked.ask("ok")).text == TEXT  # another model has a circuit of its own
        status = await asked.provider.service_status()
        assert (status.state, status.healthy) == (ServiceState.READY, True)
        assert "html-502 is not asked for" in status.message
        await asyncio.sleep(OPEN_SECONDS)
        again, refused = await errors_of(asked, "html-502", 2)
        assert (type(again), type(refused)) == (BackendFailed, VendorFailing)
        assert OPEN_SECONDS < refused.retry_after <= 2 * OPEN_SECONDS, "longer each time"


async def test_a_vendor_that_cannot_be_reached_is_not_asked_for_any_model():
    async with talking_to("openai", **QUICK) as asked:
        provider, there = asked.provider, asked.provider._settings.base_url
        watch = provider.watch_service()
        assert (await anext(watch)).healthy
        provider._settings.base_url = f"http://127.0.0.1:{free_port()}/v1"
        waiting = asyncio.ensure_future(anext(watch))
        for model in ("ok", "tools", "ok"):
            assert type((await asked.ask(model)).error) is BackendFailed
        error = (await asked.ask("length")).error
        assert type(error) is VendorFailing
        assert "cannot be reached" in error.message
        told = await asyncio.wait_for(waiting, 2)
        status = await provider.service_status()
        for one in (told, status):
            assert (one.state, one.healthy) == (ServiceState.FAILED, False)
            assert "not asked for now" in one.error
        assert "tried again in" in status.hint
        provider._settings.base_url = there
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(OPEN_SECONDS)
        assert (await asked.ask("length")).text == "Once"
        assert (await asyncio.wait_for(waiting, 2)).healthy
        assert (await provider.service_status()).message == ""
        await watch.aclose()


async def test_one_call_finds_out_whether_it_is_well_again_and_the_next_one_where_that_gives_up():
    async with talking_to("openai", **QUICK) as asked:
        well = asked.fake._handle
        asked.fake._handle = lambda _: page(500)
        await errors_of(asked, "stalled-before", 3)
        asked.fake._handle = well
        await asyncio.sleep(OPEN_SECONDS)
        task = asyncio.create_task(asked.ask("stalled-before"))
        await until(lambda: len(asked.fake.posts) == 4)
        for heard in await asyncio.gather(*(asked.ask("stalled-before") for _ in range(3))):
            assert type(heard.error) is VendorFailing
            assert heard.error.metadata["circuit"] == "half-open"
            assert heard.error.retry_after == 1
        assert len(asked.fake.posts) == 4
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: asked.fake.dropped)
        asked.fake._handle = lambda request: well(request) if request.method == "GET" else page(500)
        assert type((await asked.ask("stalled-before")).error) is BackendFailed


@pytest.mark.parametrize("scenario", ["context", "no-such-model", "forbidden", "conflict", "no-quota"])
async def test_what_is_not_the_vendors_fault_opens_nothing(scenario):
    async with talking_to("openai", **QUICK) as asked:
        errors = await errors_of(asked, scenario, 8)
        assert VendorFailing not in {type(error) for error in errors}
        assert len(asked.fake.posts) == 8


async def test_an_answer_in_between_begins_the_count_anew():
    async with talking_to("openai", **QUICK) as asked:
        well, fails = asked.fake._handle, iter([True, True, False, True, True, True])
        asked.fake._handle = lambda request: page(500) if request.method == "POST" and next(fails) else well(request)
        found = [type((await asked.ask("context")).error) for _ in range(7)]
        assert found == [BackendFailed] * 2 + [ContextTooLong] + [BackendFailed] * 3 + [VendorFailing]


async def test_a_breaker_of_nought_never_opens():
    async with talking_to("openai", breaker_failures=0) as asked:
        assert {type(error) for error in await errors_of(asked, "html-502", 8)} == {BackendFailed}


@pytest.mark.parametrize("vendor", ["openai", "openrouter", "together", "anthropic"])
async def test_who_asked_to_wait_is_not_asked_meanwhile(vendor):
    async with talking_to(vendor) as asked:
        first, second = await errors_of(asked, "rate-limit", 2)
        assert (type(first), type(second)) == (RateLimited, RateLimited)
        assert len(asked.fake.posts) == 1
        assert first.retry_after - 2 < second.retry_after < first.retry_after
        assert second.metadata["asked"] == "no"
        assert (await asked.ask("ok")).text == TEXT


async def test_a_wait_that_is_over_is_over_and_a_guess_is_none():
    async with talking_to("openrouter") as asked:
        begin = time.monotonic()
        assert {type(error) for error in await errors_of(asked, "later", 2)} == {VendorOverloaded}
        assert len(asked.fake.posts) == 1
        asked.provider._circuits._clock = lambda: time.monotonic() + 3
        assert type((await asked.ask("later")).error) is VendorOverloaded
        assert len(asked.fake.posts) == 2
        assert time.monotonic() - begin < 30
    async with talking_to("openai") as asked:
        await errors_of(asked, "slow-down", 2)  # it does not say how long
        assert len(asked.fake.posts) == 2


async def test_new_settings_forget_what_was():
    async with talking_to("openai", **QUICK) as asked:
        await errors_of(asked, "html-502", 3)
        asked.provider.configure({"timeout": 9})
        assert type((await asked.ask("html-502")).error) is BackendFailed
