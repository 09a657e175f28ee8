"""Making the routing table out of the registry, and pushing it to the data planes that follow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.v1 import endpoint_pb2, model_pb2
from gateway.control.names import all_capabilities, capability_names, makes, takes
from gateway.relay.table import Instance, Load, Model, Provider, Table, encode_load, encode_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.control.entries import InstanceEntry, ProviderEntry
    from gateway.control.registry import Registry
    from gateway.control.reports import Reports

log = logging.getLogger("automarket.control.routes")

_LONGEST_LINE = 2 * 1024 * 1024

_ALIASES = {name: known.name for known in capabilities.ALL for name in (known.name, *known.aliases)}


def reachable_address(instance: InstanceEntry) -> str:
    """Give the nearest address of an instance that can be reached from here."""
    endpoints = instance.endpoints()
    for endpoint in endpoints:
        if endpoint.scope != endpoint_pb2.ENDPOINT_SCOPE_UNIX:
            return endpoint.address
        if Path(endpoint.address.removeprefix("unix:")).exists():
            return endpoint.address
    return endpoints[0].address


class Routes:
    """The routing table as it is now, and its followers.

    Args:
        registry: what the table is made of.
        control: address of control's own services.
        asset_store: address of the asset store, or empty.
        reports: takes what the followers report; None when nobody collects it.
    """

    def __init__(self, registry: Registry, *, control: str, asset_store: str, reports: Reports | None = None) -> None:
        self._registry = registry
        self._control = control
        self._asset_store = asset_store
        self._reports = reports
        self._epoch = uuid.uuid4().hex
        self._followers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._load: dict[str, Load] = {}
        self._flush: asyncio.TimerHandle | None = None
        registry.listen(lambda _: self._push_table())
        registry.listen_to_load(self._note_load)

    def table(self) -> Table:
        """Make the table."""
        providers = self._registry.providers()
        own = {name: name for entry in providers for model in entry.models for name in all_capabilities(model)}
        return Table(
            version=self._registry.version,
            epoch=self._epoch,
            providers=tuple(_provider(entry) for entry in providers),
            control=self._control,
            asset_store=self._asset_store,
            capabilities={**own, **_ALIASES},
            settled=self._registry.settled,
            retry_after=self._registry.retry_after,
            telemetry=self._reports is not None,
        )

    async def serve(self, path: str) -> None:
        """Let data planes follow at a Unix socket."""
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
        self._server = await asyncio.start_unix_server(self._follow, path, limit=_LONGEST_LINE)
        Path(path).chmod(0o600)
        for delay in self._registry.settle_times:
            asyncio.get_running_loop().call_later(delay + 0.01, self._push_table)

    def close(self) -> None:
        """Leave the data planes with what they have: they go on with it until control is back."""
        if self._server is not None:
            self._server.close()
        for writer in self._followers:
            writer.close()
        self._followers.clear()

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._followers.add(writer)
        try:
            writer.write(encode_table(self.table()))
            await self._read(reader, writer)
        except OSError:
            pass
        finally:
            if self._reports is not None:
                self._reports.gone(writer)
            self._followers.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, follower: asyncio.StreamWriter) -> None:
        """Take what a follower reports, until it goes."""
        while True:
            try:
                line = await reader.readline()
            except ValueError as error:  # longer than any report
                if self._reports is not None:
                    self._reports.dropped(error)
                continue
            if not line:
                return
            if self._reports is not None and line.endswith(b"\n"):
                self._reports.take(follower, line)

    def _push_table(self) -> None:
        if self._followers:
            self._send(encode_table(self.table()))

    def _note_load(self, instance: InstanceEntry) -> None:
        """Remember a load and send all that changed within 50 ms in one line."""
        self._load[instance.instance_id] = Load(instance.load.active_calls, instance.load.queued_calls)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(0.05, self._push_load)

    def _push_load(self) -> None:
        self._flush = None
        self._send(encode_load(self._load))
        self._load = {}

    def _send(self, line: bytes) -> None:
        for writer in tuple(self._followers):
            if writer.transport.get_write_buffer_size() > 64 * 1024 * 1024:
                log.warning("a data plane does not read the routing table; dropping it")
                writer.transport.abort()
            else:
                writer.write(line)


def _provider(entry: ProviderEntry) -> Provider:
    availability = entry.provider.availability
    return Provider(
        id=entry.provider.id,
        names=entry.names(),
        local=entry.provider.kind != model_pb2.PROVIDER_KIND_REMOTE,
        available=entry.can_run,
        reason=availability.reason,
        hint=availability.hint,
        error_reason=availability.error_reason,
        models=tuple(_model(model) for model in entry.models),
        instances=tuple(_instance(instance, entry.models) for instance in entry.instances.values()),
        finds_models=entry.provider.finds_models,
    )


def _instance(entry: InstanceEntry, models: Sequence[model_pb2.Model]) -> Instance:
    return Instance(
        instance_id=entry.instance_id,
        address=reachable_address(entry),
        max_concurrent=entry.registration.max_concurrent_calls,
        max_queued=max((model.limits.max_queued_calls for model in models), default=0),
        draining=entry.draining,
        load=Load(entry.load.active_calls, entry.load.queued_calls),
        standby=entry.standby,
    )


def _model(model: model_pb2.Model) -> Model:
    return Model(
        id=model.id,
        names=tuple(name for name in (model.id, model.canonical_id, *model.aliases) if name),
        capabilities=all_capabilities(model),
        own=tuple(capability_names(model)),
        takes=takes(model),
        makes=makes(model),
        replay_safe=model.replay_safe,
        deduplicates=model.deduplicates,
        available=model.availability.available,
        reason=model.availability.reason,
        hint=model.availability.hint,
        error_reason=model.availability.error_reason,
    )
