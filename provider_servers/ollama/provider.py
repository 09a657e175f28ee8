"""Text, conversations and pictures in, text out, token by token, by the models of an Ollama backend: POST /api/chat.

A model that the backend does not have is pulled when it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automarket.errors import AutoMarketError, ModelUnknown
from provider_servers.ollama.answering import Answer
from provider_servers.ollama.asking import engine_options, further_fields, messages
from provider_servers.ollama.client import OllamaClient, is_ready
from provider_servers.ollama.models import offered
from provider_servers.ollama.waits import PULL_SECONDS, SIGN_SECONDS, pulling, with_signs
from provider_servers.runtime import (
    Availability,
    BackedProvider,
    Call,
    Event,
    Model,
    Progress,
    ServiceState,
    runs_in_docker,
    text_options,
    waiting,
)
from provider_servers.runtime.http.transport import new_local_http
from services.ollama import SPEC, OllamaSettings
from services.runtime import OnDemand, make_service

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from provider_servers.ollama.client import HeldModel
    from services.runtime import Lease

_UP = (ServiceState.READY, ServiceState.BUSY, ServiceState.IDLE)
REFRESH_SECONDS = 5.0


class OllamaProvider(BackedProvider):
    """Language models of an Ollama backend."""

    id = "ollama"
    name = "Ollama"
    description = "Language models on this machine by Ollama in Docker; models are pulled at first use."
    aliases = ("ollama-docker",)
    max_concurrent_calls = 16

    def __init__(self, settings: OllamaSettings | None = None, backend: OnDemand | None = None) -> None:
        settings = settings or OllamaSettings()
        super().__init__(backend or OnDemand(make_service(SPEC, settings, is_ready=self._is_ready), settings))
        self._further = [name.strip() for name in settings.models.split(",") if name.strip()]
        self._held: list[HeldModel] = []
        self._contexts: dict[HeldModel, int | None] = {}
        self._following: asyncio.Task[None] | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say whether there is a Docker to run the backend in, or a backend that runs already."""
        return runs_in_docker(OllamaSettings().base_url)

    def models(self) -> Sequence[Model]:
        """List what the backend has, as far as it was ever seen, and what can be pulled."""
        return offered(self._held, self._further)

    async def open(self) -> None:
        """Look for a backend that runs already, and follow what it has."""
        self._http = new_local_http()
        await super().open()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop the backend, where it is the mesh's."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await super().close()
        await self._http.close()

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Answer a conversation. Closing this closes the connection, which stops the backend's work."""
        asked = await messages(await call.conversation())
        async with self._backend.lease() as lease:
            async for status in lease.ready():
                yield waiting(status)
            client = OllamaClient(lease.url, self._http)
            async with aclosing(self._answered(call, asked, client, lease)) as events:
                async for event in events:
                    yield event

    async def _answered(
        self, call: Call, asked: list[dict[str, Any]], client: OllamaClient, lease: Lease
    ) -> AsyncGenerator[Event]:
        """Answer; a model that is not there is pulled, once."""
        for may_pull in (True, False):
            try:
                async with aclosing(_answer(call, asked, client, lease)) as events:
                    async for event in events:
                        yield event
            except ModelUnknown:  # said instead of everything else: nothing has been given yet
                if not may_pull:
                    raise
            else:
                return
            async with aclosing(self._pull(call, client, lease)) as news:
                async for progress in news:
                    yield progress

    async def _pull(self, call: Call, client: OllamaClient, lease: Lease) -> AsyncGenerator[Progress]:
        name, told = call.model.id, 0.0
        call.log(f"model {name} is not there: pulling it")
        yield Progress("pulling", None, f"pulling {name}")
        state = None
        async with aclosing(with_signs(client.pull(name), lease, PULL_SECONDS)) as states:
            async for new in states:
                changed = new is not None and (state is None or new.status != state.status)
                state = new or state
                if state is not None and (changed or time.monotonic() - told > PULL_SECONDS):
                    told = time.monotonic()
                    yield pulling(name, state)
        await self._refresh(client)

    async def _is_ready(self, url: str) -> bool:
        return await is_ready(url, self._http)

    async def _follow(self) -> None:
        """List the backend's models anew when it comes up and when calls have begun or ended."""
        async with aclosing(self._backend.watch()) as states:
            async for status in states:
                if status.state in _UP:
                    await self._refresh(OllamaClient(self._backend.url, self._http))
                    await asyncio.sleep(REFRESH_SECONDS)

    async def _refresh(self, client: OllamaClient) -> None:
        try:
            held = [replace(one, context_tokens=await self._context(client, one)) for one in await client.models()]
        except AutoMarketError:
            return  # it has gone: what it had stays listed, since its volume stays
        if held != self._held:
            self._held = held
            self.models_changed()

    async def _context(self, client: OllamaClient, held: HeldModel) -> int | None:
        """Give how many tokens a model can have in view; that is asked once for each build of it."""
        if held not in self._contexts:
            try:
                self._contexts[held] = await client.context_tokens(held.name)
            except ModelUnknown:  # it was removed meanwhile
                return None
        return self._contexts[held]


async def _answer(call: Call, asked: list[dict[str, Any]], client: OllamaClient, lease: Lease) -> AsyncGenerator[Event]:
    name, options, begin = call.model.id, call.options, time.monotonic()
    parts = client.chat(
        name,
        asked,
        options=engine_options(options),
        keep_alive=options.get("keep_alive"),
        further=further_fields(text_options(call)),
    )
    begun, answer = False, Answer()
    async with aclosing(with_signs(parts, lease, SIGN_SECONDS)) as signs:
        async for part in signs:
            if part is None:
                if not begun:
                    yield Progress("loading", None, f"{name} loads, or reads, for {time.monotonic() - begin:.0f} s")
                continue
            begun = True
            for event in answer.events(part):
                yield event
            if part.ending is not None:
                call.log(f"ended by {part.ending.get('done_reason', 'stop')}")
