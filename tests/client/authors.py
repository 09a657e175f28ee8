"""A provider as an author writes it, for what the shipped ones do not do."""

from __future__ import annotations

from provider_servers.runtime import Model, Output, Provider, Role, Segment, Slot, TextResult


class Summariser(Provider):
    """Says something while it works, and the whole text in the end."""

    id = "summariser"
    name = "Summariser"

    def models(self):
        slots, outputs = (Slot("text", Role.TEXT),), (Output("text", Role.TEXT),)
        return (Model(id="short", capabilities=("text-to-text",), inputs=slots, outputs=outputs),)

    async def transform(self, call):
        yield Segment(0.0, 1.0, "on the way")
        yield TextResult("The whole text.", language="en")
