"""The command line. Nothing imports it but its entry point."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit with its code (see `automarket.cli.exits`)."""
    try:
        from automarket.cli.app import app

        app(prog_name="automarket")
    except KeyboardInterrupt:  # while it was still loading
        from automarket.cli.exits import Exit

        raise SystemExit(Exit.INTERRUPTED) from None
