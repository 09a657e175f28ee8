"""Who may import whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.check_floors import ROOT, circles, floor_faults, modules

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_every_package_keeps_to_its_floor():
    assert floor_faults(modules()) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circles(modules()) == []


def test_the_check_sees_modules_at_all():
    assert len(modules(ROOT)) > 50


def test_an_import_that_leaves_its_floor_is_named(tmp_path):
    write(tmp_path, "automarket/bad.py", "from gateway.control import registry\n")
    write(tmp_path, "gateway/relay/bad.py", "def f():\n    import grpc\n")
    write(
        tmp_path, "gateway/relay/good.py", "import asyncio\nimport hpack\nfrom automarket.errors import ModelUnknown\n"
    )
    write(tmp_path, "provider_servers/one/bad.py", "import provider_servers.two\n")
    write(
        tmp_path, "provider_servers/one/good.py", "from services.one import ONE\nfrom services.runtime import Service\n"
    )
    write(tmp_path, "provider_servers/one/odd.py", "from services.two import TWO\n")
    write(tmp_path, "services/one/odd.py", "from services.two import TWO\n")
    write(tmp_path, "services/runtime/odd.py", "from services.two import TWO\n")
    write(tmp_path, "asset_store/bad.py", "from automarket.cli import main\n")
    faults = "\n".join(floor_faults(modules(tmp_path)))
    bad = ("automarket.bad", "gateway.relay.bad", "provider_servers.one.bad", "asset_store.bad")
    for name in (*bad, "provider_servers.one.odd", "services.one.odd", "services.runtime.odd"):
        assert name in faults
    assert "gateway.relay.bad imports grpc: it may import only the standard library and hpack, uvloop" in faults
    assert "good" not in faults


def test_a_circle_is_named_and_imports_for_types_or_inside_functions_make_none(tmp_path):
    write(tmp_path, "automarket/a.py", "from automarket import b\n")
    write(tmp_path, "automarket/b.py", "def f():\n    from automarket import a\n")
    assert circles(modules(tmp_path)) == []
    write(tmp_path, "automarket/b.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import automarket.a\n")
    assert circles(modules(tmp_path)) == []
    write(tmp_path, "automarket/b.py", "import automarket.a\n")
    assert "automarket.a" in circles(modules(tmp_path))[0]
