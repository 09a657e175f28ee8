"""Events from the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.chat.results import Completion, FinishReason
from automarket.client import events as e
from automarket.errors import CastInvalid
from automarket.media.wire import info_from_proto, spec_from_proto, to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from automarket.v1 import conversation_pb2, generation_options_pb2, media_pb2, options_pb2, transform_pb2


def event(message: transform_pb2.TransformEvent) -> e.Event | None:
    """Give an event; None for one of a kind that this client does not know."""
    kind = message.WhichOneof("event")
    read = _READERS.get(kind) if kind else None
    return read(getattr(message, kind), message.sequence) if read and kind else None


def _accepted(message: transform_pb2.Accepted, number: int) -> e.Accepted:
    casts = tuple(map(_cast, message.casts))
    return e.Accepted(message.provider_id, message.instance_id, message.model_id, casts, sequence=number)


def _output_started(message: transform_pb2.OutputStarted, number: int) -> e.OutputStarted:
    return e.OutputStarted(message.output, message.name, message.media_type, sequence=number)


def _output_chunk(message: transform_pb2.OutputChunk, number: int) -> e.OutputChunk:
    return e.OutputChunk(message.output, message.offset_bytes, message.data, sequence=number)


def _text_delta(message: transform_pb2.TextDelta, number: int) -> e.TextDelta:
    return e.TextDelta(message.output, tuple(message.tokens), sequence=number)


def _reasoning_delta(message: conversation_pb2.ReasoningDelta, number: int) -> e.ReasoningDelta:
    return e.ReasoningDelta(message.output, tuple(message.tokens), message.signature, sequence=number)


def _tool_call_delta(message: conversation_pb2.ToolCallDelta, number: int) -> e.ToolCallDelta:
    return e.ToolCallDelta(message.output, message.index, message.id, message.name, message.arguments, sequence=number)


def _completion(message: conversation_pb2.Completion) -> Completion:
    return Completion(
        FinishReason.from_number(message.finish_reason),
        message.vendor_finish_reason,
        message.served_model,
        message.vendor_request_id,
    )


def _checkpoint(message: transform_pb2.Checkpoint, number: int) -> e.Checkpoint:
    return e.Checkpoint(message.state, sequence=number)


def _finished(message: transform_pb2.Finished, number: int) -> e.Finished:
    stages = (e.StageTiming(stage.stage, to_seconds(stage.elapsed)) for stage in message.stages)
    return e.Finished(tuple(stages), sequence=number)


def _progress(message: transform_pb2.Progress, number: int) -> e.Progress:
    fraction = message.fraction if message.HasField("fraction") else None
    position = message.queue_position if message.HasField("queue_position") else None
    lines = tuple(message.log_lines)
    return e.Progress(message.phase, fraction, message.message, position, lines, sequence=number)


def _cast(message: media_pb2.CastRecord) -> e.CastMade:
    try:
        spec = spec_from_proto(message.spec)
    except CastInvalid:  # a newer server's kind of cast: what it cost is still worth telling
        spec = None
    elapsed = to_seconds(message.elapsed)
    return e.CastMade(message.slot, message.source_digest, message.digest, spec, message.cached, elapsed)


def _confidence(message: transform_pb2.Segment | transform_pb2.Word | transform_pb2.OutputFinished) -> float | None:
    return message.confidence if message.HasField("confidence") else None


def _segment(message: transform_pb2.Segment, number: int) -> e.Segment:
    words = (
        e.Word(to_seconds(word.start), to_seconds(word.end), word.text, _confidence(word)) for word in message.words
    )
    return e.Segment(
        message.output,
        to_seconds(message.start),
        to_seconds(message.end),
        message.text,
        _confidence(message),
        tuple(words),
        sequence=number,
    )


def _output_finished(message: transform_pb2.OutputFinished, number: int) -> e.OutputFinished:
    composed = message.HasField("video_composition")
    return e.OutputFinished(
        message.output,
        message.digest,
        message.size_bytes,
        info_from_proto(message.media_info) if message.HasField("media_info") else None,
        message.stored,
        message.language or None,
        _confidence(message),
        composition(message.video_composition) if composed else None,
        _completion(message.completion) if message.HasField("completion") else None,
        _generated(message.generated_media) if message.HasField("generated_media") else None,
        sequence=number,
    )


def _generated(message: generation_options_pb2.GeneratedMedia) -> e.Generated:
    return e.Generated(
        message.seed if message.HasField("seed") else None,
        message.flagged if message.HasField("flagged") else None,
        tuple(message.safety_flags),
        message.revised_prompt,
        message.vendor_request_id,
    )


def _usage(message: transform_pb2.Usage, number: int) -> e.Usage:
    return e.Usage(
        message.unit,
        message.input_units,
        message.output_units,
        message.cost if message.HasField("cost") else None,
        message.currency,
        message.cached_input_units if message.HasField("cached_input_units") else None,
        message.cache_write_units if message.HasField("cache_write_units") else None,
        message.reasoning_units if message.HasField("reasoning_units") else None,
        sequence=number,
    )


def composition(message: options_pb2.VideoComposition) -> dict[str, Any]:
    """Give the facts of a composition as the dictionary that `CompositionResult` documents."""
    base, overlays = message.base_video_info, message.overlay_info
    return {
        "duration": to_seconds(message.duration),
        "resolution": _size(message.resolution),
        "aspect_ratio": message.aspect_ratio,
        "framerate": message.frame_rate,
        "base_video_info": {"duration": to_seconds(base.duration), "resolution": _size(base.resolution)},
        "overlay_info": {"count": overlays.count, "overlays": [_overlay(one) for one in overlays.overlays]},
    }


def _overlay(message: options_pb2.PlacedOverlay) -> dict[str, Any]:
    return {
        "index": message.index,
        "start_time": to_seconds(message.start_time),
        "duration": to_seconds(message.duration),
        "position": {"x": message.x, "y": message.y},
        "final_size": _size(message.final_size),
    }


def _size(message: options_pb2.Resolution) -> dict[str, int]:
    return {"width": message.width, "height": message.height}


_READERS: dict[str, Callable[[Any, int], e.Event]] = {
    "accepted": _accepted,
    "progress": _progress,
    "output_started": _output_started,
    "output_chunk": _output_chunk,
    "text_delta": _text_delta,
    "reasoning_delta": _reasoning_delta,
    "tool_call_delta": _tool_call_delta,
    "segment": _segment,
    "output_finished": _output_finished,
    "usage": _usage,
    "checkpoint": _checkpoint,
    "finished": _finished,
}
