"""What words on the command line stand for, and how things are said."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from automarket.cli.exits import Exit, exit_of
from automarket.cli.inputs import parse_options
from automarket.cli.outputs import paths_for, subtitles
from automarket.cli.plain import clean, clock, seconds, size, to_json, to_plain
from automarket.client.events import Segment
from automarket.errors import BY_REASON, InvalidRequestError, MeshUnreachable, ModelUnknown, OptionUnknown, ProviderBusy
from automarket.service_status import ServiceState, ServiceStatus

SCHEMA = {"properties": {"voice": {"type": "string"}, "format": {"properties": {"container": {"type": "string"}}}}}


def test_options_are_json_where_they_can_be():
    words = ["speed=1.5", "times=[1, 2.5]", "word_timestamps=true", "prompt=hello there", "a=x=y"]
    assert parse_options(words, {}) == {
        "speed": 1.5,
        "times": [1, 2.5],
        "word_timestamps": True,
        "prompt": "hello there",
        "a": "x=y",
    }


def test_an_option_that_is_text_stays_text():
    assert parse_options(["voice=42", "format.container=1"], SCHEMA) == {"voice": "42", "format": {"container": "1"}}


def test_dots_reach_into_an_option():
    words = ["format.container=mp3", "format.channels=1"]
    assert parse_options(words, {}) == {"format": {"container": "mp3", "channels": 1}}


@pytest.mark.parametrize("words", [["speed"], ["=1"], ["format=1", "format.container=mp3"]])
def test_an_option_that_makes_no_sense_is_refused(words):
    with pytest.raises(InvalidRequestError):
        parse_options(words, {})


def test_several_outputs_get_numbers_or_a_folder(tmp_path):
    several: list = [object()] * 2
    assert [path.name for path in paths_for("frame.png", several)] == ["frame-001.png", "frame-002.png"]
    assert [path.name for path in paths_for("frame-%02d.png", several)] == ["frame-01.png", "frame-02.png"]
    assert paths_for("one.png", several[:1]) == [Path("one.png")]
    with pytest.raises(InvalidRequestError, match="there are 2 outputs"):
        paths_for("-", several)


def test_segments_become_subtitles():
    segments = [Segment(0, 0.5, 4.0625, "hello there"), Segment(0, 3661.0, 3662.5, "and again")]
    assert subtitles(segments, ".srt") == (
        "1\n00:00:00,500 --> 00:00:04,062\nhello there\n\n2\n01:01:01,000 --> 01:01:02,500\nand again\n"
    )
    assert subtitles(segments, ".vtt").startswith("WEBVTT\n\n1\n00:00:00.500 --> ")


def test_values_become_plain_json():
    status = ServiceStatus(ServiceState.READY, running=True, healthy=True, instances=())
    assert to_plain(status)["state"] == "ready"
    assert to_plain({"a": {Path("x")}, "b": frozenset("ab"), "c": dt.datetime(2026, 1, 2, tzinfo=dt.UTC)}) == {
        "a": ["x"],
        "b": ["a", "b"],
        "c": "2026-01-02T00:00:00+00:00",
    }
    assert to_json("é") == '"é"'


def test_what_others_say_cannot_steer_the_terminal():
    assert clean("a\x1b[2Jb\x07\x9b1m\tc\n") == "a[2Jb1m\tc\n"


def test_amounts_are_said_in_words():
    assert [size(count) for count in (0, 999, 1500, 3_100_000, 2**31)] == ["0 B", "999 B", "1.5 kB", "3.1 MB", "2.1 GB"]
    assert [seconds(amount) for amount in (0.126, 12.44, 125)] == ["0.13 s", "12.4 s", "2 min 5 s"]
    assert [clock(moment) for moment in (0, 64.55, 600)] == ["0:00.0", "1:04.5", "10:00.0"]


def test_every_error_has_an_exit_code_and_the_common_ones_their_own():
    for cls in BY_REASON.values():
        assert exit_of(cls("x")) not in (Exit.OK, Exit.USAGE)
    assert exit_of(MeshUnreachable("x")) == 3
    assert exit_of(ModelUnknown("x")) == 4
    assert exit_of(OptionUnknown("x")) == 5
    assert exit_of(ProviderBusy("x")) == 7
