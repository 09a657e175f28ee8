"""The whole path on real media, as a user runs it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import automarket
from automarket.assets import AssetLoader
from tests.support.collector import collecting
from tests.support.cutting_proxy import CuttingProxy
from tests.support.mesh import mesh_running
from tests.support.require import require
from tests.support.words import word_error_rate

ROOT = Path(__file__).resolve().parent.parent.parent
TALK = ROOT / "examples" / "talk.mp4"
WORDS = (ROOT / "examples" / "talk.txt").read_text()
MIB = 1024 * 1024


async def test_a_film_becomes_words_and_the_second_time_nothing_is_sent_or_cast(short_dir):
    require("ffmpeg", "pocketsphinx")
    async with mesh_running(short_dir, "pocketsphinx") as running, automarket.connect(running.address) as mesh:
        stt = await mesh.provider("pocketsphinx").speech_to_text("en-us")
        first = stt.stream(AssetLoader.load(TALK))
        segments = [event.text async for event in first if isinstance(event, automarket.events.Segment)]
        text = await first.result()
        assert text.content == " ".join(segments)
        assert len(segments) > 5
        assert word_error_rate(WORDS, text.content) < 0.10
        assert [upload.sent_bytes for upload in first.report.uploads] == [TALK.stat().st_size]
        assert [cast.cached for cast in first.report.casts] == [False]

        second = stt.stream(AssetLoader.load(TALK))
        again = await second.result()
        assert again.content == text.content
        assert [upload.sent_bytes for upload in second.report.uploads] == [0]
        assert [cast.cached for cast in second.report.casts] == [True]


async def test_every_provider_works_through_the_mesh(short_dir, media):
    require("ffmpeg", "flite", "pocketsphinx")
    async with mesh_running(short_dir) as running, automarket.connect(running.address) as mesh:
        speech = await mesh.transform("one two three four five", capability="text-to-speech")
        assert speech.can_play(automarket.Role.SPEECH)
        heard = await mesh.transform(speech, capability="speech-to-text")
        assert word_error_rate("one two three four five", heard.content) <= 0.4

        sound = await mesh.transform(media.talk_mp4(), capability="video-to-audio")
        assert sound.media_info.audio is not None
        assert sound.media_info.video is None

        pictures = await mesh.transform(media.talk_mp4(), capability="video-to-image", count=3)
        assert len(pictures) == 3

        result = await mesh.transform(
            media.talk_mp4(), media.picture_png(), capability="video-composition", overlays=[{"position": "top-right"}]
        )
        assert result.facts["overlay_info"]["count"] == 1
        assert result.facts["duration"] > 0
        assert result.video.can_play(automarket.Role.VIDEO)


async def test_the_command_line_transcribes(short_dir):
    require("ffmpeg", "pocketsphinx")
    async with mesh_running(short_dir, "pocketsphinx") as running:
        done = running.cli("transform", str(TALK), "--capability", "speech-to-text", "--json", "-o", "-")
        assert done.returncode == 0, done.stderr
        plain = running.cli("transform", str(TALK), "--capability", "speech-to-text")
        assert word_error_rate(WORDS, plain.stdout) < 0.10


async def test_a_node_client_made_from_the_protos_prints_the_same_words(short_dir):
    require("node", "ffmpeg", "pocketsphinx")
    folder = ROOT / "tests" / "clients" / "node"
    assert (folder / "node_modules").is_dir(), "run `make setup`: the Node client's packages are not installed"
    async with mesh_running(short_dir, "pocketsphinx") as running, automarket.connect(running.address) as mesh:
        text = await mesh.transform(TALK, capability="speech-to-text")
        command = ["node", str(folder / "client.mjs"), running.address, str(TALK)]
        done = await output_of(command)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "speech-to-text" in lines[0]
    words = " ".join(line.removeprefix("segment: ") for line in lines if line.startswith("segment: "))
    assert words == text.content
    assert lines[-1] == "finished"


async def test_buf_curl_lists_the_services_by_reflection(short_dir):
    buf = Path(sys.executable).with_name("buf")
    async with mesh_running(short_dir, "ffmpeg") as running:
        command = [str(buf), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods"]
        done = await output_of([*command, f"http://{running.address}"])
        assert done.returncode == 0, done.stderr
        for method in ("ModelService/Transform", "AssetService/Write", "DiscoveryService/Watch"):
            assert f"automarket.v1.{method}" in done.stdout
        call = [*command[:5], f"http://{running.address}/automarket.v1.DiscoveryService/ListProviders", "-d", "{}"]
        listed = await output_of(call)
        assert "ffmpeg" in {one["id"] for one in json.loads(listed.stdout)["providers"]}


async def output_of(command, environment=None) -> subprocess.CompletedProcess[str]:
    """Run a command beside the event loop."""
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


def make_file(path: Path, mebibytes: int) -> str:
    """Write a file of random-looking bytes; give its digest."""
    block = hashlib.shake_256(b"seed").digest(MIB)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(mebibytes):
            data = number.to_bytes(8, "big") + block[8:]
            file.write(data)
            digest.update(data)
    return f"sha256:{digest.hexdigest()}"


LARGE = pytest.mark.parametrize(
    "mebibytes", [256, pytest.param(2048, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)


@LARGE
async def test_a_large_file_goes_in_and_out_with_flat_memory_and_only_once(mebibytes, short_dir, tmp_path):
    size = mebibytes * MIB
    way, passed, returned = await in_and_out(mebibytes, short_dir, tmp_path, direct_above=None)
    assert way == (size, 0)
    assert size < passed < size * 1.01, "it was sent, and sent once"
    assert size < returned < size * 1.01


@LARGE
async def test_a_large_file_passes_by_file_where_the_store_is_with_flat_memory_and_only_once(
    mebibytes, short_dir, tmp_path
):
    way, passed, returned = await in_and_out(mebibytes, short_dir, tmp_path)
    assert way == (0, mebibytes * MIB)
    assert passed + returned < 100_000, "bytes crossed the gateway"


async def in_and_out(mebibytes, short_dir, folder, **settings):
    """Put a file into a mesh, get it back and put it again.

    Gives how many bytes were sent and handed over by file, and how many went to the gateway and came from it in all.
    """
    source, back = folder / "large", folder / "back"
    digest = make_file(source, mebibytes)
    async with mesh_running(short_dir, "ffmpeg") as running:
        proxy = CuttingProxy(running.address, 1 << 62)
        async with proxy.running() as address, automarket.connect(address, **settings) as mesh:
            up, down = [], []
            stored = await mesh.assets.put(source, progress=lambda *values: up.append(values))
            assert stored.digest == digest
            await mesh.assets.get(digest, back, progress=lambda *values: down.append(values))
            with back.open("rb") as file:
                assert f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest
            again = await mesh.assets.put(source)
            assert (again.digest, again.bytes_sent, again.bytes_by_file) == (digest, 0, 0), "the store had it"
        for told in (up, down):
            assert told == sorted(told)
            assert len(told) >= mebibytes / 8, "somebody who watches sees it move"
            assert told[-1] == (mebibytes * MIB, mebibytes * MIB)
        peaks = {name: running.peak_mebibytes("-m", name) for name in ("gateway.relay", "asset_store")}
        assert max(peaks.values()) < 150 * 1e6 / MIB, peaks
    source.unlink()
    back.unlink()
    return (stored.bytes_sent, stored.bytes_by_file), proxy.passed, proxy.returned


async def test_a_restart_of_a_process_is_counted(short_dir):
    async with collecting() as (collector, endpoint):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        async with mesh_running(short_dir, "ffmpeg", environment=environment) as running:
            assert "automarket.child.restarts" not in collector.metrics
            running.kill("provider_servers.runtime", "ffmpeg")
            for _ in range(200):
                if "automarket.child.restarts" in collector.metrics:
                    break
                await asyncio.sleep(0.05)
    assert "automarket.child.restarts" in collector.metrics


async def test_one_trace_runs_from_the_client_through_gateway_and_provider_to_the_cast(short_dir):
    require("ffmpeg", "pocketsphinx")
    script = (
        "import asyncio, sys, automarket\n"
        "from automarket.rpc import telemetry\n"
        "async def main():\n"
        "    async with automarket.connect() as mesh:\n"
        "        await mesh.transform(automarket.AssetLoader.load(sys.argv[1]), capability='speech-to-text')\n"
        "telemetry.configure('client')\n"
        "asyncio.run(main())\n"
        "telemetry.shutdown()\n"
    )
    async with collecting() as (collector, endpoint):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        async with mesh_running(short_dir, "pocketsphinx", environment=environment) as running:
            command = [sys.executable, "-c", script, str(TALK)]
            done = await output_of(command, running.environment)
            assert done.returncode == 0, done.stderr
    names = {span.name for span in collector.spans}
    [trace] = {span.trace_id for span in collector.spans if span.name == "automarket.transform"}
    services = {span.service for span in collector.spans if span.trace_id == trace}
    assert {"client", "gateway", "provider-pocketsphinx", "asset-store"} <= services, (services, names)
    assert any(span.trace_id == trace and span.name == "ffmpeg" for span in collector.spans), names
    assert "automarket.calls" in collector.metrics
