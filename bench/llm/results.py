"""What a run brought, and keeping it in a file, so that the page can be made from it at any time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.results import Machine, rounded
from bench.rounds import Samples

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Results:
    """Everything.

    Attributes:
        machine: where it was measured.
        rounds: how many rounds counted.
        quick: the sizes were small: nothing was measured.
        samples: of all cases, by way.
        reading: tokens a second of processor time, by shape and by who reads, one a round.
        memory: most MiB of all processes of a way.
        cancels: milliseconds until the vendor's connection was closed, by vendor.
    """

    machine: Machine
    rounds: int
    quick: bool
    samples: Samples = field(default_factory=Samples)
    reading: dict[str, dict[str, list[float]]] = field(default_factory=dict[str, dict[str, list[float]]])
    memory: dict[str, float] = field(default_factory=dict[str, float])
    cancels: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def save(self, path: Path) -> None:
        """Write a file."""
        plain = {name: getattr(self, name) for name in ("rounds", "quick", "reading", "memory", "cancels")}
        plain |= {"machine": asdict(self.machine), "samples": self.samples.to_json()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rounded(plain), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file that `save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw |= {"machine": Machine(**raw["machine"]), "samples": Samples.from_json(raw["samples"])}
        return cls(**raw)
