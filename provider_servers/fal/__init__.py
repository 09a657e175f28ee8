"""Pictures and videos of fal.ai: `FalProvider`."""

from provider_servers.fal.provider import FalProvider

__all__ = ["FalProvider"]
