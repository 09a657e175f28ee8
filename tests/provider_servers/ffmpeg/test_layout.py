"""Where, when and how large overlays lie."""

from __future__ import annotations

import pytest

from automarket.errors import OptionInvalid
from provider_servers.ffmpeg.layout import POSITIONS, Shown, place_all
from provider_servers.runtime.events import Resolution

BASE = Resolution(320, 180)
PICTURE = Shown(Resolution(64, 32), still=True)
CLIP = Shown(Resolution(64, 32), still=False, duration=2.0)


def place(wish, overlay=PICTURE):
    return place_all([wish], BASE, [overlay], 10.0)[0]


def test_an_overlay_without_wishes_lies_top_left_in_its_own_size_to_the_end():
    first, second = place_all([], BASE, [PICTURE, CLIP], 10.0)
    assert (first.x, first.y, first.size, first.start, first.end) == (0, 0, Resolution(64, 32), 0.0, 10.0)
    assert (second.index, second.end, second.opacity) == (1, 2.0, 1.0)


def test_every_named_position_touches_the_edges_it_names():
    corners = {name: (place({"position": name}).x, place({"position": name}).y) for name in POSITIONS}
    assert corners == {
        "top-left": (0, 0),
        "top": (128, 0),
        "top-right": (256, 0),
        "left": (0, 74),
        "center": (128, 74),
        "right": (256, 74),
        "bottom-left": (0, 148),
        "bottom": (128, 148),
        "bottom-right": (256, 148),
    }


def test_negative_numbers_count_from_the_far_edge():
    placed = place({"x": -100, "y": -50})
    assert (placed.x, placed.y) == (220, 130)


@pytest.mark.parametrize(
    ("wish", "size"),
    [
        ({"width": 32}, (32, 16)),
        ({"height": 64}, (128, 64)),
        ({"width": 10, "height": 10}, (10, 10)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_one_length_keeps_the_aspect_ratio(wish, size):
    assert place(wish).size == Resolution(*size)


@pytest.mark.parametrize(
    ("wish", "overlay", "window"),
    [
        ({"start": 3.0, "duration": 2.0}, PICTURE, (3.0, 5.0)),
        ({"start": 9.0, "duration": 5.0}, PICTURE, (9.0, 10.0)),
        ({"start": 3.0, "duration": 5.0}, CLIP, (3.0, 5.0)),
        ({"start": 3.0, "duration": 1.0}, CLIP, (3.0, 4.0)),
        ({"start": 9.5}, CLIP, (9.5, 10.0)),
    ],
)
def test_an_overlay_ends_with_its_wish_its_own_end_or_the_base(wish, overlay, window):
    placed = place(wish, overlay)
    assert (placed.start, placed.end) == window


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"start": 10.0}, "[0].start"),
        ({"x": 320}, "[0].x"),
        ({"y": 500}, "[0].y"),
        ({"x": -500}, "[0].x"),
        ({"x": 1, "position": "top"}, "[0].position"),
    ],
)
def test_an_overlay_that_would_never_be_seen_is_refused_by_its_field(wish, field):
    with pytest.raises(OptionInvalid) as caught:
        place(wish)
    assert list(caught.value.fields) == [f"header.video_composition.overlays{field}"]


def test_more_wishes_than_overlays_are_refused():
    with pytest.raises(OptionInvalid, match=r"overlays\[1\]: there are 1 overlays and 2 entries"):
        place_all([{}, {}], BASE, [PICTURE], 10.0)
