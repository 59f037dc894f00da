"""What must hold in the books of any company, worked out anew from its files and tables: companies made from seeds, whole runs."""

from __future__ import annotations

import gzip
import hashlib
import json
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines import books, sample
from pipelines.contract import INPUT_CLASSES, OUTPUT_CLASSES
from pipelines.paths import DataRoot

CLASSES = (*INPUT_CLASSES, *OUTPUT_CLASSES)


@pytest.fixture(scope="module", params=[3, 71])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Seven weeks over the ends of two months, 900 calls."""
    root = DataRoot(tmp_path_factory.mktemp("company"))
    sample.write(root, weeks=7, requests=900, seed=request.param)
    report = books.run(root)
    assert report.failed == []
    return root


def value(root: DataRoot, query: str) -> object:
    return rows(root, query)[0][0]


def rows(root: DataRoot, query: str) -> list[tuple[object, ...]]:
    """Rows of a query over the tables of a data root, in which ``{name}`` stands for a table's files."""
    names = {
        path.name: f"read_parquet('{path}/**/*.parquet', hive_partitioning = false)" for path in root.lake.iterdir()
    }
    with duckdb.connect() as con:
        return con.execute(query.format(**names)).fetchall()


def logs(root: DataRoot) -> dict[Path, list[bytes]]:
    """The lines of the application's log."""
    return {
        path: [line for line in gzip.decompress(path.read_bytes()).splitlines() if line.strip()]
        for path in (root.landing / "app_log").rglob("*.jsonl.gz")
    }


def test_every_line_of_every_log_has_one_fate(company: DataRoot) -> None:
    """1: the lines are counted here."""
    lines = {company.relative(path): len(log) for path, log in logs(company).items()}
    found = rows(company, "select path, records, booked, duplicate, not_billable, quarantined from {ledger_files}")

    assert lines
    assert {path: records for path, records, *_ in found if path in lines} == lines
    assert all(records == sum(fates) for _, records, *fates in found)
    assert value(company, "select count(*) from {ledger_requests}") == sum(
        booked
        for path, _, booked, *_ in found
        if "outcomes" not in path and "openai_usage" not in path and "scores" not in path
    )


def test_the_parts_of_a_call_are_its_whole(company: DataRoot) -> None:
    """2: or the row is flagged."""
    parts = " + ".join(f"coalesce({name}, 0)" for name in CLASSES)
    wrong = f"""select count(*) from {{ledger_requests}}
        where {parts} <> total_tokens or (provider_total_tokens <> total_tokens and usage_flags = [])"""

    assert value(company, wrong) == 0


@pytest.mark.parametrize("kind", ["list_cost_usd", "cost_usd"])
def test_a_call_costs_what_its_classes_cost(company: DataRoot, kind: str) -> None:
    """3: exactly, at list prices and as owed."""
    classes = " + ".join(f"coalesce({name.removesuffix('_tokens')}_{kind}, 0)" for name in (*CLASSES, "units"))
    whole = kind if kind == "list_cost_usd" else f"effective_{kind}"

    assert value(company, f"select count(*) from {{ledger_costs}} where {whole} is not null") > 0  # type: ignore[operator]
    assert value(company, f"select count(*) from {{ledger_costs}} where {whole} <> {classes}") == 0


def test_what_owners_bear_is_the_invoice_to_the_cent(company: DataRoot) -> None:
    """4: the invoices are added up from the pages that the provider sent."""
    months: dict[str, Decimal] = {}
    for path in (company.landing / "openai_usage").rglob("costs.*.json"):
        page = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
        month = path.name.split(".")[1]
        months[month] = sum(
            (line["amount"]["value"] for bucket in page["data"] for line in bucket["results"]), start=Decimal(0)
        )
    query = """select billing_month, sum(invoiced_cost_usd) from {mart_showback_weekly}
        where provider = 'openai' and allocation_basis = 'invoice' group by all"""

    assert len(months) > 1
    assert dict(rows(company, query)) == {
        month: total.quantize(Decimal("0.01"), ROUND_HALF_EVEN) for month, total in months.items()
    }


def test_days_make_weeks_and_teams_make_the_whole(company: DataRoot) -> None:
    """4: calls and their cost are the same by call, by day, by week and by team."""
    sums = "sum(effective_cost_usd), count(*)"
    calls = rows(company, f"select {sums} from {{ledger_costs}} where effective_cost_usd is not null")
    by_day = f"select date_trunc('day', started_at), {sums} from {{ledger_costs}} where effective_cost_usd is not null group by 1"
    days = rows(company, f"select sum(a), sum(n) from ({by_day}) as t(day, a, n)")
    weeks = """select sum(effective_cost_usd), sum(requests - unpriced_requests) from (
        select week_start_date, sum(effective_cost_usd) as effective_cost_usd, sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests from {mart_showback_weekly} group by all)"""
    teams = weeks.replace("week_start_date", "team")

    assert days == calls
    assert rows(company, weeks)[0][1] == rows(company, teams)[0][1] == calls[0][1]
    assert rows(company, weeks)[0][0] == rows(company, teams)[0][0]
    # The showback keeps ten places of each row; its sum strays by at most half of the last one a row.
    strays = abs(rows(company, weeks)[0][0] - calls[0][0])  # type: ignore[operator]
    assert strays <= Decimal("0.00000000005") * value(company, "select count(*) from {mart_showback_weekly}")  # type: ignore[operator]


def test_what_is_borne_is_the_sum_of_its_parts(company: DataRoot) -> None:
    """5: row by row, and so in all."""
    parts = "direct_cost_usd + allocated_untraced_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd"

    assert value(company, "select count(*) from {mart_showback_weekly} where invoiced_cost_usd <> 0") > 0  # type: ignore[operator]
    assert value(company, f"select count(*) from {{mart_showback_weekly}} where invoiced_cost_usd <> {parts}") == 0


def test_what_bill_and_calls_differ_by_is_the_sum_of_its_causes(company: DataRoot) -> None:
    causes = """untraced_usd + day_cut_usd + price_mismatch_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd
        + unexplained_usd"""
    query = f"select sum({causes}), sum(billed_usd) - sum(traced_list_cost_usd) from {{mart_reconciliation_daily}}"

    [(explained, difference)] = rows(company, query)

    assert difference
    assert explained == difference


def test_users_have_pseudonyms_everywhere(company: DataRoot) -> None:
    """8: what the logs call them is in no table."""
    named = {json.loads(line).get("user_id") for log in logs(company).values() for line in log} - {None}
    found = {
        row[0] for row in rows(company, "select distinct user_id from {ledger_requests} where user_id is not null")
    }

    assert named
    assert found
    assert not named & found


def test_a_second_run_changes_no_byte(company: DataRoot) -> None:
    """7."""

    def hashes() -> dict[str, str]:
        files = [
            path for folder in (company.lake, company.exports) for path in sorted(folder.rglob("*")) if path.is_file()
        ]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = hashes()
    books.run(company)

    assert hashes() == before
