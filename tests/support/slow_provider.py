"""A provider of the slow vendor: it submits once, and goes on with what was submitted.

It finds the vendor at the address in the environment variable SLOW_VENDOR.
"""

from __future__ import annotations

import asyncio
import json
import os

import aiohttp

from automarket.assets.roles import Role
from automarket.errors import JobCancelled, JobCancelledLocally, OutcomeUnknown, RateLimited, VendorFailing
from provider_servers.runtime import Kind, Media, Model, Output, Pricing, Progress, Provider, Slot, Usage
from provider_servers.runtime.call import ResumeAction
from provider_servers.runtime.events import Checkpoint

PRICE = 0.04
OPTIONS = {"steps": {"type": "integer", "minimum": 1, "maximum": 50}, "count": {"type": "integer", "default": 1}}


def _model(name: str, *, resumable: bool) -> Model:
    return Model(
        name,
        capabilities=("text-to-image",),
        inputs=(Slot("text", Role.TEXT),),
        outputs=(Output("image", Role.IMAGE, ("image/png",)),),
        options=OPTIONS,
        pricing=Pricing("image", output_cost=PRICE),
        long_running=True,
        resumable=resumable,
    )


class SlowProvider(Provider):
    """Pictures that take their time."""

    id = "slow"
    name = "Slow"
    kind = Kind.REMOTE
    max_concurrent_calls = int(os.environ.get("SLOW_PARALLEL", "2"))

    def __init__(self, vendor: str = "") -> None:
        self._vendor = vendor or os.environ["SLOW_VENDOR"]

    def models(self):
        return (_model("painter", resumable=True), _model("sketcher", resumable=False))

    async def open(self):
        self._http = aiohttp.ClientSession(self._vendor)

    async def close(self):
        await self._http.close()

    async def transform(self, call):
        if call.model.id == "sketcher":
            async for event in self._sketch(call):
                yield event
            return
        order = None
        if call.resume is not None:
            order = await self._known(call)
        if order is None:
            await self._gate("before-checkpoint", call)
            yield Checkpoint(json.dumps({"key": call.request_id}).encode())
            await self._gate("before-submit", call)
            order, refused = await self._submit(call)
            if refused is not None:
                yield Checkpoint(b"")
                raise refused
            yield Checkpoint(json.dumps({"key": call.request_id, "id": order}).encode())
        async for event in self._until_done(order):
            yield event
        async for event in self._outcome(call, order):
            yield event

    async def _sketch(self, call):
        await self._gate("before-submit", call)
        yield Progress("running")
        order, refused = await self._submit(call)
        if refused is not None:
            raise refused
        async for event in self._until_done(order):
            yield event
        async for event in self._outcome(call, order):
            yield event

    async def _known(self, call):
        """Give what the vendor calls the order; None for one that never got there."""
        state = json.loads(call.resume.state)
        order = state.get("id")
        if order is None:
            async with self._http.get("/orders", params={"key": state["key"]}) as answer:
                if answer.status == 405:
                    raise OutcomeUnknown("the vendor cannot say whether it took the request")
                order = (await answer.json())["id"] if answer.status == 200 else None
        if call.resume.action == ResumeAction.CANCEL:
            await self._cancel(order)
        return order

    async def _cancel(self, order):
        if order is None:
            raise JobCancelled("nothing had got to the vendor")
        async with self._http.post(f"/orders/{order}/cancel") as answer:
            if answer.status == 200:
                raise JobCancelled("the vendor has cancelled it")
            if answer.status == 405:
                raise JobCancelledLocally("the vendor has no cancel; the charge stands")

    async def _submit(self, call):
        async with self._http.post("/orders", json={"key": call.request_id}) as answer:
            if answer.status == 429:
                return None, RateLimited("too many", retry_after=0.1)
            if answer.status >= 500:
                return None, VendorFailing(f"the vendor answered {answer.status}")
            return (await answer.json())["id"], None

    async def _until_done(self, order):
        told = None
        while True:
            async with self._http.get(f"/orders/{order}") as answer:
                state = await answer.json()
            if state["state"] == "cancelled":
                raise JobCancelled("the vendor has cancelled it")
            if state["state"] == "done":
                return
            position = state.get("position") if state["state"] == "queued" else None
            if state != told:
                told = state
                yield Progress("running", message=state["state"], queue_position=position)
            await asyncio.sleep(0.05)

    async def _outcome(self, call, order):
        path = call.workdir / "picture.png"
        async with self._http.get(f"/orders/{order}/result") as answer:
            with path.open("wb") as file:
                async for piece in answer.content.iter_any():
                    file.write(piece)
        yield Usage("image", output_units=1)
        yield Media("image", "image/png", path)
        await self._gate("stored", call)

    async def _gate(self, stage, call):
        async with self._http.get(f"/gate/{stage}", params={"key": call.request_id}):
            pass


if __name__ == "__main__":
    from provider_servers.runtime.serve import serve
    from provider_servers.runtime.settings import ProviderServerSettings

    settings = ProviderServerSettings(_cli_parse_args=True)
    raise SystemExit(serve(SlowProvider(), settings))
