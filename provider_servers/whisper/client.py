"""The HTTP API of ahmetoner/whisper-asr-webservice 1.9 (MIT): POST /asr and POST /detect-language.

It has no authentication, answers text/plain whatever was asked for, gives no reason for a failure, and neither streams
nor stops: a request that has begun is worked on to its end, and nothing else is answered meanwhile. So there is no
limit here to how long an answer takes; whoever calls has a deadline.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from automarket.errors import BackendFailed
from provider_servers.runtime.http.backend import make_http
from provider_servers.whisper.answers import Language, Transcript, read_language, read_transcript
from provider_servers.whisper.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

Sound = bytes | Path
"""16-bit samples, mono, 16,000 a second, without a header: in memory or in a file."""

OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")
PIECE_BYTES = 64 * 1024
PROBE_SECONDS = 2.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of the backend; what is empty or None is left to it."""

    language: str = ""
    translate: bool = False
    word_timestamps: bool = False
    prompt: str = ""
    vad_filter: bool = False
    diarize: bool = False
    min_speakers: int | None = None
    max_speakers: int | None = None

    def query(self, output: str) -> dict[str, str]:
        """Give the query of POST /asr; form fields are ignored there."""
        given = {
            "task": "translate" if self.translate else "transcribe",
            "language": self.language,
            "initial_prompt": self.prompt,
            "word_timestamps": "true" * self.word_timestamps,
            "vad_filter": "true" * self.vad_filter,
            "diarize": "true" * self.diarize,
            "min_speakers": str(self.min_speakers or ""),
            "max_speakers": str(self.max_speakers or ""),
            "output": output,
            "encode": "false",
        }
        return {name: value for name, value in given.items() if value}


async def is_ready(url: str, http: httpx.AsyncClient | None = None) -> bool:
    """Tell whether the backend takes work now. One that works does not answer, and is not ready by this measure."""
    if http is None:
        async with make_http() as own:
            return await is_ready(url, own)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            answer = await http.get(f"{url}/openapi.json")
        return answer.status_code == _OK and "/asr" in answer.json()["paths"]
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
        return False


class WhisperClient:
    """One backend.

    Args:
        url: where it listens, "http://127.0.0.1:9000".
        http: what carries the requests; the caller closes it.
    """

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._http = http

    async def transcribe(self, sound: Sound, asking: Asking, *, sent: Callable[[], None] | None = None) -> Transcript:
        """Have sound transcribed; `sent` is called once all of it has gone out, after which it cannot be stopped.

        Raises:
            BackendFailed: the backend failed, is not there, or answered something else.
            OptionInvalid, InputIncomplete: it refused the request.
        """
        return read_transcript(await self.write(sound, asking, "json", sent=sent))

    async def write(self, sound: Sound, asking: Asking, output: str, *, sent: Callable[[], None] | None = None) -> str:
        """Have a transcript written by the backend: `output` is one of OUTPUTS. Raises as `transcribe` does."""
        return await self._post("/asr", asking.query(output), sound, sent)

    async def detect_language(self, sound: Sound, *, sent: Callable[[], None] | None = None) -> Language:
        """Find out the language of the first 30 s. Raises as `transcribe` does."""
        return read_language(await self._post("/detect-language", {"encode": "false"}, sound, sent))

    async def _post(self, path: str, query: dict[str, str], sound: Sound, sent: Callable[[], None] | None) -> str:
        boundary = uuid.uuid4().hex
        before, after = _around(boundary)
        size = sound.stat().st_size if isinstance(sound, Path) else len(sound)

        async def body() -> AsyncGenerator[bytes]:
            yield before
            async for piece in _pieces(sound):
                yield piece
            if sent is not None:
                sent()  # before the last bytes: from here on the backend may begin
            yield after

        headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(len(before) + size + len(after)),
        }
        try:
            answer = await self._http.post(self._url + path, params=query, headers=headers, content=body())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _lost(self._url, error) from error
        if answer.status_code != _OK:
            raise refusal(answer.status_code, answer.text, answer.headers.get("retry-after"))
        return answer.content.decode("utf-8", "replace")


def _around(boundary: str) -> tuple[bytes, bytes]:
    """Give what goes before and after the sound in a form with this one part."""
    named = 'content-disposition: form-data; name="audio_file"; filename="sound.s16le"'
    before = f"--{boundary}\r\n{named}\r\ncontent-type: application/octet-stream\r\n\r\n"
    return before.encode(), f"\r\n--{boundary}--\r\n".encode()


async def _pieces(sound: Sound) -> AsyncIterator[bytes]:
    if isinstance(sound, bytes):
        for begin in range(0, len(sound), PIECE_BYTES):
            yield sound[begin : begin + PIECE_BYTES]
        return
    with sound.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece


def _lost(url: str, error: Exception) -> BackendFailed:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        message, phase = f"nothing answers at {url}", "connecting"
    else:
        message, phase = f"the connection to the whisper backend at {url} broke: {_said(error)}", "running"
    return BackendFailed(message, metadata={"phase": phase})


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
