"""Taking samples out of a WAV stream."""

from __future__ import annotations

import struct

import pytest

from automarket.errors import MediaInvalid
from automarket.media.wav import wav_header
from provider_servers.pocketsphinx.samples import MAX_HEADER_BYTES, samples


async def read(data, step=7):
    async def pieces():
        for begin in range(0, len(data), step):
            yield data[begin : begin + step]

    return b"".join([piece async for piece in samples(pieces())])


SOUND = bytes(range(256)) * 4


@pytest.mark.parametrize("step", [1, 7, 43, 44, 45, 10_000])
@pytest.mark.parametrize("size", [None, 0, len(SOUND)])
async def test_a_header_is_taken_off_however_it_is_cut(size, step):
    assert await read(wav_header(16_000, 1, size) + SOUND, step) == SOUND


async def test_what_comes_before_and_after_the_samples_is_no_sound():
    notes = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    header = wav_header(16_000, 1, len(SOUND))
    assert await read(header[:36] + notes + header[36:] + SOUND + notes) == SOUND


@pytest.mark.parametrize("data", [b"RIFF", b"RIFF....WAVE", wav_header(16_000, 1)[:40], bytes(2 * MAX_HEADER_BYTES)])
async def test_what_is_no_whole_header_is_refused(data):
    with pytest.raises(MediaInvalid):
        await read(data, 1000)


async def test_an_early_end_closes_the_source():
    closed = []

    async def pieces():
        try:
            while True:
                yield wav_header(16_000, 1) + SOUND
        finally:
            closed.append(True)

    flow = samples(pieces())
    await anext(flow)
    await flow.aclose()
    assert closed == [True]
