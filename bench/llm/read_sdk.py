"""Have OpenAI's own SDK read answers: PYTHON read_sdk.py URL SHAPES, with the Python of its environment.

It needs nothing of this repository. Of each shape, "streams tokens rate", it prints the tokens that it read in a second
of its processor's time.
"""

# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import openai


async def read(client: Any, tokens: int, rate: int) -> int:
    """Give how many tokens an answer had."""
    stream = await client.chat.completions.create(
        model="gpt-bench",
        messages=[{"role": "user", "content": f"tokens={tokens} rate={rate}"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    count = 0
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            count += 1
    return count


async def main() -> None:
    """Read, and print."""
    async with openai.AsyncOpenAI(api_key="sk-bench", base_url=f"{sys.argv[1]}/v1") as client:
        await read(client, 10, 0)
        found: list[float] = []
        for streams, tokens, rate in json.loads(sys.argv[2]):
            begin = time.process_time()
            counts: Any = await asyncio.gather(*(read(client, tokens, rate) for _ in range(streams)))
            found.append(sum(counts) / (time.process_time() - begin))
            assert counts == [tokens] * streams, counts
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
