"""A text while a language model writes it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Self

from automarket.assets import Text, TextMetadata
from automarket.client import events as e

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from automarket.chat.messages import ReasoningPart, ToolCall
    from automarket.client.results import Report
    from automarket.client.stream import TransformStream


class TextStream:
    """A text while it is written. Iterating gives its pieces as Text, each once; leaving the `async with` cancels it.

    `await stream.final()` runs what is left and gives the whole Text. Reasoning and tool calls are no part of the text:
    see `reasoning_so_far`, `tool_calls_so_far` and the metadata of the whole Text.
    """

    def __init__(self, stream: TransformStream[Text]) -> None:
        self.events = stream
        self._pieces = _pieces(stream)

    def __aiter__(self) -> AsyncIterator[Text]:
        """Give the pieces that have not been given yet, as they come; `metadata.partial` is True for each."""
        return self._pieces

    async def __aenter__(self) -> Self:
        """Give the stream itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what still runs."""
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel what still runs; what was billed stops with it where the vendor can stop."""
        await self._pieces.aclose()
        await self.events.aclose()

    async def final(self) -> Text:
        """Run what is left and give the whole text; its metadata has usage, cost and how it ended.

        Raises:
            AutoMarketError: the call failed, or was cancelled before.
        """
        await self._pieces.aclose()
        return await self.events.result()

    @property
    def request_id(self) -> str:
        """The call's request_id, by which the provider's diagnostics know it."""
        return self.events.request_id

    @property
    def text_so_far(self) -> Text:
        """The text as far as it has come; `metadata.partial` tells whether it is only its beginning."""
        return self.events.text_so_far

    @property
    def reasoning_so_far(self) -> tuple[ReasoningPart, ...]:
        """What the model thought, as far as it has come."""
        return self.events.answer_so_far.reasoning

    @property
    def tool_calls_so_far(self) -> tuple[ToolCall, ...]:
        """The tool calls, as far as they have come; the arguments of the last one may be cut."""
        return self.events.answer_so_far.tool_calls

    @property
    def report(self) -> Report:
        """How it went so far."""
        return self.events.report


async def _pieces(stream: TransformStream[Text]) -> AsyncGenerator[Text]:
    """Give pieces of text. A text that comes as bytes, which replace its pieces, is given where there were none."""
    model = provider = ""
    given = False
    decoder = codecs.getincrementaldecoder("utf-8")()
    async for event in stream:
        words = ""
        match event:
            case e.Accepted():
                model, provider = event.model_id, event.provider_id
            case e.TextDelta():
                words = event.text
                given = True
            case e.OutputChunk() if not given:
                words = decoder.decode(event.data)
            case _:
                pass
        if words:
            about = TextMetadata(model=model, provider=provider, partial=True, request_id=stream.request_id)
            yield Text.from_string(words, metadata=about)
