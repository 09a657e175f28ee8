"""Media in: speech, cast to 16 kHz mono. Media out: text, in segments as they are found, window by window.

Engine: faster-whisper 1.1 or later in child processes; its models are CTranslate2 conversions from Hugging Face.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError
from provider_servers.faster_whisper.collected import Collected
from provider_servers.faster_whisper.engine import Asking, Plan
from provider_servers.faster_whisper.engines import Engines
from provider_servers.faster_whisper.models import as_model, conversions
from provider_servers.faster_whisper.settings import FasterWhisperSettings
from provider_servers.faster_whisper.standing import Standing
from provider_servers.faster_whisper.weights import find
from provider_servers.runtime import (
    Availability,
    Call,
    Event,
    Model,
    Progress,
    Provider,
    ServiceState,
    ServiceStatus,
    Started,
    TextResult,
    Usage,
    waiting,
)
from provider_servers.runtime.backed import UNSEEN
from provider_servers.runtime.recording import windows_of
from provider_servers.runtime.subtitles import FORMS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from provider_servers.faster_whisper.engines import Engine
    from provider_servers.runtime.windows import Window


class FasterWhisperProvider(Provider):
    """Whisper in this machine's own processes, without Docker and without a key."""

    id = "faster-whisper"
    name = "faster-whisper"
    description = "Speech-to-text by Whisper on this machine, without Docker; models are fetched at first use."
    max_concurrent_calls = 2

    def __init__(self, settings: FasterWhisperSettings | None = None) -> None:
        self._settings = settings or FasterWhisperSettings()
        self._conversions = conversions(self._settings.models)
        self._usual = next(iter(self._conversions))
        self._standing = Standing(self._usual)
        self._engines = Engines(self.max_concurrent_calls, self._settings.idle_seconds)

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the engine is installed."""
        if find_spec("faster_whisper") is None:
            return Availability(
                available=False,
                reason="the faster-whisper package is not installed",
                hint="pip install 'automarket[faster-whisper]'",
            )
        return Availability()

    def models(self) -> Sequence[Model]:
        """List the models, here or not."""
        return [as_model(name, conversion) for name, conversion in self._conversions.items()]

    async def open(self) -> None:
        """See whether the usual model is here."""
        self._standing.found(here=self._is_here(self._usual))

    async def close(self) -> None:
        """End the engines."""
        await self._engines.close()

    async def start_service(self) -> AsyncIterator[ServiceStatus]:
        """Fetch and load the usual model; give how far that is."""
        name = self._usual
        async with self._engines.lend(self._plan(name)) as engine, aclosing(self._made_ready(engine, name)) as news:
            async for _ in news:
                yield self._standing.latest
        yield self._standing.latest

    async def stop_service(self) -> ServiceStatus:
        """Give back the memory of models that nobody uses."""
        await self._engines.close()
        return self._standing.latest

    async def service_status(self, log_lines: int = 0) -> ServiceStatus:  # noqa: ARG002 - engines write no log
        """Say how the usual model is."""
        return self._standing.latest

    def unseen_service(self) -> ServiceStatus:
        """Give what is known of the usual model before anybody has looked."""
        return UNSEEN

    async def watch_service(self) -> AsyncIterator[ServiceStatus]:
        """Give how the usual model is, now and whenever that changes."""
        async with aclosing(self._standing.watch()) as states:
            async for status in states:
                yield status

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Transcribe. Sound without speech gives an empty text."""
        name = call.model.id
        wav = call.input("audio").chunks()
        async with aclosing(windows_of(wav, call.options["window_seconds"], call.workdir)) as windows:
            first = await anext(windows)  # sound that is no sound is refused before anything is fetched or loaded
            async with self._engines.lend(self._plan(name)) as engine:
                async with aclosing(self._made_ready(engine, name)) as news:
                    async for progress in news:
                        yield progress
                yield Started()
                asking = _asking(call, english=self._conversions[name].english)
                async with aclosing(_transcribed(call, engine, asking, _with_first(first, windows))) as events:
                    async for event in events:
                        yield event

    async def _made_ready(self, engine: Engine, name: str) -> AsyncGenerator[Progress]:
        """Wait until a model is loaded; give what people are told meanwhile."""
        standing = self._standing if name == self._usual else Standing(name)
        if not engine.at_rest:
            yield waiting(standing.making(ServiceState.STARTING))
        try:
            async with aclosing(engine.ready()) as states:
                async for state in states:
                    yield waiting(standing.making(state))
        except AutoMarketError as error:
            standing.failed(error)
            raise
        except BaseException:
            standing.found(here=self._is_here(name))  # the caller has gone; so has what was begun
            raise
        standing.found(here=True)

    def _is_here(self, name: str) -> bool:
        plan = self._plan(name)
        return find(plan.source, plan.cache_dir) is not None

    def _plan(self, name: str) -> Plan:
        settings = self._settings
        source = self._conversions[name].source
        return Plan(source, settings.cache_dir, settings.device, settings.compute_type, settings.cpu_threads)


def _asking(call: Call, *, english: bool) -> Asking:
    options = call.options
    return Asking(
        language="en" if english else options.get("language", "").partition("-")[0],
        translate=options.get("translate", False),
        word_timestamps=options["word_timestamps"],
        prompt=options.get("prompt", ""),
        vad_filter=options["vad_filter"],
        detect_only=options.get("detect_language", False),
    )


async def _transcribed(
    call: Call, engine: Engine, asking: Asking, windows: AsyncGenerator[Window]
) -> AsyncGenerator[Event]:
    form = "text" if asking.detect_only else call.options["output_format"]
    collected, end = Collected(form, asking.language), 0.0
    if form != "text":
        yield TextResult(media_type=FORMS[form])
    async for window in windows:
        async with aclosing(_heard(engine, window, asking, collected)) as events:
            async for event in events:
                yield event
        end = window.end
        if asking.detect_only:
            break
        yield Progress("running", None, f"heard {end:.0f} s")
    if not asking.detect_only:
        yield collected.result(translated=asking.translate)
    yield Usage("second", input_units=end)


async def _heard(engine: Engine, window: Window, asking: Asking, collected: Collected) -> AsyncGenerator[Event]:
    """Hear a window; one whose language is not said is heard in that of the windows before it."""
    asking, language = replace(asking, language=asking.language or collected.language), ""
    async with aclosing(engine.hear(window.sound, asking)) as answers:
        async for answer in answers:
            if "segment" not in answer:
                language = answer["language"]
                if asking.detect_only:
                    yield TextResult(language, language, answer["probability"])
            elif (segment := collected.add(answer, window, language)) is not None:
                yield segment


async def _with_first(first: Window, others: AsyncGenerator[Window]) -> AsyncGenerator[Window]:
    yield first
    async for window in others:
        yield window
