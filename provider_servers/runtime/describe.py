"""What an author says of a provider, its models and its backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from automarket.assets.roles import Role
from automarket.errors import VoicesUnsupported
from automarket.service_status import ServiceStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from automarket.errors import StateError
    from automarket.media.info import AudioFormat, ImageFormat
    from automarket.voices import Voice
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.estimates import Estimate
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.voices import NewVoice


class Kind(StrEnum):
    """Where a provider's models run."""

    LOCAL = "local"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a provider can take work; if not, why and what mends it, each in a sentence.

    Attributes:
        error_reason: reason of the error that a call gets, e.g. "DOCKER_MISSING"; empty is PROVIDER_UNUSABLE.
    """

    available: bool = True
    reason: str = ""
    hint: str = ""
    error_reason: str = ""

    @classmethod
    def lacking(cls, error: StateError) -> Availability:
        """Say that a provider cannot take work, in the words of the error that its calls would end with."""
        return cls(available=False, reason=error.message, hint=error.hint or "", error_reason=error.reason)


@dataclass(frozen=True, slots=True)
class Slot:
    """One input of a model.

    Attributes:
        name: unique within the model: "audio", "text", "voice".
        role: what the input has to play; other assets are cast to it where possible.
        optional: it may be left out.
        repeated: it takes several inputs; their order is kept.
        media_types: what the model takes as it is; empty takes every type of the role. Where the slot says no more of
            its format, sound and pictures of other types are cast to the first one.
        audio, image: what the media is cast to before the model gets it.
        max_bytes, max_seconds, max_characters, max_count: bounds; None is no bound. The play time of sound that flows
            in is bounded where `audio` asks for wav or s16le at a given rate; of assets always.
        description: what it is for.
    """

    name: str
    role: Role
    optional: bool = False
    repeated: bool = False
    media_types: tuple[str, ...] = ()
    audio: AudioFormat | None = None
    image: ImageFormat | None = None
    max_bytes: int | None = None
    max_seconds: float | None = None
    max_characters: int | None = None
    max_count: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a model: its name, role, media types (preferred first), and whether it comes while it is made."""

    name: str
    role: Role
    media_types: tuple[str, ...] = ()
    streamed: bool = True


@dataclass(frozen=True, slots=True)
class Pricing:
    """Price of one unit ("token", "second", "image") of input and output, in an ISO 4217 currency.

    `cached_input_cost` is the price of input that the vendor had in its cache; None is `input_cost`.
    """

    unit: str
    input_cost: float = 0.0
    output_cost: float = 0.0
    currency: str = "USD"
    cached_input_cost: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One thing that a provider can run.

    Attributes:
        id: identity within the provider.
        capabilities: names, e.g. ("speech-to-text",).
        inputs: slots, in order.
        outputs: outputs, in order.
        options: JSON Schema properties by option name: the typed options of the capability by their field names, and
            the model's own. Durations are numbers of seconds. What is not listed is refused; defaults are filled in.
        replay_safe: a call may be repeated elsewhere when this provider is lost: nothing is billed, nothing changes.
        deduplicates: the provider hands the caller's request id to a vendor that tells repetitions from new requests,
            so that a call with one may be repeated, too.
        long_running: a call may take minutes.
        resumable: calls yield checkpoints and go on from one (`call.resume`).
        from_vendor_schema: slots and options were read from the vendor's own schema.
        context_tokens: how many tokens a language model has in view, its answer included; None is not known.
        max_output_tokens: how many it writes at most; None is not known.
        canonical_id, aliases, name, description, version, pricing: as in the contract.
    """

    id: str
    capabilities: tuple[str, ...]
    inputs: tuple[Slot, ...]
    outputs: tuple[Output, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    canonical_id: str = ""
    aliases: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    version: str = ""
    pricing: Pricing | None = None
    replay_safe: bool = False
    deduplicates: bool = False
    long_running: bool = False
    resumable: bool = False
    from_vendor_schema: bool = False
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    availability: Availability = Availability()


class Provider(ABC):
    """A source of models. An author names it, lists its models and runs them.

    Class attributes say what it is; `settings_schema` holds JSON Schema properties of what `configure` takes, secrets
    with "writeOnly": true. `voice_samples` says what samples of a new voice are cast to, and `finds_models` that there
    are models beyond those that are listed. One object serves all calls of the process, so state on `self` is shared.
    """

    id: ClassVar[str]
    name: ClassVar[str]
    description: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    kind: ClassVar[Kind] = Kind.LOCAL
    aliases: ClassVar[tuple[str, ...]] = ()
    max_concurrent_calls: ClassVar[int] = 2
    max_queued_calls: ClassVar[int] = 32
    settings_schema: ClassVar[Mapping[str, Any]] = {}
    finds_models: ClassVar[bool] = False
    voice_samples: ClassVar[Slot] = Slot("samples", Role.SPEECH, repeated=True)

    _tell_models_changed: Callable[[], None] | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the provider can run on this machine. Cheap: imports no engine, starts nothing."""
        return Availability()

    @abstractmethod
    def models(self) -> Sequence[Model]:
        """List the models, in the order in which they should be offered."""

    async def find_model(self, name: str) -> Model | None:  # noqa: ARG002 - most providers list all that they have
        """Look for a model that is not listed, by its id; None where there is none.

        It is asked only where `finds_models` says so, for calls that name this provider. What is found belongs on the
        list from then on, so an author calls `models_changed` as well.

        Raises:
            AutoMarketError: nobody can tell.
        """
        return None

    def models_changed(self) -> None:
        """Tell the mesh that `models` lists others than before. An author calls it, in the event loop."""
        if self._tell_models_changed is not None:
            self._tell_models_changed()

    def when_models_change(self, tell: Callable[[], None]) -> None:
        """Take what is called when the models have changed; for the server that runs the provider."""
        self._tell_models_changed = tell

    @abstractmethod
    def transform(self, call: Call) -> AsyncIterator[Event]:
        """Run a model: an async generator of events. It is closed when the caller goes away or the deadline passes."""

    async def estimate(self, call: Call) -> Estimate | None:  # noqa: ARG002 - here nothing is known beyond the price
        """Say what a call would cost, and spend nothing; None leaves it to the model's `pricing`.

        `call.options` are checked; `call.facts` says what is known of the inputs, none of which is read.
        """
        return None

    async def open(self) -> None:
        """Get ready, once, before the first call: load weights, open connections."""

    async def close(self) -> None:
        """Give up what `open` took."""

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings, checked against `settings_schema` already. They are never written down."""

    async def start_service(self) -> AsyncIterator[ServiceStatus]:
        """Start the backend and give its states until it is ready."""
        yield await self.service_status()

    async def stop_service(self) -> ServiceStatus:
        """Stop the backend."""
        return await self.service_status()

    def unseen_service(self) -> ServiceStatus | None:
        """Give what is known of the backend before anybody has looked: None where none has to be started."""
        return None

    async def service_status(self, log_lines: int = 0) -> ServiceStatus:  # noqa: ARG002 - there is no backend here
        """Say how the backend is, with so many of the last lines that it wrote."""
        return ServiceStatus()

    async def watch_service(self) -> AsyncIterator[ServiceStatus]:
        """Give how the backend is, now and whenever that changes; nothing where none has to be started."""
        return
        yield  # makes it a generator

    async def voices(self) -> Sequence[Voice]:
        """List the voices that the option `voice` of text-to-speech takes, its own and stored clones.

        Raises:
            VoicesUnsupported: there is no such list.
        """
        raise VoicesUnsupported(f"provider {self.id} has no list of voices", metadata={"provider": self.id})

    async def create_voice(self, voice: NewVoice) -> Voice:
        """Make a voice from samples of speech and store it.

        The runtime asks once for each request_id for as long as the process lives; where the vendor can tell which
        request_id made a voice, look there first.

        Raises:
            VoicesUnsupported: it stores no voices.
        """
        message = f"provider {self.id} stores no voices, and made none of {voice.name!r}"
        hint = "a model that does voice-cloning takes a sample as its input `voice`"
        raise VoicesUnsupported(message, hint=hint, metadata={"provider": self.id})

    async def delete_voice(self, voice_id: str) -> None:  # noqa: ARG002 - there is none here
        """Remove a stored voice; one that is gone already is no error.

        Raises:
            VoicesUnsupported: it stores no voices.
            InvalidRequestError: it is one of the provider's own.
        """
        raise VoicesUnsupported(f"provider {self.id} stores no voices", metadata={"provider": self.id})
