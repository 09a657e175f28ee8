"""A provider that takes its whole input and answers with the length: what it costs to give a provider an input.

Run as a process: python -m provider_servers.runtime bench.whole:Whole --listen unix:/p --registry unix:/q
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_servers.runtime import Model, Output, Provider, Role, Slot, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from provider_servers.runtime import Call, Event

MODEL_ID = "whole"


class Whole(Provider):
    """Has its whole input as a file, the way an engine is given it; reads all of it when the option `read` says so."""

    id = MODEL_ID
    name = "Whole"

    def models(self) -> Sequence[Model]:
        """List the one model."""
        inputs = (Slot("audio", Role.AUDIO),)
        outputs = (Output("text", Role.TEXT, ("text/plain",)),)
        options = {"read": {"type": "boolean", "default": False}}
        return (Model(MODEL_ID, ("audio-to-text",), inputs, outputs, options=options),)

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Answer with the length."""
        given = call.input("audio")
        if call.options["read"]:
            length = 0
            async for piece in given.chunks():
                length += len(piece)
        else:
            length = (await given.path()).stat().st_size
        yield TextDelta((str(length),))
