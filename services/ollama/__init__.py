"""Ollama in Docker: ollama/ollama 0.32, by https://github.com/ollama/ollama."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime import BackendSettings, BackendSpec

SPEC = BackendSpec(name="ollama", folder=Path(__file__).parent, port=11434, start_seconds=60.0)


class OllamaSettings(BackendSettings):
    """What a user may set of the Ollama backend."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_OLLAMA_")

    models: str = Field(
        default="", description="Further models to offer, by name, comma-separated; they are pulled at first use"
    )
    keep_alive: str = Field(default="", description='How long a model stays in memory, such as "5m" (the usual time)')
    context_length: int | None = Field(
        default=None, gt=0, description="Tokens of context; Ollama's own choice if unset"
    )
    num_parallel: int | None = Field(default=None, gt=0, description="Requests that a model takes at once")


__all__ = ["SPEC", "OllamaSettings"]
