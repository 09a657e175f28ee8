"""From the header's inputs to the inputs that an author sees: slots filled, roles checked, media cast.

Who casts: an asset is cast by the store, next to its bytes, and the result is kept; what comes as chunks is cast here
as it flows.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from automarket.assets.formats import by_media_type, refusal
from automarket.assets.roles import Role, reachable, unsuitable
from automarket.errors import ChunkTooLarge, InputIncomplete, InputTooLarge, InputUnsuitable
from automarket.media.cast import cast_stream
from automarket.media.encodings import AUDIO, IMAGES
from automarket.media.head import take_head, with_head
from automarket.media.info import AudioFormat, CastSpec, ImageFormat
from automarket.media.wav import wav_header
from automarket.media.wire import spec_to_proto, to_duration
from automarket.v1 import media_pb2, transform_pb2
from provider_servers.runtime.media_input import MediaInput

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from pathlib import Path

    from automarket.v1 import conversation_pb2
    from provider_servers.runtime.describe import Model, Slot
    from provider_servers.runtime.store import StoreLink
    from provider_servers.runtime.workdir import Workdir

MAX_INLINE_BYTES = 64 * 1024
_HEADER_BYTES = len(wav_header(16_000, 1))


def fill_slots(inputs: Sequence[transform_pb2.Input], model: Model, *, complete: bool = True) -> list[Slot]:
    """Give the slot of each input: the one it names, else the next in order.

    Args:
        inputs: as the header declares them.
        model: whose slots they fill.
        complete: required slots have to be filled.

    Raises:
        InputUnsuitable: a slot does not exist or is filled twice, or there are more inputs than slots.
        InputIncomplete: a required slot is not filled.
    """
    slots = {slot.name: slot for slot in model.inputs}
    filled: list[Slot] = []
    for number, one in enumerate(inputs):
        field_name = f"header.inputs[{number}].slot"
        free = [slot for slot in model.inputs if slot.repeated or slot not in filled]
        if one.slot and one.slot not in slots:
            names = ", ".join(slots)
            message = f"model {model.id} has no input slot {one.slot!r}"
            raise InputUnsuitable(message, hint=f"it has {names}", fields={field_name: "unknown slot"})
        if not free and not one.slot:
            message = f"model {model.id} takes {len(slots)} inputs; {len(inputs)} were given"
            raise InputUnsuitable(message, fields={field_name: "no slot is left"})
        slot = slots[one.slot] if one.slot else free[0]
        if slot not in free:
            raise InputUnsuitable(f"slot {slot.name!r} takes one input", fields={field_name: "filled twice"})
        if slot.max_count is not None and filled.count(slot) >= slot.max_count:
            raise InputTooLarge(f"slot {slot.name!r} takes at most {slot.max_count}", fields={field_name: "too many"})
        filled.append(slot)
    for slot in model.inputs:
        if complete and not slot.optional and slot not in filled:
            message = f"model {model.id} needs an input for slot {slot.name!r} ({slot.role})"
            raise InputIncomplete(message, fields={"header.inputs": f"slot {slot.name!r} is missing"})
    return filled


def cast_spec(slot: Slot) -> CastSpec | None:
    """Give what media has to be cast to for a slot; None for slots that take every form of their role."""
    if slot.role in (Role.AUDIO, Role.SPEECH) and slot.audio is not None:
        return CastSpec(slot.role, audio=slot.audio)
    if slot.role == Role.IMAGE and slot.image is not None:
        return CastSpec(slot.role, image=slot.image)
    return None


def spec_for(roles: Iterable[Role], slot: Slot, number: int, *, media_type: str) -> CastSpec | None:
    """Give what media that plays `roles` has to be cast to for a slot; None when the slot takes it as it is.

    Raises:
        InputUnsuitable: saying what it plays and what was needed.
        MediaRefused: it is a list of other files.
    """
    spec = cast_spec(slot)
    if spec is None and media_type in slot.media_types:
        return None  # the slot lists it, whatever it plays: a picture among overlays
    known = by_media_type(media_type)
    if known is not None and known.refused:
        raise refusal(known, what=f"input {number}")
    if not any(slot.role in reachable(role) for role in roles):
        error = unsuitable(roles, slot.role, what=f"input {number} ({media_type})")
        error.fields[f"header.inputs[{number}]"] = f"cannot play {slot.role}"
        raise error
    spec = spec or _to_first(slot)
    return spec if spec or slot.role in roles else CastSpec(slot.role)


def _to_first(slot: Slot) -> CastSpec | None:
    """Give the cast to the first type that a slot lists; None where it lists none that sound or pictures can become."""
    first = by_media_type(slot.media_types[0]) if slot.media_types else None
    if first is None or slot.role not in first.roles:
        return None
    if first.name in IMAGES and slot.role == Role.IMAGE:
        return CastSpec(slot.role, image=ImageFormat(first.name))
    if first.name in AUDIO and slot.role in (Role.AUDIO, Role.SPEECH):
        return CastSpec(slot.role, audio=AudioFormat(first.name))
    return None


@dataclass(slots=True)
class Preparer:
    """Prepares the inputs of one call.

    Attributes:
        store: the asset store.
        folder: the call's own.
        keep: the caller wants inputs that came as chunks or inline kept in the store.
        casts: what was cast, in the order in which it was done.
        parts: digests of the assets that messages hold.
    """

    store: StoreLink
    folder: Workdir
    keep: bool = False
    casts: list[media_pb2.CastRecord] = field(default_factory=list[media_pb2.CastRecord])
    parts: list[str] = field(default_factory=list[str])

    async def prepare(
        self,
        number: int,
        given: transform_pb2.Input,
        slot: Slot,
        stream: Callable[[int], AsyncGenerator[bytes]],
    ) -> MediaInput:
        """Give one input as the author sees it."""
        kind = given.WhichOneof("source")
        if kind == "digest":
            return await self._by_digest(number, given.digest, slot)
        if kind == "stream":
            return self._flowing(number, given, slot, lambda: stream(number))
        if kind == "inline":
            if len(given.inline) > MAX_INLINE_BYTES:
                message = f"input {number} is {len(given.inline):,} bytes inline; at most {MAX_INLINE_BYTES:,} are"
                hint = "upload it and send its digest, or send it as chunks"
                raise ChunkTooLarge(message, hint=hint, fields={f"header.inputs[{number}].inline": "too long"})
            data = given.inline
            return self._flowing(number, given, slot, lambda: _once(data))
        message = f"input {number} has no source: neither digest, inline nor stream"
        raise InputIncomplete(message, fields={f"header.inputs[{number}].source": "required"})

    async def prepare_part(
        self, number: int, part: conversation_pb2.MediaPart, slot: Slot, *, as_it_is: bool
    ) -> MediaInput:
        """Give media that a message holds, as an input of the slot whose rules it follows.

        Args:
            number: tells it from other parts and inputs.
            part: the media.
            slot: the slot.
            as_it_is: it is neither looked at nor cast.
        """
        given = transform_pb2.Input(media_type=part.media_type)
        if part.WhichOneof("source") == "digest":
            given.digest = part.digest
            self.parts.append(part.digest)
        else:
            given.inline = part.inline
        if not as_it_is:
            return await self.prepare(number, given, slot, _no_stream)
        if given.digest:
            await self.store.client.stat(given.digest)
            file = await self.store.fetch(given.digest, self.folder.path)
            return MediaInput(slot, media_type=given.media_type, digest=given.digest, file=file)
        data = given.inline
        return MediaInput(
            slot, media_type=given.media_type, source=lambda: _once(data), spool=partial(self._spool, number)
        )

    def _spool(self, number: int) -> Path:
        return self.folder.path / f"input-{number}"

    async def _by_digest(self, number: int, digest: str, slot: Slot) -> MediaInput:
        client = self.store.client
        shared = self.store.file_of(digest)
        asset = await client.stat(digest, verify=shared is not None)
        spec = spec_for(asset.roles, slot, number, media_type=asset.media_type)
        if spec is not None:
            result = await client.cast(digest, spec)
            if result.asset.digest != digest:
                shared = None
                self.casts.append(
                    media_pb2.CastRecord(
                        source_digest=digest,
                        digest=result.asset.digest,
                        spec=spec_to_proto(spec),
                        cached=result.cached,
                        elapsed=to_duration(result.elapsed),
                        slot=slot.name,
                    )
                )
            asset = result.asset
        length = asset.media_info.duration if asset.media_info else None
        if slot.max_seconds is not None and length is not None and length > slot.max_seconds:
            raise _too_long(slot, number)
        file = shared or await self.store.fetch(asset.digest, self.folder.path)
        return MediaInput(slot, media_type=asset.media_type, digest=digest, file=file)

    def _flowing(
        self,
        number: int,
        given: transform_pb2.Input,
        slot: Slot,
        source: Callable[[], AsyncGenerator[bytes]],
    ) -> MediaInput:
        spec = cast_spec(slot)
        container = spec.audio.container if spec and spec.audio else spec.image.container if spec and spec.image else ""
        cast_type = f"{'image' if slot.role == Role.IMAGE else 'audio'}/{container}" if container else ""
        media_type = cast_type or given.media_type or "application/octet-stream"

        async def checked() -> AsyncGenerator[bytes]:
            async with aclosing(self._kept(made, number, source())) as pieces:
                head, found = await take_head(pieces, what=f"input {number}")
                wanted = spec_for(found.roles, slot, number, media_type=found.media_type)
                flow = with_head(head, pieces)
                if wanted is not None:
                    self.casts.append(media_pb2.CastRecord(spec=spec_to_proto(wanted), slot=slot.name))
                    flow = _within(slot, number, cast_stream(flow, wanted))
                async with aclosing(flow):
                    async for piece in flow:
                        yield piece

        # `checked` tells it its digest.
        made = MediaInput(slot, media_type=media_type, source=checked, spool=partial(self._spool, number))
        return made

    async def _kept(self, made: MediaInput, number: int, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """Pass pieces on; when inputs are to be kept, the store gets them in the end."""
        if not self.keep:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
            return
        store = self.store.client  # says so at once when there is none
        copy = self.folder.path / f"keep-{number}"
        with copy.open("wb") as file:
            async with aclosing(pieces):
                async for piece in pieces:
                    file.write(piece)
                    yield piece
        made.digest = (await store.put(copy)).digest


async def _within(slot: Slot, number: int, flow: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Pass sound on for as long as the slot takes it, where its format tells the play time by the number of bytes."""
    form = slot.audio or AudioFormat()
    samples = (form.sample_rate or 0) * (form.channels or 0) if form.container in ("wav", "s16le") else 0
    most = _HEADER_BYTES + samples * 2 * slot.max_seconds if samples and slot.max_seconds is not None else None
    async with aclosing(flow):
        async for piece in flow:
            if most is not None:
                most -= len(piece)
                if most < 0:
                    raise _too_long(slot, number)
            yield piece


def _too_long(slot: Slot, number: int) -> InputTooLarge:
    message = f"input {number} plays longer than the {slot.max_seconds:.0f} s that slot {slot.name!r} takes"
    return InputTooLarge(message, hint="cut it", fields={f"header.inputs[{number}]": "too long"})


def _no_stream(number: int) -> AsyncGenerator[bytes]:
    """Give nothing: media in a message never follows as chunks."""
    raise InputIncomplete(f"part {number} of the conversation has no bytes")


async def _once(data: bytes) -> AsyncGenerator[bytes]:
    yield data
