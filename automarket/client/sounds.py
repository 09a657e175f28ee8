"""Models that hear, speak and make sound, with typed inputs, options and results.

Those that make pictures are in `automarket.client.pictures`, those that make videos in `automarket.client.videos`,
language models in `automarket.client.language`.

Each has `stream(...)`, which gives events as they happen, and `transform(...)`, which takes the same and gives the
result. Options that are None are left to the model. Further keywords are options of the one model, and the call's
`timeout`, `request_id`, `store` and `by_digest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.client import results
from automarket.client.model import ModelHandle, awaited

if TYPE_CHECKING:
    from automarket.assets import Audio, Speech, Text
    from automarket.client.inputs import InputValue
    from automarket.client.stream import TransformStream
    from automarket.media.info import AudioFormat
    from automarket.voices import Voice


class SpeechToTextModel(ModelHandle):
    """Writes down what is said."""

    def stream(
        self,
        speech: InputValue,
        *,
        language: str | None = None,
        translate: bool | None = None,
        word_timestamps: bool | None = None,
        prompt: str | None = None,
        temperature: float | None = None,
        **options: Any,
    ) -> TransformStream[Text]:
        """Write down what is said in `speech`, which may be a video.

        Args:
            speech: what to listen to.
            language: language that is spoken, as a BCP 47 tag.
            translate: give the words in English instead.
            word_timestamps: give start and end of every word.
            prompt: text that tells which words and names to expect.
            temperature: randomness, 0 to 1.
            options: options of this model, and how the call is made.
        """
        options |= {"language": language, "translate": translate, "word_timestamps": word_timestamps}
        options |= {"prompt": prompt, "temperature": temperature}
        return self._stream(lambda _: results.text, (speech,), options)

    transform = awaited(stream)


class TextToSpeechModel(ModelHandle):
    """Speaks text."""

    def stream(
        self,
        text: InputValue,
        *,
        voice: InputValue | Voice | None = None,
        speed: float | None = None,
        language: str | None = None,
        format: AudioFormat | str | None = None,  # noqa: A002 - the contract's name
        **options: Any,
    ) -> TransformStream[Speech]:
        """Speak `text`.

        Args:
            text: what to say.
            voice: one of the model's voices, by name or as listed, or a sample of the voice where the model clones.
            speed: speed of speaking; 1 is the voice's own.
            language: language to speak, as a BCP 47 tag.
            format: what the sound has to look like.
            options: options of this model, and how the call is made.
        """
        options |= {"voice": voice, "speed": speed, "language": language, "format": format}
        return self._stream(lambda _: results.speech, (text,), options)

    transform = awaited(stream)


class VoiceCloningModel(ModelHandle):
    """Speaks text in a voice of which it has a sample."""

    def stream(
        self,
        text: InputValue,
        voice: InputValue,
        *,
        speed: float | None = None,
        language: str | None = None,
        format: AudioFormat | str | None = None,  # noqa: A002 - the contract's name
        **options: Any,
    ) -> TransformStream[Speech]:
        """Speak `text` in the voice of `voice`.

        Args:
            text: what to say.
            voice: a sample of the voice.
            speed: speed of speaking; 1 is the voice's own.
            language: language to speak, as a BCP 47 tag.
            format: what the sound has to look like; a text names its container: "mp3".
            options: options of this model, and how the call is made.
        """
        options |= {"speed": speed, "language": language, "format": format}
        return self._stream(lambda _: results.speech, (text, voice), options)

    transform = awaited(stream)


class TextToAudioModel(ModelHandle):
    """Makes sound of a text: music, effects, speech."""

    def stream(
        self,
        text: InputValue,
        *,
        duration: float | None = None,
        prompt_influence: float | None = None,
        loop: bool | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        lyrics: str | None = None,
        format: AudioFormat | str | None = None,  # noqa: A002 - the contract's name
        **options: Any,
    ) -> TransformStream[Audio]:
        """Make sound of `text`.

        Args:
            text: what the sound is.
            duration: how long it plays, in seconds.
            prompt_influence: how closely the sound follows the text: 0 to 1.
            loop: make a sound whose end fits its beginning.
            seed: the same seed and options give the same sound.
            negative_prompt: what the sound should not have.
            lyrics: words to sing.
            format: what the sound has to look like; a text names its container: "mp3".
            options: options of this model, and how the call is made.
        """
        options |= {"duration": duration, "prompt_influence": prompt_influence, "loop": loop, "seed": seed}
        options |= {"negative_prompt": negative_prompt, "lyrics": lyrics, "format": format}
        return self._stream(lambda _: results.audio, (text,), options)

    transform = awaited(stream)


class TextToMusicModel(TextToAudioModel):
    """Makes music of a text."""


class TextToSoundModel(TextToAudioModel):
    """Makes sound effects of a text."""


class _ToAudioModel(ModelHandle):
    def stream(
        self,
        source: InputValue,
        *,
        format: AudioFormat | str | None = None,  # noqa: A002 - the contract's name
        start: float | None = None,
        duration: float | None = None,
        **options: Any,
    ) -> TransformStream[Audio]:
        """Give the sound of `source`.

        Args:
            source: where the sound is.
            format: what the sound has to look like.
            start: where to begin, in seconds.
            duration: how much to take, in seconds; None takes all.
            options: options of this model, and how the call is made.
        """
        options |= {"format": format, "start": start, "duration": duration}
        return self._stream(lambda _: results.audio, (source,), options)

    transform = awaited(stream)


class VideoToAudioModel(_ToAudioModel):
    """Takes the sound out of videos."""


class AudioToAudioModel(_ToAudioModel):
    """Converts, resamples, cuts or enhances sound."""
