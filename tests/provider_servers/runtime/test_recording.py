"""From WAV that arrives in pieces to windows of its samples."""

from __future__ import annotations

import struct

import pytest

from automarket.errors import InputEmpty, MediaInvalid
from automarket.media.wav import wav_header
from provider_servers.runtime.recording import windows_of
from provider_servers.runtime.samples import MAX_HEADER_BYTES

SECOND = 32_000
SOUND = bytes(range(256)) * 1000  # 8 s


async def cut(data, seconds, folder, step=7000):
    async def pieces():
        for begin in range(0, len(data), step):
            yield data[begin : begin + step]

    return [window async for window in windows_of(pieces(), seconds, folder)]


@pytest.mark.parametrize("step", [1, 43, 44, 45, 7000, 1_000_000])
@pytest.mark.parametrize("size", [None, len(SOUND)])
async def test_all_samples_are_in_the_windows_however_they_come(size, step, tmp_path):
    found = await cut(wav_header(16_000, 1, size) + SOUND, 5, tmp_path, step)
    assert b"".join(one.sound for one in found) == SOUND
    assert len(found) == 2
    assert (found[0].start, found[-1].end) == (0, 8)


async def test_with_no_bound_all_of_it_is_one_window_in_a_file(tmp_path):
    [window] = await cut(wav_header(16_000, 1) + SOUND, 0, tmp_path)
    assert (window.start, window.end) == (0, 8)
    assert window.sound.read_bytes() == SOUND


async def test_what_is_around_the_samples_is_no_sound(tmp_path):
    notes = b"LIST" + struct.pack("<I", 4) + b"note"
    header = wav_header(16_000, 1, len(SOUND))
    [window] = await cut(header[:36] + notes + header[36:] + SOUND + notes, 60, tmp_path)
    assert window.sound == SOUND


@pytest.mark.parametrize("seconds", [0, 60])
async def test_no_sound_is_an_error(seconds, tmp_path):
    with pytest.raises(InputEmpty):
        await cut(wav_header(16_000, 1, 0), seconds, tmp_path)


@pytest.mark.parametrize(
    "data",
    [b"RIFF", wav_header(16_000, 1)[:40], bytes(2 * MAX_HEADER_BYTES), wav_header(16_000, 1, len(SOUND)) + SOUND[:-99]],
)
async def test_what_is_no_whole_wav_is_refused(data, tmp_path):
    with pytest.raises(MediaInvalid):
        await cut(data, 60, tmp_path)


async def test_who_stops_early_closes_the_source(tmp_path):
    closed = []

    async def pieces():
        try:
            yield wav_header(16_000, 1)
            while True:
                yield bytes(SECOND)
        finally:
            closed.append(True)

    windows = windows_of(pieces(), 5, tmp_path)
    await anext(windows)
    await windows.aclose()
    assert closed == [True]
