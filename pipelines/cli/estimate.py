"""``estimate``: the price of a plan, with its arithmetic."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import EXIT_FAILED, AsJson, Root, data_root, day_of
from pipelines.cli.printing import complain, print_json
from pipelines.periods import DAYS_OF_MONTH
from pipelines.words import things

if TYPE_CHECKING:
    from pipelines.prices.estimate import Estimate, Plan

_COUNT = re.compile(r"(?P<number>\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)\s?(?P<unit>[kKmMbB]?)")
_SIZES = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_PERIODS = {"day": Decimal(1), "week": Decimal(7), "month": DAYS_OF_MONTH}


def estimate(
    requests: Annotated[
        str, typer.Option("--requests", help="How many: 50000, 50,000 or 50k; with steps, how many runs.")
    ],
    input_tokens: Annotated[str, typer.Option("--input-tokens", help="Tokens that a request (the first step) reads.")],
    output_tokens: Annotated[str, typer.Option("--output-tokens", help="Tokens that a request (each step) writes.")],
    model: Annotated[str, typer.Option("--model", help="A model, by any name that a call may have.")],
    provider: Annotated[str | None, typer.Option("--provider", help="The seller. Default: the maker.")] = None,
    cached_share: Annotated[
        str, typer.Option("--cached-share", help="Share of the input read from the provider's cache: 0.8 or 80%.")
    ] = "0",
    cache_write_share: Annotated[
        str, typer.Option("--cache-write-share", help="Share of the input written to the cache.")
    ] = "0",
    batch_share: Annotated[str, typer.Option("--batch-share", help="Share of the requests sent as a batch.")] = "0",
    steps: Annotated[
        str | None,
        typer.Option("--steps", help="Calls of one agent run; each reads what was before. Default growth: the output."),
    ] = None,
    turns: Annotated[
        str | None,
        typer.Option(
            "--turns", help="Turns of one conversation; each reads what was before. Default growth: input and output."
        ),
    ] = None,
    growth: Annotated[
        str | None, typer.Option("--growth", help="Tokens by which what is read grows from step to step.")
    ] = None,
    tier: Annotated[str, typer.Option("--tier", help="standard, flex, priority or fast.")] = "standard",
    region: Annotated[str, typer.Option("--region", help="Region class (global, us, eu ...).")] = "global",
    on: Annotated[str | None, typer.Option("--on", help="At the prices of this day. Default: today.")] = None,
    per: Annotated[
        str | None, typer.Option("--per", help="The requests are those of a day, week or month: shows the month.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Price what you plan: tokens, rates and dollars, with the arithmetic line by line."""
    from pipelines.prices.estimate import NoEstimate, Plan
    from pipelines.prices.estimate import estimate as price

    if per is not None and per not in _PERIODS:
        raise typer.BadParameter(f"{per!r}, expected {', '.join(_PERIODS)}", param_hint="--per")
    if steps and turns:
        raise typer.BadParameter("give --steps or --turns: a turn is a step whose input is new", param_hint="--turns")
    if growth is not None and not (steps or turns):
        raise typer.BadParameter("one request alone does not grow: give --steps or --turns", param_hint="--growth")
    reads, writes = count_of(input_tokens, "--input-tokens"), count_of(output_tokens, "--output-tokens")
    calls = count_of(steps or turns or "1", "--steps" if steps else "--turns")
    grows = count_of(growth, "--growth") if growth is not None else writes + (reads if turns else 0)
    plan = Plan(
        count_of(requests, "--requests"),
        reads,
        writes,
        calls,
        grows if calls > 1 else 0,
        share_of(cached_share, "--cached-share"),
        share_of(cache_write_share, "--cache-write-share"),
        share_of(batch_share, "--batch-share"),
    )
    # The list prices come with the installation: a data root adds its own, and is not needed.
    data = data_root(root, may_be_made=True)
    day = day_of(on, "--on") or datetime.now(UTC).date()
    try:
        found = price(
            data,
            plan,
            model,
            provider=provider,
            on_date=day,
            service_tier=tier.lower(),
            region_class=region.lower(),
        )
    except NoEstimate as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    if as_json:
        content = found.as_dict()
        if per is not None:
            content |= {"per": per, "cost_per_month_usd": found.cost_usd / _PERIODS[per] * _PERIODS["month"]}
        print_json(content)
    else:
        for line in in_words(found, per, growth_is_given=growth is not None):
            print(line)


def count_of(text: str, option: str) -> int:
    """A whole number as people write it: 50000, 50,000, 50k, 1.5M."""
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r}, expected a number such as 50000, 50,000 or 50k", param_hint=option)
    number = Decimal(match["number"].replace(",", "")) * _SIZES[match["unit"].lower()]
    if number != number.to_integral_value():
        raise typer.BadParameter(f"{text!r} is no whole number", param_hint=option)
    return int(number)


def share_of(text: str, option: str) -> Decimal:
    """A share as 0.8 or as 80%. A number above 1 without its sign could be either, so it is refused."""
    said = text.strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s?(%?)", said)
    share = Decimal(match[1]) / (100 if match[2] else 1) if match else Decimal(-1)
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r}, expected a share such as 0.8 or 80%", param_hint=option)
    return share


def in_words(found: Estimate, per: str | None = None, *, growth_is_given: bool = True) -> list[str]:
    """The arithmetic, a line each."""
    plan = found.plan
    one = "run" if plan.steps > 1 else "request"
    place = "" if found.region_class == "global" else f", region {found.region_class}"
    lines = [
        f"{found.model_id} at {found.provider}, {found.service_tier} tier{place}, list prices of {found.on_date}",
        "",
    ]
    lines += _tokens_in_words(plan, one, growth_is_given=growth_is_given)
    lines.append("")
    widest = max(len(_name(line.what, line.processing)) for line in found.lines)
    tokens = max(len(_number(line.planned_tokens)) for line in found.lines)
    for line in found.lines:
        lines.append(
            f"  {_name(line.what, line.processing):{widest}}  {_number(line.planned_tokens):>{tokens}} tokens x "
            f"{_dollars(line.usd_per_mtok)} / 1,000,000 = {_dollars(line.line_cost_usd)}"
            + (f"  ({line.context})" if line.context else "")
        )
    total = found.cost_usd
    lines += [
        "",
        f"Total {_dollars(total)}{f' a {per}' if per else ''}: {things(plan.requests, one)} at "
        f"{_dollars(found.cost_per_request_usd)}",
    ]
    if per is not None and per != "month":
        month = total / _PERIODS[per] * _PERIODS["month"]
        days = f"{_PERIODS['month'] / _PERIODS[per]:.4f}".rstrip("0").rstrip(".")
        lines.append(f"A month {_dollars(total)} x {days} {per}s = {_dollars(month)}")
    if found.other_sellers:
        lines.append(f"Sold by {', '.join(found.other_sellers)} as well: --provider.")
    return lines + list(found.notes)


def _tokens_in_words(plan: Plan, one: str, *, growth_is_given: bool) -> list[str]:
    lines = []
    reads, writes = things(plan.input_tokens, "token"), things(plan.output_tokens, "token")
    if plan.steps > 1:
        flat = plan.steps * plan.input_tokens
        said = "" if growth_is_given else " (not given: what was written before is read again)"
        lines.append(
            f"  A run has {plan.steps:,} steps; what is read grows by {plan.growth_tokens:,} tokens a step{said}."
        )
        times = f", {_times(plan.run_input_tokens, flat)} times {plan.steps:,} x {plan.input_tokens:,}" if flat else ""
        lines.append(
            f"  A run reads {plan.input_tokens:,} + ... + {plan.last_input_tokens:,} = {plan.run_input_tokens:,} tokens{times}"
            + (f" and {_times(plan.run_input_tokens, plan.input_tokens)} times one step." if plan.input_tokens else ".")
        )
        reads = things(plan.run_input_tokens, "token")
        writes = f"{plan.steps:,} steps x {things(plan.output_tokens, 'token')}"
    number = things(plan.requests, one)
    lines.append(f"  {number} x {reads} read = {_big(plan.requests * plan.run_input_tokens)}")
    lines.append(f"  {number} x {writes} written = {_big(plan.requests * plan.run_output_tokens)}")
    for share, words in (
        (plan.cached_share, "of the input is read from the cache"),
        (plan.cache_write_share, "of the input is written to the cache"),
        (plan.batch_share, f"of the {one}s go as a batch"),
    ):
        if share:
            lines.append(f"  {(share * 100).normalize():f} % {words}")
    return lines


def _name(what: str, processing: str) -> str:
    return f"{what}, batch" if processing == "batch" else what


def _times(more: int, less: int) -> str:
    return f"{Decimal(more) / less:.2f}".rstrip("0").rstrip(".")


def _number(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _big(tokens: int) -> str:
    """A count with its size in words, so that a million is not read as a thousand."""
    for size, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if tokens >= size:
            return f"{tokens:,} tokens ({_number(Decimal(tokens) / size)} {word})"
    return things(tokens, "token")


def _dollars(value: Decimal) -> str:
    """Cents, and up to six places where they are exact; of what is smaller three digits that count."""
    places = max(2, -int(value.normalize().as_tuple().exponent))
    if places > 6:
        places = 2 if abs(value) >= 1_000 else 6 if abs(value) >= Decimal("0.001") else -value.adjusted() + 2
    return f"${value:,.{places}f}"
