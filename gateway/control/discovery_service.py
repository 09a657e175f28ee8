"""DiscoveryService: what the mesh can do, where, and how that changes."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from automarket import capabilities
from automarket.assets.roles import Role
from automarket.errors import CapabilityUnknown, PageTokenInvalid, UnavailableError, WatcherTooSlow
from automarket.media.wire import roles_to_proto
from automarket.v1 import capability_pb2, discovery_service_pb2, media_pb2, model_pb2
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceServicer
from gateway.control.names import all_capabilities, makes, takes
from gateway.relay.choice import choose
from gateway.relay.target import fit_slots
from gateway.targets import target_from_proto

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gateway.control.entries import ProviderEntry
    from gateway.control.registry import Registry
    from gateway.control.routes import Routes

MAX_PAGE = 1000
DEFAULT_PAGE = 100
MAX_PENDING_CHANGES = 10_000
RETRY_SECONDS = 1.0


class DiscoveryServicer(DiscoveryServiceServicer):
    """Answers from the registry."""

    def __init__(self, registry: Registry, routes: Routes) -> None:
        self._registry = registry
        self._routes = routes

    async def ListCapabilities(
        self, request: discovery_service_pb2.ListCapabilitiesRequest, context: Any
    ) -> discovery_service_pb2.ListCapabilitiesResponse:
        """List the contract's capabilities in their order, then those of third parties."""
        counts: dict[str, int] = {}
        for entry in self._registry.providers():
            for model in entry.models if entry.availability().available else ():
                for name in all_capabilities(model):
                    counts[name] = counts.get(name, 0) + model.availability.available
        own = [_capability_info(known, counts.get(known.name, 0)) for known in capabilities.ALL]
        others = sorted(name for name in counts if capabilities.find(name) is None)
        own += [capability_pb2.CapabilityInfo(name=name, model_count=counts[name]) for name in others]
        shown = [info for info in own if info.model_count or not request.available_only]
        return discovery_service_pb2.ListCapabilitiesResponse(capabilities=shown)

    async def ListProviders(
        self, request: discovery_service_pb2.ListProvidersRequest, context: Any
    ) -> discovery_service_pb2.ListProvidersResponse:
        """List the providers, those that cannot run included."""
        described = [entry.describe() for entry in self._registry.providers()]
        shown = [one for one in described if one.availability.available or not request.available_only]
        return discovery_service_pb2.ListProvidersResponse(providers=shown)

    async def FindModels(
        self, request: discovery_service_pb2.FindModelsRequest, context: Any
    ) -> discovery_service_pb2.FindModelsResponse:
        """Find models, a page at a time."""
        after = _read_token(request.page_token)
        size = min(request.page_size if request.page_size > 0 else DEFAULT_PAGE, MAX_PAGE)
        found = [model for model in self._matching(request) if (model.provider_id, model.id) > after]
        page = found[:size]
        token = _make_token(page[-1]) if len(found) > size else ""
        return discovery_service_pb2.FindModelsResponse(models=page, next_page_token=token)

    def _matching(self, request: discovery_service_pb2.FindModelsRequest) -> list[model_pb2.Model]:
        capability = capabilities.canonical_name(request.capability)
        entries = self._registry.providers()
        if request.provider_id:
            entries = [self._registry.provider(request.provider_id)]
        models = [model for entry in entries for model in _shown(entry, available_only=request.available_only)]
        known = {name for entry in entries for model in entry.models for name in all_capabilities(model)}
        if capability and capabilities.find(capability) is None and capability not in known:
            message = f"no capability is called {request.capability!r}"
            raise self._registry.unknown(CapabilityUnknown(message, hint="automarket capabilities lists them"))
        fitting = [model for model in models if _fits(model, capability, request)]
        return sorted(fitting, key=lambda model: (model.provider_id, model.id))

    async def Resolve(
        self, request: discovery_service_pb2.ResolveRequest, context: Any
    ) -> discovery_service_pb2.ResolveResponse:
        """Choose as a call would."""
        route = choose(self._routes.table(), target_from_proto(request.target))
        entry = self._registry.provider(route.provider_id)
        instance = entry.instances[route.instance_id]
        return discovery_service_pb2.ResolveResponse(
            model=next(model for model in entry.models if model.id == route.model_id),
            instance_id=route.instance_id,
            endpoints=instance.endpoints(),
        )

    async def Watch(
        self, request: discovery_service_pb2.WatchRequest, context: Any
    ) -> AsyncIterator[discovery_service_pb2.WatchResponse]:
        """Send what there is, a marker, then what changes."""
        changed: asyncio.Queue[str] = asyncio.Queue(MAX_PENDING_CHANGES)

        def note(provider_id: str) -> None:
            if not changed.full():
                changed.put_nowait(provider_id)

        stops = (self._registry.listen(note), self._registry.listen_to_services(note))
        try:
            view = _View(include_models=request.include_models)
            for entry in self._registry.providers():
                for change in view.changes(entry.provider.id, entry):
                    yield self._change(change)
            marker = discovery_service_pb2.WatchResponse(snapshot_complete=discovery_service_pb2.SnapshotComplete())
            yield self._change(marker)
            while True:
                if changed.full():
                    raise WatcherTooSlow("the watch was not read for too long", hint="watch again")
                provider_id = await changed.get()
                if self._registry.closed:
                    raise UnavailableError("control is going down", hint="watch again", retry_after=RETRY_SECONDS)
                entry = next((e for e in self._registry.providers() if e.provider.id == provider_id), None)
                for change in view.changes(provider_id, entry):
                    yield self._change(change)
        finally:
            for stop in stops:
                stop()

    def _change(self, change: discovery_service_pb2.WatchResponse) -> discovery_service_pb2.WatchResponse:
        change.version = self._registry.version
        return change


class _View:
    """What one watcher has been told, so that it is told only what differs."""

    def __init__(self, *, include_models: bool) -> None:
        self._include_models = include_models
        self._providers: dict[str, bytes] = {}
        self._models: dict[tuple[str, str], bytes] = {}
        self._services: dict[tuple[str, str], bytes] = {}

    def changes(self, provider_id: str, entry: ProviderEntry | None) -> Iterator[discovery_service_pb2.WatchResponse]:
        """Give what a watcher has to be told about one provider; None when it is gone."""
        models = {(provider_id, model.id): model for model in entry.models} if entry and self._include_models else {}
        for key in [key for key in self._models if key[0] == provider_id and key not in models]:
            del self._models[key]
            gone = discovery_service_pb2.ModelKey(provider_id=key[0], model_id=key[1])
            yield discovery_service_pb2.WatchResponse(model_removed=gone)
        services = {(provider_id, one.instance_id): one for one in entry.services()} if entry else {}
        for key in [key for key in self._services if key[0] == provider_id and key not in services]:
            del self._services[key]  # its provider's description tells that the instance is gone
        if entry is None:
            if self._providers.pop(provider_id, None) is not None:
                yield discovery_service_pb2.WatchResponse(provider_removed=provider_id)
            return
        described = entry.describe()
        if _differs(self._providers, provider_id, described.SerializeToString(deterministic=True)):
            yield discovery_service_pb2.WatchResponse(provider=described)
        for key, model in models.items():
            if _differs(self._models, key, model.SerializeToString(deterministic=True)):
                yield discovery_service_pb2.WatchResponse(model=model)
        for key, service in services.items():
            if _differs(self._services, key, service.SerializeToString(deterministic=True)):
                yield discovery_service_pb2.WatchResponse(service=service)


def _differs(told: dict[Any, bytes], key: object, now: bytes) -> bool:
    if told.get(key) == now:
        return False
    told[key] = now
    return True


def _capability_info(known: capabilities.Capability, count: int) -> capability_pb2.CapabilityInfo:
    output = Role(known.output).number if known.output else 0
    return capability_pb2.CapabilityInfo(
        capability=capability_pb2.Capability.ValueType(known.number),
        name=known.name,
        aliases=known.aliases,
        parents=capabilities.lineage(known.name)[1:],
        input_roles=roles_to_proto(map(Role, known.inputs)),
        output_role=media_pb2.Role.ValueType(output),
        model_count=count,
    )


def _shown(entry: ProviderEntry, *, available_only: bool) -> list[model_pb2.Model]:
    """Give a provider's models; each is available only as far as its provider is."""
    availability = entry.availability()
    if availability.available:
        return [model for model in entry.models if model.availability.available or not available_only]
    if available_only:
        return []
    shown: list[model_pb2.Model] = []
    for model in entry.models:
        copy = model_pb2.Model()
        copy.CopyFrom(model)
        copy.availability.CopyFrom(availability)
        shown.append(copy)
    return shown


def _fits(model: model_pb2.Model, capability: str, request: discovery_service_pb2.FindModelsRequest) -> bool:
    if capability and capability not in all_capabilities(model):
        return False
    output = Role.from_number(request.output_role)
    if output and output not in makes(model):
        return False
    if not fit_slots(takes(model), [str(role) for number in request.input_roles if (role := Role.from_number(number))]):
        return False
    words = " ".join((model.id, model.canonical_id, model.name, model.description, *model.aliases)).lower()
    return all(word in words for word in request.text.lower().split())


def _make_token(model: model_pb2.Model) -> str:
    return base64.urlsafe_b64encode(f"{model.provider_id}\n{model.id}".encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    if not token:
        return ("", "")
    try:
        provider_id, _, model_id = base64.urlsafe_b64decode(token).decode().partition("\n")
    except ValueError:
        provider_id, model_id = "", ""
    if not model_id:
        raise PageTokenInvalid("the page token is not one that this service gave", fields={"page_token": "unknown"})
    return (provider_id, model_id)
