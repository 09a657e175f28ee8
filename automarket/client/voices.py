"""The voices of one provider: listed page by page, made from samples that go through the asset store, removed."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automarket import voices
from automarket.assets import Asset, as_input
from automarket.assets.roles import Role, unsuitable
from automarket.errors import DeadlineExceeded, InputTooLarge, InputUnsuitable, InvalidRequestError, MethodUnknown
from automarket.stored import StoredAsset
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1 import transform_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.client.assets import AssetClient
    from automarket.client.connection import Connection
    from automarket.voices import Voice

PAGE_SIZE = 1000
CREATE_SECONDS = 600.0
INLINE_BYTES = 64 * 1024


class Voices:
    """The voices of one provider, by its id or alias."""

    def __init__(self, connection: Connection, store: AssetClient, provider: str) -> None:
        self._connection = connection
        self._store = store
        self._provider = provider

    async def list(self, text: str, *, cloned: bool) -> list[Voice]:
        """Give all voices that fit."""
        request = pb.ListVoicesRequest(provider_id=self._provider, text=text, cloned_only=cloned, page_size=PAGE_SIZE)
        found: list[Voice] = []
        while True:
            page = await self._connection.ask(self._connection.providers.ListVoices, request)
            found += map(voices.from_proto, page.voices)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def create(self, request: pb.CreateVoiceRequest, samples: Any, timeout: float | None) -> Voice:
        """Put the samples into the store, and make a voice of them."""
        request.provider_id = self._provider
        request.request_id = request.request_id or str(uuid.uuid4())
        try:
            async with asyncio.timeout(timeout):
                for number, sample in enumerate(_listed(samples)):
                    request.samples.append(await self._sent(number, sample))
                method = self._connection.providers.CreateVoice
                answer = await self._connection.ask(method, request, timeout=timeout or CREATE_SECONDS)
        except TimeoutError:
            raise DeadlineExceeded(f"the voice was not made within {timeout:g} s") from None
        return voices.from_proto(answer.voice)

    async def delete(self, voice_id: str) -> None:
        """Remove a voice."""
        request = pb.DeleteVoiceRequest(provider_id=self._provider, voice_id=voice_id)
        await self._connection.ask(self._connection.providers.DeleteVoice, request)

    async def _sent(self, number: int, sample: Any) -> transform_pb2.Input:
        if isinstance(sample, StoredAsset):
            return transform_pb2.Input(digest=sample.digest, media_type=sample.media_type)
        if isinstance(sample, AsyncIterable):
            stored = await self._store.put_stream(cast("AsyncIterable[bytes]", sample))
            return transform_pb2.Input(digest=stored.digest, media_type=stored.media_type)
        asset = await asyncio.to_thread(_asset, number, sample)
        with contextlib.suppress(MethodUnknown):  # a provider server by itself, without a store
            stored = await self._store.put(asset)
            return transform_pb2.Input(digest=stored.digest, media_type=asset.media_type)
        if asset.size_bytes > INLINE_BYTES:
            message = f"sample {number} has {asset.size_bytes:,} bytes, and there is no asset store here to take it"
            raise InputTooLarge(message, hint=f"call through the mesh, or send {INLINE_BYTES:,} bytes at most")
        data = b"".join([piece async for piece in asset.chunks()])
        return transform_pb2.Input(inline=data, media_type=asset.media_type)


def _listed(samples: Any) -> Sequence[Any]:
    several = isinstance(samples, list | tuple)
    listed = list(cast("Sequence[Any]", samples)) if several else [samples]
    if not listed:
        fields = {"samples": "1 to 25 are required"}
        raise InvalidRequestError("a voice is made of at least one sample", fields=fields)
    return listed


def _asset(number: int, sample: Any) -> Asset:
    if not isinstance(sample, Asset | Path | bytes):
        hint = "a sample is an asset, a pathlib.Path, bytes or an asynchronous iterator of bytes"
        message = f"sample {number} is a {type(sample).__name__}"
        raise InputUnsuitable(message, hint=hint, fields={f"samples[{number}]": "not a recording"})
    asset = as_input(sample)
    if asset.can_play(Role.SPEECH):
        return asset
    error = unsuitable(asset.roles, Role.SPEECH, what=f"sample {number}")
    error.fields[f"samples[{number}]"] = "needs speech"
    raise error
