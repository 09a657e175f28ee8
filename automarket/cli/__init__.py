"""The command line. Nothing imports it but its entry point."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit with its code (see `automarket.cli.exits`)."""
    from automarket.cli.app import app

    app(prog_name="automarket")
