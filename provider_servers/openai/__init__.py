"""OpenAI's language models by its chat completions."""

from provider_servers.openai.provider import OpenAIProvider

__all__ = ["OpenAIProvider"]
