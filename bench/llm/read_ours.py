"""Have our provider read answers in this very process: python -m bench.llm.read_ours URL SHAPES.

Of each shape, "streams tokens rate", it prints the tokens that it read in a second of its processor's time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import Any

from automarket.v1 import model_service_pb2, transform_pb2
from bench.llm.answers import MODEL, Wanted
from provider_servers.openai import OpenAIProvider
from provider_servers.openai.provider import OpenAISettings
from provider_servers.runtime.host import Host
from provider_servers.runtime.run import Run


class Reading:
    """Runs calls as the provider server does, up to the messages that gRPC would send."""

    def __init__(self, url: str) -> None:
        settings = OpenAISettings.model_validate({"api_key": "sk-bench", "base_url": f"{url}/v1"})
        self.provider = OpenAIProvider(settings)
        self._model = self.provider.named(MODEL)
        self._host = Host(self.provider, "bench", lambda: None)

    async def read(self, wanted: Wanted) -> int:
        """Give how many tokens an answer had."""
        header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
        header.inputs.add(inline=str(wanted).encode(), media_type="text/plain")
        run = Run(self._host, self._model, "text-to-text", header, requests=None, seconds_left=None)
        count = 0
        async for response in run.responses(model_service_pb2.GenerateResponse):
            count += len(response.event.text_delta.tokens)
            response.SerializeToString()
        return count


async def main() -> None:
    """Read, and print."""
    reading = Reading(sys.argv[1])
    await reading.read(Wanted(10))
    found: list[float] = []
    for streams, tokens, rate in json.loads(sys.argv[2]):
        begin = time.process_time()
        counts: Any = await asyncio.gather(*(reading.read(Wanted(tokens, rate)) for _ in range(streams)))
        found.append(sum(counts) / (time.process_time() - begin))
        assert counts == [tokens] * streams, counts
    await reading.provider.close()
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
