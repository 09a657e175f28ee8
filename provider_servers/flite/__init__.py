"""Text-to-speech on this machine: flite, or eSpeak NG where flite is not installed."""

from provider_servers.flite.provider import FliteProvider

__all__ = ["FliteProvider"]
