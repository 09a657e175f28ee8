"""Anything at all, in great numbers: the relay's core neither fails nor hangs nor keeps, and what it says is valid."""

from __future__ import annotations

import gc
import random
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.relay.limits import Limits
from tests.support import h2
from tests.support.fuzzing import Checker, End, Fuzzer, SocketlessWorker

KINDS = st.integers(0, 12)
STREAMS = st.sampled_from([0, 1, 1, 1, 2, 3, 5, 2**31 - 1, 2**31, 2**31 + 1])
BLOCK = h2.block(h2.request())
PAYLOADS = st.one_of(
    st.just(b""),
    st.just(BLOCK),
    st.just(BLOCK[:30]),
    st.just(BLOCK[30:]),
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1).map(lambda value: value.to_bytes(4, "big")),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2**32 - 1)), max_size=3).map(
        lambda pairs: h2.settings(*pairs)[9:]
    ),
    st.just(bytes(8)),
    st.just(bytes(16384)),
)
FRAMES = st.lists(st.builds(h2.frame, KINDS, st.integers(0, 255), STREAMS, PAYLOADS), max_size=20)


@given(FRAMES, st.integers(1, 50))
@settings(max_examples=400, deadline=None)
def test_any_frames_are_answered_with_valid_frames_however_they_are_cut(frames, cut):
    whole, said = h2.PREFACE + h2.settings() + b"".join(frames), []
    for size in (len(whole), cut):
        worker = SocketlessWorker(Limits())
        client = End(worker, worker.accept(), Checker(is_server=False))
        written = bytearray()
        for at in range(0, len(whole), size):
            if client.is_open:
                client.checker.sent(whole[at : at + size])
                client.receive(whole[at : at + size])
                written += client.transport.written
                client.take()
        said.append(bytes(written))
        client.lose()
        assert not worker.sessions
        assert worker.shared.stats.queued == 0
    assert said[0] == said[1]


@pytest.mark.parametrize("harm", [0, 0.01, 0.2], ids=["as sent", "a little damaged", "much damaged"])
@pytest.mark.parametrize("seed", range(10))
def test_sessions_of_anything_end_with_nothing_kept(seed, harm):
    fuzzer = Fuzzer(random.Random(seed), harm)
    fuzzer.run(400)
    fuzzer.finish()


def _resident_mebibytes() -> float:
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_millions_of_frames_neither_stop_the_core_nor_make_it_grow():
    frames, grown = 0, []
    for seed in range(10**9):
        fuzzer = Fuzzer(random.Random(f"soak {seed}"), (0, 0.005, 0.05, 0.3)[seed % 4])
        fuzzer.run(2000)
        fuzzer.finish()
        frames += fuzzer.frames
        if seed in (40, 160):
            grown.append(_resident_mebibytes())
        if frames > 2_000_000:
            break
    assert len(grown) == 2
    assert grown[1] - grown[0] < 10, f"{grown} MiB"
