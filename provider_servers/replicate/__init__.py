"""Models of Replicate: https://replicate.com."""

from provider_servers.replicate.provider import ReplicateProvider

__all__ = ["ReplicateProvider"]
