"""Large language models by Ollama, in a Docker container of its own or wherever it runs already."""

from provider_servers.ollama.provider import OllamaProvider

__all__ = ["OllamaProvider"]
