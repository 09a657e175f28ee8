"""fal.ai's provider on its stand-in, and calls of it as the runner of jobs makes them."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import dataclass, field

from automarket.v1 import model_service_pb2 as pb
from automarket.v1 import transform_pb2
from provider_servers.fal import FalProvider
from provider_servers.fal.settings import FalSettings
from provider_servers.runtime.testing import chunk, serving
from tests.vendors.fal import Fal
from tests.vendors.http import FakeServer
from tests.vendors.made import made
from tests.vendors.said import KEY

KEEP, LOSE = transform_pb2.LOSS_ACTION_KEEP, transform_pb2.LOSS_ACTION_CANCEL
CONTINUE, CANCEL = transform_pb2.RESUME_ACTION_CONTINUE, transform_pb2.RESUME_ACTION_CANCEL
DEV, FRAMES, SWAP = "fal-ai/flux/dev", "fal-ai/framepack", "half-moon-ai/ai-face-swap/faceswapvideo"
INLINE, PIECE = 60_000, 256 * 1024
SAMPLES = {
    "text": lambda: b"a red kite",
    "image": lambda: made("png"),
    "end_image": lambda: made("png", 1),
    "face": lambda: made("jpg", 2),
    "video": lambda: made("mp4"),
    "speech": lambda: made("wav"),
    "audio": lambda: made("mp3"),
}
"""Something for each slot."""


def settings(url, **more):
    usual = {"api_key": KEY, "poll_seconds": 0.03, "longest_poll_seconds": 0.1}
    return FalSettings(base_url=url, rest_url=url, platform_url=f"{url}/v1", **(usual | more))


@dataclass
class Shop:
    """The stand-in, the provider that is served, and its requests."""

    fake: Fal
    server: FakeServer
    served: object
    provider: FalProvider

    def call(self, model, **options):
        return Asked(self, model, options=options)


@dataclass
class Asked:
    """One call, which may be lost and go on; `state` is its last checkpoint, `events` are those of all its parts."""

    shop: Shop
    model: str
    inputs: dict[str, bytes] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: bytes = b""
    events: list = field(default_factory=list)

    def of(self, *slots, **given):
        """Give inputs: usual ones for slots, or bytes by slot."""
        self.inputs |= {slot: SAMPLES[slot]() for slot in slots} | given
        return self

    def first(self, on_loss=KEEP, action=None, store=None):
        request = pb.TransformRequest()
        request.target.model = self.model
        header = request.header
        header.request_id, header.on_loss = self.request_id, on_loss
        header.model_options.update(self.options)
        for slot, data in self.inputs.items():
            one = header.inputs.add(slot=slot.partition("#")[0])
            if len(data) <= INLINE:
                one.inline = data
            else:
                one.stream.SetInParent()
        if action is not None:
            header.resume.state, header.resume.action = self.state, action
        return request

    async def run(self, on_loss=KEEP, action=None, until=None):
        """Call to the end, or until an event fits; give the events of this call."""
        confirmed, seen = asyncio.Queue(), []

        async def said():
            for number, data in enumerate(self.inputs.values()):
                for begin in range(0, len(data), PIECE) if len(data) > INLINE else ():
                    yield chunk(data[begin : begin + PIECE], number, begin, last=begin + PIECE >= len(data))
            while True:
                yield await confirmed.get()

        stream = self.shop.served.stream(self.first(on_loss, action), said())
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                seen.append(event)
                self.events.append(event)
                if event.HasField("checkpoint"):
                    self.state = event.checkpoint.state
                    if on_loss == KEEP:
                        stored = pb.CheckpointStored(sequence=event.sequence)
                        confirmed.put_nowait(pb.TransformRequest(checkpoint_stored=stored))
                if until is not None and until(event):
                    break
        return seen


def finished(events):
    return [event.output_finished for event in events if event.HasField("output_finished")]


def data_of(events, output=0):
    return b"".join(
        e.output_chunk.data for e in events if e.HasField("output_chunk") and e.output_chunk.output == output
    )


def told(events):
    return [event.progress for event in events if event.HasField("progress")]


def submitted(event):
    return event.HasField("checkpoint") and b'"stage":"submitted"' in event.checkpoint.state


@contextlib.asynccontextmanager
async def shopping(fake=None, **more):
    fake = fake or Fal()
    server = FakeServer(fake.handle)
    async with server.serving():
        provider = FalProvider(settings(server.url, **more))
        async with serving(provider) as served:
            yield Shop(fake, server, served, provider)
