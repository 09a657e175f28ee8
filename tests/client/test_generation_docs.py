"""What the page of pictures, video, music and sound shows works as it stands there, and its tables are true."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

from provider_servers.runtime.testing import serving
from tests.client.conftest import ROOT, until_complete
from tests.provider_servers.elevenlabs.conftest import speaking
from tests.support.painter import Painter
from tests.support.require import require
from tests.vendors.elevenlabs import RACHEL, ElevenLabs
from tests.vendors.said import KEY
from tools.generation_tables import PAGE, table

PROVIDERS = ROOT / "docs" / "providers.md"
TABLE = re.compile(r"<!-- table (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)


class Named(Painter):
    """The painter under the names of the page."""

    id = "fal"
    name = "fal"

    def models(self):
        named = {"brush": "fal-ai/flux/dev", "stir": "fal-ai/framepack"}
        return tuple(replace(one, id=named[one.id], aliases=(one.id,)) for one in super().models() if one.id in named)


async def ran(number, gateway, folder):
    """Run an example of the page in a folder."""
    environment = {**os.environ, "AUTOMARKET_ADDRESS": gateway.address, "PYTHONPATH": str(ROOT)}
    example = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]
    command = [sys.executable, "-c", example]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


async def test_the_example_of_voices_runs(gateway, media, tmp_path, monkeypatch):
    require("ffmpeg", "flite")
    monkeypatch.setenv("AUTOMARKET_ELEVENLABS_API_KEY", KEY)
    shutil.copy(media.speech_wav(), tmp_path / "one.wav")
    shutil.copy(media.talk_mp4(), tmp_path / "two.mp4")
    async with speaking(ElevenLabs(), gateway.control) as (_, fake, _):
        fake.voices["v1"] = {**fake.voices[RACHEL], "voice_id": "v1", "name": "Alma", "description": "warm, german"}
        await until_complete(gateway.address, {"elevenlabs"})
        done = await ran(1, gateway, tmp_path)
    assert done.stdout.startswith("v1 Alma")
    assert (tmp_path / "hello.mp3").stat().st_size > 1000
    assert len(fake.removed) == 1


async def test_the_example_of_the_page_runs(gateway):
    require("ffmpeg")
    async with serving(Named(), gateway.control):
        await until_complete(gateway.address, {"fal"})
        done = await ran(0, gateway, ROOT)
    assert "7 Resolution(width=320, height=180) 0.02 USD False" in done.stdout
    assert "queued 2 None" in done.stdout
    assert "running None 0.5 loading weights step 1/2" in done.stdout


def test_the_tables_of_the_page_are_what_the_code_says():
    tables = TABLE.findall(PAGE.read_text())
    assert len(tables) >= 14
    for name, written in tables:
        assert written == table(name), f"{name}: write it anew with python -m tools.generation_tables"


def test_the_vendors_options_of_the_providers_page_are_said_as_it_shows():
    from provider_servers.runtime import VendorOptions

    blocks = re.findall(r"```python\n(.*?)```", PROVIDERS.read_text(), re.DOTALL)
    code = next(one for one in blocks if "VENDOR =" in one)
    shown: dict = {"VendorOptions": VendorOptions}
    exec(code, shown)
    vendor = shown["VENDOR"]
    assert set(vendor.schemas) == {"num_frames", "aspect_ratio", "guidance_scale", "fps", "video_length"}
    assert vendor.to_vendor({"video_length": 2, "aspect_ratio": "9:16"}) == {"num_frames": 60, "aspect_ratio": "9x16"}
