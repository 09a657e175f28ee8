"""Jobs in words: tables, facts and one line for each."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from automarket.cli.plain import clean, price, seconds, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from automarket.cli.terminal import Terminal
    from automarket.client.job_info import JobInfo

HEADINGS = ("id", "state", "model", "provider", "created", "took", "cost")


def plain(job: JobInfo) -> dict[str, Any]:
    """Give a job as what JSON has, but for values that `to_plain` knows."""
    from automarket.cli.terminal import facts_of

    facts = {field.name: getattr(job, field.name) for field in dataclasses.fields(job)}
    return facts | {"error": None if job.error is None else facts_of(job.error)}


def print_jobs(screen: Terminal, jobs: Sequence[JobInfo]) -> None:
    """Print a table of jobs."""
    if not jobs:
        screen.note("there are no such jobs")
        return
    screen.table(HEADINGS, [_row(job) for job in jobs])


def _row(job: JobInfo) -> tuple[str, ...]:
    created = job.created.astimezone().strftime("%Y-%m-%d %H:%M") if job.created else ""
    return (job.id, state(job), job.model_id, job.provider_id, created, took(job), cost(job))


def state(job: JobInfo) -> str:
    """Say where a job is: "queued, 3 ahead"."""
    ahead = "" if job.queue_position is None else f", {job.queue_position} ahead"
    return f"{job.state.value.replace('_', ' ')}{ahead}"


def took(job: JobInfo) -> str:
    """Say how long a provider has been at it."""
    if job.started is None:
        return ""
    return seconds(((job.ended or datetime.now(UTC)) - job.started).total_seconds())


def cost(job: JobInfo) -> str:
    """Say what a job cost, or what it is expected to."""
    if job.cost is not None:
        currency = next(one.currency for one in job.usage if one.cost is not None)
        return f"{job.cost:g} {currency}"
    return "" if job.estimate is None or job.estimate.cost is None else f"about {price(job.estimate)}"


def facts(job: JobInfo) -> Iterator[tuple[str, str]]:
    """Give what is known of a job."""
    yield "job", job.id
    yield "state", state(job)
    yield "asked for", job.capability
    yield "provider", " ".join(filter(None, (job.provider_id, job.model_id)))
    yield "priority", str(job.priority) if job.priority else ""
    yield "labels", ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))
    for name in ("created", "started", "ended"):
        moment: datetime | None = getattr(job, name)
        yield name, moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
    yield "took", took(job)
    if job.progress is not None and not job.has_ended:
        yield "progress", clean(job.progress.message or job.progress.phase)
    yield "attempts", str(job.attempts) if job.attempts > 1 else ""
    yield "cost", cost(job)
    yield "repeats", job.retry_of
    for one in job.outputs:
        kept = f"{one.digest} ({size(one.size_bytes)})" if one.stored else size(one.size_bytes)
        yield f"output {one.output + 1}", kept
    if job.error is not None:
        yield "error", f"{clean(str(job.error))} [{job.error.reason}]"
