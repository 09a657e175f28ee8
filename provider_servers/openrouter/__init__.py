"""Language models of many vendors by OpenRouter."""

from provider_servers.openrouter.provider import OpenRouterProvider

__all__ = ["OpenRouterProvider"]
