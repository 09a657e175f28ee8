"""Stock @grpc/grpc-js calls the gateway: tests/clients/node/hop.mjs says how."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.foreign import one_peer, run
from tests.support.gateway import until
from tests.support.require import require

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parent.parent.parent / "clients" / "node"


async def test_a_node_client_makes_calls_of_every_kind(short_dir):
    require("node")
    assert (FOLDER / "node_modules").is_dir(), "run `make setup`: the Node client's packages are not installed"
    async with one_peer(short_dir, "raw") as mesh:
        done = await run("node", FOLDER / "hop.mjs", mesh.public, timeout=100)
        assert done.code == 0, done.err
        assert len(done.out.splitlines()) == 10
        # What the client gave up has ended at the provider, too.
        words = [words for _, words in mesh.notes("one-1")]
        begun = sum(one in ("begun hang", "begun wait") for one in words)
        assert begun > 25  # a call whose deadline passes early never gets there
        await until(lambda: begun == sum(_is_end(one) for _, one in mesh.notes("one-1")), 2)


def _is_end(words):
    error, _, do = words.partition(" ")
    return do in ("hang", "wait") and error in ("CancelledError", "GeneratorExit")
