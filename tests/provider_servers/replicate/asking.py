"""Replicate's provider before its stand-in, and calls of it as the runner of jobs makes them."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

from automarket.v1 import model_service_pb2 as pb
from automarket.v1 import transform_pb2
from provider_servers.replicate import ReplicateProvider
from provider_servers.replicate.settings import ReplicateSettings
from provider_servers.runtime.remote import Waits
from provider_servers.runtime.testing import serving
from tests.vendors.http import FakeServer
from tests.vendors.replicate import Replicate
from tests.vendors.said import KEY

QUICK = Waits(first=0.02, longest=0.05, patience=0.6, late=0.3, retry=0.01, longest_retry=0.05, cancel=2.0)
KEEP, LOSE = transform_pb2.LOSS_ACTION_KEEP, transform_pb2.LOSS_ACTION_CANCEL
CONTINUE, CANCEL = transform_pb2.RESUME_ACTION_CONTINUE, transform_pb2.RESUME_ACTION_CANCEL


class Shop:
    """A provider that is served, the stand-in behind it, and that stand-in's server."""

    def __init__(self, fake, server, served):
        self.fake = fake
        self.server = server
        self.served = served

    @property
    def provider(self):
        return self.served.provider


def settings(url, **more):
    return ReplicateSettings(api_key=KEY, base_url=url, **more)


@contextlib.asynccontextmanager
async def shopping(fake=None, *registries, waits=QUICK, **more):
    fake = fake or Replicate(starting=0.03, processing=0.06)
    server = FakeServer(fake.handle)
    async with server.serving():
        provider = ReplicateProvider(settings(server.url, **more), waits)
        async with serving(provider, *registries) as served:
            yield Shop(fake, server, served)


class Call:
    """One call, made as often as its caller comes back: it remembers the last checkpoint and confirms each."""

    def __init__(self, shop, model, inputs=(), **options):
        self.shop = shop
        self.model = model
        self.inputs = dict(inputs) if inputs else {"text": b"a red kite"}
        self.options = options
        self.request_id = str(uuid.uuid4())
        self.state = b""
        self.events = []

    def first(self, on_loss=KEEP, action=None):
        request = pb.TransformRequest()
        request.target.model, request.target.provider = self.model, self.shop.provider.id
        header = request.header
        header.request_id, header.on_loss = self.request_id, on_loss
        header.model_options.update(self.options)
        for slot, data in self.inputs.items():
            header.inputs.add(slot=slot, **({"inline": data} if len(data) <= 65536 else {}))
            if len(data) > 65536:
                header.inputs[-1].stream.SetInParent()
        if action is not None:
            header.resume.state, header.resume.action = self.state, action
        return request

    async def run(self, on_loss=KEEP, action=None, until=None):
        """Call to the end, or until an event fits; give the events of this call."""
        line = asyncio.Queue()
        for number, data in enumerate(self.inputs.values()):
            for begin in range(0, len(data) if len(data) > 65536 else 0, 65536):
                piece, last = data[begin : begin + 65536], begin + 65536 >= len(data)
                chunk = transform_pb2.InputChunk(input=number, offset_bytes=begin, data=piece, last=last)
                line.put_nowait(pb.TransformRequest(chunk=chunk))

        async def said():
            while True:
                yield await line.get()

        seen = []
        async with contextlib.aclosing(self.shop.served.stream(self.first(on_loss, action), said())) as events:
            async for event in events:
                seen.append(event)
                self.events.append(event)
                if event.HasField("checkpoint"):
                    self.state = event.checkpoint.state
                    if until is not None and until(event):
                        break
                    if on_loss == KEEP:
                        stored = pb.CheckpointStored(sequence=event.sequence)
                        line.put_nowait(pb.TransformRequest(checkpoint_stored=stored))
                elif until is not None and until(event):
                    break
        return seen


def submitting(event):
    return event.HasField("checkpoint") and b'"submitting"' in event.checkpoint.state


def submitted(event):
    return event.HasField("checkpoint") and b'"submitted"' in event.checkpoint.state


def progressing(phase):
    return lambda event: event.HasField("progress") and event.progress.phase == phase


def text_of(events):
    return "".join(token for event in events for token in event.text_delta.tokens)


def outputs_of(events):
    return [event.output_finished for event in events if event.HasField("output_finished")]


def bytes_of(events, output=0):
    return b"".join(event.output_chunk.data for event in events if event.output_chunk.output == output)
