"""`automarket voices`: the voices that a provider can speak with, and clones that it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automarket.voices import Voice

app = typer.Typer(no_args_is_help=True, help="List, clone and remove the voices of a provider.")

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="A provider, by id or alias.")]


@app.command("ls")
def list_voices(
    provider: Provider,
    *,
    text: Annotated[str, typer.Option("--text", help="Those that are described with these words.")] = "",
    cloned: Annotated[bool, typer.Option("--cloned", help="Only those that were made from samples.")] = False,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """List the voices that a provider can speak with. The id is what `--option voice=` takes."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            found = await mesh.provider(provider).voices(text, cloned=cloned)
        if screen.as_json:
            screen.json(found)
        elif found:
            screen.table(("id", "name", "cloned", "languages", "description"), map(_row, found))
        else:
            screen.note("no voice fits")

    run(screen, work())


def _row(voice: Voice) -> tuple[str, ...]:
    labels = ", ".join(voice.labels.values())
    told = "; ".join(filter(None, (voice.description, labels)))
    return voice.id, voice.name, "yes" if voice.cloned else "", ", ".join(voice.languages), told


@app.command("create")
def create_voice(
    provider: Provider,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the voice.")],
    samples: Annotated[
        list[str], typer.Argument(metavar="SAMPLE...", help="Recordings: files, URLs, stored assets, or - .")
    ],
    *,
    description: Annotated[str, typer.Option("--description", help="What it is like.")] = "",
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A word about it: accent=scottish.")
    ] = None,
    remove_noise: Annotated[bool, typer.Option("--remove-noise", help="Take noise out of the samples first.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Wait no longer than so many seconds.", min=0.001)] = None,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Make a voice from recordings and store it at the provider. Prints its id."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import read_input

        told = _labels(labels or ())
        async with automarket.connect(address) as mesh:
            voice = await mesh.provider(provider).create_voice(
                name,
                [await read_input(sample, mesh) for sample in samples],  # pyright: ignore[reportArgumentType] - the client refuses text
                description=description,
                labels=told,
                remove_background_noise=remove_noise,
                timeout=timeout,
            )
        if screen.as_json:
            screen.json(voice)
        else:
            screen.say(voice.id)

    run(screen, work())


def _labels(words: Iterable[str]) -> dict[str, str]:
    from automarket.errors import InvalidRequestError

    labels: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidRequestError(f"label {word!r} has no value", hint="--label name=value")
        labels[name] = value
    return labels


@app.command("rm")
def delete_voices(
    provider: Provider,
    voices: Annotated[list[str], typer.Argument(metavar="VOICE...", help="Ids of stored voices.")],
    *,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Remove stored voices. Those that are gone already are no error."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            for voice in dict.fromkeys(voices):
                await mesh.provider(provider).delete_voice(voice)
        if screen.as_json:
            screen.json({"removed": list(dict.fromkeys(voices))})

    run(screen, work())
