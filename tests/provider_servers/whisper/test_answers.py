"""What builds of the backend answer, in all their shapes."""

from __future__ import annotations

import json
import math

import pytest

from automarket.errors import BackendFailed
from provider_servers.whisper.answers import read_language, read_transcript

WORD = {"start": 0.0, "end": 0.4, "word": " hello", "probability": 0.8}
SEGMENT = {
    "id": 0,
    "seek": 0,
    "start": 0.0,
    "end": 2.9,
    "text": " hello there",
    "tokens": [1, 2],
    "avg_logprob": -0.3,
    "compression_ratio": 0.9,
    "no_speech_prob": 0.01,
    "words": [WORD],
    "temperature": 0.0,
}


def read(*segments, **more):
    return read_transcript(json.dumps({"language": "en", "segments": segments, "text": ""} | more))


def test_a_segment_is_read_whole():
    [one] = read(SEGMENT).segments
    assert (one.start, one.end, one.text) == (0.0, 2.9, " hello there")
    assert one.raw == SEGMENT
    [word] = one.words
    assert (word.start, word.end, word.text, word.confidence) == (0.0, 0.4, "hello", 0.8)


def test_confidence_is_the_likelihood_of_the_words_times_that_somebody_speaks():
    assert read(SEGMENT).segments[0].confidence == pytest.approx(math.exp(-0.3) * 0.99)


@pytest.mark.parametrize(
    ("changed", "confidence"),
    [
        ({"avg_logprob": 0.2, "no_speech_prob": 0}, 1),
        ({"avg_logprob": -1000}, 0),
        ({"no_speech_prob": 1}, 0),
        ({"no_speech_prob": None}, math.exp(-0.3)),
        ({"avg_logprob": math.nan}, None),
        ({"avg_logprob": None}, 0.8),
        ({"avg_logprob": None, "words": None}, None),
    ],
)
def test_confidence_is_a_share_or_not_said(changed, confidence):
    got = read(SEGMENT | changed).segments[0].confidence
    assert got == (confidence if confidence is None else pytest.approx(confidence))


def test_arrays_of_both_orders_are_read():
    newer = [*SEGMENT.values()]
    newer[9] = [[*WORD.values()]]
    older = [*newer[:6], 0.0, *newer[6:10]]
    wanted = read(SEGMENT).segments[0]
    for row in (newer, older):
        [one] = read(row).segments
        assert (one.text, one.end, one.confidence, one.words) == (
            wanted.text,
            wanted.end,
            wanted.confidence,
            wanted.words,
        )


def test_what_whisperx_says_is_read():
    word = {"word": "hello", "start": 0.1, "end": 0.4, "score": 0.9, "speaker": "SPEAKER_01"}
    number = {"word": "2026"}  # what it cannot place has no times
    said = {"start": 0.1, "end": 2, "text": "hello 2026", "words": [word, number], "speaker": "SPEAKER_01"}
    [one] = read_transcript(json.dumps({"segments": [said], "word_segments": []})).segments
    assert one.speaker == "SPEAKER_01"
    assert [(each.text, each.start, each.end) for each in one.words] == [("hello", 0.1, 0.4), ("2026", 0.1, 2)]
    assert one.confidence == pytest.approx(0.9)


def test_a_language_that_is_not_said_is_empty():
    assert read_transcript('{"segments": []}').language == ""
    assert read(language=None).language == ""


def test_times_never_run_backwards():
    [one] = read(SEGMENT | {"start": 3.0, "end": 1.0}).segments
    assert (one.start, one.end) == (3.0, 3.0)


@pytest.mark.parametrize("changed", [{"start": None}, {"end": "soon"}, {"start": math.nan}, {"words": 3}])
def test_a_segment_without_times_is_no_segment(changed):
    with pytest.raises(BackendFailed):
        read(SEGMENT | changed)


def test_a_language_is_read():
    found = read_language('{"detected_language":"english","language_code":"en","confidence":0.98}')
    assert (found.code, found.name, found.confidence) == ("en", "english", 0.98)
    assert read_language('{"language_code":"en"}').confidence is None
