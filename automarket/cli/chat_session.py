"""A conversation on a terminal, or one answer for a pipe."""

from __future__ import annotations

import contextlib
import importlib
import json
from typing import TYPE_CHECKING, Any

from automarket.chat.messages import Message, MessageRole, TextPart
from automarket.cli.chat_inputs import Given, read_given
from automarket.cli.chat_view import AnswerView
from automarket.cli.plain import to_plain
from automarket.cli.progress import LiveProgress
from automarket.errors import AutoMarketError, CallCancelled, InputEmpty, InvalidRequestError
from automarket.sync.background import Stopper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from automarket.assets import Text
    from automarket.chat.messages import MediaPart
    from automarket.cli.terminal import Terminal
    from automarket.client.events import Event
    from automarket.sync import Mesh, TextStream, TextToTextModel

_HELP = "Ctrl-C stops an answer, Ctrl-D ends; /new begins anew, /file NAME adds a file, a \\ at a line's end goes on"


class Session:
    """Keeps what was said.

    Args:
        screen: where it is shown.
        mesh: where files that were stored are.
        model: who answers.
        options: how; the same for every answer.
        quiet: only answers are shown.
    """

    def __init__(
        self, screen: Terminal, mesh: Mesh, model: TextToTextModel, options: dict[str, Any], *, quiet: bool
    ) -> None:
        self._screen = screen
        self._mesh = mesh
        self._model = model
        self._options = options
        self._quiet = quiet
        self._messages: list[Message] = []
        self._waiting: list[TextPart | MediaPart] = []

    def answer_once(self, given: Given, piped: bytes) -> None:
        """Answer what the command line and a pipe ask.

        Raises:
            AutoMarketError: nothing is asked, or it is not answered.
        """
        try:
            text = piped.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"standard input is not UTF-8 at byte {error.start:,}"
            raise InvalidRequestError(message, hint="name files as arguments") from None
        parts = (*given.parts, TextPart(text)) if text.strip() else given.parts
        if not any(isinstance(part, TextPart) for part in parts):
            raise InputEmpty("nothing was asked", hint='automarket chat "how are you?"')
        answer, view = self._answer([Message(MessageRole.USER, parts)])
        if self._screen.as_json:
            self._screen.json(view.facts(answer))
        elif not self._quiet:
            view.sum_up(answer)

    def converse(self, given: Given) -> None:
        """Ask for lines and answer them until there are no more."""
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")  # gives `input` its editing and its history
        if not self._quiet:
            self._screen.note(f"{self._model.id} of {self._model.provider_id}. {_HELP}")
        self._waiting = list(given.parts)
        asks = given.asks
        while True:
            try:
                if asks:
                    asks = False
                    self._ask()
                self._take(self._line())
            except EOFError:
                return self._screen.note("")
            except KeyboardInterrupt:
                self._screen.note("\nCtrl-D ends the conversation")

    def _line(self) -> str:
        shown = self._screen.out.is_terminal and not self._screen.as_json
        line = input("> " if shown else "")
        while line.endswith("\\"):
            line = line[:-1] + "\n" + input(". " if shown else "")
        return line

    def _take(self, line: str) -> None:
        """Do what a line says."""
        command, _, rest = line.strip().partition(" ")
        if command == "/new":
            self._messages.clear()
            self._waiting.clear()
            self._screen.note("a new conversation")
        elif command == "/file" and rest:
            self._add(rest.strip())
        elif line.strip():
            self._waiting.append(TextPart(line))
            self._ask()

    def _add(self, name: str) -> None:
        try:
            given = read_given([name], self._mesh)
        except AutoMarketError as error:
            return self._screen.error(error)
        if given.asks:
            return self._screen.note(f"there is no file {name}", style="yellow")
        self._waiting.extend(given.parts)
        return self._screen.note(f"{name} goes with what is asked next")

    def _ask(self) -> None:
        """Answer what waits; what fails, or is stopped before its first word, counts as not asked."""
        asked = Message(MessageRole.USER, tuple(self._waiting))
        self._waiting.clear()
        try:
            answer, view = self._answer([*self._messages, asked], may_stop=True)
        except AutoMarketError as error:
            return self._screen.error(error)
        if answer.content or not answer.metadata.partial:
            self._messages += (asked, Message.assistant(answer.content))
        if answer.metadata.partial:
            return self._screen.note("stopped", style="yellow")
        if self._screen.as_json:
            return self._screen.line(json.dumps(to_plain(view.facts(answer)), ensure_ascii=False))
        return None if self._quiet else view.sum_up(answer)

    def _answer(self, messages: list[Message], *, may_stop: bool = False) -> tuple[Text, AnswerView]:
        """Ask the model and show what it says; give its answer, or the beginning of one that was stopped."""
        stream = self._model.transform_stream(messages, dict(self._options))
        progress = LiveProgress(self._screen.live, quiet=self._quiet or self._screen.as_json)
        view = AnswerView(self._screen, progress, quiet=self._quiet)
        try:
            with progress, stream:
                if may_stop:
                    _follow(stream, view)
                else:
                    for event in stream.events:
                        view.show(event)
        finally:
            view.end_line()
        text = stream.text_so_far
        return (text if text.metadata.partial else stream.final()), view


def _follow(stream: TextStream, view: AnswerView) -> None:
    """Show what happens until it ends, or Ctrl-C is pressed."""
    with Stopper() as stop:
        events = aiter(stream.original.events)
        with contextlib.suppress(CallCancelled):
            while (event := stop.wait(_next(events))) is not None:
                view.show(event)


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)
