"""Chatterbox in Docker: ghcr.io/devnen/chatterbox-tts-server, by https://github.com/devnen/Chatterbox-TTS-Server."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime import BackendSettings, BackendSpec

SPEC = BackendSpec(name="chatterbox", folder=Path(__file__).parent, port=8004, start_seconds=60.0)


class ChatterboxSettings(BackendSettings):
    """What a user may set of the Chatterbox backend."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_CHATTERBOX_")

    hf_token: SecretStr = Field(default=SecretStr(""), description="Token of Hugging Face, for faster downloads")


__all__ = ["SPEC", "ChatterboxSettings"]
