"""Sound of another format, and cuts of it; out of sound files and out of videos."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import InputEmpty, InputUnsuitable, MediaInvalid, OptionInvalid
from automarket.media.demands import needs_cast
from automarket.media.encodings import AUDIO
from automarket.media.graph import arguments_of, open_media, write_media
from automarket.media.info import AudioFormat, AudioInfo, CastSpec, MediaInfo
from automarket.media.probe import examine, probe
from provider_servers.ffmpeg.work import LIMITS, run_with_progress
from provider_servers.runtime import Media
from provider_servers.runtime.sound_format import read_sound_format, sound_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from provider_servers.runtime import Progress

BARE = "s16le"


async def convert(source: Path, options: Mapping[str, Any], folder: Path) -> AsyncGenerator[Progress | Media]:
    """Convert the sound of a file.

    Args:
        source: sound or video.
        options: `format`, `start` and `duration`, checked against the schema already. Without a container sound
            files keep theirs, and the sound of a video becomes WAV.
        folder: where to write the result.

    Raises:
        InputUnsuitable: the file has no sound.
        OptionInvalid: the cut begins after the end, or the format does not exist.
        InputEmpty: the sound plays for no time.
        MediaInvalid: the sound is cut off, or cannot be read.
    """
    form = read_sound_format(options, "audio_conversion")
    given = await examine(source, limits=LIMITS)
    sound = given.info.audio
    if sound is None:
        raise InputUnsuitable("the video has no sound", hint="give a video with a sound track")
    due, cut = _cut(options, given.audio_seconds)
    container = form.container or _own_container(given.info)
    if not cut and not needs_cast(given.info, CastSpec(Role.AUDIO, audio=form)):
        yield Media("audio", sound_media_type(container), source, given.info)
        return
    out = folder / "sound"
    track = open_media(source, given.format, limits=LIMITS, **cut)["a:0"]
    arguments = arguments_of(write_media(out, track, limits=LIMITS, **_encoding(container, form)))
    # WAV that was sent while it was made says no size, and FFmpeg takes its last packet, a short one, for a fault.
    strict = given.format.name != "wav"
    async with aclosing(run_with_progress(arguments, due or given.info.duration, strict=strict)) as steps:
        async for progress in steps:
            yield progress
    made = _bare_info(out, form, sound) if container == BARE else await probe(out, limits=LIMITS)
    _check_length(made.duration, due, cut)
    yield Media("audio", sound_media_type(container), out, made)


def _own_container(info: MediaInfo) -> str:
    return info.format if info.video is None and info.format in AUDIO else "wav"


def _cut(options: Mapping[str, Any], whole: float | None) -> tuple[float | None, dict[str, str]]:
    """Give how long the result has to play, and FFmpeg's options for the cut.

    `whole` is the play time of the source; None where it does not say, and then neither is known of the result.
    """
    start, duration = options.get("start", 0.0), options.get("duration")
    if whole is not None and start >= whole > 0:
        raise _starts_late(f"{start:g} s is not within the sound, which lasts {whole:.3f} s")
    cut = {name: f"{value:.6f}" for name, value in (("ss", start), ("t", duration)) if value}
    if whole is None:
        return None, cut
    return (whole - start if duration is None else min(whole - start, duration)), cut


def _encoding(container: str, form: AudioFormat) -> dict[str, Any]:
    encoding = AUDIO[container]
    options: dict[str, Any] = {"f": encoding.muxer, "acodec": encoding.encoder, **encoding.options}
    options |= {"ar": form.sample_rate} if form.sample_rate else {}
    options |= {"ac": form.channels} if form.channels else {}
    # Over 4 GiB a plain WAV header cannot tell the size.
    return options | ({"rf64": "auto"} if container == "wav" else {})


def _bare_info(out: Path, form: AudioFormat, source: AudioInfo) -> MediaInfo:
    """Give the facts of bare samples, which no program can read from the file."""
    rate, channels = form.sample_rate or source.sample_rate, form.channels or source.channels
    return MediaInfo(BARE, out.stat().st_size / (rate * channels * 2), AudioInfo("pcm_s16le", rate, channels))


def _check_length(made: float | None, due: float | None, cut: Mapping[str, str]) -> None:
    if not made:
        if "ss" in cut:
            raise _starts_late(f"there is no sound at {cut['ss']} s")
        raise InputEmpty("the sound plays for 0 s", hint="check how it was recorded")
    if due is not None and made < due - 0.25 - due * 0.0025:
        raise MediaInvalid(f"the media is cut off: {made:.2f} s of {due:.2f} s of sound can be played")


def _starts_late(what: str) -> OptionInvalid:
    return OptionInvalid(f"option start: {what}", fields={"header.audio_conversion.start": what})
