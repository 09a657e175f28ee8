"""Keeps a set of child processes running: started in groups, stopped in groups, logs bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from automarket.cli.up.child import Child, ChildState
from automarket.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from automarket.cli.up.child import ChildEvent, ChildSpec, Surroundings

ROTATE_SECONDS = 5.0


class Supervisor:
    """Starts, watches and stops children. Use it as `async with`: leaving kills what was not stopped.

    Args:
        surroundings: what the children share.
        report: gets what happens to them.
    """

    def __init__(self, surroundings: Surroundings, report: Callable[[ChildEvent], None]) -> None:
        self._surroundings = surroundings
        self._report = report
        self._children: dict[str, Child] = {}
        self._rotation: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Supervisor:
        """Begin to watch the logs."""
        self._rotation = asyncio.create_task(self._rotate_logs())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill what still runs."""
        if self._rotation is not None:
            self._rotation.cancel()
            await asyncio.wait({self._rotation})
        await self.stop([list(self._children)], grace=0)

    async def start(self, specs: Sequence[ChildSpec]) -> list[ChildEvent]:
        """Start children side by side; give how each first start went. One that failed is tried again and again."""
        children = [Child(spec, self._surroundings, self._report) for spec in specs]
        self._children |= {child.spec.name: child for child in children}
        return list(await asyncio.gather(*(child.start() for child in children)))

    async def start_essential(self, specs: Sequence[ChildSpec]) -> None:
        """Start children that nothing works without.

        Raises:
            StateError: one did not start; holds its last words.
        """
        for event in await self.start(specs):
            if event.state == ChildState.FAILED:
                raise StateError(
                    f"{event.name} did not start ({event.why})",
                    hint=f"its log is {self._children[event.name].log.path}",
                    log_lines=event.log_lines,
                )

    async def stop(self, groups: Iterable[Sequence[str]], grace: float) -> None:
        """Stop children group after group, those of a group side by side; after `grace` seconds each is killed."""
        for names in groups:
            children = {name: self._children[name] for name in names if name in self._children}
            await asyncio.gather(*(child.stop(grace) for child in children.values()))
            for name in children:  # not before: a stop that is cancelled leaves them to the next one
                del self._children[name]

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(ROTATE_SECONDS)
            for child in list(self._children.values()):
                await asyncio.to_thread(child.log.rotate)
