"""The bill against the calls: eight causes that sum to what lies between, for every mix of inputs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Rows = list[dict[str, Any]]
Run = Callable[..., Rows]
FIRST = date(2026, 11, 2)
MONTH = date(2026, 11, 1)
CAUSES = ("untraced", "day_cut", "price_mismatch", "discount", "credit", "tax_fee", "rounding", "unexplained")
CLOCK = [{"clock": "books", "now_at": datetime(2026, 11, 20, tzinfo=UTC)}]
LIMITS = {
    "restatement_lag_days": "3",
    "reconciliation_ok_usd": "1",
    "reconciliation_ok_share": "0.005",
    "reconciliation_warn_share": "0.02",
    "coverage_ok": "0.98",
    "coverage_warn": "0.95",
}


def limit(name: str, number: str, **scope: str) -> dict[str, Any]:
    return {
        "limit_name": name,
        "scope_kind": "",
        "scope_value": "",
        "threshold": number,
        "threshold_number": Decimal(number),
        "valid_from_date": date(1, 1, 1),
        "valid_to_date": date(9999, 12, 31),
    } | scope


def traced(tokens: int, usd: str | None, **more: Any) -> dict[str, Any]:
    """Calls of a day: tokens of one class and what they cost at list prices; None where they have no price."""
    row = {
        "usage_date": FIRST,
        "provider": "openai",
        "billing_account_id": "org",
        "model_canonical": "m",
        "token_type": "input",
        "token_class": "input_uncached",
        "rate_tier": "standard",
        "traced_tokens": tokens,
        "priced_tokens": tokens if usd is not None else 0,
        "list_cost_usd": usd and Decimal(usd),
        "effective_cost_usd": usd and Decimal(usd),
    }
    return row | more


def counted(tokens: int, **more: Any) -> dict[str, Any]:
    """Tokens of a day as the provider's usage report has them."""
    row = {
        "month_start_date": MONTH,
        "usage_date": FIRST,
        "provider": "openai",
        "billing_account_id": "org",
        "model_canonical": "m",
        "token_type": "input",
        "token_class": "input_uncached",
        "rate_tier": "standard",
        "billed_tokens": tokens,
        "counted_by": "usage",
    }
    return row | more


def line(billed: str | None, **more: Any) -> dict[str, Any]:
    """A line of the bill on one day; without a list amount the billed one stands for it."""
    amount = billed and Decimal(billed)
    row = {
        "cost_key": f"line {billed} {more}",
        "month_start_date": MONTH,
        "usage_date": FIRST,
        "charge_start_date": FIRST,
        "charge_end_date": FIRST + timedelta(days=1),
        "source": "openai_usage",
        "provider": "openai",
        "billing_account_id": "org",
        "charge_category": "Usage",
        "model_canonical": "m",
        "token_type": "input",
        "billing_currency": "USD",
        "billed_usd": amount,
        "list_usd": amount,
        "billed_amount": amount,
        "list_amount": amount,
    }
    return row | more


def charge(billed: str, category: str, **more: Any) -> dict[str, Any]:
    return line(billed, charge_category=category, model_canonical=None, token_type=None, **more)


def price(usd_per_mtok: str, unit: str = "input", **more: Any) -> dict[str, Any]:
    """A row of the price book."""
    row = {
        "price_id": f"p-{unit}",
        "book_version": "v",
        "provider": "openai",
        "model_id": "m",
        "unit": unit,
        "per_units": 1_000_000,
        "unit_price": Decimal(usd_per_mtok),
        "currency": "USD",
        "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
        "effective_to": datetime(9999, 12, 31, tzinfo=UTC),
        "superseded_at": datetime(9999, 12, 31, tzinfo=UTC),
        "service_tier": "standard",
        "processing": "sync",
        "ctx_min_tokens": 0,
        "ctx_max_tokens": 4611686018427387904,
        "region_class": "global",
        "window_from_s": 0,
        "window_to_s": 86400,
        "weekday_mask": 127,
    }
    return row | more


def reconciled(run: Run, calls: Rows, tokens: Rows, lines: Rows, **more: Rows) -> Rows:
    return run(
        "mart_reconciliation_daily",
        ledger_traced_days=calls,
        ledger_billed_tokens=tokens,
        ledger_bill_days=lines,
        ledger_restated_days=more.get("restated", []),
        ledger_clock=CLOCK,
        ref_price_book=more.get("prices", []),
        ref_limits=[limit(name, number) for name, number in LIMITS.items()],
    )


def judged(run: Run, calls: Rows, tokens: Rows, lines: Rows, *limits: dict[str, Any]) -> Rows:
    daily = reconciled(run, calls, tokens, lines, prices=[price("10")])
    return run(
        "mart_reconciliation_monthly",
        mart_reconciliation_daily=daily,
        ledger_bill_days=lines,
        ledger_invoices=run("ledger_invoices", ledger_bill_days=lines, ledger_clock=CLOCK),
        ledger_traced_days=calls,
        ledger_billed_tokens=tokens,
        ref_limits=[*(limit(name, number) for name, number in LIMITS.items()), *limits],
    )


def causes(row: dict[str, Any]) -> dict[str, Decimal]:
    """The causes that are not 0."""
    return {name: row[f"{name}_usd"] for name in CAUSES if row[f"{name}_usd"]}


def test_a_bill_is_split_into_causes_that_sum_to_what_lies_between(run: Run) -> None:
    """METHODS G5.1: T = 960,000, B = 1,000,000, L = $10/M, list $9.50, discount -$0.95, tax $0.10: billed 8.65, traced 9.60."""
    rows = reconciled(
        run,
        [traced(960_000, "9.60")],
        [counted(1_000_000)],
        [line("8.55", list_usd=Decimal("9.50")), charge("0.10", "Tax")],
    )

    found = {name: sum(row[f"{name}_usd"] for row in rows) for name in CAUSES}
    assert {name: amount for name, amount in found.items() if amount} == {
        "untraced": Decimal("0.40"),
        "price_mismatch": Decimal("-0.50"),
        "discount": Decimal("-0.95"),
        "tax_fee": Decimal("0.10"),
    }
    assert sum(found.values()) == Decimal("8.65") - Decimal("9.60")


def test_tokens_that_the_next_day_takes_back_are_a_day_cut(run: Run) -> None:
    """METHODS G5.2: traced 1,000 a day, billed 900, 1,100, 1,050: day cut -100, +100, 0; untraced 0, 0, +50."""
    days = [FIRST + timedelta(days=n) for n in range(3)]
    rows = reconciled(
        run,
        [traced(1_000, "0.01", usage_date=day) for day in days],
        [counted(n, usage_date=day) for n, day in zip((900, 1_100, 1_050), days, strict=True)],
        [line("0.01", usage_date=day) for day in days],
    )

    assert [row["day_cut_tokens"] for row in rows] == [-100, 100, 0]
    assert [row["untraced_tokens"] for row in rows] == [0, 0, 50]
    assert [row["day_cut_usd"] for row in rows] == [Decimal("-0.001"), Decimal("0.001"), 0]


def test_a_gap_between_days_ends_the_day_cut(run: Run) -> None:
    """-100 on Monday and +100 on Wednesday do not meet."""
    days = [FIRST, FIRST + timedelta(days=2)]
    rows = reconciled(
        run,
        [traced(1_000, "0.01", usage_date=day) for day in days],
        [counted(n, usage_date=day) for n, day in zip((900, 1_100), days, strict=True)],
        [line("0.01", usage_date=day) for day in days],
    )

    assert [row["untraced_tokens"] for row in rows] == [-100, 100]


def test_rates_that_the_bill_tells_apart_are_worked_one_by_one(run: Run) -> None:
    """Cache writes of 5 minutes at $4 and of an hour at $6 per million; of each a million is billed, one of them is not traced."""

    def kept(lifetime: str) -> dict[str, str]:
        return {"token_type": "cache_write", "token_class": f"cache_write_{lifetime}"}

    rows = reconciled(
        run,
        [traced(1_000_000, "4", **kept("5m"))],
        [counted(1_000_000, **kept("5m")), counted(1_000_000, **kept("1h"))],
        [line("4", token_type="cache_write"), line("6", token_type="cache_write")],
        prices=[price("4", "cache_write_5m"), price("6", "cache_write_1h")],
    )

    [row] = rows
    assert causes(row) == {"untraced": Decimal("6")}
    assert (row["traced_tokens"], row["billed_tokens"], row["bill_lines"]) == (1_000_000, 2_000_000, 2)


def test_rates_that_the_bill_does_not_tell_apart_are_worked_at_what_the_calls_pay(run: Run) -> None:
    """Half of the calls ran as a batch at half price; the usage report is not grouped by it: all is traced, nothing is left."""
    rows = reconciled(
        run,
        [traced(1_000_000, "10"), traced(1_000_000, "5", rate_tier="batch")],
        [counted(2_000_000)],
        [line("15")],
    )

    assert [causes(row) for row in rows] == [{}]


def test_a_day_without_calls_is_untraced_at_the_books_rate(run: Run) -> None:
    rows = reconciled(run, [], [counted(500_000)], [line("5")], prices=[price("10")])

    assert causes(rows[0]) == {"untraced": Decimal("5")}


def test_without_a_list_rate_the_money_is_left_over(run: Run) -> None:
    """A model that the book does not know: half a cent a line is rounding, more is unexplained."""
    unknown = {"model_canonical": None}
    rows = reconciled(
        run,
        [traced(1_000, None, **unknown)],
        [counted(1_000, **unknown)],
        [line("0.25", **unknown), line("0.004", token_type=None, **unknown)],
    )

    assert {row["token_type"]: causes(row) for row in rows} == {
        "input": {"unexplained": Decimal("0.25")},
        None: {"rounding": Decimal("0.004")},
    }
    assert [(row["match_level"], row["unpriced_tokens"]) for row in rows] == [("account", 1_000), ("account", 0)]


def test_a_bill_without_token_types_is_matched_by_model(run: Run) -> None:
    """The usage report has the classes, the bill one line: 10 traced of 11 at list price, billed 12."""
    output = {"token_type": "output", "token_class": "output"}
    rows = reconciled(
        run,
        [traced(1_000_000, "4"), traced(100_000, "6", **output)],
        [counted(1_250_000), counted(100_000, **output)],
        [line("12", token_type=None)],
    )

    [row] = rows
    assert (row["match_level"], row["matched_by"]) == ("model", "tokens")
    assert causes(row) == {"untraced": Decimal("1"), "price_mismatch": Decimal("1")}


def test_a_bill_without_tokens_is_matched_by_list_cost(run: Run) -> None:
    """No usage report and no meters: 9 of 10 dollars are traced."""
    rows = reconciled(run, [traced(900_000, "9")], [], [line("10")])

    [row] = rows
    assert (row["match_level"], row["matched_by"]) == ("class", "dollars")
    assert (row["billed_tokens"], row["untraced_tokens"]) == (None, None)
    assert causes(row) == {"untraced": Decimal("1")}


def test_a_bill_that_names_no_model_is_matched_by_account(run: Run) -> None:
    rows = reconciled(
        run,
        [traced(900_000, "9"), traced(100_000, "2", model_canonical="other")],
        [],
        [line("12", model_canonical=None, token_type=None), charge("1", "Tax")],
    )

    [row] = rows
    assert (row["match_level"], row["traced_tokens"]) == ("account", 1_000_000)
    assert causes(row) == {"untraced": Decimal("1"), "tax_fee": Decimal("1")}


def test_calls_whose_account_cannot_be_told_meet_the_bills_of_their_provider(run: Run) -> None:
    """Two accounts are billed 10 each for what calls of no known account used: nothing is untraced at the provider."""
    calls = [traced(2_000_000, "20", billing_account_id=None)]
    accounts = ("org", "org-2")
    tokens = [counted(1_000_000, billing_account_id=account) for account in accounts]
    lines = [line("10", billing_account_id=account) for account in accounts]
    rows = reconciled(run, calls, tokens, lines, prices=[price("10")])
    months = judged(run, calls, tokens, lines)

    assert sum(row["untraced_usd"] for row in rows) == 0
    assert [row["match_level"] for row in rows if row["billing_account_id"] is None] == ["provider"]
    assert {(row["match_level"], row["verdict"]) for row in months} == {("provider", "ok")}


def test_an_account_without_a_bill_has_no_days_and_is_an_accrual(run: Run) -> None:
    calls = [traced(1_000, "1"), traced(1_000, "2", billing_account_id="org-2")]
    rows = reconciled(run, calls, [counted(1_000)], [line("1")])
    months = {row["billing_account_id"]: row for row in judged(run, calls, [counted(1_000)], [line("1")])}

    assert {row["billing_account_id"] for row in rows} == {"org"}
    assert (months["org"]["verdict"], months["org-2"]["verdict"]) == ("ok", "no_bill")
    assert (months["org-2"]["traced_effective_cost_usd"], months["org-2"]["state"]) == (Decimal("2"), "provisional")
    assert months["org-2"]["billed_usd"] is None


def test_a_bill_without_calls_is_no_trace(run: Run) -> None:
    [month] = judged(run, [], [counted(1_000)], [line("1")])

    assert (month["verdict"], month["token_coverage"]) == ("no_trace", 0)


def test_only_traces_give_months_and_no_days(run: Run) -> None:
    assert reconciled(run, [traced(1_000, "1")], [], []) == []
    assert [row["verdict"] for row in judged(run, [traced(1_000, "1")], [], [])] == ["no_bill"]


def test_an_amount_without_a_rate_is_unknown_and_never_taken_as_dollars(run: Run) -> None:
    euro = line("9", billing_currency="EUR", billed_usd=None, list_usd=None)
    [day] = reconciled(run, [traced(1_000, "10")], [counted(1_000)], [euro])
    [month] = judged(run, [traced(1_000, "10")], [counted(1_000)], [euro])

    assert (day["billed_usd"], day["price_mismatch_usd"], day["unexplained_usd"]) == (None, None, None)
    assert (month["verdict"], month["invoiced_cost_billing_currency"]) == ("no_rate", Decimal("9.00"))


def test_calls_stand_beside_the_larger_of_two_currencies(run: Run) -> None:
    """100 euros of usage and a fee of 5 dollars: the fee has its own row, and all lines are there once."""
    lines = [
        line("110", billing_currency="EUR", billed_amount=Decimal("100"), list_amount=Decimal("100")),
        charge("5", "Purchase"),
    ]
    rows = {row["billing_currency"]: row for row in reconciled(run, [traced(1_000, "110")], [counted(1_000)], lines)}

    assert (rows["EUR"]["traced_tokens"], rows["USD"]["traced_tokens"]) == (1_000, 0)
    assert causes(rows["USD"]) == {"tax_fee": Decimal("5")}


def test_the_tolerance_of_an_account_comes_before_the_one_for_all(run: Run) -> None:
    """5 of 100 dollars are unexplained: a failure, unless the account is allowed a tenth."""
    lines = [line("95"), line("5", model_canonical=None, token_type=None)]
    calls, tokens = [traced(1_000, "95")], [counted(1_000)]
    lenient = limit("reconciliation_ok_share", "0.10", scope_kind="billing_account_id", scope_value="org")

    [strict] = judged(run, calls, tokens, lines)
    [allowed] = judged(run, calls, tokens, lines, lenient)

    assert (strict["verdict"], strict["state"], strict["oldest_open_date"]) == ("fail", "provisional", FIRST)
    assert (allowed["verdict"], allowed["provider_verdict"]) == ("ok", "fail")


def test_coverage_decides_between_ok_warn_and_fail(run: Run) -> None:
    """97 of 100 tokens traced warns, 94 fails, and so does 106: more traced than billed is counted twice."""
    found = [judged(run, [traced(n, "1")], [counted(100)], [line("1")])[0] for n in (98, 97, 94, 102, 105, 106)]

    assert [month["verdict"] for month in found] == ["ok", "warn", "fail", "ok", "warn", "fail"]


@pytest.mark.parametrize(("extra", "verdict"), [(1, "ok"), (2, "ok"), (5, "warn"), (6, "fail")])
def test_a_day_that_is_traced_twice_is_not_hidden_by_one_that_misses_calls(run: Run, extra: int, verdict: str) -> None:
    """Two days of 100 M tokens at $10 a million. The first has 2 x extra M too many, the other as many too few: $20 x extra of $2,000."""
    days = (FIRST, FIRST + timedelta(days=5))
    tokens = [counted(100_000_000, usage_date=day) for day in days]
    calls = [
        traced((100 + sign * 2 * extra) * 1_000_000, str(1_000 + sign * 20 * extra), usage_date=day)
        for day, sign in zip(days, (1, -1), strict=True)
    ]
    lines = [line("1000", usage_date=d, charge_start_date=d, charge_end_date=d + timedelta(days=1)) for d in days]
    of_a_week = [line("1000", usage_date=d, charge_end_date=FIRST + timedelta(days=6)) for d in days]

    [month] = judged(run, calls, tokens, lines)
    [told_by_week] = judged(run, calls, tokens, of_a_week)

    assert (month["verdict"], month["overtraced_usd"], month["untraced_usd"]) == (verdict, 20 * extra, 0)
    assert (told_by_week["verdict"], told_by_week["overtraced_usd"]) == ("ok", 0)


def test_a_restated_line_and_one_that_vanished_stand_in_their_cells(run: Run) -> None:
    """The newer pull bills 9 where the older one had 10, and lacks a line of 2."""
    pull = {
        "source": "openai_usage",
        "source_account": "default",
        "endpoint": "costs",
        "window_start_at": datetime(2026, 11, 2, tzinfo=UTC),
        "window_end_at": datetime(2026, 11, 3, tzinfo=UTC),
        "pull_grain": ["line_item"],
    }
    older = pull | {"source_file_sha256": "old", "pulled_at": datetime(2026, 11, 3, tzinfo=UTC), "counts": False}
    newer = pull | {"source_file_sha256": "new", "pulled_at": datetime(2026, 11, 9, tzinfo=UTC), "counts": True}
    staged = {
        "source": "openai_usage",
        "endpoint": "costs",
        "provider": "openai",
        "billing_account_id": "org",
        "charge_start_at": datetime(2026, 11, 2, tzinfo=UTC),
        "charge_end_at": datetime(2026, 11, 3, tzinfo=UTC),
        "currency": "USD",
        "model_raw": "m",
    }
    restated = run(
        "ledger_restated_days",
        ledger_pulls=[older, newer],
        staged_bills=[
            staged | {"source_file_sha256": "old", "token_type": "input", "billed_amount": Decimal(10)},
            staged | {"source_file_sha256": "old", "token_type": "output", "billed_amount": Decimal(2)},
            staged | {"source_file_sha256": "new", "token_type": "input", "billed_amount": Decimal(9)},
        ],
        ledger_models=[{"usage_date": FIRST, "provider": "openai", "model_raw": "m", "model_canonical": "m"}],
    )
    rows = reconciled(run, [traced(1_000, "9")], [counted(1_000)], [line("9")], restated=restated)

    assert [(row["token_type"], row["restated_usd"], row["billed_usd"]) for row in rows] == [
        ("input", Decimal("-1"), Decimal("9")),
        ("output", Decimal("-2"), 0),
    ]


def test_usage_reports_count_where_they_cover_and_the_bills_meters_elsewhere(run: Run) -> None:
    """The report was pulled for the 2nd and 3rd only; on the 4th the bill says how much was used."""
    pulled = [
        {
            "source": "openai_usage",
            "source_account": "default",
            "endpoint": "usage.completions",
            "window_start_at": datetime(2026, 11, n, tzinfo=UTC),
            "window_end_at": datetime(2026, 11, n + 1, tzinfo=UTC),
            "counts": True,
        }
        for n in (2, 3)
    ]
    used = {
        "source": "openai_usage",
        "source_account": "default",
        "endpoint": "usage.completions",
        "provider": "openai",
        "billing_account_id": "org",
        "model_canonical": "m",
        "bucket_start_at": datetime(2026, 11, 2, tzinfo=UTC),
        "bucket_end_at": datetime(2026, 11, 3, tzinfo=UTC),
        "input_uncached_tokens": 700,
        "output_text_tokens": 20,
        "output_reasoning_tokens": 10,
    }
    lines = [line("1", usage_date=date(2026, 11, n), metered_tokens=Decimal(500)) for n in (2, 3, 4)]

    rows = run("ledger_billed_tokens", ledger_usage=[used], ledger_pulls=pulled, ledger_bill_days=lines)

    assert [(row["usage_date"].day, row["token_class"], row["billed_tokens"], row["counted_by"]) for row in rows] == [
        (2, "input_uncached", 700, "usage"),
        (2, "output", 30, "usage"),
        (4, "input_uncached", 500, "bill"),
    ]


def called(at: datetime, usd: Decimal, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A call and its cost: a token per millionth of a dollar, all of it output."""
    key, tokens = f"k{number:05}", int(usd * 1_000_000)
    request = {
        "request_key": key,
        "started_at": at,
        "billing_account_id": "org",
        "model_canonical": "m",
        "output_text_tokens": tokens,
    }
    cost = {
        "request_key": key,
        "started_at": at,
        "list_cost_usd": usd,
        "effective_cost_usd": usd,
        "output_text_list_cost_usd": usd,
        "output_text_cost_usd": usd,
    }
    return request, cost


def summed(run: Run, calls: list[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[dict[date, Any], Rows]:
    """Requests and dollars by day, and the days that reconciliation reads."""
    tables = {"ledger_requests": [call for call, _ in calls], "ledger_costs": [cost for _, cost in calls]}
    days = {
        row["usage_date"]: (row["requests"], row["effective_cost_usd"]) for row in run("ledger_showback_days", **tables)
    }
    return days, run("ledger_traced_days", **tables)


def test_a_day_holds_its_own_calls_wherever_the_reader_sits(run: Run) -> None:
    """A day of 38 calls and $0.99 next to one of 138 and $7.79: a page elsewhere showed 176 and $8.78 for it (litellm#27780).

    The bill of the day is $1.10: the calls explain nine tenths of it, not eight times as much.
    """
    before, own = datetime(2026, 5, 10, 20, tzinfo=UTC), datetime(2026, 5, 11, 1, tzinfo=UTC)
    earlier = [called(before, Decimal("0.05"), n) for n in range(137)] + [called(before, Decimal("0.94"), 137)]
    calls = earlier + [called(own, Decimal("0.02"), 200 + n) for n in range(37)] + [called(own, Decimal("0.25"), 300)]

    days, by_class = summed(run, calls)
    month = {"month_start_date": date(2026, 5, 1), "usage_date": date(2026, 5, 11), "token_type": "output"}
    rows = reconciled(run, by_class, [], [line("1.10", **month)])

    assert days == {date(2026, 5, 10): (138, Decimal("7.79")), date(2026, 5, 11): (38, Decimal("0.99"))}
    [day] = [row for row in rows if row["usage_date"] == date(2026, 5, 11)]
    assert (day["traced_list_cost_usd"], day["billed_usd"]) == (Decimal("0.99"), Decimal("1.10"))


def test_five_days_sum_to_their_range(run: Run) -> None:
    """1,831 calls of callers in India cost $701.39, as five days and as one range;
    elsewhere five days made $1,070.94 of it (litellm#29568).

    The weeks of the Indian time zone cut them elsewhere and sum to the same.
    """
    start = datetime(2026, 5, 29, tzinfo=UTC)
    instants = [start + timedelta(minutes=n * 7200 / 1_831) for n in range(1_831)]
    dollars = [Decimal("0.38")] * 1_830 + [Decimal("5.99")]
    calls = [called(at, usd, n) for n, (at, usd) in enumerate(zip(instants, dollars, strict=True))]

    days, by_class = summed(run, calls)

    assert sorted(days) == [date(2026, 5, 29) + timedelta(days=n) for n in range(5)]
    assert sum(requests for requests, _ in days.values()) == 1_831
    assert sum(usd for _, usd in days.values()) == Decimal("701.39")
    assert sum(row["list_cost_usd"] for row in by_class) == Decimal("701.39")
    cells = run(
        "stat_usage_cells_weekly",
        ledger_requests=[call for call, _ in calls],
        ledger_costs=[cost for _, cost in calls],
        ref_reporting=[{"reporting_time_zone": "Asia/Kolkata"}],
    )
    assert sum(cell["requests"] for cell in cells) == 1_831
    assert sum(cell["effective_cost_usd"] for cell in cells) == Decimal("701.39")


tokens_of_a_day = st.integers(min_value=0, max_value=5_000)
money = st.integers(min_value=-(10**7), max_value=10**9).map(lambda n: Decimal(n) / 10**7)
cells = st.tuples(
    st.integers(2, 8), st.sampled_from(["m", "n", None]), st.sampled_from(["input", "output"]), tokens_of_a_day
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.tuples(cells, st.one_of(st.none(), money.map(abs)), st.sampled_from(["org", "org-2", None]))),
    tokens=st.lists(cells),
    lines=st.lists(
        st.tuples(
            st.integers(2, 8),
            st.sampled_from(["m", "n", None]),
            st.sampled_from(["input", "output", None]),
            st.sampled_from(["Usage", "Usage", "Tax", "Credit", "Adjustment", "Purchase"]),
            st.sampled_from(["org", "org-3"]),
            money,
            money,
        )
    ),
)
def test_the_causes_of_any_company_sum_to_billed_less_traced(run: Run, calls: Any, tokens: Any, lines: Any) -> None:
    """Each row exactly, and all lines of the bill once; whatever is missing on either side."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (day, model, kind, n), usd, account in calls:
        place = {"usage_date": date(2026, 11, day), "model_canonical": model, "billing_account_id": account}
        row = traced(n, None if usd is None or model is None else str(usd), token_type=kind, token_class=kind, **place)
        seen[day, model, kind, account] = row
    told = {
        (day, model, kind): counted(
            n, usage_date=date(2026, 11, day), model_canonical=model, token_type=kind, token_class=kind
        )
        for day, model, kind, n in tokens
    }
    billed = [
        line(
            str(amount),
            cost_key=str(number),
            usage_date=date(2026, 11, day),
            model_canonical=model,
            token_type=kind,
            charge_category=category,
            billing_account_id=account,
            list_usd=listed,
        )
        for number, (day, model, kind, category, account, amount, listed) in enumerate(lines)
    ]

    rows = reconciled(run, list(seen.values()), list(told.values()), billed, prices=[price("2.5")])

    for row in rows:
        assert sum(row[f"{name}_usd"] for name in CAUSES) == row["billed_usd"] - row["traced_list_cost_usd"]
        assert abs(row["rounding_usd"]) <= Decimal("0.005") * row["bill_lines"]
    assert sum(row["billed_usd"] for row in rows) == sum(line["billed_usd"] for line in billed)
    billed_accounts = {line["billing_account_id"] for line in billed}
    inside = [r for r in seen.values() if r["billing_account_id"] in billed_accounts | ({None} if billed else set())]
    assert sum(row["traced_tokens"] for row in rows) == sum(r["traced_tokens"] for r in inside)
