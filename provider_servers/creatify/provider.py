"""Video of a person who speaks, and speech, by Creatify: POST https://api.creatify.ai/api/lipsyncs/ and its like.

Text or speech in, a picture for Aurora; video or speech out. Source: docs.creatify.ai, 2026-08; there is no official
description of the API. It reads media from public addresses only, and has no cancel: what was begun is charged.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from provider_servers.creatify.catalogue import Catalogue
from provider_servers.creatify.client import CreatifyClient
from provider_servers.creatify.job import CreatifyJob
from provider_servers.creatify.models import OFFERS, VERSIONS, price
from provider_servers.creatify.refusals import read_refusal
from provider_servers.creatify.settings import SCHEMA, VENDOR, CreatifySettings
from provider_servers.runtime.estimates import Estimate
from provider_servers.runtime.remote import Claimed, RemoteProvider, Unanswered, Uploads, Waits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from provider_servers.runtime import Call, Model, Voice
    from provider_servers.runtime.remote import RemoteJob, VendorApi
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream
    from provider_servers.runtime.vendors.vendor import RemoteSettings

CHARACTERS_A_SECOND = 15.0  # of speech, about
LONGEST_POLL = 30.0


class CreatifyProvider(RemoteProvider):
    """Creatify's persons, portraits that speak, and voices."""

    id = "creatify"
    name = "Creatify"
    description = "Persons and pictures that speak, and voices, by Creatify; every job takes credits."
    settings_schema = SCHEMA

    vendor = VENDOR
    settings_class = CreatifySettings
    default_url = "https://api.creatify.ai"
    url_variable = "AUTOMARKET_CREATIFY_BASE_URL"

    def __init__(self, settings: CreatifySettings | None = None, waits: Waits | None = None) -> None:
        given = settings or CreatifySettings()
        super().__init__(given, waits or Waits(first=given.poll_interval, longest=LONGEST_POLL))
        self.uploads = Uploads(self.waits, small_bytes=0)
        self._catalogue = Catalogue()
        self._claimed = Claimed()

    @property
    def _own(self) -> CreatifySettings:
        return cast("CreatifySettings", self._settings)

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key and its id."""
        own = cast("CreatifySettings", settings)
        return {"x-api-id": own.api_id.get_secret_value().strip(), "x-api-key": own.key}

    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        return read_refusal(status, headers, body)

    def models(self) -> Sequence[Model]:
        """List the models."""
        pricing = price(self._own.credit_price)
        return [replace(one.model, pricing=pricing) for one in OFFERS.values()]

    def built_in(self) -> list[Model]:
        """List the models."""
        return list(self.models())

    def named(self, name: str) -> Model:
        """Describe a model."""
        return OFFERS[name].model

    async def fetch_models(self, upstream: Upstream) -> list[Model]:  # noqa: ARG002 - they are always the same
        """List the models: the vendor has no list of them."""
        return self.built_in()

    async def check(self, upstream: Upstream) -> None:
        """Make a request that is free of charge and needs the key."""
        try:
            await CreatifyClient(self.api(upstream)).check()
        except Unanswered as lost:
            raise lost.error from None

    async def voices(self) -> Sequence[Voice]:
        """List the voices, one for each of their accents."""
        return await self._catalogue.voices(CreatifyClient(self.api(self.upstream())))

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings; persons and voices of another account are forgotten."""
        super().configure(settings)
        self._catalogue.forget()

    async def estimate(self, call: Call) -> Estimate | None:
        """Say how many credits a call would take: by the length of its sound, or about by that of its text."""
        offer = VERSIONS.get(call.options.get("model_version", ""), OFFERS[call.model.id])
        known = {slot: found[0] for slot, found in call.facts.items() if found}
        speech, text = known.get("speech"), known.get("text")
        seconds = speech.seconds if speech is not None else None
        about = (text.characters or 0) / CHARACTERS_A_SECOND if text is not None else 0.0
        parts = max(1, math.ceil((seconds if seconds is not None else about) / offer.seconds))
        units = parts * offer.credits
        cost = units * self._own.credit_price if self._own.credit_price else None
        return Estimate(cost, "USD", "credit", units, at_least=cost is not None and seconds is None)

    async def job(self, call: Call, api: VendorApi) -> RemoteJob:
        """Give the job that a call is."""
        offer = OFFERS[call.model.id]
        client = CreatifyClient(api.for_model(call.model.id, offer.paths()))
        return CreatifyJob(
            call,
            client,
            offer,
            self._own,
            catalogue=self._catalogue,
            uploads=self.uploads,
            claimed=self._claimed,
        )
