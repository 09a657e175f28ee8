"""Voices that are made from samples of calls: one for each sample, a few of them kept, the rest removed.

A clone costs a slot of the account and one of the changes that its plan allows, and takes seconds; so the last few are
kept at the vendor and found there again by name, also after a restart. With room for none each goes with its call.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, CreditExhausted, OptionInvalid
from provider_servers.elevenlabs.models import VOICE_FORM

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from provider_servers.elevenlabs.client import ElevenLabsClient

log = logging.getLogger("automarket.provider")

PREFIX = "automarket-"
DESCRIPTION = "Made by AutoMarket from a sample of a call. It is removed when others take its place."
MEDIA_TYPE = f"audio/{'mpeg' if VOICE_FORM.container == 'mp3' else VOICE_FORM.container}"


@dataclass(slots=True)
class _Clone:
    """One clone: `users` are the calls that speak with it or wait for it."""

    voice_id: str = ""
    users: int = 0
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


class Clones:
    """The clones of one account; the one that was used last is at the end.

    Args:
        most: how many stay when no call uses them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._clones: dict[str, _Clone] = {}
        self._looked = asyncio.Lock()
        self._known = False
        self._tidying: set[asyncio.Future[int]] = set()

    @asynccontextmanager
    async def voice(self, client: ElevenLabsClient, sample: Path) -> AsyncGenerator[str]:
        """Give the id of a voice made from a sample, for the time of the block.

        Raises:
            AutoMarketError: the vendor makes none.
        """
        name = PREFIX + (await asyncio.to_thread(_digest, sample))[:32]
        await self._look(client)
        clone = self._clones.pop(name, None) or _Clone()
        self._clones[name] = clone
        clone.users += 1
        try:
            async with clone.making:
                clone.voice_id = clone.voice_id or await self._make(client, name, sample)
            yield clone.voice_id
        except OptionInvalid:  # it was removed behind our back
            clone.voice_id = ""
            raise
        finally:
            clone.users -= 1
            if not clone.voice_id and not clone.users:
                self._clones.pop(name, None)
                self._known = False  # it may have been made, and only the answer was lost
            tidying = asyncio.ensure_future(self._tidy(client, self._most))
            self._tidying.add(tidying)
            tidying.add_done_callback(self._tidying.discard)
            await asyncio.shield(tidying)

    async def close(self) -> None:
        """Wait until what is being removed is gone."""
        await asyncio.gather(*self._tidying, return_exceptions=True)

    async def _look(self, client: ElevenLabsClient) -> None:
        """Find what is at the vendor from before: left by processes that ended, or by calls that did."""
        async with self._looked:
            if not self._known:
                for voice in await client.voices(search=PREFIX, voice_type="personal"):
                    if voice.name.startswith(PREFIX):
                        self._clones.setdefault(voice.name, _Clone(voice.voice_id))
                self._known = True

    async def _make(self, client: ElevenLabsClient, name: str, sample: Path) -> str:
        fields = {"description": DESCRIPTION}
        try:
            return await client.add_voice(name, [sample], MEDIA_TYPE, fields)
        except CreditExhausted:  # no room for one more, or no credit: there is room where some of ours can go
            if not await self._tidy(client, 0):
                raise
            return await client.add_voice(name, [sample], MEDIA_TYPE, fields)

    async def _tidy(self, client: ElevenLabsClient, most: int) -> int:
        """Remove the clones that nobody uses, the oldest first, until so many are left; say how many went."""
        idle = [(name, one) for name, one in self._clones.items() if one.voice_id and not one.users]
        gone = 0
        for name, clone in idle[: max(0, len(idle) - most)]:
            del self._clones[name]
            try:
                await client.delete_voice(clone.voice_id)
                gone += 1
            except OptionInvalid:  # it is gone already
                gone += 1
            except AutoMarketError as error:
                log.warning("a clone could not be removed", extra={"voice": clone.voice_id, "reason": error.reason})
        return gone


def _digest(sample: Path) -> str:
    with sample.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
