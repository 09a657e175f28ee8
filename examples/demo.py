"""Start a mesh, transcribe talk.mp4 while it is heard, speak a reply, and say which way everything went.

Run by `make demo`. The mesh keeps its assets in .cache/demo, so that a second run uploads and casts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import automarket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.client.descriptors import ProviderInfo

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = ROOT / ".cache" / "demo"
REPLY = ROOT / "reply.wav"
NEEDED = {"pocketsphinx", "flite"}
START_SECONDS = 60.0


def free_port() -> int:
    """Give a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def running_mesh() -> AsyncGenerator[automarket.Mesh]:
    """Run `automarket up` for the time of the block."""
    port = free_port()
    DATA.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "automarket", "up", "--port", str(port), "--data-dir", str(DATA)]
    with (DATA / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=subprocess.STDOUT)
    try:
        async with automarket.connect(f"127.0.0.1:{port}") as mesh:
            await wait_for(mesh, process)
            yield mesh
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def wait_for(mesh: automarket.Mesh, process: asyncio.subprocess.Process) -> None:
    """Wait until the providers that the demo needs are there; say what is wrong when they do not come."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        providers: list[ProviderInfo] = []
        with contextlib.suppress(automarket.AutoMarketError):
            providers = await mesh.providers()
        if {provider.id for provider in providers if provider.instances} >= NEEDED:
            return
        if process.returncode is not None or time.monotonic() > deadline:
            missing = [f"{one.id}: {one.availability.reason} ({one.availability.hint})" for one in providers]
            log = (DATA / "up.log").read_text(errors="replace")[-2000:]
            sys.exit("the mesh did not start\n" + "\n".join(missing) + f"\n{log}")
        await asyncio.sleep(0.2)


async def transcribe(mesh: automarket.Mesh) -> automarket.Text:
    """Transcribe the talk, printing every segment as it comes."""
    print(f"Transcribing {HERE.name}/talk.mp4 (a synthetic talk; its text is in talk.txt)\n")
    model = await mesh.provider("pocketsphinx").speech_to_text("en-us")
    stream = model.stream(HERE / "talk.mp4")
    async for event in stream:
        if isinstance(event, automarket.events.Segment):
            print(f"  {event.start:5.1f} s  {event.text}", flush=True)
    text = await stream.result()
    print_route(stream.report)
    return text


def print_route(report: automarket.Report) -> None:
    """Say where the bytes went and how long each part took."""
    print("\nThe route")
    for upload in report.uploads:
        how = f"{upload.sent_bytes:,} bytes sent" if upload.sent_bytes else "nothing sent: the store has it already"
        if upload.by_file_bytes:
            how = "handed over by file"
        print(f"  upload    {upload.digest[:19]}...  {upload.size_bytes:,} bytes, {how}")
    for cast in report.casts:
        how = "nothing cast: made before" if cast.cached else f"made in {cast.elapsed:.2f} s"
        role = cast.spec.role if cast.spec else "another form"
        print(f"  cast      to {role}: {cast.digest[:19]}...  {how}")
    if report.accepted is not None:
        print(f"  provider  {report.accepted.provider_id}, model {report.accepted.model_id}")
    times = ", ".join(f"{stage.stage} {stage.elapsed:.2f} s" for stage in report.stages)
    print(f"  time      {times}")


def word_error_rate(reference: str, heard: str) -> float:
    """Give the share of words that are wrong: insertions, deletions and replacements over the reference's words."""
    wanted, got = (re.findall(r"[a-z']+", text.lower()) for text in (reference, heard))
    row = list(range(len(got) + 1))
    for number, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(got, 1):
            best = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
            diagonal, row[column] = row[column], best
    return row[-1] / len(wanted)


async def main() -> int:
    """Run the demo."""
    print("Starting a mesh ...", flush=True)
    async with running_mesh() as mesh:
        text = await transcribe(mesh)
        errors = word_error_rate((HERE / "talk.txt").read_text(encoding="utf-8"), text.content)
        print(f"  words     {errors:.1%} wrong, against the text beside the clip")
        words = len(text.content.split())
        reply = await mesh.transform(f"I have heard {words} words. Thank you.", capability="text-to-speech")
        reply.save(REPLY)
        print(f"\nSpoke a reply of {reply.duration or 0:.1f} s: {os.path.relpath(REPLY)}")
    return 0 if errors < 0.1 else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
