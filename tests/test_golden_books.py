"""A company worked out by hand: every figure of its calls, their costs and the fates of its records."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import books
from pipelines.lake import Lake
from pipelines.paths import DataRoot
from pipelines.sources import sources
from tests.conftest import GOLDEN
from tests.exports.focus_rules import broken
from tests.exports.focus_witness import explained, judged, needs_the_validator
from tests.sources.landed import queried

SOURCES = sorted({folder.name for folder in (GOLDEN / "landing").iterdir()} & set(sources()))


@pytest.fixture
def company(golden_books: DataRoot) -> DataRoot:
    return golden_books


def expected(name: str) -> Iterator[dict[str, str]]:
    with (GOLDEN / "expected" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def expected_columns(name: str) -> list[str]:
    return list(next(expected(name)))


def as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return " ".join(f"{key}={value[key]}" for key in sorted(value))
    return str(value)


def differences(wanted: dict[str, str], found: dict[str, Any]) -> list[str]:
    wrong = []
    for name, text in wanted.items():
        value = found[name]
        same = (
            (value == Decimal(text) if text else value is None)
            if isinstance(value, Decimal)
            else as_text(value) == text
        )
        if not same:
            wrong.append(f"{name}: expected {text!r}, found {as_text(value)!r}")
    return wrong


# Tests of the close add calls after what was worked out.
WORKED_OUT = "where started_at < timestamptz '2026-11-01 00:00:00+00'"


def test_every_request_has_the_classes_the_owner_and_the_account_worked_out_by_hand(company: DataRoot) -> None:
    """110 calls, 22 columns each, from the newest version of each record."""
    found = {
        (row["source_account"], row["source_row_id"]): row
        for row in queried(company, f"from ledger_requests {WORKED_OUT}")
    }
    wanted = list(expected("ledger_requests"))

    wrong = {
        row["source_row_id"]: differences(row, found[row["source_account"], row["source_row_id"]]) for row in wanted
    }

    assert len(found) == len(wanted) >= 110
    assert not {key: texts for key, texts in wrong.items() if texts}


def test_every_cost_equals_the_one_worked_out_by_hand_to_the_last_digit(company: DataRoot) -> None:
    """List, contracted and effective cost and each class of both; k-039: 1.793832 + 0.201480 + 0.264672 + 0.155328 = 2.415312."""
    query = f"""select c.*, r.source, r.source_account, r.source_row_id
        from ledger_costs as c join (from ledger_requests {WORKED_OUT}) as r using (request_key)"""
    found = {(row["source_account"], row["source_row_id"]): row for row in queried(company, query)}
    wanted = list(expected("ledger_costs"))

    wrong = {
        row["source_row_id"]: differences(row, found[row["source_account"], row["source_row_id"]]) for row in wanted
    }

    assert len(found) == len(wanted)
    assert not {key: texts for key, texts in wrong.items() if texts}
    assert found["web", "k-039"]["list_cost_usd"] == Decimal("2.415312")


def test_every_record_of_every_file_has_the_fate_worked_out_by_hand(company: DataRoot) -> None:
    """Booked, duplicate, not billable or quarantined, with the reason."""
    found = {row["path"]: row for row in queried(company, "from ledger_files")}
    wanted = [row for row in expected("ledger_files") if row["source"] in SOURCES]

    wrong = {row["path"]: differences(row, found[row["path"]]) for row in wanted}

    assert set(found) == {row["path"] for row in wanted}
    assert not {path: texts for path, texts in wrong.items() if texts}
    assert sum(row["records"] for row in found.values()) == sum(int(row["records"]) for row in wanted)


def billed_accounts() -> set[str]:
    """Accounts whose bill comes from a source that is read."""
    with (GOLDEN / "reference" / "bill_sources.csv").open(encoding="utf-8", newline="") as file:
        return {row["billing_account_id"] for row in csv.DictReader(file) if row["source"] in SOURCES}


def compared(company: DataRoot, name: str, key: list[str]) -> tuple[int, int, dict[Any, list[str]]]:
    """Rows expected and found of the accounts that are read, and what of them is wrong."""
    accounts = billed_accounts()
    found = {
        tuple(as_text(row[column]) for column in key): row
        for row in queried(company, f"from {name}")
        if row["billing_account_id"] in accounts
    }
    wanted = [row for row in expected(name) if row["billing_account_id"] in accounts]
    wrong = {}
    for row in wanted:
        place = tuple(row[column] for column in key)
        texts = differences(row, found[place]) if place in found else ["missing"]
        if texts:
            wrong[place] = texts
    return len(wanted), len(found), wrong


def test_invoices_equal_those_worked_out_by_hand(company: DataRoot) -> None:
    found = {
        (row["provider"], row["billing_account_id"], f"{row['month_start_date']:%Y-%m}"): row
        for row in queried(company, "from ledger_invoices")
    }
    wanted = [row for row in expected("invoices") if row["source"] in SOURCES]

    assert wanted
    assert len(found) == len(wanted)
    for row in wanted:
        invoice = found[row["provider"], row["billing_account_id"], row["billing_month"]]
        assert invoice["invoiced_cost_billing_currency"] == Decimal(row["invoice"])
        assert invoice["invoiced_cost_usd"] == Decimal(row["invoice_usd"])
        assert invoice["billed_amount"] == Decimal(row["billed_exact"])
        assert invoice["bill_lines"] == int(row["bill_lines"])
        assert invoice["state"] == row["state"]


KEY = """
week_start_date billing_month cost_centre team feature customer_tier
environment provider billing_account_id model_canonical model_tier
""".split()


def test_showback_equals_the_one_worked_out_by_hand(company: DataRoot) -> None:
    """Every component of every row, the cents and the fee that a rule splits 65 : 35 among them."""
    wanted, found, wrong = compared(company, "mart_showback_weekly", KEY)

    assert not wrong
    assert wanted == found


def test_each_day_of_the_reconciliation_equals_the_one_worked_out_by_hand(company: DataRoot) -> None:
    """Day cut, restated and vanished lines, unknown models, rounding: every cell to the last digit."""
    key = ["usage_date", "provider", "billing_account_id", "model_canonical", "token_type"]
    wanted, found, wrong = compared(company, "mart_reconciliation_daily", key)

    assert not wrong
    assert wanted == found


def test_each_verdict_is_the_one_worked_out_by_hand(company: DataRoot) -> None:
    """Of providers all of whose bills are read: causes, tokens, coverage and the word, by month."""
    sums = ", ".join(
        f"sum({name}) as {name}"
        for name in expected_columns("reconciliation_verdicts")
        if name.endswith(("_usd", "_tokens"))
    )
    query = f"""select provider, strftime(month_start_date, '%Y-%m') as billing_month, {sums}, any_value(provider_verdict) as verdict
        from mart_reconciliation_monthly group by all"""
    found = {(row["provider"], row["billing_month"]): row for row in queried(company, query)}
    read = {"anthropic"} | ({"openai"} if "org-eu" in billed_accounts() else set())
    for row in expected("reconciliation_verdicts"):
        if row["provider"] not in read:
            continue
        month = found[row["provider"], row["billing_month"]]
        stated = {name: text for name, text in row.items() if text and not name.endswith("_coverage")}
        assert not differences(stated, month)


def test_the_allocation_accuracy_index_is_the_one_worked_out_by_hand(company: DataRoot) -> None:
    """August: 41.03422135 of 43.20088515, 0.950, once all three bills are read; less the account that has no bill, here an accrual."""
    query = """select billing_month, sum(attributed_direct_usd) as known, sum(gross_cost_usd) as gross from mart_attribution_weekly
        where dimension = 'feature' group by billing_month"""
    found = {row["billing_month"]: row for row in queried(company, query)}
    direct = sum(
        Decimal(row["direct_cost_usd"])
        for row in expected("mart_showback_weekly")
        if row["billing_month"] == "2026-08" and row["feature"] != "unattributed"
    )

    assert direct == Decimal("41.03422135")
    if "org-eu" in billed_accounts():
        assert (found["2026-08"]["known"], found["2026-08"]["gross"]) == (direct, Decimal("43.20088515"))
    assert all(row["known"] <= row["gross"] for row in found.values())


def test_showback_sums_to_each_invoice(company: DataRoot) -> None:
    """19.97 for August, 93.16 for September, and 1.15 accrued for October of org-main."""
    query = """select billing_month, sum(invoiced_cost_usd) as usd from mart_showback_weekly
        where billing_account_id = 'org-main' group by billing_month order by billing_month"""

    found = {row["billing_month"]: row["usd"] for row in queried(company, query)}

    assert found == {"2026-08": Decimal("19.97"), "2026-09": Decimal("93.16"), "2026-10": Decimal("1.15")}


def test_a_second_run_changes_no_byte(golden_books: DataRoot, tmp_path: Path) -> None:
    company = DataRoot(shutil.copytree(golden_books.path, tmp_path / "golden"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(company.lake.rglob("*.parquet"))}

    report = books.run(company)

    assert not report.built
    assert not report.published
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(company.lake.rglob("*.parquet"))
    } == before


def test_late_files_rebuild_only_the_days_they_touch(company: DataRoot, tmp_path: Path) -> None:
    """Two calls of August arrive: k-023's neighbours stay as they are, byte for byte."""
    other = DataRoot(tmp_path / "late")
    shutil.copytree(company.path, other.path)
    before = {part.start: part.content_hash for part in Lake(other).parts("ledger_requests")}
    files = {path: path.read_bytes() for path in sorted((other.lake / "ledger_requests").rglob("*.parquet"))}
    shutil.copytree(GOLDEN / "late" / "landing" / "app_log", other.landing / "app_log", dirs_exist_ok=True)

    report = books.run(other)

    built = {one.model.name: one for one in report.built}
    late_days = {"2026-08-27", "2026-08-31"}
    assert set(built["ledger_requests"].changed) <= late_days
    assert set(built["ledger_costs"].partitions) <= late_days
    after = {part.start: part.content_hash for part in Lake(other).parts("ledger_requests")}
    assert {str(day) for day in before if after[day] != before[day]} <= set(built["ledger_requests"].partitions)
    assert {path.parent.name for path in files if path.read_bytes() != files[path]} == {"month=2026-08-01"}
    assert sum(row["n"] for row in queried(other, "select count(*) as n from ledger_requests")) == 112


def published(company: DataRoot, file: str) -> str:
    """A file of every month of an export, for DuckDB to read."""
    return str(company.exports / file)


def test_focus_and_statements_sum_to_each_invoice_and_their_manifests_hold(company: DataRoot) -> None:
    """Both versions, invoice detail and statements, in USD and in EUR, to the cent."""
    wanted = {
        (row["provider"], row["billing_account_id"], row["billing_month"]): Decimal(row["invoice"])
        for row in expected("invoices")
        if row["source"] in SOURCES
    }
    month = "strftime(BillingPeriodStart, '%Y-%m')"
    queries = {
        name: f"select x_Provider, BillingAccountId, {month}, sum(BilledCost) from '{published(company, path)}' {where} group by all"
        for name, path, where in (
            ("1.4", "focus/1.4/*/cost_and_usage.parquet", "where InvoiceId is not null"),
            ("1.2", "focus/1.2/*/cost_and_usage.parquet", "where InvoiceId is not null"),
            ("1.4 as CSV", "focus/1.4/*/cost_and_usage.csv", "where InvoiceId is not null"),
            ("invoice detail", "focus/1.4/*/invoice_detail.parquet", ""),
        )
    } | {
        "statements": f"""select provider, billing_account_id, billing_month, sum(invoiced_cost_billing_currency)
            from '{published(company, "statements/v1/*/statements.parquet")}' where allocation_basis = 'invoice' group by all""",
        "postings": f"""select provider, billing_account_id, entry_id[:7], sum(debit_amount - credit_amount)
            from '{published(company, "statements/v1/*/postings.parquet")}'
            where allocation_basis = 'invoice' and line_kind = 'expense' group by all""",
    }
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for name, query in queries.items():
            found = {
                (p, a, m): Decimal(str(total)).quantize(Decimal("0.01"))
                for p, a, m, total in con.execute(query).fetchall()
            }
            assert found == wanted, name
    for manifest in sorted(company.exports.rglob("manifest.json")):
        for file, digest in json.loads(manifest.read_text(encoding="utf-8"))["sha256"].items():
            assert hashlib.sha256((manifest.parent / file).read_bytes()).hexdigest() == digest


def test_the_focus_files_keep_the_rules_of_their_version(company: DataRoot) -> None:
    """Every rule of the specification that one file can show, on every file."""
    kinds = {"focus/1.2/*/cost_and_usage.csv": "1.2"} | {
        f"focus/1.4/*/{name}.csv": kind
        for name, kind in (
            ("cost_and_usage", "1.4"),
            ("invoice_detail", "invoice_detail"),
            ("billing_period", "billing_period"),
        )
    }
    with duckdb.connect() as con:
        for pattern, kind in kinds.items():
            files = sorted(company.exports.glob(pattern))
            assert len(files) == 3
            assert {file: broken(con, file, kind) for file in files} == {file: set() for file in files}
        stamps = con.execute(
            f"select * from parquet_kv_metadata('{published(company, 'focus/1.4/*/cost_and_usage.parquet')}')"
        ).fetchall()
    assert {(bytes(key), bytes(value)) for _, key, value in stamps} == {
        (b"FocusVersion", b"1.4"),
        (b"DataGenerator", b"tokenbooks"),
    }
    schema = json.loads((company.exports / "focus" / "1.4" / "schema.json").read_text(encoding="utf-8"))
    assert [entry["Dataset"] for entry in schema["Schema"]] == ["cost_and_usage", "invoice_detail", "billing_period"]


@needs_the_validator
def test_the_finops_foundations_validator_finds_nothing_in_the_focus_files_that_is_not_explained(
    company: DataRoot, tmp_path: Path
) -> None:
    """Rules of 1.2 over all months, with a reseller, fees and two currencies; what fails has its reason in focus_explained.csv."""
    kept, failed = judged(company, "csv", tmp_path)

    assert len(kept) > 200
    assert failed == explained("golden")


@pytest.mark.parametrize("version", ["1.4", "1.2"])
def test_our_focus_files_read_back_give_the_same_invoices_and_tokens(
    company: DataRoot, tmp_path: Path, version: str
) -> None:
    """What the focus source reads of the CSV: every invoice to the cent, tokens by model and class, nothing refused."""
    other = DataRoot(tmp_path / "back")
    for file in sorted((company.exports / "focus" / version).glob("month=*/cost_and_usage.csv")):
        landed = other.landing / "focus" / "ours" / f"{file.parent.name}.pulled-20261101T000000Z.csv"
        landed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, landed)
    shutil.copytree(company.reference, other.reference)
    for name in ("period_charges.csv", "bill_sources.csv"):
        (other.reference / name).unlink()

    books.run(
        other,
        select=[
            "ledger_clock",
            "ledger_pulls",
            "ledger_models",
            "ledger_bills",
            "ledger_bill_days",
            "ledger_invoices",
            "ledger_files",
        ],
    )

    invoices = """select provider, billing_account_id, month_start_date, billing_currency, invoiced_cost_billing_currency, billed_amount
        from ledger_invoices where month_start_date < date '2026-10-01' order by all"""
    back, ours = queried(other, invoices), queried(company, invoices)
    assert [row["billed_amount"] for row in back] == [row["invoiced_cost_billing_currency"] for row in ours]
    assert [list(row.values())[:-1] for row in back] == [list(row.values())[:-1] for row in ours]
    assert sum(row["quarantined"] + row["not_billable"] for row in queried(other, "from ledger_files")) == 0
    tokens = """select model_canonical, token_type, round(sum(metered_tokens)) as tokens
        from ledger_bill_days where metered_tokens <> 0 group by all order by all"""
    known = f"""select nullif(split_part(SkuId, '/', 2), 'other') as model, split_part(SkuId, '/', 3) as token_type,
            round(sum(ConsumedQuantity)) as tokens
        from '{published(company, f"focus/{version}/*/cost_and_usage.parquet")}'
        where ConsumedUnit = 'Tokens' group by all order by all"""
    with duckdb.connect() as con:
        assert [tuple(row.values()) for row in queried(other, tokens)] == con.execute(known).fetchall()
