"""Whisper in Docker: onerahmet/openai-whisper-asr-webservice 1.9.1, by https://github.com/ahmetoner/whisper-asr-webservice."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime import BackendSettings, BackendSpec

SPEC = BackendSpec(name="whisper", folder=Path(__file__).parent, port=9000, start_seconds=30.0)


class WhisperSettings(BackendSettings):
    """What a user may set of the Whisper backend."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_WHISPER_")

    engine: str = Field(default="", description='"faster_whisper" (the usual one), "openai_whisper" or "whisperx"')
    model: str = Field(
        default="", description='Model that the backend loads: "base" (the usual one), "tiny" ... "turbo"'
    )
    device: str = Field(default="", description='"cpu" or "cuda"; empty goes by `gpu`')
    quantization: str = Field(default="", description='"float32", "float16" or "int8"; empty goes by the device')
    unload_seconds: int = Field(default=0, ge=0, description="Give the model's memory back after so long; 0 never does")
    hf_token: SecretStr = Field(default=SecretStr(""), description="Token of Hugging Face, for telling speakers apart")


__all__ = ["SPEC", "WhisperSettings"]
