"""One transform before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from automarket import capabilities
from automarket.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from automarket.client.descriptors import ModelInfo
    from automarket.client.results import Output
    from automarket.client.target import Target

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How one call is made.

    Attributes:
        timeout: seconds from the first step, uploads included, to the last; None is no bound.
        request_id: UUID; equal repeats within 24 hours are not billed twice. None makes a new one.
        store: what the asset store keeps: None keeps uploads and media that come out, True text that comes out as
            well, False nothing.
        by_digest: media that come out stay in the asset store; the results read them there when they are first used.
        job: the call is followed as a job, which goes on when nobody reads it any more.
    """

    timeout: float | None = None
    request_id: str | None = None
    store: bool | None = None
    by_digest: bool = False
    job: bool = False


@dataclass(frozen=True, slots=True)
class Plan(Generic[ResultT]):
    """One transform before it runs.

    Attributes:
        target: where it goes.
        model: the model that it is for; None asks the mesh which one fits the target.
        arguments: inputs in slot order.
        keywords: inputs by slot name, and options.
        result_of: gives, for a capability, how the outputs become the result.
        settings: how the call is made.
    """

    target: Target
    model: ModelInfo | None
    arguments: Sequence[Any]
    keywords: Mapping[str, Any]
    result_of: Callable[[str], Callable[[Sequence[Output]], ResultT]]
    settings: CallSettings = field(default_factory=CallSettings)


def used_as(model: ModelInfo, asked: str) -> str:
    """Give the capability that a model is used as: what was asked for, or the kind of it that the model has.

    Without anything asked for it is the first capability with typed options, or else the model's first.
    """
    name = capabilities.canonical_name(asked) if asked else ""
    if name in model.capabilities:
        return name
    if name:
        return next((one for one in model.capabilities if capabilities.is_a(one, name)), name)
    typed = (one for one in model.capabilities if one in FAMILIES)
    return next(typed, model.capabilities[0] if model.capabilities else "")
