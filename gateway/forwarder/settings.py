"""Settings of the forwarder, from the command line or from AUTOMARKET_GATEWAY_* variables."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ForwarderSettings(BaseSettings):
    """How the public port runs."""

    model_config = SettingsConfigDict(
        env_prefix="AUTOMARKET_GATEWAY_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="gateway"
    )

    listen: str = Field(default="127.0.0.1:50051", description="The public address: host:port or unix:/path")
    routes: str = Field(description="Where control pushes the routing table: unix:/path")
    insecure: bool = Field(default=False, description="Allow a public address beyond this machine")
    reuse_port: bool = Field(default=False, description="Share the port with other workers")
    drain_seconds: float = Field(default=30.0, ge=0, description="How long calls may go on when the process is to end")
    max_calls: int = Field(default=1000, ge=1, description="Calls under way at once; one more is RESOURCE_EXHAUSTED")
