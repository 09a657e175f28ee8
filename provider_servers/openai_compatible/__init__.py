"""Language models of any server that speaks OpenAI's chat completions: vLLM, llama.cpp, LM Studio and others."""

from provider_servers.runtime.chat.compatible.server import OpenAICompatibleProvider, OpenAICompatibleSettings

__all__ = ["OpenAICompatibleProvider", "OpenAICompatibleSettings"]
