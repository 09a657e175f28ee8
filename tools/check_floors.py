"""Check who imports whom: every package keeps to its floor, and no modules import each other in a circle.

Run by `make check`; tests/test_floors.py runs the same functions.
"""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
OURS = ("automarket", "asset_store", "services", "gateway", "provider_servers")

# What the modules below a name may import of ours; the longest name that fits decides. A folder may always import
# itself; each provider and each service is a folder of its own, and a provider may import the service of its name.
FLOORS: dict[str, tuple[str, ...]] = {
    "automarket": ("automarket",),
    "asset_store": ("automarket",),
    "services": ("automarket", "services.runtime"),
    "services.runtime": ("automarket",),
    "gateway.control": ("automarket", "gateway.relay", "gateway.targets"),
    "gateway.relay": ("automarket.errors", "automarket.lifetime", "automarket.logs", "automarket.sockets"),
    "gateway.targets": ("automarket", "gateway.relay"),
    "provider_servers": ("automarket", "services.runtime", "provider_servers.runtime"),
    "provider_servers.runtime": ("automarket", "services.runtime"),
}
_PROVIDERS = "provider_servers"
CLI_ENTRY = "automarket.__main__"
# Who does with the standard library and these packages: a worker of the data plane is to stay small.
LEAN: dict[str, tuple[str, ...]] = {
    "gateway.relay": ("hpack", "uvloop"),
    **dict.fromkeys((*FLOORS["gateway.relay"], "automarket.secrets"), ()),
}


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Give every module of ours by its dotted name."""
    found: dict[str, Path] = {}
    for top in OURS:
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if "templates" not in parts:
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST, *, at_start: bool = False) -> Iterator[str]:
    """Give the dotted names that a module imports; with `at_start` only those that importing it runs."""
    for node in ast.iter_child_nodes(tree):
        if at_start and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(node)):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, at_start=at_start)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder + ".")


def _folder(module: str) -> str:
    """Give the folder that a module may always import: its floor, or its own provider's or service's folder."""
    floor = max((name for name in FLOORS if _below(module, name)), key=len, default=module)
    if floor in (_PROVIDERS, "services"):
        return ".".join(module.split(".")[:2])
    return floor


def floor_faults(found: dict[str, Path]) -> list[str]:
    """Name every import that leaves its floor."""
    faults: list[str] = []
    for module, path in found.items():
        floor = max((name for name in FLOORS if _below(module, name)), key=len, default="")
        own = _folder(module)
        allowed = (own, *FLOORS.get(floor, ()), *([own.replace(floor, "services")] if floor == _PROVIDERS else []))
        for target in imports(ast.parse(path.read_text(encoding="utf-8"))):
            top = target.split(".")[0]
            if top in OURS and not any(_below(target, name) for name in allowed):
                faults.append(f"{module} imports {target}: it may import only {', '.join(allowed)}")
            # `python -m automarket` is the command line itself.
            if _below(target, "automarket.cli") and not _below(module, "automarket.cli") and module != CLI_ENTRY:
                faults.append(f"{module} imports {target}: nothing imports the CLI")
            for folder, packages in LEAN.items():
                if _below(module, folder) and top not in (*sys.stdlib_module_names, *OURS, *packages):
                    only = " and ".join(filter(None, ("the standard library", ", ".join(packages))))
                    faults.append(f"{module} imports {target}: it may import only {only}")
    return faults


def circles(found: dict[str, Path]) -> list[str]:
    """Name a circle of modules that import each other when they are imported, if there is one."""
    graph: dict[str, set[str]] = {}
    for module, path in found.items():
        targets = imports(ast.parse(path.read_text(encoding="utf-8")), at_start=True)
        known = {name if name in found else name.rpartition(".")[0] for name in targets}
        graph[module] = {name for name in known if name in found and name != module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["modules import each other in a circle: " + " <- ".join(error.args[1])]
    return []


def main() -> int:
    """Print every fault."""
    found = modules()
    faults = floor_faults(found) + circles(found)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
