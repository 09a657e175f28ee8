"""Speech, voices, transcripts and sound effects by ElevenLabs."""

from provider_servers.elevenlabs.provider import ElevenLabsProvider

__all__ = ["ElevenLabsProvider"]
