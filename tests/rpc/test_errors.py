"""Errors of the four kinds of calls, over real sockets."""

from __future__ import annotations

import logging

import grpc
import pytest

from automarket.errors import (
    AssetCorrupt,
    AutoMarketError,
    CallCancelled,
    Code,
    DeadlineExceeded,
    ExhaustedError,
    InternalFault,
    InvalidRequestError,
    MeshUnreachable,
    MethodUnknown,
    ModelUnknown,
    ProviderBusy,
    StateError,
    UnavailableError,
)
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.server import RpcServer
from automarket.rpc.streams import BidiCall
from automarket.v1 import asset_service_pb2, model_service_pb2
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub, add_ModelServiceServicer_to_server
from tests.rpc.serving import Models, asking, chunks, endless, header, serving


def walk(cls):
    return [cls, *(below for child in cls.__subclasses__() for below in walk(child))]


async def test_every_error_class_crosses_a_real_call_as_itself(short_dir):
    async with serving(short_dir) as (models, channel, _):
        for cls in walk(AutoMarketError):
            models.error = cls("wrong", hint="do", fields={"a": "b"}, retry_after=2, log_lines=("line",))
            with pytest.raises(AutoMarketError) as caught, errors_mapped({"address": "here"}):
                await ModelServiceStub(channel).GetModel(asking("x"))
            got = caught.value
            assert type(got) is cls
            assert (got.message, got.hint, got.fields, got.retry_after) == ("wrong", "do", {"a": "b"}, 2)
            assert got.log_lines == ("line",)
            assert got.metadata == {"retry": cls.retry, "address": "here"}


async def test_the_largest_error_arrives_every_time(short_dir):
    largest = ProviderBusy(
        "é" * 5000,
        hint="é" * 5000,
        retry_after=1,
        fields={f"field{n}": "é" * 500 for n in range(100)},
        metadata={f"key{n}": "é" * 500 for n in range(100)},
        log_lines=tuple("é" * 500 for _ in range(100)),
    )
    async with serving(short_dir) as (models, channel, _):
        models.error = largest
        for _ in range(50):
            with pytest.raises(ProviderBusy) as caught, errors_mapped():
                await ModelServiceStub(channel).GetModel(asking("x"))
            assert caught.value.log_lines


async def test_an_error_of_a_unary_call_arrives_with_its_details(short_dir):
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(ModelUnknown) as caught, errors_mapped():
            await ModelServiceStub(channel).GetModel(asking("x"))
    assert caught.value.hint == "automarket models"
    assert caught.value.fields == {"target.model": "unknown"}


async def test_an_error_inside_a_response_stream_arrives(short_dir):
    async with serving(short_dir) as (_, channel, _):
        received = 0
        with pytest.raises(ModelUnknown), errors_mapped():
            async for _ in ModelServiceStub(channel).Generate(model_service_pb2.GenerateRequest()):
                received += 1
    assert received == 1


async def test_an_error_of_a_client_stream_arrives(short_dir):
    async with serving(short_dir) as (_, channel, _):
        call = AssetServiceStub(channel).Write()
        request = asset_service_pb2.WriteRequest()
        request.header.file_name = "bad"
        await call.write(request)
        await call.done_writing()
        with pytest.raises(AssetCorrupt), errors_mapped():
            await call


async def test_an_error_of_a_bidirectional_call_arrives(short_dir):
    async with serving(short_dir) as (models, channel, _):
        models.error = ModelUnknown("no")
        async with BidiCall(ModelServiceStub(channel).Transform(), header("early"), chunks(1)) as call:
            with pytest.raises(AutoMarketError, match="wrong already"):
                await anext(call.responses())


async def test_a_bug_is_a_fixed_sentence_with_a_trace_id_that_the_log_has_too(short_dir, caplog):
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(InternalFault) as caught, errors_mapped():
            await ModelServiceStub(channel).GetModel(asking("bug"))
    assert "hunter2" not in str(caught.value)
    assert len(caught.value.metadata["trace_id"]) == 32
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info


async def test_a_cancel_inside_the_handler_is_told_to_the_caller(short_dir):
    # gRPC alone would send no status at all, and the caller would wait for ever.
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(CallCancelled), errors_mapped():
            await ModelServiceStub(channel).GetModel(asking("cancelled inside"), timeout=5)


async def test_a_deadline_that_passes_is_deadline_exceeded(short_dir):
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(DeadlineExceeded), errors_mapped():
            await ModelServiceStub(channel).GetModel(asking("never"), timeout=0.1)


async def test_an_unknown_method_and_one_that_is_not_offered_are_method_unknown(short_dir):
    async with serving(short_dir) as (_, channel, _):
        for kind in (channel.unary_unary, channel.unary_stream):
            call = kind("/automarket.v1.ModelService/Nothing")(b"")
            with pytest.raises(MethodUnknown) as caught, errors_mapped():
                await call if kind == channel.unary_unary else await anext(aiter(call))
            assert "reflection" in str(caught.value)
        with pytest.raises(MethodUnknown), errors_mapped():  # the service is there, the method is not written
            await AssetServiceStub(channel).Get(asset_service_pb2.GetRequest())


async def test_bytes_that_are_no_message_are_an_invalid_request(short_dir, caplog):
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(InvalidRequestError), errors_mapped():
            await channel.unary_unary("/automarket.v1.ModelService/GetModel")(b"\xff\xff")
        call = channel.stream_stream("/automarket.v1.ModelService/Transform")(iter([b"\xff\xff"]))
        with pytest.raises(InvalidRequestError), errors_mapped():
            await anext(aiter(call))
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_too_many_calls_at_once_are_refused(short_dir):
    async with serving(short_dir, max_concurrent_calls=1) as (_, channel, _):
        stub = ModelServiceStub(channel)
        async with BidiCall(stub.Transform(), header(), endless()) as busy:
            await anext(busy.responses())
            with pytest.raises(ExhaustedError), errors_mapped():
                await stub.GetModel(asking("slow"))


async def test_nobody_there_is_unavailable(short_dir):
    channel = open_channel(f"unix:{short_dir}/nobody.sock")
    with pytest.raises(UnavailableError) as caught, errors_mapped():
        await ModelServiceStub(channel).GetModel(asking("x"), timeout=5)
    assert caught.value.code == MeshUnreachable.code == Code.UNAVAILABLE
    assert "retry" not in caught.value.metadata  # what tells it from an answer of a server
    await channel.close()


async def test_a_handler_may_end_a_call_by_itself(short_dir, caplog):
    async def abort(_, context):
        await context.abort(grpc.StatusCode.ABORTED, "my own words")

    server = RpcServer([f"unix:{short_dir}/own.sock"], [])
    models = Models()
    models.GetModel = abort
    add_ModelServiceServicer_to_server(models, server.grpc)
    [address] = await server.start()
    async with open_channel(address) as channel:
        with pytest.raises(StateError, match="my own words"), errors_mapped():
            await ModelServiceStub(channel).GetModel(asking("x"))
    await server.drain(0)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
