"""A vendor whose every answer a test decides, and a provider that runs on it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from dataclasses import replace

import aiohttp

from automarket.errors import BackendFailed
from automarket.v1 import model_service_pb2 as pb
from automarket.v1 import transform_pb2
from provider_servers.runtime import Model, Output, Role, Slot, TextDelta, Usage
from provider_servers.runtime.remote import (
    Cancel,
    Desk,
    Downloads,
    Phase,
    RemoteJob,
    Result,
    Status,
    Unanswered,
    Waits,
    follow,
)
from provider_servers.runtime.testing import serving
from tests.provider_servers.runtime.toys import Toy

QUICK = Waits(first=0.01, longest=0.04, patience=0.5, late=0.3, retry=0.01, cancel=1.0)
MODEL = Model(
    "paint",
    ("text-to-image",),
    (Slot("text", Role.TEXT),),
    (Output("image", Role.IMAGE, ("image/png",)),),
    long_running=True,
    resumable=True,
)
LOST = Unanswered(BackendFailed("the connection broke"), reached=True)
NOT_MADE = Unanswered(BackendFailed("nothing listens"), reached=False)
KEEP = transform_pb2.LOSS_ACTION_KEEP
CONTINUE, CANCEL = transform_pb2.RESUME_ACTION_CONTINUE, transform_pb2.RESUME_ACTION_CANCEL


class Vendor:
    """What happens to work: tests put answers and exceptions into the queues; the last one of each is repeated.

    Attributes:
        submitted: the ledger: what was taken, and paid for.
    """

    def __init__(self, result: Result | None = None) -> None:
        self.submits = deque([{"id": "w1"}])
        self.statuses = deque([Status(Phase.QUEUED, 1), Status(Phase.RUNNING), Status(Phase.DONE)])
        self.results = deque([result or Result(spoken=(TextDelta(("a kite",)),))])
        self.cancels = deque([Cancel.TAKEN])
        self.lookups = deque([None])
        self.stream = None
        self.submitted = []
        self.called = []
        self.gate: asyncio.Event | None = None
        self.submit_gate: asyncio.Event | None = None

    def next(self, what):
        queue = getattr(self, what)
        self.called.append(what)
        answer = queue.popleft() if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Job(RemoteJob):
    def __init__(self, vendor, call):
        self.vendor = vendor
        self.call = call

    async def prepare(self):
        self.text = await self.call.input("text").text()

    def remembered(self):
        return {"text": self.text}

    async def submit(self):
        if self.vendor.submit_gate is not None:
            await self.vendor.submit_gate.wait()
        ticket = self.vendor.next("submits")
        self.vendor.submitted.append(self.text)
        return ticket

    def watch(self, ticket):
        return None if self.vendor.stream is None else self.vendor.stream(ticket)

    async def status(self, ticket):
        assert ticket["id"].startswith("w")
        status = self.vendor.next("statuses")
        if self.vendor.gate is not None and status.phase is not Phase.QUEUED:
            await self.vendor.gate.wait()
        return status

    async def result(self, ticket):
        return self.vendor.next("results")

    async def cancel(self, ticket):
        return self.vendor.next("cancels")

    async def lookup(self, state):
        assert state.remembered == {"text": "a kite"}
        return self.vendor.next("lookups")

    def usage(self, result, outputs):
        return (Usage("image", 0, len(outputs) or 1, cost=0.25, currency="USD"),)


class Shop(Toy):
    """A provider on a scripted vendor."""

    id = "shop"
    max_concurrent_calls = 4

    def __init__(self, vendor, model=MODEL, waits=QUICK, trusted=()):
        super().__init__(None, model)
        self.vendor = vendor
        self.waits = waits
        self.trusted = trusted

    async def open(self):
        self.http = aiohttp.ClientSession()
        downloads = Downloads("Scripted", lambda _: self.http, self.trusted, replace(self.waits, retry=0.01))
        self.desk = Desk("Scripted", downloads, self.waits)

    async def close(self):
        await self.desk.close()
        await self.http.close()

    async def transform(self, call):
        async with contextlib.aclosing(follow(call, Job(self.vendor, call), self.desk)) as events:
            async for event in events:
                yield event


class Runner:
    """Calls as the runner of jobs does: confirms every checkpoint, and remembers the last."""

    def __init__(self, served, request_id=""):
        self.served = served
        self.request_id = request_id
        self.state = b""
        self.events = []

    def first(self, on_loss=KEEP, action=None, text=b"a kite"):
        request = pb.TransformRequest()
        request.target.model = self.served.provider.models()[0].id
        header = request.header
        self.request_id = self.request_id or str(uuid.uuid4())
        header.request_id = self.request_id
        header.on_loss = on_loss
        header.inputs.add(inline=text)
        if action is not None:
            header.resume.state = self.state
            header.resume.action = action
        return request

    async def run(self, on_loss=KEEP, action=None, until=None, text=b"a kite"):
        """Call to the end, or until an event fits; give the events of this call."""
        line = asyncio.Queue()

        async def said():
            while True:
                yield await line.get()

        seen = []
        stream = self.served.stream(self.first(on_loss, action, text), said())
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                seen.append(event)
                self.events.append(event)
                if event.HasField("checkpoint"):
                    self.state = event.checkpoint.state
                    if on_loss == KEEP:
                        line.put_nowait(
                            pb.TransformRequest(checkpoint_stored=pb.CheckpointStored(sequence=event.sequence))
                        )
                if until is not None and until(event):
                    break
        return seen


@contextlib.asynccontextmanager
async def shopping(vendor=None, **options):
    vendor = vendor or Vendor()
    async with serving(Shop(vendor, **options)) as served:
        yield vendor, served
