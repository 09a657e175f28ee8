"""Anthropic's language models by its messages API."""

from provider_servers.anthropic.provider import AnthropicProvider

__all__ = ["AnthropicProvider"]
