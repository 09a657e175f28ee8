"""Language models: text or a conversation in, text out, whole or while it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from automarket.chat.messages import Conversation, Message
from automarket.client import results
from automarket.client.inputs import InputValue
from automarket.client.model import ModelHandle
from automarket.client.text_options import merged
from automarket.client.text_stream import TextStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automarket.assets import Text
    from automarket.client.stream import TransformStream
    from automarket.client.target import Fallback
    from automarket.client.text_options import OptionsValue

ChatInput: TypeAlias = InputValue | Sequence[Message | Mapping[str, Any]]
"""What a language model is asked: a text in any form, or messages, each a Message or a dictionary (`Message.of`)."""


def asked(value: ChatInput) -> InputValue:
    """Give what a language model is asked as an input.

    Raises:
        ConversationInvalid: messages that are none.
    """
    if isinstance(value, list | tuple):
        return Conversation.of(cast("Sequence[Message]", value))
    return cast("InputValue", value)


class TextToTextModel(ModelHandle):
    """A language model.

    Options are a TextToTextOptions or a dictionary, keyword arguments, or both. Pictures, sound and files go in
    messages, or beside a text as `images=[...]`, `audio=[...]`, where the model takes them. Small media and
    conversations go with the call, large ones by digest through the asset store.
    """

    def stream(
        self,
        text: ChatInput,
        options: OptionsValue = None,
        *,
        fallbacks: Sequence[Fallback] = (),
        **more: Any,
    ) -> TransformStream[Text]:
        """Answer; give everything that happens: text, reasoning, tool calls, progress.

        Args:
            text: a text, or messages.
            options: what all language models share.
            fallbacks: where else to go, in order, when this model fails before its first event.
            more: options by name, those of this model alone too; inputs by slot; and how the call is made.
        """
        return self._stream(lambda _: results.text, (asked(text),), merged(options, more), fallbacks)

    def transform_stream(self, text: ChatInput, options: OptionsValue = None, **more: Any) -> TextStream:
        """Answer; give the text while it is written. Takes what `stream` takes."""
        return TextStream(self.stream(text, options, **more))

    async def transform(self, text: ChatInput, options: OptionsValue = None, **more: Any) -> Text:
        """Answer; give the whole text. Takes what `stream` takes."""
        return await self.stream(text, options, **more).result()

    async def transform_conversation(
        self,
        messages: Conversation | Iterable[Message | Mapping[str, Any]],
        options: OptionsValue = None,
        **more: Any,
    ) -> Text:
        """Answer a conversation; give the whole text, which `Message.answered` makes the next message.

        Args:
            messages: what was said so far, oldest first.
            options: as in `stream`.
            more: as in `stream`.

        Raises:
            ConversationInvalid: the messages are none, or have parts that the model does not take.
        """
        return await self.stream(Conversation.of(messages), options, **more).result()
