"""The mesh as a program sees it."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, overload

from automarket.client import results
from automarket.client.comparing import compare
from automarket.client.connection import Connection
from automarket.client.direct import DIRECT_ABOVE
from automarket.client.discovery import Discovery
from automarket.client.estimating import estimate
from automarket.client.jobs import Jobs
from automarket.client.language import TextToTextModel
from automarket.client.model import Model, take_settings
from automarket.client.plan import Plan, used_as
from automarket.client.provider import ProviderHandle
from automarket.client.run import describe
from automarket.client.store import MeshAssets
from automarket.client.stream import TransformStream
from automarket.client.target import Fallback, Target
from automarket.client.text_options import merged
from automarket.client.usage import get_usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from datetime import datetime

    from automarket.assets import Audio, Image, Speech, Text, Video
    from automarket.assets.roles import Role
    from automarket.client.comparing import Comparison
    from automarket.client.descriptors import CapabilityInfo, Change, ModelInfo, ProviderInfo, Route
    from automarket.client.inputs import InputValue
    from automarket.client.job_info import CostEstimate, UsageBy, UsageReport
    from automarket.client.language import ChatInput
    from automarket.client.results import CompositionResult, Result
    from automarket.client.text_options import OptionsValue

DEFAULT_ADDRESS = "127.0.0.1:50051"
ADDRESS_VARIABLE = "AUTOMARKET_ADDRESS"

ToText: TypeAlias = Literal["speech-to-text", "audio-to-text", "text-to-text", "image-to-text"]
ToSpeech: TypeAlias = Literal["text-to-speech", "voice-cloning"]
ToAudio: TypeAlias = Literal["video-to-audio", "audio-to-audio", "text-to-audio", "text-to-music", "text-to-sound"]
ToVideo: TypeAlias = Literal[
    "text-to-video",
    "image-to-video",
    "video-to-video",
    "video-upscale",
    "face-swap",
    "lip-sync",
    "avatar-generation",
]
ToImages: TypeAlias = Literal["text-to-image", "image-to-image", "video-to-image"]


def connect(address: str | None = None, *, direct_above: int | None = DIRECT_ABOVE) -> Mesh:
    """Give a mesh, to be used as `async with automarket.connect() as mesh`.

    Args:
        address: "host:port" or "unix:/path"; without it the environment variable AUTOMARKET_ADDRESS, and without that
            127.0.0.1:50051, where `automarket up` listens.
        direct_above: what has more bytes than this goes past the gateway, or to and from a store on this machine by
            file, where that can be done; where it cannot, or stops to work on the way, it is sent through the gateway.
            0 does so with everything, None with nothing.
    """
    return Mesh(address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS, direct_above=direct_above)


class Mesh:
    """A mesh. It connects when it is first asked something; `assets` is its asset store.

    Every method raises an AutoMarketError when it fails: MeshUnreachable where nobody answers.
    """

    def __init__(self, address: str, *, direct_above: int | None = DIRECT_ABOVE) -> None:
        self.address = address
        self._connection = Connection(address, direct_above)
        self._discovery = Discovery(self._connection)

    async def __aenter__(self) -> Self:
        """Give the mesh itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._connection.close()

    @cached_property
    def assets(self) -> MeshAssets:
        """The asset store: put, get, read, list, cast, delete."""
        return MeshAssets(self._connection)

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs: create, get, list, cancel, retry, watch, result."""
        return Jobs(self._connection, self.assets)

    async def usage(
        self,
        *,
        by: Iterable[UsageBy] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        provider: str = "",
        model: str = "",
    ) -> UsageReport:
        """Add up what was used and what it cost, and say what is left of the budgets.

        Args:
            by: what to add up by: provider, model, day; nothing adds everything up.
            start: from this moment; one without a time zone is local.
            end: to before this moment.
            provider: only of one, by id or alias.
            model: only of one, by id.
        """
        return await get_usage(self._connection, by, (start, end), provider, model)

    async def estimate(
        self,
        *inputs: InputValue,
        capability: str = "",
        model: str = "",
        provider: str = "",
        **options: Any,
    ) -> CostEstimate:
        """Say what a call would cost, and spend nothing. Options are checked as the call would check them.

        Takes what `stream` takes. Inputs may be left out where they do not matter for the price; none is uploaded: what
        the asset store has counts by its length, other files by their size.

        Raises:
            OptionUnknown, OptionInvalid: an option is wrong.
        """
        take_settings(options)
        target = Target(capability=capability, model=model, provider=provider)
        return await estimate(self._connection, target, inputs, options)

    def provider(self, name: str) -> ProviderHandle:
        """Give a handle of a provider by id or alias. Asks nothing yet."""
        return ProviderHandle(self._connection, self.assets, name)

    async def capabilities(self, *, available_only: bool = False) -> list[CapabilityInfo]:
        """List capabilities; with `available_only` those that a model has now."""
        return await self._discovery.capabilities(available_only=available_only)

    async def providers(self, *, available_only: bool = False) -> list[ProviderInfo]:
        """List providers; without `available_only` those that cannot run here too, with what would mend it."""
        return await self._discovery.providers(available_only=available_only)

    async def models(
        self,
        *,
        capability: str = "",
        provider: str = "",
        text: str = "",
        input_roles: Iterable[Role] = (),
        output_role: Role | None = None,
        available_only: bool = False,
    ) -> list[ModelInfo]:
        """Find models; every argument that is given narrows the answer. See `Discovery.models`."""
        return await self._discovery.models(
            capability=capability,
            provider=provider,
            text=text,
            input_roles=input_roles,
            output_role=output_role,
            available_only=available_only,
        )

    def watch(self, *, include_models: bool = True) -> AsyncGenerator[Change]:
        """Report everything that is there, then the mark `snapshot_complete`, then every change as it happens."""
        return self._discovery.watch(include_models=include_models)

    async def resolve(self, *, capability: str = "", model: str = "", provider: str = "") -> Route:
        """Ask which instance a call would go to and where that can be reached without the gateway between."""
        return await self._discovery.resolve(Target(capability=capability, model=model, provider=provider))

    async def model(self, model: str = "", *, capability: str = "", provider: str = "") -> Model:
        """Give a handle of the model that has that name, or that fits best."""
        info = await describe(self._connection, Target(capability=capability, model=model, provider=provider))
        return Model(self._connection, self.assets, info, used_as(info, capability))

    async def text_to_text(self, model: str = "", *, provider: str = "") -> TextToTextModel:
        """Give a language model by name, or the one that fits best.

        Raises:
            CapabilityUnknown: the model of that name is none.
        """
        target = Target(capability="text-to-text", model=model, provider=provider)
        info = await describe(self._connection, target)
        return TextToTextModel(self._connection, self.assets, info, used_as(info, "text-to-text"))

    async def compare(
        self,
        prompt: ChatInput,
        models: Sequence[str],
        options: OptionsValue = None,
        *,
        on_text: Callable[[str, Text], None] | None = None,
        **more: Any,
    ) -> list[Comparison]:
        """Ask several language models the same at the same time; one that fails is a row with its error.

        Args:
            prompt: a text, or messages.
            models: names; "model@provider" says whose.
            options: as in `TextToTextModel.stream`, the same for all.
            on_text: gets the name of a model and each piece of its text, as it comes.
            more: as in `TextToTextModel.stream`; `timeout` holds for each.

        Returns:
            One row for each name, in their order.

        Raises:
            ConversationInvalid, InvalidRequestError: the prompt is none, or no model is named.
        """
        return await compare(self, prompt, models, merged(options, more), on_text)

    def stream(
        self,
        *inputs: InputValue,
        capability: str = "",
        model: str = "",
        provider: str = "",
        output_role: Role | None = None,
        local_only: bool = False,
        fallbacks: Sequence[Fallback] = (),
        **options: Any,
    ) -> TransformStream[Result]:
        """Run the model that fits; give its events as they happen.

        Args:
            inputs: in slot order; further ones may be named by slot in `options`.
            capability: name or alias of what is to be done.
            model: id, canonical id or alias.
            provider: id or alias.
            output_role: the role that is wanted, where no capability is named.
            local_only: never call a remote vendor.
            fallbacks: where else to go, in order, when the first choice fails before its first event.
            options: options of the capability and of the model by name; `timeout` (seconds), `request_id`, `store` and
                `by_digest` and `job` say how the call is made, see `ModelHandle`.
        """
        settings = take_settings(options)
        target = Target(
            capability=capability,
            model=model,
            provider=provider,
            output_role=output_role,
            local_only=local_only,
            fallbacks=tuple(fallbacks),
        )
        plan = Plan(target, None, inputs, options, results.for_capability, settings)
        return TransformStream(self._connection, self.assets, plan)

    @overload
    async def transform(self, *inputs: InputValue, capability: ToText, **options: Any) -> Text: ...
    @overload
    async def transform(self, *inputs: InputValue, capability: ToSpeech, **options: Any) -> Speech: ...
    @overload
    async def transform(self, *inputs: InputValue, capability: ToAudio, **options: Any) -> Audio: ...
    @overload
    async def transform(self, *inputs: InputValue, capability: ToVideo, **options: Any) -> Video: ...
    @overload
    async def transform(self, *inputs: InputValue, capability: ToImages, **options: Any) -> list[Image]: ...
    @overload
    async def transform(self, *inputs: InputValue, capability: Literal["image-upscale"], **options: Any) -> Image: ...
    @overload
    async def transform(
        self, *inputs: InputValue, capability: Literal["video-composition"], **options: Any
    ) -> CompositionResult: ...
    @overload
    async def transform(self, *inputs: InputValue, capability: str = "", **options: Any) -> Result: ...
    async def transform(self, *inputs: InputValue, capability: str = "", **options: Any) -> Any:
        """Run the model that fits and give its result. Takes what `stream` takes."""
        return await self.stream(*inputs, capability=capability, **options).result()
