"""Settings of a provider server, from the command line or from AUTOMARKET_PROVIDER_* variables."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, CliPositionalArg, SettingsConfigDict


class ProviderServerSettings(BaseSettings):
    """How a provider server runs."""

    model_config = SettingsConfigDict(
        env_prefix="AUTOMARKET_PROVIDER_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="provider"
    )

    name: CliPositionalArg[str] = Field(description='Name of an installed provider, or "module:Class"')
    listen: list[str] = Field(min_length=1, description="Where to serve: unix:/path or host:port; may be repeated")
    registry: list[str] = Field(default=[], description="Registries of the gateways to join; may be repeated")
    instance_id: str = Field(default="", description="Identity in the mesh; empty makes one up")
    grace_seconds: float = Field(default=30.0, ge=0, description="How long calls may go on after SIGTERM")
    insecure: bool = Field(default=False, description="Allow addresses beyond this machine")
