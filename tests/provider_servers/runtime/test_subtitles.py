"""Transcripts as documents."""

from __future__ import annotations

import json

import pytest

from automarket.assets.formats import by_media_type, detect
from provider_servers.runtime import Segment, Word
from provider_servers.runtime.subtitles import FORMS, render

HEARD = (
    Segment(0.0, 2.9, "hello there", 0.5, (Word(0.0, 1.25, "hello", 0.75), Word(1.3, 2.9, "there"))),
    Segment(3661.0405, 3662.9996, "arrows --> are\tnot times\nat all"),
)


def test_srt_is_as_whisper_writes_it():
    assert render("srt", HEARD) == (
        "1\n00:00:00,000 --> 00:00:02,900\nhello there\n\n"
        "2\n01:01:01,040 --> 01:01:03,000\narrows -> are not times at all\n\n"
    )


def test_vtt_has_hours_from_the_first_hour_on():
    assert render("vtt", HEARD) == (
        "WEBVTT\n\n00:00.000 --> 00:02.900\nhello there\n\n"
        "01:01:01.040 --> 01:01:03.000\narrows -> are not times at all\n\n"
    )


def test_a_table_has_thousandths_of_a_second():
    assert render("tsv", HEARD) == (
        "start\tend\ttext\n0\t2900\thello there\n3661040\t3663000\tarrows --> are not times at all\n"
    )


def test_json_has_everything():
    made = json.loads(render("json", HEARD, language="en"))
    assert (made["language"], made["text"]) == ("en", "hello there arrows --> are\tnot times\nat all")
    assert made["segments"][0] == {
        "id": 0,
        "start": 0.0,
        "end": 2.9,
        "text": "hello there",
        "confidence": 0.5,
        "words": [
            {"start": 0.0, "end": 1.25, "word": "hello", "probability": 0.75},
            {"start": 1.3, "end": 2.9, "word": "there", "probability": None},
        ],
    }
    assert made["segments"][1]["words"] is None


def test_text_is_joined_as_the_language_is_written():
    assert render("text", HEARD[:1] * 2, language="en") == "hello there hello there"
    assert render("text", (Segment(0, 1, "你好"), Segment(1, 2, "世界")), language="zh-CN") == "你好世界"
    assert render("text", ()) == ""


@pytest.mark.parametrize("form", ["srt", "vtt", "json"])
def test_what_is_made_is_of_its_media_type(form):
    made = detect(render(form, HEARD, language="en").encode())
    assert made == by_media_type(FORMS[form])


@pytest.mark.parametrize("form", FORMS)
def test_nothing_heard_is_a_document_too(form):
    assert render(form, ()) == {"text": "", "srt": "", "vtt": "WEBVTT\n\n", "tsv": "start\tend\ttext\n"}.get(
        form, '{"language": null, "segments": [], "text": ""}'
    )
