"""The persons and voices of an account: listed, and found by name or id."""

from __future__ import annotations

import asyncio
import difflib
import re
import time
from typing import TYPE_CHECKING

from automarket.errors import OptionInvalid
from provider_servers.runtime import Voice
from provider_servers.runtime.remote import Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provider_servers.creatify.client import CreatifyClient, Persona, VendorVoice

REMEMBERED_SECONDS = 3600.0
MOST_TOLD = 8
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Catalogue:
    """What is known of the account's persons and voices, for an hour."""

    def __init__(self) -> None:
        self._voices: list[VendorVoice] = []
        self._personas: list[Persona] = []
        self._asked_at: float | None = None
        self._turn = asyncio.Lock()

    def forget(self) -> None:
        """Ask anew next time."""
        self._asked_at = None

    async def voices(self, client: CreatifyClient) -> list[Voice]:
        """List the voices: one for each way in which a voice speaks."""
        await self._ask(client)
        return [
            Voice(
                one.id,
                f"{voice.name} / {one.accent_name}" if one.accent_name else voice.name,
                labels={"gender": voice.gender} if voice.gender else {},
                preview_url=one.preview_url or "",
            )
            for voice in self._voices
            for one in voice.accents
        ]

    async def accent(self, client: CreatifyClient, name: str, field: str) -> str:
        """Give the id of a voice: by id, by "name / accent", or by name, whose first accent it is then.

        Raises:
            OptionInvalid: there is none.
        """
        if _ID.fullmatch(name):
            return name
        listed = await self.voices(client)
        known = {one.name.partition(" / ")[0]: one.id for one in reversed(listed)}
        return _find(known | {one.name: one.id for one in listed}, name, "voice", field)

    async def persona(self, client: CreatifyClient, name: str, field: str) -> str:
        """Give the id of a person, by id or name.

        Raises:
            OptionInvalid: there is none, or none is named.
        """
        if _ID.fullmatch(name):
            return name
        await self._ask(client)
        known = {one.creator_name or one.id: one.id for one in reversed(self._personas)}
        return _find(known, name, "avatar", field)

    async def _ask(self, client: CreatifyClient) -> None:
        async with self._turn:
            if self._asked_at is None or time.monotonic() - self._asked_at > REMEMBERED_SECONDS:
                try:
                    self._voices, self._personas = await asyncio.gather(client.voices(), client.personas())
                except Unanswered as lost:
                    raise lost.error from None
                self._asked_at = time.monotonic()


def _find(known: Mapping[str, str], name: str, option: str, field: str) -> str:
    folded = {one.casefold(): value for one, value in known.items()}
    if name.casefold() in folded:
        return folded[name.casefold()]
    near = difflib.get_close_matches(name, known, 1)
    there = _some(known)
    what = f"there is none called {name!r}" if name else "who speaks has to be named"
    hint = f"did you mean {near[0]}?" if near else f"there are {there}" if there else "the account has none"
    raise OptionInvalid(f"option {option}: {what}", hint=hint, fields={f"header.{field}.{option}": what})


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - MOST_TOLD} more" if len(listed) > MOST_TOLD else ""
    return ", ".join(listed[:MOST_TOLD]) + more
