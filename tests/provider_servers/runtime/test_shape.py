"""Speech as a WAV file that is given while it is made."""

from __future__ import annotations

import io
import wave

from provider_servers.runtime.shape import as_wav


async def pieces_of(*sizes):
    for size in sizes:
        yield bytes(size)


async def test_a_single_piece_has_its_size_in_the_header():
    file = b"".join([piece async for piece in as_wav(pieces_of(1000), 16000, single=True)])
    with wave.open(io.BytesIO(file)) as reader:
        assert reader.getnframes() == 500
    assert len(file) == 1044


async def test_several_pieces_have_no_size_in_the_header():
    file = b"".join([piece async for piece in as_wav(pieces_of(1000, 30002), 16000, single=False)])
    assert len(file) == 31046
    assert file[40:44] == b"\xff" * 4


async def test_a_size_that_is_known_before_stands_in_the_header():
    file = b"".join([piece async for piece in as_wav(pieces_of(600, 400), 24000, data_bytes=1000)])
    with wave.open(io.BytesIO(file)) as reader:
        assert (reader.getnframes(), reader.getframerate()) == (500, 24000)
    assert len(file) == 1044
