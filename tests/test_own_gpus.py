"""What own GPUs and seats cost on days on which nobody called anything: it is borne all the same, in the showback and in FOCUS."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines import books
from pipelines.paths import DataRoot
from tests.conftest import upstream
from tests.sources.landed import land, lines, queried

NOW = datetime(2026, 11, 20, tzinfo=UTC)
# What is looked at here.
TABLES = ("focus_cost_and_usage", "mart_savings_weekly", "mart_showback_weekly")
POOLS = (
    "pool_id,model_id,valid_from_date,valid_to_date,gpu_count,gpu_hour_usd,input_tokens_per_s,cache_read_tokens_per_s,output_tokens_per_s\n"
    "one,acme-8b,2026-09-28,,1,2.5,15000,150000,1500\n"
    "two,acme-70b,2026-10-30,2026-11-03,1,4,15000,150000,1500\n"
    "three,acme-1b,2026-11-18,2026-11-19,1,1,,,\n"
    "four,acme-3b,2026-11-10,2026-11-11,2,3,15000,150000,1500\n"
)
FEES = (
    "charge_id,provider,billing_account_id,kind,period_start_date,period_end_date,amount_usd\n"
    "plan,mistral,team-plan,subscription,2026-11-02,2026-11-16,14.00\n"
    "year,mistral,team-plan,subscription,2026-07-01,2027-07-01,365.00\n"
    "next,mistral,team-plan,subscription,2026-12-01,2027-01-01,31.00\n"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Calls on four days of seven weeks; a GPU from the end of September on, others for some days."""
    made = DataRoot(tmp_path_factory.mktemp("own") / "books")
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    call = {"model": "m", "api": "openai.chat", "provider": "groq", "usage": usage}
    full = {"prompt_tokens": 0, "completion_tokens": 5_400_000, "total_tokens": 5_400_000}
    own = {**call, "provider": "vllm", "usage": full, "timestamp": "2026-11-18T09:00:00Z", "feature": "a"}
    land(
        made,
        "app_log/web/calls.jsonl",
        lines(
            {**call, "id": "october", "timestamp": "2026-10-07T12:00:00Z"},
            {**call, "id": "november", "timestamp": "2026-11-18T12:00:00Z"},
            {**own, "id": "own", "model": "acme-8b"},
            # Nobody measured how fast the third pool is: its call has no price, its hours cost all the same.
            {**own, "id": "unmeasured", "model": "acme-1b"},
            {**own, "id": "own-price", "model": "acme-3b", "timestamp": "2026-11-10T09:00:00Z", "feature": "b"},
        ),
    )
    seat = {**call, "provider": "mistral", "timestamp": "2026-11-05T12:00:00Z", "feature": "a"}
    land(made, "app_log/seats/calls.jsonl", lines({**seat, "id": "seat"}))
    made.reference.mkdir(parents=True)
    prices = (
        "provider,model_id,unit,per_units,unit_price,currency,effective_from\n"
        "groq,m,input,1000000,2.80,USD,2025-01-01\nmistral,m,input,1000000,2.80,USD,2025-01-01\n"
        "self,acme-3b,output,1000000,0.10,USD,2025-01-01\n"
    )
    rules = (
        "charge_match_field,charge_match_value,method,target_kind,target_value,share\n"
        "model_canonical,acme-70b,fixed,team,research,1\n"
    )
    for name, text in {
        "prices": prices,
        "gpu_pools": POOLS,
        "period_charges": FEES,
        "allocation_rules": rules,
        "accounts": "provider,account_id,account_name,paid_by\nmistral,team-plan,seats,seat\n",
    }.items():
        (Path(made.reference) / f"{name}.csv").write_text(text)
    report = books.run(made, now=NOW, select=upstream(*TABLES))
    assert not report.is_blocked, report.failed
    return made


BILLS = {
    # 31 days of 24 x 2.50; two days of 24 x 4.00.
    "2026-10": {"acme-8b": Decimal("1860.00"), "acme-70b": Decimal("192.00")},
    # To the 18th, the books' own now: 18 days; two days; one day of 24 x 1.00; one day of 24 x 2 x 3.00.
    "2026-11": {
        "acme-8b": Decimal("1080.00"),
        "acme-70b": Decimal("192.00"),
        "acme-1b": Decimal("24.00"),
        "acme-3b": Decimal("144.00"),
    },
}


@pytest.mark.parametrize("month", BILLS)
def test_the_gpu_bill_of_a_month_closes(root: DataRoot, month: str) -> None:
    """Days of the pools times 24 hours times what an hour costs, whatever was called: also weeks and months without a call."""
    query = f"""select sum(invoiced_cost_usd) as usd from mart_showback_weekly
        where provider = 'self' and billing_month = '{month}'"""
    assert queried(root, query) == [{"usd": sum(BILLS[month].values())}]
    # Idle dollars by pool: one hour of 2.50 has its call; 5.4 million tokens at 0.10 a million are 0.54.
    idle = f"""select split_part(pool_id, '|', 2) as model, sum(allocated_usd) as usd from ledger_allocations
        where pool_id like 'gpu_idle%' and month_start_date = date '{month}-01' group by all"""
    direct = {"acme-8b": Decimal("2.50"), "acme-3b": Decimal("0.54")} if month == "2026-11" else {}
    found = {row["model"]: round(row["usd"], 2) for row in queried(root, idle)}
    assert found == {model: usd - direct.get(model, 0) for model, usd in BILLS[month].items()}


def test_each_week_bears_its_own_days(root: DataRoot) -> None:
    """Weeks of the first pool alone: Thursday to Sunday of the first week of October are 4 x 60, whole weeks 7 x 60 = 420."""
    query = """select week_start_date, sum(invoiced_cost_usd) as usd from mart_showback_weekly
        where provider = 'self' and billing_month = '2026-10' and team = 'unattributed' group by all order by all"""
    assert [row["usd"] for row in queried(root, query)] == [240, 420, 420, 420, 360]


def test_a_rule_says_who_bears_them(root: DataRoot) -> None:
    query = """select billing_month, sum(invoiced_cost_usd) as usd from mart_showback_weekly
        where team = 'research' group by all order by all"""
    assert queried(root, query) == [
        {"billing_month": "2026-10", "usd": Decimal("192.00")},
        {"billing_month": "2026-11", "usd": Decimal("192.00")},
    ]


def test_focus_has_the_same_dollars_and_says_what_they_are(root: DataRoot) -> None:
    """Per month and seller the billed cost is the showback's; idle hours are use, not rounding."""
    query = """select strftime(BillingPeriodStart, '%Y-%m') as billing_month, x_Provider as provider, sum(BilledCost) as usd
        from focus_cost_and_usage group by all order by all"""
    same = """select billing_month, provider, sum(invoiced_cost_usd) as usd from mart_showback_weekly
        where invoiced_cost_usd <> 0 group by all order by all"""
    assert queried(root, query) == queried(root, same)
    query = """select ChargeDescription as text, ChargeCategory as category, sum(BilledCost) as usd, min(ChargePeriodStart) as first_at,
        count(distinct x_RowId) = count(*) as is_unique
        from focus_cost_and_usage where x_ModelId = 'acme-70b' or ChargeDescription like 'acme-70b%' group by all"""
    assert queried(root, query) == [
        {
            "text": "acme-70b idle hours of own GPUs",
            "category": "Usage",
            "usd": Decimal("384"),
            "first_at": datetime(2026, 10, 26, tzinfo=UTC),
            "is_unique": True,
        }
    ]
    query = """select max(abs(BilledCost)) as usd from focus_cost_and_usage where x_AllocationBasis = 'rounding'"""
    assert queried(root, query)[0]["usd"] < Decimal("0.02")


def test_a_seat_fee_is_borne_in_weeks_and_months_without_a_call(root: DataRoot) -> None:
    """7.00 in the week of the call and 7.00 in the next, which has none. The plan of a year is of July, in which nobody called
    anything: all its 365.00 are there, a dollar a day. The plan of December is not due."""
    query = """select billing_month, feature, sum(invoiced_cost_usd) as usd from mart_showback_weekly
        where provider = 'mistral' group by all having sum(invoiced_cost_usd) <> 0 order by all"""
    assert queried(root, query) == [
        {"billing_month": "2026-07", "feature": "unattributed", "usd": Decimal("365.00")},
        {"billing_month": "2026-11", "feature": "a", "usd": Decimal("7.00")},
        {"billing_month": "2026-11", "feature": "unattributed", "usd": Decimal("7.00")},
    ]
    # And in the savings, week by week: a week of November has 7 dollars of each plan, with calls or without.
    query = """select week_start_date as week, seat_requests as requests, seat_fee_usd as usd from mart_savings_weekly
        where provider = 'mistral' and week_start_date between date '2026-10-26' and date '2026-11-09' order by week"""
    assert [(row["requests"], row["usd"]) for row in queried(root, query)] == [(0, 7), (1, 14), (0, 14)]
