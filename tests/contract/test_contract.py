"""Every provider that is installed keeps the contract."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from gateway.control.validation import check as check_registration
from provider_servers.runtime.installed import GROUP, load
from provider_servers.runtime.testing import CHECKS, answers_in_one_message, serving, succeeds
from tests.contract.samples import SAMPLES, SMALL
from tests.support.require import missing

PROVIDERS = sorted(entry.name for entry in entry_points(group=GROUP))


def made(name):
    provider = load(name)
    availability = provider.availability()
    if not availability.available:
        missing(name, f"{name}: {availability.reason} ({availability.hint})")
    return provider()


def test_the_suite_finds_the_providers():
    assert {"pocketsphinx", "flite", "ffmpeg"} <= set(PROVIDERS)


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_provider_keeps_the_contract(check, name, media):
    async with serving(made(name)) as served:
        await check(served, SAMPLES[name](media)[0])


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_provider_answers_every_sample(name, media):
    async with serving(made(name)) as served:
        for sample in SAMPLES[name](media):
            await succeeds(served, sample)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_provider_answers_in_one_message_what_it_answers_in_chunks(name, media):
    async with serving(made(name)) as served:
        await answers_in_one_message(served, SMALL[name](media))


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_provider_describes_itself_rightly(name):
    async with serving(made(name)) as served:
        check_registration(served.server.describe())
