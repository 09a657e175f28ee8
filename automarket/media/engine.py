"""Where FFmpeg is on this machine."""

from __future__ import annotations

import shutil

from automarket.errors import EngineMissing

HINT = "apt install ffmpeg, or pip install 'automarket[ffmpeg]'"


def find_ffmpeg() -> str:
    """Give the ffmpeg command: the one on PATH, else the one that the package imageio-ffmpeg carries.

    Raises:
        EngineMissing: there is neither.
    """
    command = shutil.which("ffmpeg") or _carried()
    if command is None:
        raise EngineMissing("ffmpeg is not installed", hint=HINT)
    return command


def find_ffprobe() -> str | None:
    """Give the ffprobe command; None where there is none (imageio-ffmpeg carries none)."""
    return shutil.which("ffprobe")


def _carried() -> str | None:
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:  # it has no binary for this machine
        return None
