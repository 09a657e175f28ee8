"""llama.cpp's server for Python with a tiny model of noise: a real engine of OpenAI's API. See tools/llama_cpp.sh."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.support.mesh import free_port
from tests.support.require import missing

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".cache" / "llama-cpp" / "bin" / "python"
MODEL, CONTEXT = "noise", 2048
START_SECONDS = 60


def require_llama_cpp() -> None:
    """Skip the test, or fail it where it is required, and say what was lacking when it was to be built."""
    if not (ROOT / ".cache" / "llama-cpp" / ".installed").exists():
        why = ROOT / ".cache" / "llama-cpp.missing"
        said = why.read_text().strip() if why.exists() else "run tools/llama_cpp.sh"
        missing("llama-cpp", f"llama.cpp's server is not installed: {said}")


@asynccontextmanager
async def llama_server(folder: Path):
    """Run it; give the address of its API."""
    require_llama_cpp()
    model, port = folder / "noise.gguf", free_port()
    await asyncio.to_thread(subprocess.run, [PYTHON, Path(__file__).parent / "tiny_gguf.py", model], check=True)
    command = [PYTHON, "-m", "llama_cpp.server", "--model", model, "--model_alias", MODEL, "--n_ctx", str(CONTEXT)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_threads", "1", "--n_threads_batch", "1"]
    with (folder / "llama.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            await _answers(running, f"http://127.0.0.1:{port}/v1/models", folder / "llama.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            running.terminate()
            try:
                await asyncio.to_thread(running.wait, 10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait(5)


async def _answers(running: subprocess.Popen[bytes], url: str, log: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(START_SECONDS * 10):
            assert running.poll() is None, log.read_text(errors="replace")[-2000:]
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(url)).is_success:
                    return
            await asyncio.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-2000:])
