"""A price that changes: which partitions it wakes, and what the calls would cost with another book."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import books
from pipelines.books import RunReport
from pipelines.cli import app
from pipelines.paths import DataRoot
from pipelines.prices.reprice import reprice, summed
from pipelines.views import open_views
from tests.conftest import upstream

HEAD = "provider,model_id,unit,per_units,unit_price,currency,effective_from,effective_to,known_at,source_ref\n"
PRICES = HEAD + "".join(
    f"self,{model},input,1000000,{price},USD,2026-10-01,,2026-10-01,list\n" for model, price in (("oak", 2), ("elm", 4))
)
# Calls by day: oak on the first three days, elm on the second and the fourth. Each has a million tokens.
CALLS = [
    ("2026-11-02", "oak"),
    ("2026-11-03", "oak"),
    ("2026-11-03", "elm"),
    ("2026-11-04", "oak"),
    ("2026-11-05", "elm"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    root = DataRoot(tmp_path_factory.mktemp("repricing") / "books")
    (root.landing / "app_log").mkdir(parents=True)
    root.reference.mkdir()
    lines = [
        {
            "id": f"{model}-{day}",
            "timestamp": f"{day}T12:00:00Z",
            "provider": "self",
            "api": "openai.chat",
            "model": model,
            "metadata": {"project_id": f"project-{model}"},
            "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000},
        }
        for day, model in CALLS
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (root.landing / "app_log" / "calls.jsonl").write_text(text, encoding="utf-8")
    (root.reference / "prices.csv").write_text(PRICES, encoding="utf-8")
    run(root)
    return root


@pytest.fixture
def company(built: DataRoot, tmp_path: Path) -> DataRoot:
    """A copy, so that a test may change its prices."""
    return DataRoot(shutil.copytree(built.path, tmp_path / "books"))


def run(root: DataRoot) -> RunReport:
    """A run of the tables that have prices."""
    return books.run(root, select=upstream("ledger_costs"))


def cost(root: DataRoot) -> Decimal:
    with open_views(root) as con:
        [(total,)] = con.execute("select sum(effective_cost_usd) from ledger_costs").fetchall()
    return total


def test_a_new_price_rebuilds_the_days_that_its_dates_and_its_model_touch(company: DataRoot) -> None:
    """elm is 5 from 2026-11-03 12:00 to 11-05: of its days only 11-03 lies in that, and oak's days stay as they are."""
    more = "self,elm,input,1000000,5,USD,2026-11-03,2026-11-05,2026-11-06,list\n"
    (company.reference / "prices.csv").write_text(PRICES + more, encoding="utf-8")

    built = {entry.model.name: entry.partitions for entry in run(company).built}

    assert built["ledger_rates"] == ["2026-11-03", "2026-11-04"]
    assert built["ledger_costs"] == ["2026-11-03"]
    assert cost(company) == Decimal(2 + 2 + 5 + 2 + 4)


def test_a_price_that_no_call_meets_wakes_no_cost(company: DataRoot) -> None:
    more = "self,ash,input,1000000,5,USD,2026-11-03,,2026-11-06,list\n"
    (company.reference / "prices.csv").write_text(PRICES + more, encoding="utf-8")

    assert "ledger_costs" not in {entry.model.name for entry in run(company).built}


def test_the_book_of_an_earlier_day_prices_without_touching_the_ledger(company: DataRoot) -> None:
    """C2: elm was put right on 2026-11-20 from 4 to 3: then 2 x 2 + 2 + 3 x 2 = 12; as known on 11-19 it is 14."""
    more = "self,elm,input,1000000,3,USD,2026-10-01,,2026-11-20,correction\n"
    (company.reference / "prices.csv").write_text(PRICES + more, encoding="utf-8")
    run(company)
    files = {path: path.stat().st_mtime_ns for path in company.lake.rglob("*.parquet")}

    found = reprice(company, known_at=datetime(2026, 11, 19, tzinfo=UTC))

    [row] = summed(found, [])
    assert (row["effective_cost_usd"], row["new_effective_cost_usd"], row["delta_usd"]) == (12, 14, 2)
    assert {path: path.stat().st_mtime_ns for path in company.lake.rglob("*.parquet")} == files


def test_a_line_adds_up_and_says_what_only_one_book_prices(company: DataRoot, tmp_path: Path) -> None:
    """As known on 2026-10-31 ash (a call at 7) has no price yet, and on a card yew (at 9) alone has one.

    Both price oak at 3 x 2 and elm at 2 x 4, 14 in either book. Ash's 7 are left out of 14, and so are yew's 9.
    """
    landed = company.landing / "app_log" / "calls.jsonl"
    line = landed.read_text(encoding="utf-8").splitlines()[0]
    more = "".join(line.replace("oak", model) + "\n" for model in ("ash", "yew"))
    (company.landing / "app_log" / "more.jsonl").write_text(more, encoding="utf-8")
    ash = "self,ash,input,1000000,7,USD,2026-10-01,,2026-11-01,list\n"
    (company.reference / "prices.csv").write_text(PRICES + ash, encoding="utf-8")
    alias = "provider,pattern_kind,pattern,model_id\nself,exact,yew,yew\n"
    (company.reference / "model_aliases.csv").write_text(alias, encoding="utf-8")
    run(company)
    card = tmp_path / "card.csv"
    card.write_text(HEAD + "self,yew,input,1000000,9,USD,2026-10-01,,,offer\n", encoding="utf-8")

    [before] = summed(reprice(company, known_at=datetime(2026, 10, 31, tzinfo=UTC)), [])
    [offer] = summed(reprice(company, rate_card=card), [])

    names = ["effective_cost_usd", "new_effective_cost_usd", "delta_usd", "requests"]
    assert [before[name] for name in names] == [14, 14, 0, 7]
    assert [offer[name] for name in names] == [21, 21, 0, 7]
    names = ["only_booked_requests", "only_booked_usd", "only_new_requests", "only_new_usd"]
    assert [before[name] for name in names] == [1, 7, 0, 0]
    assert [offer[name] for name in names] == [0, 0, 1, 9]
    words = ["prices", "reprice", "--card", str(card), "--root", str(company.path)]
    printed = CliRunner().invoke(app, words, env={"COLUMNS": "240"}).output
    assert "1 call of $9.00 has a price in the other book alone and is in neither sum." in printed


def test_a_rate_card_prices_the_calls_of_its_model(company: DataRoot, tmp_path: Path) -> None:
    """oak at 1.50: three million tokens cost 4.50 instead of 6."""
    card = tmp_path / "card.csv"
    card.write_text(HEAD + "self,oak,input,1000000,1.50,USD,2026-10-01,,,offer\n", encoding="utf-8")

    by_model = {row["model"]: row for row in summed(reprice(company, rate_card=card), ["model"])}

    assert by_model["oak"]["delta_usd"] == Decimal("-1.50")
    assert by_model["elm"]["delta_usd"] == 0
    assert cost(company) == 14


def test_a_rate_card_with_a_fault_says_where(company: DataRoot, tmp_path: Path) -> None:
    card = tmp_path / "card.csv"
    card.write_text("provider,model_id\nself,oak\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"card\.csv, line 1"):
        reprice(company, rate_card=card)


def test_a_new_rate_to_usd_rebuilds_the_days_from_its_date_on(company: DataRoot) -> None:
    """elm at 40 yuan x 0.1 is 4 as before; at 0.12 from the 5th its call of that day is 4.80: 14 becomes 14.80."""
    rates = "currency,rate_date,fx_rate_to_usd\nCNY,2026-10-01,0.1\n"
    (company.reference / "prices.csv").write_text(PRICES.replace(",4,USD,", ",40,CNY,"), encoding="utf-8")
    (company.reference / "fx_rates.csv").write_text(rates, encoding="utf-8")
    run(company)
    before = cost(company)
    (company.reference / "fx_rates.csv").write_text(rates + "CNY,2026-11-05,0.12\n", encoding="utf-8")

    built = {entry.model.name: entry.partitions for entry in run(company).built}

    assert (before, cost(company)) == (14, Decimal("14.8"))
    assert (built["ledger_rates"], built["ledger_costs"]) == (["2026-11-05"], ["2026-11-05"])


def test_a_contract_of_a_project_prices_its_calls(company: DataRoot) -> None:
    """A quarter off for project-oak: three calls at 1.50, two of elm at 4; nothing else asked for the project to be kept."""
    contract = "provider,scope,kind,value,effective_from,source_ref\nself,project_id=project-oak,multiplier,0.75,2026-10-01,c-1\n"
    (company.reference / "price_overrides.csv").write_text(contract, encoding="utf-8")

    run(company)

    assert cost(company) == Decimal("12.5")


def test_a_contract_with_nobody_is_a_warning_of_the_run_and_blocks_nothing(company: DataRoot) -> None:
    contract = "provider,kind,value\nslef,multiplier,0.75\nself,multiplier,0.5\n"
    (company.reference / "price_overrides.csv").write_text(contract, encoding="utf-8")

    report = run(company)

    [warning] = report.as_dict()["warnings"]
    assert warning.startswith(
        "reference/price_overrides.csv, line 2, column provider: no price or model of provider 'slef'"
    )
    assert warning.endswith("nearest: self.")
    assert (report.problems, cost(company)) == ([], 7)


def test_a_model_of_own_gpus_is_priced_by_the_hour(company: DataRoot) -> None:
    """elm's GPU at 3 an hour: its two calls of 1 M tokens, each alone in its hour, cost 3; 1,000 tokens/s are busy for 1,000 s."""
    pool = "pool_id,model_id,gpu_count,gpu_hour_usd,input_tokens_per_s\np-1,elm,1,3,1000\n"
    (company.reference / "prices.csv").write_text(PRICES.replace("self,elm", "self,ash"), encoding="utf-8")
    (company.reference / "gpu_pools.csv").write_text(pool, encoding="utf-8")

    run(company)

    assert cost(company) == Decimal(2 + 2 + 3 + 2 + 3)
    words = ["prices", "show", "elm", "--at", "2026-11-05T13:00Z", "--json", "--root", str(company.path)]
    [row] = json.loads(CliRunner().invoke(app, words).stdout)
    assert (row["price"], row["conditions"], row["confidence"]) == ("3", "marginal 0.833333333", "derived")
