"""One call from its header to its last event, for authors' code of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time

import pytest

from automarket.errors import BackendFailed, ChunkTooLarge, InternalFault, InvalidRequestError, StoreUnavailable
from automarket.media.wav import wav_header
from provider_servers.runtime import Media, Progress, Segment, Started, TextDelta, TextResult, Usage, run
from provider_servers.runtime.testing import Sample, chunk, chunks_of, serving
from tests.provider_servers.runtime.toys import SOUND, Toy

HELLO = Sample({"text": "hello"})


def kinds(events):
    return [event.WhichOneof("event") for event in events]


def only(events, name):
    [found] = [getattr(event, name) for event in events if event.HasField(name)]
    return found


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def run_once(work, sample=HELLO, **given):
    async with serving(Toy(work, **given)) as served:
        return await served.run(sample)


async def test_tokens_add_up_to_the_text():
    async def work(call):
        yield TextDelta(("Hel", "lo"))
        yield TextDelta((" you",))
        yield TextResult(language="en", confidence=0.5)

    events = await run_once(work)
    assert [kind for kind in kinds(events) if kind != "text_delta"] == [
        *("accepted", "output_started", "output_finished", "finished")
    ]
    # What waits while other text is sent goes with the next event.
    assert [token for event in events for token in event.text_delta.tokens] == ["Hel", "lo", " you"]
    done = only(events, "output_finished")
    assert (done.digest, done.size_bytes) == (sha256(b"Hello you"), 9)
    assert (done.language, done.confidence, done.stored) == ("en", 0.5, False)


async def test_segments_are_joined_by_spaces():
    async def work(call):
        yield Segment(0.0, 0.5, "one two")
        yield Segment(0.75, 1.25, "three", confidence=0.25)

    events = await run_once(work)
    assert only(events, "output_finished").digest == sha256(b"one two three")
    second = events[3].segment
    assert (second.start.ToMilliseconds(), second.end.ToMilliseconds(), second.confidence) == (750, 1250, 0.25)


async def test_what_is_accepted_and_how_long_it_took_is_said():
    async def work(call):
        await asyncio.sleep(0.2)
        yield TextDelta(("x",))
        yield Usage("token", 3, 1, cost=0.5, currency="EUR")

    events = await run_once(work)
    accepted = only(events, "accepted")
    assert (accepted.provider_id, accepted.model_id) == ("toy", "echo")
    assert accepted.instance_id.startswith("toy-")
    stages = {one.stage: one.elapsed.ToMilliseconds() for one in events[-1].finished.stages}
    assert stages["running"] >= 200
    assert only(events, "usage").cost == 0.5


async def test_a_call_is_accepted_before_its_first_result_only_when_the_author_says_so():
    go_on = asyncio.Event()

    async def work(call):
        yield Started()
        await go_on.wait()
        yield TextDelta(("x",))

    async with serving(Toy(work)) as served:
        events = served.stream(served.header(HELLO), chunks_of(HELLO))
        assert (await anext(events)).HasField("accepted")
        go_on.set()
        assert [event async for event in events][-1].HasField("finished")


async def test_silence_is_broken_by_progress_that_keeps_its_phase(monkeypatch):
    monkeypatch.setattr(run, "SILENCE_SECONDS", 0.1)

    async def work(call):
        yield Progress("loading", 0.5, "half")
        await asyncio.sleep(0.35)
        yield TextDelta(("x",))

    events = await run_once(work)
    shown = [event.progress for event in events if event.HasField("progress")]
    assert len(shown) >= 3
    assert {one.phase for one in shown} == {"loading"}
    assert (shown[0].fraction, shown[0].message) == (0.5, "half")
    assert not shown[1].HasField("fraction")


async def test_an_end_without_an_output_is_no_success():
    async def work(call):
        yield Progress("running")

    with pytest.raises(BackendFailed, match="no output"):
        await run_once(work)


async def test_an_output_without_a_byte_is_no_success(tmp_path):
    empty = tmp_path / "empty.wav"
    empty.touch()

    async def work(call):
        yield Media("audio", "audio/wav", empty)

    with pytest.raises(BackendFailed, match="empty"):
        await run_once(work)


async def test_a_bug_of_the_author_is_not_shown_to_the_caller(caplog):
    async def work(call):
        yield TextDelta(("x",))
        raise KeyError("sesame")

    async with serving(Toy(work)) as served:
        with pytest.raises(InternalFault) as caught:
            await served.run(HELLO)
        assert "sesame" not in str(caught.value)
        assert served.server.active_calls == 0


async def test_an_error_of_the_author_arrives_as_it_is():
    async def work(call):
        call.log("line one")
        yield TextDelta(("x",))
        raise BackendFailed("the engine fell over", hint="pick it up", metadata={"exit_code": "3"}, retry_after=2)

    with pytest.raises(BackendFailed) as caught:
        await run_once(work)
    assert (caught.value.message, caught.value.hint) == ("the engine fell over", "pick it up")
    assert (caught.value.metadata["exit_code"], caught.value.retry_after) == ("3", 2)


async def test_media_is_sent_as_it_is_made_and_described_in_the_end(media):
    sound = media.speech_wav().read_bytes()[44:]

    async def made():
        yield wav_header(16_000, 1, len(sound))
        yield sound

    async def work(call):
        yield Media("audio", "audio/wav", made())

    events = await run_once(work)
    pieces = [event.output_chunk for event in events if event.HasField("output_chunk")]
    data = b"".join(piece.data for piece in pieces)
    assert [piece.offset_bytes for piece in pieces] == [0, 44, *range(44 + 262_144, len(data), 262_144)]
    done = only(events, "output_finished")
    assert (done.digest, done.size_bytes, done.stored) == (sha256(data), len(data), False)
    assert done.media_info.audio.sample_rate_hertz == 16_000


async def test_an_input_is_cast_while_it_arrives_and_the_cast_is_told(media):
    heard = []

    async def work(call):
        one = call.input("audio")
        heard.append((one.media_type, await one.data()))
        yield Media("audio", "audio/wav", _again(heard[-1][1]))

    events = await run_once(work, Sample({"audio": media.tone_wav()}), model=SOUND)
    [(media_type, data)] = heard
    assert media_type == "audio/wav"
    assert data[:4] == b"RIFF"
    assert len(data) == pytest.approx(32_000, rel=0.1)
    [cast] = only(events, "accepted").casts
    assert (cast.slot, cast.spec.audio.sample_rate_hertz) == ("audio", 16_000)


async def _again(data):
    yield data


async def test_the_author_sees_at_most_the_callers_deadline():
    left = []

    async def work(call):
        left.append(call.deadline)
        yield TextDelta(("x",))

    async with serving(Toy(work)) as served:
        for _ in range(25):
            await served.transform(served.header(HELLO), chunks_of(HELLO), timeout=2)
        await served.transform(served.header(HELLO), chunks_of(HELLO), timeout=None)
    assert all(1 < seconds <= 2 for seconds in left[:25])
    assert left[25] is None


async def test_a_cancel_closes_the_author_and_the_source_of_its_sound():
    closed = []

    async def endless():
        try:
            yield wav_header(16_000, 1)
            while True:
                yield bytes(32_000)
                await asyncio.sleep(0.01)
        finally:
            closed.append("sound")

    async def work(call):
        try:
            yield Media("audio", "audio/wav", endless())
        finally:
            closed.append("author")

    async with serving(Toy(work)) as served:
        for _ in range(25):
            closed.clear()
            async with contextlib.aclosing(served.stream(served.header(HELLO), chunks_of(HELLO))) as events:
                async for event in events:
                    if event.HasField("output_chunk"):
                        break
            begin = time.monotonic()
            while served.server.active_calls:
                assert time.monotonic() - begin < 0.5
                await asyncio.sleep(0.01)
            assert closed == ["sound", "author"]


async def test_the_folder_of_a_call_is_gone_when_it_ends():
    folders = []

    async def work(call):
        folders.append(call.workdir)
        (call.workdir / "sub").mkdir()
        (call.workdir / "sub" / "file").write_text("x")
        assert call.workdir.stat().st_mode & 0o077 == 0
        yield TextDelta(("x",))
        if len(folders) == 2:
            raise BackendFailed("no")

    async with serving(Toy(work)) as served:
        await served.run(HELLO)
        with pytest.raises(BackendFailed):
            await served.run(HELLO)
    assert not any(folder.exists() for folder in folders)


async def test_a_slow_author_slows_its_caller():
    sent = []
    go_on = asyncio.Event()

    async def chunks():
        for number in range(64):
            sent.append(number)
            yield chunk(b"x " * 500_000, offset=number * 1_000_000, last=number == 63)

    async def work(call):
        yield Started()
        await go_on.wait()
        total = 0
        async for piece in call.input("text").chunks():
            total += len(piece)
        yield TextDelta((str(total),))

    async with serving(Toy(work)) as served:
        task = asyncio.create_task(served.transform(served.header(HELLO), chunks()))
        await asyncio.sleep(1)
        assert len(sent) < 20
        go_on.set()
        assert "64000000" in [token for event in await task for token in event.text_delta.tokens]


async def test_those_who_wait_see_how_many_are_ahead():
    go_on = asyncio.Event()

    async def work(call):
        yield Started()
        await go_on.wait()
        yield TextDelta(("x",))

    async with serving(Toy(work)) as served:
        tasks = [asyncio.create_task(served.run(HELLO)) for _ in range(2)]
        async with asyncio.timeout(5):
            while served.server.active_calls < 2:  # noqa: ASYNC110 - nothing tells that a call has begun
                await asyncio.sleep(0.01)
        waiting = [served.stream(served.header(HELLO), chunks_of(HELLO)) for _ in range(2)]
        first = [(await anext(events)).progress for events in waiting]
        assert [(one.phase, one.message) for one in first] == [
            ("queued", "queued, 0 ahead"),
            ("queued", "queued, 1 ahead"),
        ]
        go_on.set()
        for events in waiting:
            assert kinds([event async for event in events])[-1] == "finished"
        await asyncio.gather(*tasks)


async def test_what_needs_the_store_says_so_where_there_is_none():
    async def work(call):
        yield TextDelta((await call.input("text").text(),))

    async with serving(Toy(work)) as served:
        first = served.header(HELLO)
        first.header.inputs[0].digest = "sha256:" + "0" * 64
        with pytest.raises(StoreUnavailable):
            await served.transform(first)


async def test_headers_that_are_too_large_are_refused():
    async def work(call):
        yield TextDelta(("x",))

    async with serving(Toy(work)) as served:
        first = served.header(HELLO)
        first.header.inputs[0].inline = b"x" * (64 * 1024 + 1)
        with pytest.raises(ChunkTooLarge) as caught:
            await served.transform(first)
        assert list(caught.value.fields) == ["header.inputs[0].inline"]
        first = served.header(HELLO)
        del first.header.inputs[:]
        for _ in range(257):
            first.header.inputs.add().inline = b"x"
        with pytest.raises(InvalidRequestError):
            await served.transform(first)
        first = served.header(HELLO)
        first.header.request_id = "not a uuid"
        with pytest.raises(InvalidRequestError) as caught:
            await served.transform(first)
        assert list(caught.value.fields) == ["header.request_id"]
