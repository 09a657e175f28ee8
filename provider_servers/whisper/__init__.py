"""Speech-to-text by Whisper in a Docker container of its own."""

from provider_servers.whisper.provider import WhisperProvider

__all__ = ["WhisperProvider"]
