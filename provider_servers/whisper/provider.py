"""Media in: speech, cast to 16 kHz mono. Media out: text, in segments, window by window.

Backend: ahmetoner/whisper-asr-webservice 1.9 in a Docker container; `client` speaks its API. It hears one request at a
time and cannot stop one: long sound is sent in windows, and calls take turns.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from provider_servers.runtime import (
    AudioFormat,
    Availability,
    BackedProvider,
    Call,
    Event,
    Model,
    Output,
    Role,
    Slot,
    TextResult,
    Usage,
    runs_in_docker,
    waiting,
)
from provider_servers.runtime.recording import windows_of
from provider_servers.runtime.subtitles import FORMS
from provider_servers.runtime.windows import SAMPLE_RATE
from provider_servers.whisper import options
from provider_servers.whisper.client import is_ready
from provider_servers.whisper.request import Link, Request
from provider_servers.whisper.transcription import Transcription
from services.runtime import OnDemand, make_service
from services.whisper import SPEC, WhisperSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from provider_servers.runtime.windows import Window
    from provider_servers.whisper.answers import Language, Transcript
    from provider_servers.whisper.client import Asking
    from provider_servers.whisper.request import Ask
    from services.runtime import Lease

USUAL_ENGINE, USUAL_MODEL = "faster_whisper", "base"  # as in the backend's Compose file
LANGUAGE_SECONDS = 30.0  # no more is looked at to find out the language


class WhisperProvider(BackedProvider):
    """Speech-to-text by Whisper in Docker."""

    id = "whisper"
    name = "Whisper"
    description = "Speech-to-text in 99 languages by Whisper in a Docker container, started when it is needed."
    aliases = ("whisper-docker",)
    max_concurrent_calls = 16
    max_queued_calls = 32

    def __init__(self, settings: WhisperSettings | None = None, backend: OnDemand | None = None) -> None:
        settings = settings or WhisperSettings()
        super().__init__(backend or OnDemand(make_service(SPEC, settings, is_ready=self._is_ready), settings))
        self._model = _model(settings)
        self._link = Link(self._backend)

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the backend can be had here."""
        return runs_in_docker(WhisperSettings().base_url)

    def models(self) -> Sequence[Model]:
        """List the one model that the container loads."""
        return (self._model,)

    async def close(self) -> None:
        """Give up requests under way, and stop the backend, where it is the mesh's."""
        await self._link.close()
        await super().close()

    async def _is_ready(self, url: str) -> bool:
        """Tell whether the backend takes work; while it has a request of ours it does, though it answers no probe."""
        return self._link.turns.busy or await is_ready(url)

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Transcribe, or find out the language."""
        detect = call.options["detect_language"]
        seconds = LANGUAGE_SECONDS if detect else options.window_seconds(call.options)
        async with (
            self._backend.lease() as lease,
            aclosing(lease.ready()) as states,
            aclosing(windows_of(call.input("audio").chunks(), seconds, call.workdir)) as windows,
        ):
            async for status in states:
                yield waiting(status)
            work = self._detect if detect else self._transcribe
            async with aclosing(work(call, lease, windows)) as events:
                async for event in events:
                    yield event

    async def _transcribe(self, call: Call, lease: Lease, windows: AsyncGenerator[Window]) -> AsyncGenerator[Event]:
        """Give the segments of each window when it has been heard, and the result in the end."""
        whole = Transcription(options.asking(call.options), call.options["output_format"])
        heard = 0.0
        async for window in windows:
            request = Request(self._link, lease, window, _transcribing(window, whole.next_asking()), call.log)
            async with aclosing(request.run()) as news:
                async for one in news:
                    yield one
            for event in whole.add(request.answer, window):
                yield event
            heard = window.end
        yield whole.result()
        yield Usage("second", input_units=heard)

    async def _detect(self, call: Call, lease: Lease, windows: AsyncGenerator[Window]) -> AsyncGenerator[Event]:
        """Find out the language from the first window."""
        window = await anext(windows)
        request = Request(self._link, lease, window, _detecting(window), call.log)
        async with aclosing(request.run()) as news:
            async for one in news:
                yield one
        found = request.answer
        yield TextResult(found.code, found.code, found.confidence)
        yield Usage("second", input_units=window.end)


def _transcribing(window: Window, asking: Asking) -> Ask[Transcript]:
    return lambda client, sent: client.transcribe(window.sound, asking, sent=sent)


def _detecting(window: Window) -> Ask[Language]:
    return lambda client, sent: client.detect_language(window.sound, sent=sent)


def _model(settings: WhisperSettings) -> Model:
    """Describe the model that the container loads; its options are those that its engine heeds."""
    engine, model = settings.engine or USUAL_ENGINE, settings.model or USUAL_MODEL
    return Model(
        id="whisper-stt",
        capabilities=("speech-to-text",),
        inputs=(
            Slot(
                "audio",
                Role.SPEECH,
                audio=AudioFormat("wav", SAMPLE_RATE, 1),
                description="Speech of any length; other media is cast to 16 kHz mono.",
            ),
        ),
        outputs=(Output("text", Role.TEXT, tuple(FORMS.values())),),
        options=options.schema(engine),
        canonical_id=f"openai/whisper-{model}",
        name=f"Whisper {model}",
        description=f"OpenAI's Whisper by {engine}, in a Docker container.",
        version=model,
        replay_safe=True,
    )
