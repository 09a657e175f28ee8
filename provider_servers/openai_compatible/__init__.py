"""Language models of any server that speaks OpenAI's chat completions: vLLM, llama.cpp, LM Studio and others."""

from provider_servers.openai_compatible.provider import OpenAICompatibleProvider

__all__ = ["OpenAICompatibleProvider"]
