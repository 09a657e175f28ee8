"""What FFmpeg prints of its input, for machines that have no ffprobe. Gives facts in ffprobe's form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from automarket.errors import MediaInvalid
from automarket.media.engine import find_ffmpeg
from automarket.media.graph import input_name, input_options
from automarket.media.process import running

if TYPE_CHECKING:
    from pathlib import Path

    from automarket.assets.formats import Format
    from automarket.media.limits import MediaLimits

_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_AUDIO = re.compile(r"^  Stream #0:\d+[^:]*: Audio: (\w+).*?, (\d+) Hz, ([\w.]+)", re.MULTILINE)
_VIDEO = re.compile(r"^  Stream #0:\d+[^:]*: Video: (\w+)(.*)$", re.MULTILINE)
_SIZE = re.compile(r", (\d{1,6})x(\d{1,6})\b")
_RATE = re.compile(r", ([\d.]+) (fps|tbr)")
_TURNED = re.compile(r"rotation of (-?\d+)")
_LAYOUTS = {"mono": 1, "stereo": 2, "2.1": 3, "3.0": 3, "quad": 4, "4.0": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}


async def read_banner(path: Path, found: Format, limits: MediaLimits) -> dict[str, Any]:
    """Give the facts of a file, in the form of ffprobe's JSON. Raises as `probe` does."""
    options = input_options(found, piped=False, limits=limits)
    opening = [part for name, value in options.items() for part in (f"-{name}", str(value))]
    arguments = ["-nostdin", "-hide_banner", *opening, "-i", input_name(path)]
    async with running(find_ffmpeg(), arguments, limits=limits) as child:
        try:
            await child.finish()
        except MediaInvalid:  # FFmpeg misses an output, after it has said what the input is
            if not _AUDIO.search(child.written) and not _VIDEO.search(child.written):
                raise
    return parse(child.written)


def parse(text: str) -> dict[str, Any]:
    """Give the facts in what FFmpeg printed."""
    streams = [_audio(found) for found in _AUDIO.finditer(text)]
    streams += [_video(found, text) for found in _VIDEO.finditer(text)]
    length = _DURATION.search(text)
    seconds = int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None
    return {"streams": streams, "format": {"duration": seconds}}


def _audio(found: re.Match[str]) -> dict[str, Any]:
    layout = found[3].split("(")[0]
    channels = _LAYOUTS.get(layout) or (int(layout) if layout.isdigit() else 0)
    return {"codec_type": "audio", "codec_name": found[1], "sample_rate": found[2], "channels": channels}


def _video(found: re.Match[str], text: str) -> dict[str, Any]:
    size, rate, turned = _SIZE.search(found[2]), _RATE.search(found[2]), _TURNED.search(text)
    return {
        "codec_type": "video",
        "codec_name": found[1],
        "width": size[1] if size else 0,
        "height": size[2] if size else 0,
        "avg_frame_rate": f"{round(float(rate[1]) * 1000)}/1000" if rate else "",
        "disposition": {"attached_pic": "(attached pic)" in found[2]},
        "side_data_list": [{"rotation": turned[1]}] if turned else [],
    }
