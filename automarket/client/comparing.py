"""Language models side by side: what each answers, how fast, and for how much."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.client import events as e
from automarket.client.language import asked
from automarket.errors import AutoMarketError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from automarket.assets import Text
    from automarket.client.inputs import InputValue
    from automarket.client.language import ChatInput
    from automarket.client.mesh import Mesh
    from automarket.client.stream import TransformStream

MAX_MODELS = 32


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row: what became of one model.

    Attributes:
        name: as it was asked for.
        model: the model's id; empty when the call came to none.
        provider: where it runs.
        text: what it answered; None when it failed, or what there was of it in `partial`.
        partial: what had come of an answer that failed on the way.
        error: why it failed; None when it did not.
        seconds: from the call to its end.
        first_token_seconds: from the call to its first token, reasoning included; None when there was none.
        tokens: how many it wrote, by its own count or else by the pieces that came.
        cost: what it cost, in `currency`; None when unknown.
        currency: ISO 4217 code.
        came_at_once: all tokens came together.
    """

    name: str
    model: str
    provider: str
    text: Text | None
    partial: str
    error: AutoMarketError | None
    seconds: float
    first_token_seconds: float | None
    tokens: int
    cost: float | None = None
    currency: str = ""
    came_at_once: bool = False

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it wrote; None when it wrote nothing.

        It is its tokens over the time from the first one to the end, or, where all came at once, over all the time.
        """
        if self.first_token_seconds is None or not self.tokens:
            return None
        writing = self.seconds if self.came_at_once else self.seconds - self.first_token_seconds
        return self.tokens / writing if writing > 0 else None


async def compare(
    mesh: Mesh,
    prompt: ChatInput,
    models: Sequence[str],
    options: Mapping[str, Any],
    on_text: Callable[[str, Text], None] | None,
) -> list[Comparison]:
    """Ask several language models the same; see `Mesh.compare`."""
    if not 1 <= len(models) <= MAX_MODELS or isinstance(models, str):
        hint = 'name them: ["model-a", "model-b@provider"]'
        message = f"1 to {MAX_MODELS} models can be compared"
        raise InvalidRequestError(message, hint=hint, fields={"models": f"1 to {MAX_MODELS} names"})
    question = asked(prompt)
    return list(await asyncio.gather(*(_Row(mesh, name, on_text).run(question, options) for name in models)))


class _Row:
    """Asks one model."""

    def __init__(self, mesh: Mesh, name: str, on_text: Callable[[str, Text], None] | None) -> None:
        self._mesh = mesh
        self._name = name
        self._on_text = on_text
        self._begin = 0.0
        self._first: float | None = None
        self._pieces = 0
        self._times = 0

    async def run(self, question: InputValue, options: Mapping[str, Any]) -> Comparison:
        self._begin = time.monotonic()
        model, _, provider = self._name.rpartition("@") if "@" in self._name else (self._name, "", "")
        stream: TransformStream[Any] = self._mesh.stream(
            question, capability="text-to-text", model=model, provider=provider, **options
        )
        error, text = None, None
        async with stream:
            try:
                await self._read(stream)
                text = await stream.result()
            except AutoMarketError as failed:
                error = failed
        return self._row(stream, text, error)

    async def _read(self, stream: TransformStream[Any]) -> None:
        async for event in stream:
            match event:
                case e.TextDelta():
                    self._count(len(event.tokens))
                    if self._on_text is not None:
                        self._on_text(self._name, _piece(event))
                case e.ReasoningDelta():
                    self._count(len(event.tokens))
                case e.ToolCallDelta():
                    self._count(1)
                case _:
                    pass

    def _count(self, pieces: int) -> None:
        self._pieces += pieces
        self._times += 1
        if self._first is None and pieces:
            self._first = time.monotonic() - self._begin

    def _row(self, stream: TransformStream[Any], text: Text | None, error: AutoMarketError | None) -> Comparison:
        so_far = stream.text_so_far
        about = (text or so_far).metadata
        return Comparison(
            name=self._name,
            model=about.model,
            provider=about.provider,
            text=text,
            partial="" if text is not None else so_far.content,
            error=error,
            seconds=time.monotonic() - self._begin,
            first_token_seconds=self._first,
            tokens=about.tokens.completion if about.tokens else self._pieces,
            cost=about.cost,
            currency=about.currency,
            came_at_once=self._times == 1,
        )


def _piece(event: e.TextDelta) -> Text:
    from automarket.assets import Text, TextMetadata

    return Text.from_string(event.text, metadata=TextMetadata(partial=True))
