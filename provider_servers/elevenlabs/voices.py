"""The voices of an account: found by id or name, listed, made and removed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING

from automarket.errors import InvalidRequestError, OptionInvalid, ProviderNotConfigured
from provider_servers.elevenlabs.clones import MEDIA_TYPE
from provider_servers.runtime import Voice

if TYPE_CHECKING:
    from provider_servers.elevenlabs.client import ElevenLabsClient, VendorVoice
    from provider_servers.runtime import NewVoice

REMEMBERED_SECONDS = 600.0
MADE_FROM_SAMPLES = ("cloned", "professional")
THE_VENDORS = ("premade", "famous", "high_quality")
_ID = re.compile(r"[A-Za-z0-9]{20}")
_MARK = re.compile(r"\s*\(am:([0-9a-f]{32})\)$")


class VoiceBook:
    """What is known of the account's voices, for a while.

    Args:
        usual: id or name of the voice that speaks where none is named; empty takes the account's first one.
    """

    def __init__(self, usual: str = "") -> None:
        self._usual = usual
        self._voices: list[VendorVoice] = []
        self._asked_at: float | None = None
        self._turn = asyncio.Lock()

    def forget(self) -> None:
        """Ask anew next time."""
        self._asked_at = None

    async def find(self, client: ElevenLabsClient, name: str) -> str:
        """Give the id of a voice by id or name; what looks like an id is taken as one.

        Raises:
            OptionInvalid: there is no such voice.
            ProviderNotConfigured: none is named, and the account has none.
        """
        wanted = name or self._usual
        if _ID.fullmatch(wanted):
            return wanted
        async with self._turn:
            if self._asked_at is None or time.monotonic() - self._asked_at > REMEMBERED_SECONDS:
                self._voices = await client.voices()
                self._asked_at = time.monotonic()
        if not wanted:
            if not self._voices:
                hint = "name one by the option voice, or add one to the account"
                raise ProviderNotConfigured("the account has no voice", hint=hint)
            return self._voices[0].voice_id
        low = wanted.casefold()
        for voice in self._voices:
            # Names have become "Rachel - calm and clear" over time.
            if low in (voice.voice_id.casefold(), voice.name.casefold(), voice.name.partition(" - ")[0].casefold()):
                return voice.voice_id
        fields = {"header.text_to_speech.voice": f"{wanted!r} is no voice of the account"}
        hint = "see what there is: automarket voices ls elevenlabs"
        raise OptionInvalid(f"option voice: the account has no voice {wanted!r}", hint=hint, fields=fields)

    async def list(self, client: ElevenLabsClient) -> list[Voice]:
        """Give all voices, as the vendor has them now."""
        async with self._turn:
            self._voices = await client.voices()
            self._asked_at = time.monotonic()
        return [_voice(one) for one in self._voices]

    async def create(self, client: ElevenLabsClient, new: NewVoice) -> Voice:
        """Make a voice; give the one that an equal request_id has made, which its description tells."""
        mark = new.request_id.replace("-", "").lower()
        for voice in await client.voices(voice_type="personal"):
            if (found := _MARK.search(voice.description or "")) and found[1] == mark:
                return _voice(voice)
        samples = [await one.path() for one in new.samples]
        fields = {
            "description": f"{new.description} (am:{mark})".strip(),
            "labels": json.dumps(dict(new.labels)),
            "remove_background_noise": new.remove_background_noise,
        }
        voice_id = await client.add_voice(new.name, samples, MEDIA_TYPE, fields)
        self.forget()
        return Voice(voice_id, new.name, new.description, cloned=True, labels=dict(new.labels))

    async def delete(self, client: ElevenLabsClient, voice_id: str) -> None:
        """Remove a voice; one that is gone is no error.

        Raises:
            InvalidRequestError: it is the vendor's or somebody else's.
        """
        try:
            voice = await client.voice(voice_id)
            if voice.category in THE_VENDORS or voice.is_owner is False:
                message = f"voice {voice.name or voice_id!r} is {voice.category}, and not yours to remove"
                raise InvalidRequestError(message, fields={"voice_id": "not yours"})
            await client.delete_voice(voice_id)
        except OptionInvalid:
            pass  # there is no such voice
        self.forget()


def _voice(one: VendorVoice) -> Voice:
    languages = dict.fromkeys(told.language for told in one.verified_languages or () if told.language)
    labels = {name: value for name, value in (one.labels or {}).items() if value}
    if not languages and labels.get("language"):
        languages = {labels["language"]: None}
    return Voice(
        one.voice_id,
        one.name,
        _MARK.sub("", one.description or ""),
        tuple(languages),
        one.category in MADE_FROM_SAMPLES and one.is_owner is not False,
        labels,
        one.preview_url or "",
    )
