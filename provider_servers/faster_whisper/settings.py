"""What a user may set, by AUTOMARKET_FASTER_WHISPER_* variables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "AUTOMARKET_FASTER_WHISPER_"


class FasterWhisperSettings(BaseSettings):
    """How faster-whisper runs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="What computes")
    compute_type: str = Field(
        default="auto", description='CTranslate2\'s number format, such as "int8" or "float16"; "auto" is the fastest'
    )
    cpu_threads: int = Field(default=0, ge=0, description="Threads of one transcription; 0 leaves it to the engine")
    cache_dir: str = Field(default="", description="Where models are kept; empty is Hugging Face's own cache")
    models: str = Field(
        default="",
        description="Further models, comma-separated: Hugging Face ids of CTranslate2 conversions, or folders",
    )
    idle_seconds: float = Field(
        default=300, ge=0, description="How long a model stays in memory without work; 0 is for good"
    )
