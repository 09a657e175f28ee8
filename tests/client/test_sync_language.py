"""Language models without async."""

from __future__ import annotations

import asyncio

import pytest

from automarket import Message, TextToTextOptions, sync
from automarket.client import language
from automarket.client.text_stream import TextStream
from automarket.errors import EndedError, ModelUnknown
from provider_servers.runtime import TextDelta
from provider_servers.runtime.testing import serving
from tests.client.conftest import until_complete
from tests.support.chatter import Chatter


@pytest.fixture
async def chatter(gateway):
    async with serving(Chatter(), gateway.control) as served:
        await until_complete(gateway.address, {"chatter"})
        yield served.provider


async def test_a_script_talks_with_a_model(gateway, chatter):
    def script() -> None:
        with sync.connect(gateway.address) as mesh:
            model = mesh.provider("chatter").text_to_text("chatter")
            assert model.transform("hi there", TextToTextOptions(seed=1)).content == "hi there"
            messages = [Message.system("Be brief."), {"role": "user", "content": "one two three"}]
            assert model.transform_conversation(messages).metadata.tokens.completion == 3
            stream = model.transform_stream(messages)
            first = next(iter(stream))
            assert first.content.startswith("one ")
            assert first.metadata.partial
            assert first.content + "".join(piece.content for piece in stream) == "one two three"
            assert stream.final().content == "one two three"
            assert stream.request_id == stream.final().metadata.request_id
            assert (stream.reasoning_so_far, stream.tool_calls_so_far) == ((), ())
            assert stream.report.accepted.model_id == "chatter"
            assert model.transform_stream("at once").final().content == "at once"
            assert mesh.text_to_text("plain").id == "plain"
            rows = mesh.compare("hi there", ["chatter", "nobody"])
            assert rows[0].text.content == "hi there"
            assert isinstance(rows[1].error, ModelUnknown)

    await asyncio.to_thread(script)
    assert chatter.asked[0].options.seed == 1


async def test_closing_a_stream_cancels_the_call(gateway, chatter):
    chatter.script = [TextDelta(("a",)), 60.0]

    def script() -> None:
        with sync.connect(gateway.address) as mesh, mesh.text_to_text("chatter").transform_stream("hi") as stream:
            assert next(iter(stream)).content == "a"
        with pytest.raises(EndedError):
            stream.final()

    await asyncio.to_thread(script)
    await asyncio.wait_for(chatter.asked[0].ended.wait(), 0.5)


@pytest.mark.parametrize(
    ("twin", "original", "left_out"),
    [
        (sync.TextToTextModel, language.TextToTextModel, set()),
        (sync.TextStream, TextStream, {"aclose"}),
    ],
)
def test_the_twin_has_every_method(twin, original, left_out):
    public = {name for name in dir(original) if not name.startswith("_")}
    assert public - left_out <= set(dir(twin))
