"""Bills and calls of the clouds: FOCUS, Bedrock, Azure OpenAI, Vertex AI. Case numbers are those of the acceptance cases."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import paths
from pipelines.books import open_books
from pipelines.engine import connect
from pipelines.paths import DataRoot
from pipelines.settings import Settings
from pipelines.source_macros import MACROS
from tests.sources.landed import SHARED, land, lines, read
from tests.sources.together import Place, together

KEEP = 'keep_attributes = ["grade"]\n'
SECRET = "the text of a prompt"
Row = Mapping[str, Any]

FOCUS: Row = {
    "BilledCost": "1.5",
    "BillingAccountId": "0042",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargeDescription": "gpt-4o input tokens",
    "ChargePeriodStart": "2026-10-01T00:00:00Z",
    "ChargePeriodEnd": "2026-10-02T00:00:00Z",
    "ConsumedQuantity": "100",
    "ConsumedUnit": "Tokens",
    "ProviderName": "OpenAI",
    "SkuId": "openai/gpt-4o/input",
    "Tags": "",
}
CUR: Row = {
    "bill_payer_account_id": "0042",
    "bill_billing_period_start_date": "2026-10-01T00:00:00Z",
    "bill_billing_period_end_date": "2026-11-01T00:00:00Z",
    "line_item_usage_start_date": "2026-10-01T00:00:00Z",
    "line_item_usage_end_date": "2026-10-01T01:00:00Z",
    "line_item_line_item_type": "Usage",
    "line_item_product_code": "AmazonBedrock",
    "line_item_usage_type": "USE1-NovaPro-input-tokens",
    "line_item_usage_amount": "0.1",
    "line_item_currency_code": "USD",
    "line_item_unblended_cost": "1.5",
    "pricing_unit": "1K tokens",
}
AZURE: Row = {
    "BillingAccountId": "0042",
    "BillingPeriodStartDate": "10/1/2026",
    "BillingPeriodEndDate": "10/31/2026",
    "Date": "10/1/2026",
    "MeterCategory": "Foundry Models",
    "MeterSubCategory": "Azure OpenAI",
    "MeterName": "gpt-4o-0806-Inp-glbl Tokens",
    "UnitOfMeasure": "1K",
    "Quantity": "0.1",
    "CostInBillingCurrency": "1.5",
    "BillingCurrencyCode": "USD",
    "ChargeType": "Usage",
    "PricingModel": "OnDemand",
    "Tags": "",
}
GOOGLE: Row = {
    "billing_account_id": "0042",
    "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
    "sku": {"id": "FDAB-647C-5A22", "description": "Gemini 2.5 Flash GA Text Input - Predictions"},
    "usage_start_time": "2026-10-01T00:00:00Z",
    "usage_end_time": "2026-10-01T01:00:00Z",
    "cost": 1.5,
    "currency": "USD",
    "usage": {"amount": 100, "unit": "requests", "amount_in_pricing_units": 100, "pricing_unit": "count"},
    "credits": [],
    "invoice": {"month": "202610"},
    "cost_type": "regular",
}
# Source -> a line, its fields of money, start and line text.
BILLS: Mapping[str, tuple[Row, str, str]] = {
    "focus": (FOCUS, "BilledCost", "ChargePeriodStart"),
    "aws_bedrock": (CUR, "line_item_unblended_cost", "line_item_usage_start_date"),
    "azure_openai": (AZURE, "CostInBillingCurrency", "Date"),
    "google_vertex": (GOOGLE, "cost", "usage_start_time"),
}
EVERY_BILL = pytest.mark.parametrize("source", list(BILLS))


def table(*rows: Row, end: str = "\n") -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator=end, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def bill(source: str, *changes: Row) -> str:
    """Lines of a source, each with what it has of its own."""
    rows = [{**BILLS[source][0], **change} for change in changes]
    return lines(*rows) if source == "google_vertex" else table(*rows)


def own(place: Place, name: str, content: bytes) -> bytes:
    """Bills below a folder of a test are of a billing account of their own, and calls of a test have ids of their own."""
    if content.startswith(b"\x1f\x8b"):
        with suppress(EOFError):
            return gzip.compress(own(place, name, gzip.decompress(content)), mtime=0)
        return content
    if content.startswith(b"PAR1"):
        return content
    number = str(place.number).encode()
    content = content.replace(b'"r-', b'"r-%s-' % number).replace(
        b'"correlationId": "', b'"correlationId": "%s-' % number
    )
    return content.replace(b"0042", billing_account(place, name[0]).encode())


def billing_account(place: Place, letter: str = "a") -> str:
    """Of the files below a folder of that letter."""
    return f"00{place.number:03d}{ord(letter)}"


def bills(place: Place) -> list[dict[str, Any]]:
    return place.rows("staged_bills", "source_file, source_row, charge_category desc, line_item_raw")


def requests(place: Place) -> list[dict[str, Any]]:
    return place.rows("staged_requests", "source_file, source_row")


def counted(place: Place) -> list[dict[str, Any]]:
    """The lines that count."""
    return place.reading.rows("ledger_bills", "all", f"starts_with(billing_account_id, '00{place.number:03d}')")


def booked(place: Place) -> Decimal:
    return sum((row["billed_amount"] for row in counted(place)), Decimal(0))


def one(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    assert len(found) == 1
    return found[0]


# ---- grammars


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """What a grammar says of a text, without what it leaves open."""

    def read(macro: str, *texts: str) -> dict[str, Any]:
        with connect(Settings(threads=1), tmp_path_factory.mktemp("scratch")) as con:
            for written in MACROS:
                con.execute(f"create or replace temp macro {written}")
            con.execute((paths.SOURCES / "line_items.sql").read_text(encoding="utf-8"))
            found = con.execute(f"select {macro}({', '.join('?' * len(texts))})", list(texts)).fetchall()[0][0]
        return {name: value for name, value in found.items() if value is not None}

    return read


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("USE1-NovaPro-input-tokens", {"model": "amazon.nova-pro", "token_type": "input"}),
        ("USE1-NovaPro-cache-read-input-token-count", {"model": "amazon.nova-pro", "token_type": "cache_read"}),
        (
            "USE1-Nova2.0Lite-input-tokens-flex",
            {"model": "amazon.nova-2-lite", "token_type": "input", "service_tier": "flex"},
        ),
        (
            "USE1-Claude4Sonnet-cache-read-input-token-count-long-context-cross-region-global",
            {
                "model": "claude-sonnet-4",
                "token_type": "cache_read",
                "context_tier": "long context",
                "region_scope": "global",
            },
        ),
        (
            "USE1-xai.grok-4.3-mantle-input-tokens-batch",
            {"model": "xai.grok-4.3", "token_type": "input", "is_batch": True},
        ),
        (
            "UGW1-openai.gpt-5.6-terra-mantle-cache-write-tokens-30m-long-ctx-standard",
            {
                "model": "openai.gpt-5.6-terra",
                "token_type": "cache_write",
                "cache_ttl": "30m",
                "context_tier": "long context",
                "service_tier": "standard",
            },
        ),
        (
            "USW2-MP:USW2_CacheWrite1hInputTokenCount-Units",
            {"token_type": "cache_write", "cache_ttl": "1h", "tokens_per_unit": 1_000_000},
        ),
        (
            "USW2-MP:USW2_input_tokens_global_standard-Units",
            {"token_type": "input", "region_scope": "global", "service_tier": "standard", "tokens_per_unit": 1_000_000},
        ),
        (
            "USW2-MP:USW2_Reserved_1Month_InputTPM_Geo-Units",
            {"token_type": "other", "service_tier": "reserved", "region_scope": "geo", "unit": "tpm_hours"},
        ),
        ("USE1-NovaPro-input-tokens-of-a-new-kind", {}),
        ("USE1-DataTransfer-Out-Bytes", {}),
        (
            "USE2-MP:USE2_InputTokenCount_LatencyOptimized-Units",
            {"token_type": "input", "service_tier": "latency-optimized", "tokens_per_unit": 1_000_000},
        ),
        (
            "USE2-Llama3.1-70B-LatencyOptimized-output-tokens",
            {"model": "llama3.1-70b", "token_type": "output", "service_tier": "latency-optimized"},
        ),
        (
            "USE1-NovaPro-input-tokens-latency-optimized",
            {"model": "amazon.nova-pro", "token_type": "input", "service_tier": "latency-optimized"},
        ),
        ("USW2-MP:USW2_search_units-Units", {"token_type": "other", "unit": "search_units"}),
        ("USE1-Rerank-v1-SearchUnits", {"model": "rerank-v1", "token_type": "other", "unit": "search_units"}),
    ],
)
def test_usage_types_of_bedrock_are_read_by_grammar(meter, text, wanted):
    """F18, F19 (cache before input), F20 (reserved capacity is no tokens), F24 (unknown words: nothing)."""
    assert meter("bedrock_meter", text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "gpt-4o-mini-0718-Batch-Inp-glbl Tokens",
            ("gpt-4o-mini-0718", "input", {"is_batch": True, "region_scope": "global"}),
        ),
        ("gpt 4.1 Inp Data Zone Tokens", ("gpt-4.1", "input", {"region_scope": "data zone"})),
        ("gpt-5-codex-ccchd-inp-glbl Tokens", ("gpt-5-codex", "cache_read", {"region_scope": "global"})),
        (
            "o3-deep research 0626-inp-cchd-glbl 1M Tokens",
            ("o3-deep-research-0626", "cache_read", {"region_scope": "global"}),
        ),
        (
            "5.1 pp cd inp Dz 1M Tokens",
            ("gpt-5.1", "cache_read", {"service_tier": "priority", "region_scope": "data zone"}),
        ),
        (
            "5.6 sol ShortCo Cd Wr Std Gl 1M Tokens",
            (
                "gpt-5.6-sol",
                "cache_write",
                {"context_tier": "short context", "service_tier": "standard", "region_scope": "global"},
            ),
        ),
        ("text-embedding-3-large-glbl Tokens", ("text-embedding-3-large", "input", {"region_scope": "global"})),
        ("FW GLM 5.2 Inp DZ Tokens", ("fw-glm-5.2", "input", {"region_scope": "data zone"})),
        ("Phi-3.5-Mini-128K-Instruct-Output Tokens", ("phi-3.5-mini-128k-instruct", "output", {})),
        ("Image 2 img opt Gl 1M Tokens", ("gpt-image-2", "output", {"region_scope": "global", "modality": "image"})),
        (
            "Image 1.5 txt inp DZ 1M Tokens",
            ("gpt-image-1.5", "input", {"region_scope": "data zone", "modality": "text"}),
        ),
        (
            "Image 1 mini img cd inp Gl 1M Tokens",
            ("gpt-image-1-mini", "cache_read", {"region_scope": "global", "modality": "image"}),
        ),
        (
            "Realtime 2 aud Inp Gl 1M Tokens",
            ("gpt-realtime-2", "input", {"region_scope": "global", "modality": "audio"}),
        ),
    ],
)
def test_meters_of_azure_are_read_in_all_their_spellings(meter, text, wanted):
    model, token_type, more = wanted

    assert meter("azure_meter", text, "Azure OpenAI GPT5") == {"model": model, "token_type": token_type, **more}


@pytest.mark.parametrize(
    ("text", "model", "token_type"),
    [
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", "gemini-2.5-flash", "output"),
        ("Gemini 2.5 Flash GA Text Output (Thinking On) - Predictions", "gemini-2.5-flash", "output"),
        ("Gemini 2.5 Flash Lite Text Input - Predictions", "gemini-2.5-flash-lite", "input"),
        (" Gemini 2.5 Pro Input Text Caching", "gemini-2.5-pro", "cache_read"),
        ("Claude Sonnet 4.5 Output Tokens", "claude-sonnet-4-5", "output"),
        ("Gemini 2.5 Flash Image Output - Predictions", "gemini-2.5-flash-image", "output"),
        ("Gemini 3.0 Pro Image Input Caching", "gemini-3-pro", "cache_read"),
        ("Gemini 3.8 Flash Global Image Input - Predictions", "gemini-3.8-flash", "input"),
        ("Gemini 3.1 Flash Lite Image Cached Input Flex", "gemini-3.1-flash-lite", "cache_read"),
        ("Gemini 3 Pro Image Text Input", "gemini-3-pro-image", "input"),
        ("Gemini 3 Pro Image Image Input Batch", "gemini-3-pro-image", "input"),
    ],
)
def test_skus_of_google_are_read(meter, text, model, token_type):
    """F23: Flash Lite is not Flash, and both output SKUs with thinking are output."""
    found = meter("google_meter", text)

    assert (found["model"], found["token_type"]) == (model, token_type)


def test_image_before_input_is_what_went_in_and_no_part_of_the_models_name(meter):
    assert meter("google_meter", "Gemini 3 Flash Image Input Caching Priority") == {
        "model": "gemini-3-flash",
        "token_type": "cache_read",
        "service_tier": "priority",
        "modality": "image",
    }


# ---- every bill


@pytest.fixture(scope="module")
def whole_and_in_parts(tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[str, list[dict[str, Any]]]]:
    """Of every source three equal lines in one file, then in two of a newer delivery: the staged lines and those that count."""
    root = DataRoot(tmp_path_factory.mktemp("equal"))
    with open_books(root) as books:
        books.refresh_references()
    found = []
    for name, changes in (
        ("bill.pulled-20261102T000000Z", [{}, {}, {}]),
        ("bill-00001.pulled-20261103T000000Z", [{}]),
        ("bill-00002.pulled-20261103T000000Z", [{}, {}]),
    ):
        for source in BILLS:
            land(root, f"{source}/a/{name}", bill(source, *changes))
        if "00001" not in name:
            landed = read(root, tables=("ledger_pulls", "ledger_models", "ledger_bills"))
            found.append({table: landed.rows(table) for table in ("staged_bills", "ledger_bills")})
    return found


@EVERY_BILL
def test_identical_lines_are_kept_each(whole_and_in_parts, source):
    """F15: 3 x 1.5 = 4.5, under three keys of the ledger, which do not depend on the files that the lines came in."""
    staged = [row for row in whole_and_in_parts[0]["staged_bills"] if row["source"] == source]
    whole, parts = ([row for row in found["ledger_bills"] if row["source"] == source] for found in whole_and_in_parts)

    assert len({row["cost_key"] for row in whole}) == 3
    assert sum(row["billed_amount"] for row in whole) == Decimal("4.5")
    assert {row["cost_key"] for row in parts} == {row["cost_key"] for row in whole}
    assert sum(row["billed_amount"] for row in parts) == Decimal("4.5")
    assert [row["metered_tokens"] for row in staged] == [Decimal(100)] * 3


@EVERY_BILL
@together("fine")
def test_a_month_that_is_loaded_again_is_replaced(place, source):
    """F16, F26: the newer pull counts as a whole; 1.5 + 1.5 becomes 1.25, and a line that has vanished is gone."""
    _, money, _ = BILLS[source]
    place.land(f"{source}/a/x.pulled-20261101T000000Z", bill(source, {}, {}))
    place.land(f"{source}/a/y.pulled-20261102T000000Z", bill(source, {money: 1.25}))

    yield

    assert booked(place) == Decimal("1.25")
    assert place.fates() == [(2, 0, 2, 0, 0), (1, 1, 0, 0, 0)]


@EVERY_BILL
@together("fine")
def test_the_files_of_one_delivery_count_together(place, source):
    """Two parts of the first pull and two of the second: 1 + 2 gives way to 3 + 4 = 7."""
    _, money, _ = BILLS[source]
    for day, amounts in (("01", (1, 2)), ("02", (3, 4))):
        for part, amount in enumerate(amounts, 1):
            name = f"a/export-{part:05d}.pulled-202611{day}T000000Z.txt"
            place.land(f"{source}/{name}", bill(source, {money: amount}))

    yield

    assert booked(place) == Decimal(7)
    assert [fate[1] for fate in place.fates()] == [0, 1, 0, 1]


@EVERY_BILL
@together("fine")
def test_money_is_exact_and_may_be_written_with_an_exponent(place, source):
    """C14: 0.1 + 0.2 is 0.3; 5.64902E-05 is 0.0000564902."""
    _, money, _ = BILLS[source]
    place.land(f"{source}/a/bill", bill(source, {money: "0.1"}, {money: "0.2"}, {money: "5.64902E-05"}))

    yield

    amounts = [row["billed_amount"] for row in bills(place)]

    assert amounts == [Decimal("0.1"), Decimal("0.2"), Decimal("0.0000564902")]
    assert amounts[0] + amounts[1] == Decimal("0.3")


@EVERY_BILL
@pytest.mark.parametrize(
    "text",
    ["2026-10-05T00:00:00Z", "2026-10-05", "2026-10-05 00:00:00", "10/5/26", "10/5/2026", "2026-10-04T22:00:00-02:00"],
)
@together("fine")
def test_dates_come_in_many_forms(place, source, text):
    """E10, F2: month first, never day first."""
    end = {
        "focus": "ChargePeriodEnd",
        "aws_bedrock": "line_item_usage_end_date",
        "google_vertex": "usage_end_time",
    }.get(source)
    place.land(f"{source}/a/bill", bill(source, {BILLS[source][2]: text, **({end: "2026-10-06"} if end else {})}))

    yield

    assert one(bills(place))["charge_start_at"] == datetime(2026, 10, 5, tzinfo=UTC)


@EVERY_BILL
@pytest.mark.parametrize("text", ["1.234,56", "1,234.56", "many", "inf"])
@together("faulty")
def test_an_amount_that_is_none_is_refused_alone(place, source, text):
    """F7: never text, never a guess; the other line is booked."""
    _, money, _ = BILLS[source]
    place.land(f"{source}/a/bill", bill(source, {money: text}, {}))

    yield

    assert place.fates() == [(2, 1, 0, 0, 1)]
    assert f"{money} is {text}, expected a decimal number" in place.warnings[0]


@EVERY_BILL
@together("fine")
def test_an_account_number_keeps_its_zeros(place, source):
    """F3."""
    place.land(f"{source}/a/bill", bill(source, {}))

    yield

    assert one(bills(place))["billing_account_id"] == billing_account(place)


@EVERY_BILL
@together("fine")
def test_a_byte_order_mark_windows_line_ends_quotes_and_commas_are_read(place, source):
    """F8."""
    text = {
        "focus": {"ChargeDescription": 'a "b", c'},
        "aws_bedrock": {"line_item_line_item_description": 'a "b", c'},
        "azure_openai": {"ResourceGroup": 'a "b", c'},
        "google_vertex": {"project": {"id": 'a "b", c'}},
    }[source]
    content = "\ufeff" + bill(source, text, {}).replace("\n", "\r\n")
    place.land(f"{source}/a/bill", content)
    place.land(f"{source}/b/bill", gzip.compress(content.encode()))

    yield

    assert place.fates() == [(2, 2, 0, 0, 0)] * 2
    assert [row["billed_amount"] for row in bills(place)] == [Decimal("1.5")] * 4


@EVERY_BILL
@together("faulty")
def test_a_byte_that_is_not_utf8_costs_its_line_only(place, source):
    name = {"focus": "ChargeDescription", "aws_bedrock": "line_item_usage_type", "azure_openai": "ResourceGroup"}.get(
        source
    )
    change = {name: "caf?"} if name else {"currency": "caf?"}
    content = bill(source, change, {}).encode().replace(b"caf?", b"caf\xe9")
    place.land(f"{source}/a/bill", content)

    yield

    assert place.fates() == [(2, 1, 0, 0, 1)]
    assert "not UTF-8 (byte 0xe9" in place.warnings[0]


@EVERY_BILL
@pytest.mark.parametrize("content", ["", "\n\n", gzip.compress(b"", mtime=0)], ids=["nothing", "blank", "packed"])
@together("empty")
def test_an_empty_file_has_no_records(place, source, content):
    """F10."""
    place.land(f"{source}/a/bill", content)

    yield

    assert place.fates() == [(0, 0, 0, 0, 0)]
    assert place.warnings == []


@EVERY_BILL
@pytest.mark.parametrize(
    "content", ["date,amount\n2026-10-01,1\n", '{"error": {"message": "no access"}}', '{"a": 1}\n{"a": 2}\n']
)
@together("fine")
def test_a_file_of_another_kind_is_refused_whole_and_the_others_are_read(place, source, content):
    """F5: what was found and what is known."""
    place.land(f"{source}/a/other", content)
    place.land(f"{source}/b/bill", bill(source, {}))

    yield

    assert place.fates() == [(1, 0, 0, 0, 1), (1, 1, 0, 0, 0)]
    assert "expected" in place.warnings[0]
    assert place.warnings[0].endswith("Nothing of it was booked; the other files were.")


@EVERY_BILL
@together("faulty")
def test_a_bill_that_is_cut_keeps_its_whole_lines(place, source):
    content = bill(source, {}, {}).encode()
    place.land(f"{source}/a/bill", content[:-20])

    yield

    assert place.fates() == [(2, 1, 0, 0, 1)]


@EVERY_BILL
@together("faulty")
def test_a_bill_that_is_half_copied_does_not_take_the_place_of_a_whole_one(place, source):
    """D7: of 3,000 lines some 1,500 can be read; the pull before it has 1 dollar and counts on."""
    money = BILLS[source][1]
    whole, half = (
        [{money: "1"}],
        [{money: "2", "x_note": hashlib.sha256(str(n).encode()).hexdigest()} for n in range(3_000)],
    )
    place.land(f"{source}/a/bill.pulled-20261101T000000Z", bill(source, *whole))
    content = gzip.compress(bill(source, *half).replace("0042", billing_account(place)).encode())
    place.land(f"{source}/a/bill.pulled-20261102T000000Z", content[: len(content) // 2])

    yield

    assert place.fates() == [(1, 1, 0, 0, 0), (1, 0, 0, 0, 1)]
    assert "stream ends early" in place.warnings[0]
    assert "copy it again" in place.warnings[0]
    assert booked(place) == 1


@EVERY_BILL
@together("fine")
def test_lines_of_other_services_are_no_part_of_the_bill(place, source):
    other = {
        "focus": {
            "ProviderName": "AWS",
            "ServiceName": "Amazon S3",
            "ChargeDescription": "storage",
            "ConsumedUnit": "GB",
            "SkuId": "X",
        },
        "aws_bedrock": {"line_item_product_code": "AmazonS3", "line_item_usage_type": "USE1-TimedStorage-ByteHrs"},
        "azure_openai": {
            "MeterCategory": "Storage",
            "MeterSubCategory": "Queues v2",
            "MeterName": "Class 2 Operations",
        },
        "google_vertex": {
            "service": {"id": "6F81", "description": "Compute Engine"},
            "sku": {"id": "1", "description": "N1 Core"},
        },
    }[source]
    place.land(f"{source}/a/bill", bill(source, other, {}))

    yield

    assert place.fates() == [(2, 1, 0, 1, 0)]
    assert "other_service" in one(place.files())["reasons"]


@EVERY_BILL
@together("fine")
def test_a_line_that_is_not_understood_keeps_its_money(place, source):
    """F24."""
    strange = {
        "focus": {"ChargeDescription": "Thing", "SkuId": "thing", "ConsumedUnit": "Things"},
        "aws_bedrock": {"line_item_usage_type": "USE1-Thing"},
        "azure_openai": {"MeterName": "Thing"},
        "google_vertex": {"sku": {"id": "1", "description": "Thing"}},
    }[source]
    place.land(f"{source}/a/bill", bill(source, strange))

    yield

    found = one(bills(place))

    assert (found["billed_amount"], found["parser_confidence"]) == (Decimal("1.5"), "unmapped")
    assert found["model_raw"] is None
    assert found["metered_tokens"] is None


@EVERY_BILL
@together("fine", KEEP)
def test_tags_are_kept_by_name(place, source):
    """BOOKS: attributes are kept by name; what no one names is nowhere."""
    tags = {
        "focus": {"Tags": '{"grade": "gold", "note": "secret"}'},
        "aws_bedrock": {"tags": '{"iamPrincipal/grade": "gold", "note": "secret"}'},
        "azure_openai": {"Tags": '"grade": "gold","note": "secret"'},
        "google_vertex": {"labels": [{"key": "grade", "value": "gold"}, {"key": "note", "value": "secret"}]},
    }[source]
    place.land(f"{source}/a/bill", bill(source, tags))

    yield

    found = one(bills(place))

    assert dict(found["tags"]) == {"grade": "gold"}
    assert all(b"secret" not in path.read_bytes() for path in place.reading.root.lake.rglob("*.parquet"))


# ---- FOCUS


@together("fine")
def test_a_version_is_told_from_the_header(place):
    plain = {name: value for name, value in FOCUS.items() if name != "ProviderName"}
    for version, row in {
        "1.0": FOCUS,
        "1.1": {**FOCUS, "SkuMeter": ""},
        "1.2": {**FOCUS, "InvoiceId": ""},
        "1.3": {**FOCUS, "ServiceProviderName": "OpenAI"},
        "1.4": {**plain, "ServiceProviderName": "OpenAI"},
    }.items():
        place.land(f"focus/{version}/bill", table(row))

    yield

    found = place.files()

    assert [row["schema_version"] for row in found] == [
        f"focus_{version}" for version in ("1.0", "1.1", "1.2", "1.3", "1.4")
    ]
    assert {row["provider"] for row in bills(place)} == {"openai"}


@pytest.mark.parametrize(
    ("names", "seller"),
    [
        ({"ProviderName": "AWS", "SkuMeter": "USE1-NovaPro-input-tokens"}, "bedrock"),
        (
            {
                "ProviderName": "Anthropic",
                "HostProviderName": "Amazon Web Services, Inc.",
                "SkuMeter": "USE1-NovaPro-input-tokens",
            },
            "bedrock",
        ),
        ({"ProviderName": "Microsoft", "SkuMeter": "gpt 4.1 Inp glbl Tokens"}, "azure"),
        ({"ProviderName": "Google Cloud", "ServiceName": "Vertex AI"}, "vertex"),
        ({"ProviderName": "Google Cloud", "ServiceName": "Gemini API"}, "google"),
        ({"ProviderName": "Google Cloud", "ServiceName": "Generative Language API"}, "google"),
        ({"ProviderName": "Google", "ServiceName": "Google API"}, "google"),
        ({"ServiceProviderName": "OpenRouter", "HostProviderName": "Amazon Web Services"}, "openrouter"),
        ({"ServiceProviderName": "OpenRouter, Inc.", "HostProviderName": "Microsoft Azure"}, "openrouter"),
        ({"ServiceProviderName": "OpenRouter", "HostProviderName": "Google Cloud"}, "openrouter"),
        ({"ServiceProviderName": "Together AI", "HostProviderName": "Google Cloud"}, "together"),
        ({"ServiceProviderName": "Fireworks AI, Inc.", "HostProviderName": "Amazon Web Services"}, "fireworks"),
        (
            {
                "ServiceProviderName": "Acme Gateway",
                "HostProviderName": "AWS",
                "ServiceCategory": "AI and Machine Learning",
            },
            "acme_gateway",
        ),
        # Makers' models on a cloud, and tokens of an AI service, are known without the service's name.
        (
            {
                "ServiceProviderName": "Anthropic",
                "HostProviderName": "Amazon Web Services",
                "ServiceName": "Claude",
                "ServiceCategory": "AI and Machine Learning",
            },
            "bedrock",
        ),
        (
            {
                "ServiceProviderName": "Mistral AI",
                "HostProviderName": "Microsoft Azure",
                "ServiceName": "Mistral Large",
                "ServiceCategory": "AI and Machine Learning",
            },
            "azure",
        ),
        (
            {
                "ProviderName": "Google Cloud",
                "ServiceName": "Cloud AI Platform",
                "ServiceCategory": "AI and Machine Learning",
            },
            "vertex",
        ),
        (
            {
                "ServiceProviderName": "Vercel Inc.",
                "HostProviderName": "AWS",
                "ServiceCategory": "AI and Machine Learning",
            },
            "vercel",
        ),
        ({"ProviderName": "X.AI Corp"}, "xai"),
        ({"ProviderName": "OpenAI, LLC", "InvoiceIssuerName": "Amazon Web Services, Inc."}, "openai"),
        ({"ProviderName": "", "ServiceProviderName": "Mistral AI"}, "mistral"),
        ({"ProviderName": "xAI"}, "xai"),
        ({"ProviderName": "Acme Models", "ServiceCategory": "AI and Machine Learning"}, "acme_models"),
    ],
)
@together("fine")
def test_the_seller_is_the_cloud_that_hosts_else_the_provider(place, names, seller):
    """BOOKS: such a host wins over the maker, and a reseller over its host; who issues the invoice does not."""
    place.land("focus/a/bill", table({**FOCUS, **names}))

    yield

    found = one(bills(place))
    assert found["provider"] == seller
    if host := names.get("HostProviderName"):
        assert found["host_provider"] == host


# Source -> changes of a line that make it a tax of the same service, one of another service, and one of the invoice as a whole.
TAXES: Mapping[str, tuple[Row, Row, Row]] = {
    "focus": (
        {"ChargeCategory": "Tax", "ChargeDescription": "Tax", "SkuId": "", "SkuMeter": "", "ConsumedUnit": ""},
        {"ServiceName": "Amazon S3"},
        {"ServiceName": "Invoice"},
    ),
    "aws_bedrock": (
        {"line_item_line_item_type": "Tax", "line_item_usage_type": "USW2-Tax", "line_item_product_code": "4vcm3j"},
        {"line_item_product_code": "AmazonS3"},
        {"line_item_product_code": ""},
    ),
    "azure_openai": (
        {"ChargeType": "Tax", "MeterName": "Tax", "MeterCategory": "Azure AI", "MeterSubCategory": ""},
        {"MeterCategory": "Storage"},
        {"MeterCategory": "Invoice"},
    ),
    "google_vertex": (
        {"cost_type": "tax", "sku": {"id": "T", "description": "Tax"}},
        {"service": {"id": "6F81", "description": "Compute Engine"}},
        {"service": {"id": "I", "description": "Invoice"}},
    ),
}
USES: Mapping[str, tuple[Row, Row]] = {
    "focus": (
        {"ProviderName": "AWS", "ServiceName": "AI", "SkuMeter": "USE1-NovaPro-input-tokens"},
        {
            "ProviderName": "AWS",
            "ServiceName": "Amazon S3",
            "ChargeDescription": "GB",
            "SkuId": "X",
            "ConsumedUnit": "GB",
        },
    ),
    "aws_bedrock": (
        {"line_item_product_code": "4vcm3j", "line_item_usage_type": "USE1-MP:USE1_InputTokenCount-Units"},
        {"line_item_product_code": "AmazonS3", "line_item_usage_type": "USE1-TimedStorage-ByteHrs"},
    ),
    "azure_openai": (
        {"MeterCategory": "Azure AI", "MeterSubCategory": "GPT 5"},
        {"MeterCategory": "Storage", "MeterSubCategory": "Queues", "MeterName": "Class 2"},
    ),
    "google_vertex": (
        {},
        {"service": {"id": "6F81", "description": "Compute Engine"}, "sku": {"id": "1", "description": "N1 Core"}},
    ),
}


@EVERY_BILL
@together("fine")
def test_tax_belongs_to_the_bill_of_the_use_of_its_service(place, source):
    """a: 1.5 + tax 1.5 = 3, and the tax of another service not; b: with a tax of the whole invoice 3; c: where another service is on
    the invoice too, nobody can tell whose its tax is: 1.5.
    """
    use, other = USES[source]
    tax, elsewhere, of_invoice = TAXES[source]
    tax = {**use, **tax}
    place.land(f"{source}/a/bill", bill(source, use, tax, other, {**other, **tax, **elsewhere}))
    place.land(f"{source}/b/bill", bill(source, use, {**tax, **of_invoice}))
    place.land(f"{source}/c/bill", bill(source, use, other, {**tax, **of_invoice}))

    yield

    sums: dict[str, Decimal] = {}
    for row in counted(place):
        letter = next(letter for letter in "abc" if row["billing_account_id"] == billing_account(place, letter))
        sums[letter] = sums.get(letter, Decimal(0)) + row["billed_amount"]
    assert sums == {"a": 3, "b": 3, "c": Decimal("1.5")}


@together("fine")
def test_the_tax_of_a_whole_invoice_is_of_the_seller_on_it(place):
    """Google's own models are sold without Vertex AI: 10.00 + 0.80, all google."""
    use = {"ProviderName": "Google", "ServiceName": "Google API", "BilledCost": "10.00"}
    tax = {
        **use,
        "ServiceName": "Invoice",
        "ChargeCategory": "Tax",
        "ChargeDescription": "VAT",
        "SkuId": "",
        "BilledCost": "0.80",
    }
    place.land("focus/a/bill", table({**FOCUS, **use}, {**FOCUS, **tax}))

    yield

    assert {row["provider"] for row in bills(place)} == {"google"}
    assert booked(place) == Decimal("10.80")


@together("fine")
def test_credits_beside_a_charge_are_lines_of_their_own(place):
    """Google's view of FOCUS: a: 10 - 4 = 6; b: 10 - 3 - 1 = 6, signs and names as others write them; c: a cost that is net of its
    credits (contracted 10 - 4 = 6 billed) is 6; d: a correction of -10 gives its credit of 4 back: -6.
    """
    google = {"ProviderName": "Google Cloud", "ServiceName": "Vertex AI", "BilledCost": "10.00"}
    four = '[{"Name": "promotion", "Amount": 4.00}]'
    for letter, changes in {
        "a": {"x_Credits": four},
        "b": {"x_Credits": '[{"name": "cud", "amount": -3}, {"full_name": "free tier", "amount": "-1"}]'},
        "c": {"x_Credits": four, "BilledCost": "6.00", "ContractedCost": "10.00"},
        "d": {"x_Credits": four, "BilledCost": "-10.00", "ChargeClass": "Correction"},
    }.items():
        place.land(f"focus/{letter}/bill", table({**FOCUS, **google, **changes}))

    yield

    sums: dict[str, Decimal] = {}
    for row in counted(place):
        sums[row["billing_account_id"]] = sums.get(row["billing_account_id"], Decimal(0)) + row["billed_amount"]
    assert [sums[billing_account(place, letter)] for letter in "abcd"] == [6, 6, 6, -6]
    assert [row["line_item_raw"] for row in bills(place) if row["charge_category"] == "Credit"] == [
        "promotion", "cud", "free tier", "promotion",
    ]  # fmt: skip
    assert {row["charge_category"] for row in bills(place)} == {"Usage", "Credit"}
    assert place.fates() == [(1, 1, 0, 0, 0)] * 4


@together("fine")
def test_a_usage_type_without_a_model_has_that_of_the_products_name(place):
    product = "Claude 3.5 Haiku (Amazon Bedrock Edition)"
    rerank = "Cohere Rerank v3.5 (Amazon Bedrock Edition)"
    place.land(
        "aws_bedrock/a/bill",
        bill(
            "aws_bedrock",
            {
                "line_item_usage_type": "USE2-MP:USE2_InputTokenCount_LatencyOptimized-Units",
                "product_product_name": product,
            },
            {"line_item_usage_type": "USW2-MP:USW2_search_units-Units", "product_product_name": rerank},
            {"line_item_usage_type": "USW2-MP:USW2_Something-Units", "product_product_name": product},
        ),
    )

    yield

    assert [row["model_raw"] for row in bills(place)] == ["claude-3-5-haiku", "cohere.rerank-v3-5", "claude-3-5-haiku"]


@together("fine")
def test_a_word_null_is_nothing_and_two_spellings_of_a_column_do_not_mix(place):
    """F8, F12: ResourceId is read, ResourceID beside it is not."""
    place.land("focus/a/bill", table({**FOCUS, "ChargeClass": "NULL", "ResourceId": "one", "ResourceID": "two"}))

    yield

    found = one(bills(place))

    assert (found["is_correction"], found["resource_id"]) == (False, "one")


@together("fine")
def test_a_charge_and_its_allocated_parts_are_counted_once(place):
    """B13: 3 beside 1 + 2; without the whole the parts are the money."""
    parts = [{"BilledCost": amount, "AllocatedMethodId": "m", "AllocatedResourceId": amount} for amount in ("1", "2")]
    place.land("focus/whole/bill", table({**FOCUS, "BilledCost": "3"}, *({**FOCUS, **part} for part in parts)))
    place.land("focus/parts/bill", table(*({**FOCUS, **part} for part in parts)))

    yield

    assert place.fates() == [(2, 2, 0, 0, 0), (3, 1, 0, 2, 0)]
    assert booked(place) == Decimal(6)


@together("fine")
def test_credits_bought_and_spent_are_not_added(place):
    """A purchase of 200000 and its use at a billed cost of 0: 200000 are billed, 490 stand as effective cost and 245 as tokens of the vendor."""
    bought = {"ChargeCategory": "Purchase", "BilledCost": "200000", "EffectiveCost": "0"}
    spent = {
        "BilledCost": "0",
        "EffectiveCost": "490",
        "PricingCurrency": "Token",
        "PricingCurrencyEffectiveCost": "245",
    }
    place.land("focus/a/bill", table({**FOCUS, **bought}, {**FOCUS, **spent}))

    yield

    found = bills(place)

    assert booked(place) == Decimal(200000)
    use = one([row for row in found if row["charge_category"] == "Usage"])
    assert (use["effective_amount"], use["virtual_currency_amount"], use["virtual_currency_unit"]) == (
        490,
        245,
        "Token",
    )


@together("fine")
def test_a_correction_is_a_line_of_its_own(place):
    place.land("focus/a/bill", table(FOCUS, {**FOCUS, "ChargeClass": "Correction", "BilledCost": "-0.5"}))

    yield

    assert [row["is_correction"] for row in bills(place)] == [False, True]
    assert booked(place) == Decimal(1)


@together("fine")
def test_a_charge_outside_of_its_period_belongs_to_the_pull_of_its_period(place):
    """October's bill of 1.5 stays; November's, pulled twice, corrects October by -0.5 once."""
    place.land("focus/a/oct.pulled-20261101T000000Z.csv", table(FOCUS))
    november = {"BillingPeriodStart": "2026-11-01T00:00:00Z", "BillingPeriodEnd": "2026-12-01T00:00:00Z"}
    late = table({**FOCUS, **november, "ChargeClass": "Correction", "BilledCost": "-0.5"})
    place.land("focus/a/nov.pulled-20261110T000000Z.csv", late)
    place.land("focus/a/nov.pulled-20261120T000000Z.csv", late + "\n")

    yield

    assert booked(place) == Decimal(1)


@together("fine")
def test_parquet_gives_what_csv_gives(place):
    """E5: floats, decimals, native instants and maps of tags."""
    columns = {name: [value] for name, value in FOCUS.items() if name not in ("Tags", "ChargeClass")}
    columns |= {
        "BilledCost": pa.array([Decimal("1.5")], pa.decimal128(18, 4)),
        "ChargePeriodStart": pa.array([datetime(2026, 10, 1, tzinfo=UTC)], pa.timestamp("ns", "Asia/Tokyo")),
        "ConsumedQuantity": pa.array([100.0]),
        "Tags": pa.array([[("team", "cx")]], pa.map_(pa.string(), pa.string())),
    }
    text = io.BytesIO()
    pq.write_table(pa.table(columns), text)
    place.land("focus/a/bill.parquet", text.getvalue())
    place.land("focus/b/bill.csv", table(FOCUS))

    yield

    first, second = bills(place)

    for name in ("billed_amount", "charge_start_at", "charge_end_at", "metered_tokens", "model_raw", "token_type"):
        assert first[name] == second[name], name


# ---- Bedrock


@together("fine")
def test_a_marketplace_line_is_found_by_its_usage_type(place):
    """F18, G6: 0.02645 Units are 26450 input tokens, 0.1 USD, claude-3-5-sonnet-20240620; a public price of 0 is unknown."""
    place.land(
        "aws_bedrock/a/cur.json",
        json.dumps(
            {
                **CUR,
                "line_item_product_code": "4a524th30q694o538qndh9ucht",
                "line_item_usage_type": "USW2-MP:USW2_InputTokenCount-Units",
                "line_item_usage_amount": "0.02645",
                "line_item_unblended_cost": "0.1",
                "pricing_unit": "Units",
                "pricing_public_on_demand_cost": "0.0",
                "line_item_resource_id": "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0",
            },
            indent=1,
        ),
    )

    yield

    found = one(counted(place))

    assert (found["metered_tokens"], found["billed_amount"], found["token_type"]) == (26450, Decimal("0.1"), "input")
    assert found["list_amount"] is None
    assert found["model_maker"] == "anthropic"


@together("fine", KEEP)
def test_the_older_report_gives_what_the_newer_gives(place):
    """Two header generations side by side, tags in columns of their own."""
    older = {
        "bill/PayerAccountId": "0042",
        "bill/BillingPeriodStartDate": "2026-10-01T00:00:00.000Z",
        "bill/BillingPeriodEndDate": "2026-11-01T00:00:00.000Z",
        "lineItem/UsageStartDate": "2026-10-01T00:00:00Z",
        "lineItem/UsageEndDate": "2026-10-01T01:00:00Z",
        "lineItem/LineItemType": "Usage",
        "lineItem/ProductCode": "AmazonBedrock",
        "lineItem/UsageType": "USE1-NovaPro-input-tokens",
        "lineItem/UsageAmount": "0.1",
        "lineItem/CurrencyCode": "USD",
        "lineItem/UnblendedCost": "1.5",
        "pricing/unit": "1K tokens",
        "resourceTags/user:grade": "gold",
    }
    place.land("aws_bedrock/a/older.csv", table(older))
    place.land("aws_bedrock/a/newer.csv", table({**CUR, "resource_tags": '{"user_grade": "gold"}'}))

    yield

    second, first = bills(place)

    for name in (
        "billed_amount",
        "charge_start_at",
        "charge_end_at",
        "metered_tokens",
        "model_raw",
        "endpoint",
        "tags",
    ):
        assert first[name] == second[name], name
    assert dict(first["tags"]) == {"grade": "gold"}


def invocation(number: int, **more: Any) -> dict[str, Any]:
    plain = {
        "schemaType": "ModelInvocationLog",
        "timestamp": "2026-10-01T12:00:00Z",
        "accountId": "0042",
        "region": "us-east-1",
        "requestId": f"r-{number}",
        "operation": "Converse",
        "modelId": "amazon.nova-lite-v1:0",
        "input": {"inputTokenCount": 3, "inputBodyJson": {"messages": SECRET}},
        "output": {"outputTokenCount": 4, "outputBodyJson": {"text": SECRET}},
    }
    return {**plain, **more}


@pytest.mark.parametrize("form", ["lines", "documents", "on_end", "list", "gzip"])
@together("fine")
def test_a_log_of_invocations_is_read_in_every_framing(place, form):
    rows = [invocation(1), invocation(2)]
    content: dict[str, str | bytes] = {
        "lines": lines(*rows),
        "documents": "\n".join(json.dumps(row, indent=2) for row in rows),
        "on_end": "".join(json.dumps(row) for row in rows),
        "list": json.dumps(rows, indent=1),
        "gzip": gzip.compress(lines(*rows).encode()),
    }
    place.land("aws_bedrock/a/log", content[form])

    yield

    found = requests(place)

    assert [(row["input_uncached_tokens"], row["output_text_tokens"], row["cache_read_tokens"]) for row in found] == [
        (3, 4, None)
    ] * 2
    assert all(SECRET.encode() not in path.read_bytes() for path in place.reading.root.lake.rglob("*.parquet"))


@together("faulty")
def test_a_bad_escape_in_a_body_costs_its_line_only_and_a_long_line_is_read(place):
    long = invocation(3, input={"inputTokenCount": 3, "inputBodyJson": {"messages": "x" * 20_000_000}})
    torn = json.dumps(invocation(2)).replace(SECRET, r"a\x")
    place.land("aws_bedrock/a/log", lines(invocation(1)) + torn + "\n" + lines(long))

    yield

    assert place.fates() == [(3, 2, 0, 0, 1)]
    assert "line 2: not JSON" in place.warnings[0]


@together("faulty")
def test_counts_like_three_point_zero_are_read_and_half_a_token_is_refused(place):
    rows = [invocation(1, input={"inputTokenCount": 3.0}), invocation(2, input={"inputTokenCount": 1.5})]
    place.land("aws_bedrock/a/log", lines(*rows))

    yield

    assert one(requests(place))["input_uncached_tokens"] == 3
    assert place.fates() == [(2, 1, 0, 0, 1)]


# ---- Azure


@together("fine")
def test_an_amortised_export_stands_back_behind_the_actual_one(place):
    """The amortised export is newer, and yet 1.5 is billed, not 9."""
    place.land("azure_openai/a/actual.pulled-20261101T000000Z.csv", table(AZURE))
    amortised = {**AZURE, "PricingModel": "Reservation", "CostInBillingCurrency": "9"}
    place.land("azure_openai/a/other.pulled-20261105T000000Z.csv", table(amortised))
    place.land("azure_openai/b/other.csv", table(amortised))

    yield

    assert place.fates() == [(1, 1, 0, 0, 0), (1, 0, 1, 0, 0), (1, 1, 0, 0, 0)]
    assert booked(place) == Decimal("10.5")


@together("fine")
def test_a_unit_in_the_name_that_differs_is_flagged_and_the_column_counts(place):
    """F21: 2 of 1K are 2000 tokens, whatever the name says."""
    place.land("azure_openai/a/bill", table({**AZURE, "MeterName": "5.1 inp Gl 1M Tokens", "Quantity": "2"}))

    yield

    found = one(bills(place))

    assert (found["metered_tokens"], found["parser_confidence"]) == (2000, "unmapped")


@together("fine")
def test_a_customer_agreement_is_read_by_names_in_other_case(place):
    names = {name[0].lower() + name[1:]: value for name, value in AZURE.items()}
    place.land("azure_openai/a/bill", table({**names, "costInPricingCurrency": "1"}))

    yield

    found = one(bills(place))

    assert (found["billed_amount"], found["source_schema_version"], found["currency"]) == (
        Decimal("1.5"),
        "cost_mca",
        "USD",
    )


def diagnostic(call: str, category: str = "RequestResponse", **properties: Any) -> dict[str, Any]:
    return {
        "time": "2026-10-01T12:00:00Z",
        "category": category,
        "operationName": "ChatCompletions_Create",
        "correlationId": call,
        "resultSignature": "200",
        "properties": json.dumps(properties),
    }


@pytest.mark.parametrize("apart", [False, True])
@together("fine")
def test_three_records_of_one_call_are_one_call(place, apart):
    """F13; 1000 of which 400 were cached, in one file or in three: 600 and 400."""
    rows = [
        diagnostic("k", callerObjectId="u", promptTokens=1000, completionTokens=50, modelName="gpt-4o"),
        diagnostic("k", callerObjectId=""),
        diagnostic("k", "AzureOpenAIRequestUsage", promptTokens=[1000], cachedTokens=[400], completionTokens=[50]),
    ]
    for number, part in enumerate([[row] for row in rows] if apart else [rows]):
        place.land(f"azure_openai/a/log-{number}", lines(*part))

    yield

    counted = [fate[1] for fate in place.fates()]
    assert sum(counted) == 1
    best = [row for row in requests(place) if row["cache_read_tokens"] is not None]
    assert (one(best)["input_uncached_tokens"], one(best)["cache_read_tokens"]) == (600, 400)


@together("fine")
def test_records_of_an_event_hub_are_unpacked_and_ticks_are_instants(place):
    """E9: 638481757794854611 is 2024-04-08 12:22:59.485461."""
    row = diagnostic("k", callerObjectId="u", promptTokens=10, completionTokens=5, requestTime=638481757794854611)
    place.land("azure_openai/a/log", json.dumps({"records": [row, {**row, "correlationId": "l"}]}))

    yield

    found = requests(place)

    assert [row["started_at"] for row in found] == [datetime(2024, 4, 8, 12, 22, 59, 485461, tzinfo=UTC)] * 2
    assert {row["usage_basis"] for row in found} == {"ambiguous"}


# ---- Google


@together("fine")
def test_credits_are_lines_of_their_own(place):
    """G8: 100 - 12 - 3 = 85 INR, in USD unknown; the file's rate is not taken."""
    credits = [{"name": "cud", "amount": -12.0}, {"name": "sustained", "amount": -3.0}]
    row = {"cost": 100.0, "credits": credits, "currency": "INR", "currency_conversion_rate": 0.012}
    place.land("google_vertex/a/bill", bill("google_vertex", row))

    yield

    assert booked(place) == Decimal(85)
    assert [found["billed_usd"] for found in counted(place)] == [None] * 3
    assert place.fates() == [(1, 1, 0, 0, 0)]


@together("fine")
def test_the_month_of_the_invoice_is_kept_beside_that_of_the_use(place):
    """E6: use of the last hour of October on November's invoice; a dump of November leaves October's as it is."""
    last = {"usage_start_time": "2026-10-31T20:00:00Z", "usage_end_time": "2026-10-31T21:00:00Z"}
    place.land("google_vertex/a/oct.pulled-20261101T000000Z", bill("google_vertex", last))
    late = {
        "usage_start_time": "2026-10-31T23:00:00Z",
        "usage_end_time": "2026-11-01T00:00:00Z",
        "invoice": {"month": "202611"},
    }
    place.land("google_vertex/a/nov.pulled-20261102T000000Z", bill("google_vertex", late))

    yield

    assert booked(place) == Decimal(3)
    assert {row["invoice_month"] for row in counted(place)} == {"2026-10", "2026-11"}


@together("fine")
def test_a_token_sku_counts_tokens_whatever_its_unit_is_called(place):
    """F22."""
    place.land("google_vertex/a/bill", bill("google_vertex", {}))

    yield

    assert one(bills(place))["metered_tokens"] == 100


@together("fine")
def test_thoughts_are_output_beside_the_candidates(place):
    """A20: 150 and 350."""
    usage = {
        "promptTokenCount": 3000,
        "cachedContentTokenCount": 2000,
        "candidatesTokenCount": 150,
        "thoughtsTokenCount": 350,
    }
    row = {
        "logging_time": "2026-10-01T00:00:00Z",
        "request_id": 7,
        "model": "publishers/google/models/gemini-2.5-flash",
        "full_request": {"contents": SECRET},
        "full_response": json.dumps({"candidates": SECRET, "usageMetadata": {**usage, "totalTokenCount": 3500}}),
    }
    place.land("google_vertex/a/log", lines(row))

    yield

    found = one(requests(place))

    classes = ("input_uncached_tokens", "cache_read_tokens", "output_text_tokens", "output_reasoning_tokens")
    assert [found[name] for name in classes] == [1000, 2000, 150, 350]
    assert all(SECRET.encode() not in path.read_bytes() for path in place.reading.root.lake.rglob("*.parquet"))


# ---- real files

REAL = [
    ("focus", "formats/examples/focus/[!v]*.csv", 1020, 19, 1000, 1),
    ("focus", "formats/examples/focus/*.parquet", 4, 4, 0, 0),
    ("focus", "data/focus/focus_sample.csv.gz", 1000, 0, 1000, 0),
    ("aws_bedrock", "formats/examples/aws_bedrock/*.json", 4, 3, 0, 1),
    ("aws_bedrock", "formats/examples/aws_bedrock/*.csv", 1, 0, 0, 1),
    ("aws_bedrock", "data/focus_converters/sample-anonymous-aws-export-dataset.csv.gz", 1281, 0, 1281, 0),
    ("azure_openai", "formats/examples/azure_openai/*", 6, 0, 4, 2),
    ("azure_openai", "data/focus_converters/sample-anonymous-ea-export-dataset.csv.gz", 27, 0, 27, 0),
    ("azure_openai", "data/finops_toolkit/EA_AmortizedCost_Small.csv", 28, 0, 28, 0),
    ("google_vertex", "formats/examples/google_vertex/*.json", 2, 0, 1, 1),
    ("focus", "data/focus_converters/reports_cost-csv_0000000030000269.csv.gz", 1, 0, 0, 1),
]


@pytest.mark.parametrize(("source", "pattern", "records", "booked", "not_billable", "quarantined"), REAL)
@together("")
def test_real_files_are_read_whole(place, source, pattern, records, booked, not_billable, quarantined):
    """Every record is booked, of another service, or refused with a reason."""
    files = sorted(SHARED.glob(pattern))
    if not files:
        pytest.skip("the shared files are not here")
    for file in files:
        account = f"{place.folder}_{file.name.replace('.', '_')}"
        path = place.reading.root.landing / source / account / place.folder / file.name
        path.parent.mkdir(parents=True)
        shutil.copy(file, path)

    yield

    assert tuple(sum(column) for column in zip(*place.fates(), strict=True)) == (
        records,
        booked,
        0,
        not_billable,
        quarantined,
    )
    assert len(place.warnings) >= (quarantined > 0)
