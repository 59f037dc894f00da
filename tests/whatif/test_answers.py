"""Whole books asked: prices against re-pricing, what changes nothing, the command."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines import paths
from pipelines.cli import app
from pipelines.paths import DataRoot
from pipelines.prices.reprice import reprice
from pipelines.reference.files import read
from pipelines.reference.tables import TABLES
from pipelines.whatif.alone import ask_alone, is_alone, kept_rows
from pipelines.whatif.answer import ask
from pipelines.whatif.export import table_of
from pipelines.whatif.scenarios import CASES, KINDS, ScenarioError, scenarios_of

WHOLE = {"first": date(2020, 1, 1), "end": date(2030, 1, 1)}
ROWS, _ = read(TABLES["scenarios"], paths.SHIPPED_DATA / "scenarios.csv", "scenarios.csv")


def test_a_rate_card_costs_what_re_pricing_says_to_the_last_digit(golden_books, tmp_path):
    card = tmp_path / "card.csv"
    cells = f"read_parquet('{golden_books.path}/lake/stat_rate_cells_weekly/*/*.parquet')"
    named = duckdb.sql(
        f"select distinct provider, model_canonical from {cells} where cost_basis = 'rates' order by all"
    ).fetchall()
    header = "provider,model_id,unit,per_units,unit_price,currency,effective_from"
    lines = [
        f"{seller},{model},{unit},1000000,7.31,USD,2020-01-01"
        for seller, model in named
        for unit in ("input", "output")
    ]
    card.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")

    found = ask(golden_books, "rate_card", [f"rate_card={card}"], **WHOLE).total
    repriced = reprice(golden_books, rate_card=card)

    assert -found["saving_mid_usd"] == sum(row["delta_usd"] for row in repriced if row["delta_usd"] is not None) != 0


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("price_change", ["change=0"]),
        ("rate_card", []),
        ("routing", ["share=0"]),
        ("context_trim", ["trim_share=0"]),
        ("micro_batch", ["group_calls=1"]),
    ],
)
def test_the_golden_books_cost_the_same_where_nothing_changes(golden_books, name, given):
    """Contracts, currencies, throughput, stated costs and own GPUs included; by calls and by cells."""
    found = ask(golden_books, name, given, **WHOLE).total

    assert found["cost_low_usd"] == found["cost_mid_usd"] == found["cost_high_usd"] == found["actual_usd"]
    costs = f"read_parquet('{golden_books.path}/lake/ledger_costs/*/*.parquet')"
    [booked] = duckdb.sql(f"select sum(effective_cost_usd), count(*) from {costs}").fetchall()
    assert (found["actual_usd"], found["requests"]) == booked


def test_a_price_for_use_that_nobody_uses_less_for_costs_the_same_to_the_last_digit(golden_books):
    rows = kept_rows(ask_alone(golden_books, "usage_pricing", ["demand_drop=0", "allowance=1"], **WHOLE))

    assert any(row["covered_usd"] for row in rows)
    assert {row[f"saving_{case}_usd"] for row in rows for case in CASES if row["actual_usd"] is not None} == {0}


def test_every_shipped_scenario_answers(golden_books):
    """Each in its default, but for those that a person has to name a model for."""
    for name in dict.fromkeys(row["scenario"] for row in ROWS):
        if is_alone(golden_books, name):
            assert table_of(ask_alone(golden_books, name, (), **WHOLE)).num_rows
            continue
        given = ["to_model=openai/gpt-4o-mini"] if name in ("vendor", "byom") else []
        found = ask(golden_books, name, given, **WHOLE)
        # Raises where a check of what --export writes is broken.
        assert table_of(found).num_rows
        total = found.total
        assert total["saving_low_usd"] <= total["saving_mid_usd"] <= total["saving_high_usd"], name
        assert total["covered_usd"] <= total["actual_usd"]


def test_an_answer_that_does_not_add_up_is_not_kept(golden_books):
    """More calls covered than there are."""
    found = ask(golden_books, "price_change", **WHOLE)
    for row in found.replayed.rows:
        row["covered_requests"] = row["requests"] + 1

    with pytest.raises(ScenarioError, match="breaks what its file promises"):
        table_of(found)


def test_every_lever_is_shipped_with_settings():
    assert {row["lever"] for row in ROWS} == set(KINDS)


def test_a_scenario_of_ones_own_says_only_what_it_changes():
    own = {
        "scenario": "half",
        "lever": "route",
        "parameter": "share",
        "setting": "0.5",
        "unit": "share",
        "why": "tested",
    }

    [scenario] = scenarios_of([*ROWS, own], "half")

    assert scenario.levers[0].settings["share"] == (Decimal("0.5"),) * 3
    assert scenario.levers[0].settings["to_tier"] == "budget"


@pytest.mark.parametrize(
    ("asked", "given", "said"),
    [
        ("routin", [], "No scenario routin. Nearest: routing."),
        ("routing", ["shar=1"], "there is no setting shar. Nearest: share."),
        ("routing", ["share"], "expected key=value"),
        ("routing", ["share=much"], "expected a number, or three such as 0.8/1/1.3"),
        ("routing", ["share=5"], "expected shares of 1, such as 0.2"),
        ("routing", ["routing.cold_share=0/1/50"], "expected shares of 1, such as 0.2"),
        ("output_cap", ["quantile=99"], "expected a share from 0 to 1, such as 0.99"),
        ("micro_batch", ["group_calls=0"], "expected 1 or more"),
        ("self_host", ["peak_share=0"], "expected 0.01 or more"),
        ("self_host", ["output_tokens_per_s=1500/0/900"], "expected 1 or more"),
        ("+", [], "names no scenario. 'tokenbooks whatif' lists all"),
        ("routing+batch", ["share=1"], "say routing.share and batch.share"),
        ("routing+routing", [], "routing is asked for twice"),
        ("cascade", ["escalation_by_tenth=0.1 0.2"], "expected ten shares"),
    ],
)
def test_a_slip_is_named_with_its_remedy(asked, given, said):
    with pytest.raises(ScenarioError) as error:
        scenarios_of(ROWS, asked, given)

    assert said in str(error.value)


def test_a_price_may_become_more_than_twice_as_high():
    [scenario] = scenarios_of(ROWS, "price_change", ["change=2"])

    assert scenario.levers[0].settings["change"] == (Decimal(2),) * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "share=0.5"], "name a scenario"),
        (["self_host", "--backtest", "2026-11-02"], "changes no call"),
        (["routing", "--backtest", "2026-11-02", "--export"], "no rows to keep"),
        (["routing", "--backtest", "2026-11-02", "--from", "2026-11-01"], "leave out --from and --to"),
        (["rate_card", "--set", "known_at=then"], "expected a day or an instant"),
    ],
)
def test_what_would_be_left_without_effect_is_refused(golden_books, words, said):
    told = CliRunner().invoke(app, ["whatif", *words, "--root", str(golden_books.path)])

    assert told.exit_code == 2
    assert said in told.output


def test_the_command_prints_and_keeps_an_answer(golden_books, tmp_path):
    root = DataRoot(tmp_path / "books")
    shutil.copytree(golden_books.path, root.path)
    arguments = ["whatif", "price_change", "--root", str(root.path), "--from", "2020-01-01", "--to", "2030-01-01"]

    printed = CliRunner().invoke(app, arguments)
    as_json = CliRunner().invoke(app, [*arguments, "--json", "--export"])

    assert "price_change would have cost $" in printed.output
    assert "Held         calls, models and tokens" in printed.output
    content = json.loads(as_json.stdout)
    [kept] = duckdb.sql(f"select sum(saving_mid_usd) from '{root.exports}/whatif/price_change.parquet'").fetchall()
    assert f"{kept[0]:f}" == content["total"]["saving_mid_usd"]


def test_the_command_lists_scenarios_with_their_reasons(golden_books):
    said = CliRunner().invoke(app, ["whatif", "--root", str(golden_books.path)])

    assert "assumed until overlapping traffic tells" in said.output


@pytest.mark.parametrize("scenario", ["self_host", "usage_pricing"])
def test_own_gpus_and_prices_for_use_are_kept_with_every_call_of_the_window(golden_books, tmp_path, scenario):
    """What is not meant stands beside it at its cost, so that the file adds up to the books."""
    root = DataRoot(tmp_path / "books")
    shutil.copytree(golden_books.path, root.path)
    window = ["--from", "2020-01-01", "--to", "2030-01-01"]

    told = CliRunner().invoke(app, ["whatif", scenario, "--root", str(root.path), *window, "--json", "--export"])

    assert told.exit_code == 0, told.output
    content = json.loads(told.stdout)
    kept = f"'{root.exports}/whatif/{scenario}.parquet'"
    costs = f"read_parquet('{root.path}/lake/ledger_costs/*/*.parquet')"
    sums = "sum(actual_usd), sum(requests), sum(unpriced_requests)"
    [found] = duckdb.sql(f"select {sums}, sum(covered_usd) from {kept}").fetchall()
    [booked] = duckdb.sql(
        f"select sum(effective_cost_usd), count(*), count(*) filter (effective_cost_usd is null) from {costs}"
    ).fetchall()
    assert found == (*booked, Decimal(content["covered_usd"]))
    assert duckdb.sql(f"select distinct feature, feature_verdict from {kept}").fetchall() == [("(all)", "not_asked")]
