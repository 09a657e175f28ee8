"""Which moments of a video become pictures."""

from __future__ import annotations

import pytest

from automarket.errors import InputUnsuitable, OptionInvalid
from provider_servers.ffmpeg.moments import choose_moments


@pytest.mark.parametrize(
    ("options", "duration", "moments"),
    [
        ({}, None, [0.0]),
        ({"times": []}, 3.0, [0.0]),
        ({"times": [2.5, 0.0, 3.0]}, 3.0, [2.5, 0.0, 3.0]),
        ({"interval": 1.0}, 3.0, [0.0, 1.0, 2.0]),
        ({"interval": 1.0}, 3.2, [0.0, 1.0, 2.0, 3.0]),
        ({"interval": 10.0}, 3.0, [0.0]),
        ({"count": 2}, 4.0, [1.0, 3.0]),
    ],
)
def test_the_options_choose_the_moments(options, duration, moments):
    assert choose_moments(options, duration) == moments


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"times": [1.0], "count": 2}, "count"),
        ({"interval": 1.0, "count": 2}, "count"),
        ({"times": [1.0, 3.1]}, "times[1]"),
        ({"interval": 0.001}, "interval"),
    ],
)
def test_options_that_cannot_be_met_are_named(options, field):
    with pytest.raises(OptionInvalid) as caught:
        choose_moments(options, 3.0)
    assert list(caught.value.fields) == [f"header.video_to_image.{field}"]


def test_spreading_pictures_needs_the_play_time():
    with pytest.raises(InputUnsuitable, match="does not say how long"):
        choose_moments({"count": 3}, None)
