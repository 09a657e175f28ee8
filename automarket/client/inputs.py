"""Which argument of a call fills which slot of the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from automarket.assets import Asset, as_input
from automarket.assets.roles import unsuitable
from automarket.chat.messages import CONVERSATION_TYPE, Conversation
from automarket.errors import InputIncomplete, InputUnsuitable, InvalidRequestError
from automarket.stored import StoredAsset
from automarket.voices import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from automarket.client.descriptors import ModelInfo, SlotInfo

InputValue: TypeAlias = Asset | StoredAsset | Conversation | str | Path | bytes | AsyncIterable[bytes] | Iterator[bytes]
"""What fills a slot: an asset, one that the store has, text, a file, bytes, bytes as they come (live), or, of language
models, a conversation.

An iterator that blocks, as those of microphone libraries do, is read in a thread.
"""

Source: TypeAlias = Asset | StoredAsset | Conversation | AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class BoundInput:
    """One input of a call: the slot that it fills, and what fills it."""

    slot: str
    source: Source


@dataclass(frozen=True, slots=True)
class Bound:
    """The arguments of a call: inputs in slot order, and the keywords that are options, without those that are None."""

    inputs: list[BoundInput]
    options: dict[str, Any]


def bind(model: ModelInfo, arguments: Sequence[Any], keywords: Mapping[str, Any], *, complete: bool = True) -> Bound:
    """Say which argument fills which slot: positional ones in slot order, keywords by slot name.

    A keyword that a slot and an option share (a voice, overlays) is the input when it is an asset, a file or bytes, or
    a list of such; else it is the option. Unless it has to be `complete`, slots may stay empty.

    Raises:
        InputIncomplete: a slot that has to be filled is not.
        InputUnsuitable: an input cannot play the slot's role.
        InvalidRequestError: there are more inputs than slots.
    """
    slots = {slot.name: slot for slot in model.inputs}
    named = {name: value for name, value in keywords.items() if name in slots and _is_input(model, slots[name], value)}
    options = {name: _option(value) for name, value in keywords.items() if name not in named and value is not None}
    filled: dict[str, list[Any]] = {name: _listed(slots[name], value) for name, value in named.items()}
    _fill_in_order(model, filled, list(arguments))
    for slot in model.inputs:
        if complete and not filled.get(slot.name) and not slot.optional:
            raise InputIncomplete(
                f"model {model.id} needs an input for its slot {slot.name!r}",
                hint=f"it takes: {_signature(model)}",
                fields={slot.name: "required"},
            )
    inputs = [
        BoundInput(slot.name, _source(slot, value)) for slot in model.inputs for value in filled.get(slot.name, ())
    ]
    return Bound(inputs, options)


def _option(value: Any) -> Any:
    """Give an option's value; a voice that a provider has listed goes by its id."""
    return value.id if isinstance(value, Voice) else value


def _is_input(model: ModelInfo, slot: SlotInfo, value: Any) -> bool:
    parts = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else (value,)
    if parts and isinstance(parts[0], Asset | StoredAsset | Conversation | Path | bytes | AsyncIterable | Iterator):
        return True
    options = cast("Mapping[str, Any]", (model.options_schema or {}).get("properties") or {})
    return value is not None and slot.name not in options


def _listed(slot: SlotInfo, value: Any) -> list[Any]:
    several = isinstance(value, list | tuple)
    if several and not slot.repeated:
        raise InvalidRequestError(f"slot {slot.name!r} takes one input, not a list", fields={slot.name: "one input"})
    return list(cast("Sequence[Any]", value)) if several else [value]


def _fill_in_order(model: ModelInfo, filled: dict[str, list[Any]], arguments: list[Any]) -> None:
    given = len(arguments)
    for slot in model.inputs:
        if not arguments:
            return
        if slot.name in filled:
            continue
        values = filled.setdefault(slot.name, [])
        while arguments and (slot.repeated or not values):
            values += _listed(slot, arguments.pop(0))
    if arguments:
        raise InvalidRequestError(
            f"model {model.id} takes fewer inputs than the {given} that were given",
            hint=f"it takes: {_signature(model)}",
        )


def _signature(model: ModelInfo) -> str:
    parts = (
        f"{slot.name} ({slot.role or 'any'}{', several' * slot.repeated}{', optional' * slot.optional})"
        for slot in model.inputs
    )
    return ", ".join(parts)


def _source(slot: SlotInfo, value: Any) -> Source:
    if isinstance(value, Conversation):
        return _conversation(slot, value)
    if isinstance(value, StoredAsset | AsyncIterable):
        return cast("Source", value)
    if isinstance(value, Iterator):
        return _read_in_thread(cast("Iterator[bytes]", value))
    if not isinstance(value, Asset | str | Path | bytes):
        raise InputUnsuitable(
            f"slot {slot.name!r} got a {type(value).__name__}",
            hint="an input is an asset, text, a pathlib.Path, bytes or an iterator of bytes",
            fields={slot.name: "not an input"},
        )
    asset = as_input(value)
    if slot.role is None or asset.can_play(slot.role) or asset.media_type in slot.media_types:
        return asset
    error = unsuitable(asset.roles, slot.role, what=f"the input for slot {slot.name!r}")
    if isinstance(value, str):
        error.hint = "a str is text; for a file pass pathlib.Path(...) or AssetLoader.load(...)"
    error.fields[slot.name] = f"needs {slot.role}"
    raise error


def _conversation(slot: SlotInfo, value: Conversation) -> Conversation:
    if CONVERSATION_TYPE not in slot.media_types:
        message = f"slot {slot.name!r} takes no conversation"
        raise InputUnsuitable(message, hint="give it a text", fields={slot.name: "no conversation is taken"})
    return value


async def _read_in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
