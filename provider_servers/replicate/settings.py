"""What a user may set of Replicate."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from provider_servers.replicate.known import HARDWARE
from provider_servers.runtime.vendors.vendor import RemoteSettings, Vendor, variables

VENDOR = Vendor(
    "replicate",
    "Replicate",
    key_variable="REPLICATE_API_TOKEN",
    keys_page="https://replicate.com/account/api-tokens",
    billing_page="https://replicate.com/account/billing",
)


class ReplicateSettings(RemoteSettings):
    """What a user may set of Replicate."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_REPLICATE_")

    api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=variables("AUTOMARKET_REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
        description="Key of the vendor's API",
    )
    base_url: str = Field(
        default="",
        validation_alias=variables("AUTOMARKET_REPLICATE_BASE_URL", "REPLICATE_BASE_URL"),
        description="Address of the API; of a proxy in front of it",
    )
    poll_interval: float = Field(
        default=0.5,
        gt=0,
        le=60,
        validation_alias=variables("AUTOMARKET_REPLICATE_POLL_INTERVAL", "REPLICATE_POLL_INTERVAL"),
        description="Seconds before a prediction is asked for the first time; later ones grow",
    )
    prices: str = Field(
        default="",
        description="What a second of a model's run costs: owner/name=gpu-h100 or owner/name=0.0014, comma-separated",
    )

    @field_validator("prices")
    @classmethod
    def _are_prices(cls, text: str) -> str:
        _read_prices(text)
        return text

    def price_of(self, slug: str) -> float | None:
        """Give the US dollars for a second of a model's run; None where nobody has said."""
        return _read_prices(self.prices).get(slug)


def _read_prices(text: str) -> dict[str, float]:
    """Read prices.

    Raises:
        ValueError: there is something else.
    """
    found: dict[str, float] = {}
    for pair in filter(None, (one.strip() for one in text.split(","))):
        slug, _, price = (part.strip() for part in pair.partition("="))
        try:
            found[slug] = HARDWARE[price] if price in HARDWARE else float(price)
        except ValueError:
            message = f"{pair!r} is no owner/name=price; hardware is one of {', '.join(HARDWARE)}"
            raise ValueError(message) from None
    return found
