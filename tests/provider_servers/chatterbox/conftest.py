"""The stand-in for Chatterbox on this host, and a provider that uses it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from provider_servers.chatterbox import ChatterboxProvider
from services.chatterbox import ChatterboxSettings
from tests.provider_servers.calls import calling
from tests.support.docker import serving_backend
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
async def server():
    """Run the stand-in."""
    require("flite")
    async with serving_backend("chatterbox") as backend:
        yield backend


@pytest.fixture
def provider_at(short_dir: Path) -> Callable[[str], ChatterboxProvider]:
    """Give what makes a provider that uses the server at a URL."""

    def made(url: str) -> ChatterboxProvider:
        return ChatterboxProvider(ChatterboxSettings(base_url=url, state_dir=short_dir))

    return made


@pytest.fixture
async def chatterbox(server, provider_at) -> AsyncIterator[object]:
    """Give what calls a provider that uses the stand-in."""
    async with calling(provider_at(server.url)) as call:
        yield call


@pytest.fixture
def starting(monkeypatch, provider_at):
    """Give what runs the stand-in as told by its environment, with a provider that uses it."""
    require("flite")

    @asynccontextmanager
    async def start(**environment: object):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        async with serving_backend("chatterbox") as backend, calling(provider_at(backend.url)) as call:
            yield backend, call

    return start
