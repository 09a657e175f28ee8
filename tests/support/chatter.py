"""A language model that says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from provider_servers.runtime import (
    ChatMessage,
    Completion,
    FinishReason,
    Model,
    Pricing,
    Provider,
    TextDelta,
    TextToTextOptions,
    Usage,
    chat_inputs,
    text_option_schemas,
    text_options,
    text_output,
)

CHAT = Model(
    "chatter",
    ("text-to-text",),
    chat_inputs(
        images=("image/png", "image/jpeg"),
        audio=("audio/wav", "audio/mpeg"),
        files=("application/pdf", "text/plain"),
        max_image_bytes=100_000,
    ),
    text_output(),
    options=text_option_schemas() | {"do": {"type": "string"}},
    pricing=Pricing("token", 0.001, 0.002, cached_input_cost=0.0001),
    context_tokens=8192,
    max_output_tokens=1024,
)
PLAIN = Model(
    "plain",
    ("text-to-text",),
    chat_inputs(),
    text_output(),
    options=text_option_schemas("temperature", "max_tokens", temperature={"maximum": 1}),
)
ENDED = Completion(FinishReason.STOP, "end_turn", "chatter-2026-01-01", "req_7")


@dataclass
class Asked:
    """What the model was asked in one call."""

    model: str
    messages: list[ChatMessage]
    options: TextToTextOptions
    own: dict
    media: list[tuple[str, str, bytes]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def roles(self):
        return [str(message.role) for message in self.messages]

    def texts(self):
        return [message.text for message in self.messages]


class Chatter(Provider):
    """Says the events of `script`, or repeats the last message; an exception in the script is raised there."""

    id = "chatter"
    name = "Chatter"
    max_concurrent_calls = 8

    def __init__(self):
        self.script = None
        self.asked = []
        self.pause: float | None = 0.0

    def models(self):
        return (CHAT, PLAIN)

    async def transform(self, call):
        messages = await call.conversation()
        asked = Asked(call.model.id, messages, text_options(call), call.options)
        self.asked.append(asked)
        for message in messages:
            for one in message.attachments:
                data = await one.data()
                asked.media.append((one.kind, one.media_type, data))
        try:
            for event in self.script or repeating(messages[-1].text):
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, float):
                    await asyncio.sleep(event)
                    continue
                yield event
                if self.pause is not None:
                    await asyncio.sleep(self.pause)
        finally:
            asked.ended.set()


def repeating(text):
    """Give the events of an answer that repeats a text, word by word, and counts them."""
    words = text.split(" ")
    tokens = [word + " " for word in words[:-1]] + words[-1:]
    return [
        *(TextDelta((token,)) for token in tokens),
        ENDED,
        Usage("token", len(words), len(words), cached_input_units=1, reasoning_units=0),
    ]
