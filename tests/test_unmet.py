"""Bills and calls that do not meet: who is named, what is paired, and that the printed row joins the two. One pair a month."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines import books, close
from pipelines.books import open_books
from pipelines.paths import DataRoot
from pipelines.summary import summarise
from tests.conftest import upstream
from tests.sources.landed import land, lines, queried

NOW = datetime(2026, 11, 20, tzinfo=UTC)
# What is looked at here.
TABLES = (
    "ledger_costs",
    "ledger_files",
    "mart_reconciliation_monthly",
    "mart_savings_weekly",
    "mart_showback_weekly",
)
# Month -> provider of its call; provider, service and host of its bill; seller of the bill; whether the two are one.
PAIRS: Mapping[str, tuple[str, tuple[str, str, str], str]] = {
    "01": ("google", ("Google Cloud", "Generative Language API", ""), "google"),
    "02": ("google", ("Google", "Google API", ""), "google"),
    "03": ("google", ("Google Cloud", "Vertex AI", ""), "vertex"),
    "04": ("openai", ("Microsoft", "Azure OpenAI", ""), "azure"),
    "05": ("anthropic", ("AWS", "Amazon Bedrock", ""), "bedrock"),
    "06": ("openai", ("OpenRouter", "OpenRouter", ""), "openrouter"),
    "07": ("azure_openai", ("Microsoft", "Azure OpenAI", ""), "azure"),
    "08": ("vertex_ai", ("Google Cloud", "Vertex AI", ""), "vertex"),
    "09": ("openrouter", ("OpenRouter", "OpenRouter", "Amazon Web Services"), "openrouter"),
}
MEETING = {"01", "02", "07", "08", "09"}
PAGE = {"object": "page", "has_more": False, "next_page": None}


def costs(first: str, last: str, **page: Any) -> str:
    """A page of OpenAI's costs: a bucket of 0.06 USD each day from first to last."""
    buckets = []
    for day in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1):
        start = int(datetime.combine(date.fromordinal(day), datetime.min.time(), UTC).timestamp())
        result = {
            "object": "organization.costs.result",
            "amount": {"value": 0.06, "currency": "usd"},
            "line_item": "gpt-5-mini, input",
            "quantity": 1000,
            "quantity_unit": "tokens",
        }
        buckets.append({"object": "bucket", "start_time": start, "end_time": start + 86400, "results": [result]})
    return json.dumps({**PAGE, "data": buckets, **page})


def focus(month: str, provider: str, service: str, host: str, account: str = "", **more: str) -> str:
    """A month's bill: 10.00 of use, 0.80 of tax."""
    start, end = f"2026-{month}-01T00:00:00Z", f"2026-{int(month) + 1:02d}-01T00:00:00Z"
    row = {
        "BillingAccountId": account or f"acct-{month}",
        "BillingCurrency": "USD",
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "ServiceName": service,
        "ServiceProviderName" if host else "ProviderName": provider,
        "HostProviderName": host,
    }
    rows = [
        {**row, "ChargeCategory": "Usage", "BilledCost": "10.00", "ChargeDescription": "model use", **more},
        {**row, "ChargeCategory": "Tax", "BilledCost": "0.80", "ChargeDescription": "tax"},
    ]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n", restval=""
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cur(month: str, payer: str, cost: str) -> str:
    """A part of a Cost and Usage Report: a line of the month's first day."""
    row = {
        "bill_payer_account_id": payer,
        "bill_billing_period_start_date": f"2026-{month}-01T00:00:00Z",
        "bill_billing_period_end_date": f"2026-{int(month) + 1:02d}-01T00:00:00Z",
        "line_item_usage_start_date": f"2026-{month}-01T00:00:00Z",
        "line_item_usage_end_date": f"2026-{month}-01T01:00:00Z",
        "line_item_line_item_type": "Usage",
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": "USE1-NovaPro-input-tokens",
        "line_item_usage_amount": "1",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": cost,
    }
    return ",".join(row) + "\n" + ",".join(row.values()) + "\n"


def manifest(name: str, *keys: str, period: str = "") -> str:
    """What AWS lists of a report (reportKeys) or of an export (dataFiles)."""
    more = {"billingPeriod": {"start": f"{period}T000000.000Z"}} if period else {}
    return json.dumps({"columns": [{"name": "x", "type": "String"}], name: keys, **more}, indent=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Nine months of one call of 2.80 and one bill of 10.80, and October with all that is not pulled whole."""
    made = DataRoot(tmp_path_factory.mktemp("unmet") / "books")
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    call = {"model": "m", "api": "openai.chat", "usage": usage}
    calls = [
        {**call, "id": month, "timestamp": f"2026-{month}-05T12:00:00Z", "provider": provider}
        for month, (provider, _, _) in PAIRS.items()
    ]
    # Now: a record that is in no month above.
    calls.append({**call, "id": "now", "timestamp": "2026-11-18T12:00:00Z", "provider": "groq"})
    land(made, "app_log/web/calls.jsonl", lines(*calls))
    # Seats: 1 and 3 million tokens at 2.80 a million, for a fee of 5.60 that week.
    seat = {**call, "provider": "mistral", "timestamp": "2026-11-05T12:00:00Z"}
    three = {name: 3 * tokens for name, tokens in usage.items()}
    seats = [{**seat, "id": "seat-a", "feature": "a"}, {**seat, "id": "seat-b", "feature": "b", "usage": three}]
    land(made, "app_log/seats/calls.jsonl", lines(*seats))
    # An own GPU of 2.50 an hour that is full for one hour of the day, and one of 4.00 that nobody calls.
    full = {"prompt_tokens": 0, "completion_tokens": 5_400_000, "total_tokens": 5_400_000}
    own = {
        **call,
        "id": "own",
        "provider": "vllm",
        "model": "acme-8b",
        "usage": full,
        "timestamp": "2026-11-18T09:00:00Z",
        "feature": "a",
    }
    land(made, "app_log/own/calls.jsonl", lines(own))
    for month, (_, bill, _) in PAIRS.items():
        land(made, f"focus/bills/{month}.pulled-2026{int(month) + 1:02d}05T000000Z.csv", focus(month, *bill))
    for name, content in {
        "more/costs.pulled-20261105T000000Z.json": costs(
            "2026-10-03", "2026-10-03", has_more=True, next_page="page_AAA"
        ),
        "goes_on/costs.pulled-20261105T000000Z.json": costs(
            "2026-10-03", "2026-10-03", has_more=True, next_page="page_BBB"
        ),
        "goes_on/costs.2.pulled-20261105T000100Z.json": costs("2026-10-04", "2026-10-31"),
        "early/costs.pulled-20261010T060000Z.json": costs("2026-10-01", "2026-10-09"),
        "same_day/costs.pulled-20261031T120000Z.json": costs("2026-10-01", "2026-10-31"),
        "gap/costs.1.pulled-20261105T000000Z.json": costs("2026-10-01", "2026-10-09"),
        "gap/costs.2.pulled-20261105T000000Z.json": costs("2026-10-15", "2026-10-31"),
        "whole/costs.pulled-20261105T000000Z.json": costs("2026-10-01", "2026-10-31"),
    }.items():
        land(made, f"openai_usage/{name}", content)
    starts = [f"2026-10-{day:02d}" for day in range(1, 4)]
    row = {"amount": "6", "currency": "USD", "description": "Claude", "cost_type": "tokens", "model": "claude-opus-4-6"}
    buckets = [
        {"starting_at": f"{day}T00:00:00Z", "ending_at": f"2026-10-{int(day[-2:]) + 1:02d}T00:00:00Z", "results": [row]}
        for day in starts
    ]
    page = {"data": buckets, "has_more": True, "next_page": "page_CCC"}
    land(made, "anthropic_usage/pages/cost_report.pulled-20261105T000000Z.json", json.dumps(page))
    # What says no days is whole by a pull after its period and three days of restatement.
    for account, pulled in (("cloud_early", "20261102"), ("cloud_whole", "20261104")):
        land(made, f"focus/{account}/10.pulled-{pulled}T000000Z.csv", focus("10", "Together AI", "x", "", account))
    # Manifests of AWS: a part that is missing, one that is left of a longer refresh, and reports that are whole.
    export, month = "cur/export", "BILLING_PERIOD=2026-10"
    for name, content in {
        f"{export}/metadata/{month}/export-Manifest.json": manifest(
            "dataFiles", *(f"s3://bucket/prefix/export/data/{month}/export-0000{part}.csv.gz" for part in (1, 2, 3))
        ),
        f"{export}/data/{month}/export-00001.csv": cur("10", "parts", "1.00"),
        f"{export}/data/{month}/export-00002.csv": cur("10", "parts", "2.00"),
        f"{export}/data/{month}/export-00004.csv": cur("10", "parts", "99.00"),
        # A report of CUR in a folder of each version, the older of which is no longer there as a whole.
        "old/v1/report-Manifest.pulled-20261104T000000Z.json": manifest(
            "reportKeys",
            "p/report/20261001-20261101/v1/report-1.csv.zip",
            "p/report/20261001-20261101/v1/report-2.csv.zip",
            period="20261001",
        ),
        "old/v1/report-1.pulled-20261104T000000Z.csv": cur("10", "versions", "50.00"),
        "old/v2/report-Manifest.pulled-20261106T000000Z.json": manifest(
            "reportKeys", "p/report/20261001-20261101/v2/report-1.csv.zip", period="20261001"
        ),
        "old/v2/report-1.pulled-20261106T000000Z.csv": cur("10", "versions", "4.00"),
        # As the older reports number their files, in the folder of a billing period.
        "cur/report/20261001-20261101/report-1.csv": cur("10", "numbered", "6.00"),
        "cur/report/20261001-20261101/report-12.csv": cur("10", "numbered", "7.00"),
    }.items():
        land(made, f"aws_bedrock/{name}", content)
    focus_key = "s3://bucket/focus/data/year=2026/month=10/focus-00001.csv.gz"
    for name, content in {
        "Manifest.json": manifest("dataFiles", focus_key, focus_key.replace("00001", "00002")),
        "00001.csv": focus("10", "AWS", "Amazon Bedrock", "", "aws_focus"),
    }.items():
        land(made, f"focus/aws/year=2026/month=10/focus-{name}", content)
    price = "provider,model_id,unit,per_units,unit_price,currency,effective_from,region_class\n"
    sellers = ("google", "vertex", "openai", "azure", "anthropic", "bedrock", "openrouter", "groq", "mistral")
    made.reference.mkdir(parents=True)
    (made.reference / "prices.csv").write_text(
        price
        + "".join(
            f"{seller},m,input,1000000,2.80,USD,2025-01-01,{'regional' if seller == 'bedrock' else ''}\n"
            for seller in sellers
        )
    )
    for name, text in {
        "accounts": "provider,account_id,account_name,paid_by\nmistral,team-plan,seats,seat\n",
        "period_charges": "charge_id,provider,billing_account_id,kind,period_start_date,period_end_date,amount_usd\n"
        "plan,mistral,team-plan,subscription,2026-11-02,2026-11-09,5.60\n",
        "gpu_pools": "pool_id,model_id,valid_from_date,valid_to_date,gpu_count,gpu_hour_usd,input_tokens_per_s,cache_read_tokens_per_s,"
        "output_tokens_per_s\none,acme-8b,2026-11-18,2026-11-19,1,2.5,15000,150000,1500\ntwo,acme-70b,2026-11-18,2026-11-19,1,4,15000,150000,1500\n",
        "allocation_rules": "charge_match_field,charge_match_value,method,target_kind,target_value,share\n"
        "model_canonical,acme-70b,fixed,team,research,1\n",
    }.items():
        (made.reference / f"{name}.csv").write_text(text)
    report = books.run(made, now=NOW, select=upstream(*TABLES))
    assert not report.is_blocked, report.failed
    return made


def verdicts(root: DataRoot, month: str) -> dict[str, str]:
    query = f"""select provider, verdict from mart_reconciliation_monthly
        where month_start_date = date '2026-{month}-01' and provider <> 'groq'"""
    return {row["provider"]: row["verdict"] for row in queried(root, query)}


@pytest.mark.parametrize("month", PAIRS)
def test_no_line_of_an_invoice_is_lost_and_it_is_the_sellers(root: DataRoot, month: str) -> None:
    """10.00 + 0.80 of tax = 10.80, at the seller of the line."""
    found = queried(root, f"from ledger_invoices where month_start_date = date '2026-{month}-01'")

    assert [(row["provider"], row["invoiced_cost_usd"]) for row in found] == [(PAIRS[month][2], Decimal("10.80"))]
    host = PAIRS[month][1][2]
    if host:
        query = f"select distinct host_provider from ledger_bills where month_start_date = date '2026-{month}-01'"
        assert queried(root, query) == [{"host_provider": host}]


@pytest.mark.parametrize("month", sorted(MEETING))
def test_calls_under_any_name_of_their_seller_meet_its_bill(root: DataRoot, month: str) -> None:
    seller = PAIRS[month][2]

    assert set(verdicts(root, month)) == {seller}
    assert verdicts(root, month)[seller] not in ("no_trace", "no_bill")


@pytest.fixture(scope="module")
def said(root: DataRoot) -> dict[str, Any]:
    """Month -> what the summary says of it."""
    return {f"{one['month_start_date']:%m}": one for one in summarise(root).unmet if one["kind"] != "incomplete_bill"}


@pytest.mark.parametrize("month", sorted(set(PAIRS) - MEETING))
def test_a_bill_without_calls_and_calls_without_a_bill_are_paired_and_not_joined(
    root: DataRoot, said: dict[str, Any], month: str
) -> None:
    """They may be two sellers: both stand as they are, with their dollars and the row that would join them."""
    provider, _, seller = PAIRS[month]

    assert verdicts(root, month) == {provider: "no_bill", seller: "no_trace"}
    assert said[month]["text"] == (
        f"2026-{month}: {seller} (acct-{month}) billed $10.80, and no call is behind it, and calls at {provider} come to $2.80 "
        "and have no bill. If they are one, add to reference/seller_aliases.csv: "
        f"app_log,{provider},,{seller},acct-{month},2026-{month}-01,,"
    )


def test_nothing_is_said_of_months_that_meet(said: dict[str, Any]) -> None:
    assert set(said) == {*PAIRS, "10"} - MEETING


def test_where_there_are_several_nothing_is_paired(said: dict[str, Any], root: DataRoot) -> None:
    """October has bills of nine accounts and no call of theirs: each is named, with its dollars, and no row is guessed."""
    found = [
        one
        for one in summarise(root).unmet
        if one["month_start_date"] == date(2026, 10, 1) and one["kind"] != "incomplete_bill"
    ]

    assert {one["kind"] for one in found} == {"bill_without_calls"}
    assert "2026-10: together (cloud_whole) billed $10.80, and no call is behind it" in {one["text"] for one in found}
    assert {one["rows"] for one in found} == {()}


def test_a_bill_is_final_only_when_all_of_it_was_pulled(root: DataRoot) -> None:
    """The last day is 9, 3 or 14; a day that was pulled before it was over is not covered; what was continued is whole."""
    found = {
        row["billing_account_id"]: (
            row["state"],
            row["covered_to_date"] and row["covered_to_date"].day,
            row["missing_pull"],
        )
        for row in queried(root, "from ledger_invoices where month_start_date = date '2026-10-01'")
    }
    folder = "landing/openai_usage"
    assert found == {
        "more": (
            "provisional",
            3,
            f"{folder}/more/costs.pulled-20261105T000000Z.json covers days to 2026-10-03 and says that more follows: "
            "pull page=page_AAA of the same query",
        ),
        "goes_on": ("final", 31, None),
        "early": (
            "provisional",
            9,
            f"{folder}/early/costs.pulled-20261010T060000Z.json covers days to 2026-10-09: pull from 2026-10-10 on",
        ),
        "same_day": (
            "provisional",
            30,
            f"{folder}/same_day/costs.pulled-20261031T120000Z.json covers days to 2026-10-30: pull from 2026-10-31 on",
        ),
        "gap": (
            "provisional",
            9,
            f"{folder}/gap/costs.1.pulled-20261105T000000Z.json covers days to 2026-10-09, the next pull from 2026-10-15 on: "
            "pull from 2026-10-10 to 2026-10-14",
        ),
        "whole": ("final", 31, None),
        "pages": (
            "provisional",
            3,
            "landing/anthropic_usage/pages/cost_report.pulled-20261105T000000Z.json covers days to 2026-10-03 and says that more "
            "follows: pull page=page_CCC of the same query",
        ),
        "cloud_early": (
            "provisional",
            None,
            "landing/focus/cloud_early/10.pulled-20261102T000000Z.csv was pulled on 2026-11-02, and what it bills can change until "
            "2026-11-04: pull it again from then on",
        ),
        "cloud_whole": ("final", None, None),
        "parts": (
            "provisional",
            None,
            "landing/aws_bedrock/cur/export/metadata/BILLING_PERIOD=2026-10/export-Manifest.json names "
            "prefix/export/data/BILLING_PERIOD=2026-10/export-00003.csv.gz, which is not there or could not be read: copy it",
        ),
        "versions": ("final", None, None),
        "numbered": ("final", None, None),
        "aws_focus": (
            "provisional",
            None,
            "landing/focus/aws/year=2026/month=10/focus-Manifest.json names focus/data/year=2026/month=10/focus-00002.csv.gz, "
            "which is not there or could not be read: copy it",
        ),
    }


def test_a_report_is_what_its_newest_manifest_names(root: DataRoot) -> None:
    """1.00 + 2.00; the 99.00 of a part that is left of a longer refresh are none of it; of versions the newest counts;
    6.00 + 7.00 of files that are numbered without zeros."""
    found = {
        row["billing_account_id"]: row["invoiced_cost_usd"]
        for row in queried(
            root, "from ledger_invoices where provider = 'bedrock' and month_start_date = date '2026-10-01'"
        )
    }
    assert found == {
        "parts": Decimal("3.00"),
        "versions": Decimal("4.00"),
        "numbered": Decimal("13.00"),
        "aws_focus": Decimal("10.80"),
    }
    [left] = queried(root, "select path, reasons from ledger_files where state = 'withheld'")
    assert left["path"].endswith("export-00004.csv")
    assert left["reasons"] == "its manifest does not name it"


def test_the_summary_and_the_close_name_what_is_not_all_there(root: DataRoot) -> None:
    texts = [one["text"] for one in summarise(root).unmet if one["kind"] == "incomplete_bill"]
    with open_books(root) as opened:
        october = close.unreconciled(opened, date(2026, 10, 1))
        march = close.unreconciled(opened, date(2026, 3, 1))

    assert len(texts) == 8
    wanted = "landing/openai_usage/early/costs.pulled-20261010T060000Z.json covers days to 2026-10-09: pull from 2026-10-10 on"
    assert f"2026-10: the bill of openai (early) is not all there: {wanted}" in texts
    assert f"openai early: the bill is not all there: {wanted}" in october
    assert "together cloud_whole: the invoice has no call behind it" in october
    assert "google unattributed: no invoice; its calls come to $2.80, an accrual" in march
    assert "vertex acct-03: the invoice has no call behind it" in march
    assert any(text.endswith("app_log,google,,vertex,acct-03,2026-03-01,,") for text in march)


@pytest.fixture(scope="module")
def joined(root: DataRoot, said: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """The printed rows of all months, to the letter, and the page that follows."""
    copy = DataRoot(tmp_path_factory.mktemp("joined") / "books")
    shutil.copytree(root.path, copy.path)
    printed = [row for month, one in sorted(said.items()) if month != "10" for row in one["rows"]]
    header = "source,provider,billing_account_id,seller,seller_account_id,valid_from_date,valid_to_date,why\n"
    text = header
    for row in printed:
        # Each holds for its month: the next one's calls may mean another seller.
        month = row.split(",")[5]
        cells = row.split(",")
        cells[6] = f"{month[:5]}{int(month[5:7]) + 1:02d}-01"
        text += ",".join(cells) + "\n"
    Path(copy.reference / "seller_aliases.csv").write_text(text)
    land(copy, "openai_usage/more/costs.2.pulled-20261106T000000Z.json", costs("2026-10-04", "2026-10-31"))
    month = "BILLING_PERIOD=2026-10"
    land(copy, f"aws_bedrock/cur/export/data/{month}/export-00003.csv", cur("10", "parts", "5.00"))
    report = books.run(copy, now=NOW, select=upstream(*TABLES))
    assert not report.is_blocked, report.failed
    return copy


@pytest.mark.parametrize("month", sorted(set(PAIRS) - MEETING))
def test_the_printed_row_joins_them(joined: DataRoot, month: str) -> None:
    """The calls are priced at the bill's seller, in its account; nothing is accrued: 10.80 in all."""
    seller = PAIRS[month][2]

    assert set(verdicts(joined, month)) == {seller}
    assert verdicts(joined, month)[seller] not in ("no_trace", "no_bill")
    query = f"""select provider, billing_account_id, effective_cost_usd
        from ledger_requests as r inner join ledger_costs as c on r.request_key = c.request_key where source_row_id = '{month}'"""
    assert queried(joined, query) == [
        {"provider": seller, "billing_account_id": f"acct-{month}", "effective_cost_usd": Decimal("2.80")}
    ]
    total = f"select sum(invoiced_cost_usd) as usd from mart_showback_weekly where billing_month = '2026-{month}'"
    assert queried(joined, total) == [{"usd": Decimal("10.80")}]


def test_a_later_page_closes_the_bill(joined: DataRoot) -> None:
    query = "select state, missing_pull from ledger_invoices where billing_account_id = 'more'"
    assert queried(joined, query) == [{"state": "final", "missing_pull": None}]


def test_the_missing_file_closes_the_bill(joined: DataRoot) -> None:
    query = "select state, missing_pull, invoiced_cost_usd from ledger_invoices where billing_account_id = 'parts'"
    assert queried(joined, query) == [{"state": "final", "missing_pull": None, "invoiced_cost_usd": Decimal("8.00")}]


def test_calls_that_a_seat_pays_for_cost_nothing_and_show_what_they_would_have_cost(root: DataRoot) -> None:
    """2.80 + 8.40 = 11.20 at list prices, 0 owed; the fee of 5.60 is half of it, spread 1.40 and 4.20."""
    query = """select source_row_id as id, cost_status, cost_reason, list_cost_usd, effective_cost_usd
        from ledger_requests as r inner join ledger_costs as c on r.request_key = c.request_key where provider = 'mistral' order by id"""
    assert queried(root, query) == [
        {"id": "seat-a", "cost_status": "free", "cost_reason": "paid_by_seat", "list_cost_usd": Decimal("2.8"), "effective_cost_usd": 0},
        {"id": "seat-b", "cost_status": "free", "cost_reason": "paid_by_seat", "list_cost_usd": Decimal("8.4"), "effective_cost_usd": 0},
    ]  # fmt: skip
    borne = """select feature, invoiced_cost_usd as usd from mart_showback_weekly
        where provider = 'mistral' and feature <> 'unattributed' order by feature"""
    assert queried(root, borne) == [{"feature": "a", "usd": Decimal("1.40")}, {"feature": "b", "usd": Decimal("4.20")}]
    [saved] = queried(root, "from mart_savings_weekly where provider = 'mistral'")
    assert (saved["seat_requests"], saved["seat_list_cost_usd"], saved["seat_fee_usd"]) == (
        2,
        Decimal("11.2"),
        Decimal("5.6"),
    )
    assert (saved["seat_fee_ratio"], saved["list_cost_usd"], saved["effective_savings_rate"]) == (
        Decimal("0.5"),
        None,
        None,
    )


def test_an_account_paid_by_seats_waits_for_no_bill_of_its_calls(root: DataRoot) -> None:
    """Its invoice is the fee: 5.60, which agrees with no token at all."""
    query = "select verdict, invoiced_cost_usd as usd, untraced_usd from mart_reconciliation_monthly where provider = 'mistral'"
    assert queried(root, query) == [{"verdict": "ok", "usd": Decimal("5.60"), "untraced_usd": 0}]


def test_idle_hours_of_own_gpus_are_borne_by_rule_else_unattributed(root: DataRoot) -> None:
    """The day of the first costs 24 x 2.50 = 60.00: one hour its call, 23 hours nobody; that of the second 24 x 4.00 = 96.00."""
    query = """select feature, team, direct_cost_usd > 0 as is_direct, sum(invoiced_cost_usd) as usd
        from mart_showback_weekly where provider = 'self' group by all order by usd"""
    assert queried(root, query) == [
        {"feature": "a", "team": "unattributed", "is_direct": True, "usd": Decimal("2.50")},
        {"feature": "unattributed", "team": "unattributed", "is_direct": False, "usd": Decimal("57.50")},
        {"feature": "unattributed", "team": "research", "is_direct": False, "usd": Decimal("96.00")},
    ]
