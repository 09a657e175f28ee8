"""Talking persons and voices by Creatify: https://creatify.ai."""

from provider_servers.creatify.provider import CreatifyProvider

__all__ = ["CreatifyProvider"]
