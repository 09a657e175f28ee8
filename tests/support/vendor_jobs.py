"""Jobs at vendors: a mesh of processes with the real providers, and stand-ins whose work can be held at any stage."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import struct
import uuid
import zlib
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from automarket.client.assets import AssetClient
from automarket.rpc.channel import open_channel
from automarket.v1 import job_service_pb2 as pb
from tests.support.jobs_mesh import processes_of_a_mesh
from tests.vendors.http import Reply
from tests.vendors.made import SHELF
from tests.vendors.running import Running, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.jobs_mesh import JobsMesh, Services
    from tests.vendors.http import Request

STAGES = ("uploading", "submitted", "queued", "running", "downloading", "storing")
LATE_SECONDS = 1.5
"""How long an answer is held back: whoever lives on gets it then."""
STORE_SECONDS = 0.5
"""How long a download waits, so that the store can be stopped before there is something to store."""
_END_BYTES = 12  # of the chunk that ends a PNG


@dataclass(frozen=True, slots=True)
class Vendor:
    """What is asked of a vendor, and where its API shows how far it is.

    Attributes:
        model: a model that takes media which have to be uploaded.
        slots: what goes into its slots: "image" or "speech".
        options: options of the call.
        states: what the stand-in's `stays` is for "queued" and "running".
        uploads: where an upload begins: method and a part of the path.
        downloads: a part of the path of what was made.
        finds: a submit whose answer was lost can be looked up.
        cancels: it has a cancel.
    """

    model: str
    slots: Mapping[str, str]
    options: Mapping[str, Any]
    states: tuple[str, str]
    uploads: tuple[str, str]
    downloads: str
    finds: bool = True
    cancels: bool = True


VENDORS = {
    "fal": Vendor(
        "fal-ai/framepack",
        {"image": "image"},
        {"prompt": "the kite flies"},
        ("IN_QUEUE", "IN_PROGRESS"),
        ("POST", "/storage/"),
        "/made/",
    ),
    "replicate": Vendor(
        "nightmareai/real-esrgan",
        {"image": "image"},
        {"scale": 2.0},
        ("starting", "processing"),
        ("POST", "/v1/files"),
        "/delivery/",
    ),
    "creatify": Vendor(
        "aurora-v1",
        {"image": "image", "speech": "speech"},
        {"prompt": "she smiles"},
        ("in_queue", "running"),
        ("PUT", "/bucket/"),
        "/media/",
        cancels=False,
    ),
}


def picture() -> bytes:
    """Give a picture that nobody has seen before, too large to travel within a request."""
    noise = "nullsrc=size=320x180,geq=random(1)*255:128:128"
    made = SHELF.ffmpeg("noise.png", "-f", "lavfi", "-i", noise, "-frames:v", "1").read_bytes()
    comment = b"tEXtComment\0" + uuid.uuid4().bytes.hex().encode()
    chunk = struct.pack(">I", len(comment) - 4) + comment + struct.pack(">I", zlib.crc32(comment))
    return made[:-_END_BYTES] + chunk + made[-_END_BYTES:]


@dataclass
class Held:
    """A stand-in for a vendor that can be held at a stage.

    Attributes:
        hold: the stage, empty when nothing is held.
        reached: what came there: paths, or numbers where paths are alike.
    """

    running: Running
    vendor: Vendor
    hold: str = ""
    reached: set[str] = field(default_factory=set)
    _inner: Any = field(init=False)

    def __post_init__(self) -> None:
        self._inner = self.running.server._handle
        self.running.server._handle = self._handle

    @property
    def fake(self) -> Any:
        return self.running.fake

    def hold_at(self, stage: str) -> None:
        self.hold, self.reached = stage, set()
        queued, running = self.vendor.states
        self.fake.stays = {"submitted": queued, "queued": queued, "running": running}.get(stage, "")

    def release(self) -> None:
        self.hold, self.fake.stays = "", ""

    def _handle(self, request: Request) -> Reply:
        method, path = self.vendor.uploads
        if self.hold == "uploading" and request.method == method and path in request.path:
            self.reached.add(request.sha256 or str(len(self.reached)))
            return Reply(503, b"not now", late=LATE_SECONDS)
        before = len(self.fake.submits)
        reply = self._inner(request)
        if self.hold == "submitted" and len(self.fake.submits) > before:
            self.reached.add(self.fake.submits[-1])
            return replace(reply, late=LATE_SECONDS)
        if self.hold in ("queued", "running") and request.method == "GET" and reply.status < 300:
            self.reached |= {one for one in self.fake.submits if one in request.path}
        if self.hold in ("downloading", "storing") and self.vendor.downloads in request.path:
            self.reached.add(request.path)
            if self.hold == "downloading":
                return Reply(503, b"not now", late=LATE_SECONDS)
            return replace(reply, late=STORE_SECONDS)
        return reply

    async def until_reached(self, count: int, timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while len(self.reached) < count:  # noqa: ASYNC110 - the stand-in runs in another thread
                await asyncio.sleep(0.01)


class VendorJobs:
    """The mesh, its services, and the stand-ins."""

    def __init__(self, mesh: JobsMesh, services: Services, held: dict[str, Held], store: AssetClient) -> None:
        self.mesh = mesh
        self.services = services
        self.held = held
        self._store = store

    async def begin(self, name: str, **options: Any) -> str:
        """Create a job at a vendor, like no other; give its id."""
        vendor = VENDORS[name]
        media = {"image": picture(), "speech": SHELF.speech_wav()}
        request = pb.CreateJobRequest()
        request.target.provider, request.target.model = name, vendor.model
        request.header.request_id = str(uuid.uuid4())
        for slot, kind in vendor.slots.items():
            request.header.inputs.add(slot=slot, digest=(await self._store.put(media[kind])).digest)
        request.header.model_options.update({**vendor.options, **options})
        return (await self.services.create(request)).id

    def paid(self) -> dict[str, int]:
        """Give how many submits each vendor has been paid for."""
        return {name: len(held.fake.submits) for name, held in self.held.items()}

    def hold_at(self, stage: str) -> None:
        for held in self.held.values():
            held.hold_at(stage)

    def release(self) -> None:
        for held in self.held.values():
            held.release()

    def pause_store(self) -> None:
        """Stop the asset store where it is: who stores something waits."""
        self.mesh.running["store"].send_signal(signal.SIGSTOP)

    def go_on_store(self) -> None:
        self.mesh.running["store"].send_signal(signal.SIGCONT)


@asynccontextmanager
async def vendor_jobs(*names: str):
    """Run a mesh with these vendors' providers and stand-ins."""
    with contextlib.ExitStack() as ends:
        held = {name: Held(ends.enter_context(closing(Running(name))), VENDORS[name]) for name in names}
        variables: dict[str, str] = {}
        for name, one in held.items():
            variables |= environment(name, one.running.url)
        providers = {name: ("provider_servers.runtime", name) for name in names}
        async with processes_of_a_mesh(variables, providers) as (mesh, services):
            for name in names:
                await services.until_ready(name)
            async with open_channel(f"unix:{mesh.folder}/store") as channel:
                yield VendorJobs(mesh, services, held, AssetClient(channel))
