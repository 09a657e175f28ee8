"""Which samples of a voice are taken, and what the server gets of them."""

from __future__ import annotations

import array
import math

import pytest

from automarket.errors import InputEmpty, InputUnsuitable, MediaInvalid
from automarket.media.wav import wav_header
from provider_servers.chatterbox.sample import SAMPLE_RATE, read_sample
from tests.provider_servers.calls import only_field


def tone(seconds, loudness=8000):
    wave = (round(loudness * math.sin(n * 0.05)) for n in range(round(seconds * SAMPLE_RATE)))
    return array.array("h", wave).tobytes()


def test_the_server_gets_a_file_that_says_how_long_it_is():
    sound = tone(2)
    sample = read_sample(wav_header(SAMPLE_RATE, 1) + sound)
    assert sample.wav == wav_header(SAMPLE_RATE, 1, len(sound)) + sound
    assert sample.seconds == 2


def test_a_sample_has_a_name_of_its_own():
    one, other = read_sample(wav_header(SAMPLE_RATE, 1) + tone(2)), read_sample(wav_header(SAMPLE_RATE, 1) + tone(2.5))
    assert one.name != other.name
    assert one.name == read_sample(wav_header(SAMPLE_RATE, 1, 96000) + tone(2)).name
    assert len(one.name) == len("am-") + 32


@pytest.mark.parametrize(
    ("sound", "error", "words"),
    [
        (tone(0.9), InputUnsuitable, "plays for 0.9 s"),
        (bytes(3 * 48000), InputUnsuitable, "is silent: in its 3.0 s nobody is heard"),
        (tone(3, loudness=100), InputUnsuitable, "is silent"),
        (tone(0.3) + bytes(3 * 48000), InputUnsuitable, "is silent"),
        (b"", InputEmpty, "plays for 0 s"),
    ],
)
def test_what_no_voice_can_be_taken_from_is_refused(sound, error, words):
    with pytest.raises(error, match=words) as caught:
        read_sample(wav_header(SAMPLE_RATE, 1) + sound)
    assert only_field(caught.value) == "header.inputs.voice"


def test_what_is_no_sound_is_refused():
    with pytest.raises(MediaInvalid):
        read_sample(b"words")
