"""Staying registered with a gateway: one stream, taken up again whenever it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, Code, InstanceReplaced
from automarket.rpc.channel import open_channel
from automarket.rpc.streams import BidiCall
from automarket.service_status import to_proto
from automarket.v1 import registry_service_pb2 as pb
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import grpc.aio

    from automarket.service_status import ServiceStatus

log = logging.getLogger("automarket.provider")

FIRST_DELAY, LAST_DELAY = 0.1, 2.0
LOAD_INTERVAL = 0.1


class Registration:
    """The registration with one gateway.

    Args:
        address: of the registry.
        describe: gives the first message, made anew for each attempt.
        load: gives the load as of now.
        models: gives the models as of now.
        service: gives how the backend is now; None where there is none to be started.
        confirmed: called with what the registry answers.
    """

    def __init__(
        self,
        address: str,
        describe: Callable[[], pb.Registration],
        *,
        load: Callable[[], pb.InstanceLoad],
        models: Callable[[], pb.ModelList],
        service: Callable[[], ServiceStatus | None],
        confirmed: Callable[[pb.RegistrationConfirmed], Awaitable[None]],
    ) -> None:
        self._address = address
        self._describe = describe
        self._load = load
        self._models = models
        self._service = service
        self._confirmed = confirmed
        self._changed = asyncio.Event()
        self._models_are_new = False
        self._draining = False
        self._said_goodbye = asyncio.Event()

    def changed(self) -> None:
        """Send the load, and how the backend is, soon."""
        self._changed.set()

    def models_changed(self) -> None:
        """Send the models soon."""
        self._models_are_new = True
        self._changed.set()

    async def say_goodbye(self) -> None:
        """Say that this instance takes no new calls, and wait a moment until that is out."""
        self._draining = True
        self._changed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self._said_goodbye.wait()

    async def run(self) -> None:
        """Register, and register again whenever the stream ends, until cancelled.

        Raises:
            AutoMarketError: the registry refuses this server for good.
        """
        delay = FIRST_DELAY
        while True:
            channel = open_channel(self._address)
            try:
                delay = await self._register(channel) or delay
            except InstanceReplaced:
                raise
            except AutoMarketError as error:
                if error.code in (Code.INVALID_ARGUMENT, Code.ALREADY_EXISTS):
                    raise
                log.debug("registry not reached", extra={"reason": error.reason})
            finally:
                await channel.close()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections, no secret
            delay = min(delay * 2, LAST_DELAY)

    async def _register(self, channel: grpc.aio.Channel) -> float | None:
        """Keep one stream open; gives the first delay when it had been confirmed."""
        self._models_are_new = False
        first = pb.RegisterRequest(registration=self._describe())
        again: float | None = None
        call = BidiCall[pb.RegisterRequest, pb.RegisterResponse](
            RegistryServiceStub(channel).Register(), first, self._updates()
        )
        async with call as stream:
            try:
                async for response in stream.responses():
                    if response.HasField("confirmed"):
                        again = FIRST_DELAY
                        log.info("registered", extra={"registry": self._address})
                        await self._confirmed(response.confirmed)
            except AutoMarketError as error:
                if again is None or isinstance(error, InstanceReplaced):
                    raise
                log.warning("the registry is gone; registering again", extra={"registry": self._address})
        return again

    async def _updates(self) -> AsyncGenerator[pb.RegisterRequest]:
        self._changed.set()  # a registry that comes back knows nothing but the registration
        told: ServiceStatus | None = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            update = pb.RegistrationUpdate(load=self._load(), draining=self._draining)
            if self._models_are_new:
                self._models_are_new = False
                update.models.CopyFrom(self._models())
            if (service := self._service()) is not None and service != told:
                told = service
                update.service.CopyFrom(to_proto(service))
            yield pb.RegisterRequest(update=update)
            if self._draining:
                self._said_goodbye.set()
            await asyncio.sleep(LOAD_INTERVAL)
