"""Open language models by Together AI."""

from provider_servers.together.provider import TogetherProvider

__all__ = ["TogetherProvider"]
