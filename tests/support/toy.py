"""Small real providers that tests need beside the shipped ones: `provider_servers.runtime tests.support.toy:Clock`."""

from __future__ import annotations

import asyncio

from provider_servers.runtime import (
    AudioFormat,
    Availability,
    Model,
    Output,
    Progress,
    Provider,
    Role,
    Segment,
    Slot,
    TextDelta,
)


class Clock(Provider):
    """Says how long the caller has left, then waits for its end."""

    id = "clock"
    name = "clock"
    max_concurrent_calls = 64

    def models(self):
        return (
            Model(
                id="clock",
                capabilities=("text-to-text",),
                inputs=(Slot("text", Role.TEXT),),
                outputs=(Output("text", Role.TEXT),),
            ),
        )

    async def transform(self, call):
        yield Progress("running", message=f"{call.deadline}")
        await asyncio.sleep(30)
        yield TextDelta(("late",))


class Parrot(Provider):
    """Another provider of speech-to-text, which hears nothing and says so."""

    id = "parrot"
    name = "parrot"
    max_concurrent_calls = 64

    @classmethod
    def availability(cls):
        return Availability()

    def models(self):
        return (
            Model(
                id="parrot",
                capabilities=("speech-to-text",),
                inputs=(Slot("audio", Role.SPEECH, audio=AudioFormat("wav", 16000, 1)),),
                outputs=(Output("text", Role.TEXT),),
            ),
        )

    async def transform(self, call):
        async for _ in call.input("audio").chunks():
            pass
        yield Segment(0.0, 1.0, "polly")
