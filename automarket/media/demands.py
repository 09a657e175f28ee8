"""What a cast asks for: whether it makes sense, whether media can meet it, and whether it meets it already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.assets.formats import Format, roles_of
from automarket.assets.roles import Role, unsuitable
from automarket.errors import CastInvalid, InputUnsuitable
from automarket.media.encodings import MAX_CHANNELS, MAX_RATE, MIN_RATE, audio_encoding, image_encoding

if TYPE_CHECKING:
    from automarket.media.info import AudioFormat, CastSpec, ImageFormat, MediaInfo

MAX_PIXELS_WIDE = 32_768


def check_spec(spec: CastSpec) -> None:
    """Check that a cast asks for something that exists. Raises CastInvalid, naming the field."""
    if spec.audio is not None:
        _check_audio(spec.audio)
    if spec.image is not None:
        _check_image(spec.image)
    if spec.frame_time is not None and (spec.role != Role.IMAGE or not spec.frame_time >= 0):
        raise _fault("frame_time", f"{spec.frame_time} s does not fit a cast to {spec.role}", "0 or more, for an image")


def _check_audio(wanted: AudioFormat) -> None:
    encoding = audio_encoding(wanted.container) if wanted.container else None
    rates = encoding.rates if encoding else ()
    most = encoding.channels if encoding else MAX_CHANNELS
    rate, channels = wanted.sample_rate, wanted.channels
    if rate is not None and not (MIN_RATE <= rate <= MAX_RATE and (not rates or rate in rates)):
        shown = ", ".join(map(str, rates)) or f"{MIN_RATE} to {MAX_RATE}"
        name = wanted.container or "sound"
        raise _fault("audio.sample_rate_hertz", f"{name} at {rate} Hz cannot be made", f"{shown} Hz")
    if channels is not None and not 1 <= channels <= most:
        raise _fault(
            "audio.channels", f"{wanted.container or 'sound'} with {channels} channels cannot be made", f"1 to {most}"
        )


def _check_image(wanted: ImageFormat) -> None:
    if wanted.container:
        image_encoding(wanted.container)
    for name, size in (("max_width", wanted.max_width), ("max_height", wanted.max_height)):
        if size is not None and not 1 <= size <= MAX_PIXELS_WIDE:
            raise _fault(f"image.{name}", f"a picture of {size} pixels cannot be made", f"1 to {MAX_PIXELS_WIDE}")


def _fault(field: str, message: str, allowed: str) -> CastInvalid:
    return CastInvalid(message, hint=f"allowed: {allowed}", fields={f"spec.{field}": allowed})


def check_suitable(found: Format, info: MediaInfo | None, role: Role) -> None:
    """Check that media can play a role, by its format and, where they are known, its tracks.

    Raises:
        InputUnsuitable: saying what it plays and what was needed.
    """
    roles = roles_of(found, info)
    if role in roles or (role == Role.IMAGE and Role.VIDEO in roles):
        return
    if role in (Role.AUDIO, Role.SPEECH) and Role.VIDEO in roles:
        raise without_sound(role)
    raise unsuitable(roles, role, what=f"the input ({found.media_type})")


def without_sound(role: Role) -> InputUnsuitable:
    """Give the error for a video that has no sound track."""
    plays = "the video has no sound track: it plays image and video"
    return InputUnsuitable(f"{plays}; {role} was needed", hint="send a video with sound, or the sound itself")


def needs_cast(info: MediaInfo, spec: CastSpec) -> bool:
    """Tell whether media has to be changed to be what a cast asks for. Sound of unknown length always has to."""
    if spec.role in (Role.AUDIO, Role.SPEECH):
        return info.audio is None or info.video is not None or not info.duration or _sounds_other(info, spec.audio)
    if spec.role == Role.IMAGE:
        return info.video is None or info.video.frame_rate > 0 or _looks_other(info, spec.image)
    return False


def _sounds_other(info: MediaInfo, wanted: AudioFormat | None) -> bool:
    if wanted is None or info.audio is None:
        return False
    other_container = wanted.container is not None and (
        info.format != wanted.container or info.audio.codec != audio_encoding(wanted.container).codec
    )
    other_rate = wanted.sample_rate not in (None, info.audio.sample_rate)
    return other_container or other_rate or wanted.channels not in (None, info.audio.channels)


def _looks_other(info: MediaInfo, wanted: ImageFormat | None) -> bool:
    if wanted is None or info.video is None:
        return False
    too_wide = wanted.max_width is not None and info.video.width > wanted.max_width
    too_high = wanted.max_height is not None and info.video.height > wanted.max_height
    return wanted.container not in (None, info.format) or too_wide or too_high
