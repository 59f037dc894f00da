"""``prices`` and ``explain`` as a person uses them."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from typer.testing import CliRunner, Result

from pipelines import books
from pipelines.cli import app
from pipelines.paths import DataRoot
from pipelines.prices.book import build_book
from pipelines.prices.book_tables import Book
from pipelines.prices.rates import OPEN_END
from pipelines.prices.sync import changes, keep, rates_of, witness_changes
from pipelines.prices.witness import read_map
from pipelines.reference.files import current_frame
from tests.conftest import upstream
from tests.prices.pricing import REPOSITORY, at

GOLDEN = REPOSITORY / "tests" / "golden" / "books"


def tokenbooks(root: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--root", str(root)], env={"COLUMNS": "240"})


def answer(root: Path, *words: str) -> Any:
    done = tokenbooks(root, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


# ---- show


def test_show_gives_every_rate_of_the_instant_with_its_source(tmp_path: Path) -> None:
    """deepseek-v4-pro on a Monday at 02:00 is at its peak: 1.32; an hour earlier 0.66."""
    words = ("prices", "show", "deepseek-v4-pro", "--provider", "deepseek", "--at")

    peak, before = (answer(tmp_path, *words, f"2026-08-17T{clock}Z") for clock in ("02:00:00", "00:59:59"))

    assert [row["price"] for row in peak if row["unit"] == "input"] == ["1.32"]
    assert [row["price"] for row in before if row["unit"] == "input"] == ["0.66"]
    assert all(row["source"].startswith("genai-prices") for row in peak)


def test_show_takes_any_name_that_a_call_may_have(tmp_path: Path) -> None:
    """A profile's ARN means the model in its geography; a fine-tune its base."""
    profile = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"

    [found] = [
        row for row in answer(tmp_path, "prices", "show", profile, "--at", "2026-11-15") if row["unit"] == "input"
    ]

    assert (found["provider"], found["region"], found["price"]) == ("bedrock", "us", "3.3")


@pytest.mark.parametrize(("tier", "price"), [("standard", "2.5"), ("batch", "1.25"), ("priority", "4.25")])
def test_show_of_a_tier(tmp_path: Path, tier: str, price: str) -> None:
    rows = answer(tmp_path, "prices", "show", "gpt-4o", "--provider", "openai", "--at", "2026-11-15", "--tier", tier)

    assert [row["price"] for row in rows if row["unit"] == "input"] == [price]


def test_show_of_what_nobody_prices_says_where_to_add_it(tmp_path: Path) -> None:
    done = tokenbooks(tmp_path, "prices", "show", "gpt-9-mini", "--provider", "openai")

    assert done.exit_code == 1
    assert "No price for 'gpt-9-mini' at openai" in done.output
    assert "reference/prices.csv" in done.output


def test_show_of_a_tier_that_a_model_lacks_says_which_it_has(tmp_path: Path) -> None:
    """Its tiers and regions, not that its own name is the nearest known; capitals are no other tier."""
    words = ("prices", "show", "gpt-4o", "--provider", "openai", "--at", "2026-11-15")

    none = tokenbooks(tmp_path, *words, "--tier", "turbo")
    nowhere = tokenbooks(tmp_path, *words, "--region", "mars")

    assert (none.exit_code, nowhere.exit_code) == (1, 1)
    assert "No price for 'gpt-4o' at openai (turbo) at 2026-11-15T00:00Z. Known are: openai " in none.output
    assert "batch, fast, priority, standard (global)" in none.output
    assert (
        "No price for 'gpt-4o' at openai (standard, region mars) at 2026-11-15T00:00Z. Known are: openai "
        in nowhere.output
    )
    assert "Nearest known" not in none.output + nowhere.output
    batch = [answer(tmp_path, *words, "--tier", tier) for tier in ("batch", "BATCH")]
    assert batch[0] == batch[1] != []


def test_show_reads_the_users_own_rows_before_any_run(tmp_path: Path) -> None:
    """The README's acme-8b, with its source."""
    (tmp_path / "reference").mkdir()
    text = (
        "provider,model_id,unit,per_units,unit_price,currency,source_ref\nself,acme-8b,input,1000000,0.20,USD,October\n"
    )
    (tmp_path / "reference" / "prices.csv").write_text(text, encoding="utf-8")

    [row] = answer(tmp_path, "prices", "show", "acme-8b")

    assert (row["price"], row["source"]) == ("0.2", "October")


# ---- check


def test_check_of_the_shipped_book_finds_no_fault(tmp_path: Path) -> None:
    """More than 20,000 rates; what wins over what, doubts and gaps are named."""
    found = answer(tmp_path, "prices", "check")

    assert found["faults"] == 0
    assert found["rates"] > 20_000
    assert {row["kind"] for row in found["findings"]} == {"note", "doubt", "gap"}


def test_check_of_a_faulty_file_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "prices.csv").write_text("provider,model_id\nself,m\n", encoding="utf-8")

    done = tokenbooks(tmp_path, "prices", "check")

    assert done.exit_code == 3
    assert "reference/prices.csv" in done.output


def test_check_names_a_currency_without_a_rate(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    head = "provider,model_id,unit,per_units,unit_price,currency,effective_from,source_ref\n"
    rows = "self,m,input,1000000,2,CNY,2026-10-01,list\nself,m,output,1000000,2,SEK,2026-10-01,list\n"
    (tmp_path / "reference" / "prices.csv").write_text(head + rows, encoding="utf-8")
    rate = "currency,rate_date,fx_rate_to_usd\nCNY,2026-10-05,0.14\n"
    (tmp_path / "reference" / "fx_rates.csv").write_text(rate, encoding="utf-8")

    found = [row["text"] for row in answer(tmp_path, "prices", "check")["findings"] if row["kind"] == "gap"]

    assert "SEK: prices are stated in it, and reference/fx_rates.csv has no rate." in found
    assert "CNY: prices begin on 2026-10-01, the first rate of reference/fx_rates.csv on 2026-10-05." in found


# ---- sync and diff


def books_of(**frames: Any) -> Book:
    root = DataRoot(Path("/nowhere"))
    return build_book(current_frame(root, "prices")[0], current_frame(root, "model_aliases")[0], **frames)


def test_a_price_that_leaves_the_list_is_kept(tmp_path: Path, book: Book) -> None:
    """Trap 37: the next version drops a model; the row that sync writes prices its calls as before."""
    published = datetime(2026, 12, 1, tzinfo=UTC)
    before = rates_of(book.tables["ref_price_book"])
    without_it = [rate for rate in before if rate.model_id != "o1-preview"]
    found = changes(before, without_it, published)

    written = keep(tmp_path / "reference" / "prices.csv", found)

    assert {change.kind for change in found} == {"gone"}
    assert written == len(found) > 0
    with (tmp_path / "reference" / "prices.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["model_id"] for row in rows} == {"o1-preview"}
    kept = {(row["provider"], row["unit"], Decimal(row["unit_price"])) for row in rows}
    assert ("openai", "input", Decimal(15)) in kept


def test_kept_rows_give_back_the_book_that_was(tmp_path: Path, book: Book) -> None:
    """What is written is read again by the build: the o1-preview rates are the same to the instant and the digit."""
    before = rates_of(book.tables["ref_price_book"])
    lost = [rate for rate in before if rate.source == "genai-prices" and rate.model_id != "o1-preview"]
    root = DataRoot(tmp_path)
    keep(
        root.reference / "prices.csv",
        changes(before, [r for r in before if r.model_id != "o1-preview"], at("2026-12-01T00:00:00Z")),
    )

    again = build_book(current_frame(root, "prices")[0], current_frame(root, "model_aliases")[0], package_rates=lost)

    def boxes(rates: list[Any]) -> set[Any]:
        return {(rate.key, rate.box, rate.unit_price) for rate in rates if rate.model_id == "o1-preview"}

    assert boxes(rates_of(again.tables["ref_price_book"])) == boxes(before)


@pytest.mark.parametrize(
    ("factor", "kinds"),
    [("1.2", ["history", "changed"]), ("10", ["suspicious", "history"]), ("0.1", ["suspicious", "history"])],
)
def test_a_change_of_the_past_and_a_tenfold_one_are_told_from_a_new_price(
    book: Book, factor: str, kinds: list[str]
) -> None:
    """Trap 32: from the day of publication on a price may change, before it not; more than five times is suspicious."""
    before = [rate for rate in rates_of(book.tables["ref_price_book"]) if rate.key[:3] == ("openai", "o3", "output")]
    now = [
        rate
        for rate in before
        if rate.service_tier == "standard" and rate.processing == "sync" and rate.effective_to == OPEN_END
    ]
    after = [rate._replace(unit_price=rate.unit_price * Decimal(factor)) for rate in now]

    found = changes(now, after, at("2026-12-01T00:00:00Z"))

    assert sorted({change.kind for change in found}) == sorted(kinds)
    assert all(
        change.before.effective_to <= at("2026-12-01T00:00:00Z")
        for change in found
        if change.kind == "history" and change.before
    )


def test_a_wheel_of_another_version_is_compared_without_installing_it(tmp_path: Path) -> None:
    """A list in which GPT-4o's input is tenfold: a suspicious change for each seller that takes it over. The past was observed
    at 2.50, so what the list says of it changes nothing."""
    wheel = tmp_path / "genai_prices-0.2.4-py3-none-any.whl"
    package = Path(genai_prices.__file__).parent
    old = "id='gpt-4o',"
    with zipfile.ZipFile(wheel, "w") as file:
        for path in package.glob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path.name == "data.py":
                place = text.index("input_mtok=Decimal('2.5')", text.index(old, text.index("id='openai',")))
                text = text[:place] + "input_mtok=Decimal('25')" + text[place + len("input_mtok=Decimal('2.5')") :]
            file.writestr(f"genai_prices/{path.name}", text)
        file.writestr(
            "genai_prices-0.2.4.dist-info/METADATA", "Metadata-Version: 2.1\nName: genai-prices\nVersion: 0.2.4\n"
        )

    found = answer(tmp_path, "prices", "sync", "--package", str(wheel))["changes"]

    mine = [
        row for row in found if row["model_id"] == "gpt-4o" and row["unit"] == "input" and row["provider"] == "openai"
    ]
    assert {(row["kind"], row["before"], row["after"]) for row in mine if row["tier"] == "standard"} == {
        ("suspicious", "2.5", "25"),
    }
    assert [row["to"] for row in mine if row["tier"] == "standard"] == [None]
    assert {row["model_id"] for row in found if row["kind"] == "suspicious"} == {"gpt-4o"}
    assert not [row for row in found if row["kind"] == "history"]


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "2026-10-01", "nowheel.whl"),
        ("sync", "--package", "nowheel.whl"),
        ("sync", "--witness", "nowheel.whl"),
        ("reprice", "--card", "nowheel.whl"),
    ],
)
def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path, words: tuple[str, ...]) -> None:
    """With exit code 2, as any wrong argument; a folder is no file either."""
    for path in (tmp_path / "nowheel.whl", tmp_path):
        done = tokenbooks(tmp_path, "prices", *words[:-1], str(path))

        if words[0] == "diff" and path == tmp_path:
            continue
        assert done.exit_code == 2, done.output
        assert "Errno" not in done.output
        assert "no such file" in " ".join(done.output.split())


def test_a_file_that_is_no_package_is_said_to_be_none(tmp_path: Path) -> None:
    """Not the installed package in its place."""
    with zipfile.ZipFile(tmp_path / "other-1.0-py3-none-any.whl", "w") as file:
        file.writestr("other/__init__.py", "")

    done = tokenbooks(tmp_path, "prices", "diff", "now", str(tmp_path / "other-1.0-py3-none-any.whl"))

    assert done.exit_code == 2
    assert "holds no genai-prices" in " ".join(done.output.split())


def test_two_days_of_one_book_differ_by_what_became_known(tmp_path: Path) -> None:
    """A slip of 89.00 known from the start, put right on 2026-10-06 with 82.50."""
    (tmp_path / "reference").mkdir()
    head = "provider,model_id,unit,per_units,unit_price,currency,effective_from,known_at,source_ref\n"
    rows = (
        "self,m,input,1000000,89,USD,2026-01-01,2026-01-01,a\nself,m,input,1000000,82.50,USD,2026-01-01,2026-10-06,b\n"
    )
    (tmp_path / "reference" / "prices.csv").write_text(head + rows, encoding="utf-8")

    found = answer(tmp_path, "prices", "diff", "2026-10-05", "2026-10-06")["changes"]

    assert [(row["model_id"], row["before"], row["after"]) for row in found] == [("m", "89", "82.5")]


def test_a_second_witness_is_read_exactly(tmp_path: Path, book: Book) -> None:
    """2.9999900000000002e-06 a token is 2.99999 a million; xAI's range begins at its threshold."""
    entries = {
        "gpt-4o": {
            "litellm_provider": "openai",
            "input_cost_per_token": 2.9999900000000002e-06,
            "output_cost_per_token": 1e-05,
        },
        "xai/grok-4.3": {
            "litellm_provider": "xai",
            "input_cost_per_token": 1.25e-06,
            "input_cost_per_token_above_200k_tokens": 2.5e-06,
        },
    }
    path = tmp_path / "map.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    names = {("openai", "gpt-4o"): "gpt-4o", ("xai", "grok-4.3"): "grok-4.3"}

    said = {(row.model, row.unit, row.ctx_min_tokens): row.unit_price for row in read_map(path)}
    [change] = witness_changes(rates_of(book.tables["ref_price_book"]), names, path, at("2026-11-15T00:00:00Z"))

    assert said["gpt-4o", "input", 0] == Decimal("2.99999")
    assert said["grok-4.3", "input", 200_000] == Decimal("2.5")
    assert (change.before.unit_price, change.after.unit_price) == (Decimal("2.5"), Decimal("2.99999"))  # type: ignore[union-attr]


# ---- explain


@pytest.fixture
def company(golden_books: DataRoot) -> Path:
    return golden_books.path


def test_explain_goes_from_the_usage_object_to_the_dollars(company: Path) -> None:
    """k-039, worked out by hand: 1.793832 + 0.201480 + 0.264672 + 0.155328 = 2.415312."""
    found = answer(company, "explain", "k-039")

    assert found["list_cost_usd"] == "2.415312000000000"
    assert sum(Decimal(row["list_cost_usd"]) for row in found["classes"]) == Decimal("2.415312")
    for row in found["classes"]:
        assert Decimal(row["quantity"]) * Decimal(row["list_usd_per_mtok"]) / 1_000_000 == Decimal(row["list_cost_usd"])
    assert found["usage_raw"]
    assert found["file"].startswith("landing/app_log/")
    assert all(price["source_ref"] for price in found["prices"])
    assert {row["dimension"] for row in found["attribution"]} >= {"feature", "team"}


def test_explain_shows_the_rates_that_the_call_used_and_names_the_class_that_has_none(tmp_path: Path) -> None:
    """A text call of a model that hears too; and one with speech, on a model that has no price of it. A row of the user's then
    gives the first call another price: $0.0015 were its 1,000 tokens, $0.0025 with the row."""
    root = DataRoot(tmp_path)
    path = root.landing / "requests" / "calls.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "source_row_id,started_at,provider,model_served,input_uncached_tokens,input_audio_tokens,output_text_tokens\n"
        "a,2026-11-16T10:00:00Z,google,gemini-2.5-flash,1000,0,10\n"
        "b,2026-11-16T10:00:00Z,openai,gpt-4o-mini,1000,500,0\n",
        encoding="utf-8",
    )
    books.run(root, select=upstream("mart_showback_weekly"))

    heard, unheard = answer(tmp_path, "explain", "a"), answer(tmp_path, "explain", "b")
    assert [price["unit"] for price in heard["prices"]] == ["input", "output"]
    assert heard["classes_without_rate"] == []
    assert [price["unit"] for price in unheard["prices"]] == ["input"]
    assert (unheard["cost_reason"], unheard["classes_without_rate"]) == ("no_row_for_a_class", ["input_audio"])
    assert "no_row_for_a_class: input_audio" in tokenbooks(tmp_path, "explain", "b").output

    root.reference.mkdir(exist_ok=True)
    (root.reference / "prices.csv").write_text(
        "provider,model_id,unit,per_units,unit_price,currency\n"
        "google,gemini-2.5-flash,input,1000000,0.5,USD\nopenai,gpt-4o-mini,audio_in,1000000,10,USD\n",
        encoding="utf-8",
    )
    warned = [row["text"] for row in answer(tmp_path, "prices", "check")["findings"] if row["kind"] == "warning"]
    [text] = warned
    assert text.startswith(
        "google / gemini-2.5-flash / input / standard / sync / global: reference/prices.csv says 0.5 where "
    )
    assert "says 0.3, and 1 call from 2026-11-16 to 2026-11-16 had a price" in text


def test_explain_shows_the_calls_part_of_the_invoice(company: Path) -> None:
    """Its effective cost times invoiced over effective of its showback row (never more than the row bears)."""
    invoice = answer(company, "explain", "k-039")["invoice"]

    assert Decimal(invoice["call_invoiced_usd"]) <= Decimal(invoice["invoiced_cost_usd"])


def test_explain_prints_for_people(company: Path) -> None:
    done = tokenbooks(company, "explain", "k-039")

    assert done.exit_code == 0, done.output
    assert "$2.415312" in done.output


def test_explain_of_no_call_says_what_was_asked(company: Path) -> None:
    done = tokenbooks(company, "explain", "k-nothing")

    assert done.exit_code == 1
    assert "No call goes by 'k-nothing'" in done.output


def test_prices_fit_a_terminal_of_80_columns_as_a_table(root: DataRoot) -> None:
    """One line of names, then lines of at most 80 signs; the days of prices without their midnight."""
    root.path.mkdir()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipelines.cli", "prices", "show", "gpt-4o", "--root", str(root.path)]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    subprocess.run(command, stdout=theirs, env=environment, check=True, timeout=120)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):
        while more := os.read(ours, 65_536):
            said += more
    os.close(ours)
    lines = said.decode().replace("\r", "").splitlines()

    heads = next(line for line in lines if "provider" in line and "unit" in line)
    assert heads.split() == ["provider", "unit", "price", "per", "from", "confidence", "source"]
    assert max(map(len, lines)) <= 80
    assert "T00:00:00Z" not in said.decode()
