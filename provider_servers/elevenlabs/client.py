"""ElevenLabs' HTTP API. Speaks HTTP and nothing else; errors are those of the mesh, by the upstream."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from provider_servers.runtime.http.multipart import FilePart, Form, value_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    import aiohttp

    from automarket.assets.formats import Format
    from provider_servers.runtime.vendors.upstream import Upstream

PAGE_SIZE = 100


class VerifiedLanguage(msgspec.Struct):
    """A language that a voice is known to speak."""

    language: str = ""


class VendorVoice(msgspec.Struct):
    """A voice, as the vendor describes it."""

    voice_id: str
    name: str = ""
    category: str = ""
    labels: dict[str, str | None] | None = None
    description: str | None = None
    preview_url: str | None = None
    verified_languages: list[VerifiedLanguage] | None = None
    is_owner: bool | None = None


class VoicePage(msgspec.Struct):
    """One page of voices."""

    voices: list[VendorVoice]
    has_more: bool = False
    next_page_token: str | None = None


class _Added(msgspec.Struct):
    voice_id: str


class ElevenLabsClient:
    """The API behind one upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def models(self) -> bytes:
        """Give the list of models as JSON."""
        return await self._upstream.get("/v1/models")

    async def check(self) -> None:
        """Make a request that is free of charge and needs the key."""
        await self._upstream.get("/v2/voices", {"page_size": "1"})

    @asynccontextmanager
    async def speak(
        self, voice_id: str, body: Mapping[str, Any], output_format: str
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Speak a text; give the answer when its head is there, its sound not read yet."""
        path = f"/v1/text-to-speech/{quote(voice_id, safe='')}/stream"
        async with self._made(path, body, output_format, "text_to_speech") as response:
            yield response

    @asynccontextmanager
    async def make_sound(self, body: Mapping[str, Any], output_format: str) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Make a sound effect; give the answer when its head is there, its sound not read yet."""
        async with self._made("/v1/sound-generation", body, output_format, "text_to_audio") as response:
            yield response

    @asynccontextmanager
    async def _made(
        self, path: str, body: Mapping[str, Any], output_format: str, family: str
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        asked = self._upstream.request(
            "POST",
            path,
            params={"output_format": output_format},
            body=msgspec.json.encode(body),
            model=body["model_id"],
            options=_OPTIONS,
            family=family,
        )
        async with asked as response:
            yield response

    @asynccontextmanager
    async def transcribe(
        self, audio: Path, kind: Format, fields: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Have a recording written down; the file is read while it is sent."""
        form = Form(tuple(fields), (FilePart("file", f"audio.{kind.extensions[0]}", kind.media_type, audio),))
        asked = self._upstream.request(
            "POST",
            "/v1/speech-to-text",
            body=form,
            model=dict(fields)["model_id"],
            options=_OPTIONS,
            family="speech_to_text",
        )
        async with asked as response:
            yield response

    async def voices(self, **query: str) -> list[VendorVoice]:
        """Give the account's voices, all pages of them; the query narrows them."""
        found: list[VendorVoice] = []
        token = ""
        while True:
            more = {"next_page_token": token} if token else {}
            body = await self._upstream.get("/v2/voices", {"page_size": str(PAGE_SIZE), **query, **more})
            page = msgspec.json.decode(body, type=VoicePage)
            found += page.voices
            token = page.next_page_token or ""
            if not page.has_more or not token:
                return found

    async def voice(self, voice_id: str) -> VendorVoice:
        """Describe a voice."""
        return msgspec.json.decode(await self._upstream.get(f"/v1/voices/{quote(voice_id, safe='')}"), type=VendorVoice)

    async def add_voice(self, name: str, samples: Sequence[Path], media_type: str, fields: Mapping[str, Any]) -> str:
        """Make a voice from samples; give its id."""
        ending = media_type.rpartition("/")[2].replace("mpeg", "mp3")
        files = tuple(FilePart("files", f"sample-{n}.{ending}", media_type, one) for n, one in enumerate(samples))
        form = Form((("name", name), *((key, value_of(value)) for key, value in fields.items())), files)
        async with self._upstream.request("POST", "/v1/voices/add", body=form) as response:
            return msgspec.json.decode(await self._upstream.body(response), type=_Added).voice_id

    async def delete_voice(self, voice_id: str) -> None:
        """Remove a voice."""
        async with self._upstream.request("DELETE", f"/v1/voices/{quote(voice_id, safe='')}") as response:
            await self._upstream.body(response)


_OPTIONS = {
    "language_code": "language",
    "voice_settings.speed": "speed",
    "voice_settings.stability": "stability",
    "voice_settings.similarity_boost": "similarity_boost",
    "voice_settings.style": "style",
    "duration_seconds": "duration",
    **{
        name: name
        for name in (
            *("seed", "previous_text", "next_text", "apply_text_normalization", "prompt_influence", "loop"),
            *("output_format", "temperature", "num_speakers", "keyterms", "diarize"),
        )
    },
}
"""Our options by the vendor's names for them."""
