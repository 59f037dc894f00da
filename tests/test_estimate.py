"""``estimate``: the arithmetic of a plan, worked by hand, and plans that cannot be priced."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
import typer

from pipelines.cli.estimate import count_of, in_words, share_of
from pipelines.paths import DataRoot
from pipelines.prices.estimate import NoEstimate, Plan, estimate
from tests.test_cli import tokenbooks

DAY = date(2026, 11, 2)
# A list with a price for long contexts, one for batches, one for what a cache holds, and one in euros.
PRICES = """provider,model_id,unit,per_units,unit_price,currency,effective_from,processing,ctx_min_tokens,ctx_max_tokens,source_ref
self,acme,input,1000000,2.50,USD,2026-01-01,,,100000,list
self,acme,input,1000000,5.00,USD,2026-01-01,,100000,,list
self,acme,output,1000000,10.00,USD,2026-01-01,,,100000,list
self,acme,output,1000000,15.00,USD,2026-01-01,,100000,,list
self,acme,cache_read,1000000,0.25,USD,2026-01-01,,,,list
self,acme,input,1000000,1.25,USD,2026-01-01,batch,,,list
self,acme,output,1000000,5.00,USD,2026-01-01,batch,,,list
self,euro,input,1000000,1.00,EUR,2026-01-01,,,,list
self,euro,output,1000000,2.00,EUR,2026-01-01,,,,list
"""


@pytest.fixture
def listed(root: DataRoot) -> DataRoot:
    root.reference.mkdir(parents=True)
    (root.reference / "prices.csv").write_text(PRICES, encoding="utf-8")
    return root


def test_fifty_thousand_conversations_cost_500_dollars_a_day(listed):
    """50,000 x 2,000 = 100 million in at $2.50 = $250; 50,000 x 500 = 25 million out at $10 = $250. $500,000 is off by 1,000."""
    found = estimate(listed, Plan(50_000, 2_000, 500), "gpt-4o", on_date=DAY)

    assert (found.provider, found.cost_usd, found.cost_per_request_usd) == ("openai", 500, Decimal("0.01"))
    said = in_words(found, "day")
    assert "  input   100,000,000 tokens x $2.50 / 1,000,000 = $250.00" in said
    assert "Total $500.00 a day: 50,000 requests at $0.01" in said
    assert "A month $500.00 x 30.4375 days = $15,218.75" in said


def test_steps_read_their_context_again(listed):
    """50 steps from 2,000 growing by 1,000: 50 x 2,000 + 1,000 x 49 x 50 / 2 = 1,325,000 tokens, 13.25 times 50 x 2,000."""
    plan = Plan(1, 2_000, 0, steps=50, growth_tokens=1_000)

    found = estimate(listed, plan, "acme", on_date=DAY)

    assert (plan.run_input_tokens, plan.last_input_tokens) == (1_325_000, 51_000)
    assert found.cost_usd == Decimal("3.3125")
    assert any("2,000 + ... + 51,000 = 1,325,000 tokens, 13.25 times 50 x 2,000" in line for line in in_words(found))


def test_a_planner_that_ignores_steps_understates_eleven_times(listed):
    """Five steps of 100, 160, 220, 280 and 340 thousand tokens read 1.1 million: eleven times the first."""
    one = estimate(listed, Plan(1, 1_000, 0), "acme", on_date=DAY)
    run = estimate(listed, Plan(1, 1_000, 0, steps=5, growth_tokens=600), "acme", on_date=DAY)

    assert run.cost_usd == 11 * one.cost_usd


def test_each_step_is_priced_by_its_own_length(listed):
    """Steps of 60,000 and 90,000 at $2.50, of 120,000 at $5: 0.375 + 0.60. Written 1,000 each: 2,000 at $10, 1,000 at $15."""
    found = estimate(listed, Plan(1, 60_000, 1_000, steps=3, growth_tokens=30_000), "acme", on_date=DAY)

    lines = [(line.what, line.context, line.planned_tokens, line.line_cost_usd) for line in found.lines]
    assert lines == [
        ("input", "calls that read fewer than 100,000 tokens", 150_000, Decimal("0.375")),
        ("input", "calls that read 100,000 tokens or more", 120_000, Decimal("0.6")),
        ("output", "calls that read fewer than 100,000 tokens", 2_000, Decimal("0.02")),
        ("output", "calls that read 100,000 tokens or more", 1_000, Decimal("0.015")),
    ]


def test_cached_and_batched_shares_have_their_own_rates(listed):
    """1,000 requests of 1,000 in: 80 % cached. 800,000 x 0.25 + 200,000 x 2.50 = $0.20 + $0.50."""
    found = estimate(listed, Plan(1_000, 1_000, 0, cached_share=Decimal("0.8")), "acme", on_date=DAY)
    batch = estimate(listed, Plan(1_000, 1_000, 100, batch_share=Decimal("0.4")), "acme", on_date=DAY)

    assert found.cost_usd == Decimal("0.70")
    # 600 at $2.50 and $10: 1.50 + 0.60; 400 at half of it: 0.50 + 0.20.
    assert batch.cost_usd == Decimal("2.80")


def test_the_lines_sum_to_what_all_requests_cost_one_by_one(listed):
    """A share that divides no request evenly is still exact: a third of 7 requests."""
    plan = Plan(7, 333, 77, steps=4, growth_tokens=50_001, batch_share=Decimal("0.25"))

    found = estimate(listed, plan, "acme", on_date=DAY)

    def price(read: int, written: int) -> Decimal:
        long = read >= 100_000
        return read * Decimal("5" if long else "2.5") + written * Decimal("15" if long else "10")

    steps = [(333 + 50_001 * step, 77) for step in range(4)]
    usual = sum(price(*step) for step in steps)
    batch = sum(read * Decimal("1.25") + written * 5 for read, written in steps)
    assert found.cost_usd == 7 * (usual * Decimal("0.75") + batch * Decimal("0.25")) / 1_000_000


@pytest.mark.parametrize(
    ("model", "changes", "said"),
    [
        ("acmy", {}, "Nearest known: 'acme'"),
        ("acme", {"batch_share": Decimal(1), "cached_share": Decimal("0.5")}, "Leave out --cached-share"),
        ("acme", {"cached_share": Decimal("0.7"), "cache_write_share": Decimal("0.7")}, "more than all of it"),
        ("euro", {}, "fx_rates.csv has no rate of it"),
        ("acme", {"steps": 10_000_000}, "steps"),
    ],
)
def test_what_cannot_be_priced_is_said(listed, model, changes, said):
    with pytest.raises(NoEstimate, match=said):
        estimate(listed, Plan(**{"requests": 1, "input_tokens": 10, "output_tokens": 10} | changes), model, on_date=DAY)


@pytest.mark.parametrize(
    ("text", "number"), [("50,000", 50_000), ("50k", 50_000), ("1.5M", 1_500_000), ("2b", 2_000_000_000)]
)
def test_counts_are_read_as_people_write_them(text, number):
    assert count_of(text, "--requests") == number


@pytest.mark.parametrize("text", ["50,00", "1.5", "-3", "many"])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(typer.BadParameter):
        count_of(text, "--requests")


def test_eighty_could_be_either_and_is_refused():
    assert share_of("80%", "--cached-share") == share_of("0.8", "--cached-share") == Decimal("0.8")
    with pytest.raises(typer.BadParameter, match=r"0\.8 or 80%"):
        share_of("80", "--cached-share")


def test_the_command_answers_in_json_and_ends_with_2_for_a_wrong_number(listed):
    words = ["estimate", "--input-tokens", "2000", "--output-tokens", "500", "--model", "acme", "--on", "2026-11-02"]

    told = tokenbooks(*words, "--requests", "50k", "--json", data=listed.path)

    content = json.loads(told.stdout)
    assert (told.returncode, Decimal(content["cost_usd"])) == (0, 500)
    assert content["lines"][0]["planned_tokens"] == "100000000"
    assert tokenbooks(*words, "--requests", "5O", data=listed.path).returncode == 2
    assert tokenbooks(*words, "--requests", "1", "--provider", "nobody", data=listed.path).returncode == 1
    assert tokenbooks(*words, "--requests", "1", "--growth", "5", data=listed.path).returncode == 2
