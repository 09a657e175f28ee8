"""A provider whose every move a test decides, and what calls it: `provider_servers.runtime ...bench:Bench`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from pathlib import Path
from typing import ClassVar

from automarket.errors import MediaInvalid
from automarket.rpc.streams import BidiCall
from automarket.v1 import model_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.runtime import (
    AudioFormat,
    Media,
    Model,
    Output,
    Progress,
    Provider,
    Role,
    Segment,
    ServiceState,
    ServiceStatus,
    Slot,
    Started,
    TextDelta,
)
from provider_servers.runtime.sound_format import SOUND_FORMAT_SCHEMA

ROOT = Path(__file__).resolve().parents[3]
TEXT_OUT = (Output("text", Role.TEXT, ("text/plain",)),)
NUMBER = {"type": "integer", "minimum": -9, "maximum": 2**60}


class Bench(Provider):
    """Does what the option `do` says, and answers with its options or with what it was given."""

    id = "bench"
    name = "bench"
    aliases = ("workbench",)
    max_concurrent_calls = 2
    max_queued_calls = 3
    settings_schema: ClassVar = {
        "api_key": {"type": "string", "minLength": 8, "writeOnly": True},
        "size": {"type": "integer", "minimum": 1},
    }

    def __init__(self):
        self.gate = asyncio.Event()
        self.order = []
        self.settings = {}
        self.state = ServiceState.STOPPED

    def models(self):
        return (
            Model(
                "say",
                ("text-to-text",),
                (Slot("text", Role.TEXT, max_characters=200_000),),
                TEXT_OUT,
                options={
                    "do": {"type": "string", "default": ""},
                    "number": {**NUMBER, "default": 3},
                    "temperature": {"type": "number"},
                    "parts": {"type": "array", "items": {"type": "object", "properties": {"size": NUMBER}}},
                },
                aliases=("talk",),
            ),
            Model(
                "tone",
                ("text-to-speech",),
                (Slot("text", Role.TEXT),),
                (Output("audio", Role.SPEECH, ("audio/wav",)),),
                options={
                    "speed": {"type": "number", "minimum": 0.25, "maximum": 4, "default": 1},
                    "format": SOUND_FORMAT_SCHEMA,
                    "breath": {"type": "boolean", "default": False},
                },
            ),
            Model(
                "hear",
                ("speech-to-text",),
                (Slot("audio", Role.SPEECH, audio=AudioFormat("wav", 16_000, 1)),),
                TEXT_OUT,
            ),
        )

    async def transform(self, call):
        if call.model.id == "tone":
            self.order.append(call.options)
            text = await call.input("text").text()
            yield Media("audio", "audio/wav", _spoken(text))
            return
        if call.model.id == "hear":
            path = await call.input("audio").path()
            yield Segment(0, 1, json.dumps(_facts(call.input("audio"), path)))
            return
        do = call.options["do"]
        if do == "answer early":
            yield TextDelta(("early",))
            return
        text = await call.input("text").text()
        self.order.append(text)
        if do == "wait":
            yield Started()
            await self.gate.wait()
        elif do == "wait in silence":
            await self.gate.wait()
        elif do == "nap":
            yield Progress("running", 0.5)
            await asyncio.sleep(1)
        elif do == "log":
            for number in range(300):
                call.log(f"line {number} " + "x" * 5000)
        elif do == "break":
            raise MediaInvalid("it is broken", log_lines=("the engine said no",))
        elif do == "bug":
            raise RuntimeError(text)
        elif do == "nothing":
            return
        elif do == "file":
            path = await call.input("text").path()
            yield TextDelta((json.dumps(_facts(call.input("text"), path)),))
            return
        yield TextDelta((json.dumps(call.options),))

    def configure(self, settings):
        self.settings |= settings

    async def start_service(self):
        yield ServiceStatus(ServiceState.STARTING, running=True, healthy=False, fraction=0.5, message="half way")
        if self.settings.get("size") == 13:
            yield ServiceStatus(
                ServiceState.FAILED, running=False, healthy=False, error="13 is too many", hint="take 12"
            )
            return
        self.state = ServiceState.READY
        yield await self.service_status()

    async def stop_service(self):
        self.state = ServiceState.STOPPED
        return await self.service_status()

    async def service_status(self, log_lines=0):
        ready = self.state == ServiceState.READY
        return ServiceStatus(self.state, running=ready, healthy=ready)


class Unfit(Bench):
    """Describes itself so that no registry takes it."""

    id = "Not An Id"


def _facts(given, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"digest": given.digest, "path": str(path), "content": f"sha256:{digest}", "size": path.stat().st_size}


async def _spoken(text):
    samples = (text.encode() * 4000)[:8000]
    yield (
        b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        + (1).to_bytes(2, "little") * 2 + (8000).to_bytes(4, "little") + (16000).to_bytes(4, "little")
        + (2).to_bytes(2, "little") + (16).to_bytes(2, "little") + b"data" + len(samples).to_bytes(4, "little")
    )  # fmt: skip
    yield samples


def first(text: str | bytes = "hello", model: str = "say", *, digest: str = "", store: bool | None = None, **options):
    """Make a first message with one input: inline, by digest, or as chunks when it is bytes."""
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()), store=store)
    header.model_options.update(options)
    if digest:
        header.inputs.add(digest=digest)
    elif isinstance(text, bytes):
        header.inputs.add().stream.SetInParent()
    else:
        header.inputs.add(inline=text.encode())
    return pb.TransformRequest(target=model_pb2.Target(model=model), header=header)


async def call(channel, request, chunks=None, *, metadata=(), timeout=30):
    """Make one call; give its events. Raises AutoMarketError."""
    made = ModelServiceStub(channel).Transform(metadata=metadata, timeout=timeout)
    async with BidiCall(made, request, chunks) as stream:
        return [response.event async for response in stream.responses()]


def said(events) -> str:
    """Give the text of a call."""
    return "".join(
        event.segment.text + "".join(event.text_delta.tokens)
        for event in events
        if event.WhichOneof("event") in ("segment", "text_delta")
    )


def told(events):
    """Give the text of a call, which is JSON."""
    return json.loads(said(events))


def kinds(events) -> list[str]:
    return [event.WhichOneof("event") for event in events]
