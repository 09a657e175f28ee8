"""Settings of the asset store, from the command line or from AUTOMARKET_STORE_* variables."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """How the store runs."""

    model_config = SettingsConfigDict(
        env_prefix="AUTOMARKET_STORE_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="asset_store"
    )

    listen: str = Field(description="Addresses to listen on, separated by commas: unix:/path or host:port")
    data_dir: Path = Field(description="Folder that holds everything; one store at a time")
    quota_bytes: ByteSize | None = Field(
        default=None, gt=0, description='Most bytes to keep, such as "20GB", uploads under way included'
    )
    max_asset_bytes: ByteSize | None = Field(default=None, gt=0, description="Size of the largest asset that is taken")
    upload_seconds: float = Field(
        default=24 * 3600, gt=0, description="How long the bytes of an upload that does not go on are kept"
    )
    sweep_seconds: float = Field(default=600, gt=0, description="How often such uploads are looked for")
    drain_seconds: float = Field(
        default=5, ge=0, description="How long calls under way may go on after the store was told to stop"
    )
    insecure: bool = Field(default=False, description="Allow addresses beyond this machine")
