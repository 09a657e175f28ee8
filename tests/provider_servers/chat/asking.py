"""Asking a provider that talks to a stand-in, through the contract, and what came back."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automarket.client.options import write_options
from automarket.errors import AutoMarketError
from automarket.v1 import conversation_pb2, model_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from provider_servers.anthropic import AnthropicProvider
from provider_servers.anthropic.provider import AnthropicSettings
from provider_servers.openai import OpenAIProvider
from provider_servers.openai.provider import OpenAISettings
from provider_servers.openai_compatible import OpenAICompatibleProvider, OpenAICompatibleSettings
from provider_servers.openrouter import OpenRouterProvider
from provider_servers.openrouter.provider import OpenRouterSettings
from provider_servers.runtime.testing import Served, serving
from provider_servers.together import TogetherProvider
from provider_servers.together.provider import TogetherSettings
from tests.vendors.anthropic import Anthropic
from tests.vendors.http import FakeServer
from tests.vendors.openai import OpenAI
from tests.vendors.openrouter import OpenRouter
from tests.vendors.said import KEY
from tests.vendors.together import Together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VENDORS: dict[str, tuple[Any, Any, Any, str]] = {
    "openai": (OpenAI, OpenAIProvider, OpenAISettings, "/v1"),
    "openrouter": (OpenRouter, OpenRouterProvider, OpenRouterSettings, "/api/v1"),
    "together": (Together, TogetherProvider, TogetherSettings, "/v1"),
    "anthropic": (Anthropic, AnthropicProvider, AnthropicSettings, ""),
    "openai-compatible": (OpenAI, OpenAICompatibleProvider, OpenAICompatibleSettings, "/v1"),
}


@dataclass
class Heard:
    """What came back. `events` are the texts of each text event, `error` what the call ended with."""

    events: list[list[str]] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    calls: dict[int, list[str]] = field(default_factory=dict)
    call_pieces: int = 0
    kinds: list[str] = field(default_factory=list)
    completion: Any = None
    usage: Any = None
    error: AutoMarketError | None = None

    @property
    def tokens(self) -> list[str]:
        return [token for event in self.events for token in event]

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    def take(self, event: transform_pb2.TransformEvent) -> None:
        kind = event.WhichOneof("event")
        self.kinds.append(kind)
        if kind == "text_delta":
            self.events.append(list(event.text_delta.tokens))
        elif kind == "reasoning_delta":
            self.thoughts += event.reasoning_delta.tokens
            self.signatures += filter(None, [event.reasoning_delta.signature])
        elif kind == "tool_call_delta":
            delta = event.tool_call_delta
            call = self.calls.setdefault(delta.index, [delta.id, delta.name, ""])
            call[2] += delta.arguments
            self.call_pieces += 1
        elif kind == "output_finished":
            self.completion = event.output_finished.completion
        elif kind == "usage":
            self.usage = event.usage


@dataclass
class Vendor:
    """A provider, served, and the stand-in that it talks to."""

    id: str
    fake: FakeServer
    served: Served
    scenarios: list[str]

    @property
    def provider(self) -> Any:
        return self.served.provider

    def first(self, model: str, asked: Any = "Tell me of the harbour.", **options: Any) -> pb.TransformRequest:
        """Give the first message: `asked` is a text, or messages as (role, parts)."""
        header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
        write_options(header, "text-to-text", options)
        if isinstance(asked, str):
            header.inputs.add(inline=asked.encode(), media_type="text/plain")
        else:
            conversation = header.inputs.add().conversation
            for role, parts in asked:
                number = conversation_pb2.MessageRole.Value(f"MESSAGE_ROLE_{role.upper()}")
                conversation.messages.add(role=number, parts=parts)
        return pb.TransformRequest(target=model_pb2.Target(model=model), header=header)

    async def ask(self, model: str, asked: Any = "Tell me of the harbour.", **options: Any) -> Heard:
        """Ask; the error of a call that failed is in what is heard."""
        heard = Heard()
        try:
            async for event in self.served.stream(self.first(model, asked, **options)):
                heard.take(event)
        except AutoMarketError as error:
            heard.error = error
        return heard

    async def body(self, asked: Any = "Tell me of the harbour.", model: str = "ok", **options: Any) -> Any:
        """Ask, and give the body that the vendor got."""
        heard = await self.ask(model, asked, **options)
        assert heard.error is None, heard.error
        return self.fake.asked("completions" if self.id != "anthropic" else "/messages")[-1].json


@asynccontextmanager
async def talking_to(vendor: str, **settings: Any) -> AsyncIterator[Vendor]:
    """Serve a vendor's provider and its stand-in. Every scenario is a model of that name."""
    fake_class, provider_class, settings_class, path = VENDORS[vendor]
    fake = fake_class()
    async with AsyncExitStack() as ends:
        server = await ends.enter_async_context(FakeServer(fake.handle).serving())
        names = [*fake.scenarios, "no-such-model"]
        given = {"api_key": KEY, "base_url": server.url + path, "models": ",".join(names)} | settings
        served = await ends.enter_async_context(serving(provider_class(settings_class(**given))))
        yield Vendor(vendor, server, served, names)


def part(kind: str, **values: Any) -> conversation_pb2.MessagePart:
    """Give a part of a message: part("text", text="...") or part("tool_call", id=..., name=...)."""
    if kind == "text":
        return conversation_pb2.MessagePart(text=values["text"])
    return conversation_pb2.MessagePart(**{kind: _KINDS[kind](**values)})


_KINDS: dict[str, Any] = {
    "image": conversation_pb2.MediaPart,
    "audio": conversation_pb2.MediaPart,
    "file": conversation_pb2.MediaPart,
    "tool_call": conversation_pb2.ToolCall,
    "tool_result": conversation_pb2.ToolResult,
    "reasoning": conversation_pb2.ReasoningPart,
}
