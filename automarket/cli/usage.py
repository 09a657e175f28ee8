"""`automarket usage`: what was used, what it cost, and what is left of the budgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal
from automarket.client.job_info import UsageBy

if TYPE_CHECKING:
    from automarket.cli.terminal import Terminal
    from automarket.client.job_info import BudgetStatus, UsageReport, UsageSum


def usage(
    *,
    by: Annotated[
        list[UsageBy] | None, typer.Option("--by", help="Add up by provider, model, day; again for more.")
    ] = None,
    days: Annotated[int, typer.Option(help="The last so many days, today included; 0 is everything.", min=0)] = 30,
    provider: Annotated[str, typer.Option("--provider", "-p", help="Of one provider.")] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="Of one model.")] = "",
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Show what calls and jobs used and cost, by provider and model unless told otherwise, and the budgets."""
    screen = terminal(as_json=json)
    groups = by or [UsageBy.PROVIDER, UsageBy.MODEL]

    async def work() -> None:
        import automarket

        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight - timedelta(days=days - 1) if days else None
        async with automarket.connect(address) as mesh:
            report = await mesh.usage(by=groups, start=start, provider=provider, model=model)
        if screen.as_json:
            screen.json(report)
        else:
            _print(screen, report, groups)

    run(screen, work())


def _print(screen: Terminal, report: UsageReport, groups: list[UsageBy]) -> None:
    if report.sums:
        headings = [*(group.value for group in groups), "calls", "in", "out", "unit", "cost"]
        screen.table(headings, [[*_names(one, groups), *_amounts(one)] for one in report.sums])
    else:
        screen.note("nothing was used")
    if report.budgets:
        screen.say("")
        headings = ["budget", "period", "limit", "spent", "reserved", "left"]
        screen.table(headings, [_budget(one) for one in report.budgets])


def _names(one: UsageSum, groups: list[UsageBy]) -> list[str]:
    names = {UsageBy.PROVIDER: one.provider_id, UsageBy.MODEL: one.model_id, UsageBy.DAY: one.day}
    return [names[group] for group in groups]


def _amounts(one: UsageSum) -> list[str]:
    cost = f"{one.cost:.4f} {one.currency}" if one.currency else ""
    if one.unpriced_count:
        cost = f"{cost} and {one.unpriced_count} calls of unknown cost".removeprefix(" and ")
    return [f"{one.call_count:,}", f"{one.input_units:,g}", f"{one.output_units:,g}", one.unit, cost]


def _budget(one: BudgetStatus) -> list[str]:
    amounts = (one.limit, one.spent, one.reserved, one.left)
    return [one.provider_id or "whole mesh", one.period, *(f"{amount:.4f} {one.currency}" for amount in amounts)]
