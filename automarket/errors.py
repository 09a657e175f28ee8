"""Every error that the mesh raises, here and at the other end of a call.

The tree; each leaf names its gRPC status code and its reason, which travels in `google.rpc.ErrorInfo` and brings the
same class back at the client:

    AutoMarketError
    ├── InvalidRequestError      the caller has to change the request
    ├── NotFoundError            nothing has that name
    ├── StateError               something has to be installed, configured or read again first
    ├── DataLossError            bytes are not what they should be
    ├── ExhaustedError           a limit is reached
    ├── UnavailableError         not there now; trying again may help
    └── EndedError               stopped, or a bug

This module imports nothing but the standard library, so that every process can share it. Mapping to and from gRPC is
`automarket.rpc.status`.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class Code(IntEnum):
    """gRPC status codes by number."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Retry(StrEnum):
    """Where a failed call may be repeated."""

    SAME = "same"  # at the same provider, after a while
    OTHER = "other"  # at another provider
    NEVER = "never"  # nowhere: it would fail again, or be billed twice


class AutoMarketError(Exception):
    """Base of every error of the mesh.

    Args:
        message: what went wrong, one sentence, at most 512 bytes on the wire. Never holds a secret.
        hint: what a person can do about it, e.g. "apt install ffmpeg".
        fields: what is wrong with which field of the request, by field path.
        retry_after: seconds after which trying again may help.
        metadata: facts for programs: provider, model, phase, upstream_code and the like.
        log_lines: the last lines that a backend wrote; what does not fit the status is given by GetDiagnostics.
    """

    code: ClassVar[Code] = Code.UNKNOWN
    reason: ClassVar[str] = "UNKNOWN"
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
        log_lines: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})
        self.log_lines = log_lines

    def __str__(self) -> str:
        """Give the message, and the hint where there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidRequestError(AutoMarketError):
    """The request is wrong and would fail anywhere."""

    code = Code.INVALID_ARGUMENT
    reason = "REQUEST_INVALID"


class NotFoundError(AutoMarketError):
    """Nothing has that name."""

    code = Code.NOT_FOUND
    reason = "NOT_FOUND"


class StateError(AutoMarketError):
    """The system is not in the state that the call needs."""

    code = Code.FAILED_PRECONDITION
    reason = "PRECONDITION_FAILED"


class DataLossError(AutoMarketError):
    """Bytes are not what they should be."""

    code = Code.DATA_LOSS
    reason = "DATA_LOST"


class ExhaustedError(AutoMarketError):
    """A limit is reached."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "EXHAUSTED"
    retry = Retry.SAME


class UnavailableError(AutoMarketError):
    """Not there now; trying again may help."""

    code = Code.UNAVAILABLE
    reason = "UNAVAILABLE"
    retry = Retry.SAME


class EndedError(AutoMarketError):
    """The call was ended, or failed through a bug."""

    code = Code.INTERNAL
    reason = "INTERNAL"


# --- the caller has to change the request ---


class TargetMissing(InvalidRequestError):
    """The request names no capability, model, provider or output role."""

    reason = "TARGET_MISSING"


class TargetMismatch(InvalidRequestError):
    """Call metadata and message name different targets."""

    reason = "TARGET_MISMATCH"


class TargetNotFirst(InvalidRequestError):
    """The target is not field 1 of the first message."""

    reason = "TARGET_NOT_FIRST"


class HeaderMissing(InvalidRequestError):
    """The first message of the stream is not the header."""

    reason = "HEADER_MISSING"


class HeaderRepeated(InvalidRequestError):
    """A later message of the stream is a header."""

    reason = "HEADER_REPEATED"


class RequestTooLarge(InvalidRequestError):
    """The header with its inline parts is over 3 MiB."""

    reason = "REQUEST_TOO_LARGE"


class ChunkTooLarge(InvalidRequestError):
    """A chunk is over 1 MiB, or an inline input over 64 KiB."""

    reason = "CHUNK_TOO_LARGE"


class InputOutOfOrder(InvalidRequestError):
    """Chunks do not follow one another as declared."""

    reason = "INPUT_OUT_OF_ORDER"


class InputIncomplete(InvalidRequestError):
    """The stream ended before an input was complete, or a slot is not filled."""

    reason = "INPUT_INCOMPLETE"


class InputTooLarge(InvalidRequestError):
    """An input is larger than declared or than the model takes."""

    reason = "INPUT_TOO_LARGE"


class InputEmpty(InvalidRequestError):
    """An input has no bytes, or plays for no time."""

    reason = "INPUT_EMPTY"


class InputUnsuitable(InvalidRequestError):
    """An input cannot play the role that is needed."""

    reason = "INPUT_UNSUITABLE"


class MediaInvalid(InvalidRequestError):
    """Media is broken or cut off."""

    reason = "MEDIA_INVALID"


class MediaRefused(InvalidRequestError):
    """Media is of a kind that is never opened, such as a playlist that names other files."""

    reason = "MEDIA_REFUSED"


class CastInvalid(InvalidRequestError):
    """A cast asks for something that does not exist."""

    reason = "CAST_INVALID"


class OptionUnknown(InvalidRequestError):
    """The model does not take that option."""

    reason = "OPTION_UNKNOWN"


class OptionInvalid(InvalidRequestError):
    """An option's value is not one that the model takes."""

    reason = "OPTION_INVALID"


class ConversationInvalid(InvalidRequestError):
    """A conversation with a language model is not one, or has parts that the model does not take."""

    reason = "CONVERSATION_INVALID"


class SettingUnknown(InvalidRequestError):
    """The provider has no such setting."""

    reason = "SETTING_UNKNOWN"


class SettingInvalid(InvalidRequestError):
    """A setting's value is not one that the provider takes."""

    reason = "SETTING_INVALID"


class DigestInvalid(InvalidRequestError):
    """A digest is not "sha256:" and 64 lower-case hex digits."""

    reason = "DIGEST_INVALID"


class PageTokenInvalid(InvalidRequestError):
    """A page token is not one that the service gave."""

    reason = "PAGE_TOKEN_INVALID"


class RegistrationInvalid(InvalidRequestError):
    """A provider server describes itself wrongly."""

    reason = "REGISTRATION_INVALID"


class AddressRefused(InvalidRequestError):
    """A URL leads to a private address or to a scheme that is not fetched."""

    reason = "ADDRESS_REFUSED"


class ContextTooLong(InvalidRequestError):
    """The conversation has more tokens than the model takes; the metadata says how many where the vendor does."""

    reason = "CONTEXT_TOO_LONG"


class ContentRefused(InvalidRequestError):
    """The model's vendor does not answer what is asked."""

    reason = "CONTENT_REFUSED"


class OffsetInvalid(InvalidRequestError):
    """An offset is past the end of the asset."""

    code = Code.OUT_OF_RANGE
    reason = "OFFSET_INVALID"


class NameTaken(InvalidRequestError):
    """An id or alias belongs to another provider."""

    code = Code.ALREADY_EXISTS
    reason = "NAME_TAKEN"


class UploadConflict(InvalidRequestError):
    """An upload id was used with another header."""

    code = Code.ALREADY_EXISTS
    reason = "UPLOAD_CONFLICT"


class MethodUnknown(InvalidRequestError):
    """No service of the mesh has that method."""

    code = Code.UNIMPLEMENTED
    reason = "METHOD_UNKNOWN"


class RequestIdReused(InvalidRequestError):
    """A request_id that asks for something else than the first time."""

    code = Code.ALREADY_EXISTS
    reason = "REQUEST_ID_REUSED"


class ResumeInvalid(InvalidRequestError):
    """A call cannot go on from that checkpoint: it is none of this model, or the model has none."""

    reason = "RESUME_INVALID"


class CheckpointUnknown(InvalidRequestError):
    """A caller confirms a checkpoint that does not wait for it."""

    reason = "CHECKPOINT_UNKNOWN"


class CheckpointUnconfirmed(InvalidRequestError):
    """A caller that wants to come back ended its requests before it had confirmed a checkpoint."""

    reason = "CHECKPOINT_UNCONFIRMED"


class EventsTrimmed(InvalidRequestError):
    """Events of a job that are no longer kept."""

    code = Code.OUT_OF_RANGE
    reason = "EVENTS_TRIMMED"


class VoicesUnsupported(InvalidRequestError):
    """The provider has no list of voices, or stores none."""

    code = Code.UNIMPLEMENTED
    reason = "VOICES_UNSUPPORTED"


# --- nothing has that name ---


class CapabilityUnknown(NotFoundError):
    """No capability has that name, or no model has that capability."""

    reason = "CAPABILITY_UNKNOWN"


class ModelUnknown(NotFoundError):
    """No model has that name."""

    reason = "MODEL_UNKNOWN"


class ProviderUnknown(NotFoundError):
    """No provider or instance has that name."""

    reason = "PROVIDER_UNKNOWN"


class AssetUnknown(NotFoundError):
    """The store has no asset with that digest."""

    reason = "ASSET_UNKNOWN"


class UploadUnknown(NotFoundError):
    """The store knows nothing of that upload."""

    reason = "UPLOAD_UNKNOWN"


class RequestUnknown(NotFoundError):
    """The call is not among those that the provider remembers."""

    reason = "REQUEST_UNKNOWN"


class JobUnknown(NotFoundError):
    """No job has that id, or it ended longer ago than jobs are kept."""

    reason = "JOB_UNKNOWN"


class ModelGone(NotFoundError):
    """The vendor has taken the model out of service."""

    reason = "MODEL_GONE"
    retry = Retry.OTHER


# --- something has to be done first ---


class EngineMissing(StateError):
    """A program or library that the work needs is not installed."""

    reason = "ENGINE_MISSING"
    retry = Retry.OTHER


class ProviderNotConfigured(StateError):
    """A key or setting that the provider needs is missing or refused."""

    reason = "PROVIDER_NOT_CONFIGURED"
    retry = Retry.OTHER


class ProviderUnusable(StateError):
    """The provider cannot run here as things are; the hint says what mends it."""

    reason = "PROVIDER_UNUSABLE"
    retry = Retry.OTHER


class DockerMissing(StateError):
    """Docker is not installed."""

    reason = "DOCKER_MISSING"
    retry = Retry.OTHER


class DockerStopped(StateError):
    """Docker is installed, and its engine does not answer."""

    reason = "DOCKER_STOPPED"
    retry = Retry.OTHER


class DockerDenied(StateError):
    """This user may not use Docker."""

    reason = "DOCKER_DENIED"
    retry = Retry.OTHER


class ComposeMissing(StateError):
    """Docker's Compose is not installed."""

    reason = "COMPOSE_MISSING"
    retry = Retry.OTHER


class GpuMissing(StateError):
    """A backend is to use a GPU, and Docker has none to give."""

    reason = "GPU_MISSING"
    retry = Retry.OTHER


class PortTaken(StateError):
    """Another program listens where a backend is to."""

    reason = "PORT_TAKEN"
    retry = Retry.OTHER


class ImageUnknown(StateError):
    """A backend's image is neither here nor at its registry."""

    reason = "IMAGE_UNKNOWN"
    retry = Retry.OTHER


class OffsetMismatch(StateError):
    """A chunk does not begin at the committed offset."""

    reason = "OFFSET_MISMATCH"
    retry = Retry.SAME


class UploadBusy(StateError):
    """Another call writes that upload."""

    code = Code.ABORTED
    reason = "UPLOAD_BUSY"
    retry = Retry.SAME


class InstanceReplaced(StateError):
    """A newer generation of the same instance has registered."""

    code = Code.ABORTED
    reason = "INSTANCE_REPLACED"


class JobNotEnded(StateError):
    """The job still runs."""

    reason = "JOB_NOT_ENDED"


# --- bytes are not what they should be ---


class DigestMismatch(DataLossError):
    """The bytes that arrived are not those that the digest names."""

    reason = "DIGEST_MISMATCH"
    retry = Retry.SAME


class AssetCorrupt(DataLossError):
    """The bytes on disk are not those that the digest names."""

    reason = "ASSET_CORRUPT"


class DatabaseDamaged(DataLossError):
    """The file that jobs and usage are kept in cannot be read."""

    reason = "DATABASE_DAMAGED"


class OutputExpired(DataLossError):
    """The vendor no longer has what it made; it was paid for."""

    reason = "OUTPUT_EXPIRED"


class OutcomeUnknown(DataLossError):
    """A paid request may have reached the vendor or not, and nobody can tell any more."""

    code = Code.ABORTED
    reason = "OUTCOME_UNKNOWN"


# --- a limit is reached ---


class ProviderBusy(ExhaustedError):
    """The provider's queue is full."""

    reason = "PROVIDER_BUSY"
    retry = Retry.OTHER


class RateLimited(ExhaustedError):
    """The vendor takes no more requests or tokens for now."""

    reason = "RATE_LIMITED"
    retry = Retry.OTHER


class CreditExhausted(ExhaustedError):
    """The account at the vendor has no credit, or has reached its spending limit."""

    reason = "CREDIT_EXHAUSTED"
    retry = Retry.OTHER


class QuotaExceeded(ExhaustedError):
    """The asset store's quota is used up by what must not be evicted."""

    reason = "QUOTA_EXCEEDED"


class DiskFull(ExhaustedError):
    """The disk has no room."""

    reason = "DISK_FULL"


class MediaLimit(ExhaustedError):
    """Media is longer, larger or slower to open than allowed."""

    reason = "MEDIA_LIMIT"
    retry = Retry.NEVER


class WatcherTooSlow(ExhaustedError):
    """The caller of a watch did not read for too long."""

    reason = "WATCHER_TOO_SLOW"


class JobQueueFull(ExhaustedError):
    """Too many jobs wait."""

    reason = "JOB_QUEUE_FULL"


class BudgetExhausted(ExhaustedError):
    """The budget of the mesh or of the provider does not allow the call."""

    reason = "BUDGET_EXHAUSTED"
    retry = Retry.OTHER


# --- not there now ---


class ProviderUnavailable(UnavailableError):
    """The provider is known, and no instance of it takes work now."""

    reason = "PROVIDER_UNAVAILABLE"
    retry = Retry.OTHER


class ProviderLost(UnavailableError):
    """The connection to the provider broke during the call."""

    reason = "PROVIDER_LOST"
    retry = Retry.OTHER


class BackendFailed(UnavailableError):
    """The provider's backend or engine ended or gave an error of its own."""

    reason = "BACKEND_FAILED"
    retry = Retry.OTHER


class VendorOverloaded(UnavailableError):
    """The vendor has too much to do."""

    reason = "VENDOR_OVERLOADED"
    retry = Retry.OTHER


class VendorFailing(UnavailableError):
    """The vendor behind the provider has failed again and again: it is not asked for a while."""

    reason = "VENDOR_FAILING"
    retry = Retry.OTHER


class ServiceStartFailed(UnavailableError):
    """The provider's backend could not be started."""

    reason = "SERVICE_START_FAILED"
    retry = Retry.OTHER


class StoreUnavailable(UnavailableError):
    """The asset store is not there now."""

    reason = "STORE_UNAVAILABLE"


class MeshUnreachable(UnavailableError):
    """Nothing answers at the mesh's address."""

    reason = "MESH_UNREACHABLE"


# --- ended ---


class InternalFault(EndedError):
    """A bug. The server's log has the details under the trace id in the metadata."""

    reason = "INTERNAL_FAULT"


class CallCancelled(EndedError):
    """The caller went away or cancelled."""

    code = Code.CANCELLED
    reason = "CALL_CANCELLED"


class JobCancelled(EndedError):
    """The job was cancelled, at the vendor too where it had got there."""

    code = Code.CANCELLED
    reason = "JOB_CANCELLED"


class JobCancelledLocally(EndedError):
    """The job was cancelled here, but the vendor has no cancel: the charge stands."""

    code = Code.CANCELLED
    reason = "JOB_CANCELLED_LOCALLY"


class DeadlineExceeded(EndedError):
    """The deadline passed before the work was done."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


def _leaves(cls: type[AutoMarketError]) -> dict[str, type[AutoMarketError]]:
    found = {cls.reason: cls}
    for child in cls.__subclasses__():
        found |= _leaves(child)
    return found


BY_REASON: dict[str, type[AutoMarketError]] = _leaves(AutoMarketError)
"""Every class of this module by its reason."""
