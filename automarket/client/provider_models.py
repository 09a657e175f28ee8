"""The models of one provider, by what they do: each method gives a typed handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from automarket.client import language, pictures, sounds, videos
from automarket.client.model import Model, ModelHandle
from automarket.client.plan import used_as
from automarket.client.run import describe
from automarket.client.target import Target
from automarket.errors import CapabilityUnknown

if TYPE_CHECKING:
    from automarket.client.assets import AssetClient
    from automarket.client.connection import Connection

HandleT = TypeVar("HandleT", bound=ModelHandle)


class ProviderModels:
    """Gives handles of a provider's models. Without a name, each method gives the provider's best model.

    Raises, whichever is asked for:
        ModelUnknown: the provider has none of that name.
        CapabilityUnknown: the model cannot do that.
    """

    def __init__(self, connection: Connection, store: AssetClient, name: str) -> None:
        self._connection = connection
        self._store = store
        self._asked = name

    async def model(self, model: str = "", *, capability: str = "") -> Model:
        """Give a handle of any model, by id or alias, or of the best one for a capability."""
        return await self._handle(Model, capability, model)

    async def speech_to_text(self, model: str = "") -> sounds.SpeechToTextModel:
        """Give a model that writes down what is said."""
        return await self._handle(sounds.SpeechToTextModel, "speech-to-text", model)

    async def text_to_speech(self, model: str = "") -> sounds.TextToSpeechModel:
        """Give a model that speaks text."""
        return await self._handle(sounds.TextToSpeechModel, "text-to-speech", model)

    async def voice_cloning(self, model: str = "") -> sounds.VoiceCloningModel:
        """Give a model that speaks text in a voice of which it gets a sample."""
        return await self._handle(sounds.VoiceCloningModel, "voice-cloning", model)

    async def text_to_audio(self, model: str = "") -> sounds.TextToAudioModel:
        """Give a model that makes sound of a text."""
        return await self._handle(sounds.TextToAudioModel, "text-to-audio", model)

    async def text_to_music(self, model: str = "") -> sounds.TextToMusicModel:
        """Give a model that makes music of a text."""
        return await self._handle(sounds.TextToMusicModel, "text-to-music", model)

    async def text_to_sound(self, model: str = "") -> sounds.TextToSoundModel:
        """Give a model that makes sound effects of a text."""
        return await self._handle(sounds.TextToSoundModel, "text-to-sound", model)

    async def text_to_text(self, model: str = "") -> language.TextToTextModel:
        """Give a language model."""
        return await self._handle(language.TextToTextModel, "text-to-text", model)

    async def text_to_image(self, model: str = "") -> pictures.TextToImageModel:
        """Give a model that makes pictures of a text."""
        return await self._handle(pictures.TextToImageModel, "text-to-image", model)

    async def image_to_image(self, model: str = "") -> pictures.ImageToImageModel:
        """Give a model that makes pictures of pictures."""
        return await self._handle(pictures.ImageToImageModel, "image-to-image", model)

    async def image_upscale(self, model: str = "") -> pictures.ImageUpscaleModel:
        """Give a model that gives pictures more pixels."""
        return await self._handle(pictures.ImageUpscaleModel, "image-upscale", model)

    async def image_to_text(self, model: str = "") -> pictures.ImageToTextModel:
        """Give a model that says what pictures show."""
        return await self._handle(pictures.ImageToTextModel, "image-to-text", model)

    async def text_to_video(self, model: str = "") -> videos.TextToVideoModel:
        """Give a model that makes a video of a text."""
        return await self._handle(videos.TextToVideoModel, "text-to-video", model)

    async def image_to_video(self, model: str = "") -> videos.ImageToVideoModel:
        """Give a model that makes pictures move."""
        return await self._handle(videos.ImageToVideoModel, "image-to-video", model)

    async def video_to_video(self, model: str = "") -> videos.VideoToVideoModel:
        """Give a model that makes videos of videos."""
        return await self._handle(videos.VideoToVideoModel, "video-to-video", model)

    async def video_upscale(self, model: str = "") -> videos.VideoUpscaleModel:
        """Give a model that gives videos more pixels."""
        return await self._handle(videos.VideoUpscaleModel, "video-upscale", model)

    async def face_swap(self, model: str = "") -> videos.FaceSwapModel:
        """Give a model that puts a face into videos."""
        return await self._handle(videos.FaceSwapModel, "face-swap", model)

    async def lip_sync(self, model: str = "") -> videos.LipSyncModel:
        """Give a model that moves lips to what is said."""
        return await self._handle(videos.LipSyncModel, "lip-sync", model)

    async def avatar_generation(self, model: str = "") -> videos.AvatarModel:
        """Give a model that makes videos of a speaking person."""
        return await self._handle(videos.AvatarModel, "avatar-generation", model)

    async def video_to_audio(self, model: str = "") -> sounds.VideoToAudioModel:
        """Give a model that takes the sound out of videos."""
        return await self._handle(sounds.VideoToAudioModel, "video-to-audio", model)

    async def audio_to_audio(self, model: str = "") -> sounds.AudioToAudioModel:
        """Give a model that converts sound."""
        return await self._handle(sounds.AudioToAudioModel, "audio-to-audio", model)

    async def video_to_image(self, model: str = "") -> pictures.VideoToImageModel:
        """Give a model that takes pictures out of videos."""
        return await self._handle(pictures.VideoToImageModel, "video-to-image", model)

    async def video_composition(self, model: str = "") -> videos.VideoCompositionModel:
        """Give a model that lays overlays over a video."""
        return await self._handle(videos.VideoCompositionModel, "video-composition", model)

    async def _handle(self, cls: type[HandleT], capability: str, model: str) -> HandleT:
        info = await describe(self._connection, Target(capability=capability, model=model, provider=self._asked))
        used = used_as(info, capability)
        if capability and used not in info.capabilities:
            raise CapabilityUnknown(
                f"model {info.id!r} of {info.provider_id!r} cannot do {capability}",
                hint=f"it can do: {', '.join(info.capabilities)}",
            )
        return cls(self._connection, self._store, info, used)
