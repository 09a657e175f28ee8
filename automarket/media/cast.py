"""Making media play a role: a file into a file, or bytes into bytes while they arrive."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import CastInvalid, InputEmpty, MediaInvalid, MediaLimit
from automarket.media.demands import check_spec, check_suitable, needs_cast
from automarket.media.encodings import AUDIO, IMAGES, audio_encoding, image_encoding
from automarket.media.graph import arguments_of, in_time, open_media, write_media
from automarket.media.head import can_be_piped, take_head, with_head
from automarket.media.info import AudioFormat, CastSpec, ImageFormat, MediaInfo, VideoInfo
from automarket.media.lengths import ends_cleanly
from automarket.media.limits import DEFAULT_LIMITS, MediaLimits
from automarket.media.pipe import cast_piped
from automarket.media.probe import Examined, examine
from automarket.media.process import READ_BYTES, run_ffmpeg

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

__all__ = ["cast_file", "cast_stream", "needs_cast"]

_TOLERANCE = 0.25  # seconds, and the same in percent: codecs pad and trim


async def cast_file(source: Path, spec: CastSpec, out_dir: Path, *, limits: MediaLimits = DEFAULT_LIMITS) -> Path:
    """Make a file play a role; gives a new file in `out_dir`, or `source` itself when it is already what is asked for.

    Sound that is extracted from a video is WAV unless the spec says otherwise; a picture is PNG.

    Raises:
        CastInvalid: the spec asks for something that does not exist.
        InputUnsuitable: the media cannot play the role.
        InputEmpty: it has no bytes, or plays for no time.
        MediaInvalid: it is broken or cut off.
        MediaRefused: it is a list of other files.
        MediaLimit: it is too long, too large or takes too long.
        DiskFull: there is no room for the result.
        EngineMissing: FFmpeg is not installed, or lacks a codec.
    """
    check_spec(spec)
    given = await examine(source, limits=limits)
    check_suitable(given.format, given.info, spec.role)
    if not needs_cast(given.info, spec):
        return source
    if (given.info.duration or 0) > limits.max_seconds:
        raise MediaLimit(f"the media plays {given.info.duration:.0f} s; at most {limits.max_seconds:.0f} s are cast")
    make = _make_picture if spec.role == Role.IMAGE else _make_sound
    target = out_dir / f"cast-{uuid.uuid4().hex}"
    try:
        return await make(source, given, spec, target, limits)
    except BaseException:
        for rest in out_dir.glob(f"{target.name}.*"):
            rest.unlink(missing_ok=True)
        raise


async def _make_sound(source: Path, given: Examined, spec: CastSpec, target: Path, limits: MediaLimits) -> Path:
    wanted = spec.audio or AudioFormat()
    own = given.info.format if given.info.video is None else "wav"
    encoding = audio_encoding(wanted.container or (own if own in AUDIO else "wav"))
    target = target.with_suffix(f".{encoding.extension}")
    options: dict[str, Any] = {"f": encoding.muxer, "acodec": encoding.encoder, **encoding.options}
    options |= {"ar": wanted.sample_rate} if wanted.sample_rate else {}
    options |= {"ac": wanted.channels} if wanted.channels else {}
    sound = in_time(open_media(source, given.format, limits=limits)["a:0"], given.format)
    output = write_media(target, sound, limits=limits, t=limits.max_seconds, **options)
    await run_ffmpeg(arguments_of(output), limits=limits, strict=ends_cleanly(given.format))
    await _check_sound(given, target, wanted, limits)
    return target


async def _check_sound(given: Examined, target: Path, wanted: AudioFormat, limits: MediaLimits) -> None:
    """Check that the result is as long as the source: FFmpeg can end well on half of a file."""
    made = await _length(target, wanted, given.info, limits)
    if made == 0:
        if given.audio_seconds or given.info.duration:
            raise MediaInvalid("the media has a sound track, and nothing in it can be played")
        raise InputEmpty("the sound plays for 0 s", hint="check how it was recorded")
    due = given.audio_seconds
    if due is not None and made is not None and made < due - _TOLERANCE - due * _TOLERANCE / 100:
        raise MediaInvalid(f"the media is cut off: {made:.2f} s of {due:.2f} s of sound can be played")


async def _length(target: Path, wanted: AudioFormat, source: MediaInfo, limits: MediaLimits) -> float | None:
    """Give the play time of a result; None where it is a guess."""
    if not target.stat().st_size:
        return 0.0
    if wanted.container != "s16le":
        made = await examine(target, limits=limits)
        return made.info.duration and made.audio_seconds if made.info.duration else 0.0
    rate = wanted.sample_rate or (source.audio.sample_rate if source.audio else 0)
    channels = wanted.channels or (source.audio.channels if source.audio else 0)
    return target.stat().st_size / max(1, 2 * rate * channels)


async def _make_picture(source: Path, given: Examined, spec: CastSpec, target: Path, limits: MediaLimits) -> Path:
    wanted = spec.image or ImageFormat()
    length = given.info.duration
    if spec.frame_time is not None and length is not None and spec.frame_time >= length:
        raise _past_the_end(spec.frame_time, length)
    encoding = image_encoding(wanted.container or (given.info.format if given.info.format in IMAGES else "png"))
    target = target.with_suffix(f".{encoding.extension}")
    more = {"ss": f"{spec.frame_time:.3f}"} if spec.frame_time and given.info.duration else {}
    picture = open_media(source, given.format, limits=limits, **more)["v:0"]
    if (size := _fitted(given.info.video, wanted)) is not None:
        picture = picture.filter("scale", *size)
    options = {"f": encoding.muxer, "vcodec": encoding.encoder, "frames:v": 1, **encoding.options}
    await run_ffmpeg(arguments_of(write_media(target, picture, limits=limits, **options)), limits=limits)
    if not target.exists() or not target.stat().st_size:
        if spec.frame_time is not None and length is not None:
            raise _past_the_end(spec.frame_time, length)
        raise MediaInvalid("no picture could be read", hint="check how it was made")
    return target


def _fitted(given: VideoInfo | None, wanted: ImageFormat) -> tuple[int, int] | None:
    """Give the size that fits the wanted bounds in proportion; None when it fits already."""
    if given is None:
        return None
    scale = min((wanted.max_width or given.width) / given.width, (wanted.max_height or given.height) / given.height)
    return (max(1, round(given.width * scale)), max(1, round(given.height * scale))) if scale < 1 else None


def _past_the_end(moment: float, length: float) -> CastInvalid:
    message = f"there is no picture at {moment:.3f} s: the video plays {length:.3f} s"
    return CastInvalid(message, fields={"spec.frame_time": f"less than {length:.3f} s"})


async def cast_stream(
    chunks: AsyncIterator[bytes], spec: CastSpec, *, limits: MediaLimits = DEFAULT_LIMITS
) -> AsyncGenerator[bytes]:
    """Make media play a role while it arrives.

    Sound comes out while more comes in, where containers allow it; media that FFmpeg has to seek in (an MP4 whose
    index comes last, a picture) is written to a temporary file first. A slow reader slows the source. Close the
    generator (`contextlib.aclosing`) when you stop early. Raises as `cast_file` does, and what `chunks` raises.
    """
    check_spec(spec)
    head, found = await take_head(chunks)
    check_suitable(found, None, spec.role)
    flow = with_head(head, chunks)
    if spec.role in (Role.TEXT, Role.VIDEO):
        made = flow
    elif spec.role != Role.IMAGE and can_be_piped(head, found) and _writes_to_pipe(spec.audio):
        made = cast_piped(head, flow, found, spec, limits)
    else:
        made = _cast_spooled(flow, spec, limits)
    async with aclosing(flow), aclosing(made):
        async for piece in made:
            yield piece


def _writes_to_pipe(wanted: AudioFormat | None) -> bool:
    """Tell whether a result needs neither seeking nor facts of the source that are not known yet."""
    if wanted is None or not wanted.container or not AUDIO[wanted.container].pipes:
        return False
    return wanted.container != "wav" or (wanted.sample_rate is not None and wanted.channels is not None)


async def _cast_spooled(chunks: AsyncIterator[bytes], spec: CastSpec, limits: MediaLimits) -> AsyncGenerator[bytes]:
    with tempfile.TemporaryDirectory(prefix="automarket-cast-") as name:
        folder = Path(name)
        spool = folder / "input"
        total = 0
        with spool.open("wb") as file:
            async for chunk in chunks:
                total += len(chunk)
                if total > limits.max_output_bytes:
                    raise MediaLimit(f"the media is over {limits.max_output_bytes:,} bytes")
                await asyncio.to_thread(file.write, chunk)
        result = await cast_file(spool, spec, folder, limits=limits)
        with result.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, READ_BYTES):
                yield piece
