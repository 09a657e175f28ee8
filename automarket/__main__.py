"""Run the command line: python -m automarket."""

from __future__ import annotations

from automarket.cli import main

if __name__ == "__main__":
    main()
