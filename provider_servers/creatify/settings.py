"""What a user may set of Creatify."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from provider_servers.runtime.vendors.vendor import SETTINGS_SCHEMA, RemoteSettings, Vendor, variables

VENDOR = Vendor(
    "creatify",
    "Creatify",
    key_variable="CREATIFY_API_KEY with CREATIFY_API_ID",
    keys_page="https://app.creatify.ai/api-settings",
    billing_page="https://app.creatify.ai/pricing",
)
SCHEMA: dict[str, Any] = {
    **SETTINGS_SCHEMA,
    "api_id": {"type": "string", "minLength": 1, "writeOnly": True, "description": "Id that goes with the key."},
    "upload_url": {"type": "string", "pattern": "^https?://[^/]", "description": "Where inputs may be put."},
}


class CreatifySettings(RemoteSettings):
    """What a user may set of Creatify, which wants an id beside the key, and has no upload of its own."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_CREATIFY_")

    api_id: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_CREATIFY_API_ID", "CREATIFY_API_ID"),
        description="Id that goes with the key",
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_CREATIFY_API_KEY", "CREATIFY_API_KEY"),
        description="Key of the vendor's API",
    )
    upload_url: str = Field(default="", description="Where inputs may be put by HTTP PUT, each under a name of its own")
    public_url: str = Field(default="", description="Where the vendor reads them; the same address when left out")
    upload_token: SecretStr = Field(default=SecretStr(""), description="Bearer token that the PUT carries")
    avatar: str = Field(default="", description="Person who speaks where none is named")
    credit_price: float = Field(default=0, ge=0, description="US dollars for a credit, as your plan has it")
    poll_interval: float = Field(default=5, gt=0, le=60, description="Seconds before a job is asked for the first time")

    @field_validator("upload_url", "public_url")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            message = "it has to be an http:// or https:// address"
            raise ValueError(message)
        return url.rstrip("/")

    @property
    def key(self) -> str:
        """The key; empty where it or its id is not set."""
        return super().key if self.api_id.get_secret_value().strip() else ""
