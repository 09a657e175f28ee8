"""LiteLLM's proxy, from PyPI, in an environment of its own: one worker, no database, no call-backs, no access log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.llm.answers import MODEL
from bench.llm.installed import release
from bench.processes import ROOT

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
    return release(FOLDER / "python", "litellm", "LiteLLM is not installed: tools/bench_llm.sh")


def command(port: int, upstream: str, folder: Path) -> list[str]:
    """Write what it needs and give the command that starts it."""
    config = folder / "litellm.yaml"
    config.write_text(CONFIG.format(model=MODEL, upstream=upstream), encoding="utf-8")
    settings = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return [str(FOLDER / "litellm"), *settings]
