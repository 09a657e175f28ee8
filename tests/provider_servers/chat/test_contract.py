"""One contract for all who write text: the stand-ins of five vendors, and llama.cpp's server with a model of noise.

Each is asked through its provider and the contract, over a relay that notes when connections are closed.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from automarket.errors import ContextTooLong, ModelUnknown
from automarket.v1 import conversation_pb2 as pb
from provider_servers.ollama import OllamaProvider
from provider_servers.runtime.testing import serving
from services.ollama import OllamaSettings
from tests.backends.ollama.running import reset, set_manners
from tests.provider_servers.chat.asking import VENDORS as SERVED
from tests.provider_servers.chat.asking import Heard, Vendor, part
from tests.provider_servers.chat.test_closing import until
from tests.support.backends import serving_backend
from tests.support.llama_cpp import MODEL, llama_server
from tests.support.tap import Tap
from tests.vendors.http import FakeServer
from tests.vendors.said import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.asyncio(loop_scope="module")

VENDORS = ("openai", "anthropic", "openrouter", "together")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TALK = [
    ("system", [part("text", text="Be brief.")]),
    ("user", [part("text", text="hello world")]),
    ("assistant", [part("text", text="yes")]),
    ("user", [part("text", text="the boat and the tide")]),
]


@dataclass
class Engine:
    """Who writes text, and where it differs.

    Attributes:
        steady: options with which equal questions have equal answers.
        long: a model and a question that are too long for it.
        endless: a model that writes for long.
        unknown: the name of a model that it lacks.
        tells_usage: it says in a stream how many tokens there were.
        json: options that ask for JSON; None where it has no such thing.
        ends_json: it always comes to the end of its JSON.
        slow_down: makes it write slowly.
    """

    asked: Vendor
    tap: Tap
    model: str = "ok"
    steady: dict[str, Any] = field(default_factory=dict)
    long: tuple[str, str] = ("context", "hello")
    endless: str = "slow"
    unknown: str = "no-such-model"
    tells_usage: bool = True
    json: dict[str, Any] = field(default_factory=lambda: {"response_format": {"json": {}}})
    ends_json: bool = True
    slow_down: Callable[[], Awaitable[None]] | None = None

    async def ask(self, asked: Any = "hello world", model: str = "", **options: Any) -> Heard:
        return await self.asked.ask(model or self.model, asked, **{**self.steady, **options})


@asynccontextmanager
async def tapped(url: str) -> AsyncIterator[tuple[Tap, str]]:
    parts = urlsplit(url)
    tap = Tap(parts.hostname or "", parts.port or 0)
    async with tap.running() as address:
        yield tap, f"http://{address}{parts.path}"


@asynccontextmanager
async def vendor_engine(name: str, folder) -> AsyncIterator[Engine]:
    fake_class, provider_class, settings_class, path = SERVED[name]
    fake = fake_class()
    async with FakeServer(fake.handle).serving() as server, tapped(server.url + path) as (tap, url):
        settings = settings_class(api_key=KEY, base_url=url, models=",".join([*fake.scenarios, "no-such-model"]))
        async with serving(provider_class(settings)) as served:
            engine = Engine(Vendor(name, server, served, []), tap)
            if name == "anthropic":
                engine.json = {"response_format": {"json_schema": {"schema": json.dumps(SCHEMA)}}}
            yield engine


@asynccontextmanager
async def ollama_engine(name: str, folder) -> AsyncIterator[Engine]:
    async with serving_backend("ollama") as backend, tapped(backend.url) as (tap, url):
        await reset(backend, "llama3.2")
        provider = OllamaProvider(OllamaSettings(base_url=url, state_dir=folder, models="unheard-of"))
        async with serving(provider) as served:
            yield Engine(
                Vendor(name, None, served, []),
                tap,
                "llama3.2",
                steady={"seed": 5},
                long=("llama3.2", "hello world " * 4000),
                endless="llama3.2",
                unknown="unheard-of",
                slow_down=lambda: set_manners(backend.url, token_seconds=0.05),
            )
            await set_manners(backend.url)


@asynccontextmanager
async def llama_engine(name: str, folder) -> AsyncIterator[Engine]:
    _, provider_class, settings_class, _ = SERVED["openai-compatible"]
    async with (
        llama_server(folder) as real,
        tapped(real) as (tap, url),
        serving(provider_class(settings_class(base_url=url))) as served,
    ):
        await until(served.provider.models, 10)
        yield Engine(
            Vendor(name, None, served, []),
            tap,
            MODEL,
            steady={"temperature": 0, "seed": 1, "max_tokens": 40},
            long=(MODEL, "hello world " * 2000),
            endless=MODEL,
            tells_usage=False,
            ends_json=False,
        )


MAKERS = {**dict.fromkeys(VENDORS, vendor_engine), "ollama": ollama_engine, "llama.cpp": llama_engine}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MAKERS)
async def engine(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    async with AsyncExitStack() as ends:
        yield await ends.enter_async_context(MAKERS[request.param](request.param, folder))


async def test_an_answer_comes_in_pieces_and_its_end_is_told(engine):
    heard = await engine.ask()
    assert heard.error is None
    assert len(heard.events) > 1
    assert heard.kinds[:3] == ["accepted", "output_started", "text_delta"]
    assert heard.kinds[-2:] == ["output_finished", "finished"]
    assert heard.completion.finish_reason in (pb.FINISH_REASON_STOP, pb.FINISH_REASON_LENGTH)
    assert heard.completion.served_model


async def test_one_message_is_answered_like_a_stream(engine):
    heard = Heard()
    for event in await engine.asked.served.generate(engine.asked.first(engine.model, "hello world", **engine.steady)):
        heard.take(event)
    assert heard.text == (await engine.ask()).text


async def test_a_conversation_is_answered(engine):
    heard = await engine.ask(TALK)
    assert (heard.error, bool(heard.text)) == (None, True)


async def test_a_stop_in_the_middle_of_a_token_ends_the_text_there(engine):
    whole = await engine.ask()
    token = next(one.strip() for one in whole.tokens if len(one.strip()) > 3)
    stop = token[1:3]
    heard = await engine.ask(stop=[stop])
    assert heard.error is None
    assert heard.text == whole.text[: whole.text.index(stop)]
    assert heard.completion.finish_reason == pb.FINISH_REASON_STOP


async def test_a_text_that_reaches_its_limit_says_so(engine):
    heard = await engine.ask(max_tokens=3)
    assert heard.completion.finish_reason == pb.FINISH_REASON_LENGTH
    assert 0 < len(heard.tokens) <= 3


async def test_what_was_used_is_told_where_the_engine_says_it(engine):
    heard = await engine.ask()
    if engine.tells_usage:
        assert heard.usage.unit == "token"
        assert heard.usage.input_units > 0
        assert heard.usage.output_units > 0
    else:
        assert heard.usage is None


async def test_json_is_json(engine):
    heard = await engine.ask(**engine.json)
    assert heard.error is None
    assert heard.text.lstrip().startswith("{")
    if engine.ends_json:
        assert isinstance(json.loads(heard.text), dict)


async def test_a_model_that_is_not_there(engine):
    assert type((await engine.ask(model=engine.unknown)).error) is ModelUnknown


async def test_a_conversation_that_is_too_long_says_how_long_it_may_be(engine):
    model, question = engine.long
    heard = await engine.ask(question, model=model)
    assert type(heard.error) is ContextTooLong
    limit, sent = (int(heard.error.metadata[name]) for name in ("context_tokens", "request_tokens"))
    assert 0 < limit < sent
    assert heard.kinds == []


async def test_a_cancel_closes_the_connection_and_the_next_call_is_answered(engine):
    if engine.slow_down is not None:
        await engine.slow_down()
    for _ in range(3):
        begun = asyncio.Event()
        request = engine.asked.first(engine.endless, "hello world", **{**engine.steady, "max_tokens": 1500})

        async def listen(request=request, begun=begun):
            async for event in engine.asked.served.stream(request):
                if event.HasField("text_delta"):
                    begun.set()

        task = asyncio.create_task(listen())
        await asyncio.wait_for(begun.wait(), 20)
        before, begin = len(engine.tap.closed), time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda before=before: len(engine.tap.closed) > before, 2)
        assert engine.tap.closed[before] - begin < 1
    assert (await engine.ask(max_tokens=2)).error is None
