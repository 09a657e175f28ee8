"""Ollama's models as models of the mesh: those that the backend has, and a few that it can fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provider_servers.runtime import Model, Output, Role, Slot

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

OPTIONS: Mapping[str, Any] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "Randomness; 0 is none."},
    "top_p": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "description": "Choose among the likeliest tokens that have this probability together.",
    },
    "top_k": {"type": "integer", "minimum": 1, "maximum": 100_000, "description": "Choose among so many tokens."},
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "Write at most so many."},
    "seed": {
        "type": "integer",
        "minimum": 0,
        "maximum": 2**31 - 1,
        "description": "Equal seeds give equal texts, as far as the engine can.",
    },
    "stop": {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "maxItems": 16,
        "description": "Texts that end the answer; they are not part of it.",
    },
    "system_prompt": {"type": "string", "maxLength": 1_000_000, "description": "Who the model is to be."},
    "keep_alive": {
        "type": "number",
        "minimum": -1,
        "maximum": 31_536_000,
        "description": "Seconds that the model stays in memory afterwards: 0 not at all, -1 for good.",
    },
}
# What the API calls them.
_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "num_predict",
    "seed": "seed",
    "stop": "stop",
}


def offered(held: Iterable[HeldModel], further: Iterable[str] = ()) -> list[Model]:
    """List models: those that the backend has, then `further` names, then what can be fetched of the built-in list."""
    models = {_short(one.name): _held(one) for one in held if _writes(one)}
    for name in (*map(_short, further), *LIBRARY):
        models.setdefault(name, _absent(name))
    return list(models.values())


def engine_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options of a call as the API's `options`."""
    return {_NAMES[name]: value for name, value in options.items() if name in _NAMES}


def messages(text: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give a text as a conversation of one message, after what the model is told of itself."""
    system = options.get("system_prompt", "")
    told = [{"role": "system", "content": system}] if system else []
    return [*told, {"role": "user", "content": text}]


def _short(name: str) -> str:
    return name.removesuffix(LATEST)


def _writes(held: HeldModel) -> bool:
    """Tell whether a model writes text; one of an older backend, which does not say, is taken to."""
    return not held.capabilities or "completion" in held.capabilities


def _held(held: HeldModel) -> Model:
    facts = ", ".join(filter(None, (held.family, held.parameters, held.quantization)))
    size = f"{held.size / 1e9:.1f} GB"
    return _model(_short(held.name), f"{facts}; {size}." if facts else f"{size}.")


def _absent(name: str) -> Model:
    return _model(name, " ".join(filter(None, (LIBRARY.get(name, ""), _FETCHED))))


def _model(name: str, description: str) -> Model:
    base = name.rpartition("/")[2]
    return Model(
        id=name,
        capabilities=("text-to-text",),
        inputs=(Slot("text", Role.TEXT, max_characters=MAX_CHARACTERS, description="What the model is asked."),),
        outputs=(Output("text", Role.TEXT, ("text/plain",)),),
        options=OPTIONS,
        aliases=() if ":" in base else (name + LATEST,),
        description=description,
        replay_safe=True,
    )
