"""The books of the whole sample company, as ``make demo`` keeps them, and the document that tells its story."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines import books
from pipelines.books import RunReport
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.sample import SampleReport, company, write
from pipelines.sample.workloads import BURST, DEARER_DATE, DRIFT_DATE, GEMINI_TRIAL, LAUNCH_DATE, LOOP, WORKLOADS
from pipelines.sources import sources
from pipelines.views import open_views, questions
from pipelines.whatif.backtest import backtest
from tests.exports.focus_witness import explained, judged, needs_the_validator
from tests.test_cli import tokenbooks

README = Path(__file__).resolve().parent.parent / "README.md"
DOCUMENT = README.parent / "docs" / "sample_company.md"
TUTORIAL = README.parent / "docs" / "tutorial.md"
COOKBOOK, BI = (README.parent / "docs" / name for name in ("cookbook.md", "bi.md"))
METHODS = [page for page in sorted((README.parent / "docs" / "methods").glob("*.md")) if page.name != README.name]
# A query, and the table below it that says what it gives.
_CLAIM = re.compile(
    r"^```sql\n(?P<query>.*?)^```\n\n(?P<header>\|[^\n]*\|)\n\|[-|]+\|\n(?P<rows>(?:\|[^\n]*\|\n)*)", re.M | re.S
)
# What is traced in Langfuse is in the application's log as long as nothing reads Langfuse.
SEEN_BY: Mapping[str, company.Source] = {name: seen for name, seen in company.SOURCES.items() if seen in sources()}

Claim = tuple[str, list[str], list[list[str]]]
Booked = tuple[DataRoot, SampleReport, RunReport]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def claims() -> list[Claim]:
    """Query, column names and rows of each claim of the document and the tutorial, and of the reconciliation in the README."""
    explained = README.read_text(encoding="utf-8").partition("\n## The bill, explained\n")[2]
    found = _CLAIM.finditer(
        "\n".join([*(page.read_text(encoding="utf-8") for page in (DOCUMENT, TUTORIAL)), explained])
    )
    return [(one["query"], cells(one["header"]), [cells(row) for row in one["rows"].splitlines()]) for one in found]


def tables_of(query: str) -> set[str]:
    return set(re.findall(r"\b(?:ledger|mart)_\w+", query))


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> Booked:
    root = DataRoot(tmp_path_factory.mktemp("fernhill"))
    report = write(root, sources=SEEN_BY)
    return root, report, books.run(root)


def table(booked: Booked, name: str) -> pl.DataFrame:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        files = f"read_parquet('{booked[0].table(name)}/**/*.parquet', hive_partitioning = false)"
        return con.sql(f"select * from {files}").pl()


# ---- the document


def test_every_query_of_the_document_has_its_answer_below() -> None:
    in_readme = 1
    in_pages = sum(page.read_text(encoding="utf-8").count("```sql") for page in (DOCUMENT, TUTORIAL))
    assert in_pages + in_readme == len(claims())
    assert all(rows for _, _, rows in claims())


def test_every_command_of_the_tutorial_runs(booked: Booked, tmp_path: Path) -> None:
    """In its order, on a copy, since it closes a month: that is refused at first. `make demo` has made the books."""
    data = Path(shutil.copytree(booked[0].path, tmp_path / "books"))
    lines = re.findall(r"^\.venv/bin/tokenbooks (.*)$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE)

    codes = {line: tokenbooks(*shlex.split(line), data=data).returncode for line in lines}

    assert {line: code for line, code in codes.items() if code} == {"close 2026-08": 3}
    assert len(codes) >= 10


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: "-".join(claim[1]))
def test_the_books_say_what_the_document_says(booked: Booked, claim: Claim) -> None:
    query, names, rows = claim
    if missing := tables_of(query) - set(models()):
        pytest.skip(f"no {', '.join(sorted(missing))} yet")
    with open_views(booked[0]) as con:
        [question] = questions(con, query)
        answer = con.execute(question)
        columns = [column[0] for column in answer.description or ()]
        found = [["" if value is None else str(value) for value in row] for row in answer.fetchall()]

    shown = "\n".join(f"| {' | '.join(row)} |" for row in found)
    assert columns == names
    assert found == rows, f"the books say\n{shown}"


def queries_of(page: Path) -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", [*METHODS, BI, COOKBOOK], ids=lambda page: page.stem)
def test_every_query_of_a_page_finds_something(booked: Booked, page: Path) -> None:
    queries = queries_of(page)
    assert queries
    with open_views(booked[0]) as con:
        for query in queries:
            [question] = questions(con, query)
            assert con.execute(question).fetchall(), query


def test_the_cookbook_has_25_questions_and_no_answer_contradicts_the_showback(booked: Booked) -> None:
    """Whatever an answer is divided by, its invoiced dollars sum to those of the published showback, and a line says what they mean."""
    text = COOKBOOK.read_text(encoding="utf-8")
    queries = queries_of(COOKBOOK)
    recipes = re.findall(r"^### (\d+)\. [^\n]*\?\n\n```sql\n.*?^```\n\n\S", text, re.M | re.S)
    assert recipes == [str(number) for number in range(1, 26)]
    assert len(queries) == 25
    files = f"{booked[0].exports}/showback/v1/*/showback.parquet"
    with duckdb.connect() as con:
        expected = con.execute(f"select sum(invoiced_cost_usd) from '{files}'").fetchall()
    with open_views(booked[0]) as con:
        summed = [query for query in queries if "as invoiced_cost_usd" in query]
        assert len(summed) >= 6
        for query in summed:
            assert con.execute(f"select sum(invoiced_cost_usd) from ({query})").fetchall() == expected, query


def test_every_page_about_methods_is_in_their_list() -> None:
    listed = re.findall(r"\]\((\w+\.md)\)", (METHODS[0].parent / README.name).read_text(encoding="utf-8"))

    assert sorted(listed) == [page.name for page in METHODS]


def test_the_figures_behind_every_alert_can_be_asked_for(booked: Booked) -> None:
    with open_views(booked[0]) as con:
        alerts = con.execute("select evidence_query, owner, remedy, sentence from mart_alerts").fetchall()
        assert alerts
        for query, *said in alerts:
            [question] = questions(con, query)
            assert con.execute(question).fetchall(), query
            assert all(said)


def test_the_document_tells_sizes_and_dates_as_they_are(booked: Booked) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    report = booked[1]

    assert f"hold {report.requests:,} calls" in text
    assert (report.first_date, report.end_date) == (date(2026, 8, 10), date(2026, 11, 16))
    assert report.untraced_share == pytest.approx(Decimal("0.04"), abs=Decimal("0.001"))
    assert (date(2026, 11, 3), date(2026, 10, 20)) == (DRIFT_DATE, LAUNCH_DATE)
    assert date(2026, 10, 27) == DEARER_DATE
    assert (BURST.on_date, BURST.per_mille) == (date(2026, 10, 7), 155)
    assert (LOOP.from_date, LOOP.to_date) == (date(2026, 10, 28), date(2026, 10, 31))


# ---- the books


def test_books_of_the_sample_are_published(booked: Booked) -> None:
    report, files = booked[2], table(booked, "ledger_files")

    assert (report.problems, report.failed, report.is_blocked) == ([], [], False)
    assert report.published
    assert files["quarantined"].sum() == files["duplicate"].sum() == 0


def test_every_call_is_booked_once(booked: Booked) -> None:
    calls = table(booked, "ledger_requests").filter("is_billable_leaf")
    by_source = dict(calls.group_by("source").len().iter_rows())

    assert len(calls) == booked[1].requests
    assert set(by_source) == {"app_log", *SEEN_BY.values()}
    assert calls["task_id"].n_unique() - 1 == booked[1].tasks


def test_owners_tiers_models_and_providers_are_those_of_the_company(booked: Booked) -> None:
    calls = table(booked, "ledger_requests").filter("is_billable_leaf")
    owners = {workload.name: workload.team for workload in WORKLOADS if workload.team}

    found = calls.filter(pl.col("feature") != "unattributed").select("feature", "team").unique()
    assert dict(found.iter_rows()) == owners
    assert len(owners) == 6
    assert set(owners.values()) == {"care", "knowledge", "automation"}
    assert set(calls["customer_tier"]) == {"free", "pro", "enterprise", "unattributed"}
    assert calls["model_canonical"].drop_nulls().n_unique() == 5
    assert set(calls["provider"]) == {"openai", "anthropic", "google"}
    assert calls["customer_id"].drop_nulls().n_unique() == len(company.CUSTOMERS) == 40
    assert set(calls.filter(feature="unattributed")["api_key_name"]) == {"key-shared-scripts"}


def test_invoice_is_the_sum_of_the_pages(booked: Booked) -> None:
    """For each month; and the showback of OpenAI's account sums to it, to the cent. The others' is an accrual."""
    by_month: dict[date, Decimal] = defaultdict(Decimal)
    for path in (booked[0].landing / "openai_usage").rglob("costs.*.json"):
        for bucket in json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)["data"]:
            day = datetime.fromtimestamp(bucket["start_time"], UTC).date()
            by_month[day.replace(day=1)] += sum(result["amount"]["value"] for result in bucket["results"])
    invoices = table(booked, "ledger_invoices")
    showback = table(booked, "mart_showback_weekly")
    shown = showback.filter(provider="openai").group_by("billing_month").agg(pl.col("invoiced_cost_usd").sum())

    assert dict(zip(invoices["month_start_date"], invoices["billed_usd"], strict=True)) == by_month
    assert {f"{month:%Y-%m}": round(usd, 2) for month, usd in by_month.items()} == dict(shown.iter_rows())
    assert sum(by_month.values()) == booked[1].billed_usd
    others = showback.filter(pl.col("provider") != "openai")
    assert set(others["state"]) == {"provisional"}
    assert set(others["allocation_basis"]) == {"effective_cost"}


def test_the_ledger_prices_the_traces_as_the_sample_did(booked: Booked) -> None:
    requests = table(booked, "ledger_requests").select("request_key", "provider")
    costs = table(booked, "ledger_costs").join(requests, on="request_key")

    assert costs.filter(provider="openai")["list_cost_usd"].sum() == booked[1].traced_usd
    priced = costs.filter(provider="anthropic", cost_status="priced")
    is_contracted = pl.col("started_at").dt.date() >= date(2026, 9, 1)
    before, after = priced.filter(~is_contracted), priced.filter(is_contracted)
    assert len(before) > 1_000
    assert (before["effective_cost_usd"] == before["list_cost_usd"]).all()
    assert (after["effective_cost_usd"] == after["list_cost_usd"] * Decimal("0.92")).all()


def test_more_than_nine_tenths_are_priced_and_attributed(booked: Booked) -> None:
    calls = table(booked, "ledger_requests").join(table(booked, "ledger_costs"), on="request_key")
    spent = Decimal(calls["effective_cost_usd"].sum())
    owned = calls.filter(pl.col("feature") != "unattributed", pl.col("team") != "unattributed")
    used = calls.filter(pl.col("total_tokens").is_not_null())

    assert Decimal(owned["effective_cost_usd"].sum()) > Decimal("0.9") * spent
    assert used.filter(pl.col("effective_cost_usd").is_not_null()).height > 0.99 * used.height
    assert set(used.filter(pl.col("effective_cost_usd").is_null())["model_served"]) == {GEMINI_TRIAL.served}


def test_outcomes_reach_the_tasks_of_every_feature(booked: Booked) -> None:
    tasks = table(booked, "ledger_tasks")
    known = tasks.group_by("feature").agg((pl.col("outcome").is_not_null().mean()).alias("share"))

    assert {name: share > 0.65 for name, share in known.iter_rows()} == {
        workload.name: True for workload in WORKLOADS if workload.team
    }


def test_a_customer_changes_its_tier_on_a_day(booked: Booked) -> None:
    calls = table(booked, "ledger_requests").filter(customer_id="cu-201")
    tiers = calls.group_by(is_later=pl.col("started_at").dt.date() >= date(2026, 10, 26)).agg(
        pl.col("customer_tier").unique()
    )

    assert dict(tiers.iter_rows()) == {False: ["pro"], True: ["enterprise"]}


@needs_the_validator
def test_the_finops_foundations_validator_finds_nothing_in_the_focus_files_that_is_not_explained(
    booked: Booked, tmp_path: Path
) -> None:
    """Rules of 1.2 over four months; what fails has its reason in focus_explained.csv."""
    kept, failed = judged(booked[0], "parquet", tmp_path)

    assert len(kept) > 200
    assert failed == explained("sample")


def test_the_error_of_a_backtest_is_published_as_it_is(booked):
    """Of release 2026.21 docs/methods/whatif.md says what was foretold for 1,000 calls, what came, and both errors."""
    [one] = backtest(booked[0], "price_change", ["change=0.5", "feature=doc-summary"], date(2026, 10, 27))
    page = " ".join((DOCUMENT.parent / "methods" / "whatif.md").read_text(encoding="utf-8").split())

    assert f"${one.predicted_mid_usd * 1000:.2f} for 1,000 calls, where ${one.actual_usd * 1000:.2f} came" in page
    assert f"It errs by {one.error:.0%}".replace("%", " %") in page
    assert f"nothing changes errs by {-one.unchanged_error:.0%}".replace("%", " %") in page
    assert f"${one.actual_usd * 1000:.2f} lies outside" in page
    assert not one.is_within
