"""A mesh with jobs: asset store, control, public port and the slow provider as processes that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.v1 import discovery_service_pb2, model_service_pb2
from automarket.v1 import job_service_pb2 as pb
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.job_service_pb2_grpc import JobServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from automarket.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.support.slow_vendor import SlowVendor

if TYPE_CHECKING:
    import grpc.aio

ROOT = Path(__file__).resolve().parent.parent.parent

ENDED = (
    pb.JOB_STATE_DONE,
    pb.JOB_STATE_FAILED,
    pb.JOB_STATE_CANCELLED,
    pb.JOB_STATE_CANCELLED_LOCALLY,
)


def asking(text="a red kite", model="painter", request_id="", **fields) -> pb.CreateJobRequest:
    """Ask for a picture."""
    request = pb.CreateJobRequest(**fields)
    request.target.model = model
    request.target.provider = "slow"
    request.header.request_id = request_id or str(uuid.uuid4())
    request.header.inputs.add(slot="text", media_type="text/plain", inline=text.encode())
    return request


class JobsMesh:
    """The processes, and calls of the mesh over its public port.

    Args:
        folder: where all of it is kept.
        environment: variables of the processes.
        providers: modules that are provider servers, with the arguments that say which, by name of the process.
    """

    def __init__(self, folder: Path, environment: dict[str, str], providers: dict[str, tuple[str, ...]]) -> None:
        self.folder = folder
        self.control_address = f"unix:{folder}/control"
        self.public = f"unix:{folder}/public"
        self.environment = environment
        self.providers = providers
        self.vendor = SlowVendor()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def commands(self) -> dict[str, tuple[str, ...]]:
        """Give what each process runs."""
        store, routes = f"unix:{self.folder}/store", f"unix:{self.folder}/routes"
        found = {
            "store": ("asset_store", "--listen", store, "--data-dir", f"{self.folder}/assets"),
            "control": (
                *("gateway.control", "--listen", self.control_address, "--routes", routes, "--store", store),
                *("--content-directory", f"{self.folder}/assets/content", "--data-dir", f"{self.folder}/state"),
                *("--settle-seconds", "0"),
            ),
            "relay": ("gateway.relay", "--listen", self.public, "--routes", routes, "--drain-seconds", "0.1"),
        }
        for name, module in self.providers.items():
            registry = ("--registry", self.control_address, "--grace-seconds", "0.5")
            found[name] = (*module, "--listen", f"unix:{self.folder}/{name}.sock", *registry)
        return found

    def start(self, *names: str) -> None:
        """Start processes, the one that was killed before included."""
        commands = self.commands()
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AUTOMARKET_LOG_LEVEL": "warning",
            **self.environment,
        }
        for name in names or tuple(commands):
            with (self.folder / f"{name}.log").open("ab") as log:
                command = [sys.executable, "-P", "-m", *commands[name]]
                self.running[name] = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)

    def kill(self, *names: str) -> None:
        """SIGKILL processes."""
        for name in names:
            self.running[name].kill()
        for name in names:
            self.running.pop(name).wait(10)

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.running.values():
            process.wait(10)

    @asynccontextmanager
    async def connected(self):
        """Give the services of the mesh."""
        async with open_channel(self.public) as channel:
            yield Services(channel)


class Services:
    """Calls of a mesh, which raise what the mesh raises."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.jobs = JobServiceStub(channel)
        self.models = ModelServiceStub(channel)
        self.usage = UsageServiceStub(channel)
        self.discovery = DiscoveryServiceStub(channel)

    async def until_ready(self, provider: str = "slow", timeout: float = 30.0) -> None:
        """Wait until a provider takes calls."""
        request = discovery_service_pb2.ResolveRequest()
        request.target.provider = provider
        async with asyncio.timeout(timeout):
            while True:
                with contextlib.suppress(AutoMarketError), errors_mapped():
                    await self.discovery.Resolve(request)
                    return
                await asyncio.sleep(0.03)

    async def create(self, request: pb.CreateJobRequest) -> pb.Job:
        with errors_mapped():
            return (await self.jobs.CreateJob(request, timeout=20)).job

    async def get(self, job_id: str) -> pb.Job:
        with errors_mapped():
            return (await self.jobs.GetJob(pb.GetJobRequest(id=job_id), timeout=20)).job

    async def cancel(self, job_id: str) -> pb.Job:
        with errors_mapped():
            return (await self.jobs.CancelJob(pb.CancelJobRequest(id=job_id), timeout=30)).job

    async def retry(self, job_id: str, request_id: str = "") -> pb.Job:
        request = pb.RetryJobRequest(id=job_id, request_id=request_id or str(uuid.uuid4()))
        with errors_mapped():
            return (await self.jobs.RetryJob(request, timeout=20)).job

    async def watch(self, job_id: str, after: int = 0):
        with errors_mapped():
            async for response in self.jobs.WatchJob(pb.WatchJobRequest(id=job_id, after=after)):
                yield response

    async def events(self, job_id: str, after: int = 0) -> list:
        return [one.event async for one in self.watch(job_id, after) if one.HasField("event")]

    async def until_ended(self, job_id: str, timeout: float = 30.0) -> pb.Job:
        """Wait for a job's end, whatever happens to control meanwhile."""
        return await self.until(job_id, *ENDED, timeout=timeout)

    async def until(self, job_id: str, *states: int, timeout: float = 30.0) -> pb.Job:
        async with asyncio.timeout(timeout):
            while True:
                with contextlib.suppress(AutoMarketError):
                    job = await self.get(job_id)
                    if job.state in states:
                        return job
                await asyncio.sleep(0.03)

    async def generate(self, request: pb.CreateJobRequest, *metadata: tuple[str, str]) -> list:
        asked = model_service_pb2.GenerateRequest(target=request.target, header=request.header)
        with errors_mapped():
            return [response.event async for response in self.models.Generate(asked, metadata=metadata)]


@asynccontextmanager
async def processes_of_a_mesh(environment: dict[str, str], providers: dict[str, tuple[str, ...]]):
    """Run the processes of a mesh; give it with its services."""
    folder = Path(tempfile.mkdtemp(prefix="am-"))
    mesh = JobsMesh(folder, environment, providers)
    try:
        mesh.start()
        async with mesh.connected() as services:
            yield mesh, services
    finally:
        mesh.close()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def jobs_mesh(vendor: SlowVendor | None = None, **environment: str):
    """Run a mesh with the slow provider; give it, with its vendor, and its services."""
    async with (vendor or SlowVendor()).serving() as served:
        variables = {"SLOW_VENDOR": served.address, **environment}
        providers = {"provider": ("tests.support.slow_provider", "slow")}
        async with processes_of_a_mesh(variables, providers) as (mesh, services):
            mesh.vendor = served
            await services.until_ready()
            yield mesh, services
