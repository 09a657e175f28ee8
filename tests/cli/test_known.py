from __future__ import annotations

import json

import pytest

from automarket.cli.up.known import KnownProvider, choose, list_providers, write_known
from automarket.errors import ProviderUnknown, StateError


def known(name: str, *, available: bool = True, aliases: tuple[str, ...] = ()) -> KnownProvider:
    facts = {"entry": name, "id": name, "aliases": list(aliases), "kind": "local", "available": available}
    return KnownProvider.from_facts(facts if available else facts | {"reason": "no engine", "hint": "get it"})


async def test_the_providers_of_this_machine_are_listed():
    assert {"pocketsphinx", "flite", "ffmpeg"} <= {provider.id for provider in await list_providers()}


def test_without_names_every_provider_stays():
    assert choose([known("a"), known("b")], []) == [known("a"), known("b")]


def test_a_name_or_alias_limits_the_mesh_and_the_others_say_why_they_do_not_run():
    chosen, left = choose([known("a", aliases=("first",)), known("b")], ["first"])
    assert chosen.available
    assert not left.available
    assert left.facts["reason"] == "this mesh was started without it"


def test_a_provider_that_cannot_run_here_keeps_its_own_reason():
    _, broken = choose([known("a"), known("b", available=False)], ["a"])
    assert broken.reason == "no engine"


def test_asking_for_a_provider_that_cannot_run_here_is_an_error_with_what_mends_it():
    with pytest.raises(StateError, match="no engine") as caught:
        choose([known("b", available=False)], ["b"])
    assert caught.value.hint == "get it"


def test_asking_for_a_provider_that_is_not_there_names_those_that_are():
    with pytest.raises(ProviderUnknown) as caught:
        choose([known("a"), known("b")], ["zzz"])
    assert caught.value.hint == "there are: a, b"


def test_control_gets_the_list_whole(tmp_path):
    write_known(tmp_path / "known.json", [known("a"), known("b", available=False)])
    assert [one["id"] for one in json.loads((tmp_path / "known.json").read_text())] == ["a", "b"]
