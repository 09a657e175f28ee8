"""Models that make videos. See `automarket.client.sounds` for what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.client import results
from automarket.client.model import ModelHandle, awaited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.assets import Video
    from automarket.client.inputs import InputValue
    from automarket.client.options import Overlay
    from automarket.client.results import CompositionResult
    from automarket.client.stream import TransformStream


class TextToVideoModel(ModelHandle):
    """Makes a video of a text."""

    def stream(
        self,
        text: InputValue,
        *,
        duration: float | None = None,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        motion_strength: float | None = None,
        camera_motion: str | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        guidance_scale: float | None = None,
        fps: float | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Make a video of `text`.

        Args:
            text: what happens in the video.
            duration: how long it plays, in seconds.
            aspect_ratio: width to height: "16:9", "9:16", "1:1".
            resolution: height: "480p", "720p", "1080p".
            motion_strength: how much moves: 0 (nothing) to 1.
            camera_motion: how the camera moves: "static", "pan", "zoom", "rotate".
            seed: the same seed and options give the same video.
            negative_prompt: what it should not show.
            guidance_scale: how closely it follows the text.
            fps: pictures a second.
            options: options of this model, and how the call is made.
        """
        options |= {"duration": duration, "aspect_ratio": aspect_ratio, "resolution": resolution}
        options |= {"motion_strength": motion_strength, "camera_motion": camera_motion, "seed": seed}
        options |= {"negative_prompt": negative_prompt, "guidance_scale": guidance_scale, "fps": fps}
        return self._stream(lambda _: results.video, (text,), options)

    transform = awaited(stream)


class ImageToVideoModel(ModelHandle):
    """Makes pictures move."""

    def stream(
        self,
        image: InputValue,
        *,
        prompt: str | None = None,
        end_image: InputValue | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        video_length: float | None = None,
        guidance_scale: float | None = None,
        aspect_ratio: str | None = None,
        teacache: bool | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        resolution: str | None = None,
        motion_strength: float | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Make a video that begins with `image`.

        Args:
            image: the first picture.
            prompt: what happens in the video.
            end_image: the last picture, where the model takes one.
            num_frames: how many pictures; excludes `video_length`.
            fps: pictures a second.
            video_length: how long it plays, in seconds (frames = fps x length); excludes `num_frames`.
            guidance_scale: how closely it follows the text.
            aspect_ratio: width to height: "16:9", "9:16", "1:1".
            teacache: take a shortcut that is faster and a little worse.
            seed: the same seed and options give the same video.
            negative_prompt: what it should not show.
            resolution: height: "480p", "720p", "1080p".
            motion_strength: how much moves: 0 (nothing) to 1.
            options: options of this model, and how the call is made.
        """
        options |= {"prompt": prompt, "end_image": end_image, "num_frames": num_frames, "fps": fps}
        options |= {"video_length": video_length, "guidance_scale": guidance_scale, "aspect_ratio": aspect_ratio}
        options |= {"teacache": teacache, "seed": seed, "negative_prompt": negative_prompt}
        options |= {"resolution": resolution, "motion_strength": motion_strength}
        return self._stream(lambda _: results.video, (image,), options)

    transform = awaited(stream)


class VideoToVideoModel(ModelHandle):
    """Makes videos of videos."""

    def stream(
        self,
        video: InputValue,
        *inputs: InputValue,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        strength: float | None = None,
        resolution: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Make a video of `video`; `metadata.composition` of the result has the facts of base and result.

        Args:
            video: what to begin with.
            inputs: what the model takes besides, in slot order.
            prompt: what the video should become.
            negative_prompt: what it should not show.
            strength: how far the result may be from the input: 0 (the same) to 1.
            resolution: height: "480p", "720p", "1080p".
            seed: the same seed and options give the same video.
            options: options of this model, and how the call is made.
        """
        options |= {"prompt": prompt, "negative_prompt": negative_prompt, "strength": strength}
        options |= {"resolution": resolution, "seed": seed}
        return self._stream(lambda _: results.video, (video, *inputs), options)

    transform = awaited(stream)


class VideoUpscaleModel(ModelHandle):
    """Gives videos more pixels."""

    def stream(
        self,
        video: InputValue,
        *,
        scale: float | None = None,
        resolution: str | None = None,
        fps: float | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Give `video` more pixels.

        Args:
            video: what to enlarge.
            scale: how many times as wide and as high; excludes `resolution`.
            resolution: height of the result: "720p", "1080p", "1440p", "2160p"; excludes `scale`.
            fps: pictures a second of the result.
            seed: the same seed and options give the same video.
            options: options of this model, and how the call is made.
        """
        options |= {"scale": scale, "resolution": resolution, "fps": fps, "seed": seed}
        return self._stream(lambda _: results.video, (video,), options)

    transform = awaited(stream)


class FaceSwapModel(ModelHandle):
    """Puts a face into videos."""

    def stream(
        self,
        video: InputValue,
        face: InputValue,
        *,
        face_restore: bool | None = None,
        background_enhance: bool | None = None,
        detection_threshold: float | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Put `face` into `video`.

        Args:
            video: the base.
            face: a picture with one face, or a video, of which the first picture with a face counts.
            face_restore: mend the face after it was put in.
            background_enhance: better what is around the face, too.
            detection_threshold: how sure the model has to be that something is a face: 0 to 1.
            options: options of this model, and how the call is made.
        """
        options |= {"face_restore": face_restore, "background_enhance": background_enhance}
        options |= {"detection_threshold": detection_threshold}
        return self._stream(lambda _: results.video, (video, face), options)

    transform = awaited(stream)


class LipSyncModel(ModelHandle):
    """Moves lips to what is said."""

    def stream(
        self,
        video: InputValue,
        speech: InputValue,
        *,
        sync_mode: str | None = None,
        expressiveness: float | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Move the lips in `video` to `speech`, which becomes its sound.

        Args:
            video: who speaks.
            speech: what is said; a video gives its sound.
            sync_mode: what to do when they differ in length: "cut_off", "loop", "bounce", "silence", "remap".
            expressiveness: how much the mouth moves: 0 to 1.
            seed: the same seed and options give the same video.
            options: options of this model, and how the call is made.
        """
        options |= {"sync_mode": sync_mode, "expressiveness": expressiveness, "seed": seed}
        return self._stream(lambda _: results.video, (video, speech), options)

    transform = awaited(stream)


class AvatarModel(ModelHandle):
    """Makes videos of a speaking person."""

    def stream(
        self,
        text: InputValue | None = None,
        *,
        speech: InputValue | None = None,
        image: InputValue | None = None,
        prompt: str | None = None,
        avatar: str | None = None,
        voice: str | None = None,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> TransformStream[Video]:
        """Make a video of a person who says `text`, or `speech`. `model.info.inputs` says what the model takes.

        Args:
            text: what the person says.
            speech: the same as sound.
            image: what the person looks like, where it is none of the provider's own.
            prompt: what the person does, and how.
            avatar: one of the provider's own persons by name or id.
            voice: one of the provider's own voices by name or id, where the input is text.
            aspect_ratio: width to height: "16:9", "9:16", "1:1".
            resolution: height: "480p", "720p", "1080p".
            num_frames: how many pictures.
            fps: pictures a second.
            seed: the same seed and options give the same video.
            options: options of this model, and how the call is made.
        """
        options |= {"text": text, "speech": speech, "image": image, "prompt": prompt, "avatar": avatar}
        options |= {"voice": voice, "aspect_ratio": aspect_ratio, "resolution": resolution}
        options |= {"num_frames": num_frames, "fps": fps, "seed": seed}
        return self._stream(lambda _: results.video, (), options)

    transform = awaited(stream)


class VideoCompositionModel(ModelHandle):
    """Lays pictures and videos over a video."""

    def stream(
        self, video: InputValue, *inputs: InputValue, overlays: Sequence[Overlay] | None = None, **options: Any
    ) -> TransformStream[CompositionResult]:
        """Lay `inputs` over `video`, each as the overlay at its place says.

        Args:
            video: the base.
            inputs: pictures and videos to lay over it.
            overlays: where, when and how to lay each of them.
            options: options of this model, and how the call is made.
        """
        options |= {"overlays": overlays}
        return self._stream(lambda _: results.composition, (video, *inputs), options)

    transform = awaited(stream)
