"""What a run brought, and keeping it in a file, so that the page and the charts can be made from it at any time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from bench.rounds import Samples

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and with what was measured.

    Attributes:
        text: one sentence.
        transport: over what the calls went, in words.
        versions: of the proxies, by name.
        missing: what is not installed, and how to install it.
        load: how many processes wanted to run when the run began, before it started any: other people's work.
    """

    text: str
    transport: str
    versions: dict[str, str]
    missing: list[str]
    load: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything.

    Attributes:
        machine: where it was measured.
        rounds: how many rounds counted.
        quick: the sizes were small: nothing was measured.
        samples: of all cases.
        peaks: most memory of each proxy's processes in MiB.
        assets: most memory of a fresh gateway process in MiB, by the size in MiB of what was streamed through it.
        digest: seconds of giving a provider an input, by the way it was given.
    """

    machine: Machine
    rounds: int
    quick: bool
    samples: Samples
    peaks: dict[str, float] = field(default_factory=dict[str, float])
    assets: dict[int, float] = field(default_factory=dict[int, float])
    digest: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def save(self, path: Path) -> None:
        """Write a file."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain |= {"machine": asdict(self.machine), "samples": self.samples.to_json()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rounded(plain), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file that `save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw |= {"machine": Machine(**raw["machine"]), "samples": Samples.from_json(raw["samples"])}
        raw["assets"] = {int(size): peak for size, peak in raw["assets"].items()}
        return cls(**raw)


def rounded(value: Any) -> Any:
    """Cut figures to the digits that mean something."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [rounded(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value
