"""One gRPC address in front of every media model a team uses.

    import automarket
    from automarket import AssetLoader

    async with automarket.connect() as mesh:
        stt = await mesh.provider("pocketsphinx").speech_to_text("en-us")
        text = await stt.transform(AssetLoader.load("talk.mp4"))

`automarket.sync` is the same without async. `automarket.errors` has every error. Names are imported when they are first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# gRPC reads this when it is imported. It would tell a user's terminal about every connection that a server closes.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

if TYPE_CHECKING:
    from automarket import errors as errors
    from automarket import sync as sync
    from automarket.assets import Asset as Asset
    from automarket.assets import AssetLoader as AssetLoader
    from automarket.assets import Audio as Audio
    from automarket.assets import Image as Image
    from automarket.assets import Speech as Speech
    from automarket.assets import Text as Text
    from automarket.assets import Video as Video
    from automarket.assets.roles import Role as Role
    from automarket.chat import Conversation as Conversation
    from automarket.chat import FinishReason as FinishReason
    from automarket.chat import MediaPart as MediaPart
    from automarket.chat import Message as Message
    from automarket.chat import ReasoningPart as ReasoningPart
    from automarket.chat import ResponseFormat as ResponseFormat
    from automarket.chat import TextPart as TextPart
    from automarket.chat import TextToTextOptions as TextToTextOptions
    from automarket.chat import TokenUsage as TokenUsage
    from automarket.chat import Tool as Tool
    from automarket.chat import ToolCall as ToolCall
    from automarket.chat import ToolChoice as ToolChoice
    from automarket.chat import ToolResult as ToolResult
    from automarket.client import events as events
    from automarket.client.assets import AssetClient as AssetClient
    from automarket.client.comparing import Comparison as Comparison
    from automarket.client.job_info import BudgetStatus as BudgetStatus
    from automarket.client.job_info import CostEstimate as CostEstimate
    from automarket.client.job_info import JobInfo as JobInfo
    from automarket.client.job_info import JobState as JobState
    from automarket.client.job_info import UsageBy as UsageBy
    from automarket.client.job_info import UsageReport as UsageReport
    from automarket.client.jobs import Jobs as Jobs
    from automarket.client.language import TextToTextModel as TextToTextModel
    from automarket.client.mesh import Mesh as Mesh
    from automarket.client.mesh import connect as connect
    from automarket.client.model import Model as Model
    from automarket.client.options import Overlay as Overlay
    from automarket.client.pictures import ImageToImageModel as ImageToImageModel
    from automarket.client.pictures import ImageToTextModel as ImageToTextModel
    from automarket.client.pictures import ImageUpscaleModel as ImageUpscaleModel
    from automarket.client.pictures import TextToImageModel as TextToImageModel
    from automarket.client.pictures import VideoToImageModel as VideoToImageModel
    from automarket.client.provider import ProviderHandle as ProviderHandle
    from automarket.client.results import CompositionResult as CompositionResult
    from automarket.client.results import Report as Report
    from automarket.client.sounds import AudioToAudioModel as AudioToAudioModel
    from automarket.client.sounds import SpeechToTextModel as SpeechToTextModel
    from automarket.client.sounds import TextToAudioModel as TextToAudioModel
    from automarket.client.sounds import TextToMusicModel as TextToMusicModel
    from automarket.client.sounds import TextToSoundModel as TextToSoundModel
    from automarket.client.sounds import TextToSpeechModel as TextToSpeechModel
    from automarket.client.sounds import VideoToAudioModel as VideoToAudioModel
    from automarket.client.sounds import VoiceCloningModel as VoiceCloningModel
    from automarket.client.stream import TransformStream as TransformStream
    from automarket.client.target import Fallback as Fallback
    from automarket.client.text_stream import TextStream as TextStream
    from automarket.client.videos import AvatarModel as AvatarModel
    from automarket.client.videos import FaceSwapModel as FaceSwapModel
    from automarket.client.videos import ImageToVideoModel as ImageToVideoModel
    from automarket.client.videos import LipSyncModel as LipSyncModel
    from automarket.client.videos import TextToVideoModel as TextToVideoModel
    from automarket.client.videos import VideoCompositionModel as VideoCompositionModel
    from automarket.client.videos import VideoToVideoModel as VideoToVideoModel
    from automarket.client.videos import VideoUpscaleModel as VideoUpscaleModel
    from automarket.errors import AutoMarketError as AutoMarketError
    from automarket.media.info import AudioFormat as AudioFormat
    from automarket.media.info import CastSpec as CastSpec
    from automarket.media.info import ImageFormat as ImageFormat
    from automarket.media.info import MediaInfo as MediaInfo
    from automarket.service_status import ServiceState as ServiceState
    from automarket.service_status import ServiceStatus as ServiceStatus
    from automarket.stored import StoredAsset as StoredAsset
    from automarket.voices import Voice as Voice

    __version__: str

_HOMES = {
    "Asset": "automarket.assets",
    "AssetClient": "automarket.client.assets",
    "AssetLoader": "automarket.assets",
    "Audio": "automarket.assets",
    "AudioFormat": "automarket.media.info",
    "AudioToAudioModel": "automarket.client.sounds",
    "AutoMarketError": "automarket.errors",
    "AvatarModel": "automarket.client.videos",
    "BudgetStatus": "automarket.client.job_info",
    "CastSpec": "automarket.media.info",
    "Comparison": "automarket.client.comparing",
    "CompositionResult": "automarket.client.results",
    "Conversation": "automarket.chat",
    "CostEstimate": "automarket.client.job_info",
    "FaceSwapModel": "automarket.client.videos",
    "Fallback": "automarket.client.target",
    "FinishReason": "automarket.chat",
    "Image": "automarket.assets",
    "ImageFormat": "automarket.media.info",
    "ImageToImageModel": "automarket.client.pictures",
    "ImageToTextModel": "automarket.client.pictures",
    "ImageToVideoModel": "automarket.client.videos",
    "ImageUpscaleModel": "automarket.client.pictures",
    "JobInfo": "automarket.client.job_info",
    "JobState": "automarket.client.job_info",
    "Jobs": "automarket.client.jobs",
    "LipSyncModel": "automarket.client.videos",
    "MediaInfo": "automarket.media.info",
    "MediaPart": "automarket.chat",
    "Mesh": "automarket.client.mesh",
    "Message": "automarket.chat",
    "Model": "automarket.client.model",
    "Overlay": "automarket.client.options",
    "ProviderHandle": "automarket.client.provider",
    "ReasoningPart": "automarket.chat",
    "Report": "automarket.client.results",
    "ResponseFormat": "automarket.chat",
    "Role": "automarket.assets.roles",
    "ServiceState": "automarket.service_status",
    "ServiceStatus": "automarket.service_status",
    "Speech": "automarket.assets",
    "SpeechToTextModel": "automarket.client.sounds",
    "StoredAsset": "automarket.stored",
    "Text": "automarket.assets",
    "TextPart": "automarket.chat",
    "TextStream": "automarket.client.text_stream",
    "TextToAudioModel": "automarket.client.sounds",
    "TextToImageModel": "automarket.client.pictures",
    "TextToMusicModel": "automarket.client.sounds",
    "TextToSoundModel": "automarket.client.sounds",
    "TextToSpeechModel": "automarket.client.sounds",
    "TextToTextModel": "automarket.client.language",
    "TextToTextOptions": "automarket.chat",
    "TextToVideoModel": "automarket.client.videos",
    "TokenUsage": "automarket.chat",
    "Tool": "automarket.chat",
    "ToolCall": "automarket.chat",
    "ToolChoice": "automarket.chat",
    "ToolResult": "automarket.chat",
    "TransformStream": "automarket.client.stream",
    "UsageBy": "automarket.client.job_info",
    "UsageReport": "automarket.client.job_info",
    "Video": "automarket.assets",
    "VideoCompositionModel": "automarket.client.videos",
    "VideoToAudioModel": "automarket.client.sounds",
    "VideoToImageModel": "automarket.client.pictures",
    "VideoToVideoModel": "automarket.client.videos",
    "VideoUpscaleModel": "automarket.client.videos",
    "Voice": "automarket.voices",
    "VoiceCloningModel": "automarket.client.sounds",
    "connect": "automarket.client.mesh",
}
_MODULES = {"errors": "automarket.errors", "events": "automarket.client.events", "sync": "automarket.sync"}

__all__ = [
    "Asset",
    "AssetClient",
    "AssetLoader",
    "Audio",
    "AudioFormat",
    "AudioToAudioModel",
    "AutoMarketError",
    "AvatarModel",
    "BudgetStatus",
    "CastSpec",
    "Comparison",
    "CompositionResult",
    "Conversation",
    "CostEstimate",
    "FaceSwapModel",
    "Fallback",
    "FinishReason",
    "Image",
    "ImageFormat",
    "ImageToImageModel",
    "ImageToTextModel",
    "ImageToVideoModel",
    "ImageUpscaleModel",
    "JobInfo",
    "JobState",
    "Jobs",
    "LipSyncModel",
    "MediaInfo",
    "MediaPart",
    "Mesh",
    "Message",
    "Model",
    "Overlay",
    "ProviderHandle",
    "ReasoningPart",
    "Report",
    "ResponseFormat",
    "Role",
    "ServiceState",
    "ServiceStatus",
    "Speech",
    "SpeechToTextModel",
    "StoredAsset",
    "Text",
    "TextPart",
    "TextStream",
    "TextToAudioModel",
    "TextToImageModel",
    "TextToMusicModel",
    "TextToSoundModel",
    "TextToSpeechModel",
    "TextToTextModel",
    "TextToTextOptions",
    "TextToVideoModel",
    "TokenUsage",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "TransformStream",
    "UsageBy",
    "UsageReport",
    "Video",
    "VideoCompositionModel",
    "VideoToAudioModel",
    "VideoToImageModel",
    "VideoToVideoModel",
    "VideoUpscaleModel",
    "Voice",
    "VoiceCloningModel",
    "__version__",
    "connect",
    "errors",
    "events",
    "sync",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name == "__version__":
        from importlib.metadata import version

        value = version("automarket")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
