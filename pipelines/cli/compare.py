"""``compare``: two sides held against each other, and the gate for a pull request."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.arguments import EXIT_GATE, EXIT_USAGE, AsJson, Root, data_root, day_of
from pipelines.cli.printing import complain, print_json, print_table, progress
from pipelines.words import things

if TYPE_CHECKING:
    from pipelines.compare import Measured
    from pipelines.compare.verdicts import Gate, Judged

_GATE = re.compile(r"(?:(?P<measure>request|task)=)?\+?(?P<percent>\d+(?:\.\d+)?)\s?%")


def compare(
    base: Annotated[
        str,
        typer.Argument(help="What to compare with: release=4.1, prompt=answer@6, week=2026-11-02, a log, root:/books."),
    ],
    head: Annotated[
        str | None,
        typer.Argument(help="What is judged, in the same words. Without it: what BASE alone costs, by --by."),
    ] = None,
    fail_on: Annotated[
        list[str],
        typer.Option("--fail-on", help="End with 4 where cost is beyond chance so much higher: +30%, task=+20%."),
    ] = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="End with 4 also where it cannot be judged.")] = False,
    by: Annotated[
        list[str], typer.Option("--by", help="Costs by a dimension as well: language, framework, runtime, model ...")
    ] = [],  # noqa: B006
    on: Annotated[
        str | None, typer.Option("--on", help="Price both sides as of this day. Default: that of HEAD's newest call.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="table, or markdown for a pull request.")] = "table",
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Hold two releases, prompt versions, weeks or logs of test runs against each other, at the same prices."""
    if format_ not in ("table", "markdown"):
        raise typer.BadParameter(f"{format_!r}, expected table or markdown", param_hint="--format")
    gate = gate_of(fail_on)
    if head is None and (gate or strict):
        raise typer.BadParameter("one side alone has nothing to fail on: name HEAD too", param_hint="HEAD")
    day = day_of(on, "--on")
    # Logs alone need no books: without a data root the prices that are shipped count.
    data = data_root(root, may_be_made=True)

    from pipelines.compare import measure
    from pipelines.compare.sides import NoSide, side_of
    from pipelines.compare.verdicts import judge

    try:
        sides = [side_of(text, data) for text in (base, head) if text is not None]
        with progress() as tell:
            measured = measure(data, sides, priced_on=day, by=by, progress=tell)
    except NoSide as error:
        complain(str(error))
        raise typer.Exit(EXIT_USAGE) from None
    for problem in measured.problems:
        complain(problem)
    judged = judge(measured, gate)
    if as_json:
        print_json(content_of(measured, judged))
    elif format_ == "markdown":
        print("\n".join(markdown(measured, judged, gate)))
    else:
        _print(measured, judged)
    for breach in judged.breaches:
        complain(f"Too dear: {breach}")
    if judged.breaches:
        raise typer.Exit(EXIT_GATE)
    if head is not None and judged.is_undecided:
        if strict:
            complain(f"Not judged: {judged.verdict}.")
            raise typer.Exit(EXIT_GATE)
        if gate:
            complain(f"Not judged ({judged.verdict}), so nothing is held back; --strict does.")


def gate_of(words: list[str]) -> Gate | None:
    """``+30%`` for both costs, ``request=+30%`` or ``task=+20%`` for one."""
    from pipelines.compare.verdicts import Gate

    found: dict[str, float] = {}
    for word in words:
        match = _GATE.fullmatch(word.strip())
        if match is None or float(match["percent"]) <= 0:
            raise typer.BadParameter(
                f"{word!r}, expected a rise such as +30%, request=+30% or task=+20%", param_hint="--fail-on"
            )
        for measure in (match["measure"],) if match["measure"] else ("request", "task"):
            found[measure] = float(match["percent"]) / 100
    return Gate(found.get("request"), found.get("task")) if found else None


def content_of(measured: Measured, judged: Judged) -> dict[str, Any]:
    """All that is known, JSON-ready."""
    from pipelines.compare.verdicts import sentence

    return {
        "sides": [side.text for side in measured.sides],
        "priced_on": measured.priced_on,
        "is_concurrent": measured.is_concurrent,
        "verdict": judged.verdict if measured.changes else None,
        "breaches": judged.breaches,
        "totals": measured.totals,
        "changes": [{**row, "sentence": sentence(row, measured)} for row in judged.changes],
        "token_classes": measured.classes,
        "models": measured.models,
        "dimensions": measured.dimensions,
        "problems": list(measured.problems),
    }


def _tables(measured: Measured, judged: Judged) -> list[tuple[str, list[dict[str, Any]]]]:
    """The tables that both forms show, as text."""
    from pipelines.compare.verdicts import ALL, COSTS, percent

    tables: list[tuple[str, list[dict[str, Any]]]] = []
    if measured.changes:
        names = {"request": "cost of a request", "task": "cost of a task", "output_ratio": "output over input tokens"}
        for title, rows in (
            ("", [row for row in judged.changes if row["scope_name"] == ALL]),
            ("By feature", [row for row in judged.changes if row["scope_name"] != ALL and row["measure"] in COSTS]),
        ):
            if title and len({row["scope_name"] for row in rows}) < 2:
                continue
            shown = [
                {
                    **({"feature": row["scope_name"]} if title else {}),
                    "measure": names[row["measure"]],
                    "base": _level(row["base_level"], row["measure"]),
                    "head": _level(row["level"], row["measure"]),
                    "change": percent(row["raw_change"]),
                    "mix-free": percent(row["mix_free_change"]),
                    "like for like": percent(row["same_work_change"]),
                    "interval": f"{percent(row['change_low'])} to {percent(row['change_high'])}"
                    if row["change_low"] is not None
                    else "",
                    "base n": row["base_units"],
                    "head n": row["units"],
                    "verdict": row["verdict"],
                }
                for row in sorted(rows, key=lambda row: (list(names).index(row["measure"]), row["scope_name"]))
                if row["units"] or row["base_units"]
            ]
            tables.append((title, shown))
        tables.append(
            (
                "Tokens of a request",
                [
                    {
                        "class": row["token_class"],
                        "base": _tokens(row["base_tokens_per_request"]),
                        "head": _tokens(row["tokens_per_request"]),
                        "change": percent(row["tokens_per_request"] / row["base_tokens_per_request"] - 1)
                        if row["base_tokens_per_request"] and row["tokens_per_request"] is not None
                        else "",
                        "base cost": _usd(row["base_cost_usd"]),
                        "head cost": _usd(row["cost_usd"]),
                    }
                    for row in measured.classes
                ],
            )
        )
        tables.append(
            (
                "Models",
                [
                    {
                        "model": f"{row['model_canonical']} ({row['provider']})",
                        "base requests": _share(row["base_request_share"]),
                        "head requests": _share(row["request_share"]),
                        "base cost": _usd(row["base_cost_usd"]),
                        "head cost": _usd(row["cost_usd"]),
                    }
                    for row in measured.models
                ],
            )
        )
    for dimension in dict.fromkeys(row["dimension"] for row in measured.dimensions):
        for unit in ("request", "task", "session"):
            rows = [row for row in measured.dimensions if (row["dimension"], row["cost_unit"]) == (dimension, unit)]
            if rows:
                tables.append(
                    (f"Cost of a {unit} by {dimension}", [_dimension_row(row, len(measured.sides)) for row in rows])
                )
    return tables


def _dimension_row(row: dict[str, Any], sides: int) -> dict[str, Any]:
    few = "too few to quote" if row["sample_status"] == "small" else ""
    interval = ""
    if row["mean_cost_low_usd"] is not None:
        interval = f"{_usd(row['mean_cost_low_usd'])} to {_usd(row['mean_cost_high_usd'])}"
    return {
        row["dimension"]: row["dimension_value"],
        **({"side": row["side"]} if sides == 2 else {}),
        "n": row["units"],
        "total": _usd(row["total_cost_usd"]),
        "mean": _usd(row["mean_cost_usd"]) or few,
        "interval": interval,
        "p50": _usd(row["p50_cost_usd"]),
        "p95": _usd(row["p95_cost_usd"]),
    }


def _said_of_sides(measured: Measured) -> list[str]:
    names = ("base", "head") if len(measured.sides) == 2 else ("head",)
    lines = []
    for name, side in zip(names, measured.sides, strict=True):
        total = measured.totals[name]
        label = f"{name:4s} " if len(names) == 2 else ""
        lines.append(
            f"{label}{side.text}: {things(total['requests'], 'request')}, {things(total['tasks'], 'task')}, "
            f"{total['first_date']} to {total['last_date']}, {_usd(total['cost_usd']) or 'no known cost'}"
        )
    said = f"{'Both sides at' if len(names) == 2 else 'At'} the prices of {measured.priced_on}"
    if measured.is_concurrent:
        said += "; compared on the days on which both served"
    lines.append(said + ".")
    if kept := sum(total["own_price_requests"] for total in measured.totals.values()):
        lines.append(f"{kept:,} requests have no list price on that day and keep the one that they were booked at.")
    return lines


def _headline(measured: Measured, judged: Judged) -> list[str]:
    from pipelines.compare.verdicts import ALL, COSTS, sentence

    rows = [
        row
        for row in judged.changes
        if row["measure"] in COSTS and (row["scope_name"] == ALL or row["verdict"] == "regression")
    ]
    features = {row["scope_name"] for row in judged.changes} - {ALL}
    return [
        sentence(row, measured)
        for row in rows
        if (row["units"] or row["base_units"]) and (row["scope_name"] == ALL or len(features) > 1)
    ]


def _print(measured: Measured, judged: Judged) -> None:
    for line in _said_of_sides(measured):
        print(line)
    if measured.changes:
        print(f"\nVerdict: {judged.verdict}")
        for line in _headline(measured, judged):
            print(line)
    for title, rows in _tables(measured, judged):
        print(f"\n{title}" if title else "")
        print_table(rows, "")


def markdown(measured: Measured, judged: Judged, gate: Gate | None) -> list[str]:
    """The same as text for a pull request."""
    lines = []
    if measured.changes:
        words = {
            "regression": "dearer",
            "improvement": "cheaper",
            "no_change": "no change",
            "insufficient": "too little to judge",
            "incomplete": "not priced, not judged",
        }
        held = " (held back)" if judged.breaches else ""
        lines += [f"### LLM cost: {words[judged.verdict]}{held}", ""]
        lines += [f"- {line}" for line in _headline(measured, judged)]
        lines.append("")
    for title, rows in _tables(measured, judged):
        if not rows:
            continue
        if title:
            lines += [f"**{title}**", ""]
        names = list(rows[0])
        lines.append("| " + " | ".join(names) + " |")
        lines.append("|" + "|".join(" ---: " if isinstance(rows[0][name], int) else " --- " for name in names) + "|")
        for row in rows:
            lines.append(
                "| "
                + " | ".join(
                    f"{row[name]:,}" if isinstance(row[name], int) else str(row[name]).replace("|", "\\|")
                    for name in names
                )
                + " |"
            )
        lines.append("")
    return [*lines, f"<sub>{' '.join(_said_of_sides(measured))}</sub>"]


def _level(value: Decimal | float | None, measure: str) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if measure == "output_ratio" else _usd(value)


def _usd(value: Decimal | float | None) -> str:
    """Four digits that count."""
    if value is None:
        return ""
    number = Decimal(str(value))
    if not number:
        return "$0.00"
    places = 2 if abs(number) >= 100 else min(max(3 - number.adjusted(), 2), 12)
    return f"${number:,.{places}f}"


def _tokens(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f} %"
