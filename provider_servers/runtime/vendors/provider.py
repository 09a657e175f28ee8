"""What providers of vendors' models share: the key, the connection, the list of models, how the vendor is."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from automarket.errors import AutoMarketError, ProviderNotConfigured, SettingInvalid, StateError
from automarket.service_status import ServiceState, ServiceStatus
from provider_servers.runtime.describe import Availability, Kind, Provider
from provider_servers.runtime.http.transport import new_http
from provider_servers.runtime.vendors.circuit import Circuits
from provider_servers.runtime.vendors.health import Health
from provider_servers.runtime.vendors.upstream import Upstream
from provider_servers.runtime.vendors.vendor import SETTINGS_SCHEMA, RemoteSettings, Vendor, with_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    import aiohttp

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.vendors.refusals import Refusal

log = logging.getLogger("automarket.provider")

_KEY_REFUSED = "401"
REFRESH_SECONDS, REFRESH_AGAIN_SECONDS = 3600.0, 60.0


class VendorProvider(Provider):
    """A vendor's models that answer in one request. A vendor's class says what it is, lists its models and runs them.

    Class attributes: `vendor`, `settings_class`, `default_url`, and `url_variable`, the environment variable of the
    address, for hints.

    Args:
        settings: what the user has set; read from the environment when left out.
    """

    kind = Kind.REMOTE
    max_concurrent_calls = 400
    max_queued_calls = 100
    settings_schema = SETTINGS_SCHEMA

    vendor: ClassVar[Vendor]
    settings_class: ClassVar[type[RemoteSettings]] = RemoteSettings
    default_url: ClassVar[str] = ""
    url_variable: ClassVar[str] = ""

    def __init__(self, settings: RemoteSettings | None = None) -> None:
        self._settings = settings or self.settings_class()
        self._listed: list[Model] = []
        self._offered: list[Model] | None = None
        self._clients: dict[str, aiohttp.ClientSession] = {}
        self._following: asyncio.Task[None] | None = None
        self._renew = asyncio.Event()
        self._health = Health(self._ask_health)
        self._circuits = self._new_circuits()

    # --- what a vendor's class adds ---

    @abstractmethod
    def headers(self, settings: RemoteSettings) -> dict[str, str]:
        """Give the headers of every request, with the key."""
        ...

    def address(self, settings: RemoteSettings) -> str:
        """Give the base address, without a slash at the end."""
        return settings.base_url or self.default_url

    @abstractmethod
    def read_refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """Read an answer that is no success."""
        ...

    def special_error(self, refusal: Refusal, model: str) -> AutoMarketError | None:  # noqa: ARG002 - there is none here
        """Give the error for a refusal of which more is known than what all vendors have in common; else None."""
        return None

    @abstractmethod
    def built_in(self) -> list[Model]:
        """List models that are offered until the vendor has been asked."""
        ...

    @abstractmethod
    def named(self, name: str) -> Model:
        """Describe a model of which only the id is known."""
        ...

    @abstractmethod
    async def fetch_models(self, upstream: Upstream) -> list[Model]:
        """Ask the vendor for its models."""
        ...

    @abstractmethod
    async def check(self, upstream: Upstream) -> None:
        """Make a request that is free of charge and needs the key; raises when it fails."""
        ...

    @abstractmethod
    def answer(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        """Run a model."""
        ...

    # --- what all have in common ---

    @classmethod
    def availability(cls) -> Availability:
        """Say whether there is a key."""
        try:
            settings = cls.settings_class()
        except ValidationError as error:
            return Availability.lacking(_settings_fault(cls.vendor, error))
        return with_key(cls.vendor, settings)

    def models(self) -> Sequence[Model]:
        """List the vendor's models, those that are built in until it has been asked, and those that the user names."""
        if self._offered is None:
            found = {model.id: model for model in self._listed or self.built_in()}
            for name in self._settings.further_models():
                found.setdefault(name, self.named(name))
            self._offered = list(found.values())
        return self._offered

    async def open(self) -> None:
        """Begin to follow the vendor's list of models."""
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Close the connections."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        for http in self._clients.values():
            await http.close()
        self._clients.clear()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings; calls that have begun go on with the old ones."""
        known = {name: getattr(self._settings, name) for name in type(self._settings).model_fields}
        try:
            self._settings = self.settings_class(**(known | dict(settings)))
        except ValidationError as error:
            faults = {f"settings.{fault['loc'][0]}": fault["msg"] for fault in error.errors(include_input=False)}
            raise SettingInvalid("the settings are not valid", fields=faults) from None
        self._health.forget()
        self._circuits = self._new_circuits()
        self._renew.set()

    async def service_status(self, log_lines: int = 0) -> ServiceStatus:  # noqa: ARG002 - a vendor shows no log
        """Say how the vendor is: by a request that is free of charge, at most once a minute, and by how calls went."""
        if (fault := self._circuits.fault()) is not None:
            hint = f"it is tried again in {fault.retry_after:.0f} s"
            return ServiceStatus(ServiceState.FAILED, healthy=False, error=fault.message, hint=hint)
        return replace(await self._health.status(), message=self._circuits.told())

    async def watch_service(self) -> AsyncIterator[ServiceStatus]:
        """Give how the vendor is, now and whenever a call finds out otherwise."""
        watch: Any = self._health.watch()
        async with aclosing(watch) as states:
            async for status in states:
                yield status

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Run a model."""
        with self._circuits.trial(call.model.id) as answered:
            async with aclosing(self.answer(call, self.upstream())) as events:
                try:
                    async for event in events:
                        answered()
                        yield event
                except ProviderNotConfigured as error:
                    if error.metadata.get("upstream_code") == _KEY_REFUSED:
                        self._health.note(error)
                    raise

    def upstream(self) -> Upstream:
        """Give how the vendor is reached, by the settings of now.

        Raises:
            ProviderNotConfigured: there is no key, or no address.
        """
        settings = self._settings
        if self.vendor.key_variable and not settings.key:
            raise self.vendor.key_missing()
        url = self.address(settings)
        if not url:
            message = f"{self.vendor.name} has no address"
            raise ProviderNotConfigured(message, hint=f"set {self.url_variable}", metadata={"provider": self.vendor.id})
        return Upstream(
            self.vendor,
            partial(self._connect, url),
            url,
            self.read_refusal,
            self.headers(settings),
            first_seconds=settings.timeout,
            idle_seconds=settings.idle_timeout,
            base_url_variable=self.url_variable,
            special=self.special_error,
        )

    def _new_circuits(self) -> Circuits:
        settings = self._settings
        return Circuits(
            self.vendor,
            failures=settings.breaker_failures,
            seconds=settings.breaker_seconds,
            changed=self._health.note,
        )

    def _connect(self, url: str) -> aiohttp.ClientSession:
        if url not in self._clients:
            self._clients[url] = new_http(url)
        return self._clients[url]

    async def _ask_health(self) -> None:
        await self.check(self.upstream())

    async def _follow(self) -> None:
        """List the vendor's models now, every hour, and when the settings change."""
        while True:
            seconds = REFRESH_SECONDS if await self._refresh() else REFRESH_AGAIN_SECONDS
            self._renew.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._renew.wait()
            except TimeoutError:
                pass

    async def _refresh(self) -> bool:
        """Ask for the list; what was listed stays when there is no answer."""
        try:
            found = await self.fetch_models(self.upstream())
        except AutoMarketError as error:
            log.warning("the models cannot be listed", extra={"provider": self.id, "reason": error.message})
            return False
        except Exception:
            log.exception("the list of models cannot be read", extra={"provider": self.id})
            return False
        if found and found != self._listed:
            self._listed, self._offered = found, None
            self.models_changed()
        return True


def _settings_fault(vendor: Vendor, error: ValidationError) -> StateError:
    [fault, *_] = error.errors(include_input=False, include_url=False)
    where = ".".join(map(str, fault["loc"]))
    return ProviderNotConfigured(f"setting {where} of {vendor.name} is not valid: {fault['msg']}", hint=f"mend {where}")
