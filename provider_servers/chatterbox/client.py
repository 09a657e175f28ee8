"""The HTTP API of devnen's Chatterbox-TTS-Server 2.0: text in, 24 kHz mono WAV out. Speaks HTTP and nothing else.

https://github.com/devnen/Chatterbox-TTS-Server (MIT), commit 68213e75. The server speaks in its event loop: while it
works it answers nobody else, and what it has begun it ends. So there is no limit here to how long an answer takes;
whoever calls has a deadline.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from provider_servers.chatterbox.answer import Speech
from provider_servers.chatterbox.faults import check, faults, not_kept

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

PROBE_SECONDS = 3.0
_OK, _BAD_REQUEST = 200, 400


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that the server has loaded.

    Attributes:
        kind: "original", "turbo" or "multilingual".
        languages: codes of the languages that it speaks: "en".
    """

    kind: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak.

    Attributes:
        voice: name of a file of the server.
        cloned: the file is one that was uploaded; else one of the server's own voices.
        language: code of the language; only the multilingual model heeds it.
        speed: 1 is the voice's own.
        temperature, exaggeration, cfg_weight: what the model makes of it, see the provider's options.
        seed: the same one gives the same sound again; 0 leaves it to chance.
    """

    voice: str
    cloned: bool
    language: str
    speed: float
    temperature: float
    exaggeration: float
    cfg_weight: float
    seed: int

    def body(self, text: str) -> dict[str, Any]:
        """Give the body of the request that speaks `text` in one piece."""
        named = "reference_audio_filename" if self.cloned else "predefined_voice_id"
        return {
            "text": text,
            "voice_mode": "clone" if self.cloned else "predefined",
            named: self.voice,
            "output_format": "wav",
            "split_text": False,
            "temperature": self.temperature,
            "exaggeration": self.exaggeration,
            "cfg_weight": self.cfg_weight,
            "seed": self.seed,
            "speed_factor": self.speed,
            "language": self.language,
        }


class ChatterboxClient:
    """One server.

    Every method but `is_ready` raises BackendFailed when the server is not there, has no model or fails; NotFoundError
    when it lacks a file; InputUnsuitable when it refuses what was sent.

    Args:
        url: where it listens, "http://127.0.0.1:8004".
        http: what carries the requests; the caller closes it.
    """

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url.rstrip("/")
        self._http = http

    async def is_ready(self) -> bool:
        """Tell whether its model is loaded. One that works does not answer, and is not ready by this measure."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                answer = await self._http.get(f"{self._url}/api/model-info")
            return answer.status_code == _OK and answer.json()["loaded"] is True
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, LookupError, TypeError):
            return False

    async def model_info(self) -> ModelInfo:
        """Say which model is loaded."""
        info = await self._get("/api/model-info")
        with faults(self._url):
            return ModelInfo(str(info["type"]), tuple(info["supported_languages"]))

    async def voices(self) -> tuple[str, ...]:
        """Give the server's own voices, by the names of their files."""
        voices = await self._get("/get_predefined_voices")
        with faults(self._url):
            return tuple(str(voice["filename"]) for voice in voices)

    async def reference_files(self) -> tuple[str, ...]:
        """Give the voice samples that were uploaded, by the names of their files."""
        names = await self._get("/get_reference_files")
        with faults(self._url):
            return tuple(str(name) for name in names)

    async def upload_reference(self, name: str, wav: bytes) -> str:
        """Upload a voice sample and give the name that the server keeps it by.

        A file that has the name already stays as it is, and counts as uploaded.

        Raises:
            DiskFull: the server has no room for it.
        """
        with faults(self._url):
            files = {"files": (name, wav, "audio/wav")}
            response = await self._http.post(f"{self._url}/upload_reference", files=files)
            # Where nothing was kept the answer is 400, with the same body as else; where some was, 200 with errors.
            if response.status_code in (_OK, _BAD_REQUEST):
                answer: dict[str, Any] = response.json()
                if answer.get("errors"):
                    raise not_kept(str(answer["errors"][0]["error"]))
            check(response)
            return str(response.json()["uploaded_files"][0])

    async def speak(self, text: str, manner: Manner, *, sent: Callable[[], None] | None = None) -> Speech:
        """Speak a text; give the answer once it begins, which is when all of it is spoken. Close it after use.

        `sent` is called when the request goes out, after which the server cannot be stopped.
        """
        body = json.dumps(manner.body(text)).encode()

        async def outgoing() -> AsyncGenerator[bytes]:
            if sent is not None:
                sent()
            yield body

        headers = {"content-type": "application/json", "content-length": str(len(body))}
        with faults(self._url):
            request = self._http.build_request("POST", f"{self._url}/tts", headers=headers, content=outgoing())
            response = await self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                check(response)
                return await Speech.begin(response)
            except BaseException:
                await response.aclose()
                raise

    async def _get(self, path: str) -> Any:
        with faults(self._url):
            response = await self._http.get(f"{self._url}{path}")
            check(response)
            return response.json()
