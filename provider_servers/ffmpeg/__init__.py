"""What FFmpeg can do, as models of the mesh."""

from provider_servers.ffmpeg.provider import FfmpegProvider

__all__ = ["FfmpegProvider"]
