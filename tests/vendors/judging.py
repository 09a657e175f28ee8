"""Letting a vendor's SDK, in an environment of its own, say what it makes of a stand-in."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.support.require import missing
from tests.vendors.said import KEY

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 100


async def told(vendor: str, url: str, asked: Any, key: str = KEY, program: str = "") -> Any:
    """Give what the program judges/<vendor>.py, or another, says of what it is asked, of a stand-in at an address."""
    python = ROOT / ".cache" / f"sdk-{vendor}" / "bin" / "python"
    if not python.exists():
        missing(f"sdk-{vendor}", f"the SDK of {vendor} is not installed: tools/vendor_sdks.sh")
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-P", str(Path(__file__).parent / "judges" / f"{program or vendor}.py"), url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"JUDGE_KEY": key, "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
    )
    said, _ = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), PATIENCE_SECONDS)
    assert process.returncode == 0
    return json.loads(said)
