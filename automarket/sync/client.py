"""Synchronous twins of the mesh, its asset store and its providers."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from automarket.client import jobs, mesh, provider
from automarket.client.direct import DIRECT_ABOVE
from automarket.client.store import MeshAssets
from automarket.sync import models as twin
from automarket.sync.background import run
from automarket.sync.twins import Twin, iterates, waits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OriginalT = TypeVar("OriginalT")
HandleT = TypeVar("HandleT")
TwinT = TypeVar("TwinT")
P = ParamSpec("P")


def gives(
    twin_class: Callable[[HandleT], TwinT], method: Callable[Concatenate[OriginalT, P], Coroutine[Any, Any, HandleT]]
) -> Callable[Concatenate[Twin[OriginalT], P], TwinT]:
    """Give a method that waits for a handle and gives its twin."""

    @wraps(method)
    def give(self: Twin[OriginalT], *args: P.args, **kwargs: P.kwargs) -> TwinT:
        return twin_class(run(method(self.original, *args, **kwargs)))

    return give


def connect(address: str | None = None, *, direct_above: int | None = DIRECT_ABOVE) -> Mesh:
    """Give a mesh, to be used as `with automarket.sync.connect() as mesh`. Arguments are as in `automarket.connect`."""
    original = mesh.connect(address, direct_above=direct_above)
    run(_open(original))
    return Mesh(original)


async def _open(original: mesh.Mesh) -> None:
    # A channel belongs to the event loop that it is made in.
    _ = original.assets


class Assets(Twin[MeshAssets]):
    """The asset store."""

    put = waits(MeshAssets.put)
    get = waits(MeshAssets.get)
    file_here = waits(MeshAssets.file_here)
    stat = waits(MeshAssets.stat)
    lineage = waits(MeshAssets.lineage)
    delete = waits(MeshAssets.delete)
    cast = waits(MeshAssets.cast)
    find_missing = waits(MeshAssets.find_missing)
    read = iterates(MeshAssets.read)
    list = iterates(MeshAssets.list)


class Jobs(Twin[jobs.Jobs]):
    """The jobs."""

    create = waits(jobs.Jobs.create)
    get = waits(jobs.Jobs.get)
    list = iterates(jobs.Jobs.list)
    cancel = waits(jobs.Jobs.cancel)
    retry = waits(jobs.Jobs.retry)
    watch = iterates(jobs.Jobs.watch)
    stream = twin.streams(jobs.Jobs.stream)
    result = waits(jobs.Jobs.result)


class ProviderHandle(Twin[provider.ProviderHandle]):
    """One provider, by id or alias. `name`, `type` and `capabilities` are there after `load()` or `info()`."""

    @property
    def id(self) -> str:
        """The provider's id; the name that was asked for until it is loaded."""
        return self.original.id

    @property
    def name(self) -> str:
        """Name for people."""
        return self.original.name

    @property
    def type(self) -> str:
        """Where its models run: "local" or "remote"."""
        return self.original.type

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Names of what its models can do."""
        return self.original.capabilities

    def load(self) -> Self:
        """Load what the mesh knows of the provider; give the handle itself."""
        run(self.original.info())
        return self

    info = waits(provider.ProviderHandle.info)
    is_available = waits(provider.ProviderHandle.is_available)
    models = waits(provider.ProviderHandle.models)
    supports = waits(provider.ProviderHandle.supports)
    generate = waits(provider.ProviderHandle.generate)
    configure = waits(provider.ProviderHandle.configure)
    start_service = waits(provider.ProviderHandle.start_service)
    stop_service = waits(provider.ProviderHandle.stop_service)
    service_status = waits(provider.ProviderHandle.service_status)
    diagnostics = waits(provider.ProviderHandle.diagnostics)
    voices = waits(provider.ProviderHandle.voices)
    create_voice = waits(provider.ProviderHandle.create_voice)
    delete_voice = waits(provider.ProviderHandle.delete_voice)
    model = gives(twin.Model, provider.ProviderHandle.model)
    speech_to_text = gives(twin.SpeechToTextModel, provider.ProviderHandle.speech_to_text)
    text_to_speech = gives(twin.TextToSpeechModel, provider.ProviderHandle.text_to_speech)
    voice_cloning = gives(twin.VoiceCloningModel, provider.ProviderHandle.voice_cloning)
    text_to_audio = gives(twin.TextToAudioModel, provider.ProviderHandle.text_to_audio)
    text_to_music = gives(twin.TextToMusicModel, provider.ProviderHandle.text_to_music)
    text_to_sound = gives(twin.TextToSoundModel, provider.ProviderHandle.text_to_sound)
    text_to_text = gives(twin.TextToTextModel, provider.ProviderHandle.text_to_text)
    text_to_image = gives(twin.TextToImageModel, provider.ProviderHandle.text_to_image)
    image_to_image = gives(twin.ImageToImageModel, provider.ProviderHandle.image_to_image)
    image_upscale = gives(twin.ImageUpscaleModel, provider.ProviderHandle.image_upscale)
    image_to_text = gives(twin.ImageToTextModel, provider.ProviderHandle.image_to_text)
    text_to_video = gives(twin.TextToVideoModel, provider.ProviderHandle.text_to_video)
    image_to_video = gives(twin.ImageToVideoModel, provider.ProviderHandle.image_to_video)
    video_to_video = gives(twin.VideoToVideoModel, provider.ProviderHandle.video_to_video)
    video_upscale = gives(twin.VideoUpscaleModel, provider.ProviderHandle.video_upscale)
    face_swap = gives(twin.FaceSwapModel, provider.ProviderHandle.face_swap)
    lip_sync = gives(twin.LipSyncModel, provider.ProviderHandle.lip_sync)
    avatar_generation = gives(twin.AvatarModel, provider.ProviderHandle.avatar_generation)
    video_to_audio = gives(twin.VideoToAudioModel, provider.ProviderHandle.video_to_audio)
    audio_to_audio = gives(twin.AudioToAudioModel, provider.ProviderHandle.audio_to_audio)
    video_to_image = gives(twin.VideoToImageModel, provider.ProviderHandle.video_to_image)
    video_composition = gives(twin.VideoCompositionModel, provider.ProviderHandle.video_composition)


class Mesh(Twin[mesh.Mesh]):
    """A mesh. It connects when it is first asked something."""

    def __enter__(self) -> Self:
        """Give the mesh itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    @property
    def address(self) -> str:
        """Where the mesh is."""
        return self.original.address

    @property
    def assets(self) -> Assets:
        """The asset store."""
        return Assets(self.original.assets)

    @property
    def jobs(self) -> Jobs:
        """The jobs."""
        return Jobs(self.original.jobs)

    def provider(self, name: str) -> ProviderHandle:
        """Give a handle of a provider by id or alias."""
        return ProviderHandle(self.original.provider(name))

    close = waits(mesh.Mesh.close)
    capabilities = waits(mesh.Mesh.capabilities)
    providers = waits(mesh.Mesh.providers)
    models = waits(mesh.Mesh.models)
    resolve = waits(mesh.Mesh.resolve)
    watch = iterates(mesh.Mesh.watch)
    model = gives(twin.Model, mesh.Mesh.model)
    text_to_text = gives(twin.TextToTextModel, mesh.Mesh.text_to_text)
    compare = waits(mesh.Mesh.compare)
    transform = waits(mesh.Mesh.transform)
    estimate = waits(mesh.Mesh.estimate)
    usage = waits(mesh.Mesh.usage)
    stream = twin.streams(mesh.Mesh.stream)
