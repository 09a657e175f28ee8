"""The decoder over samples, in this process."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from provider_servers.pocketsphinx.engine import BYTES_A_SECOND, HARD_SECONDS, Listener, make_decoder
from tests.support.require import require
from tests.support.words import word_error_rate

EXAMPLES = Path(__file__).resolve().parent.parent.parent.parent / "examples"


def samples(path):
    require("ffmpeg")
    command = ["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def decoder():
    require("pocketsphinx")
    return make_decoder()


def listen(decoder, sound, step=BYTES_A_SECOND // 10):
    listener = Listener(decoder)
    heard = [one for begin in range(0, len(sound), step) for one in listener.hear(sound[begin : begin + step])]
    return heard + list(listener.finish())


def text_of(utterances):
    return " ".join(one.text for one in utterances)


def test_a_talk_is_understood_sentence_by_sentence(decoder):
    heard = listen(decoder, samples(EXAMPLES / "talk.mp4"))
    assert word_error_rate((EXAMPLES / "talk.txt").read_text(), text_of(heard)) < 0.10
    assert len(heard) >= 8


def test_words_lie_one_after_another_within_the_sound(decoder, media):
    sound = samples(media.speech_wav())
    words = [word for one in listen(decoder, sound) for word in one.words]
    assert 0 <= words[0].start < 0.5
    assert words[-1].end <= len(sound) / BYTES_A_SECOND
    assert all(word.start < word.end for word in words)
    assert all(one.end <= other.start + 0.01 for one, other in itertools.pairwise(words))
    assert all(0 <= word.confidence <= 1 for word in words)


def test_equal_sound_gives_equal_words_whatever_was_heard_before(decoder, media):
    sound = samples(media.speech_wav())
    first = listen(decoder, sound)
    listen(decoder, samples(EXAMPLES / "talk.mp4")[: 5 * BYTES_A_SECOND])
    assert listen(decoder, sound, step=7777) == first


def test_speech_without_a_pause_is_cut_and_still_understood(decoder, media, tmp_path):
    require("flite")
    text = (EXAMPLES / "talk.txt").read_text()
    wav = tmp_path / "fluent.wav"
    subprocess.run(["flite", "-voice", "rms", "-t", text, "-o", wav], check=True)
    heard = listen(decoder, samples(wav))
    assert len(heard) >= 4
    assert max(one.end - one.start for one in heard) <= HARD_SECONDS + 1
    assert word_error_rate(text, text_of(heard)) < 0.10


def test_noise_without_a_quiet_moment_is_cut_all_the_same(decoder, tmp_path):
    require("ffmpeg", "flite")
    speech, noisy = tmp_path / "speech.wav", tmp_path / "noisy.wav"
    text = (EXAMPLES / "talk.txt").read_text()
    subprocess.run(["flite", "-voice", "rms", "-t", text, "-o", speech], check=True)
    mix = "[1]volume=0.05[noise];[0][noise]amix=duration=shortest:normalize=0"
    noise = ["-f", "lavfi", "-i", "anoisesrc=r=16000:color=pink:seed=1"]
    command = ["ffmpeg", "-v", "error", "-i", speech, *noise, "-filter_complex", mix, "-ac", "1", noisy]
    subprocess.run(command, check=True)
    heard = listen(decoder, samples(noisy))
    assert max(one.end - one.start for one in heard) <= HARD_SECONDS + 1


@pytest.mark.parametrize("sound", [b"", b"\0", b"\0\0", bytes(2 * BYTES_A_SECOND), bytes(12_345)])
def test_silence_has_no_words(decoder, sound):
    assert listen(decoder, sound) == []
