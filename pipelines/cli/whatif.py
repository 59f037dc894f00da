"""``whatif``: what the calls in the books would have cost otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.arguments import EXIT_USAGE, AsJson, Root, books_root, day_of, days_of
from pipelines.cli.printing import complain, money, percent, print_json, print_said, print_table, progress
from pipelines.paths import DataRoot
from pipelines.words import listed, things

if TYPE_CHECKING:
    from pipelines.whatif.alone import Alone
    from pipelines.whatif.answer import Answer

_BY = ("feature", "customer_tier")
_CENT, _FOURTH = Decimal("0.01"), Decimal("0.0001")
_CLUSTERS = {
    "user": "users",
    "customer": "customers",
    "session": "sessions",
    "day_and_type": "days of what tells no user",
}


def whatif(
    scenario: Annotated[
        str | None,
        typer.Argument(help="A scenario of scenarios.csv, or several: routing+batch. Without one: the list."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, or scenario.key=value where several have it (repeat it for several)."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Only calls from this day on. Default: four weeks.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Only calls before this day. Default: the end of the last whole week.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="feature, customer_tier, or feature,customer_tier.")] = "feature",
    export: Annotated[bool, typer.Option("--export", help="Keep the answer as Parquet in exports/whatif/.")] = False,
    backtest: Annotated[
        str | None,
        typer.Option(
            "--backtest", help="The day of a change that really happened: what the scenario says of it, and what came."
        ),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Replay a lever on the calls in the books: what they would have cost, low, mid and high, and what that leaves out."""
    from pipelines.whatif import alone
    from pipelines.whatif import answer as asking
    from pipelines.whatif.export import keep
    from pipelines.whatif.scenarios import ScenarioError

    data = books_root(root)
    columns = [name.strip() for name in by.split(",")]
    if not set(columns) <= set(_BY):
        raise typer.BadParameter(f"{by!r}, expected feature, customer_tier or both with a comma", param_hint="--by")
    (first, end), changed = days_of(from_, to), day_of(backtest, "--backtest")
    try:
        if scenario is None:
            if settings or export or changed:
                raise typer.BadParameter("name a scenario; without one they are listed", param_hint="scenario")
            _list(data, as_json=as_json)
            return
        is_alone = alone.is_alone(data, scenario)
        if export and changed:
            raise typer.BadParameter("a backtest has no rows to keep; --json gives all of it", param_hint="--export")
        if changed and is_alone:
            raise typer.BadParameter(
                f"{scenario} changes no call, so nothing can have come of it", param_hint="--backtest"
            )
        if changed and (from_ or to):
            raise typer.BadParameter(
                "its weeks are the four before the day and the four from it on: leave out --from and --to",
                param_hint="--backtest",
            )
        if is_alone:
            single = alone.ask_alone(data, scenario, settings or (), first, end)
            kept = keep(data, single) if export else None
            _print_alone(single, as_json=as_json)
            _say_kept(kept)
            return
        if changed is not None:
            _print_backtest(data, scenario, settings or (), changed, as_json=as_json)
            return
        with progress() as say:
            found = asking.ask(data, scenario, settings or (), first=first, end=end, say=say)
        kept = keep(data, found) if export else None
    except ScenarioError as error:
        complain(str(error))
        raise typer.Exit(EXIT_USAGE) from None
    if as_json:
        print_json(content(found, columns))
    else:
        _print(found, columns)
    _say_kept(kept)


def _say_kept(kept: Path | None) -> None:
    if kept:
        complain(f"Kept in {kept}. The next run puts it on the weekly page.")


def content(found: Answer, columns: list[str]) -> dict[str, Any]:
    """The answer as JSON."""
    return {
        "scenario": found.name,
        "from": found.first,
        "before": found.end,
        "days": found.days,
        "replayed": "calls" if found.replayed.is_by_call else "cells of calls",
        "total": found.total,
        "chance": [one.__dict__ for one in found.intervals],
        "rows": found.by(columns),
        "in_order": found.steps,
        "models": found.replayed.targets,
        "assumed": found.assumed,
        "held_constant": found.held,
        "not_priced": found.risks,
        "payback": [one.__dict__ for one in found.paybacks],
    }


def _list(data: DataRoot, *, as_json: bool) -> None:
    from pipelines.whatif.answer import scenario_rows

    rows = scenario_rows(data)
    shown = [
        {name: row[name] or "" for name in ("scenario", "lever", "parameter", "setting", "unit", "why")} for row in rows
    ]
    if as_json:
        print_json(shown)
        return
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in shown:
        settings = {name: row[name] for name in ("parameter", "setting", "unit", "why")}
        together.setdefault((row["scenario"], row["lever"]), []).append(settings)
    for (scenario, lever), settings_of_it in together.items():
        print(scenario if scenario == lever else f"{scenario} (lever {lever})")
        print_table(settings_of_it, "")
        print()
    print(
        "Ask one: tokenbooks whatif routing --set share=0.5. Three numbers are the cheapest, the middle and the dearest assumption."
    )


def _print(found: Answer, columns: list[str]) -> None:
    print_table(
        [
            {
                **{name: row[name] for name in columns},
                "calls": row["requests"],
                "changed": row["changed_requests"],
                "cost_usd": _cents(row.get("actual_usd")),
                **{f"saves_{case}": _cents(row[f"saving_{case}_usd"]) for case in ("low", "mid", "high")},
            }
            for row in found.by(columns)
        ],
        "",
    )
    total = found.total
    print()
    print_said("", sentence(found))
    print_said("Assumptions", assumptions_said(found))
    print_said("Chance", chance_said(found))
    if found.steps:
        print()
        print_table(
            [
                {
                    "lever": step["scenario"],
                    "saves_first_usd": _cents(step["alone_mid_usd"]),
                    "in_this_order_usd": _cents(step["saving_mid_usd"]),
                    "saves_last_usd": _cents(step["last_mid_usd"]),
                }
                for step in found.steps
            ],
            "",
        )
        alone = sum((step["alone_mid_usd"] for step in found.steps), Decimal(0))
        print(
            f"Added up, each first, they would be {money(alone)}: {money(alone - total['saving_mid_usd'])} of it would count twice."
        )
    for one in found.paybacks:
        net = f"{signed(one.saving_per_month_usd)} a month after what it costs"
        if one.months is None:
            print(f"Payback ({one.case}): never, at {net}.")
        else:
            on = f", on {one.day}" if one.day else ""
            print(f"Payback ({one.case}): {one.months:.1f} months{on}, at {net}.")
        if one.breakeven_calls_per_month is None:
            print("    At no volume: a call that it changes saves nothing.")
        else:
            print(
                f"    Within {one.within_months:f} months from {one.breakeven_calls_per_month:,} calls a month on that it changes; "
                f"now {one.calls_per_month:,.0f}."
            )
    for move in found.replayed.targets:
        print_said("Moves", f"{move['from_provider']}/{move['from_model']} to {move['to_provider']}/{move['to_model']}")
    covered = _share(total["covered_usd"], total["actual_usd"])
    changed = percent(total["changed_requests"] / total["requests"])
    calls = f"changes {total['changed_requests']:,} of {total['requests']:,} calls ({changed})"
    print_said("Applies to", f"{covered} of the spend; {calls}")
    if total["unpriced_requests"]:
        print_said("Left out", f"{total['unpriced_requests']:,} calls without a cost")
    if total["unreplayed_requests"]:
        print_said("Left as is", f"{total['unreplayed_requests']:,} calls, as a price of theirs is missing there")
    print_said("Held", "; ".join(found.held))
    print_said("Not priced", "; ".join(found.risks))
    print("Assumed")
    print_table(
        [{name: row[name] for name in ("scenario", "setting", "low_mid_high", "unit", "why")} for row in found.assumed],
        "",
    )


def _print_backtest(data: DataRoot, scenario: str, settings: Sequence[str], changed: date, *, as_json: bool) -> None:
    from pipelines.whatif.backtest import backtest

    with progress() as say:
        tried = backtest(data, scenario, settings, changed, say=say)
    if as_json:
        print_json(
            [
                {**one.__dict__, "error": one.error, "unchanged_error": one.unchanged_error, "is_within": one.is_within}
                for one in tried
            ]
        )
        return
    thousand = Decimal(1000)
    print_said(
        "",
        f"USD for 1,000 calls: {scenario} on the four weeks before {changed}, and what came in the four from then on",
    )
    print_said("", "within: came lies between low and high; unchanged: the error of saying that nothing changes")
    print_table(
        [
            {
                "feature": one.feature,
                "before": _cents(one.before_usd * thousand),
                **{
                    f"said_{case}": _cents(getattr(one, f"predicted_{case}_usd") * thousand)
                    for case in ("low", "mid", "high")
                },
                "came": _cents(one.actual_usd * thousand),
                "error": percent_of(one.error),
                "within": one.is_within,
                "unchanged": percent_of(one.unchanged_error),
            }
            for one in tried
        ],
        "",
    )


def _print_alone(found: Alone, *, as_json: bool) -> None:
    from pipelines.whatif.alone import all_plans, cases_of

    if as_json:
        print_json(
            {
                "scenario": found.name,
                "from": found.first,
                "before": found.end,
                "covered_usd": found.covered_usd,
                "actual_usd": found.actual_usd,
                "pools": [asdict(one) for one in found.pools],
                "plans": [{"customer_tier": plan["customer_tier"], "cases": cases_of(plan)} for plan in found.plans],
                "assumed": found.assumed,
                "held_constant": found.held,
                "not_priced": found.risks,
            }
        )
        return
    if found.pools:
        _print_pools(found)
    else:
        for plan in [*found.plans, {"customer_tier": "(all)", **all_plans(found.plans)}]:
            print(f"{plan['customer_tier']}:")
            lines = [
                {
                    name: _cents(value)
                    if name.endswith("_usd")
                    else percent_of(value)
                    if name == "margin_rate" and value is not None
                    else value
                    for name, value in line.items()
                }
                for line in cases_of(plan)
            ]
            print_table(lines, "")
    print_said("Applies to", f"{_share(found.covered_usd, found.actual_usd)} of the spend")
    print_said("Held", "; ".join(found.held))
    print_said("Not priced", "; ".join(found.risks))
    print("Assumed")
    print_table([{name: row[name] for name in ("setting", "low_mid_high", "unit", "why")} for row in found.assumed], "")


def _print_pools(found: Alone) -> None:
    for one in found.pools:
        used = percent_of(one.used_utilisation or Decimal(0))
        print(
            f"{one.case:4s} {things(one.gpus, 'GPU')}: {money(one.monthly_usd)} a month, used {used} of the time; "
            f"the API took {money(one.api_monthly_usd)}."
        )
        if one.breakeven_utilisation is None:
            print("     Even a full pool would be dearer: it never pays.")
        else:
            tokens = (one.breakeven_tokens or Decimal(0)) / 1_000_000
            print(
                f"     Cheaper from {percent_of(one.breakeven_utilisation)} use on: {tokens:,.1f} M generated tokens a month."
            )
    print()
    middle = found.pools[1]
    print_table(
        [
            {
                "use": percent_of(point.utilisation),
                "month_mtok": f"{point.month_tokens / 1_000_000:,.1f}",
                "pool_usd_per_mtok": _rounded(point.usd_per_mtok, _FOURTH),
                "api_usd_per_mtok": _rounded(point.api_usd_per_mtok, _FOURTH),
                "saves_a_month": _cents(point.saving_usd),
            }
            for point in middle.curve
        ],
        "",
    )


def sentence(found: Answer) -> str:
    """The answer in words, for finance."""
    total = found.total
    low, mid, high = (total[f"saving_{case}_usd"] for case in ("low", "mid", "high"))
    if mid is None:
        return "What the calls would have cost is not known."
    actual, month = total["actual_usd"], found.per_month
    window = f"the {found.days} days from {found.first}"
    if low == mid == high == 0:
        return f"{found.name} would have changed nothing of the {money(actual)} of {window}."
    verb = "saved" if mid >= 0 else "cost"
    more = "" if mid >= 0 else " more"
    return (
        f"{found.name} would have {verb} {money(abs(mid))}{more} on {money(actual)} in {window} "
        f"({percent_of(mid, actual)}): {signed(month(mid))} a month ({signed(month(low))} to {signed(month(high))})."
    )


def assumptions_said(found: Answer) -> str:
    """What the assumptions separate, in words."""
    low, high = (found.total[f"saving_{case}_usd"] for case in ("low", "high"))
    if low is None or high is None:
        return "unknown"
    if low == high:
        return "separate nothing: no setting with three figures makes a difference"
    several = [row["setting"] for row in found.assumed if row["is_range"]]
    return f"{_between(low, high)}, by {listed(several)}"


def chance_said(found: Answer) -> str:
    """What chance separates: which users happened to come."""
    one = found.interval
    who = f"{one.clusters:,} {_CLUSTERS.get(''.join(one.cluster_units), 'users or what stands for them')}"
    if one.saving_low_usd is None or one.saving_high_usd is None:
        return f"insufficient: {who}, and an interval wants {one.least_clusters}"
    if one.share_low == one.share_high:
        return f"separates nothing: {who} have the same share to the fourth place"
    return (
        f"{_between(one.saving_low_usd, one.saving_high_usd)} on the same spend of other users like these, "
        f"at the middle of the assumptions (95 %, {who})"
    )


def _between(low: Decimal, high: Decimal) -> str:
    return f"costs {money(-high)} to {money(-low)} more" if high < 0 else f"saves {signed(low)} to {signed(high)}"


def signed(value: Decimal) -> str:
    """Money that may be below 0."""
    return f"-{money(-value)}" if value < 0 else money(value)


def percent_of(part: Decimal, whole: Decimal = Decimal(1)) -> str:
    return f"{part / whole * 100:.1f} %" if whole else "unknown"


def _share(part: Decimal, whole: Decimal | None) -> str:
    return percent(float(part / whole) if whole else None)


def _cents(value: Decimal | None) -> Decimal | None:
    return _rounded(value, _CENT)


def _rounded(value: Decimal | None, to: Decimal) -> Decimal | None:
    return None if value is None else value.quantize(to)
