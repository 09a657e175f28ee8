"""Which of a vendor's forms of sound serves what the caller wants, and what is left to FFmpeg."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from automarket.assets.roles import Role
from automarket.media.cast import cast_stream
from automarket.media.info import AudioFormat, AudioInfo, CastSpec, MediaInfo
from provider_servers.runtime.events import Generated, Media
from provider_servers.runtime.shape import as_output
from provider_servers.runtime.sound_format import sound_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

SAMPLES = "s16le"


@dataclass(frozen=True, slots=True)
class VendorSound:
    """One form in which a vendor gives sound.

    Attributes:
        name: what the vendor calls it: "mp3_44100_128", "pcm".
        container: a key of automarket.media.encodings.AUDIO; "s16le" is bare mono samples.
        sample_rate: in Hz; None is not known, and nothing is promised about it.
    """

    name: str
    container: str
    sample_rate: int | None = None


def choose(form: AudioFormat, forms: Mapping[str, VendorSound], usual: str, samples: VendorSound) -> VendorSound:
    """Give the vendor's form that serves best: the one that is wanted itself, else bare samples to make it from.

    Args:
        form: what the caller wants.
        forms: the vendor's form of each container.
        usual: the container of a caller who names none.
        samples: bare samples.
    """
    found = forms.get(form.container or usual, samples)
    as_it_is = form.channels in (None, 1) and form.sample_rate in (None, found.sample_rate)
    return found if as_it_is else samples


def as_media(
    name: str, sound: AsyncGenerator[bytes], given: VendorSound, form: AudioFormat, generated: Generated
) -> Media:
    """Give a sound output as the caller wants it: as it comes where the vendor's form is that, else through FFmpeg.

    Args:
        name: the output's name in the model.
        sound: bytes in the vendor's form.
        given: the vendor's form.
        form: what the caller wants.
        generated: what the vendor says of it.
    """
    container = form.container or (given.container if given.container != SAMPLES else "wav")
    if given.container == SAMPLES and given.sample_rate:
        made = as_output(sound, given.sample_rate, replace(form, container=container))
        return replace(made, name=name, generated=generated)
    if container != given.container:
        sound = cast_stream(sound, CastSpec(Role.AUDIO, audio=replace(form, container=container)))
    info = None
    if container == SAMPLES:
        info = MediaInfo(SAMPLES, audio=AudioInfo("pcm_s16le", form.sample_rate or 0, form.channels or 1))
    return Media(name, sound_media_type(container), sound, info, generated=generated)


async def not_empty(sound: AsyncGenerator[bytes], error: Exception) -> AsyncGenerator[bytes]:
    """Wait for the first bytes; give a generator of them and of what follows.

    Raises:
        Exception: `error`, where there are no bytes.
    """
    first = b""
    while not first:
        try:
            first = await anext(sound)
        except StopAsyncIteration:
            raise error from None
    return _joined(first, sound)


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
