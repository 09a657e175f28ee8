"""The messages that travel in the measurements, serialised once: nothing is encoded or decoded while time is taken."""

from __future__ import annotations

import time

from google.protobuf import timestamp_pb2

from automarket.v1 import capability_pb2, media_pb2, model_pb2, model_service_pb2, transform_pb2

MODEL_ID = "bench-peer"
TRANSFORM = "/automarket.v1.ModelService/Transform"
GET_MODEL = "/automarket.v1.ModelService/GetModel"
METADATA = (("automarket-model", MODEL_ID),)
MIB = 1024 * 1024
TOKEN_CHARACTERS = 24


def header_message(**model_options: float) -> bytes:
    """Give a call's first message, with what the peer shall send back."""
    header = transform_pb2.TransformHeader(request_id="00000000-0000-4000-8000-000000000000")
    header.inputs.add(slot="text").stream.SetInParent()
    header.model_options.update(model_options)
    target = model_pb2.Target(model=MODEL_ID)
    return model_service_pb2.TransformRequest(target=target, header=header).SerializeToString()


def wanted(header: bytes) -> dict[str, float]:
    """Read out of a call's first message what the peer shall send back."""
    options = model_service_pb2.TransformRequest.FromString(header).header.model_options
    return {name: value.number_value for name, value in options.fields.items()}


def chunk_message() -> bytes:
    """Give a request with 1 MiB of input."""
    chunk = transform_pb2.InputChunk(data=bytes(MIB))
    return model_service_pb2.TransformRequest(chunk=chunk).SerializeToString()


def chunk_response() -> bytes:
    """Give a response with 1 MiB of output."""
    return _response(transform_pb2.TransformEvent(output_chunk=transform_pb2.OutputChunk(data=bytes(MIB))))


def token_response() -> bytes:
    """Give a response of about 40 bytes: one piece of text."""
    stamp = timestamp_pb2.Timestamp(seconds=1_700_000_000)
    delta = transform_pb2.TextDelta(tokens=["x" * TOKEN_CHARACTERS])
    return _response(transform_pb2.TransformEvent(sequence=1000, event_time=stamp, text_delta=delta))


def finished_response() -> bytes:
    """Give the last response of a call."""
    return _response(transform_pb2.TransformEvent(finished=transform_pb2.Finished()))


def get_model_request() -> bytes:
    """Give the request of a unary call."""
    return model_service_pb2.GetModelRequest(target=model_pb2.Target(model=MODEL_ID)).SerializeToString()


def get_model_response() -> bytes:
    """Give the response of a unary call."""
    return model_service_pb2.GetModelResponse(model=model()).SerializeToString()


def model() -> model_pb2.Model:
    """Give the descriptor of the peer's one model."""
    return model_pb2.Model(
        id=MODEL_ID,
        name="Bench peer",
        provider_id=MODEL_ID,
        capabilities=[model_pb2.CapabilityRef(capability=capability_pb2.CAPABILITY_TEXT_TO_TEXT)],
        inputs=[model_pb2.InputSlot(name="text", role=media_pb2.ROLE_TEXT)],
        outputs=[model_pb2.OutputType(name="text", role=media_pb2.ROLE_TEXT, streamed=True)],
        availability=model_pb2.Availability(available=True),
    )


def _response(event: transform_pb2.TransformEvent) -> bytes:
    return model_service_pb2.TransformResponse(event=event).SerializeToString()


class Stamps:
    """Writes the time of sending and a number into a token response, and reads them back.

    The text of the token gives way to 16 hexadecimal digits of nanoseconds and 8 of the number, so that the message
    stays valid. The clock is the host's monotonic one, the same in every process.
    """

    def __init__(self) -> None:
        template = token_response()
        self._at = template.index(b"x" * TOKEN_CHARACTERS)
        self._head, self._tail = template[: self._at], template[self._at + TOKEN_CHARACTERS :]

    def write(self, number: int) -> bytes:
        """Give a message that is stamped now."""
        return b"%b%016x%08x%b" % (self._head, time.monotonic_ns(), number, self._tail)

    def read(self, message: bytes) -> tuple[int, int]:
        """Give when a message was sent, in nanoseconds, and its number."""
        at = self._at
        return int(message[at : at + 16], 16), int(message[at + 16 : at + TOKEN_CHARACTERS], 16)
