"""Handles of models: what every family shares, and the one for any model."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from automarket.client import results
from automarket.client.plan import CallSettings, Plan
from automarket.client.run import describe
from automarket.client.stream import TransformStream
from automarket.client.target import Target
from automarket.errors import NotFoundError, StateError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from automarket.client.assets import AssetClient
    from automarket.client.connection import Connection
    from automarket.client.descriptors import ModelInfo
    from automarket.client.inputs import InputValue
    from automarket.client.results import Output, Result
    from automarket.client.target import Fallback

HandleT = TypeVar("HandleT", bound="ModelHandle")
ResultT = TypeVar("ResultT")
P = ParamSpec("P")


class ModelHandle:
    """One model of one provider; `info` describes it.

    Every transform also takes `timeout` (seconds for all of it, uploads included), `request_id` (UUID; equal repeats
    within 24 hours are not billed twice), `store` (False: the asset store keeps nothing), `by_digest` (True: media that
    come out stay in the asset store until the result is read or saved) and `job` (True: the call is followed as a job
    of that request_id, which goes on when its stream is left: see `Mesh.jobs`). Options that the model takes besides
    those that its family shares are keyword arguments too; `info.options_schema` lists them all.
    """

    def __init__(self, connection: Connection, store: AssetClient, info: ModelInfo, capability: str) -> None:
        self._connection = connection
        self._store = store
        self._capability = capability
        self.info = info

    def __repr__(self) -> str:
        """Name the model and its provider."""
        return f"<{type(self).__name__} {self.info.id!r} of {self.info.provider_id!r}>"

    @property
    def id(self) -> str:
        """The model's id."""
        return self.info.id

    @property
    def provider_id(self) -> str:
        """The provider's id."""
        return self.info.provider_id

    @property
    def _target(self) -> Target:
        return Target(capability=self._capability, model=self.info.id, provider=self.info.provider_id)

    async def is_available(self) -> bool:
        """Tell whether a call could be made now.

        Raises:
            MeshUnreachable: nobody answered.
        """
        try:
            found = await describe(self._connection, self._target)
        except (NotFoundError, StateError):
            return False
        except UnavailableError as error:
            return _no_or_raise(error)
        return found.availability.available

    def _stream(
        self,
        result_of: Callable[[str], Callable[[Sequence[Output]], ResultT]],
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        fallbacks: Sequence[Fallback] = (),
    ) -> TransformStream[ResultT]:
        settings = take_settings(keywords)
        target = replace(self._target, fallbacks=tuple(fallbacks))
        plan = Plan(target, self.info, arguments, keywords, result_of, settings)
        return TransformStream(self._connection, self._store, plan)


def _no_or_raise(error: UnavailableError) -> bool:
    if error.reason == "MESH_UNREACHABLE":
        raise error
    return False


def take_settings(keywords: dict[str, Any]) -> CallSettings:
    """Take how a call is made out of its keywords."""
    names = ("timeout", "request_id", "store", "by_digest", "job")
    return CallSettings(**{name: keywords.pop(name) for name in names if name in keywords})


def awaited(
    stream: Callable[Concatenate[HandleT, P], TransformStream[ResultT]],
) -> Callable[Concatenate[HandleT, P], Coroutine[Any, Any, ResultT]]:
    """Give the twin of a streaming method that runs it to its end and gives the result."""

    @wraps(stream)
    async def transform(self: HandleT, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return await stream(self, *args, **kwargs).result()

    return transform


class Model(ModelHandle):
    """Any model: inputs in slot order or by slot name, options by name."""

    def stream(self, *inputs: InputValue, **options: Any) -> TransformStream[Result]:
        """Run the model; give its events as they happen."""
        return self._stream(results.for_capability, inputs, options)

    transform = awaited(stream)
