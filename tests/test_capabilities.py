from __future__ import annotations

from collections import Counter

import pytest

from automarket import capabilities


@pytest.mark.parametrize(
    "name",
    ["speech-to-text", "transcription", "STT", "CAPABILITY_SPEECH_TO_TEXT", "Speech to text", " speech_to_text "],
)
def test_a_capability_is_found_by_every_way_of_writing_its_names(name):
    assert capabilities.find(name) is capabilities.by_number(2)
    assert capabilities.canonical_name(name) == "speech-to-text"


def test_names_of_third_parties_stand_for_themselves():
    assert capabilities.find("text-to-smell") is None
    assert capabilities.by_number(999) is None
    assert capabilities.canonical_name("Text to smell") == "text-to-smell"
    assert capabilities.lineage("text-to-smell") == ("text-to-smell",)


def test_children_are_what_their_parents_are():
    assert capabilities.lineage("speech-to-text") == ("speech-to-text", "audio-to-text")
    assert capabilities.is_a("stt", "audio-to-text")
    assert not capabilities.is_a("audio-to-text", "stt")
    for child in ("face-swap", "lip-sync", "video-upscale", "video-composition"):
        assert capabilities.is_a(child, "video-to-video")
    for child in ("tts", "text-to-music", "text-to-sound", "voice-cloning"):
        assert capabilities.is_a(child, "text-to-audio")
    assert capabilities.is_a("image-upscale", "image-to-image")


def test_no_name_stands_for_two_capabilities_and_every_parent_exists():
    names = Counter(name for one in capabilities.ALL for name in (one.name, *one.aliases))
    assert names.most_common(1)[0][1] == 1
    assert [one.number for one in capabilities.ALL] == list(range(1, len(capabilities.ALL) + 1))
    assert all(capabilities.find(one.parent) for one in capabilities.ALL if one.parent)
