"""A provider server on the contract alone, without the provider runtime: it does what each test asks for."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from dataclasses import dataclass, field

from google.protobuf import struct_pb2

from automarket.errors import ModelUnknown, ProviderBusy, RequestUnknown, SettingUnknown
from automarket.families import FAMILIES
from automarket.rpc.channel import open_channel
from automarket.v1 import (
    capability_pb2,
    endpoint_pb2,
    generation_options_pb2,
    media_pb2,
    media_provider_service_pb2,
    model_pb2,
    model_service_pb2,
    options_pb2,
    registry_service_pb2,
    transform_pb2,
)
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceServicer
from automarket.v1.model_service_pb2_grpc import ModelServiceServicer
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub

WORDS = ("the quick", "brown fox", "jumps")
ROLES = {name: media_pb2.Role.Value(f"ROLE_{name.upper()}") for name in ("text", "audio", "speech", "image", "video")}


def struct(value: dict) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(value)
    return message


def slot(name: str, role: str, **more: bool) -> model_pb2.InputSlot:
    return model_pb2.InputSlot(name=name, role=ROLES[role], **more)


def model(name: str, capability: str, slots: list, output: str, options: list[str]) -> model_pb2.Model:
    number = capability_pb2.Capability.Value(f"CAPABILITY_{capability.upper().replace('-', '_')}")
    properties = {option: {} for option in [*options, "fault"]}
    return model_pb2.Model(
        id=name,
        name=name.title(),
        provider_id="toy",
        capabilities=[model_pb2.CapabilityRef(capability=number, name=capability)],
        inputs=slots,
        outputs=[model_pb2.OutputType(name=output, role=ROLES[output], streamed=True)],
        options_schema=struct({"type": "object", "properties": properties, "additionalProperties": False}),
        availability=model_pb2.Availability(available=True),
        limits=model_pb2.ModelLimits(max_queued_calls=4),
    )


MODELS = [
    model("words", "speech-to-text", [slot("speech", "speech")], "text", ["language", "word_timestamps"]),
    model("echo", "text-to-text", [slot("text", "text", repeated=True)], "text", ["suffix"]),
    model(
        "say",
        "text-to-speech",
        [slot("text", "text"), slot("voice", "speech", optional=True)],
        "speech",
        ["voice", "speed", "format"],
    ),
    model("frames", "video-to-image", [slot("video", "video")], "image", ["times", "interval", "count", "format"]),
    model(
        "compose",
        "video-composition",
        [slot("video", "video"), slot("overlays", "image", repeated=True)],
        "video",
        ["overlays"],
    ),
]


def generator(capability: str, slots: list, output: str) -> model_pb2.Model:
    """Give a model that makes media and takes every option of its family."""
    fields = transform_pb2.TransformHeader.DESCRIPTOR.fields_by_name
    return model(capability, capability, slots, output, list(fields[FAMILIES[capability]].message_type.fields_by_name))


def sample(name: str, role: str) -> model_pb2.InputSlot:
    return slot(name, role, optional=True)


TEXT, IMAGE, VIDEO = slot("text", "text"), slot("image", "image"), slot("video", "video")
GENERATORS = [
    generator("text-to-image", [TEXT], "image"),
    generator("image-to-image", [slot("image", "image", repeated=True)], "image"),
    generator("image-upscale", [IMAGE], "image"),
    generator("image-to-text", [IMAGE], "text"),
    generator("text-to-video", [TEXT], "video"),
    generator("image-to-video", [IMAGE, sample("end_image", "image")], "video"),
    generator("video-to-video", [VIDEO], "video"),
    generator("video-upscale", [VIDEO], "video"),
    generator("face-swap", [VIDEO, slot("face", "image")], "video"),
    generator("lip-sync", [VIDEO, slot("speech", "speech")], "video"),
    generator("avatar-generation", [sample("text", "text"), sample("speech", "speech")], "video"),
    generator("text-to-audio", [TEXT], "audio"),
    generator("text-to-music", [TEXT], "audio"),
    generator("text-to-sound", [TEXT], "audio"),
    generator("voice-cloning", [TEXT, slot("voice", "speech")], "speech"),
]
"""What the toy does besides, for tests that say so."""


@dataclass
class SeenCall:
    """What the provider saw of one call."""

    target: model_pb2.Target
    header: transform_pb2.TransformHeader
    metadata: dict[str, str]
    seconds_left: float | None
    inputs: dict[int, bytes] = field(default_factory=dict)
    last: dict[int, transform_pb2.InputChunk] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def texts(self) -> list[str]:
        return [one.inline.decode() for one in self.header.inputs if one.WhichOneof("source") == "inline"]


class ToyModels(ModelServiceServicer):
    """`results` are the bytes that a media model gives out, by model id."""

    def __init__(self) -> None:
        self.calls: list[SeenCall] = []
        self._more = asyncio.Event()
        self.results: dict[str, list[tuple[str, bytes]]] = {}

    async def call(self, number: int) -> SeenCall:
        """Wait for a call, counted from 0."""
        while len(self.calls) <= number:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)
        return self.calls[number]

    async def GetModel(self, request, context):
        target = request.target
        for one in MODELS:
            name = one.capabilities[0].name
            if target.model in ("", one.id) and target.capability_name in ("", name):
                return model_service_pb2.GetModelResponse(model=one)
        raise ModelUnknown(f"no model is called {target.model!r}", hint="automarket models")

    async def Transform(self, requests, context):
        first = await anext(requests)
        seen = SeenCall(first.target, first.header, dict(context.invocation_metadata()), context.time_remaining())
        self.calls.append(seen)
        self._more.set()
        await context.send_initial_metadata(())
        try:
            async for request in requests:
                chunk = request.chunk
                seen.inputs[chunk.input] = seen.inputs.get(chunk.input, b"") + chunk.data
                if chunk.last:
                    seen.last[chunk.input] = chunk
            number = 0
            async for event in self._events(seen):
                number += 1
                event.sequence = number
                yield model_service_pb2.TransformResponse(event=event)
        finally:
            seen.ended.set()

    async def _events(self, seen):
        event = transform_pb2.TransformEvent
        fault = seen.header.model_options.fields["fault"].string_value
        if fault == "busy":
            raise ProviderBusy("the queue is full", hint="wait a little", retry_after=3.0)
        accepted = transform_pb2.Accepted(provider_id="toy", instance_id="toy-1", model_id=seen.target.model or "echo")
        yield event(accepted=accepted)
        yield event(progress=transform_pb2.Progress(phase="running", fraction=0.5, message="half way"))
        if fault == "hang":
            await asyncio.sleep(60)
        name = seen.target.model or next(
            one.id for one in MODELS if one.capabilities[0].name == seen.target.capability_name
        )
        told = {"words": self._words, "echo": self._echo, "image-to-text": self._echo}
        make = told.get(name, self._media)
        if name in FAMILIES:
            for progress in WAITING:
                yield event(progress=progress)
        async for one in make(seen, name):
            if fault == "wrong digest" and one.WhichOneof("event") == "output_finished":
                one.output_finished.digest = "sha256:" + "0" * 64
            yield one
        yield event(usage=transform_pb2.Usage(unit="call", input_units=1, cost=0.25, currency="USD"))
        if fault == "lost":
            raise asyncio.CancelledError
        if fault != "no finish":
            stage = transform_pb2.StageTiming(stage="running")
            stage.elapsed.FromMilliseconds(1500)
            yield event(finished=transform_pb2.Finished(stages=[stage]))

    async def _words(self, seen, name):
        event = transform_pb2.TransformEvent
        yield event(output_started=transform_pb2.OutputStarted(name="text", media_type="text/plain"))
        for index, words in enumerate(WORDS):
            segment = transform_pb2.Segment(text=words, confidence=0.5)
            segment.start.FromSeconds(index)
            segment.end.FromSeconds(index + 1)
            yield event(segment=segment)
        text = " ".join(WORDS).encode()
        yield event(
            output_finished=transform_pb2.OutputFinished(
                digest=f"sha256:{hashlib.sha256(text).hexdigest()}", size_bytes=len(text), language="en", confidence=0.9
            )
        )

    async def _echo(self, seen, name):
        event = transform_pb2.TransformEvent
        text = " ".join([*seen.texts(), *(data.decode() for data in seen.inputs.values())])
        text += seen.header.model_options.fields["suffix"].string_value
        yield event(output_started=transform_pb2.OutputStarted(name="text", media_type="text/plain"))
        for word in text.split(" "):
            yield event(text_delta=transform_pb2.TextDelta(tokens=[word[:1], word[1:] + " "]))
        yield event(output_finished=transform_pb2.OutputFinished())

    async def _media(self, seen, name):
        event = transform_pb2.TransformEvent
        for output, (media_type, data) in enumerate(self.results[name]):
            output_name = next(one.outputs[0].name for one in MODELS if one.id == name)
            yield event(
                output_started=transform_pb2.OutputStarted(output=output, name=output_name, media_type=media_type)
            )
            for start in range(0, len(data), 256 * 1024):
                piece = data[start : start + 256 * 1024]
                yield event(output_chunk=transform_pb2.OutputChunk(output=output, offset_bytes=start, data=piece))
            finished = transform_pb2.OutputFinished(
                output=output, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size_bytes=len(data)
            )
            if name in ("compose", "video-to-video"):
                finished.video_composition.CopyFrom(composition())
            if name in FAMILIES:
                finished.media_info.CopyFrom(facts_of(output_name))
                finished.generated_media.CopyFrom(GENERATED)
            yield event(output_finished=finished)


WAITING = (
    transform_pb2.Progress(phase="queued", message="queued, 2 ahead", queue_position=2),
    transform_pb2.Progress(phase="queued", message="queued, next", queue_position=0),
    transform_pb2.Progress(phase="running", fraction=0.25, log_lines=["loading weights", "step 1/4"]),
)
GENERATED = generation_options_pb2.GeneratedMedia(
    seed=7, flagged=False, safety_flags=["mild"], revised_prompt="a very red kite", vendor_request_id="req-1"
)


def facts_of(output: str) -> media_pb2.MediaInfo:
    """Give the facts that the toy tells of what it made."""
    info = media_pb2.MediaInfo(format="png" if output == "image" else "mp4")
    if output != "image":
        info.duration.FromMilliseconds(2500)
    if output in ("image", "video"):
        rate = 25.0 if output == "video" else 0.0
        info.video.CopyFrom(media_pb2.VideoInfo(codec="h264", width=640, height=360, frame_rate=rate))
    return info


def composition() -> options_pb2.VideoComposition:
    facts = options_pb2.VideoComposition(
        resolution=options_pb2.Resolution(width=320, height=180), aspect_ratio="16:9", frame_rate=25
    )
    facts.duration.FromSeconds(2)
    facts.base_video_info.resolution.CopyFrom(facts.resolution)
    facts.base_video_info.duration.FromSeconds(2)
    placed = facts.overlay_info.overlays.add(x=10, y=20, final_size=options_pb2.Resolution(width=32, height=18))
    placed.start_time.FromMilliseconds(500)
    placed.duration.FromMilliseconds(1500)
    facts.overlay_info.count = 1
    return facts


class ToyProvider(MediaProviderServiceServicer):
    def __init__(self) -> None:
        self.settings: dict[str, object] = {}

    async def GetProvider(self, request, context):
        return media_provider_service_pb2.GetProviderResponse(provider=description())

    async def Configure(self, request, context):
        if unknown := set(request.settings.keys()) - {"api_key"}:
            raise SettingUnknown(f"there is no setting {unknown.pop()!r}", hint="it has: api_key")
        self.settings.update(request.settings)
        return media_provider_service_pb2.ConfigureResponse(changed=["api_key"], instance_count=1)

    async def StartService(self, request, context):
        for state, running in (("PULLING", False), ("STARTING", True), ("READY", True)):
            yield media_provider_service_pb2.StartServiceResponse(instance_id="toy-1", status=status(state, running))

    async def StopService(self, request, context):
        return media_provider_service_pb2.StopServiceResponse(status=status("STOPPED", running=False))

    async def GetServiceStatus(self, request, context):
        return media_provider_service_pb2.GetServiceStatusResponse(status=status("READY", running=True))

    async def GetDiagnostics(self, request, context):
        raise RequestUnknown(f"nothing is known of {request.request_id}")


def status(state: str, running: bool) -> media_provider_service_pb2.ServiceStatus:
    number = media_provider_service_pb2.ServiceState.Value(f"SERVICE_STATE_{state}")
    return media_provider_service_pb2.ServiceStatus(state=number, running=running, healthy=state == "READY")


def description() -> model_pb2.Provider:
    return model_pb2.Provider(
        id="toy",
        aliases=["plaything"],
        name="Toy",
        description="Does what a test asks for.",
        version="1",
        kind=model_pb2.PROVIDER_KIND_LOCAL,
        availability=model_pb2.Availability(available=True),
        capabilities=[one.capabilities[0] for one in MODELS],
        settings_schema=struct({"type": "object", "properties": {"api_key": {"type": "string", "writeOnly": True}}}),
    )


async def stay_registered(registry: str, address: str, ready: asyncio.Event) -> None:
    """Register the toy with control and stay, until cancelled."""
    registration = registry_service_pb2.Registration(
        instance_id=f"toy-{uuid.uuid4().hex[:6]}",
        generation=int(time.time() * 1000),
        endpoints=[endpoint_pb2.Endpoint(scope=endpoint_pb2.ENDPOINT_SCOPE_UNIX, address=address)],
        provider=description(),
        models=MODELS,
    )
    async with open_channel(registry) as channel:
        call = RegistryServiceStub(channel).Register()
        await call.write(registry_service_pb2.RegisterRequest(registration=registration))
        await call.read()
        ready.set()
        await asyncio.Event().wait()
