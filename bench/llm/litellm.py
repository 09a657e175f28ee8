"""LiteLLM's proxy, from PyPI, in an environment of its own: one worker, no database, no call-backs, no access log."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench.llm.answers import MODEL
from bench.processes import ROOT
from bench.proxies import Missing

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".cache" / "bench-litellm" / "bin"
CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {upstream}/v1
      api_key: sk-bench
litellm_settings:
  telemetry: false
  set_verbose: false
general_settings:
  disable_spend_logs: true
  dangerously_permit_weak_or_unset_master_key: true
"""
ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it is not fetched from the network
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
    "PYTHONPATH": "",
}


def version() -> str:
    """Give the release that is installed.

    Raises:
        Missing: it is not.
    """
    python = FOLDER / "python"
    asked = "from importlib.metadata import version; print(version('litellm'))"
    try:
        done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        raise Missing("LiteLLM is not installed: tools/bench_llm.sh") from None
    return done.stdout.strip()


def command(port: int, upstream: str, folder: Path) -> list[str]:
    """Write what it needs and give the command that starts it."""
    config = folder / "litellm.yaml"
    config.write_text(CONFIG.format(model=MODEL, upstream=upstream), encoding="utf-8")
    settings = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return [str(FOLDER / "litellm"), *settings]
