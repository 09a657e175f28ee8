"""What calls of fal.ai cost: before, by the vendor's list; after, by its count or by what was made."""

from __future__ import annotations

import pytest

from automarket.media.info import MediaInfo, VideoInfo
from provider_servers.fal.prices import estimate_of, pricing_of, usage_of
from provider_servers.runtime.estimates import InputFacts

PICTURE = MediaInfo("png", None, None, VideoInfo("png", 1024, 768))
FILM = MediaInfo("mp4", 5.04, None, VideoInfo("h264", 1280, 720, 24))


@pytest.mark.parametrize(
    ("unit", "billed", "count", "outputs", "units"),
    [
        ("images", None, 2, [PICTURE] * 2, 2),
        ("image", None, 2, [PICTURE], 2),  # one could not be downloaded, and was made
        ("megapixels", None, 2, [PICTURE] * 2, 2),
        ("video", None, 1, [FILM], 1),
        ("seconds", None, 1, [FILM], 5.04),
        ("seconds", 6.0, 1, [FILM], 6.0),
        ("GPU second", 3.5, 1, [FILM], 3.5),
        ("request", None, 1, [FILM], 1),
    ],
)
def test_what_was_used(unit, billed, count, outputs, units):
    [usage] = usage_of(pricing_of(unit, 0.1, "USD"), billed, count, outputs)
    assert (usage.output_units, usage.cost) == (units, pytest.approx(units * 0.1))
    assert usage.currency == "USD"


@pytest.mark.parametrize(
    ("pricing", "outputs"),
    [(None, [FILM]), (pricing_of("GPU second", 1, "USD"), [FILM]), (pricing_of("seconds", 1, "USD"), [])],
)
def test_a_cost_that_nobody_knows_is_not_made_up(pricing, outputs):
    [usage] = usage_of(pricing, None, 1, outputs)
    assert (usage.unit, usage.cost) == ("call", None)


@pytest.mark.parametrize(
    ("unit", "options", "facts", "rate", "cost", "at_least"),
    [
        ("image", {"count": 3}, {}, 0, 0.3, False),
        ("image", {}, {}, 0, 0.1, False),
        ("megapixels", {"count": 2, "width": 2000, "height": 1000}, {}, 0, 0.4, False),
        ("megapixels", {"count": 2}, {}, 0, 0.2, True),
        ("second", {"video_length": 5}, {}, 0, 0.5, False),
        ("second", {"num_frames": 180}, {}, 30, 0.6, False),
        ("second", {"num_frames": 80, "fps": 16}, {}, 0, 0.5, False),
        ("second", {}, {"video": [InputFacts(seconds=7)], "speech": [InputFacts(seconds=9)]}, 0, 0.9, False),
        ("second", {}, {"video": [InputFacts()]}, 0, None, True),
        ("GPU second", {}, {}, 0, None, True),
    ],
)
def test_what_a_call_would_cost(unit, options, facts, rate, cost, at_least):
    found = estimate_of(pricing_of(unit, 0.1, "USD"), options, facts, rate)
    assert (found.cost, found.at_least) == (None if cost is None else pytest.approx(cost), at_least)
    assert found.source == "vendor"


def test_without_a_price_there_is_no_estimate():
    assert estimate_of(None, {}, {}) is None
