"""Puts the events of a transform together: its outputs as assets, and the report of how it went."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.assets import Asset, AssetLoader, Text
from automarket.assets.media import Media
from automarket.assets.roles import Role
from automarket.client import events as e
from automarket.client.answers import Answer
from automarket.client.made import media_metadata, text_metadata
from automarket.client.results import Output, Report
from automarket.client.spool import Spool
from automarket.errors import InternalFault

if TYPE_CHECKING:
    from pathlib import Path

    from automarket.client.descriptors import ModelInfo
    from automarket.client.stored_body import StoredOutputs
    from automarket.errors import AutoMarketError


@dataclass(slots=True)
class _Pending:
    name: str
    media_type: str
    spool: Spool = field(default_factory=Spool)
    tokens: list[str] = field(default_factory=list[str])
    segments: list[str] = field(default_factory=list[str])
    answer: Answer = field(default_factory=Answer)
    finished: e.OutputFinished | None = None


class Collector:
    """Takes the events of one transform in order."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self.trace_id = ""
        self.error: AutoMarketError | None = None
        self._pending: dict[int, _Pending] = {}
        self._uploads: list[e.Uploaded] = []
        self._casts: tuple[e.CastMade, ...] = ()
        self._accepted: e.Accepted | None = None
        self._usage: list[e.Usage] = []
        self._finished: e.Finished | None = None

    async def take(self, event: e.Event) -> None:
        """Take the next event."""
        match event:
            case e.OutputStarted():
                self._pending[event.output] = _Pending(event.name, event.media_type)
            case e.OutputChunk():
                await self._output(event.output).spool.write(event.offset_bytes, event.data)
            case e.TextDelta():
                self._output(event.output).tokens += event.tokens
            case e.ReasoningDelta():
                self._output(event.output).answer.think(event)
            case e.ToolCallDelta():
                self._output(event.output).answer.call(event)
            case e.Segment():
                self._output(event.output).segments.append(event.text)
            case e.OutputFinished():
                self._output(event.output).finished = event
            case _:
                self._take_fact(event)

    def _take_fact(self, event: e.Event) -> None:
        match event:
            case e.Uploaded():
                self._uploads.append(event)
            case e.Accepted():
                self._accepted, self._casts = event, event.casts
                self._usage.clear()  # a job that was begun anew tells it again
            case e.Usage():
                self._usage.append(event)
            case e.Finished():
                self._finished = event
            case _:
                pass

    def _output(self, number: int) -> _Pending:
        if number not in self._pending:
            self._pending[number] = _Pending("", "")
        return self._pending[number]

    @property
    def is_finished(self) -> bool:
        """Whether the transform said that it succeeded."""
        return self._finished is not None

    def check_finished(self) -> None:
        """Check that the transform said that it succeeded.

        Raises:
            InternalFault: the call ended without.
        """
        if not self.is_finished:
            raise InternalFault("the provider ended the call without saying that it finished")

    def report(self) -> Report:
        """Say how it went so far."""
        return Report(
            request_id=self._request_id,
            trace_id=self.trace_id,
            uploads=tuple(self._uploads),
            accepted=self._accepted,
            casts=self._casts,
            usage=tuple(self._usage),
            stages=self._finished.stages if self._finished else (),
            outputs=tuple(one.finished for one in self._pending.values() if one.finished),
        )

    async def outputs(self, model: ModelInfo, stored: StoredOutputs) -> list[Output]:
        """Give the outputs as assets, in order; those that were not sent are read from the store when they are used."""
        return [await self._make(model, number, stored) for number in sorted(self._pending)]

    async def _make(self, model: ModelInfo, number: int, stored: StoredOutputs) -> Output:
        pending = self._pending[number]
        finished = pending.finished
        role = _role(model, number, pending.name)
        if role != Role.TEXT and finished and finished.stored and not pending.spool.size_bytes:
            return self._output_of(pending, await stored.load(finished, role))
        content = pending.spool.finish(finished.digest if finished and pending.spool.size_bytes else "")
        if role == Role.TEXT or (role is None and not pending.spool.size_bytes):
            text = content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)
            return Output(pending.name, self._text(pending, text.decode()), finished)
        if not pending.spool.size_bytes:
            raise InternalFault(f"the provider's output {pending.name!r} is empty")
        asset = await asyncio.to_thread(_load, content, role)
        pending.spool.keep_file_for(asset.body)
        return self._output_of(pending, asset)

    def _output_of(self, pending: _Pending, asset: Asset) -> Output:
        if isinstance(asset, Media):
            asset.metadata = media_metadata(self._request_id, self._accepted, self._usage, pending.finished)
        return Output(pending.name, asset, pending.finished)

    def text_so_far(self) -> Text:
        """Give the first output that is text, as far as it has come."""
        written = (one for one in self._pending.values() if one.tokens or one.segments)
        return self._text(next(written, None) or next(iter(self._pending.values()), _Pending("", "")), "")

    def answer_so_far(self) -> Answer:
        """Give reasoning and tool calls of the first output that has any, as far as they have come."""
        answers = [one.answer for one in self._pending.values()]
        return next((one for one in answers if one.reasoning or one.tool_calls), Answer())

    def _text(self, pending: _Pending, sent: str) -> Text:
        """Give a text output: what was sent as bytes, or said as tokens, or heard in segments."""
        finished = pending.finished
        return Text.from_string(
            sent or "".join(pending.tokens) or " ".join(pending.segments),
            language=finished.language if finished else None,
            confidence=finished.confidence if finished else None,
            metadata=text_metadata(
                self._request_id,
                self._accepted,
                self._usage,
                finished,
                pending.answer,
                partial=not self.is_finished,
            ),
        )


def _role(model: ModelInfo, number: int, name: str) -> Role | None:
    """Give the role of an output: by its name, else by its place; the last one stands for all that follow."""
    named = {output.name: output.role for output in model.outputs}
    if name in named or not model.outputs:
        return named.get(name)
    return model.outputs[min(number, len(model.outputs) - 1)].role


def _load(content: bytes | Path, role: Role | None) -> Asset:
    if isinstance(content, bytes):
        return AssetLoader.from_bytes(content, as_=role)
    return AssetLoader.from_file(content, as_=role)
