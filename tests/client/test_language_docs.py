"""What the pages show of language models works as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from provider_servers.runtime.testing import Sample, serving, succeeds
from tests.client.conftest import ROOT, until_complete
from tests.support.chatter import CHAT, Chatter


class Named(Chatter):
    """The chatter under the names of the pages."""

    id = "ollama"
    name = "Ollama"

    def models(self):
        return (replace(CHAT, id="llama3.2"), replace(CHAT, id="gemma3"))


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("number", [0, 1])
async def test_the_examples_of_the_page_run(gateway, number):
    async with serving(Named(), gateway.control):
        await until_complete(gateway.address, {"ollama"})
        environment = {**os.environ, "AUTOMARKET_ADDRESS": gateway.address, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", blocks("language-models.md")[number]]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "Why is the sky blue?" in done.stdout
    assert ("Shorter, please." in done.stdout) == (number == 0)


async def test_the_language_model_of_the_providers_page_is_one(tmp_path):
    [code] = [one for one in blocks("providers.md") if "class ParrotProvider" in one]
    (tmp_path / "parrot.py").write_text("from __future__ import annotations\n" + code)
    sys.path.insert(0, str(tmp_path))
    try:
        from parrot import ParrotProvider

        async with serving(ParrotProvider()) as served:
            await succeeds(served, Sample({"text": "Polly wants a cracker"}, {"max_tokens": 2}))
    finally:
        sys.path.remove(str(tmp_path))
