"""A process of the mesh with a backend on demand, driven by lines on its standard input.

    python -m tests.services.process FOLDER SETTINGS

SETTINGS is JSON for ToySettings. Commands: use SECONDS, status, stop, close. It answers each with a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from automarket.errors import AutoMarketError
from tests.services.toy import Toys, ToySettings, get

_ROOT = Path(__file__).resolve().parent.parent.parent


async def main() -> None:
    settings = ToySettings(**json.loads(sys.argv[2]))
    on_demand = Toys(Path(sys.argv[1]), settings.image).on_demand(settings)
    await on_demand.open()
    _say("opened")
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *rest = line.split()
        answer: Any = None
        try:
            if command == "use":
                async with on_demand.lease() as lease:
                    states = [f"{status.state} {status.message}" async for status in lease.ready()]
                    _say("working")
                    answer = [await lease.run(get(lease.url, f"/work?seconds={rest[0]}")), states]
            elif command == "status":
                answer = str((await on_demand.status()).state)
            elif command == "stop":
                answer = str((await on_demand.stop()).state)
            else:
                await on_demand.close()
                return
        except AutoMarketError as error:
            answer = f"{type(error).__name__}: {error}"
        _say(answer)


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class Process:
    """One such process, from outside."""

    @classmethod
    async def start(cls, toys: Toys, settings: ToySettings) -> Process:
        self = cls()
        pipe = asyncio.subprocess.PIPE
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.services.process",
            str(toys.folder),
            settings.model_dump_json(),
            stdin=pipe,
            stdout=pipe,
            cwd=_ROOT,
        )
        assert json.loads(await self.read()) == "opened"
        return self

    async def read(self) -> bytes:
        assert self.child.stdout is not None
        return await self.child.stdout.readline()

    async def say(self, command: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{command}\n".encode())
        await self.child.stdin.drain()

    async def ask(self, command: str) -> Any:
        await self.say(command)
        while (answer := json.loads(await self.read())) == "working":
            pass
        return answer

    async def working(self) -> None:
        """Wait until the call that was asked for works."""
        assert json.loads(await self.read()) == "working"

    async def close(self) -> None:
        await self.say("close")
        await self.child.wait()

    async def kill(self) -> None:
        self.child.kill()
        await self.child.wait()


if __name__ == "__main__":
    asyncio.run(main())
