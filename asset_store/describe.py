"""What bytes are: media type, roles and technical facts, read from the bytes and never from a name."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from automarket.assets.formats import HEAD_BYTES, SOUND, detect, media_type_of, roles_of
from automarket.errors import AutoMarketError
from automarket.media.info import AudioInfo, MediaInfo
from automarket.media.probe import probe

if TYPE_CHECKING:
    from pathlib import Path

    from automarket.assets.formats import Format
    from automarket.assets.roles import Role
    from automarket.media.info import AudioFormat, CastSpec

BARE = "s16le"

log = logging.getLogger("asset_store")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of some bytes. Media that is broken, or that nothing here can read, has no `media_info`."""

    media_type: str = "application/octet-stream"
    roles: frozenset[Role] = frozenset()
    media_info: MediaInfo | None = None


async def describe(path: Path) -> Facts:
    """Say what the bytes of a file are. Nothing that is wrong with them is an error here: a cast says it."""
    found = await asyncio.to_thread(_detect, path)
    if found is None:
        return Facts()
    try:
        info = await probe(path)
    except AutoMarketError as error:
        log.info("media was not read", extra={"reason": error.reason, "media_type": found.media_type})
        return Facts(found.media_type, found.roles)
    return Facts(media_type_of(found, info), roles_of(found, info), info)


async def describe_cast(path: Path, spec: CastSpec, source: MediaInfo) -> Facts:
    """Say what a cast made: bare samples are told by what was asked for, since nothing in them tells it."""
    if spec.audio is not None and spec.audio.container == BARE:
        return _bare(path, spec.audio, source)
    facts = await describe(path)
    return replace(facts, roles=facts.roles | {spec.role})


def _bare(path: Path, wanted: AudioFormat, source: MediaInfo) -> Facts:
    own = source.audio or AudioInfo("", 0, 0)
    audio = AudioInfo("pcm_s16le", wanted.sample_rate or own.sample_rate, wanted.channels or own.channels)
    seconds = path.stat().st_size / max(1, 2 * audio.sample_rate * audio.channels)
    return Facts("audio/pcm", SOUND, MediaInfo(BARE, seconds, audio))


def _detect(path: Path) -> Format | None:
    with path.open("rb") as file:
        return detect(file.read(HEAD_BYTES))
