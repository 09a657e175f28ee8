"""Handles of providers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2

from automarket import capabilities, service_status
from automarket.client import wire
from automarket.client.discovery import Discovery
from automarket.client.provider_models import ProviderModels
from automarket.client.voices import Voices
from automarket.errors import DeadlineExceeded, ProviderUnavailable, StateError
from automarket.v1 import media_provider_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from automarket.assets import Asset
    from automarket.client.assets import AssetClient
    from automarket.client.connection import Connection
    from automarket.client.descriptors import Configured, Diagnostics, ModelInfo, ProviderInfo
    from automarket.client.inputs import InputValue
    from automarket.client.results import Result
    from automarket.service_status import ServiceStatus
    from automarket.stored import StoredAsset
    from automarket.voices import Voice

    Sample = Asset | StoredAsset | Path | bytes | AsyncIterable[bytes]

MAX_LOG_LINES = 1000


class ProviderHandle(ProviderModels):
    """One provider, by id or alias. Making a handle asks nothing; `await handle` loads what the mesh knows of it.

    `name`, `type` and `capabilities` are there after `await handle`, or after `info()`.
    """

    def __init__(self, connection: Connection, store: AssetClient, name: str) -> None:
        super().__init__(connection, store, name)
        self._info: ProviderInfo | None = None
        self._voices = Voices(connection, store, name)

    def __repr__(self) -> str:
        """Name the provider."""
        return f"<ProviderHandle {self.id!r}>"

    def __await__(self) -> Generator[Any, Any, ProviderHandle]:
        """Load what the mesh knows of the provider; give the handle itself."""
        return self._loaded().__await__()

    async def _loaded(self) -> ProviderHandle:
        await self.info()
        return self

    @property
    def id(self) -> str:
        """The provider's id; the name that was asked for until it is loaded."""
        return self._info.id if self._info else self._asked

    @property
    def name(self) -> str:
        """Name for people."""
        return self._known().name

    @property
    def type(self) -> str:
        """Where its models run: "local" or "remote"."""
        return self._known().kind

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Names of what its models can do."""
        return self._known().capabilities

    def _known(self) -> ProviderInfo:
        if self._info is None:
            raise StateError(f"nothing is known of provider {self.id!r} yet", hint="await the handle first")
        return self._info

    async def info(self) -> ProviderInfo:
        """Ask what the mesh knows of the provider now, those that cannot run here included.

        Raises:
            ProviderUnknown: nothing has that name.
        """
        try:
            response = await self._connection.ask(
                self._connection.providers.GetProvider, pb.GetProviderRequest(provider_id=self._asked)
            )
            self._info = wire.provider(response.provider)
        except ProviderUnavailable:
            listed = await Discovery(self._connection).providers()
            found = (one for one in listed if self._asked in (one.id, *one.aliases))
            self._info = next(found, self._info)
            if self._info is None:
                raise
        return self._info

    async def is_available(self) -> bool:
        """Tell whether the provider can take work now.

        Raises:
            ProviderUnknown: nothing has that name.
        """
        try:
            return (await self.info()).availability.available
        except ProviderUnavailable:
            return False

    async def models(self, *, capability: str = "") -> list[ModelInfo]:
        """List the provider's models, those of one capability when it is named; kinds of it count."""
        return await Discovery(self._connection).models(capability=capability, provider=self._asked)

    async def supports(self, capability: str) -> bool:
        """Tell whether a model of the provider has a capability or a kind of it."""
        info = await self.info()
        return any(capabilities.is_a(one, capability) for one in info.capabilities)

    async def generate(
        self, capability: str, inputs: Sequence[InputValue] = (), options: Mapping[str, Any] | None = None
    ) -> Result:
        """Run the provider's best model for a capability.

        Args:
            capability: name or alias.
            inputs: in slot order.
            options: options by name; `timeout`, `request_id`, `store` and `by_digest` say how the call is made.
        """
        model = await self.model(capability=capability)
        return await model.transform(*inputs, **(options or {}))

    async def configure(self, *, instance_id: str = "", **settings: Any) -> Configured:
        """Set settings, such as an API key, at every instance or at one. They live in memory only.

        Raises:
            SettingUnknown, SettingInvalid: nothing was changed.
        """
        values = struct_pb2.Struct()
        values.update(settings)
        request = pb.ConfigureRequest(provider_id=self._asked, instance_id=instance_id, settings=values)
        response = await self._connection.ask(self._connection.providers.Configure, request)
        return wire.configured(response)

    async def start_service(
        self,
        timeout: float | None = None,
        *,
        instance_id: str = "",
        on_status: Callable[[ServiceStatus], None] | None = None,
    ) -> ServiceStatus:
        """Start the provider's backend, wait until it is ready and give its final status.

        A backend that makes no progress for a while has failed to start, whatever the time-out: see the provider.

        Args:
            timeout: seconds to wait in all; None waits for as long as it takes. The start goes on afterwards.
            instance_id: one instance; empty means every instance.
            on_status: gets every state on the way.

        Raises:
            ServiceStartFailed: it could not be started; with its exit code and the last lines that it wrote.
            StateError: something that it needs is missing here; the class says what, the hint what mends it.
            DeadlineExceeded: it was not ready in time.
        """
        request = pb.StartServiceRequest(provider_id=self._asked, instance_id=instance_id)
        states = self._connection.follow(self._connection.providers.StartService, request, timeout)
        status = None
        try:
            async with contextlib.aclosing(states):
                async for response in states:
                    status = service_status.from_proto(response.status)
                    if on_status is not None:
                        on_status(status)
        except DeadlineExceeded:
            last = f": {status.message or status.state}" if status else ""
            message = f"the backend of provider {self.id} was not ready within {timeout:g} s{last}"
            raise DeadlineExceeded(message, hint="it goes on starting; wait longer") from None
        return status or await self.service_status(instance_id=instance_id)

    async def stop_service(self, *, instance_id: str = "") -> ServiceStatus:
        """Stop the provider's backend; what the mesh did not start is left alone."""
        request = pb.StopServiceRequest(provider_id=self._asked, instance_id=instance_id)
        response = await self._connection.ask(self._connection.providers.StopService, request)
        return service_status.from_proto(response.status)

    async def service_status(self, *, instance_id: str = "", log_lines: int = 0) -> ServiceStatus:
        """Ask how the provider's backend is, all instances added up; `instances` has each by itself.

        Args:
            instance_id: one instance; empty means every instance.
            log_lines: how many of the last lines that it wrote to give, at most 1,000.
        """
        request = pb.GetServiceStatusRequest(
            provider_id=self._asked, instance_id=instance_id, log_line_count=min(max(log_lines, 0), MAX_LOG_LINES)
        )
        response = await self._connection.ask(self._connection.providers.GetServiceStatus, request)
        return service_status.from_proto(response.status, response.instances)

    async def diagnostics(self, request_id: str) -> Diagnostics:
        """Ask what is known of one recent call: how it ended, and the last lines that its engine wrote.

        Raises:
            RequestUnknown: the call is not among those that the provider remembers.
        """
        request = pb.GetDiagnosticsRequest(provider_id=self._asked, request_id=request_id)
        return wire.diagnostics(await self._connection.ask(self._connection.providers.GetDiagnostics, request))

    async def voices(self, text: str = "", *, cloned: bool = False) -> list[Voice]:
        """List the voices that the provider can speak with, its own and stored clones.

        Args:
            text: words that id, name, description or labels have to contain.
            cloned: only voices that were made from samples.

        Raises:
            VoicesUnsupported: the provider has no list of voices.
        """
        return await self._voices.list(text, cloned=cloned)

    async def create_voice(
        self,
        name: str,
        samples: Sample | Sequence[Sample],
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        remove_background_noise: bool = False,
        request_id: str = "",
        timeout: float | None = None,
    ) -> Voice:
        """Make a voice from samples of speech and store it at the provider; its id is the option `voice` of speech.

        The samples are put into the asset store first, streamed.

        Args:
            name: name for people, 1 to 100 characters.
            samples: one recording or up to 25; the sound of films is taken out of them.
            description: what the voice is like, at most 500 characters.
            labels: words about it: "accent", "age", "gender".
            remove_background_noise: take noise out of the samples first.
            request_id: UUID; an equal repeat within 24 hours gives the voice that is there. Empty makes a new one.
            timeout: seconds for all of it, uploads included; None is no bound.

        Raises:
            VoicesUnsupported: the provider stores no voices.
            InputUnsuitable: a sample has no sound.
            RequestIdReused: that request_id asked for another voice.
        """
        request = pb.CreateVoiceRequest(
            request_id=request_id,
            name=name,
            description=description,
            labels=labels or {},
            remove_background_noise=remove_background_noise,
        )
        return await self._voices.create(request, samples, timeout)

    async def delete_voice(self, voice: Voice | str) -> None:
        """Remove a stored voice; one that is gone already is no error.

        Raises:
            VoicesUnsupported: the provider stores no voices.
            InvalidRequestError: it is one of the provider's own.
        """
        await self._voices.delete(voice if isinstance(voice, str) else voice.id)
