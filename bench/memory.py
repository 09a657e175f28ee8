"""How much memory the gateway's data plane holds while assets of several sizes stream through it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.processes import peak_mebibytes
from bench.proxies import RELAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.bed import Bed

QUICK = (16, 32)
SIZES = (256, 1024)
LARGE = (8192,)


def measure(bed: Bed, sizes: tuple[int, ...], report: Callable[[str], None]) -> dict[int, float]:
    """Give by size in MiB the most memory, in MiB, of a new process through which so much went up and down."""
    peaks: dict[int, float] = {}
    for size in sizes:
        with contextlib.ExitStack() as stack:
            name = f"relay-{size}"
            bed.start(stack, RELAY, name)
            for case in ("up", "down"):
                bed.client.call(case, bed.addresses[name], mebibytes=size)
            peaks[size] = peak_mebibytes(bed.proxies[name].pid)
            del bed.addresses[name], bed.proxies[name]
        report(f"{size} MiB up and down: {peaks[size]:.1f} MiB")
    return peaks
