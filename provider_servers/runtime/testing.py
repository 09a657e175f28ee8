"""Testing a provider: serve it for real, and check it against the contract that every provider has to keep.

In a test of yours:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_contract(check):
        async with serving(MyProvider()) as served:
            await check(served, Sample({"text": "hello"}))
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.errors import (
    AutoMarketError,
    CapabilityUnknown,
    ChunkTooLarge,
    DeadlineExceeded,
    DigestMismatch,
    HeaderMissing,
    HeaderRepeated,
    InputEmpty,
    InputIncomplete,
    InputOutOfOrder,
    InputTooLarge,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderBusy,
)
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.streams import BidiCall
from automarket.v1 import model_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.runtime.serve import ProviderServer
from provider_servers.runtime.workdir import WORKDIR_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping

    import grpc.aio

    from provider_servers.runtime.describe import Provider

CHUNK_BYTES = 64 * 1024
MAX_INLINE_BYTES = 64 * 1024
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One call that a provider answers well, and how to ask it wrongly.

    Attributes:
        inputs: for each slot, a text or a file.
        options: the model's own options, or typed ones by the name that the model's schema gives them.
        model: the model's id; empty takes the provider's first.
        bad_options: values that the model must refuse, by option.
    """

    inputs: Mapping[str, str | Path | tuple[Path, ...]]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    model: str = ""
    bad_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def pieces(self) -> list[tuple[str, bytes]]:
        """Give slot and bytes of each input, in order."""
        found: list[tuple[str, bytes]] = []
        for slot, given in self.inputs.items():
            files = given if isinstance(given, tuple) else (given,)
            found += [(slot, one.encode() if isinstance(one, str) else one.read_bytes()) for one in files]
        return found


class Served:
    """A provider that is served on a real socket."""

    def __init__(self, provider: Provider, server: ProviderServer, channel: grpc.aio.Channel) -> None:
        self.provider = provider
        self.server = server
        self.channel = channel

    def header(self, sample: Sample, **target: Any) -> pb.TransformRequest:
        """Make the first message: every input follows as chunks."""
        names = target or {"model": sample.model or self.provider.models()[0].id}
        header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
        header.model_options.update(dict(sample.options))
        for slot, _ in sample.pieces():
            header.inputs.add(slot=slot).stream.SetInParent()
        return pb.TransformRequest(target=model_pb2.Target(**names), header=header)

    async def stream(
        self,
        first: pb.TransformRequest,
        chunks: AsyncIterable[pb.TransformRequest] | None = None,
        timeout: float | None = PATIENCE_SECONDS,
    ) -> AsyncGenerator[transform_pb2.TransformEvent]:
        """Make one call; give its events as they come.

        Raises:
            AutoMarketError: it failed.
        """
        call = ModelServiceStub(self.channel).Transform(timeout=timeout)
        async with BidiCall[pb.TransformRequest, pb.TransformResponse](call, first, chunks) as stream:
            async for response in stream.responses():
                yield response.event

    async def transform(
        self,
        first: pb.TransformRequest,
        chunks: AsyncIterable[pb.TransformRequest] | None = None,
        timeout: float | None = PATIENCE_SECONDS,
    ) -> list[transform_pb2.TransformEvent]:
        """Make one call; give its events once it has ended.

        Raises:
            AutoMarketError: it failed.
        """
        async with contextlib.aclosing(self.stream(first, chunks, timeout)) as events:
            return [event async for event in events]

    async def generate(self, first: pb.TransformRequest) -> list[transform_pb2.TransformEvent]:
        """Make the same call in one message; give its events.

        Raises:
            AutoMarketError: it failed.
        """
        request = pb.GenerateRequest(target=first.target, header=first.header)
        with errors_mapped():
            call = ModelServiceStub(self.channel).Generate(request, timeout=PATIENCE_SECONDS)
            return [response.event async for response in call]

    async def send_nothing(self) -> None:
        """Make a call that ends without a message.

        Raises:
            AutoMarketError: it failed, as it should.
        """
        call = ModelServiceStub(self.channel).Transform(timeout=PATIENCE_SECONDS)
        await call.done_writing()
        with errors_mapped():
            async for _ in call:
                pass

    async def run(self, sample: Sample) -> list[transform_pb2.TransformEvent]:
        """Run the sample to its end."""
        return await self.transform(self.header(sample), chunks_of(sample))


@contextlib.asynccontextmanager
async def serving(provider: Provider, *registries: str) -> AsyncGenerator[Served]:
    """Serve a provider on a Unix socket for the time of the block, registered where that is wanted."""
    with tempfile.TemporaryDirectory(prefix="am-") as folder:
        server = ProviderServer(provider, [f"unix:{folder}/p.sock"], registries)
        [address] = await server.start()
        channel = open_channel(address)
        try:
            yield Served(provider, server, channel)
        finally:
            await channel.close()
            await server.stop(0)


def chunk(data: bytes, number: int = 0, offset: int = 0, *, last: bool = False, sha256: bytes = b"") -> Any:
    """Make one chunk message."""
    made = transform_pb2.InputChunk(input=number, offset_bytes=offset, data=data, last=last, sha256=sha256)
    return pb.TransformRequest(chunk=made)


async def chunks_of(sample: Sample) -> AsyncGenerator[pb.TransformRequest]:
    """Give all chunks of a sample."""
    for number, (_, data) in enumerate(sample.pieces()):
        for offset in range(0, len(data), CHUNK_BYTES):
            piece = data[offset : offset + CHUNK_BYTES]
            yield chunk(piece, number, offset, last=offset + CHUNK_BYTES >= len(data))


async def stalled(sample: Sample) -> AsyncGenerator[pb.TransformRequest]:
    """Give the first chunk of a sample and then nothing, for a long time."""
    _, data = sample.pieces()[0]
    yield chunk(data[: min(CHUNK_BYTES, max(1, len(data) // 2))])
    await asyncio.sleep(PATIENCE_SECONDS)


async def _these(*messages: pb.TransformRequest) -> AsyncGenerator[pb.TransformRequest]:
    for message in messages:
        yield message


# --- the checks ---


async def succeeds(served: Served, sample: Sample) -> None:
    """A good call ends with exactly one `finished`, its events numbered, every output begun and completed."""
    events = await served.run(sample)
    kinds = [event.WhichOneof("event") for event in events]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert kinds.count("finished") == 1, kinds
    assert kinds[-1] == "finished", kinds
    assert kinds.count("accepted") == 1, kinds
    begun = [event.output_started.output for event in events if event.HasField("output_started")]
    done = [event.output_finished for event in events if event.HasField("output_finished")]
    assert begun == list(range(len(begun)))
    assert sorted(one.output for one in done) == begun
    assert begun, "the call made no output"
    assert all(one.size_bytes and one.digest.startswith("sha256:") for one in done), done


async def answers_by_capability(served: Served, sample: Sample) -> None:
    """A call that names only the capability finds the model."""
    model = next(one for one in served.provider.models() if sample.model in ("", one.id))
    first = served.header(sample, capability_name=model.capabilities[0])
    events = await served.transform(first, chunks_of(sample))
    assert events[-1].HasField("finished")


async def answers_in_one_message(served: Served, sample: Sample) -> None:
    """`Generate` answers as `Transform` does, and refuses inputs that would follow as chunks."""
    first = served.header(sample)
    await _fails(InputIncomplete, served.generate(first))
    pieces = [data for _, data in sample.pieces()]
    if max(map(len, pieces)) > MAX_INLINE_BYTES:
        return
    for given, data in zip(first.header.inputs, pieces, strict=True):
        given.inline = data
    events = await served.generate(first)
    assert _summary(events) == _summary(await served.run(sample))


async def refuses_an_empty_stream(served: Served, sample: Sample) -> None:  # noqa: ARG001 - every check takes both
    """A stream without a message."""
    await _fails(HeaderMissing, served.send_nothing())


async def refuses_a_missing_header(served: Served, sample: Sample) -> None:  # noqa: ARG001
    """A chunk where the header belongs."""
    await _fails(HeaderMissing, served.transform(chunk(b"x")))


async def refuses_a_second_header(served: Served, sample: Sample) -> None:
    """A header where a chunk belongs."""
    first = served.header(sample)
    await _fails(HeaderRepeated, served.transform(first, _these(first)))


async def refuses_an_unknown_model(served: Served, sample: Sample) -> None:
    """A model that the provider lacks."""
    await _fails(ModelUnknown, served.transform(served.header(sample, model="no-such-model")))


async def refuses_an_unknown_capability(served: Served, sample: Sample) -> None:
    """A capability that the provider lacks."""
    await _fails(CapabilityUnknown, served.transform(served.header(sample, capability_name="text-to-smell")))


async def refuses_an_unknown_option(served: Served, sample: Sample) -> None:
    """An option that the model lacks; the field is named."""
    first = served.header(sample)
    first.header.model_options["no_such_option"] = 1
    error = await _fails(OptionUnknown, served.transform(first))
    assert "header.model_options.no_such_option" in error.fields


async def refuses_options_out_of_range(served: Served, sample: Sample) -> None:
    """Options with values that the model does not take; the field is named."""
    for name, value in sample.bad_options.items():
        first = served.header(sample)
        first.header.model_options.update({name: value})
        error = await _fails(OptionInvalid, served.transform(first))
        assert any(name in path for path in error.fields), error.fields


async def refuses_a_missing_input(served: Served, sample: Sample) -> None:
    """A header without inputs."""
    first = served.header(sample)
    del first.header.inputs[:]
    await _fails(InputIncomplete, served.transform(first))


async def refuses_inputs_out_of_order(served: Served, sample: Sample) -> None:
    """A chunk of an input that is not due, and a chunk that leaves a gap."""
    await _fails(InputOutOfOrder, served.transform(served.header(sample), _these(chunk(b"x", number=7))))
    await _fails(InputOutOfOrder, served.transform(served.header(sample), _these(chunk(b"x", offset=5))))


async def refuses_a_chunk_over_the_limit(served: Served, sample: Sample) -> None:
    """A chunk of more than 1 MiB."""
    await _fails(ChunkTooLarge, served.transform(served.header(sample), _these(chunk(bytes(1024 * 1024 + 1)))))


async def refuses_a_wrong_digest(served: Served, sample: Sample) -> None:
    """An input whose bytes are not those of its digest."""
    data = sample.pieces()[0][1][:1000]
    await _fails(
        DigestMismatch, served.transform(served.header(sample), _these(chunk(data, last=True, sha256=bytes(32))))
    )


async def refuses_more_than_was_declared(served: Served, sample: Sample) -> None:
    """An input that is longer than its header says."""
    first = served.header(sample)
    first.header.inputs[0].size_bytes = 1
    await _fails(InputTooLarge, served.transform(first, _these(chunk(b"more than one byte"))))


async def refuses_a_stream_that_ends_early(served: Served, sample: Sample) -> None:
    """A stream that ends before its input is complete."""
    data = sample.pieces()[0][1][:CHUNK_BYTES]
    await _fails(InputIncomplete, served.transform(served.header(sample), _these(chunk(data))))


async def refuses_an_empty_input(served: Served, sample: Sample) -> None:
    """An input without a byte."""
    everything = [chunk(b"", number, last=True) for number in range(len(sample.pieces()))]
    await _fails(InputEmpty, served.transform(served.header(sample), _these(*everything)))


async def stops_when_cancelled(served: Served, sample: Sample) -> None:
    """A cancel frees the provider within half a second, 25 times in a row, and leaves nothing behind."""
    before = _workdirs()
    for _ in range(25):
        task = asyncio.create_task(served.transform(served.header(sample), stalled(sample)))
        await _until(lambda: served.server.active_calls == 1, 10)
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await _until(lambda: served.server.active_calls == 0, 0.5)
    await _until(lambda: _workdirs() <= before, 1)


async def stops_at_the_deadline(served: Served, sample: Sample) -> None:
    """A call whose deadline passes ends as such, and frees the provider."""
    for _ in range(5):
        await _fails(DeadlineExceeded, served.transform(served.header(sample), stalled(sample), timeout=0.3))
        await _until(lambda: served.server.active_calls == 0, 0.5)


async def refuses_more_than_it_can_queue(served: Served, sample: Sample) -> None:
    """One call more than places and line hold is refused, with a time to try again."""
    room = served.provider.max_concurrent_calls + served.provider.max_queued_calls
    calls = [asyncio.create_task(served.transform(served.header(sample), stalled(sample))) for _ in range(room)]
    try:
        await _until(lambda: served.server.active_calls == room, 20)
        error = await _fails(ProviderBusy, served.transform(served.header(sample), stalled(sample)))
        assert error.retry_after
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    await _until(lambda: served.server.active_calls == 0, max(2, room / 25))
    assert (await served.run(sample))[-1].HasField("finished")


CHECKS: tuple[Callable[[Served, Sample], Awaitable[None]], ...] = (
    succeeds,
    answers_by_capability,
    answers_in_one_message,
    refuses_an_empty_stream,
    refuses_a_missing_header,
    refuses_a_second_header,
    refuses_an_unknown_model,
    refuses_an_unknown_capability,
    refuses_an_unknown_option,
    refuses_options_out_of_range,
    refuses_a_missing_input,
    refuses_inputs_out_of_order,
    refuses_a_chunk_over_the_limit,
    refuses_a_wrong_digest,
    refuses_more_than_was_declared,
    refuses_a_stream_that_ends_early,
    refuses_an_empty_input,
    stops_when_cancelled,
    stops_at_the_deadline,
    refuses_more_than_it_can_queue,
)


async def _fails(cls: type[AutoMarketError], call: Awaitable[Any]) -> AutoMarketError:
    try:
        events = await call
    except cls as error:
        return error
    raise AssertionError(f"{cls.__name__} was expected; the call ended well with {len(events)} events")


def _summary(events: list[transform_pb2.TransformEvent]) -> list[tuple[str, str]]:
    """Give what a call made, without what differs from run to run."""
    outputs = [(event.output_started.name, event.output_started.media_type) for event in events]
    return [pair for pair in outputs if any(pair)] + [(str(events[-1].WhichOneof("event")), "")]


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def _workdirs() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{WORKDIR_PREFIX}*"))
