"""What is said of a vendor, and what its user may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from automarket.errors import ProviderNotConfigured
from automarket.secrets import hide
from provider_servers.runtime.describe import Availability


@dataclass(frozen=True, slots=True)
class Vendor:
    """What is said of a vendor in hints and errors.

    Attributes:
        id: the provider's.
        name: for people.
        key_variable: the environment variable of its key; empty where it takes calls without one.
        keys_page: where a key is made.
        billing_page: where an account is topped up.
    """

    id: str
    name: str
    key_variable: str = ""
    keys_page: str = ""
    billing_page: str = ""

    def key_missing(self) -> ProviderNotConfigured:
        """Give the error for calls without a key."""
        hint = f"set {self.key_variable} to a key of {self.keys_page}" if self.keys_page else f"set {self.key_variable}"
        return ProviderNotConfigured(f"{self.key_variable} is not set", hint=hint, metadata={"provider": self.id})


def variables(name: str, *others: str) -> Any:
    """Say which environment variables give a setting, the first one that is set."""
    return AliasChoices(name, *others)


class RemoteSettings(BaseSettings):
    """What a user may set of every vendor. Each has a class of its own, with its variables."""

    model_config = SettingsConfigDict(populate_by_name=True, extra="ignore", hide_input_in_errors=True)

    api_key: SecretStr = Field(default=SecretStr(""), description="Key of the vendor's API")
    organization: str = Field(default="", description="Organisation that is billed, where the key has several")
    project: str = Field(default="", description="Project that is billed, where the key has several")
    base_url: str = Field(default="", description="Address of the API; of a proxy in front of it")
    timeout: float = Field(default=600, gt=0, le=86_400, description="Seconds until the first byte of an answer")
    idle_timeout: float = Field(default=120, gt=0, le=86_400, description="Seconds that a stream may be silent")
    breaker_failures: int = Field(
        default=5, ge=0, description="Failures in a row after which it is not asked for a while"
    )
    breaker_seconds: float = Field(default=5, gt=0, le=60, description="Seconds of that, the first time")
    models: str = Field(default="", description="Further models to offer, by id, comma-separated")

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            message = "it has to be an http:// or https:// address"
            raise ValueError(message)
        return url.rstrip("/")

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002 - pydantic's own
        """See that the key is never shown."""
        for value in dict(self).values():
            if isinstance(value, SecretStr):
                hide(value.get_secret_value().strip())

    @property
    def key(self) -> str:
        """The key itself; empty where none is set."""
        return self.api_key.get_secret_value().strip()

    def further_models(self) -> list[str]:
        """Give the ids of the models that the user names."""
        return [name.strip() for name in self.models.split(",") if name.strip()]


def with_key(vendor: Vendor, settings: RemoteSettings) -> Availability:
    """Say whether there is a key."""
    return Availability() if settings.key or not vendor.key_variable else Availability.lacking(vendor.key_missing())


SETTINGS_SCHEMA: dict[str, Any] = {
    "api_key": {"type": "string", "minLength": 1, "writeOnly": True, "description": "Key of the vendor's API."},
    "organization": {"type": "string", "description": "Organisation that is billed, where the key has several."},
    "project": {"type": "string", "description": "Project that is billed, where the key has several."},
    "base_url": {"type": "string", "pattern": "^https?://[^/]", "description": "Address of the API."},
    "timeout": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 86_400,
        "description": "Seconds until the first byte.",
    },
    "idle_timeout": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 86_400,
        "description": "Seconds that a stream may be silent.",
    },
}
"""What `Configure` takes."""
