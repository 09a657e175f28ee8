"""A service that answers speech with speech: it hears a question, asks a language model, and speaks the answer.

    automarket up
    python examples/voice_reply.py question.wav reply.wav --model llama3.2

Three providers stream into one another under one deadline and one trace. A sentence is spoken as soon as the language
model has written it, so the voice begins while the model goes on writing. Whatever fails, or runs out of time, ends all
of it, down to the vendor's connection.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import wave
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import automarket
from automarket.client import events
from automarket.rpc import telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SYSTEM = "You talk on the telephone. Answer in a few short sentences, in plain words."
RATE_HERTZ = 16_000
SENTENCES_AHEAD = 2
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


@dataclass(slots=True)
class Notes:
    """What happened, and when, in the event loop's seconds.

    Attributes:
        question: what was heard.
        answer: what the model has written so far.
        traces: ids of the traces of all calls; one, if all is well.
        times: when it was heard, first spoken, written to its end, and spoken to its end.
    """

    question: str = ""
    answer: str = ""
    traces: set[str] = field(default_factory=set[str])
    times: dict[str, float] = field(default_factory=dict[str, float])

    def mark(self, what: str) -> None:
        """Note the time of what happens for the first time."""
        self.times.setdefault(what, asyncio.get_running_loop().time())


class VoiceReply:
    """Answers one question.

    Args:
        mesh: where the models are.
        model: the language model; empty takes any.
        provider: whose; empty takes any.
        seconds: how long all of it may take.
    """

    def __init__(self, mesh: automarket.Mesh, *, model: str = "", provider: str = "", seconds: float = 60.0) -> None:
        self._mesh = mesh
        self._model = model
        self._provider = provider
        self._deadline = asyncio.get_running_loop().time() + seconds
        self.notes = Notes()

    async def answer(self, sound: Path) -> AsyncGenerator[bytes]:
        """Give the voice as it is made: 16-bit samples, one channel, 16 kHz.

        Raises:
            AutoMarketError: one of the three failed, or the time is up.
        """
        sentences: asyncio.Queue[str | None] = asyncio.Queue(SENTENCES_AHEAD)
        writing = asyncio.create_task(self._write(sound, sentences))
        try:
            while (sentence := await self._next(sentences, writing)) is not None:
                async with aclosing(self._speak(sentence)) as samples:
                    async for piece in samples:
                        self.notes.mark("spoken")
                        yield piece
            self.notes.mark("finished")
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _next(self, sentences: asyncio.Queue[str | None], writing: asyncio.Task[None]) -> str | None:
        """Give the next sentence; None when there is none. A failure of the writing is raised."""
        getting = asyncio.ensure_future(sentences.get())
        await asyncio.wait({getting, writing}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        writing.result()
        return None if sentences.empty() else sentences.get_nowait()

    async def _write(self, sound: Path, sentences: asyncio.Queue[str | None]) -> None:
        """Hear the question, and write the answer sentence by sentence."""
        question = automarket.AssetLoader.load(sound)
        async with self._mesh.stream(question, capability="speech-to-text", timeout=self._left()) as hearing:
            async for _ in hearing:
                self.notes.question = hearing.text_so_far.content
        self.notes.traces.add(hearing.report.trace_id)
        self.notes.mark("heard")
        model = await self._mesh.text_to_text(self._model, provider=self._provider)
        asked = [automarket.Message.system(SYSTEM), automarket.Message.user(self.notes.question)]
        rest = ""
        async with model.transform_stream(asked, timeout=self._left()) as stream:
            async for piece in stream:
                self.notes.answer += piece.content
                *whole, rest = _SENTENCE_END.split(rest + piece.content)
                for sentence in whole:
                    await sentences.put(sentence)
            self.notes.traces.add(stream.report.trace_id)
        self.notes.mark("written")
        if rest.strip():
            await sentences.put(rest)
        await sentences.put(None)

    async def _speak(self, sentence: str) -> AsyncGenerator[bytes]:
        form = automarket.AudioFormat("s16le", RATE_HERTZ, 1)
        async with self._mesh.stream(
            sentence, capability="text-to-speech", format=form, store=False, timeout=self._left()
        ) as speaking:
            async for event in speaking:
                if isinstance(event, events.OutputChunk):
                    yield event.data
        self.notes.traces.add(speaking.report.trace_id)

    def _left(self) -> float:
        return max(0.001, self._deadline - asyncio.get_running_loop().time())


async def main() -> None:
    """Answer the question in a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", type=Path)
    parser.add_argument("reply", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--provider", default="")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    telemetry.configure("voice-reply")  # sends spans where OTEL_EXPORTER_OTLP_ENDPOINT says
    telemetry.adopt(())  # one trace for all that this task does
    with wave.open(str(given.reply), "wb") as reply:
        reply.setnchannels(1)
        reply.setsampwidth(2)
        reply.setframerate(RATE_HERTZ)
        async with automarket.connect() as mesh:
            service = VoiceReply(mesh, model=given.model, provider=given.provider, seconds=given.seconds)
            with telemetry.span("voice reply"):
                async with aclosing(service.answer(given.question)) as voice:
                    async for samples in voice:
                        reply.writeframes(samples)
    notes = service.notes
    print(f"heard:    {notes.question}\nanswered: {notes.answer}")
    first, written = (notes.times[name] - notes.times["heard"] for name in ("spoken", "written"))
    print(f"the voice began {first:.2f} s after the question, the model wrote for {written:.2f} s")
    telemetry.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
