"""What a user may set of fal.ai."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from automarket.secrets import hide
from provider_servers.runtime.remote import Waits
from provider_servers.runtime.vendors.vendor import SETTINGS_SCHEMA, RemoteSettings, Vendor, variables

VENDOR = Vendor(
    "fal",
    "fal.ai",
    key_variable="FAL_KEY",
    keys_page="https://fal.ai/dashboard/keys",
    billing_page="https://fal.ai/dashboard/billing",
)
QUEUE_URL, REST_URL, PLATFORM_URL = "https://queue.fal.run", "https://rest.fal.ai", "https://api.fal.ai/v1"


class FalSettings(RemoteSettings):
    """What a user may set of fal.ai. The key is "<key id>:<key secret>", or comes in two parts."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_FAL_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_FAL_API_KEY", "FAL_KEY"),
        description="Key of the vendor's API: key id, colon, key secret",
    )
    key_id: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_FAL_KEY_ID", "FAL_KEY_ID"),
        description="First part of the key, where it comes in two",
    )
    key_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_FAL_KEY_SECRET", "FAL_KEY_SECRET"),
        description="Second part of the key, where it comes in two",
    )
    rest_url: str = Field(default=REST_URL, description="Address of the storage for inputs")
    platform_url: str = Field(
        default=PLATFORM_URL, description="Address of the platform API: schemas, prices, requests"
    )
    poll_seconds: float = Field(default=1.0, gt=0, le=60, description="Seconds until work is asked for a second time")
    longest_poll_seconds: float = Field(default=10.0, gt=0, le=300, description="Seconds that this grows to")
    stream: bool = Field(default=True, description="Follow work by the vendor's stream of states; polls otherwise")
    max_picture_bytes: int = Field(default=20_000_000, gt=0, description="Larger pictures are made smaller")
    max_picture_side: int = Field(default=8192, gt=0, description="Pictures with more pixels a side are made smaller")
    max_input_bytes: int = Field(default=5_000_000_000, gt=0, description="Larger videos and sound are refused")

    @property
    def key(self) -> str:
        """The key itself; empty where none is set."""
        first, second = (one.get_secret_value().strip() for one in (self.key_id, self.key_secret))
        return self.api_key.get_secret_value().strip() or (f"{first}:{second}" if first and second else "")

    def model_post_init(self, context: Any, /) -> None:
        """See that the key is never shown, in whole or in part."""
        super().model_post_init(context)
        for part in (self.key, *self.key.split(":")):
            hide(part)

    @property
    def waits(self) -> Waits:
        """How long is waited between polls."""
        return Waits(first=self.poll_seconds, longest=max(self.poll_seconds, self.longest_poll_seconds))


FAL_SETTINGS_SCHEMA = {
    **{name: SETTINGS_SCHEMA[name] for name in ("api_key", "base_url", "timeout", "idle_timeout")},
    "stream": {"type": "boolean", "description": "Follow work by the vendor's stream of states; polls otherwise."},
}
"""What `Configure` takes."""
