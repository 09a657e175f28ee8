"""fal.ai: pictures, videos and what is done to them; `api` speaks to the vendor, `models.json` lists its endpoints.

Media in: pictures, videos and sound, by URLs that the vendor reads, or within the request when small. Media out:
pictures and videos, downloaded at once.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, ProviderNotConfigured
from provider_servers.fal.api import FalApi
from provider_servers.fal.endpoints import Endpoint, built_in
from provider_servers.fal.job import FalJob
from provider_servers.fal.openapi import read_openapi
from provider_servers.fal.prices import estimate_of, pricing_of
from provider_servers.fal.refusals import read_refusal
from provider_servers.fal.settings import FAL_SETTINGS_SCHEMA, QUEUE_URL, VENDOR, FalSettings
from provider_servers.runtime.describe import Availability, Model
from provider_servers.runtime.remote import RemoteProvider, Unanswered
from provider_servers.runtime.remote.claimed import Claimed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.estimates import Estimate
    from provider_servers.runtime.remote import RemoteJob, VendorApi, Waits
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream
    from provider_servers.runtime.vendors.vendor import RemoteSettings

log = logging.getLogger("automarket.provider")

FREE_CHECK = "fal-ai/flux/dev"


class FalProvider(RemoteProvider):
    """Models of fal.ai."""

    id = "fal"
    name = "fal.ai"
    description = "Pictures and videos made and changed by fal.ai; every call is billed."
    aliases = ("fal-ai",)
    settings_schema = FAL_SETTINGS_SCHEMA
    finds_models = True

    vendor = VENDOR
    settings_class = FalSettings
    default_url = QUEUE_URL
    url_variable = "AUTOMARKET_FAL_BASE_URL"

    def __init__(self, settings: FalSettings | None = None, waits: Waits | None = None) -> None:
        given = settings or FalSettings()
        super().__init__(given, waits or given.waits)
        self._endpoints: dict[str, Endpoint] = dict(built_in())
        self._claimed = Claimed()

    @property
    def settings(self) -> FalSettings:
        """What the user has set."""
        assert isinstance(self._settings, FalSettings)  # noqa: S101 - it is made of no other class
        return self._settings

    def own_addresses(self) -> tuple[str, ...]:
        """Give the addresses of the vendor that the user has set himself."""
        return (self.settings.base_url, self.settings.rest_url, self.settings.platform_url)

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key."""
        return {"authorization": f"Key {settings.key}"}

    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        return read_refusal(status, headers, body)

    # --- models ---

    def built_in(self) -> list[Model]:
        """List the endpoints that are known, those that are gone last."""
        known = sorted(self._endpoints.values(), key=lambda one: bool(one.gone))
        return [one.model for one in known]

    def named(self, name: str) -> Model:
        """Describe an endpoint whose schema was not read yet."""
        if name in self._endpoints:
            return self._endpoints[name].model
        reason = f"the schema of {name} could not be read from fal.ai yet"
        away = Availability(available=False, reason=reason, hint="check the name, the key and the network")
        likest = self._endpoints[FREE_CHECK].model
        return replace(likest, id=name, name=name, aliases=(), canonical_id="", availability=away)

    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Read the schemas of endpoints that the user names, and the price of every one."""
        api = self._fal(self.api(upstream))
        try:
            for name in self._settings.further_models():
                if name not in self._endpoints and (found := await self._read(api, name)) is not None:
                    self._endpoints[name] = found
            await self._take_prices(api, [name for name, one in self._endpoints.items() if not one.gone])
        except Unanswered as lost:
            raise lost.error from None
        return self.built_in()

    async def find_model(self, name: str) -> Model | None:
        """Look for an endpoint by its id."""
        if "/" not in name:
            return None
        api = self._fal(self.api(self.upstream()))
        try:
            found = await self._read(api, name)
        except Unanswered as lost:
            raise lost.error from None
        if found is None:
            return None
        self._endpoints[name] = found
        try:
            await self._take_prices(api, [name])
        except (Unanswered, AutoMarketError) as error:
            log.info("an endpoint's price is not known", extra={"model": name, "reason": str(error)})
        self._listed, self._offered = self.built_in(), None
        self.models_changed()
        return self._endpoints[name].model

    async def _read(self, api: FalApi, name: str) -> Endpoint | None:
        found = await api.described(name)
        return None if found is None else read_openapi(name, *found)

    async def _take_prices(self, api: FalApi, names: list[str]) -> None:
        for name, price in (await api.prices(names)).items():
            if (one := self._endpoints.get(name)) is not None:
                self._endpoints[name] = replace(one, model=replace(one.model, pricing=pricing_of(*price)))

    async def check(self, upstream: Upstream) -> None:
        """Ask for a price, which is free of charge."""
        try:
            await self._fal(self.api(upstream)).prices([FREE_CHECK])
        except Unanswered as lost:
            raise lost.error from None

    # --- calls ---

    async def estimate(self, call: Call) -> Estimate | None:
        """Say what a call would cost by the vendor's price list."""
        endpoint = self._endpoints.get(call.model.id)
        if endpoint is None:
            return None
        return estimate_of(endpoint.model.pricing, call.options, call.facts, endpoint.frame_rate)

    async def job(self, call: Call, api: VendorApi) -> RemoteJob:
        """Give the request that a call is."""
        endpoint = self._endpoints.get(call.model.id)
        if endpoint is None:
            raise ProviderNotConfigured(f"the schema of {call.model.id} could not be read", hint="check the name")
        fal = self._fal(api.for_model(endpoint.model.id, endpoint.names()))
        return FalJob(call, endpoint, fal, self.uploads, self.settings, self._claimed)

    def _fal(self, api: VendorApi) -> FalApi:
        return FalApi(api, self.settings.rest_url.rstrip("/"), self.settings.platform_url.rstrip("/"))
