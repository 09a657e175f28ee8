"""Text in, text out, token by token, by any server of OpenAI's chat completions: POST /chat/completions."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import aiohttp
import msgspec

from automarket.errors import BackendFailed
from provider_servers.runtime.chat.compatible.refusals import read_refusal
from provider_servers.runtime.chat.compatible.request import Dialect, request_body
from provider_servers.runtime.chat.compatible.stream import CompletionStream
from provider_servers.runtime.chat.exchange import read_answer
from provider_servers.runtime.text_options import text_options
from provider_servers.runtime.vendors.provider import VendorProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream
    from provider_servers.runtime.vendors.vendor import RemoteSettings

PATH = "/chat/completions"
_OF_STREAMS = ("stream", "stream_options")


class CompatibleProvider(VendorProvider):
    """Language models of a server that speaks this API. A vendor's class describes where it differs.

    Class attributes, beside those of every vendor: `dialect`; `own_options`, JSON Schemas of what only this vendor
    takes, sent as it is; `models_path` and `check_path`, of which the second needs the key; `asks_again`, for servers
    that end a stream without a word where they refuse a call: such a call is made once more without a stream.
    """

    dialect: ClassVar[Dialect] = Dialect()
    own_options: ClassVar[Mapping[str, object]] = {}
    models_path: ClassVar[str] = "/models"
    check_path: ClassVar[str] = "/models"
    asks_again: ClassVar[bool] = False

    @abstractmethod
    def read_models(self, body: bytes) -> list[Model]:
        """Read the vendor's list of models."""
        ...

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key."""
        return {"authorization": f"Bearer {settings.key}"} if settings.key else {}

    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        return read_refusal(status, headers, body)

    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Ask the vendor for its models."""
        return self.read_models(await upstream.get(self.models_path))

    async def check(self, upstream: Upstream) -> None:
        """Make a request that is free of charge and needs the key; raises when it fails."""
        await upstream.get(self.check_path)

    async def answer(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        """Run a model."""
        model, own = call.model.id, {name: call.options[name] for name in self.own_options if name in call.options}
        asked = await request_body(model, await call.conversation(), text_options(call), self.dialect, own)
        async with aclosing(self._exchange(asked, upstream, self.asks_again)) as events:
            try:
                async for event in events:
                    yield event
            except _EndedSilentlyError:
                pass
            else:
                return
        whole = {name: value for name, value in asked.items() if name not in _OF_STREAMS}
        async with aclosing(self._exchange(whole, upstream)) as events:
            async for event in events:
                yield event

    async def _exchange(
        self,
        asked: Mapping[str, Any],
        upstream: Upstream,
        tells_silence: bool = False,
    ) -> AsyncGenerator[Event]:
        """Ask once.

        Raises:
            _EndedSilentlyError: the stream ended and had held nothing, where that is to be told.
        """
        model, body = asked["model"], msgspec.json.encode(asked)
        async with upstream.post(PATH, body, model=model, options=self.dialect.option_names()) as response:
            reader = CompletionStream(self.vendor, model, response.headers)
            async with aclosing(read_answer(response, reader, upstream)) as events:
                try:
                    async for event in events:
                        yield event
                except (BackendFailed, aiohttp.ClientPayloadError) as error:
                    ended = reader.has_ended or isinstance(error, aiohttp.ClientPayloadError)
                    if tells_silence and reader.is_silent and ended:
                        raise _EndedSilentlyError from None
                    raise


class _EndedSilentlyError(Exception):
    """A stream ended and had held nothing. Never leaves this module."""
