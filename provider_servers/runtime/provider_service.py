"""MediaProviderService over an author's provider."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from automarket.errors import ProviderUnknown, ServiceStartFailed, SettingInvalid, SettingUnknown
from automarket.secrets import hide, is_secret_name
from automarket.service_status import ServiceState, ServiceStatus, to_proto
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceServicer
from provider_servers.runtime.descriptors import provider_to_proto
from provider_servers.runtime.options import object_schema, read_struct, whole
from provider_servers.runtime.voice_desk import VoiceDesk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from provider_servers.runtime.host import Host

MAX_LOG_LINES = 1000


class ProviderServicer(MediaProviderServiceServicer):
    """Describes, configures and drives the provider."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._provider = host.provider
        self._settings: dict[str, Any] = {}
        self._voices = VoiceDesk(host)

    def _check_name(self, name: str, instance_id: str = "") -> None:
        if name not in ("", self._provider.id, *self._provider.aliases):
            raise ProviderUnknown(f"this is provider {self._provider.id}, not {name!r}")
        if instance_id not in ("", self._host.instance_id):
            raise ProviderUnknown(f"this is instance {self._host.instance_id}, not {instance_id!r}")

    async def GetProvider(self, request: pb.GetProviderRequest, context: Any) -> pb.GetProviderResponse:
        """Describe the provider."""
        self._check_name(request.provider_id)
        return pb.GetProviderResponse(provider=provider_to_proto(self._provider, self._host.availability))

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """List the models."""
        self._check_name(request.provider_id)
        return self._host.models.now()

    async def Configure(self, request: pb.ConfigureRequest, context: Any) -> pb.ConfigureResponse:
        """Check and take settings; their values are never given back."""
        self._check_name(request.provider_id, request.instance_id)
        schema = self._provider.settings_schema
        given = read_struct(request.settings, "settings", SettingInvalid)
        settings: dict[str, Any] = whole(given, object_schema(schema))
        for name in settings.keys() - schema.keys():
            takes = ", ".join(sorted(schema)) or "no settings"
            message = f"provider {self._provider.id} has no setting {name!r}"
            raise SettingUnknown(message, hint=f"it takes {takes}", fields={f"settings.{name}": "unknown"})
        errors: Any = Draft202012Validator(object_schema(schema)).iter_errors(settings)  # pyright: ignore[reportUnknownMemberType] - jsonschema's types are partial
        for name, value in settings.items():
            if isinstance(value, str) and (schema[name].get("writeOnly") or is_secret_name(name)):
                hide(value)
        # The validator's own message would repeat the value, which may be a secret.
        faults = {f"settings.{error.absolute_path[0]}": f"breaks the rule {error.validator!r}" for error in errors}
        if faults:
            raise SettingInvalid(f"{next(iter(faults))} is not valid", fields=faults)
        changed = [name for name, value in settings.items() if self._settings.get(name) != value]
        self._provider.configure(settings)
        self._settings |= settings
        return pb.ConfigureResponse(changed=sorted(changed), instance_count=1)

    async def StartService(
        self, request: pb.StartServiceRequest, context: Any
    ) -> AsyncGenerator[pb.StartServiceResponse]:
        """Start the backend and stream its states."""
        self._check_name(request.provider_id, request.instance_id)
        status = ServiceStatus()
        starting: Any = self._provider.start_service()
        async with aclosing(starting) as states:
            async for status in states:
                yield pb.StartServiceResponse(instance_id=self._host.instance_id, status=to_proto(status))
        if status.state == ServiceState.FAILED:
            raise _start_failed(self._provider.id, status)

    async def StopService(self, request: pb.StopServiceRequest, context: Any) -> pb.StopServiceResponse:
        """Stop the backend."""
        self._check_name(request.provider_id, request.instance_id)
        return pb.StopServiceResponse(status=to_proto(await self._provider.stop_service()))

    async def GetServiceStatus(self, request: pb.GetServiceStatusRequest, context: Any) -> pb.GetServiceStatusResponse:
        """Say how the backend is."""
        self._check_name(request.provider_id, request.instance_id)
        wanted = min(max(request.log_line_count, 0), MAX_LOG_LINES)
        status = to_proto(await self._provider.service_status(wanted))
        shown = pb.InstanceStatus(instance_id=self._host.instance_id, status=status)
        return pb.GetServiceStatusResponse(status=status, instances=[shown])

    async def GetDiagnostics(self, request: pb.GetDiagnosticsRequest, context: Any) -> pb.GetDiagnosticsResponse:
        """Give what is known of a recent call."""
        self._check_name(request.provider_id)
        return self._host.diagnostics.answer(request.request_id)

    async def ListVoices(self, request: pb.ListVoicesRequest, context: Any) -> pb.ListVoicesResponse:
        """List voices."""
        self._check_name(request.provider_id)
        return await self._voices.list(request)

    async def CreateVoice(self, request: pb.CreateVoiceRequest, context: Any) -> pb.CreateVoiceResponse:
        """Make a voice from samples."""
        self._check_name(request.provider_id)
        return await self._voices.create(request)

    async def DeleteVoice(self, request: pb.DeleteVoiceRequest, context: Any) -> pb.DeleteVoiceResponse:
        """Remove a voice."""
        self._check_name(request.provider_id)
        await self._voices.delete(request.voice_id)
        return pb.DeleteVoiceResponse()


def _start_failed(provider_id: str, status: ServiceStatus) -> ServiceStartFailed:
    """Give the error that a start ends with; it says all that is known of the end of the backend."""
    facts = {"provider": provider_id}
    if status.exit_code is not None:
        facts["exit_code"] = str(status.exit_code)
    if status.out_of_memory:
        facts["out_of_memory"] = "true"
    message = status.error or f"the backend of provider {provider_id} could not be started"
    return ServiceStartFailed(message, hint=status.hint or None, metadata=facts, log_lines=status.log_lines)
