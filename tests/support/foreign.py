"""Programs that nobody here wrote: started beside the event loop, and bodies that they can send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.v1 import model_pb2
from automarket.v1 import model_service_pb2 as pb
from tests.support.gateway import Processes, stock_channel, until_listening, until_raw_served, until_served
from tests.support.mesh import free_port
from tests.support.require import command

if TYPE_CHECKING:
    from pathlib import Path

DISCOVERY = "/automarket.v1.DiscoveryService/ListProviders"
GET_MODEL = "/automarket.v1.ModelService/GetModel"
GENERATE = "/automarket.v1.ModelService/Generate"
TRANSFORM = "/automarket.v1.ModelService/Transform"
GRPC_HEADERS = ("content-type: application/grpc", "te: trailers")
WORDS = pb.GetModelRequest(target=model_pb2.Target(model="words"))


@dataclass(frozen=True, slots=True)
class Output:
    """What a program said, and how it ended."""

    code: int
    out: str
    err: str


async def run(*arguments: object, timeout: float = 60) -> Output:
    """Run a program to its end."""
    done = await asyncio.to_thread(
        subprocess.run, [str(one) for one in arguments], capture_output=True, timeout=timeout, check=False
    )
    return Output(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def framed(*messages: bytes) -> bytes:
    """Make the body of a request as gRPC sends it."""
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)


def body(folder: Path, *messages: bytes) -> Path:
    """Write the body of a request to a file."""
    path = folder / f"body-{sum(map(len, messages))}-{len(messages)}"
    path.write_bytes(framed(*messages))
    return path


@contextlib.asynccontextmanager
async def one_peer(folder: Path, kind: str = "words"):
    """Run control, the public port on TCP and one provider as processes; give them."""
    mesh = Processes(folder, tcp=True)
    try:
        mesh.start_control(settle_seconds=0)
        mesh.start_gateway()
        mesh.start_peer("one") if kind == "words" else mesh.start_raw_peer("one")
        async with stock_channel(mesh.public) as channel:
            await (until_served(channel, model="words") if kind == "words" else until_raw_served(channel))
        yield mesh
    finally:
        mesh.close()


TYPES = "type.googleapis.com/envoy.extensions"
_OPTIONS = f"{TYPES}.upstreams.http.v3.HttpProtocolOptions"


def envoy_config(listen: int, upstream: str) -> dict[str, object]:
    """Make the configuration of an Envoy that passes gRPC on to one address, with all limits as they are by default."""
    host, _, port = upstream.rpartition(":")
    route = {"match": {"prefix": "/"}, "route": {"cluster": "mesh", "timeout": "0s", "max_stream_duration": {}}}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "calls",
        "codec_type": "HTTP2",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    listener = {
        "address": _socket("127.0.0.1", listen),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    cluster = {
        "name": "mesh",
        "type": "STATIC",
        "connect_timeout": "2s",
        "typed_extension_protocol_options": {
            _OPTIONS.partition("/")[2]: {"@type": _OPTIONS, "explicit_http_config": {"http2_protocol_options": {}}}
        },
        "load_assignment": {
            "cluster_name": "mesh",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _socket(host, int(port))}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}


@contextlib.asynccontextmanager
async def envoy_before(upstream: str, folder: Path):
    """Run Envoy before an address; give where it listens."""
    port = free_port()
    config = folder / "envoy.json"
    config.write_text(json.dumps(envoy_config(port, upstream)))
    arguments = ("-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    log = (folder / "envoy.log").open("wb")
    process = await asyncio.create_subprocess_exec(str(command("envoy")), *map(str, arguments), stdout=log, stderr=log)
    try:
        await until_listening(f"127.0.0.1:{port}", 20)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
        log.close()
