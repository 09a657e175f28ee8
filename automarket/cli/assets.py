"""`automarket assets`: what the mesh keeps."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automarket.cli.completion import complete_role
from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from automarket.assets.roles import Role
    from automarket.cli.progress import LiveProgress
    from automarket.cli.terminal import Terminal
    from automarket.client.mesh import Mesh
    from automarket.media.info import AudioFormat, CastSpec, ImageFormat
    from automarket.stored import StoredAsset

app = typer.Typer(no_args_is_help=True, help="Put media into the mesh, get it out, look at it.")

Digest = Annotated[str, typer.Argument(metavar="DIGEST", help="sha256:..., or the first 6 digits or more.")]
RoleFilter = Annotated[
    str, typer.Option("--role", "-r", help="text, audio, speech, image or video.", autocompletion=complete_role)
]


@app.command()
def put(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files; - is standard input.")],
    name: Annotated[str, typer.Option(help="Name for people, instead of the file's own.")] = "",
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Upload files. Bytes that the mesh has are not sent again; an upload that was cut goes on.

    On the mesh's own machine large files are handed over by file.
    """
    screen = terminal(as_json=json)
    run(screen, _put(screen, address, files, name))


async def _put(screen: Terminal, address: str, files: list[str], name: str) -> None:
    import automarket
    from automarket.cli.inputs import standard_input
    from automarket.cli.progress import LiveProgress

    kept: list[StoredAsset] = []
    async with automarket.connect(address) as mesh:
        with LiveProgress(screen.live, quiet=screen.as_json) as progress:
            for file in files:
                report = _transfer(progress, file, "uploading")
                if file == "-":
                    kept.append(await mesh.assets.put_stream(standard_input(), file_name=name, progress=report))
                else:
                    kept.append(await mesh.assets.put(_file(file), file_name=name, progress=report))
                progress.done(file)
    if screen.as_json:
        screen.json(kept)
        return
    from automarket.cli.plain import passed

    for file, asset in zip(files, kept, strict=True):
        screen.say(asset.digest)
        screen.note(f"{file}: {asset.media_type}, {passed(asset.bytes_sent, asset.bytes_by_file)}")


def _file(word: str) -> Path:
    from automarket.errors import NotFoundError

    path = Path(word).expanduser()
    if not path.is_file():
        raise NotFoundError(f"there is no file {word}")
    return path


def _transfer(progress: LiveProgress, key: str, verb: str) -> Callable[[int, int | None], None]:
    return lambda done, total: progress.bytes(key, f"{verb} {Path(key).name}", done, total)


@app.command()
def get(
    digest: Digest,
    *,
    out: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="File or folder; - is standard output.")
    ] = "",
    offset: Annotated[int, typer.Option(help="Where to begin, in bytes; to standard output only.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="At most so many bytes; to standard output only.", min=0)] = 0,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Download an asset; what arrives is checked against its digest. A download that was cut goes on."""
    if (offset or limit) and out != "-":
        raise typer.BadParameter("a part of an asset goes to standard output: -o -", param_hint="--output")
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import find_asset
        from automarket.cli.outputs import write_chunks

        async with automarket.connect(address) as mesh:
            asset = await find_asset(mesh.assets, digest)
            if out == "-":
                await write_chunks(mesh.assets.read(asset.digest, offset, limit), Path(out))
            else:
                await _download(screen, mesh, asset, _target(asset, out))

    run(screen, work())


async def _download(screen: Terminal, mesh: Mesh, asset: StoredAsset, path: Path) -> None:
    from automarket.cli.progress import LiveProgress

    path.parent.mkdir(parents=True, exist_ok=True)
    with LiveProgress(screen.live, quiet=screen.as_json) as progress:
        await mesh.assets.get(asset.digest, path, progress=_transfer(progress, path.name, "downloading"))
    if screen.as_json:
        screen.json({"file": path, "asset": asset})
    else:
        screen.note(f"wrote {path}", style="green")


def _target(asset: StoredAsset, out: str) -> Path:
    """Give the file to write: OUT, or one in the folder OUT that is named as the asset and does not exist yet."""
    from automarket.assets.formats import by_media_type
    from automarket.errors import InvalidRequestError

    folder = Path(out or ".").expanduser()
    if not (folder.is_dir() or out.endswith("/")):
        return folder
    name = Path(asset.file_name or asset.digest.removeprefix("sha256:")[:12]).name
    form = by_media_type(asset.media_type)
    ending = f".{form.extensions[0]}" if form and not Path(name).suffix else ""
    path = folder / f"{name}{ending}"
    if path.exists():
        raise InvalidRequestError(f"{path} exists already", hint=f"to replace it: -o {path}")
    return path


@app.command("ls")
def list_assets(
    *,
    role: RoleFilter = "",
    media_type: Annotated[str, typer.Option("--type", help='Beginning of the media type: "video/".')] = "",
    derived: Annotated[
        bool | None, typer.Option("--derived/--uploaded", help="Only what was made from other assets, or none of it.")
    ] = None,
    parent: Annotated[str, typer.Option(help="Only what was made from this asset.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many; 0 is all.", min=0)] = 50,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """List assets, newest first."""
    screen = terminal(as_json=json)
    wanted = _role(role) if role else None

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import find_asset

        found: list[StoredAsset] = []
        async with automarket.connect(address) as mesh:
            of = (await find_asset(mesh.assets, parent)).digest if parent else ""
            listed = mesh.assets.list(role=wanted, media_type=media_type, derived=derived, parent=of)
            async with contextlib.aclosing(listed) as assets:
                async for asset in assets:
                    found.append(asset)
                    if len(found) == limit:
                        break
        if screen.as_json:
            screen.json(found)
        else:
            from automarket.cli.assets_view import print_list

            print_list(screen, found)

    run(screen, work())


def _role(name: str) -> Role:
    from automarket.assets.roles import Role

    if name not in list(Role):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(Role)}", param_hint="--role")
    return Role(name)


@app.command()
def stat(
    digest: Digest,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Check first that the bytes on disk are whole.")] = False,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Describe an asset: size, media, where it came from."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import find_asset

        async with automarket.connect(address) as mesh:
            asset = await find_asset(mesh.assets, digest)
            if verify:
                asset = await mesh.assets.stat(asset.digest, verify=True)
        if screen.as_json:
            screen.json(asset)
        else:
            from automarket.cli.assets_view import print_asset

            print_asset(screen, asset)

    run(screen, work())


@app.command()
def lineage(digest: Digest, address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Tell every step that led to an asset: by whom, with which options, for how much."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import find_asset

        async with automarket.connect(address) as mesh:
            steps = await mesh.assets.lineage((await find_asset(mesh.assets, digest)).digest)
        if screen.as_json:
            screen.json({"steps": steps})
        else:
            from automarket.cli.assets_view import print_lineage

            print_lineage(screen, steps)

    run(screen, work())


@app.command()
def cast(
    digest: Digest,
    *,
    role: Annotated[
        str, typer.Option("--role", "-r", help="The role that it has to play.", autocompletion=complete_role)
    ],
    container: Annotated[str, typer.Option(help="wav, mp3, flac, ...; png, jpeg, webp.")] = "",
    rate: Annotated[int, typer.Option(help="Samples a second, for sound.", min=0)] = 0,
    channels: Annotated[int, typer.Option(help="Channels, for sound.", min=0)] = 0,
    width: Annotated[int, typer.Option(help="At most so many pixels wide, for a picture.", min=0)] = 0,
    height: Annotated[int, typer.Option(help="At most so many pixels high, for a picture.", min=0)] = 0,
    at: Annotated[float | None, typer.Option(help="Which moment of a video, in seconds, for a picture.", min=0)] = None,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Make an asset play a role, next to its bytes; asking again finds it made."""
    from automarket.media.info import AudioFormat, ImageFormat

    screen = terminal(as_json=json)
    spec = _spec(
        _role(role),
        AudioFormat(container or None, rate or None, channels or None),
        ImageFormat(container or None, width or None, height or None),
        at,
    )

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import find_asset
        from automarket.cli.progress import LiveProgress

        async with automarket.connect(address) as mesh:
            asset = await find_asset(mesh.assets, digest)
            with LiveProgress(screen.live, quiet=screen.as_json) as progress:
                progress.work("cast", "casting", None)
                made = await mesh.assets.cast(asset.digest, spec)
        if screen.as_json:
            screen.json(made)
            return
        from automarket.cli.plain import seconds

        screen.say(made.asset.digest)
        screen.note("found made, nothing had to run" if made.cached else f"made in {seconds(made.elapsed)}")

    run(screen, work())


def _spec(role: Role, audio: AudioFormat, image: ImageFormat, at: float | None) -> CastSpec:
    """Give what the options ask for; those that say nothing about the role are an error."""
    from automarket.media.info import AudioFormat, CastSpec, ImageFormat

    if role in ("audio", "speech"):
        if image.max_width or image.max_height or at is not None:
            raise typer.BadParameter("--width, --height and --at are for pictures", param_hint="--role")
        return CastSpec(role, audio=audio if audio != AudioFormat() else None)
    if audio.sample_rate or audio.channels:
        raise typer.BadParameter("--rate and --channels are for sound", param_hint="--role")
    return CastSpec(role, image=image if image != ImageFormat() else None, frame_time=at)


@app.command("rm")
def remove(
    digests: Annotated[list[str], typer.Argument(metavar="DIGEST...", help="sha256:..., or its first digits.")],
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Delete assets, and the casts that were made from them."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import find_asset

        removed: list[str] = []
        async with automarket.connect(address) as mesh:
            for digest in digests:
                asset = await find_asset(mesh.assets, digest)
                await mesh.assets.delete(asset.digest)
                removed.append(asset.digest)
                if not screen.as_json:
                    screen.note(f"removed {asset.digest}")
        if screen.as_json:
            screen.json({"removed": removed})

    run(screen, work())
