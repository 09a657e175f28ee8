"""The stand-in for whisper-asr-webservice on this host, and a provider that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from automarket.media.wav import wav_header
from provider_servers.runtime.testing import serving
from provider_servers.whisper import WhisperProvider
from services.whisper import WhisperSettings
from tests.backends.whisper.running import running_whisper
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from provider_servers.runtime.testing import Served
    from tests.backends.whisper.running import Backend


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Backend]:
    """Run the stand-in for all tests of a module."""
    require("pocketsphinx")
    with running_whisper(tmp_path_factory.mktemp("whisper")) as backend:
        yield backend


@pytest.fixture
def backend(running) -> Backend:
    running.begin()
    return running


@pytest.fixture
def provider_at(short_dir: Path) -> Callable[..., WhisperProvider]:
    """Give what makes a provider that uses the server at a URL."""

    def made(url: str, **settings: Any) -> WhisperProvider:
        return WhisperProvider(WhisperSettings(base_url=url, state_dir=short_dir, **settings))

    return made


@pytest.fixture
async def served(backend, provider_at) -> AsyncIterator[Served]:
    """Serve a provider that uses the shared stand-in."""
    async with serving(provider_at(backend.url)) as served:
        yield served


@pytest.fixture
def silence(tmp_path) -> Callable[[float], Path]:
    """Give what makes so many seconds of silence: a backend is done with it at once."""

    def made(seconds: float) -> Path:
        path = tmp_path / f"silence-{seconds}.wav"
        size = round(seconds * 16_000) * 2
        path.write_bytes(wav_header(16_000, 1, size) + bytes(size))
        return path

    return made


@pytest.fixture
def sentences(media, tmp_path) -> Callable[..., Path]:
    """Give what makes a recording of a sentence said so many times, with pauses between: 5 s each, and the pause."""

    def made(times: int, pause: float = 2.0) -> Path:
        path = tmp_path / f"sentences-{times}-{pause}.wav"
        one = media.speech_wav().read_bytes()[44:] + bytes(round(pause * 16_000) * 2)
        path.write_bytes(wav_header(16_000, 1, times * len(one)) + times * one)
        return path

    return made
