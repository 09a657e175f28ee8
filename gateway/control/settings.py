"""Settings of control, from the command line or from AUTOMARKET_CONTROL_* variables."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.control.jobs.settings import JobSettings
from gateway.control.usage.budgets import Budget, read_budgets


class ControlSettings(BaseSettings):
    """How control runs."""

    model_config = SettingsConfigDict(
        env_prefix="AUTOMARKET_CONTROL_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="control"
    )

    listen: str = Field(description="Private address of all services, registration included: unix:/path")
    routes: str = Field(description="Where data planes get the routing table: unix:/path")
    store: str = Field(default="", description="Address of the asset store, empty when there is none")
    content_directory: str = Field(default="", description="The store's content folder, for providers on this machine")
    known_providers: Path | None = Field(
        default=None, description="JSON list of providers that exist here, running or not"
    )
    settle_seconds: float = Field(
        default=5.0, ge=0, description="How long after the start an unknown name may still turn up"
    )
    remember_seconds: float = Field(
        default=600.0, ge=0, description="How long a provider that was lost is still known by name"
    )
    insecure: bool = Field(default=False, description="Allow addresses beyond this machine")

    data_dir: Path | None = Field(default=None, description="Folder of jobs and usage; without it jobs are refused")
    jobs_parallel: dict[str, int] = Field(
        default={}, description="Jobs that a provider works on at the same time, by its id, as JSON"
    )
    jobs_max_queued: int = Field(default=10_000, ge=0, description="Jobs that may wait")
    jobs_max_attempts: int = Field(default=8, ge=1, description="Attempts in a row that bring a job no further")
    jobs_wait_seconds: float = Field(
        default=86_400.0, ge=0, description="How long a job waits for a provider that is not there"
    )
    jobs_keep_days: float = Field(default=30.0, ge=1, description="How long jobs are kept after their end")
    jobs_keep_count: int = Field(
        default=10_000, ge=0, description="Ended jobs that are kept; those of the last 24 hours always are"
    )
    jobs_max_events: int = Field(default=10_000, ge=10, description="Events that are kept of one job")
    jobs_slow_seconds: float = Field(default=60.0, gt=0, description="How long a watcher may leave its stream unread")
    budgets: str = Field(default="", description="What may be spent: JSON list of limit, currency, period and provider")
    webhook_secret: SecretStr = Field(default=SecretStr(""), description="Signs webhooks; without it there are none")

    @field_validator("budgets")
    @classmethod
    def _check_budgets(cls, text: str) -> str:
        read_budgets(text)
        return text

    def spending(self) -> tuple[Budget, ...]:
        """Give the budgets."""
        return read_budgets(self.budgets)

    def jobs(self) -> JobSettings:
        """Give the limits of jobs."""
        return JobSettings(
            parallel=self.jobs_parallel,
            max_queued=self.jobs_max_queued,
            max_attempts=self.jobs_max_attempts,
            wait_seconds=self.jobs_wait_seconds,
            keep_seconds=self.jobs_keep_days * 86_400,
            keep_count=self.jobs_keep_count,
            max_events=self.jobs_max_events,
            slow_seconds=self.jobs_slow_seconds,
        )
