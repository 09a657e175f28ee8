"""What a backend's folder says of it, and what its user may set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """What a backend's folder says of it.

    Attributes:
        name: the service in its Compose file, and the value of the label `automarket.backend`.
        folder: holds docker-compose.yml and docker-compose.gpu.yml.
        port: the port inside the container; on this machine's loopback, too, unless the settings name another.
        start_seconds: a start without progress for so long has failed.
    """

    name: str
    folder: Path
    port: int
    start_seconds: float


def default_state_dir() -> Path:
    """Give the folder of locks that all processes of a user share, those of a session and those without."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "automarket" / "services"


class BackendSettings(BaseSettings):
    """What a user may set of a backend. Each backend has a class of its own, with its prefix and its image's keys."""

    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_BACKEND_")

    base_url: str = Field(default="", description="A backend that runs already; it is used, never started or stopped")
    image: str = Field(default="", description="Image to run instead of the official one")
    port: int = Field(default=0, ge=0, le=65535, description="Port on 127.0.0.1; 0 is the backend's usual one")
    gpu: bool = Field(default=False, description="Give it a GPU")
    memory: str = Field(default="", description='Most memory it may use, such as "4g"; empty is the usual limit')
    idle_seconds: float = Field(default=900, ge=0, description="Stop it after so long without work; 0 never does")
    keep_warm: bool = Field(default=False, description="Start it with its provider, and never stop it for idleness")
    exclusive_group: str = Field(default="", description="Backends of one group do not run at the same time")
    start_seconds: float | None = Field(default=None, gt=0, description="A start without progress for so long fails")
    state_dir: Path = Field(
        default_factory=default_state_dir, description="Folder of the locks that the processes of a machine share"
    )

    @property
    def prefix(self) -> str:
        """What the names of its environment variables begin with."""
        return self.model_config.get("env_prefix", "")

    def variable(self, name: str) -> str:
        """Give the environment variable of a setting, for hints."""
        return f"{self.prefix}{name.upper()}"

    def environment(self) -> dict[str, str]:
        """Give what the Compose file interpolates: the settings of the container, by their environment variables.

        So a Compose file that is used by hand takes the same variables.
        """
        given = {name: _text(value) for name, value in self if name not in _OURS and (name != "port" or value)}
        return {self.variable(name): value for name, value in given.items() if value}


_OURS = {"base_url", "gpu", "idle_seconds", "keep_warm", "start_seconds", "state_dir"}
"""Settings that are the mesh's business: no container is made from them."""


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
