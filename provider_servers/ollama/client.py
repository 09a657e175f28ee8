"""Ollama's HTTP API, and nothing else.

Source: `docs/openapi.yaml` and `server/routes.go` of ollama/ollama, 2026-05.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from automarket.errors import AutoMarketError, BackendFailed, ProviderBusy
from provider_servers.ollama.faults import line_error, pull_error, status_error
from provider_servers.ollama.lines import read_lines
from provider_servers.ollama.pulling import PullProgress, PullState
from provider_servers.runtime.http.transport import is_success, send

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

ANSWER_SECONDS = 10.0
LOAD_SECONDS = 360.0  # a model that is not loaded is loaded inside its first request; Ollama gives it 5 minutes
TOKEN_SECONDS = 120.0
PULL_IDLE_SECONDS = 60.0
BUSY_DELAYS = (0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model that the backend has: its full name ("llama3.2:latest"), bytes, and what is said of it.

    Attributes:
        context_tokens: how many tokens it can have in view; None where that is not known.
    """

    name: str
    size: int
    family: str = ""
    parameters: str = ""
    quantization: str = ""
    capabilities: tuple[str, ...] = ()
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ChatPart:
    """What one read brought of an answer.

    Attributes:
        tokens: pieces of text, in order.
        thoughts: pieces of what the model thinks aloud, which is no part of the answer.
        tool_calls: calls of tools, each whole: `function` with its name and its arguments, and newer servers' `id`.
        ending: the last object of the stream, or None: why it ended, and counts. Zeros are left out.
    """

    tokens: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    ending: Mapping[str, Any] | None = None


class OllamaClient:
    """Speaks with one backend.

    Args:
        url: its base address, e.g. "http://127.0.0.1:11434".
        http: makes the requests; it is not closed here.
        pull_idle_seconds: how long a pull may bring nothing.
    """

    def __init__(self, url: str, http: aiohttp.ClientSession, *, pull_idle_seconds: float = PULL_IDLE_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._http = http
        self._pull_idle_seconds = pull_idle_seconds

    async def version(self) -> str:
        """Give the version of the backend; it answers as soon as it runs."""
        return str((await self._ask("GET", "/api/version"))["version"])

    async def models(self) -> list[HeldModel]:
        """List the models that the backend has."""
        return [_held(one) for one in (await self._ask("GET", "/api/tags")).get("models") or ()]

    async def loaded(self) -> list[str]:
        """List the names of the models that are in memory."""
        return [str(one["name"]) for one in (await self._ask("GET", "/api/ps")).get("models") or ()]

    async def show(self, model: str) -> dict[str, Any]:
        """Give what the backend knows of a model.

        Raises:
            ModelUnknown: it does not have it.
        """
        return await self._ask("POST", "/api/show", {"model": model}, model)

    async def context_tokens(self, model: str) -> int | None:
        """Give how many tokens a model can have in view; None where the backend does not say.

        Raises:
            ModelUnknown: it does not have it.
        """
        facts: Mapping[str, Any] = (await self.show(model)).get("model_info") or {}
        found = facts.get(f"{facts.get('general.architecture')}.context_length")
        return found if isinstance(found, int) and found > 0 else None

    async def delete(self, model: str) -> None:
        """Remove a model.

        Raises:
            ModelUnknown: it does not have it.
        """
        await self._ask("DELETE", "/api/delete", {"model": model}, model)

    async def pull(self, model: str) -> AsyncGenerator[PullState]:
        """Fetch a model; give how far it is. Closing this ends the pull, whose bytes are kept for the next one.

        Raises:
            ModelUnknown: Ollama's library does not have it.
            BackendFailed: the pull failed or stood still.
        """
        progress = PullProgress()
        body = {"model": model, "stream": True}
        try:
            async with self._stream("/api/pull", body, model) as response:
                lines = read_lines(
                    response, first_seconds=self._pull_idle_seconds, idle_seconds=self._pull_idle_seconds
                )
                async with aclosing(lines):
                    async for batch in lines:
                        for line in batch:
                            if "error" in line:
                                raise pull_error(str(line["error"]), model)
                            yield progress.take(line)
                        if batch[-1].get("status") == "success":
                            return
        except BackendFailed as error:
            if error.metadata.get("upstream_code") == "500":
                raise pull_error(error.message, model) from None
            raise
        raise BackendFailed(f"the pull of model {model} was cut off", metadata={"phase": "pulling", "model": model})

    async def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        options: Mapping[str, Any] | None = None,
        keep_alive: float | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[ChatPart]:
        """Answer a conversation; give the text as it comes. Closing this stops the backend's work.

        Args:
            model: name of the model.
            messages: the conversation.
            options: of the engine.
            keep_alive: seconds that the model stays in memory afterwards.
            further: more fields of the request: `format`, `tools`, `think`.

        Raises:
            ModelUnknown: the backend does not have the model.
            ContextTooLong: the conversation has more tokens than the model has in view.
            InvalidRequestError: it cannot do what is asked.
            ProviderBusy: it has too much to do.
            BackendFailed: it failed, or the stream ended before its end marker.
        """
        # What is over the context would be left out without a word.
        asked = {"model": model, "messages": list(messages), "stream": True, "truncate": False}
        body: dict[str, Any] = asked | dict(further or {})
        if options:
            body["options"] = dict(options)
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        async with self._stream("/api/chat", body, model) as response:
            lines = read_lines(response, first_seconds=LOAD_SECONDS, idle_seconds=TOKEN_SECONDS)
            async with aclosing(lines):
                async for batch in lines:
                    fault = next((number for number, line in enumerate(batch) if "error" in line), None)
                    part = _part(batch[:fault])
                    if part != ChatPart():
                        yield part
                    if fault is not None:
                        raise line_error(batch[fault], model)
                    if part.ending is not None:
                        return
        raise BackendFailed(
            "Ollama's stream ended before its end marker", metadata={"phase": "running", "model": model}
        )

    async def _ask(self, method: str, path: str, body: Any = None, model: str = "") -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await self._send(method, path, body)
                try:
                    content = await response.read()
                finally:
                    response.close()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable(error) from error
        if not is_success(response):
            raise status_error(response.status, content, model)
        try:
            return msgspec.json.decode(content) if content else {}
        except ValueError:
            raise BackendFailed("Ollama answered with what is no JSON", metadata={"phase": "running"}) from None

    async def _send(self, method: str, path: str, body: Any = None) -> aiohttp.ClientResponse:
        written = None if body is None else msgspec.json.encode(body)
        headers = None if body is None else {"content-type": "application/json"}
        return await send(self._http, method, self._url + path, body=written, headers=headers)

    @asynccontextmanager
    async def _stream(self, path: str, body: Mapping[str, Any], model: str) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Give an answer that is streamed; leaving the block closes the connection."""
        try:
            response = await self._begin(path, body, model)
            try:
                yield response
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable(error) from error

    async def _begin(self, path: str, body: Mapping[str, Any], model: str) -> aiohttp.ClientResponse:
        """Ask; a backend that has too much to do is asked again, as it has done nothing yet."""
        delays = list(BUSY_DELAYS)
        while True:
            async with asyncio.timeout(LOAD_SECONDS):
                response = await self._send("POST", path, body)
            if is_success(response):
                return response
            try:
                error = status_error(response.status, await response.read(), model)
            finally:
                response.close()
            if not isinstance(error, ProviderBusy) or not delays:
                raise error
            await asyncio.sleep(delays.pop(0))


async def is_ready(url: str, http: aiohttp.ClientSession) -> bool:
    """Tell whether a backend answers there."""
    try:
        return bool(await OllamaClient(url, http).version())
    except (AutoMarketError, KeyError):
        return False


def unreachable(error: aiohttp.ClientError | TimeoutError) -> BackendFailed:
    """Give the error for a connection that broke or was not made."""
    said = str(error) or type(error).__name__
    return BackendFailed(f"the connection to Ollama failed: {said}", metadata={"phase": "running"})


def _held(model: Mapping[str, Any]) -> HeldModel:
    details: Mapping[str, Any] = model.get("details") or {}
    return HeldModel(
        str(model["name"]),
        int(model.get("size", 0)),
        str(details.get("family", "")),
        str(details.get("parameter_size", "")),
        str(details.get("quantization_level", "")),
        tuple(model.get("capabilities") or ()),
    )


def _part(batch: Sequence[Mapping[str, Any]]) -> ChatPart:
    messages: list[Mapping[str, Any]] = [line.get("message") or {} for line in batch]
    tokens = tuple(str(message["content"]) for message in messages if message.get("content"))
    thoughts = tuple(str(message["thinking"]) for message in messages if message.get("thinking"))
    tool_calls = tuple(call for message in messages for call in message.get("tool_calls") or ())
    ending = next((line for line in batch if line.get("done")), None)
    return ChatPart(tokens, thoughts, tool_calls, ending)
