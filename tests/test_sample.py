"""The sample company: the same bytes every time, a bill that agrees with its traces, and books that close to it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipelines import books, reference
from pipelines.books import RunReport
from pipelines.paths import DataRoot
from pipelines.sample import SampleReport, company, write
from pipelines.sample.chance import Chance, Grid

Sample = tuple[DataRoot, SampleReport]
TokensByDay = dict[tuple[date, str], dict[str, int]]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    root = DataRoot(tmp_path_factory.mktemp("sample"))
    return root, write(root)


@pytest.fixture(scope="module")
def booked(sample: Sample) -> tuple[DataRoot, RunReport]:
    return sample[0], books.run(sample[0])


def content(root: DataRoot) -> dict[str, tuple[bytes, int]]:
    """Bytes and, for landing files, modification time of every file."""
    return {
        root.relative(path): (path.read_bytes(), path.stat().st_mtime_ns if root.landing in path.parents else 0)
        for path in sorted(root.path.rglob("*"))
        if path.is_file()
    }


def records(root: DataRoot, source: str) -> list[dict[str, Any]]:
    paths = sorted((root.landing / source).rglob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def results(root: DataRoot, kind: str) -> Iterator[tuple[date, dict[str, Any]]]:
    """Day and result of the saved pages; floats as the decimals that are written."""
    for path in sorted((root.landing / "openai_usage").rglob(f"{kind}.*.json")):
        for bucket in json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)["data"]:
            for result in bucket["results"]:
                yield datetime.fromtimestamp(bucket["start_time"], UTC).date(), result


def traced_tokens(root: DataRoot) -> TokensByDay:
    """Tokens that OpenAI's responses state, by UTC day and model."""
    found: TokensByDay = defaultdict(lambda: defaultdict(int))
    for call in records(root, "app_log"):
        usage = call["usage"]
        if call["provider"] != "openai" or usage is None:
            continue
        word_in, word_out = ("prompt", "completion") if call["api"] == "openai.chat" else ("input", "output")
        day = found[date.fromisoformat(call["timestamp"][:10]), call["model"]]
        day["input_tokens"] += usage[f"{word_in}_tokens"]
        day["input_cached_tokens"] += usage[f"{word_in}_tokens_details"]["cached_tokens"]
        day["output_tokens"] += usage[f"{word_out}_tokens"]
        day["num_model_requests"] += 1
    return found


def table(root: DataRoot, name: str) -> pl.DataFrame:
    return pl.read_parquet(root.table(name) / "**" / "*.parquet", hive_partitioning=False)


def test_the_same_arguments_give_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    again = DataRoot(tmp_path)
    report = write(again)

    assert report == sample[1]
    assert content(again) == {name: held for name, held in content(sample[0]).items() if name in report.files}


def test_the_report_says_what_was_written(sample: Sample) -> None:
    root, report = sample
    calls = records(root, "app_log")

    assert len(calls) == report.requests == 8_000
    assert len({call["task_id"] for call in calls if "task_id" in call}) == report.tasks
    assert report.file_bytes == sum((root.path / name).stat().st_size for name in report.files)
    assert report.end_date - report.first_date == timedelta(weeks=6)
    assert {call["timestamp"][:10] for call in calls} == {
        str(report.first_date + timedelta(days=number)) for number in range(42)
    }
    assert max(call["ended_at"] for call in calls) < str(company.END)
    assert report.billed_usd == sum(result["amount"]["value"] for _, result in results(root, "costs"))


@pytest.mark.parametrize(("weeks", "requests"), [(1, 1), (1, 40), (14, 3_000)])
def test_other_sizes_hold_the_number_of_requests(tmp_path: Path, weeks: int, requests: int) -> None:
    root = DataRoot(tmp_path)

    report = write(root, weeks=weeks, requests=requests)

    assert len(records(root, "app_log")) == report.requests == requests
    assert report.billed_usd == sum((result["amount"]["value"] for _, result in results(root, "costs")), Decimal())


@pytest.mark.parametrize("weeks", [2, 14])
def test_three_to_five_percent_of_the_charges_are_not_traced(tmp_path: Path, weeks: int) -> None:
    report = write(DataRoot(tmp_path), weeks=weeks, requests=2_000)

    assert Decimal("0.03") <= report.untraced_share <= Decimal("0.05")


def test_the_bill_counts_at_least_what_the_traces_count(sample: Sample) -> None:
    """On every day, for every model and token class."""
    root, report = sample
    billed = {(day, result["model"]): result for day, result in results(root, "usage_completions")}
    traced = traced_tokens(root)

    assert billed.keys() == traced.keys()
    for key, counts in traced.items():
        assert all(billed[key][name] >= count for name, count in counts.items()), key
        assert billed[key]["input_tokens"] == billed[key]["input_uncached_tokens"] + billed[key]["input_cached_tokens"]
    assert Decimal("0.03") <= report.untraced_share <= Decimal("0.05")


def test_charges_are_tokens_at_list_price_and_one_credit(sample: Sample) -> None:
    """GPT-4o costs 2.50 USD per million of input, 1.25 cached, 10.00 of output."""
    root, report = sample
    tokens = {(day, result["model"]): result for day, result in results(root, "usage_completions")}
    charges = {(day, result["line_item"]): result for day, result in results(root, "costs")}
    model = company.GPT_4O.served
    for day in {day for day, served in tokens if served == model}:
        counted = tokens[day, model]
        for item, name, usd_per_mtok in (
            ("input", "input_uncached_tokens", "2.5"),
            ("cached input", "input_cached_tokens", "1.25"),
            ("output", "output_tokens", "10"),
        ):
            charge = charges.get((day, f"{model}, {item}"))
            usd = counted[name] * Decimal(usd_per_mtok) / 1_000_000
            assert (charge["amount"]["value"], charge["quantity"]) == (usd, counted[name]) if charge else usd == 0

    [credit] = [result for result in charges.values() if result["amount"]["value"] < 0]
    assert credit["line_item"] == company.CORRECTION.line_item
    assert credit["amount"]["value"] == report.correction_usd


def test_pages_hold_a_bucket_for_every_day_of_their_window(sample: Sample) -> None:
    """October's page begins on the 1st, the company's calls on the 5th: four buckets are empty."""
    [page] = (sample[0].landing / "openai_usage").rglob("usage_completions.2026-10.*.json")
    buckets = json.loads(page.read_text(encoding="utf-8"))["data"]

    assert [bucket["start_time"] for bucket in buckets[1:]] == [bucket["end_time"] for bucket in buckets[:-1]]
    assert len(buckets) == 31
    assert [bool(bucket["results"]) for bucket in buckets[:5]] == [False, False, False, False, True]


def test_calls_show_what_a_real_log_shows(sample: Sample) -> None:
    calls = records(sample[0], "app_log")
    by_api = defaultdict(list)
    for call in calls:
        by_api[call["api"]].append(call)

    assert len({call["id"] for call in calls}) == len(calls)
    assert set(by_api) == {"openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent"}
    assert len({call["model"] for call in calls}) == 6
    assert all("usage" in call for call in calls)
    failed = [call for call in calls if call["status"] == "error"]
    assert {call["error_class"] for call in failed} == {failure.error_class for failure in company.FAILURES}
    assert any(call["usage"] is None for call in failed)
    assert any(call["usage"] is not None for call in failed)
    assert any(call.get("is_retry") for call in calls)
    assert {call["metadata"].get("language") for call in calls} == {*company.LANGUAGES, None}
    untagged = {call["api_key_name"] for call in calls if "feature" not in call}
    assert untagged == {"key-shared-scripts", "key-triage-prod"}


def test_a_task_is_told_to_have_an_outcome_once_and_on_its_last_call(sample: Sample) -> None:
    calls = records(sample[0], "app_log")
    last: dict[str, str] = {}
    for call in calls:
        if "task_id" in call:
            last[call["task_id"]] = call["id"]
    told = [call for call in calls if "outcome" in call]
    by_system = [record["task_id"] for record in records(sample[0], "outcomes")]

    assert told
    assert all(last[call["task_id"]] == call["id"] for call in told)
    assert len(set(by_system)) == len(by_system)
    assert set(by_system) <= last.keys()
    assert not set(by_system) & {call["task_id"] for call in told}


def test_parts_of_usage_sum_to_its_total(sample: Sample) -> None:
    for call in records(sample[0], "app_log"):
        usage = call["usage"]
        if usage is None:
            continue
        match call["api"]:
            case "openai.chat":
                assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
                assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]
            case "openai.responses":
                assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
                assert usage["output_tokens_details"]["reasoning_tokens"] < usage["output_tokens"]
            case "anthropic.messages":
                assert usage["input_tokens"] > 0
                assert min(usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]) >= 0
            case "gemini.generateContent":
                thoughts = usage.get("thoughtsTokenCount", 0)
                parts = usage["promptTokenCount"] + usage["candidatesTokenCount"] + thoughts
                assert parts == usage["totalTokenCount"]


def test_a_used_data_root_is_refused(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="nothing has landed"):
        write(sample[0])

    root = DataRoot(tmp_path)
    root.reference.mkdir()
    features = root.reference / "features.csv"
    features.write_text("feature\nchat\n", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"features\.csv"):
        write(root)
    assert list(root.path.rglob("*.*")) == [features]


def test_empty_templates_are_filled(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    root.reference.mkdir()
    for reference_table in reference.TABLES.values():
        path = root.reference / f"{reference_table.name}.csv"
        path.write_text(reference.template(reference_table), encoding="utf-8")

    write(root, weeks=1, requests=10)

    assert "support-chat" in (root.reference / "features.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(("weeks", "requests"), [(0, 10), (1, 0), (60, 10)])
def test_sizes_that_make_no_company_are_refused(tmp_path: Path, weeks: int, requests: int) -> None:
    with pytest.raises(ValueError, match=f"weeks {weeks}"):
        write(DataRoot(tmp_path), weeks=weeks, requests=requests)


def test_draws_follow_their_grid() -> None:
    """Half of 20,000 draws lie below the median, a tenth below the first decile."""
    drawn = Chance(1, "draws").quantities(20_000, Grid((0, 10, 100, 1_000), (0, 1_000, 5_000, 10_000)))

    assert np.mean(drawn < 10) == pytest.approx(0.1, abs=0.01)
    assert np.mean(drawn < 100) == pytest.approx(0.5, abs=0.01)
    assert (int(drawn.min()), int(drawn.max())) == (0, 999)


def test_a_grid_that_falls_is_refused() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Grid((5, 3), (0, 10_000))


def test_books_of_the_sample_are_published(booked: tuple[DataRoot, RunReport]) -> None:
    root, report = booked
    files = table(root, "ledger_files")

    assert (report.problems, report.failed, report.is_blocked) == ([], [], False)
    assert report.published
    assert files["quarantined"].sum() == files["duplicate"].sum() == 0


def test_invoice_is_the_sum_of_the_pages(sample: Sample, booked: tuple[DataRoot, RunReport]) -> None:
    """For each month; and the showback of OpenAI's account sums to it, to the cent."""
    by_month: dict[date, Decimal] = defaultdict(Decimal)
    for day, result in results(sample[0], "costs"):
        by_month[day.replace(day=1)] += result["amount"]["value"]
    invoices = table(booked[0], "ledger_invoices").sort("month_start_date")
    showback = table(booked[0], "mart_showback_weekly").filter(provider="openai").group_by("billing_month")
    shown = dict(showback.agg(pl.col("invoiced_cost_usd").sum()).iter_rows())

    assert dict(zip(invoices["month_start_date"], invoices["billed_usd"], strict=True)) == by_month
    assert {f"{month:%Y-%m}": round(usd, 2) for month, usd in by_month.items()} == shown
    assert sum(by_month.values()) == sample[1].billed_usd


def test_the_ledger_prices_the_traces_as_the_sample_did(sample: Sample, booked: tuple[DataRoot, RunReport]) -> None:
    requests = table(booked[0], "ledger_requests").select("request_key", "provider")
    costs = table(booked[0], "ledger_costs").join(requests, on="request_key")

    assert costs.filter(provider="openai")["list_cost_usd"].sum() == sample[1].traced_usd
    contracted = costs.filter(provider="anthropic", cost_status="priced")
    assert (contracted["effective_cost_usd"] == contracted["list_cost_usd"] * Decimal("0.92")).all()


def test_more_than_nine_tenths_are_priced_and_attributed(booked: tuple[DataRoot, RunReport]) -> None:
    calls = table(booked[0], "ledger_requests").join(table(booked[0], "ledger_costs"), on="request_key")
    spent = Decimal(calls["effective_cost_usd"].sum())
    owned = calls.filter(pl.col("feature") != "unattributed", pl.col("team") != "unattributed")
    used = calls.filter(pl.col("total_tokens").is_not_null())

    assert Decimal(owned["effective_cost_usd"].sum()) > Decimal("0.9") * spent
    assert used.filter(pl.col("effective_cost_usd").is_not_null()).height > 0.99 * used.height
    assert set(used.filter(pl.col("effective_cost_usd").is_null())["model_served"]) == {company.GEMINI_TRIAL.served}
    assert set(calls.filter(feature="unattributed")["api_key_name"]) == {"key-shared-scripts"}


def test_a_customer_changes_its_tier_on_a_day(booked: tuple[DataRoot, RunReport]) -> None:
    calls = table(booked[0], "ledger_requests").filter(customer_id="cu-201")
    tiers = calls.group_by(is_later=pl.col("started_at").dt.date() >= date(2026, 10, 26)).agg(
        pl.col("customer_tier").unique()
    )

    assert dict(tiers.iter_rows()) == {False: ["pro"], True: ["enterprise"]}
