"""What `automarket up` says: for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from automarket.cli.plain import seconds, to_plain
from automarket.cli.up.child import ChildState
from automarket.client.mesh import DEFAULT_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.cli.terminal import Terminal
    from automarket.cli.up.child import ChildEvent
    from automarket.cli.up.layout import Layout
    from automarket.client.descriptors import ModelInfo, ProviderInfo


class Announcer:
    """Says what happens to a mesh."""

    def __init__(self, screen: Terminal) -> None:
        self._screen = screen
        self._settled = False
        self._stopping = False
        self._last_words: dict[str, tuple[str, ...]] = {}

    def starting(self) -> None:
        """Say that the mesh is being started."""
        if not self._screen.as_json:
            self._screen.note("starting ...")

    def ready(
        self,
        address: str,
        workers: Sequence[str],
        layout: Layout,
        providers: Sequence[ProviderInfo],
        models: Sequence[ModelInfo],
    ) -> None:
        """Say what is there, and what cannot run here with what would mend it."""
        self._settled = True
        if self._screen.as_json:
            data_dir, logs = layout.data_dir, layout.logs
            facts = {"address": address, "workers": workers, "data_dir": data_dir, "logs": logs}
            self._line("ready", **facts, providers=providers, models=models)
            return
        say = self._screen.say
        shared = f", served by {len(workers)} workers" if len(workers) > 1 else ""
        say(f"The mesh is up at {address}{shared}.", style="bold green")
        self._screen.table(
            ("provider", "models", "capabilities"), [_row(one, models) for one in providers if _runs(one)]
        )
        missing = [one for one in providers if not _runs(one)]
        if missing:
            say("\nNot running here:", style="bold")
            rows = [(one.id, one.availability.reason, one.availability.hint) for one in missing]
            self._screen.table(("provider", "why", "what mends it"), rows)
        say(f"\nassets and logs: {layout.data_dir}", style="dim")
        if address != DEFAULT_ADDRESS:
            say(f"in other shells: export AUTOMARKET_ADDRESS={address}", style="dim")
        say("try: automarket transform talk.mp4 -c speech-to-text      (Ctrl-C stops the mesh)", style="dim")

    def child(self, event: ChildEvent) -> None:
        """Say what became of a process. Starts and stops that were asked for are not worth a word to people."""
        if self._screen.as_json:
            self._line("process", **to_plain(event))
        elif event.state == ChildState.READY and self._settled:
            self._screen.note(f"{event.name} is back", style="green")
        elif event.state in (ChildState.ENDED, ChildState.FAILED) and not self._stopping:
            self._ended(event)

    def _ended(self, event: ChildEvent) -> None:
        what = "ended" if event.state == ChildState.ENDED else "did not start"
        delay = seconds(event.delay or 0)
        self._screen.note(f"{event.name} {what} ({event.why}); it is started again in {delay}", style="yellow")
        if event.state == ChildState.FAILED and self._last_words.get(event.name) != event.log_lines:
            self._last_words[event.name] = event.log_lines
            for line in event.log_lines:
                self._screen.note(f"  {line}")

    def stopping(self) -> None:
        """Say that the mesh is being stopped."""
        self._stopping = True
        if self._screen.as_json:
            self._line("stopping")
        else:
            self._screen.note("stopping; Ctrl-C again stops at once")

    def stopped(self) -> None:
        """Say that nothing runs any more."""
        if self._screen.as_json:
            self._line("stopped")
        else:
            self._screen.note("stopped")

    def _line(self, what: str, **facts: Any) -> None:
        self._screen.line(json.dumps({"event": what, **to_plain(facts)}, ensure_ascii=False))


def _runs(provider: ProviderInfo) -> bool:
    return bool(provider.instances)


def _row(provider: ProviderInfo, models: Sequence[ModelInfo]) -> tuple[str, str, str]:
    own = [model.id for model in models if model.provider_id == provider.id]
    return provider.id, ", ".join(own), ", ".join(provider.capabilities)
