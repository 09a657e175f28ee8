"""Descriptions of language models from what vendors list."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from provider_servers.runtime.chat_model import chat_inputs, text_output
from provider_servers.runtime.describe import Model, Pricing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")
SOUND = ("audio/wav", "audio/mpeg")
FILES = ("application/pdf",)
MAX_IMAGE_BYTES, MAX_SOUND_BYTES, MAX_FILE_BYTES = 20 * 1024 * 1024, 25 * 1024 * 1024, 32 * 1024 * 1024
MAX_DESCRIPTION = 240
_ID = re.compile(r"[!-~]{1,255}")


def language_model(
    model: str,
    options: Mapping[str, Any],
    *,
    canonical_id: str = "",
    name: str = "",
    description: str = "",
    pictures: Sequence[str] = (),
    sound: Sequence[str] = (),
    files: Sequence[str] = (),
    pricing: Pricing | None = None,
    context_tokens: int | None = None,
    max_output_tokens: int | None = None,
) -> Model:
    """Describe a model that answers conversations; its vendor bills every call, so none is repeated unasked."""
    text = " ".join(description.split())
    return Model(
        id=model,
        capabilities=("text-to-text",),
        inputs=chat_inputs(
            images=pictures,
            audio=sound,
            files=files,
            max_image_bytes=MAX_IMAGE_BYTES if pictures else None,
            max_audio_bytes=MAX_SOUND_BYTES if sound else None,
            max_file_bytes=MAX_FILE_BYTES if files else None,
        ),
        outputs=text_output(),
        options=options,
        canonical_id=canonical_id,
        name=name,
        description=text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 3] + "...",
        pricing=pricing,
        context_tokens=context_tokens,
        max_output_tokens=max_output_tokens,
    )


def usable(models: Iterable[Model]) -> list[Model]:
    """Leave out models whose id the mesh cannot name, and repetitions."""
    return list({model.id: model for model in models if _ID.fullmatch(model.id)}.values())


def token_price(read: object, written: object, cached: object = None, *, tokens: int = 1) -> Pricing | None:
    """Give a price per token in US dollars; None where it is not known, or differs from call to call.

    Args:
        read: price of so many tokens that are read, as a number or a decimal text.
        written: of those that are written.
        cached: of those read from the vendor's cache.
        tokens: how many tokens have that price.
    """
    costs = [_decimal(one) for one in (read, written, cached)]
    if costs[0] is None or costs[1] is None:
        return None
    first, second, third = (None if one is None else float(one / tokens) for one in costs)
    return Pricing("token", first or 0.0, second or 0.0, "USD", cached_input_cost=third)


def _decimal(price: object) -> Decimal | None:
    if price is None or isinstance(price, bool):
        return None
    try:
        found = Decimal(str(price))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None
