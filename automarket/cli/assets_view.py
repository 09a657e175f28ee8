"""Assets, as people read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from automarket.cli.plain import seconds, short_digest, size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automarket.cli.terminal import Terminal
    from automarket.media.info import MediaInfo
    from automarket.stored import StoredAsset


def print_list(screen: Terminal, found: Sequence[StoredAsset]) -> None:
    """Print a line for each asset."""
    rows = [
        (
            short_digest(asset.digest),
            size(asset.size_bytes),
            asset.media_type,
            asset.file_name or (asset.lineage.operation if asset.lineage else ""),
            f"{asset.created.astimezone():%Y-%m-%d %H:%M}",
        )
        for asset in found
    ]
    screen.table(("digest", "size", "type", "name or origin", "since"), rows)


def print_asset(screen: Terminal, asset: StoredAsset) -> None:
    """Print all that is known of an asset."""
    lineage = asset.lineage
    screen.facts(
        [
            ("digest", asset.digest),
            ("name", asset.file_name),
            ("size", f"{size(asset.size_bytes)} ({asset.size_bytes} bytes)"),
            ("type", asset.media_type),
            ("can play", ", ".join(sorted(asset.roles))),
            *(_media_facts(asset.media_info) if asset.media_info else ()),
            ("since", f"{asset.created.astimezone():%Y-%m-%d %H:%M:%S}"),
            ("last read", f"{asset.accessed.astimezone():%Y-%m-%d %H:%M:%S}"),
            (
                "made by",
                " ".join(filter(None, (lineage.operation, lineage.provider, lineage.model))) if lineage else "",
            ),
            ("options", _options(lineage.options) if lineage else ""),
            ("cost", f"{lineage.cost:g} {lineage.currency}" if lineage and lineage.cost is not None else ""),
            ("made from", "\n".join(lineage.parents) if lineage else ""),
            ("may be evicted", "yes, it can be made again" if asset.derived else ""),
        ]
    )


def print_lineage(screen: Terminal, steps: Sequence[StoredAsset]) -> None:
    """Print a line for each asset that led to the first one, itself included."""
    screen.table(("asset", "type", "made by", "options", "cost", "from"), [_step(one) for one in steps])


def _step(asset: StoredAsset) -> tuple[str, str, str, str, str, str]:
    made = asset.lineage
    name = short_digest(asset.digest)
    if made is None:
        return name, asset.media_type, f"uploaded {asset.file_name}".rstrip(), "", "", ""
    who = " ".join(filter(None, (made.operation, made.provider, made.model)))
    cost = "" if made.cost is None else f"{made.cost:g} {made.currency}"
    return name, asset.media_type, who, _options(made.options), cost, "\n".join(map(short_digest, made.parents))


def _options(options: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in options.items())


def _media_facts(info: MediaInfo) -> list[tuple[str, str]]:
    facts = [("plays", seconds(info.duration) if info.duration else "")]
    if info.video:
        rate = f", {info.video.frame_rate:g} a second" if info.video.frame_rate else ""
        facts.append(("picture", f"{info.video.codec}, {info.video.width} x {info.video.height}{rate}"))
    if info.audio:
        facts.append(("sound", f"{info.audio.codec}, {info.audio.sample_rate} Hz, {info.audio.channels} channels"))
    return facts
