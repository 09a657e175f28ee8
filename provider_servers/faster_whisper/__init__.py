"""Speech-to-text by faster-whisper on this machine, without Docker; models are fetched when they are first used."""

from provider_servers.faster_whisper.provider import FasterWhisperProvider

__all__ = ["FasterWhisperProvider"]
