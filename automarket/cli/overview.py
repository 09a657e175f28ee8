"""What the mesh is and has: status, providers, models, capabilities."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from automarket.cli.completion import complete_capability
from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal
from automarket.option_words import takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from automarket.cli.terminal import Terminal
    from automarket.client.descriptors import CapabilityInfo, ModelInfo, ProviderInfo
    from automarket.client.mesh import Mesh

AvailableOnly = Annotated[bool, typer.Option("--available", help="Leave out what cannot take work now.")]
CapabilityFilter = Annotated[
    str,
    typer.Option("--capability", "-c", help="Those that can do this.", autocompletion=complete_capability),
]


def status(address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Say whether a mesh runs, and how it is."""
    screen = terminal(as_json=json)
    run(screen, _status(screen, address))


async def _status(screen: Terminal, address: str) -> None:
    import automarket
    from automarket.cli.backends import ask_backends

    async with automarket.connect(address) as mesh:
        begin = time.monotonic()
        found = await ask_backends(mesh)
        answered = (time.monotonic() - begin) * 1000
        store = await _store_state(mesh)
    if screen.as_json:
        providers = found.plain(found.providers)
        screen.json({"address": address, "answered_ms": round(answered, 1), "store": store, "providers": providers})
        return
    screen.say(f"A mesh runs at {address} (it answered in {answered:.0f} ms).", style="bold")
    screen.facts([("asset store", store)])
    screen.table(
        ("provider", "instances", "working on", "waiting", "backend", "state"),
        [_load(provider, found.state(provider)) for provider in found.providers],
    )


async def _store_state(mesh: Mesh) -> str:
    from automarket.errors import AutoMarketError

    try:
        await mesh.assets.find_missing([])
    except AutoMarketError as error:
        return error.message
    return "takes work"


def _load(provider: ProviderInfo, backend: str) -> tuple[str, ...]:
    instances = provider.instances
    return (
        provider.id,
        str(len(instances)),
        str(sum(one.active_calls for one in instances)),
        str(sum(one.queued_calls for one in instances)),
        backend,
        _availability(provider),
    )


def _availability(thing: ProviderInfo | ModelInfo) -> str:
    state = thing.availability
    if state.available:
        return "available"
    return f"{state.reason or 'not available'} ({state.hint})" if state.hint else state.reason or "not available"


def providers(address: Address = DEFAULT_ADDRESS, available: AvailableOnly = False, json: Json = False) -> None:
    """List the providers, those that cannot run here too, with what would mend it."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.backends import ask_backends

        async with automarket.connect(address) as mesh:
            found = await ask_backends(mesh)
        shown = [one for one in found.providers if one.availability.available or not available]
        if screen.as_json:
            return screen.json(found.plain(shown))
        rows = [
            (one.id, str(one.kind), ", ".join(one.capabilities), found.state(one), _availability(one)) for one in shown
        ]
        return screen.table(("provider", "kind", "capabilities", "backend", "state"), rows)

    run(screen, work())


def capabilities(
    address: Address = DEFAULT_ADDRESS,
    every: Annotated[bool, typer.Option("--all", help="Also those that no model of this mesh has.")] = False,
    json: Json = False,
) -> None:
    """List what the mesh can do."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            found = await mesh.capabilities(available_only=not every)
        if screen.as_json:
            return screen.json(found)
        return screen.table(("capability", "from", "to", "models", "also called"), map(_capability_row, found))

    run(screen, work())


def _capability_row(one: CapabilityInfo) -> tuple[str, ...]:
    return (
        one.name,
        ", ".join(one.input_roles),
        str(one.output_role or ""),
        str(one.model_count),
        ", ".join(one.aliases),
    )


def models(
    name: Annotated[str, typer.Argument(help="A model, to be described with its inputs and options.")] = "",
    *,
    capability: CapabilityFilter = "",
    provider: Annotated[str, typer.Option("--provider", "-p", help="Those of this provider.")] = "",
    text: Annotated[str, typer.Option("--text", help="Those that are described with these words.")] = "",
    address: Address = DEFAULT_ADDRESS,
    available: AvailableOnly = False,
    json: Json = False,
) -> None:
    """List the models, or describe one."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            if name:
                model = await mesh.model(name, capability=capability, provider=provider)
                return screen.json(model.info) if screen.as_json else _describe(screen, model.info)
            found = await mesh.models(capability=capability, provider=provider, text=text, available_only=available)
        return screen.json(found) if screen.as_json else _list_models(screen, found)

    run(screen, work())


def _list_models(screen: Terminal, found: Sequence[ModelInfo]) -> None:
    rows = [
        (
            one.id,
            one.provider_id,
            ", ".join(one.capabilities),
            one.description if one.availability.available else f"not available: {_availability(one)}",
        )
        for one in found
    ]
    screen.table(("model", "provider", "capabilities", "description"), rows)


def _describe(screen: Terminal, model: ModelInfo) -> None:
    screen.facts(
        [
            ("model", model.id),
            ("also called", ", ".join(filter(None, (model.canonical_id, *model.aliases)))),
            ("provider", model.provider_id),
            ("description", model.description),
            ("capabilities", ", ".join(model.capabilities)),
            ("state", _availability(model)),
            ("context", _context(model)),
            ("price", _price(model)),
        ]
    )
    slots = [
        (one.name, str(one.role or ""), ", ".join(_slot_notes(one.optional, one.repeated)), one.description)
        for one in model.inputs
    ]
    screen.say("")
    screen.table(("input", "role", "", "description"), slots)
    outputs = [(one.name, str(one.role or ""), ", ".join(one.media_types)) for one in model.outputs]
    screen.say("")
    screen.table(("output", "role", "media types"), outputs)
    options = list(_options(model.options_schema or {}))
    if options:
        screen.say("")
        screen.table(("option", "takes", "default", "description"), options)


def _context(model: ModelInfo) -> str:
    """Say how much a language model has in view."""
    limits = model.limits
    facts = [f"{limits.context_tokens:,} tokens"] if limits.context_tokens else []
    return ", ".join([*facts, *([f"answers up to {limits.max_output_tokens:,}"] if limits.max_output_tokens else [])])


def _price(model: ModelInfo) -> str:
    """Say what a model costs: tokens by the million, everything else by one."""
    price = model.pricing
    if price is None:
        return ""
    times, unit = (1e6, "million tokens") if price.unit == "token" else (1, price.unit)
    return f"{price.input_cost * times:g} {price.currency} per {unit} in, {price.output_cost * times:g} out"


def _slot_notes(optional: bool, repeated: bool) -> list[str]:
    return ["optional"] * optional + ["several"] * repeated


def _options(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, ...]]:
    """Give a row for each option; the parts of an option that has some are named as `--option` takes them."""
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties") or {})
    for name, part in properties.items():
        if part.get("properties"):
            yield from _options(part, f"{path}{name}.")
        else:
            yield (path + name, *_option_notes(part))


def _option_notes(schema: dict[str, Any]) -> tuple[str, str, str]:
    default = str(schema["default"]) if "default" in schema else ""
    return takes(schema), default, str(schema.get("description", ""))
