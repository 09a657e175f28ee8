"""Speech-to-text on this machine by pocketsphinx, whose wheel carries its US English model."""

from provider_servers.pocketsphinx.provider import PocketsphinxProvider

__all__ = ["PocketsphinxProvider"]
