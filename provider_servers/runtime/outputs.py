"""Outputs of a call: text that adds up, media that is sent, digested, probed and stored while it is made."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.digests import digest_bytes, digest_file
from automarket.errors import BackendFailed, ExhaustedError, UnavailableError
from automarket.media.probe import probe
from automarket.media.wire import info_to_proto, to_duration
from automarket.v1 import conversation_pb2, options_pb2, transform_pb2
from provider_servers.runtime.composed import composition_of
from provider_servers.runtime.event_messages import Tokens, completion_message, generated_message
from provider_servers.runtime.events import Completion, ReasoningDelta, Segment, TextDelta, TextResult, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from automarket.stored import Lineage
    from provider_servers.runtime.events import Composition, Media, Resolution, Spoken
    from provider_servers.runtime.media_input import MediaInput
    from provider_servers.runtime.store import StoreLink

log = logging.getLogger("automarket.provider")

CHUNK_BYTES = 256 * 1024


class TextOutput:
    """The text output of a call: what segments and deltas add up to."""

    def __init__(self, index: int, name: str, emit: Callable[[Any], Awaitable[None]]) -> None:
        self._index = index
        self._name = name
        self._emit = emit
        self._started = False
        self._parts: list[str] = []
        self._separator = ""
        self._result = TextResult()
        self._completion: Completion | None = None
        self._tool_calls: set[int] = set()

    async def _start(self, media_type: str) -> None:
        if not self._started:
            self._started = True
            await self._emit(transform_pb2.OutputStarted(output=self._index, name=self._name, media_type=media_type))

    async def add(self, event: Spoken) -> None:
        """Take an event of the author and pass it on."""
        await self._start(event.media_type if isinstance(event, TextResult) else "text/plain")
        if isinstance(event, TextResult):
            self._result = event
        elif isinstance(event, TextDelta):
            self._parts.extend(event.tokens)
            await self._emit(Tokens(self._index, list(event.tokens)))
        elif isinstance(event, Segment):
            self._separator = " "
            self._parts.append(event.text)
            await self._emit(_segment(event, self._index))
        elif isinstance(event, ReasoningDelta):
            made = conversation_pb2.ReasoningDelta(output=self._index, tokens=event.tokens, signature=event.signature)
            await self._emit(made)
        elif isinstance(event, ToolCallDelta):
            await self._emit(self._tool_call(event))
        else:
            self._completion = event

    def _tool_call(self, event: ToolCallDelta) -> conversation_pb2.ToolCallDelta:
        """Give a piece of a tool call; its first one names it.

        Raises:
            ValueError: a first piece that names no tool.
        """
        call_id = event.id
        if event.index in self._tool_calls:
            call_id = ""
        else:
            if not event.name:
                message = f"tool call {event.index} begins without the name of its tool"
                raise ValueError(message)
            self._tool_calls.add(event.index)
            call_id = call_id or f"call_{uuid.uuid4().hex[:16]}"
        name = event.name if call_id else ""
        return conversation_pb2.ToolCallDelta(
            output=self._index, index=event.index, id=call_id, name=name, arguments=event.arguments
        )

    async def _send(self, data: bytes) -> None:
        """Send the text as bytes, which go before what segments and deltas add up to."""
        for begin in range(0, len(data), CHUNK_BYTES):
            piece = data[begin : begin + CHUNK_BYTES]
            await self._emit(transform_pb2.OutputChunk(output=self._index, offset_bytes=begin, data=piece))

    async def finish(self, store: StoreLink | None, lineage: Lineage) -> None:
        """Keep the text in the store when there is one, and say that it is complete."""
        said = self._separator.join(self._parts)
        data = (said if self._result.text is None else self._result.text).encode()
        if self._result.text not in (None, said):
            await self._send(data)
        finished = transform_pb2.OutputFinished(
            output=self._index,
            digest=digest_bytes(data),
            size_bytes=len(data),
            language=self._result.language,
            confidence=self._result.confidence,
        )
        if self._completion is not None:
            finished.completion.CopyFrom(completion_message(self._completion))
        finished.stored = bool(data) and await _keep(data, store, lineage) is not None
        await self._emit(finished)


def _segment(event: Segment, index: int) -> transform_pb2.Segment:
    return transform_pb2.Segment(
        output=index,
        start=to_duration(event.start),
        end=to_duration(event.end),
        text=event.text,
        confidence=event.confidence,
        words=[
            transform_pb2.Word(
                start=to_duration(word.start), end=to_duration(word.end), text=word.text, confidence=word.confidence
            )
            for word in event.words
        ],
    )


class MediaOutput:
    """One media output of a call: sent in chunks, or only put into the store.

    Args:
        index: which output it is, from 0.
        workdir: the call's own folder.
        emit: takes what the caller is told.
        base: the video that it was made of, for models that make videos of videos.
    """

    def __init__(
        self,
        media: Media,
        index: int,
        workdir: Path,
        emit: Callable[[Any], Awaitable[None]],
        base: MediaInput | None = None,
    ) -> None:
        self._base = base
        self._media = media
        self._index = index
        self._emit = emit
        self._file = media.source if isinstance(media.source, Path) else workdir / f"output-{index}"
        self._is_ours = self._file.is_relative_to(workdir)  # it goes with the call

    async def send(self, store: StoreLink | None, lineage: Callable[[], Lineage]) -> None:
        """Send it in chunks, keep it in the store when there is one, and say that it is complete."""
        await self._start()
        offset = 0
        async with aclosing(_pieces(self._media, self._file)) as pieces:
            async for piece in pieces:
                await self._emit(transform_pb2.OutputChunk(output=self._index, offset_bytes=offset, data=piece))
                offset += len(piece)
        self._check(offset)
        kept = await _keep(
            self._file, store, lineage(), give=self._is_ours
        )  # inputs that are kept have a digest by now
        await self._finish(kept or await asyncio.to_thread(digest_file, self._file), stored=kept is not None)

    async def store(self, store: StoreLink, lineage: Callable[[], Lineage]) -> None:
        """Put it into the store, and say that it is complete: the caller gets the digest alone.

        Raises:
            StoreUnavailable, QuotaExceeded, DiskFull: the store cannot take it.
        """
        await self._start()
        if not isinstance(self._media.source, Path):
            async with aclosing(_pieces(self._media, self._file)) as pieces:
                async for _ in pieces:
                    pass
        self._check(self._file.stat().st_size)
        kept = await store.client.put(self._file, lineage=lineage(), give=self._is_ours)
        await self._finish(kept.digest, stored=True)

    async def _start(self) -> None:
        media = self._media
        await self._emit(transform_pb2.OutputStarted(output=self._index, name=media.name, media_type=media.media_type))

    def _check(self, size: int) -> None:
        if not size:
            raise BackendFailed(f"output {self._media.name!r} came out empty", metadata={"phase": "running"})

    async def _finish(self, digest: str, *, stored: bool) -> None:
        media = self._media
        info = media.info or await probe(self._file)
        composition = media.composition or await composition_of(info, self._base)
        finished = transform_pb2.OutputFinished(
            output=self._index,
            size_bytes=self._file.stat().st_size,
            digest=digest,
            stored=stored,
            media_info=info_to_proto(info),
        )
        if composition is not None:
            finished.video_composition.CopyFrom(_composition(composition))
        if media.generated is not None:
            finished.generated_media.CopyFrom(generated_message(media.generated))
        await self._emit(finished)


async def _keep(made: Path | bytes, store: StoreLink | None, lineage: Lineage, *, give: bool = False) -> str | None:
    """Put an output into the store and give its digest. The caller has the bytes: a full store fails no call."""
    if store is None or not store.there:
        return None
    try:
        stored = await store.client.put(made, lineage=lineage, give=give)
    except (ExhaustedError, UnavailableError) as error:
        log.warning("an output could not be stored", extra={"reason": error.reason})
        return None
    return stored.digest


async def _pieces(media: Media, file: Path) -> AsyncGenerator[bytes]:
    """Give the output in chunks of at most CHUNK_BYTES; what is being made is written to `file` on the way."""
    if isinstance(media.source, Path):
        with file.open("rb") as source:
            while piece := await asyncio.to_thread(source.read, CHUNK_BYTES):
                yield piece
        return
    with file.open("wb") as copy:
        try:
            async for made in media.source:
                await asyncio.to_thread(copy.write, made)
                for begin in range(0, len(made), CHUNK_BYTES):
                    yield made[begin : begin + CHUNK_BYTES]
        finally:
            close: Any = getattr(media.source, "aclose", None)
            if close is not None:  # a generator: the engine behind it ends now, not some time later
                await close()


def _composition(facts: Composition) -> options_pb2.VideoComposition:
    overlays = [
        options_pb2.PlacedOverlay(
            index=one.index,
            start_time=to_duration(one.start),
            duration=to_duration(one.duration),
            x=one.x,
            y=one.y,
            final_size=_resolution(one.size),
        )
        for one in facts.overlays
    ]
    return options_pb2.VideoComposition(
        duration=to_duration(facts.duration),
        resolution=_resolution(facts.resolution),
        aspect_ratio=facts.aspect_ratio,
        frame_rate=facts.frame_rate,
        base_video_info=options_pb2.BaseVideoInfo(
            duration=to_duration(facts.base_duration), resolution=_resolution(facts.base_resolution)
        ),
        overlay_info=options_pb2.OverlayInfo(count=len(overlays), overlays=overlays),
    )


def _resolution(size: Resolution) -> options_pb2.Resolution:
    return options_pb2.Resolution(width=size.width, height=size.height)
