"""What README and docs show works as it stands there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.support.mesh import mesh_running
from tests.support.require import require

ROOT = Path(__file__).resolve().parent.parent.parent


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


async def run(code, environment):
    command = [sys.executable, "-c", code]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


async def test_the_python_examples_of_the_readme_transcribe(short_dir):
    require("ffmpeg", "pocketsphinx")
    examples = blocks("README.md", "python")
    assert len(examples) == 2
    async with mesh_running(short_dir, "pocketsphinx") as running:
        for code in examples:
            done = await run(code, running.environment)
            assert done.returncode == 0, done.stderr
            assert "good morning" in done.stdout


async def test_the_javascript_example_of_the_readme_speaks(short_dir, tmp_path):
    require("node", "flite")
    [example] = blocks("README.md", "js")
    folder = ROOT / "tests" / "clients" / "node"
    before = (
        "import grpc from '@grpc/grpc-js'; import loader from '@grpc/proto-loader';"
        "import { randomUUID } from 'node:crypto'; import { createWriteStream } from 'node:fs';"
        f"const wav = createWriteStream('{tmp_path}/said.wav');"
    )
    async with mesh_running(short_dir, "flite") as running:
        code = example.replace("127.0.0.1:50051", running.address).replace('["proto"]', f'["{ROOT}/proto"]')
        script = folder / f"readme-{running.supervisor.pid}.mjs"
        script.write_text(f"{before}\n{code}\nwav.on('finish', () => process.exit(0));\n")
        try:
            command = ["node", str(script)]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
            )
        finally:
            script.unlink()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said.wav").read_bytes()[:4] == b"RIFF"


async def test_the_example_of_the_providers_page_is_a_provider(tmp_path, media):
    from provider_servers.runtime.testing import Sample, serving, succeeds

    code = blocks("docs/providers.md", "python")[0]
    (tmp_path / "dictate.py").write_text("from __future__ import annotations\n" + code)
    sys.path.insert(0, str(tmp_path))
    try:
        from dictate import DictateProvider

        async with serving(DictateProvider()) as served:
            await succeeds(served, Sample({"audio": media.speech_wav()}))
    finally:
        sys.path.remove(str(tmp_path))
