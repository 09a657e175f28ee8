"""Models that make, change, enlarge and describe pictures, or take them out of videos.

`automarket.client.sounds` says what all of them share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.client import results
from automarket.client.model import ModelHandle, awaited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.assets import Image, Text
    from automarket.client.inputs import InputValue
    from automarket.client.stream import TransformStream
    from automarket.media.info import ImageFormat


class TextToImageModel(ModelHandle):
    """Makes pictures of a text."""

    def stream(
        self,
        text: InputValue,
        *,
        negative_prompt: str | None = None,
        width: int | None = None,
        height: int | None = None,
        aspect_ratio: str | None = None,
        count: int | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        format: ImageFormat | str | None = None,  # noqa: A002 - the contract's name
        quality: str | None = None,
        background: str | None = None,
        **options: Any,
    ) -> TransformStream[list[Image]]:
        """Make pictures of `text`; the result is a list, of one picture where `count` is not set.

        Args:
            text: what the picture shows.
            negative_prompt: what it should not show.
            width: in pixels, together with `height`; excludes `aspect_ratio`.
            height: in pixels, together with `width`; excludes `aspect_ratio`.
            aspect_ratio: width to height: "1:1", "16:9", "9:16", "4:3", "3:4", "21:9".
            count: how many pictures.
            steps: steps of the diffusion; more take longer.
            guidance_scale: how closely the picture follows the text.
            seed: the same seed and options give the same picture.
            format: what the picture has to look like; a text names its container: "png", "jpeg", "webp".
            quality: how much detail is worth its time and price: "low", "medium", "high".
            background: what lies behind: "transparent", "opaque".
            options: options of this model, and how the call is made.
        """
        options |= {"negative_prompt": negative_prompt, "width": width, "height": height}
        options |= {"aspect_ratio": aspect_ratio, "count": count, "steps": steps, "guidance_scale": guidance_scale}
        options |= {"seed": seed, "format": format, "quality": quality, "background": background}
        return self._stream(lambda _: results.images, (text,), options)

    transform = awaited(stream)


class ImageToImageModel(ModelHandle):
    """Makes pictures of pictures."""

    def stream(
        self,
        *images: InputValue,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        strength: float | None = None,
        aspect_ratio: str | None = None,
        count: int | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        format: ImageFormat | str | None = None,  # noqa: A002 - the contract's name
        quality: str | None = None,
        background: str | None = None,
        **options: Any,
    ) -> TransformStream[list[Image]]:
        """Make pictures of `images`; the result is a list, of one picture where `count` is not set.

        Args:
            images: what to begin with, in slot order; most models take one.
            prompt: what the picture should become.
            negative_prompt: what it should not show.
            strength: how far the result may be from the input: 0 (the same) to 1.
            aspect_ratio: width to height: "1:1", "16:9".
            count: how many pictures.
            steps: steps of the diffusion; more take longer.
            guidance_scale: how closely the picture follows the text.
            seed: the same seed and options give the same picture.
            format: what the picture has to look like; a text names its container: "png", "jpeg", "webp".
            quality: how much detail is worth its time and price: "low", "medium", "high".
            background: what lies behind: "transparent", "opaque".
            options: options of this model, and how the call is made.
        """
        options |= {"prompt": prompt, "negative_prompt": negative_prompt, "strength": strength}
        options |= {"aspect_ratio": aspect_ratio, "count": count, "steps": steps, "guidance_scale": guidance_scale}
        options |= {"seed": seed, "format": format, "quality": quality, "background": background}
        return self._stream(lambda _: results.images, images, options)

    transform = awaited(stream)


class ImageUpscaleModel(ModelHandle):
    """Gives pictures more pixels."""

    def stream(
        self,
        image: InputValue,
        *,
        scale: float | None = None,
        prompt: str | None = None,
        creativity: float | None = None,
        face_restore: bool | None = None,
        seed: int | None = None,
        format: ImageFormat | str | None = None,  # noqa: A002 - the contract's name
        **options: Any,
    ) -> TransformStream[Image]:
        """Give `image` more pixels.

        Args:
            image: what to enlarge.
            scale: how many times as wide and as high.
            prompt: what the picture shows, for models that invent detail.
            creativity: how much detail the model may invent: 0 (none) to 1.
            face_restore: mend faces on the way.
            seed: the same seed and options give the same picture.
            format: what the picture has to look like; a text names its container: "png", "jpeg", "webp".
            options: options of this model, and how the call is made.
        """
        options |= {"scale": scale, "prompt": prompt, "creativity": creativity}
        options |= {"face_restore": face_restore, "seed": seed, "format": format}
        return self._stream(lambda _: results.image, (image,), options)

    transform = awaited(stream)


class ImageToTextModel(ModelHandle):
    """Says what pictures show."""

    def stream(
        self,
        image: InputValue,
        *,
        prompt: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        **options: Any,
    ) -> TransformStream[Text]:
        """Say what `image` shows.

        Args:
            image: what to look at.
            prompt: what to say about it.
            max_tokens: how long the text may be, in tokens.
            temperature: randomness: 0 (none) to 2.
            options: options of this model, and how the call is made.
        """
        options |= {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature}
        return self._stream(lambda _: results.text, (image,), options)

    transform = awaited(stream)


class VideoToImageModel(ModelHandle):
    """Takes pictures out of videos."""

    def stream(
        self,
        video: InputValue,
        *,
        times: Sequence[float] | None = None,
        interval: float | None = None,
        count: int | None = None,
        format: ImageFormat | str | None = None,  # noqa: A002 - the contract's name
        **options: Any,
    ) -> TransformStream[list[Image]]:
        """Take pictures out of `video`; without any option, the first one.

        Args:
            video: where the pictures are.
            times: moments to take, in seconds.
            interval: take a picture every so many seconds.
            count: take so many pictures, evenly spread.
            format: what the pictures have to look like; its bounds make thumbnails.
            options: options of this model, and how the call is made.
        """
        options |= {"times": times, "interval": interval, "count": count, "format": format}
        return self._stream(lambda _: results.images, (video,), options)

    transform = awaited(stream)
