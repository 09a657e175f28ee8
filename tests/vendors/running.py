"""Stand-ins that run in a thread of their own, for tests whose providers are made outside of an event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from tests.vendors import creatify, fal, replicate
from tests.vendors.anthropic import Anthropic
from tests.vendors.elevenlabs import ElevenLabs
from tests.vendors.http import FakeServer
from tests.vendors.openai import OpenAI
from tests.vendors.openrouter import OpenRouter
from tests.vendors.said import KEY
from tests.vendors.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STAND_INS = {
    "openai": (OpenAI, "/v1"),
    "openai-compatible": (OpenAI, "/v1"),
    "openrouter": (OpenRouter, "/api/v1"),
    "together": (Together, "/v1"),
    "anthropic": (Anthropic, ""),
}
"""Of vendors of language models."""
MEDIA_STAND_INS = {
    "fal": (fal.Fal, ""),
    "replicate": (replicate.Replicate, ""),
    "creatify": (creatify.Creatify, ""),
    "elevenlabs": (ElevenLabs, ""),
}
"""Of vendors that make media."""


class Running:
    """A stand-in in a thread, until it is closed; `fake` is what answers: the usual one, or one that is given."""

    def __init__(self, vendor: str, fake: Any = None) -> None:
        make, path = (STAND_INS | MEDIA_STAND_INS)[vendor]
        self.fake = make() if fake is None else fake
        self.server = FakeServer(self.fake.handle)
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        self.url = self.server.url + path

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        async with self.server.serving():
            self._ready.set()
            await self._stop.wait()


def environment(vendor: str, url: str) -> Mapping[str, str]:
    """Give the variables by which a provider finds a stand-in; of language models, "ok" is one."""
    prefix = f"AUTOMARKET_{vendor.upper().replace('-', '_')}"
    found = {f"{prefix}_API_KEY": KEY, f"{prefix}_BASE_URL": url}
    if vendor == "creatify":
        found |= {f"{prefix}_API_ID": creatify.API_ID, f"{prefix}_UPLOAD_URL": f"{url}/bucket"}
        found |= {f"{prefix}_POLL_INTERVAL": "0.05"}
    if vendor == "replicate":
        found |= {f"{prefix}_POLL_INTERVAL": "0.05"}
    if vendor == "fal":
        found |= {f"{prefix}_REST_URL": url, f"{prefix}_PLATFORM_URL": f"{url}/v1"}
        found |= {f"{prefix}_POLL_SECONDS": "0.05", f"{prefix}_LONGEST_POLL_SECONDS": "0.4"}
    named = {"openai": "ok,tts-1,whisper-1"}.get(vendor, "ok")  # there before the vendor's list is
    return found | ({f"{prefix}_MODELS": named} if vendor in STAND_INS else {})


def start(vendor: str, close: Callable[[Callable[[], None]], object]) -> Iterator[tuple[str, str]]:
    """Start a stand-in whose end `close` is given; give the variables that lead to it."""
    running = Running(vendor)
    close(running.close)
    yield from environment(vendor, running.url).items()
