"""One call, as an author's `transform` sees it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from automarket.secrets import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provider_servers.runtime.conversation import ChatMessage
    from provider_servers.runtime.conversations import ConversationReader
    from provider_servers.runtime.describe import Model
    from provider_servers.runtime.estimates import InputFacts
    from provider_servers.runtime.media_input import MediaInput
    from provider_servers.runtime.workdir import Workdir

MAX_LOG_LINES = 200
MAX_LINE = 2000


class ResumeAction(StrEnum):
    """What to do with a call that was lost."""

    CONTINUE = "continue"  # wait for its result
    CANCEL = "cancel"  # cancel it at the vendor


@dataclass(frozen=True, slots=True)
class Resume:
    """A call that was lost and goes on: the state of its last checkpoint, never empty, and what to do."""

    state: bytes = field(repr=False)
    action: ResumeAction = ResumeAction.CONTINUE


@dataclass(slots=True)
class Call:
    """One run of a model.

    Attributes:
        model: the model that is asked for.
        capability: what it is asked for as, e.g. "video-to-audio"; the model's first capability when not said.
        options: every option by name, checked, with the schema's defaults filled in; durations in seconds.
        request_id: the caller's UUID; a vendor's idempotency key.
        resume: where a call that was lost goes on; None for one that begins. An author who cannot read the state
            raises ResumeInvalid.
        keeps: the caller comes back with the last checkpoint: work at a vendor is left alone when the call ends early.
            Otherwise it is cancelled there.
        facts: by slot, what is known of the inputs of a call whose cost is estimated; empty in one that runs.
    """

    model: Model
    capability: str
    options: dict[str, Any]
    request_id: str
    folder: Workdir = field(repr=False)
    resume: Resume | None = None
    keeps: bool = False
    facts: Mapping[str, Sequence[InputFacts]] = field(default_factory=dict[str, "Sequence[InputFacts]"])
    slots: dict[str, list[MediaInput]] = field(default_factory=dict[str, "list[MediaInput]"])
    deadline_at: float | None = None
    log_lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=MAX_LOG_LINES))
    reader: ConversationReader | None = field(default=None, repr=False)

    @property
    def workdir(self) -> Path:
        """A folder of this call alone, removed when it ends."""
        return self.folder.path

    def input(self, slot: str) -> MediaInput:
        """Give the input of a slot that is required."""
        return self.slots[slot][0]

    def optional_input(self, slot: str) -> MediaInput | None:
        """Give the input of a slot, or None when it was left out."""
        inputs = self.slots.get(slot)
        return inputs[0] if inputs else None

    def inputs(self, slot: str) -> list[MediaInput]:
        """Give the inputs of a repeated slot, in order."""
        return self.slots.get(slot, [])

    async def conversation(self) -> list[ChatMessage]:
        """Give what a language model is asked, however it was sent; the option `system_prompt` is its first message.

        A plain text is one message of the user, after the media that came with it.

        Raises:
            InvalidRequestError: it is no conversation, no text, or too much.
        """
        assert self.reader is not None  # noqa: S101 - the runtime sets it before the author's code runs
        return await self.reader.read(self)

    @property
    def deadline(self) -> float | None:
        """Seconds left until the caller gives up, or None."""
        return None if self.deadline_at is None else max(0.0, self.deadline_at - time.monotonic())

    def log(self, line: str) -> None:
        """Keep a line for GetDiagnostics: the last 200 are kept, 2,000 characters of each, known secrets hidden."""
        self.log_lines.append(scrub(line)[:MAX_LINE])
