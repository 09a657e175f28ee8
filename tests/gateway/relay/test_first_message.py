"""The target in the first message, however it is cut, against the real protobuf classes."""

from __future__ import annotations

import gzip
import itertools
import struct
import zlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from automarket import capabilities
from automarket.assets.roles import Role
from automarket.errors import (
    AutoMarketError,
    InvalidRequestError,
    TargetMismatch,
    TargetMissing,
    TargetNotFirst,
)
from automarket.v1 import capability_pb2, media_pb2, model_pb2
from automarket.v1 import model_service_pb2 as pb
from gateway.relay import first_message
from gateway.relay.first_message import MAX_BYTES, FirstMessage, target_of
from gateway.relay.target import MAX_FALLBACKS, MAX_ROLES, Target
from gateway.relay.wire import message, number, text
from gateway.targets import target_from_proto

ENCODINGS = {b"identity": None, b"gzip": gzip.compress, b"deflate": zlib.compress}
NAMES = st.sampled_from(["", "tts", "TEXT_TO_SPEECH", "Text to speech", "chat", " "]) | st.text(
    st.characters(codec="utf-8"), max_size=30
)
ENUMS = st.integers(-3, 40) | st.integers(-(2**31), 2**31 - 1)


def framed(content: bytes, *, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(content)) + content


def sent(content: bytes, encoding: bytes = b"identity") -> bytes:
    """Give a message as a client sends it."""
    compress = ENCODINGS[encoding]
    return framed(compress(content), flag=1) if compress else framed(content)


def fed(pieces, encoding: bytes = b"identity") -> Target:
    """Give the target of a request that comes in pieces."""
    reader = FirstMessage(encoding)
    for piece in pieces:
        if (target := reader.feed(piece)) is not None:
            return target
    return reader.finish()


def outcome(make):
    """Give a target, or the class of the error."""
    try:
        return make()
    except AutoMarketError as error:
        return type(error)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


TARGETS = st.builds(
    model_pb2.Target,
    capability=ENUMS,
    capability_name=NAMES,
    model=NAMES,
    provider=NAMES,
    instance_id=NAMES,
    input_roles=st.lists(ENUMS, max_size=6),
    output_role=ENUMS,
    preferences=st.none()
    | st.builds(
        model_pb2.Preferences,
        local_only=st.booleans(),
        fallbacks=st.lists(st.builds(model_pb2.Fallback, model=NAMES, provider=NAMES), max_size=MAX_FALLBACKS),
    ),
)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@settings(max_examples=400, deadline=None)
@given(TARGETS, st.sampled_from(sorted(ENCODINGS)), CUTS, st.binary(max_size=400), st.binary(max_size=50))
def test_any_target_is_read_as_protobuf_reads_it(target, encoding, cuts, rest, later):
    request = pb.TransformRequest(target=target)
    request.chunk.data = rest
    data = sent(request.SerializeToString(), encoding) + later
    expected = outcome(lambda: target_from_proto(target))
    assert outcome(lambda: fed(cut(data, cuts), encoding)) == expected


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([*sorted(ENCODINGS), b"br", b""]), CUTS)
def test_noise_is_an_error_of_the_request(data, encoding, cuts):
    outcome(lambda: fed(cut(data, cuts), encoding))
    for content in (framed(data), framed(data, flag=1), framed(message(1, data))):
        whole = outcome(lambda content=content: fed([content], encoding))
        assert isinstance(whole, Target) or issubclass(whole, InvalidRequestError)
        if content[0] == 0:
            assert outcome(lambda content=content: fed(cut(content, cuts), encoding)) == whole


@settings(max_examples=1000)
@given(st.binary(max_size=60) | TARGETS.map(lambda target: target.SerializeToString()), CUTS, st.binary(max_size=4))
def test_what_is_read_is_what_protobuf_reads(data, cuts, noise):
    pieces = cut(data, cuts)
    for broken in (data, noise.join(pieces), b"".join(reversed(pieces))):
        try:
            found = outcome(lambda broken=broken: target_of(broken))
        except ValueError:
            continue
        try:
            expected = outcome(lambda broken=broken: target_from_proto(model_pb2.Target.FromString(broken)))
        except DecodeError:
            pytest.fail(f"protobuf refuses {broken!r}")
        assert found == expected or found is InvalidRequestError


def test_every_byte_may_come_alone():
    target = model_pb2.Target(model="m" * 300, provider="p", capability=4)
    for encoding in ENCODINGS:
        data = sent(pb.GetModelRequest(target=target).SerializeToString(), encoding)
        assert fed([data[at : at + 1] for at in range(len(data))], encoding) == target_from_proto(target)


def test_the_target_is_given_before_the_message_is_whole():
    request = pb.TransformRequest(target=model_pb2.Target(model="m"))
    written = request.SerializeToString()
    reader = FirstMessage()
    assert reader.feed(struct.pack(">BI", 0, 100 * 1024 * 1024) + written[:-1]) is None
    assert reader.feed(written[-1:]) == Target(model="m")
    assert reader.feed(b"more") == reader.finish() == Target(model="m")


def test_an_empty_target_asks_for_nothing():
    assert fed([framed(message(1, b""))]) == Target()


def test_parts_of_a_target_that_come_twice_are_merged():
    one = model_pb2.Target(
        model="a", preferences=model_pb2.Preferences(local_only=True, fallbacks=[model_pb2.Fallback(model="x")])
    ).SerializeToString()
    two = model_pb2.Target(
        model="b", preferences=model_pb2.Preferences(fallbacks=[model_pb2.Fallback(provider="y")])
    ).SerializeToString()
    expected = Target(model="b", local_only=True, fallbacks=(("x", ""), ("", "y")))
    assert target_of(one + two) == target_from_proto(model_pb2.Target.FromString(one + two)) == expected


def test_roles_may_be_packed_or_not():
    data = number(6, 5) + message(6, b"\x02\x63\x03") + number(6, 1)
    expected = Target(input_roles=("video", "audio", "speech", "text"))
    assert target_of(data) == target_from_proto(model_pb2.Target.FromString(data)) == expected


# The tables


def test_the_table_of_capabilities_is_the_contracts():
    known = [(capability.name, *capability.aliases) for capability in capabilities.ALL]
    assert [capability.number for capability in capabilities.ALL] == list(range(1, len(known) + 1))
    assert list(first_message._CAPABILITIES) == known
    for name, value in capability_pb2.Capability.items():
        expected = name.removeprefix("CAPABILITY_").lower().replace("_", "-") if value else ""
        assert target_of(number(1, value)).capability == expected


def test_the_table_of_roles_is_the_contracts():
    for name, value in media_pb2.Role.items():
        assert target_of(number(7, value)).output_role == (name.removeprefix("ROLE_").lower() if value else "")
    assert tuple(Role) == first_message._ROLES


def test_a_capability_is_normalised_as_everywhere():
    for name in ("tts", "Text to Speech", "CAPABILITY_TEXT_TO_SPEECH", " speech_synthesis "):
        assert target_of(number(1, 4) + text(2, name)).capability == name
    with pytest.raises(TargetMismatch) as caught:
        target_of(number(1, 4) + text(2, "stt"))
    assert list(caught.value.fields) == ["target.capability_name"]


# Refusals


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "content",
    [
        message(2, b"header") + message(1, text(3, "m")),
        message(9, bytes(100_000)),
        number(3, 1),
        message(1, text(3, "m" * MAX_BYTES)),
        b"\x0a\xff\xff\xff\x7f",
    ],
    ids=["another first", "a large one first", "a number first", "over the limit", "a length over the limit"],
)
def test_a_target_that_is_not_first_is_refused_with_the_way_out(content, encoding):
    data = sent(content, encoding)
    for pieces in ([data], [data[at : at + 1000] for at in range(0, len(data), 1000)]):
        with pytest.raises(TargetNotFirst) as caught:
            fed(pieces, encoding)
        for key in ("automarket-capability", "-model", "-provider", "-roles"):
            assert key in (caught.value.hint or "")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_target_may_reach_up_to_the_limit(encoding):
    around = MAX_BYTES - len(message(1, text(3, "m" * 10_000))) + 10_000
    for size, found in ((around, True), (around + 1, False)):
        content = message(1, text(3, "m" * size))
        assert len(content) == (MAX_BYTES if found else MAX_BYTES + 1)
        result = outcome(lambda content=content: fed([sent(content + bytes(9), encoding)], encoding))
        assert isinstance(result, Target) if found else result is TargetNotFirst


@pytest.mark.parametrize("pieces", [[], [b""], [framed(b"")], [framed(b"") + framed(b"\x0a\x00")]])
def test_a_call_without_a_message_names_nothing(pieces):
    with pytest.raises(TargetMissing):
        fed(pieces)


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_a_compressed_message_of_nothing_names_nothing(encoding):
    with pytest.raises(TargetMissing):
        fed([sent(b"", encoding)], encoding)


def test_a_message_of_nothing_is_refused_before_the_request_ends():
    with pytest.raises(TargetMissing):
        FirstMessage().feed(framed(b""))


WHOLE = message(1, text(3, "model"))


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (b"identity", b"\x00"),
        (b"identity", b"\x00\x00\x00\x00"),
        (b"identity", framed(WHOLE)[:-1]),
        (b"identity", framed(WHOLE[:-1]) + b"lmore"),  # the field is longer than its message
        (b"identity", b"\x02" + framed(WHOLE)[1:]),
        (b"identity", framed(b"\xff" * 100)),
        (b"identity", framed(bytes(10))),
        (b"identity", framed(b"\x0b" * 10)),
        (b"identity", framed(number(1, 5))),
        (b"identity", framed(b"\x0a" + b"\x80" * 100)),
        (b"identity", framed(message(1, b"\xff\xff\xff"))),
        (b"identity", framed(message(1, text(3, "")[:1] + b"\x02\xff\xfe"))),
        (b"identity", framed(message(1, message(8, b"\x12")))),
        (b"identity", framed(message(1, message(8, message(2, b"\x0a\x01\xff"))))),
        (b"identity", framed(message(1, message(6, b"\x80")))),
        (b"identity", framed(gzip.compress(WHOLE, mtime=0), flag=1)),
        (b"br", framed(WHOLE, flag=1)),
        (b"", framed(WHOLE, flag=1)),
        (b"gzip", framed(WHOLE, flag=1)),
        (b"gzip", framed(zlib.compress(WHOLE), flag=1)),
        (b"gzip", framed(gzip.compress(WHOLE, mtime=0)[:12], flag=1)),
        (b"gzip", framed(gzip.compress(WHOLE[:-1], mtime=0) + gzip.compress(WHOLE[-1:], mtime=0), flag=1)),
        (b"gzip", framed(gzip.compress(bytes(1_000_000), mtime=0), flag=1)),
        (b"deflate", framed(zlib.compress(WHOLE[:4]) + bytes(1000), flag=1)),
    ],
)
def test_what_is_no_message_is_refused(encoding, data):
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        with pytest.raises(InvalidRequestError) as caught:
            fed(pieces, encoding)
        assert type(caught.value) is InvalidRequestError


def test_an_uncompressed_message_of_a_compressed_call_is_read():
    for encoding in (b"gzip", b"br"):
        assert fed([framed(WHOLE)], encoding) == Target(model="model")


def test_more_fallbacks_or_roles_than_may_be_are_refused_by_field():
    for most, one, field in (
        (MAX_FALLBACKS, message(8, message(2, text(1, "m"))), "target.preferences.fallbacks"),
        (MAX_ROLES, number(6, 1), "target.input_roles"),
    ):
        assert target_of(one * most)
        with pytest.raises(InvalidRequestError) as caught:
            target_of(one * (most + 1))
        assert list(caught.value.fields) == [field]


# Bounds


def kept(reader: FirstMessage) -> int:
    return len(reader._prefix) + len(reader._held)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_more_is_kept_than_the_limit(encoding):
    content = message(1, text(3, "m" * (MAX_BYTES - 10))) + bytes(10)
    data = sent(content, encoding) + bytes(100_000)
    reader = FirstMessage(encoding)
    most = 0
    for at in range(0, len(data), 64):
        target = reader.feed(data[at : at + 64])
        most = max(most, kept(reader))
        if target is not None:
            break
    assert target is not None
    assert most <= MAX_BYTES + 5


def test_a_bomb_is_not_inflated():
    squeezing = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = message(1, text(3, "m"))[:1] + b"\x80\x80\x40"  # a target of 1 MiB
    data = squeezing.compress(content) + squeezing.compress(bytes(50_000_000)) + squeezing.flush()
    reader = FirstMessage(b"gzip")
    with pytest.raises(TargetNotFirst):
        reader.feed(framed(data, flag=1))
    assert kept(reader) <= MAX_BYTES + 5


def test_compressed_blocks_that_hold_nothing_come_to_an_end():
    nothing = b"\x00\x00\x00\xff\xff"  # a stored block of no bytes, and not the last one
    reader = FirstMessage(b"deflate")
    reader.feed(struct.pack(">BI", 1, 2**31) + b"\x78\x9c")
    with pytest.raises(TargetNotFirst):
        for _ in range(100):
            reader.feed(nothing * 200)
    assert kept(reader) == 5
