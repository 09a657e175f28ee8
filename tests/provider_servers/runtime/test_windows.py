"""Sound cut into windows: nothing is lost, none is too long, and the cut is where it is quiet."""

from __future__ import annotations

import math
import random
import tracemalloc
from array import array

import pytest

from provider_servers.runtime.windows import BYTES_A_SECOND, REST_SECONDS, SAMPLE_RATE, Cutter


def noise(seconds: float, level: int = 8000, offset: int = 0) -> bytes:
    chance = random.Random(level)
    tenth = array("h", (offset + chance.randint(-level, level) for _ in range(SAMPLE_RATE // 10))).tobytes()
    size = round(seconds * SAMPLE_RATE) * 2
    return (tenth * (size // len(tenth) + 1))[:size]


def silence(seconds: float) -> bytes:
    return bytes(round(seconds * SAMPLE_RATE) * 2)


def cut(sound: bytes, seconds: float, piece: int = 7000):
    cutter = Cutter(seconds)
    found = []
    for begin in range(0, len(sound), piece):
        found += cutter.add(sound[begin : begin + piece])
    return [*found, *cutter.finish()]


def check(sound: bytes, windows, seconds: float) -> None:
    assert b"".join(one.sound for one in windows) == sound
    end = 0.0
    for one in windows:
        assert one.start == pytest.approx(end)
        assert one.end == pytest.approx(one.start + len(one.sound) / BYTES_A_SECOND)
        assert len(one.sound) % 2 == 0
        assert 0 < len(one.sound) <= seconds * BYTES_A_SECOND
        end = one.end
    assert end == pytest.approx(len(sound) / BYTES_A_SECOND)


@pytest.mark.parametrize("piece", [2, 320, 7000, 1024 * 1024])
def test_the_cut_is_in_the_pause(piece):
    sound = noise(4.4) + silence(0.4) + noise(2)
    windows = cut(sound, 5.0, piece)
    check(sound, windows, 5.0)
    assert 4.4 < windows[0].end < 4.8


def test_of_two_pauses_the_later_one_is_taken_and_of_a_loud_and_a_quiet_one_the_quiet_one():
    alike = noise(4) + silence(0.4) + noise(0.3) + silence(0.4) + noise(3)
    assert 4.7 < cut(alike, 6.0)[0].end < 5.1
    unlike = noise(4) + noise(0.4, 20) + noise(0.3) + noise(0.4, 400) + noise(3)
    assert 4.0 < cut(unlike, 6.0)[0].end < 4.4


def test_a_pause_before_the_last_third_is_not_worth_a_short_window():
    windows = cut(noise(2) + silence(0.5) + noise(8), 6.0)
    assert windows[0].end >= 4.0


def test_an_offset_of_the_whole_recording_does_not_hide_the_pause():
    sound = noise(4.4, 3000, 9000) + array("h", [9000] * round(0.4 * SAMPLE_RATE)).tobytes() + noise(4, 3000, 9000)
    assert 4.4 < cut(sound, 5.0)[0].end < 4.8


def test_speech_without_a_pause_is_cut_all_the_same():
    sound = noise(31)
    windows = cut(sound, 5.0)
    check(sound, windows, 5.0)
    assert all(one.end - one.start >= 5.0 * 2 / 3 - 0.1 for one in windows[:-2])


def test_a_word_is_not_cut_where_the_speaker_takes_breath_between_words():
    sound = (noise(0.35, 9000) + noise(0.08, 60)) * 40
    windows = cut(sound, 5.0)
    check(sound, windows, 5.0)
    assert len(windows) >= 4
    for one in windows[:-1]:
        assert 0.35 <= one.end % 0.43 < 0.43, one.end


def test_silence_is_cut_into_windows_that_are_as_long_as_can_be():
    sound = silence(33)
    windows = cut(sound, 10.0)
    check(sound, windows, 10.0)
    assert len(windows) == 4
    assert windows[0].end > 9.5


@pytest.mark.parametrize("samples", [1, 2, 319, 321, 16_000])
def test_little_is_one_window(samples):
    sound = noise(samples / SAMPLE_RATE)
    windows = cut(sound, 5.0)
    check(sound, windows, 5.0)
    assert len(windows) == 1


def test_nothing_is_no_window():
    assert cut(b"", 5.0) == []


@pytest.mark.parametrize("more", [-2, 0, 2, 320, BYTES_A_SECOND - 2, BYTES_A_SECOND, BYTES_A_SECOND + 2])
@pytest.mark.parametrize("make", [noise, silence])
def test_about_one_window_leaves_no_scrap_over(make, more):
    sound = (make(5.0) + make(2.0))[: 5 * BYTES_A_SECOND + more]
    windows = cut(sound, 5.0)
    check(sound, windows, 5.0)
    assert len(windows) == (1 if more <= 0 else 2)
    assert all(one.end - one.start >= REST_SECONDS for one in windows)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_in_whatever_pieces_is_kept(seed):
    chance = random.Random(seed)
    seconds = chance.choice([1.0, 1.5, 5.0, 7.77])
    parts = [noise(chance.uniform(0, 3), chance.choice([0, 10, 9000])) for _ in range(chance.randint(1, 9))]
    sound = b"".join(parts)
    windows = cut(sound, seconds, chance.randrange(2, 300_000, 2))
    check(sound, windows, seconds)
    assert all(one.end - one.start >= seconds * 2 / 3 - 0.1 for one in windows[:-2])
    if len(windows) > 1:
        assert windows[-1].end - windows[-1].start >= min(REST_SECONDS, seconds / 2) - 1e-6


def test_pieces_do_not_change_where_it_is_cut():
    sound = b"".join(noise(1.3 + math.sin(number), 6000) + noise(0.3, 50) for number in range(12))
    ends = [[one.end for one in cut(sound, 5.0, piece)] for piece in (320, 7000, len(sound))]
    assert ends[0] == ends[1] == ends[2]


def test_a_long_recording_takes_the_memory_of_a_window():
    cutter = Cutter(10)
    minute = silence(60)
    list(cutter.add(minute))
    tracemalloc.start()
    try:
        for _ in range(15):
            for _ in cutter.add(minute):
                pass
        list(cutter.finish())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * len(minute)
