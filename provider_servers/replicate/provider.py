"""Pictures, video, sound and text by any model of Replicate: POST https://api.replicate.com/v1/predictions.

Media in and out, text in and out, as the model's own OpenAPI schema says: `cog` reads it, `kinds` finds what the model
is, `models` makes a recipe of it. Source: Replicate's OpenAPI description, 2026-04, and its SDK 1.0.7.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.assets.roles import Role
from automarket.errors import AutoMarketError, ModelGone
from provider_servers.replicate.client import ReplicateClient
from provider_servers.replicate.job import ReplicateJob
from provider_servers.replicate.known import BY_SLUG, KNOWN, Known
from provider_servers.replicate.models import Recipe, recipe_of
from provider_servers.replicate.refusals import read_refusal
from provider_servers.replicate.settings import VENDOR, ReplicateSettings
from provider_servers.runtime.chat_model import chat_inputs
from provider_servers.runtime.describe import Model, Output, Slot
from provider_servers.runtime.estimates import Estimate
from provider_servers.runtime.remote import Claimed, RemoteProvider, Unanswered, Waits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.remote import RemoteJob, VendorApi
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.upstream import Upstream
    from provider_servers.runtime.vendors.vendor import RemoteSettings

log = logging.getLogger("automarket.provider")

AT_ONCE = 4  # models that are asked for at the same time
FIRST_LIST_SECONDS = 5.0
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*(:[0-9a-f]{64})?", re.ASCII)


class ReplicateProvider(RemoteProvider):
    """Any model of Replicate, by owner/name."""

    id = "replicate"
    name = "Replicate"
    description = "Any model of Replicate by owner/name, described by its own schema; every run is billed."
    finds_models = True

    vendor = VENDOR
    settings_class = ReplicateSettings
    default_url = "https://api.replicate.com/v1"
    url_variable = "REPLICATE_BASE_URL"

    def __init__(self, settings: ReplicateSettings | None = None, waits: Waits | None = None) -> None:
        given = settings or ReplicateSettings()
        super().__init__(given, waits or Waits(first=given.poll_interval))
        self._recipes: dict[str, Recipe] = {}
        self._claimed = Claimed()
        self._has_listed = asyncio.Event()

    def address(self, settings: RemoteSettings) -> str:
        """Give the base address; that of the vendor's SDK has no version, which is added."""
        found = super().address(settings)
        return found if found.endswith("/v1") else f"{found}/v1"

    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key."""
        return {"authorization": f"Bearer {settings.key}"}

    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        return read_refusal(status, headers, body)

    def models(self) -> Sequence[Model]:
        """List the models whose schemas are there; the well-known ones until then."""
        return self._listed or self.built_in()

    def built_in(self) -> list[Model]:
        """List the well-known models, until their schemas are there."""
        return [_outline(one) for one in KNOWN]

    def named(self, name: str) -> Model:
        """Describe a model of which only the name is known."""
        return _outline(BY_SLUG.get(name, Known(name, "text-to-image")))

    async def open(self) -> None:
        """Begin to follow the models, and wait a little for their schemas."""
        await super().open()
        try:
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                await self._has_listed.wait()
        except TimeoutError:
            log.warning("Replicate does not describe its models yet", extra={"provider": self.id})

    async def _refresh(self) -> bool:
        try:
            return await super()._refresh()
        finally:
            self._has_listed.set()

    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Read the schemas of the well-known models, of those that the user names, and of those that were found."""
        names = dict.fromkeys([*BY_SLUG, *self._settings.further_models(), *self._recipes])
        line = asyncio.Semaphore(AT_ONCE)
        faults: list[AutoMarketError] = []

        async def one(name: str) -> Recipe | None:
            async with line:
                try:
                    return await self._read(name, upstream)
                except AutoMarketError as error:  # one that cannot be read does not hide the others
                    faults.append(error)
                    return None

        found = [recipe.model for recipe in await asyncio.gather(*map(one, names)) if recipe is not None]
        if faults and not found:
            raise faults[0]
        return found

    async def _read(self, name: str, upstream: Upstream) -> Recipe | None:
        """Read a model's schema; None where there is no such model."""
        if not _NAME.fullmatch(name):
            return None
        try:
            cog = await ReplicateClient(self.api(upstream, name)).model(name)
        except Unanswered as lost:
            raise lost.error from None
        if cog is None:
            log.warning("Replicate has no such model", extra={"provider": self.id, "model": name})
            return None
        known = BY_SLUG.get(cog.slug, Known(cog.slug, ""))
        settings = self._settings
        price = settings.price_of(cog.slug) if isinstance(settings, ReplicateSettings) else None
        recipe = recipe_of(cog, capability=known.capability, canonical_id=known.canonical_id, price=price)
        self._recipes[name] = recipe
        return recipe

    async def find_model(self, name: str) -> Model | None:
        """Look for a model by owner/name, or owner/name:version."""
        recipe = await self._read(name, self.upstream())
        if recipe is None:
            return None
        self._listed = [one for one in self.models() if one.id != recipe.model.id] + [recipe.model]
        self.models_changed()
        return recipe.model

    async def estimate(self, call: Call) -> Estimate | None:
        """Say what a call may cost: what it runs for is known of the vendor's own example only."""
        recipe, price = self._recipes.get(call.model.id), call.model.pricing
        seconds = recipe.usual_seconds if recipe is not None else None
        if seconds is None:
            return Estimate(None)
        cost = None if price is None else seconds * price.output_cost
        return Estimate(cost, "USD", "second", seconds, at_least=cost is not None)

    async def check(self, upstream: Upstream) -> None:
        """Make a request that is free of charge and needs the key."""
        try:
            await ReplicateClient(self.api(upstream)).check()
        except Unanswered as lost:
            raise lost.error from None

    async def job(self, call: Call, api: VendorApi) -> RemoteJob:
        """Give the prediction that a call is."""
        name = call.model.id
        recipe = self._recipes.get(name) or await self._read(name, api.upstream)
        if recipe is None:
            raise ModelGone(f"Replicate has no model {name}", hint="look at https://replicate.com/explore")
        client = ReplicateClient(api.for_model(name, recipe.paths()))
        return ReplicateJob(call, client, recipe, self.uploads, self._claimed)


def _outline(known: Known) -> Model:
    """Describe a model by what it does alone: its options are not known yet."""
    kind = capabilities.find(known.capability)
    takes = tuple(Slot(role, Role(role)) for role in (kind.inputs if kind is not None else ()))
    made = kind.output if kind is not None else "text"
    is_chat = known.capability == "text-to-text"
    return Model(
        id=known.slug,
        capabilities=(known.capability,),
        inputs=chat_inputs() if is_chat else takes,
        outputs=(Output(made, Role(made)),),
        canonical_id=known.canonical_id,
        name=known.slug.partition("/")[2],
        long_running=not is_chat,
        resumable=True,
        from_vendor_schema=True,
    )
