"""Figures as people read them on the pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from markupsafe import Markup

from pipelines.words import plural

# What the books call something, and what a page calls it.
WORDS = {
    "unattributed": "Unattributed",
    # Verdicts of drift
    "drift": "longer",
    "stable": "as before",
    "one_user": "one user",
    "mix_shift": "other mix",
    "insufficient": "not enough data",
    # Why there is no verdict or figure
    "week_not_over": "the week is not over",
    "month_not_over": "the month is not over",
    "month_over": "the month is over",
    "too_early": "too early in the month",
    "learning": "too few days are known",
    "no_pairs": "nobody has calls of one request type both in the week and in the four before",
    "few_users": "too few users",
    "few_degrees_of_freedom": "too few users who are independent of each other",
    "few_requests": "too few calls in the week",
    "few_base_requests": "too few calls in the four weeks before",
    "few_base_weeks": "too few weeks before to compare with",
    "no_tasks": "no call names a task",
    "incomplete": "too much cost without a task, or tokens without a price",
    "no_success": "no task is known to have succeeded",
    "bounds_only": "too few outcomes are known",
    "no_revenue": "no revenue is known",
    "revenue_at_tier_only": "revenue is known for the tier only",
    "revenue_at_feature_only": "revenue is known for the feature only",
    "no_rate": "a rate to USD is missing",
    "no_users": "no call names a user",
    "free": "pays nothing",
    "few_calls": "too few calls",
    "no_price": "no price",
    # What came with a drift
    "creep": "crept in over eight weeks",
    "tied": "several changes at once",
    "no_config_change": "nothing in the calls changed with it",
    "model_canonical": "model",
    "service_tier": "service tier",
    # Verdicts of a reconciliation
    "no_bill": "no bill yet",
    "no_trace": "no calls traced",
    "warn": "beyond the first tolerance",
    "fail": "does not agree",
    "ok": "agrees",
    # What a lever takes
    "setting": "a setting (a day)",
    "change": "a change (some weeks)",
    "project": "a project (months)",
}


def words(name: str | None) -> str:
    """A name of the books in words."""
    return "" if name is None else WORDS.get(name, name.replace("_", " "))


def usd(amount: Decimal | None) -> str:
    """An amount as in a sentence: cents only below $100, more digits where cents would say nothing."""
    if amount is None:
        return "unknown"
    if abs(amount) >= 100:
        return f"{'-' * (amount < 0)}${abs(amount):,.0f}"
    if 0 < abs(amount) < Decimal("0.01"):
        return f"{'-' * (amount < 0)}${abs(amount):.2g}" if abs(amount) >= Decimal("0.0001") else "under $0.0001"
    return cents(amount)


def cents(amount: Decimal | None) -> str:
    """An amount to the cent, for lines that add up."""
    if amount is None:
        return "unknown"
    rounded = round(amount, 2)
    return f"{'-' * (rounded < 0)}${abs(rounded):,.2f}"


def unit_cost(amount: Decimal | None) -> str:
    """What one call, task or user costs, to three digits that count."""
    if amount is None:
        return "unknown"
    if amount == 0 or abs(amount) >= 1:
        return usd(amount)
    text = f"{abs(amount):.12f}"
    digits = next(place for place, digit in enumerate(text[2:], 3) if digit != "0")
    return f"{'-' * (amount < 0)}${abs(amount):.{max(digits, 2)}f}"


def change(amount: Decimal | None) -> str:
    """A change in dollars, with its sign."""
    return "new" if amount is None else "+" * (amount > 0) + usd(amount)


def change_cents(amount: Decimal | None) -> str:
    return "new" if amount is None else "+" * (round(amount, 2) > 0) + cents(amount)


def share(part: float | Decimal | None) -> str:
    """A share without decimals unless it is under 10 %, or would seem to be nothing or all without them."""
    if part is None:
        return "unknown"
    least = 1 if abs(float(part)) < 0.1 else 0
    for digits in range(least, 12):
        text = f"{part:.{digits}%}"
        if part in (0, 1, -1) or abs(float(text[:-1])) not in (0, 100):
            break
    return text.replace("%", " %")


def growth(part: float | Decimal | None) -> str:
    """A relative change, with its sign: +12 %."""
    if part is None:
        return "unknown"
    if abs(float(part)) >= 10:
        return f"{float(part) + 1:,.0f} times"
    text = f"{float(part):+.0%}".replace("%", " %")
    return "0 %" if text[1:] == "0 %" else text


def count(number: int | None) -> str:
    """A number of things; millions as 12.4 M."""
    if number is None:
        return "unknown"
    return f"{number:,}" if abs(number) < 1_000_000 else f"{number / 1_000_000:,.1f} M"


def day(when: date | None) -> str:
    return "" if when is None else f"{when.day} {when:%B}"


def span(first: date, last: date) -> str:
    """2 to 8 November 2026; 26 October to 1 November 2026."""
    begin = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else day(first)
    begin += f" {first.year}" * (first.year != last.year)
    return f"{begin} to {day(last)} {last.year}"


def things(number: int, name: str) -> str:
    return f"{count(number)} {name if number == 1 else plural(name)}"


def joined(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else ""


def capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def plain(text: Markup) -> str:
    """A sentence of a page without its links, as it stands in plain text."""
    return text.striptags()


FILTERS = {
    "plain": plain,
    "span": span,
    "capitalize_first": capitalize_first,
    "usd": usd,
    "cents": cents,
    "unit_cost": unit_cost,
    "change": change,
    "change_cents": change_cents,
    "share": share,
    "growth": growth,
    "count": count,
    "words": words,
    "day": day,
    "things": things,
}
