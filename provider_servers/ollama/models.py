"""Ollama's models as models of the mesh: those that the backend has, and a few that it can fetch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from provider_servers.runtime import Model, chat_inputs, text_option_schemas, text_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provider_servers.ollama.client import HeldModel

LATEST = ":latest"
MAX_CHARACTERS = 2_000_000
_FETCHED = "It is pulled when it is first used."

# What is offered beside the models that the backend has: small enough for a laptop, and what for.
LIBRARY: Mapping[str, str] = {
    "llama3.2": "Meta Llama 3.2, 3B: a small all-rounder; 2 GB.",
    "gemma3": "Google Gemma 3, 4B: many languages, long texts; 3.3 GB.",
    "qwen3": "Alibaba Qwen 3, 8B: thinks before it answers; 5.2 GB.",
}

_SHARED = (
    *("temperature", "top_p", "top_k", "max_tokens", "system_prompt", "stop", "seed", "presence_penalty"),
    *("frequency_penalty", "response_format"),
)
_OWN: dict[str, Any] = {
    "context_tokens": {
        "type": "integer",
        "minimum": 256,
        "maximum": 10_000_000,
        "description": "Tokens in view, the answer included; what is longer is refused. A change of it loads the model "
        "anew. Not set: as the backend is set up, often 4,096.",
    },
    "keep_alive": {
        "type": "number",
        "minimum": -1,
        "maximum": 31_536_000,
        "description": "Seconds that the model stays in memory afterwards: 0 not at all, -1 for good.",
    },
}
IMAGE_TYPES = ("image/png", "image/jpeg")
EFFORTS = ("none", "low", "medium", "high", "max")


def offered(held: Iterable[HeldModel], further: Iterable[str] = ()) -> list[Model]:
    """List models: those that the backend has, then `further` names, then what can be fetched of the built-in list."""
    models = {_short(one.name): _held(one) for one in held if _writes(one)}
    for name in (*map(_short, further), *LIBRARY):
        models.setdefault(name, _absent(name))
    return list(models.values())


def _short(name: str) -> str:
    return name.removesuffix(LATEST)


def _writes(held: HeldModel) -> bool:
    """Tell whether a model writes text; one of an older backend, which does not say, is taken to."""
    return not held.capabilities or "completion" in held.capabilities


def _held(held: HeldModel) -> Model:
    facts = ", ".join(filter(None, (held.family, held.parameters, held.quantization)))
    size = f"{held.size / 1e9:.1f} GB"
    made = _model(_short(held.name), f"{facts}; {size}." if facts else f"{size}.", held.capabilities)
    return replace(made, context_tokens=held.context_tokens)


def _absent(name: str) -> Model:
    return _model(name, " ".join(filter(None, (LIBRARY.get(name, ""), _FETCHED))), ())


def _model(name: str, description: str, can: tuple[str, ...]) -> Model:
    """Describe a model. Where nothing is known of what it can do, the backend says so when it is asked for it."""
    base = name.rpartition("/")[2]
    further = [option for option, needed in _NEEDED.items() if not can or needed in can]
    return Model(
        id=name,
        capabilities=("text-to-text",),
        inputs=chat_inputs(images=IMAGE_TYPES if not can or "vision" in can else (), max_characters=MAX_CHARACTERS),
        outputs=text_output(),
        options=text_option_schemas(*_SHARED, *further, seed=_SEED, reasoning_effort={"enum": list(EFFORTS)}) | _OWN,
        aliases=() if ":" in base else (name + LATEST,),
        description=description,
        replay_safe=True,
    )


_NEEDED = {"tools": "tools", "reasoning_effort": "thinking"}
_SEED = {"minimum": 0, "maximum": 2**31 - 1}
