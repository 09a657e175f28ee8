"""The client without async, for scripts and notebooks: the same names, the same arguments, the same results.

    from automarket import AssetLoader, sync

    with sync.connect() as mesh:
        text = mesh.provider("pocketsphinx").speech_to_text().transform(AssetLoader.load("talk.mp4"))

The calls run in one background thread, so it works where an event loop runs already. `run` waits for any coroutine of
the package: `sync.run(asset.as_speech())`.
"""

from __future__ import annotations

from automarket.sync.background import run
from automarket.sync.client import Assets, Jobs, Mesh, ProviderHandle, connect
from automarket.sync.models import (
    AudioToAudioModel,
    AvatarModel,
    FaceSwapModel,
    ImageToImageModel,
    ImageToTextModel,
    ImageToVideoModel,
    ImageUpscaleModel,
    LipSyncModel,
    Model,
    SpeechToTextModel,
    TextStream,
    TextToAudioModel,
    TextToImageModel,
    TextToMusicModel,
    TextToSoundModel,
    TextToSpeechModel,
    TextToTextModel,
    TextToVideoModel,
    TransformStream,
    VideoCompositionModel,
    VideoToAudioModel,
    VideoToImageModel,
    VideoToVideoModel,
    VideoUpscaleModel,
    VoiceCloningModel,
)

__all__ = [
    "Assets",
    "AudioToAudioModel",
    "AvatarModel",
    "FaceSwapModel",
    "ImageToImageModel",
    "ImageToTextModel",
    "ImageToVideoModel",
    "ImageUpscaleModel",
    "Jobs",
    "LipSyncModel",
    "Mesh",
    "Model",
    "ProviderHandle",
    "SpeechToTextModel",
    "TextStream",
    "TextToAudioModel",
    "TextToImageModel",
    "TextToMusicModel",
    "TextToSoundModel",
    "TextToSpeechModel",
    "TextToTextModel",
    "TextToVideoModel",
    "TransformStream",
    "VideoCompositionModel",
    "VideoToAudioModel",
    "VideoToImageModel",
    "VideoToVideoModel",
    "VideoUpscaleModel",
    "VoiceCloningModel",
    "connect",
    "run",
]
