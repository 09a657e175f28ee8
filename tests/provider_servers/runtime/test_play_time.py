"""How long an input may play."""

from __future__ import annotations

import pytest

from automarket.errors import InputTooLarge
from provider_servers.runtime import AudioFormat, Model, Output, Provider, Role, Slot, TextResult
from provider_servers.runtime.testing import Sample, serving


class Short(Provider):
    id = "short"
    name = "short"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def models(self):
        slot = Slot("audio", Role.SPEECH, audio=AudioFormat("wav", 16000, 1), max_seconds=self._seconds)
        return (Model("short", ("speech-to-text",), (slot,), (Output("text", Role.TEXT),)),)

    async def transform(self, call):
        yield TextResult(str(len(await call.input("audio").data())))


async def test_sound_that_flows_in_is_taken_up_to_its_bound_and_no_longer(media):
    sample = Sample({"audio": media.speech_wav()})  # about 6 s
    async with serving(Short(10)) as served:
        assert (await served.run(sample))[-1].HasField("finished")
    async with serving(Short(3)) as served:
        with pytest.raises(InputTooLarge, match="3 s"):
            await served.run(sample)
