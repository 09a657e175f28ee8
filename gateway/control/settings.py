"""Settings of control, from the command line or from AUTOMARKET_CONTROL_* variables."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ControlSettings(BaseSettings):
    """How control runs."""

    model_config = SettingsConfigDict(
        env_prefix="AUTOMARKET_CONTROL_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="control"
    )

    listen: str = Field(description="Private address of all services, registration included: unix:/path")
    routes: str = Field(description="Where data planes get the routing table: unix:/path")
    store: str = Field(default="", description="Address of the asset store, empty when there is none")
    content_directory: str = Field(default="", description="The store's content folder, for providers on this machine")
    known_providers: Path | None = Field(
        default=None, description="JSON list of providers that exist here, running or not"
    )
    settle_seconds: float = Field(
        default=5.0, ge=0, description="How long after the start an unknown name may still turn up"
    )
    remember_seconds: float = Field(
        default=600.0, ge=0, description="How long a provider that was lost is still known by name"
    )
    insecure: bool = Field(default=False, description="Allow addresses beyond this machine")
