"""FFmpeg's arguments, built with ffmpeg-python. Media is opened here and nowhere else, so that no input escapes.

A demuxer is forced, so that content decides what opens it, and whitelists keep it from opening anything further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ffmpeg  # pyright: ignore[reportMissingTypeStubs] - it carries no types

from automarket.assets.roles import Role
from automarket.media.limits import DEFAULT_LIMITS, MediaLimits

if TYPE_CHECKING:
    from pathlib import Path

    from automarket.assets.formats import Format

_library: Any = ffmpeg  # untyped: its nodes are Any for everybody


def input_options(found: Format, *, piped: bool, limits: MediaLimits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Give the options that an input of a format is opened with, by name."""
    return {
        "f": found.demuxer,
        "format_whitelist": found.demuxer,
        "protocol_whitelist": "pipe" if piped else "file",
        "max_pixels": limits.max_pixels,
        "threads": limits.threads,
    }


def input_name(source: Path | None) -> str:
    """Give how FFmpeg is told of an input: a file, whatever its name looks like, or standard input for None."""
    return "pipe:0" if source is None else f"file:{source.absolute()}"


def open_media(source: Path | None, found: Format, *, limits: MediaLimits = DEFAULT_LIMITS, **more: Any) -> Any:
    """Give ffmpeg-python's node of an input.

    Args:
        source: the file; None is standard input.
        found: its format, as told by its content (`automarket.assets.formats.recognise`).
        limits: what it may cost.
        more: further input options, e.g. ss=2.5.
    """
    options = input_options(found, piped=source is None, limits=limits)
    return _library.input(input_name(source), **options, **more)


def in_time(sound: Any, found: Format) -> Any:
    """Give sound with silence where a video has none, so that a moment in it is the same moment in the video."""
    if Role.VIDEO not in found.roles:
        return sound
    return sound.filter("aresample", **{"async": 1, "first_pts": 0})


def write_media(target: Path | None, *streams: Any, limits: MediaLimits = DEFAULT_LIMITS, **options: Any) -> Any:
    """Give ffmpeg-python's node of an output; a target of None is standard output. No tags are written."""
    name = "pipe:1" if target is None else f"file:{target.absolute()}"
    kept_out = {"map_metadata": -1, "fflags": "+bitexact", "threads": limits.threads}
    return _library.output(*streams, name, **kept_out, **options)


def arguments_of(*outputs: Any) -> list[str]:
    """Give the arguments of FFmpeg for some outputs."""
    node = outputs[0] if len(outputs) == 1 else _library.merge_outputs(*outputs)
    return list(_library.get_args(node))
