"""What is measured of language models: each case with its sizes, which are smaller where the other is slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.llm.bed import DIRECT, LITELLM, OURS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: for the command line.
        call: the client's name of it.
        title: for tables.
        unit: of the value.
        work: what processor time is given for one of.
        sizes: what the client is told, by way.
    """

    name: str
    call: str
    title: str
    unit: str
    work: str
    sizes: Mapping[str, Mapping[str, float]]


def cases(*, quick: bool = False) -> list[Case]:
    """Give all cases that are compared; the quick ones show that everything works and measure nothing."""
    many, few, each = (2_000, 100, 20) if quick else (100_000, 1_500, 150)
    asked, seldom = (10, 3) if quick else (200, 30)
    one = {DIRECT: {"streams": 1, "tokens": many}, OURS: {"streams": 1, "tokens": many}}
    streams = {way: {"streams": 32, "tokens": many // 10} for way in (DIRECT, OURS)}
    first = {way: {"count": asked} for way in (DIRECT, OURS)}
    one_title = f"One answer, as fast as it comes: {many:,} tokens ({few:,} by LiteLLM)"
    many_title = f"32 answers at once, {many // 10:,} tokens each ({each:,} by LiteLLM)"
    return [
        Case("one", "flat-out", one_title, "tokens/s", "token", {**one, LITELLM: {"streams": 1, "tokens": few}}),
        Case(
            "many", "flat-out", many_title, "tokens/s", "token", {**streams, LITELLM: {"streams": 32, "tokens": each}}
        ),
        Case("first", "first", "Time to the first token", "ms", "question", {**first, LITELLM: {"count": seldom}}),
    ]


def conversations(*, quick: bool = False) -> Mapping[str, float]:
    """Give the sizes of many conversations at once."""
    return {"streams": 20 if quick else 300, "rate": 20, "tokens": 40 if quick else 200}
