"""The client without async."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
import threading

import pytest

from automarket import AssetLoader, Text, sync
from automarket.client import mesh as aio
from automarket.client import provider as aio_provider
from automarket.client.store import MeshAssets
from automarket.errors import MeshUnreachable, ModelUnknown, StateError
from tests.client.toy import WORDS


async def in_thread(work):
    """Run a script as a user would, while this test's loop serves the toy provider."""
    return await asyncio.to_thread(work)


async def test_a_script_transcribes_a_video(place, media):
    def script() -> None:
        with sync.connect(place.address) as mesh:
            stt = mesh.provider("toy").speech_to_text("words")
            text = stt.transform(AssetLoader.load(media.talk_mp4()), language="en")
            assert isinstance(text, Text)
            assert text.content == " ".join(WORDS)
            assert mesh.transform("hi", model="echo").content == "hi "
            stream = stt.stream(media.speech_wav())
            assert len(list(stream)) >= 9
            assert stream.result().content == text.content
            assert stream.report.accepted.provider_id == "toy"
            assert mesh.provider("toy").load().type == "local"
            assert [one.id for one in mesh.providers()] == ["toy"]
            stored = mesh.assets.put(media.speech_wav())
            assert stored.digest in [one.digest for one in mesh.assets.list()]
            assert b"".join(mesh.assets.read(stored.digest)) == media.speech_wav().read_bytes()

    await in_thread(script)


async def test_it_works_where_an_event_loop_runs_already(place):
    def notebook() -> str:
        async def cell() -> str:
            with sync.connect(place.address) as mesh:
                return mesh.transform("hi", model="echo").content

        return asyncio.run(cell())

    assert await in_thread(notebook) == "hi "


async def test_errors_are_the_same(place):
    def script() -> None:
        with sync.connect(place.address) as mesh, pytest.raises(ModelUnknown):
            mesh.transform("hi", model="nobody")
        with sync.connect("127.0.0.1:1") as mesh, pytest.raises(MeshUnreachable):
            mesh.providers()

    await in_thread(script)


@pytest.mark.alone
async def test_leaving_the_iteration_cancels_the_call(place):
    def script() -> None:
        with sync.connect(place.address) as mesh, mesh.stream("hi", model="echo", fault="hang") as stream:
            for _ in stream:
                break

    await in_thread(script)
    await asyncio.wait_for(place.calls[0].ended.wait(), 0.5)


async def test_a_watch_is_an_iterator(place):
    def script() -> None:
        with sync.connect(place.address) as mesh:
            assert next(iter(mesh.watch())) is not None

    await in_thread(script)


async def test_many_threads_may_call(place):
    def script() -> None:
        with sync.connect(place.address) as mesh:
            said = []
            threads = [
                threading.Thread(target=lambda n=n: said.append(mesh.transform(f"{n}", model="echo").content))
                for n in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(said) == [f"{n} " for n in range(8)]

    await in_thread(script)


@pytest.mark.alone
async def test_control_c_cancels_the_call_and_the_script_ends_at_once(place):
    program = (
        "import sys\nfrom automarket import sync\n"
        "mesh = sync.connect(sys.argv[1])\n"
        "print('calling', flush=True)\n"
        "mesh.transform('hi', model='echo', fault='hang')\n"
    )
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, place.address, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    call = await place.toy.models.call(0)
    script.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(script.communicate(), 5)
    assert errors.decode().strip().endswith("KeyboardInterrupt"), errors.decode()
    await asyncio.wait_for(call.ended.wait(), 0.5)


def test_a_call_from_the_background_loop_itself_is_refused_and_not_a_deadlock():
    async def inside() -> None:
        sync.run(asyncio.sleep(0))

    with pytest.raises(StateError, match="its own event loop"):
        sync.run(inside())


@pytest.mark.parametrize(
    ("twin", "original", "left_out"),
    [
        (sync.Mesh, aio.Mesh, set()),
        (sync.ProviderHandle, aio_provider.ProviderHandle, set()),
        (sync.Assets, MeshAssets, {"put_stream", "connection"}),
    ],
)
def test_the_twin_has_every_method_of_the_original(twin, original, left_out):
    public = {name for name, _ in inspect.getmembers(original) if not name.startswith("_")}
    assert public - left_out <= set(dir(twin))
