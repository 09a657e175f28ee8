"""Synchronous twins of streams and models."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Self, TypeVar

from automarket.client import language, model, pictures, sounds, videos
from automarket.client.model import ModelHandle
from automarket.sync.background import run
from automarket.sync.twins import Twin, iterate, iterate_open, waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from automarket.assets import Text
    from automarket.chat.messages import ReasoningPart, ToolCall
    from automarket.client.answers import Answer
    from automarket.client.descriptors import ModelInfo
    from automarket.client.events import Event
    from automarket.client.results import Report
    from automarket.client.stream import TransformStream as AsyncTransformStream
    from automarket.client.text_stream import TextStream as AsyncTextStream

OriginalT = TypeVar("OriginalT")
HandleT = TypeVar("HandleT", bound=ModelHandle)
ResultT = TypeVar("ResultT")
P = ParamSpec("P")


class TransformStream(Generic[ResultT]):
    """A transform that runs while its events are read. Leaving the iteration, or the `with`, cancels it."""

    def __init__(self, original: AsyncTransformStream[ResultT]) -> None:
        self.original = original

    def __iter__(self) -> Iterator[Event]:
        """Give the events as they happen."""
        return iterate(aiter(self.original))

    def __enter__(self) -> Self:
        """Give the stream itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the transform if it still runs."""
        self.close()

    def close(self) -> None:
        """Cancel the transform if it still runs."""
        run(self.original.aclose())

    def result(self) -> ResultT:
        """Run what is left of the transform and give its result.

        Raises:
            AutoMarketError: the transform failed.
        """
        return run(self.original.result())

    @property
    def request_id(self) -> str:
        """The call's request_id, by which the provider's diagnostics know it."""
        return self.original.request_id

    @property
    def text_so_far(self) -> Text:
        """The text output as far as it has come; `metadata.partial` tells whether it is only its beginning."""
        return self.original.text_so_far

    @property
    def answer_so_far(self) -> Answer:
        """What a language model said beside its text, as far as it has come."""
        return self.original.answer_so_far

    @property
    def report(self) -> Report:
        """How it went so far."""
        return self.original.report


class TextStream:
    """A text while it is written. Iterating gives its pieces as Text, each once; leaving the `with` cancels it."""

    def __init__(self, original: AsyncTextStream) -> None:
        self.original = original

    def __iter__(self) -> Iterator[Text]:
        """Give the pieces that have not been given yet, as they come."""
        return iterate_open(aiter(self.original))

    def __enter__(self) -> Self:
        """Give the stream itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what still runs."""
        self.close()

    def close(self) -> None:
        """Cancel what still runs."""
        run(self.original.aclose())

    def final(self) -> Text:
        """Run what is left and give the whole text; its metadata has usage, cost and how it ended.

        Raises:
            AutoMarketError: the call failed, or was cancelled before.
        """
        return run(self.original.final())

    @property
    def events(self) -> TransformStream[Text]:
        """Everything that happens."""
        return TransformStream(self.original.events)

    @property
    def request_id(self) -> str:
        """The call's request_id, by which the provider's diagnostics know it."""
        return self.original.request_id

    @property
    def text_so_far(self) -> Text:
        """The text as far as it has come; `metadata.partial` tells whether it is only its beginning."""
        return self.original.text_so_far

    @property
    def reasoning_so_far(self) -> tuple[ReasoningPart, ...]:
        """What the model thought, as far as it has come."""
        return self.original.reasoning_so_far

    @property
    def tool_calls_so_far(self) -> tuple[ToolCall, ...]:
        """The tool calls, as far as they have come; the arguments of the last one may be cut."""
        return self.original.tool_calls_so_far

    @property
    def report(self) -> Report:
        """How it went so far."""
        return self.original.report


def streams_text(
    method: Callable[Concatenate[OriginalT, P], AsyncTextStream],
) -> Callable[Concatenate[Twin[OriginalT], P], TextStream]:
    """Give a method that begins what the asynchronous one begins."""

    @wraps(method)
    def twin(self: Twin[OriginalT], *args: P.args, **kwargs: P.kwargs) -> TextStream:
        return TextStream(method(self.original, *args, **kwargs))

    return twin


def streams(
    method: Callable[Concatenate[OriginalT, P], AsyncTransformStream[ResultT]],
) -> Callable[Concatenate[Twin[OriginalT], P], TransformStream[ResultT]]:
    """Give a method that begins what the asynchronous one begins."""

    @wraps(method)
    def twin(self: Twin[OriginalT], *args: P.args, **kwargs: P.kwargs) -> TransformStream[ResultT]:
        return TransformStream(method(self.original, *args, **kwargs))

    return twin


class _ModelTwin(Twin[HandleT]):
    @property
    def id(self) -> str:
        """The model's id."""
        return self.original.id

    @property
    def provider_id(self) -> str:
        """The provider's id."""
        return self.original.provider_id

    @property
    def info(self) -> ModelInfo:
        """The model's description."""
        return self.original.info

    def is_available(self) -> bool:
        """Tell whether a call could be made now."""
        return run(self.original.is_available())


class Model(_ModelTwin[model.Model]):
    """Any model: inputs in slot order or by slot name, options by name."""

    stream = streams(model.Model.stream)
    transform = waits(model.Model.transform)


class SpeechToTextModel(_ModelTwin[sounds.SpeechToTextModel]):
    """Writes down what is said."""

    stream = streams(sounds.SpeechToTextModel.stream)
    transform = waits(sounds.SpeechToTextModel.transform)


class TextToSpeechModel(_ModelTwin[sounds.TextToSpeechModel]):
    """Speaks text."""

    stream = streams(sounds.TextToSpeechModel.stream)
    transform = waits(sounds.TextToSpeechModel.transform)


class VoiceCloningModel(_ModelTwin[sounds.VoiceCloningModel]):
    """Speaks text in a voice of which it has a sample."""

    stream = streams(sounds.VoiceCloningModel.stream)
    transform = waits(sounds.VoiceCloningModel.transform)


class TextToAudioModel(_ModelTwin[sounds.TextToAudioModel]):
    """Makes sound of a text: music, effects, speech."""

    stream = streams(sounds.TextToAudioModel.stream)
    transform = waits(sounds.TextToAudioModel.transform)


class TextToMusicModel(_ModelTwin[sounds.TextToMusicModel]):
    """Makes music of a text."""

    stream = streams(sounds.TextToMusicModel.stream)
    transform = waits(sounds.TextToMusicModel.transform)


class TextToSoundModel(_ModelTwin[sounds.TextToSoundModel]):
    """Makes sound effects of a text."""

    stream = streams(sounds.TextToSoundModel.stream)
    transform = waits(sounds.TextToSoundModel.transform)


class TextToTextModel(_ModelTwin[language.TextToTextModel]):
    """A language model.

    Options are a TextToTextOptions or a dictionary, keyword arguments, or both. Pictures, sound and files go in
    messages, or beside a text as `images=[...]`, `audio=[...]`, where the model takes them. Small media and
    conversations go with the call, large ones by digest through the asset store.
    """

    stream = streams(language.TextToTextModel.stream)
    transform = waits(language.TextToTextModel.transform)
    transform_conversation = waits(language.TextToTextModel.transform_conversation)
    transform_stream = streams_text(language.TextToTextModel.transform_stream)


class TextToImageModel(_ModelTwin[pictures.TextToImageModel]):
    """Makes pictures of a text."""

    stream = streams(pictures.TextToImageModel.stream)
    transform = waits(pictures.TextToImageModel.transform)


class ImageToImageModel(_ModelTwin[pictures.ImageToImageModel]):
    """Makes pictures of pictures."""

    stream = streams(pictures.ImageToImageModel.stream)
    transform = waits(pictures.ImageToImageModel.transform)


class ImageUpscaleModel(_ModelTwin[pictures.ImageUpscaleModel]):
    """Gives pictures more pixels."""

    stream = streams(pictures.ImageUpscaleModel.stream)
    transform = waits(pictures.ImageUpscaleModel.transform)


class ImageToTextModel(_ModelTwin[pictures.ImageToTextModel]):
    """Says what pictures show."""

    stream = streams(pictures.ImageToTextModel.stream)
    transform = waits(pictures.ImageToTextModel.transform)


class TextToVideoModel(_ModelTwin[videos.TextToVideoModel]):
    """Makes a video of a text."""

    stream = streams(videos.TextToVideoModel.stream)
    transform = waits(videos.TextToVideoModel.transform)


class ImageToVideoModel(_ModelTwin[videos.ImageToVideoModel]):
    """Makes pictures move."""

    stream = streams(videos.ImageToVideoModel.stream)
    transform = waits(videos.ImageToVideoModel.transform)


class VideoToVideoModel(_ModelTwin[videos.VideoToVideoModel]):
    """Makes videos of videos."""

    stream = streams(videos.VideoToVideoModel.stream)
    transform = waits(videos.VideoToVideoModel.transform)


class VideoUpscaleModel(_ModelTwin[videos.VideoUpscaleModel]):
    """Gives videos more pixels."""

    stream = streams(videos.VideoUpscaleModel.stream)
    transform = waits(videos.VideoUpscaleModel.transform)


class FaceSwapModel(_ModelTwin[videos.FaceSwapModel]):
    """Puts a face into videos."""

    stream = streams(videos.FaceSwapModel.stream)
    transform = waits(videos.FaceSwapModel.transform)


class LipSyncModel(_ModelTwin[videos.LipSyncModel]):
    """Moves lips to what is said."""

    stream = streams(videos.LipSyncModel.stream)
    transform = waits(videos.LipSyncModel.transform)


class AvatarModel(_ModelTwin[videos.AvatarModel]):
    """Makes videos of a speaking person."""

    stream = streams(videos.AvatarModel.stream)
    transform = waits(videos.AvatarModel.transform)


class VideoToAudioModel(_ModelTwin[sounds.VideoToAudioModel]):
    """Takes the sound out of videos."""

    stream = streams(sounds.VideoToAudioModel.stream)
    transform = waits(sounds.VideoToAudioModel.transform)


class AudioToAudioModel(_ModelTwin[sounds.AudioToAudioModel]):
    """Converts, resamples, cuts or enhances sound."""

    stream = streams(sounds.AudioToAudioModel.stream)
    transform = waits(sounds.AudioToAudioModel.transform)


class VideoToImageModel(_ModelTwin[pictures.VideoToImageModel]):
    """Takes pictures out of videos."""

    stream = streams(pictures.VideoToImageModel.stream)
    transform = waits(pictures.VideoToImageModel.transform)


class VideoCompositionModel(_ModelTwin[videos.VideoCompositionModel]):
    """Lays pictures and videos over a video."""

    stream = streams(videos.VideoCompositionModel.stream)
    transform = waits(videos.VideoCompositionModel.transform)
