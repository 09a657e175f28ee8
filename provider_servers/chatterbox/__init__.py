"""Text-to-speech and voice cloning by Chatterbox in a Docker container of its own."""

from provider_servers.chatterbox.provider import ChatterboxProvider

__all__ = ["ChatterboxProvider"]
