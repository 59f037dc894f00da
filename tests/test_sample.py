"""The sample company: the same bytes every time, files as the tools write them, a bill that agrees with the calls, and a story."""

from __future__ import annotations

import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.paths import DataRoot
from pipelines.reference.tables import TABLES
from pipelines.reference.templates import template
from pipelines.sample import SampleReport, company, reference_tables, workloads, write
from pipelines.sample.calls import make_calls
from pipelines.sample.chance import Chance, Grid
from pipelines.sample.workloads import (
    CACHE_DROP,
    DEARER_DATE,
    DEARER_RELEASE,
    DRIFT_DATE,
    GEMINI_TRIAL,
    LAUNCH_DATE,
    MISROUTING,
    MODELS,
    WORKLOADS,
)

Sample = tuple[DataRoot, SampleReport]
TokensByDay = dict[tuple[date, str], dict[str, int]]

# USD per million tokens: input, output, cache read, cache write. List prices of November 2026.
PRICES = {
    "gpt-4o-2024-08-06": ("2.5", "10", "1.25", "0"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.6", "0.075", "0"),
    "gpt-5-mini-2025-08-07": ("0.25", "2", "0.025", "0"),
    "claude-sonnet-4-6": ("3", "15", "0.3", "3.75"),
    "gemini-2.5-flash": ("0.3", "2.5", "0.03", "0"),
}
FEATURES = {
    "support-chat": ("care", "langfuse"),
    "ticket-triage": ("care", "app_log"),
    "knowledge-search": ("knowledge", "app_log"),
    "doc-summary": ("knowledge", "app_log"),
    "report-writer": ("automation", "app_log"),
    "workflow-agent": ("automation", "langfuse"),
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Six weeks: two of Langfuse's windows are JSON Lines, four are Parquet."""
    root = DataRoot(tmp_path_factory.mktemp("sample"))
    return root, write(root, weeks=6, requests=8_000)


@pytest.fixture(scope="module")
def calls() -> pl.DataFrame:
    """Fourteen weeks of calls, a quarter of the full size."""
    return make_calls(14, 50_000)


@pytest.fixture(scope="module")
def quiet() -> pl.DataFrame:
    return make_calls(14, 50_000, workloads=workloads.quiet(WORKLOADS))


def content(root: DataRoot) -> dict[str, tuple[bytes, int]]:
    """Bytes and, for landing files, modification time of every file."""
    return {
        root.relative(path): (path.read_bytes(), path.stat().st_mtime_ns if root.landing in path.parents else 0)
        for path in sorted(root.path.rglob("*"))
        if path.is_file()
    }


def lines(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()).decode()
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def records(root: DataRoot, source: str) -> list[dict[str, Any]]:
    return [record for path in sorted((root.landing / source).rglob("*.jsonl.gz")) for record in lines(path)]


def exported(root: DataRoot, table: str) -> list[dict[str, Any]]:
    """Rows of Langfuse's files of both forms; maps as dictionaries, instants with their zone."""
    folder = root.landing / "langfuse" / company.LANGFUSE_PROJECT / table
    found = [row for path in sorted(folder.glob("*.jsonl.gz")) for row in lines(path)]
    for row in found:
        for name, value in row.items():
            if value and (name.endswith(("_at", "_time")) or name == "timestamp"):
                row[name] = datetime.fromisoformat(f"{value}+00:00")
    for path in sorted(folder.glob("*.parquet")):
        found += pq.read_table(path).to_pylist(maps_as_pydicts="strict")
    return found


def generations(root: DataRoot) -> list[dict[str, Any]]:
    return [row for row in exported(root, "observations_v2") if row["type"] == "GENERATION"]


def results(root: DataRoot, kind: str) -> Iterator[tuple[date, dict[str, Any]]]:
    """Day and result of the saved pages; floats as the decimals that are written."""
    for path in sorted((root.landing / "openai_usage").rglob(f"{kind}.*.json")):
        for bucket in json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)["data"]:
            for result in bucket["results"]:
                yield datetime.fromtimestamp(bucket["start_time"], UTC).date(), result


def traced_tokens(root: DataRoot) -> TokensByDay:
    """Tokens that OpenAI's responses state, by UTC day and model, whichever tool saw them."""
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
    for row in generations(root):
        usage = row["usage_details"]
        if usage and row["provided_model_name"].startswith("gpt-"):
            day = found[row["start_time"].date(), row["provided_model_name"]]
            day["input_tokens"] += usage["input"] + usage["input_cached_tokens"]
            day["input_cached_tokens"] += usage["input_cached_tokens"]
            day["output_tokens"] += usage["output"]
            day["num_model_requests"] += 1
    return found


# ---- the files as a whole


def test_the_same_arguments_give_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    again = DataRoot(tmp_path)
    report = write(again, weeks=6, requests=8_000)

    assert report == sample[1]
    assert content(again) == content(sample[0])


def test_another_seed_gives_another_company_of_the_same_size(sample: Sample, tmp_path: Path) -> None:
    report = write(DataRoot(tmp_path), weeks=6, requests=8_000, seed=1)

    assert report.requests == 8_000
    assert report.traced_usd != sample[1].traced_usd


def test_the_report_says_what_was_written(sample: Sample) -> None:
    root, report = sample
    logged, seen = records(root, "app_log"), generations(root)
    tasks = {call["task_id"] for call in logged if "task_id" in call} | {row["trace_id"] for row in seen}
    days = {call["timestamp"][:10] for call in logged} | {str(row["start_time"].date()) for row in seen}

    assert len(logged) + len(seen) == report.requests == 8_000
    assert len(tasks) == report.tasks
    assert report.file_bytes == sum((root.path / name).stat().st_size for name in report.files)
    assert report.end_date - report.first_date == timedelta(weeks=6)
    assert days == {str(report.first_date + timedelta(days=number)) for number in range(42)}
    assert max(call["ended_at"] for call in logged) < str(company.END)
    assert max(row["end_time"] for row in seen).date() < company.END
    assert report.billed_usd == sum(result["amount"]["value"] for _, result in results(root, "costs"))


@pytest.mark.parametrize(("weeks", "requests"), [(1, 1), (1, 40), (14, 3_000)])
def test_other_sizes_hold_the_number_of_requests(tmp_path: Path, weeks: int, requests: int) -> None:
    root = DataRoot(tmp_path)

    report = write(root, weeks=weeks, requests=requests)

    assert len(records(root, "app_log")) + len(generations(root)) == report.requests == requests
    assert report.billed_usd == sum((result["amount"]["value"] for _, result in results(root, "costs")), Decimal())


def test_a_used_data_root_is_refused(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="nothing has landed"):
        write(sample[0], weeks=1, requests=10)

    root = DataRoot(tmp_path)
    root.reference.mkdir()
    features = root.reference / "features.csv"
    features.write_text("feature\nchat\n", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"features\.csv"):
        write(root, weeks=1, requests=10)
    assert list(root.path.rglob("*.*")) == [features]


def test_empty_templates_are_filled(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    root.reference.mkdir()
    for reference_table in TABLES.values():
        path = root.reference / f"{reference_table.name}.csv"
        path.write_text(template(reference_table), encoding="utf-8")

    write(root, weeks=1, requests=10)

    assert "support-chat" in (root.reference / "features.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(("weeks", "requests"), [(0, 10), (1, 0), (60, 10)])
def test_sizes_that_make_no_company_are_refused(tmp_path: Path, weeks: int, requests: int) -> None:
    with pytest.raises(ValueError, match=f"weeks {weeks}"):
        write(DataRoot(tmp_path), weeks=weeks, requests=requests)


@pytest.mark.parametrize("source", ["app_log", "langfuse"])
def test_one_tool_can_see_all_features(tmp_path: Path, source: company.Source) -> None:
    """The calls are the same: 400 in all, whichever tool writes them down."""
    root = DataRoot(tmp_path)
    names = [workload.name for workload in WORKLOADS]
    seen = [name for name in names if name in FEATURES] if source == "langfuse" else []

    report = write(root, weeks=2, requests=400, sources=dict.fromkeys(seen, "langfuse"))

    assert report.traced_usd == write(DataRoot(tmp_path / "usual"), weeks=2, requests=400).traced_usd
    assert bool(generations(root)) == (source == "langfuse")
    logged = {call.get("feature") for call in records(root, "app_log")}
    assert logged == ({None} if source == "langfuse" else {None, *FEATURES} - {"ticket-triage"})


# ---- the bill


@pytest.mark.parametrize(("weeks", "requests"), [(2, 2_000), (14, 8_000)])
def test_four_percent_of_the_charges_are_not_traced(tmp_path: Path, weeks: int, requests: int) -> None:
    report = write(DataRoot(tmp_path), weeks=weeks, requests=requests)

    assert Decimal("0.037") <= report.untraced_share <= Decimal("0.043")


def test_the_bill_is_the_calls_and_a_share_of_them_more(sample: Sample) -> None:
    """On every day and for every model one share in thousandths, the same for each class, rounded down to whole tokens."""
    root, _ = sample
    billed = {(day, result["model"]): result for day, result in results(root, "usage_completions")}
    traced = traced_tokens(root)

    assert billed.keys() == traced.keys()
    for key, counts in traced.items():
        found = billed[key]
        classes = {
            "input_uncached_tokens": counts["input_tokens"] - counts["input_cached_tokens"],
            "input_cached_tokens": counts["input_cached_tokens"],
            "output_tokens": counts["output_tokens"],
        }
        low, high = MODELS[key[1]].untraced_per_mille
        shares = [
            per_mille
            for per_mille in range(low, high + 1)
            if all(found[name] == count + count * per_mille // 1_000 for name, count in classes.items())
        ]
        assert shares, (key, found, classes)
        assert found["input_tokens"] == found["input_uncached_tokens"] + found["input_cached_tokens"]
        assert found["num_model_requests"] > counts["num_model_requests"]


def test_charges_are_tokens_at_list_price_and_one_credit(sample: Sample) -> None:
    root, report = sample
    tokens = {(day, result["model"]): result for day, result in results(root, "usage_completions")}
    charges = {(day, result["line_item"]): result for day, result in results(root, "costs")}
    for (day, model), counted in tokens.items():
        for item, name, usd_per_mtok in zip(
            ("input", "output", "cached input"),
            ("input_uncached_tokens", "output_tokens", "input_cached_tokens"),
            PRICES[model],
            strict=False,
        ):
            charge = charges.get((day, f"{model}, {item}"))
            usd = counted[name] * Decimal(usd_per_mtok) / 1_000_000
            assert (charge["amount"]["value"], charge["quantity"]) == (usd, counted[name]) if charge else usd == 0

    [(day, credit)] = [(day, result) for (day, _), result in charges.items() if result["amount"]["value"] < 0]
    incident = [result for (on, item), result in charges.items() if on == date(2026, 10, 21) and "gpt-4o-2024" in item]
    given_back = sum(result["amount"]["value"] for result in incident)
    assert (day, credit["line_item"]) == (date(2026, 10, 22), company.CORRECTION.line_item)
    assert credit["amount"]["value"] == report.correction_usd == -given_back


def test_pages_hold_a_bucket_for_every_day_of_their_window(sample: Sample) -> None:
    """October's page begins on the 1st, the company's calls on the 5th: four buckets are empty."""
    [page] = (sample[0].landing / "openai_usage").rglob("usage_completions.2026-10.*.json")
    buckets = json.loads(page.read_text(encoding="utf-8"))["data"]

    assert [bucket["start_time"] for bucket in buckets[1:]] == [bucket["end_time"] for bucket in buckets[:-1]]
    assert len(buckets) == 31
    assert [bool(bucket["results"]) for bucket in buckets[:5]] == [False, False, False, False, True]


# ---- the application's log


def test_calls_show_what_a_real_log_shows(sample: Sample) -> None:
    logged = records(sample[0], "app_log")

    assert len({call["id"] for call in logged}) == len(logged)
    assert {call["api"] for call in logged} == {
        "openai.chat",
        "openai.responses",
        "anthropic.messages",
        "gemini.generateContent",
    }
    assert all("usage" in call for call in logged)
    failed = [call for call in logged if call["status"] == "error"]
    assert {call["error_class"] for call in failed} == {failure.error_class for failure in company.FAILURES}
    assert any(call["usage"] is None for call in failed)
    assert any(call["usage"] is not None for call in failed)
    assert any(call.get("is_retry") for call in logged)
    assert {call["metadata"].get("language") for call in logged} == {*company.LANGUAGES, None}
    untagged = {call["api_key_name"] for call in logged if "feature" not in call}
    assert untagged == {"key-shared-scripts", "key-triage-prod"}


def test_a_task_is_told_to_have_an_outcome_once_and_on_its_last_call(sample: Sample) -> None:
    logged = records(sample[0], "app_log")
    last: dict[str, str] = {}
    for call in logged:
        if "task_id" in call:
            last[call["task_id"]] = call["id"]
    told = [call for call in logged if "outcome" in call]
    by_system = [record["task_id"] for record in records(sample[0], "outcomes")]

    assert told
    assert all(last[call["task_id"]] == call["id"] for call in told)
    assert len(set(by_system)) == len(by_system) > 0
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


# ---- Langfuse's export

TEXT, INSTANT, NOT_NULL = pa.string(), pa.timestamp("us", tz="UTC"), False


def map_of(value: pa.DataType) -> pa.DataType:
    return pa.map_(pa.string(), pa.field("value", value, nullable=False))


LIST = pa.list_(pa.field("element", pa.string(), nullable=False))
USD = pa.decimal128(18, 12)
# Langfuse's groups core, basic, time, metadata, model, usage, prompt, tools, trace_context, metrics; not io.
OBSERVATIONS = pa.schema(
    [
        *(pa.field(name, TEXT, NOT_NULL) for name in ("id", "trace_id")),
        pa.field("start_time", INSTANT, NOT_NULL),
        pa.field("end_time", INSTANT),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("project_id", "parent_observation_id", "type", "name", "level")),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("status_message", "version", "environment")),
        *(pa.field(name, pa.bool_(), NOT_NULL) for name in ("bookmarked", "public")),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("user_id", "session_id")),
        pa.field("is_root_observation", pa.bool_(), NOT_NULL),
        pa.field("completion_start_time", INSTANT),
        *(pa.field(name, INSTANT, NOT_NULL) for name in ("created_at", "updated_at")),
        pa.field("metadata", map_of(TEXT), NOT_NULL),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("provided_model_name", "model_id", "model_parameters")),
        pa.field("usage_details", map_of(pa.uint64()), NOT_NULL),
        pa.field("cost_details", map_of(USD), NOT_NULL),
        pa.field("total_cost", USD, NOT_NULL),
        *(pa.field(name, TEXT) for name in ("usage_pricing_tier_id", "usage_pricing_tier_name")),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("prompt_id", "prompt_name")),
        pa.field("prompt_version", pa.uint16()),
        pa.field("tool_definitions", map_of(TEXT), NOT_NULL),
        *(pa.field(name, LIST, NOT_NULL) for name in ("tool_calls", "tool_call_names", "tags")),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("release", "trace_name")),
        *(pa.field(name, pa.float64()) for name in ("latency", "time_to_first_token")),
    ]
)
SCORES = pa.schema(
    [
        pa.field("id", TEXT, NOT_NULL),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), NOT_NULL),
        *(pa.field(name, TEXT, NOT_NULL) for name in ("project_id", "environment")),
        *(pa.field(name, TEXT) for name in ("trace_id", "observation_id", "session_id", "dataset_run_id")),
        pa.field("name", TEXT, NOT_NULL),
        pa.field("value", pa.float64(), NOT_NULL),
        pa.field("source", TEXT, NOT_NULL),
        pa.field("comment", TEXT),
        pa.field("data_type", TEXT, NOT_NULL),
        pa.field("string_value", TEXT),
        *(pa.field(name, pa.timestamp("ms", tz="UTC"), NOT_NULL) for name in ("created_at", "updated_at")),
    ]
)


@pytest.mark.parametrize(("table", "schema"), [("observations_v2", OBSERVATIONS), ("scores", SCORES)])
def test_exported_files_have_the_columns_and_types_of_the_export(sample: Sample, table: str, schema: pa.Schema) -> None:
    folder = sample[0].landing / "langfuse" / company.LANGFUSE_PROJECT / table
    parquet, text = sorted(folder.glob("*.parquet")), sorted(folder.glob("*.jsonl.gz"))

    assert (len(parquet), len(text)) == (4, 2)
    for path in parquet:
        assert pq.read_schema(path).equals(schema)
        pq.read_table(path).validate(full=True)
    for path in text:
        assert all(list(row) == schema.names for row in lines(path))


def test_manifests_name_the_files_as_they_are(sample: Sample) -> None:
    folder = sample[0].landing / "langfuse" / company.LANGFUSE_PROJECT
    named: dict[str, int] = {}
    for path in sorted((folder / "manifests").iterdir()):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        assert manifest["createdAt"] > manifest["maxTimestamp"] == f"{path.stem[:10]}T00:00:00.000Z"
        for entry in manifest["files"]:
            named[entry["key"]] = entry["sizeBytes"]
            file = folder.parent / entry["key"]
            assert entry["rowCount"] == (len(lines(file)) if file.suffix == ".gz" else None)
    files = [path for table in ("observations_v2", "scores") for path in (folder / table).iterdir()]

    assert named == {path.relative_to(folder.parent).as_posix(): path.stat().st_size for path in files}
    assert len(named) == 12


def test_rows_lie_in_the_window_of_their_file(sample: Sample) -> None:
    """The stamp is the end of the week; both bounds belong to it."""
    folder = sample[0].landing / "langfuse" / company.LANGFUSE_PROJECT
    for table, name in (("observations_v2", "start_time"), ("scores", "timestamp")):
        for path in (folder / table).glob("*.parquet"):
            end = datetime.strptime(path.stem, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
            instants = pq.read_table(path)[name].to_pylist()
            assert end - timedelta(weeks=1) <= min(instants) <= max(instants) <= end


def test_classes_of_an_observation_are_disjoint_and_priced_from_the_list(sample: Sample) -> None:
    """total is their sum; some rows have fewer uncached than cached tokens, which no inclusive count could have."""
    certain: set[str] = set()
    for row in generations(sample[0]):
        usage, cost = row["usage_details"], row["cost_details"]
        if not usage:
            assert (row["level"], row["total_cost"], cost) == ("ERROR", 0, {})
            continue
        classes = ("input", "output", "input_cached_tokens", "input_cache_creation")
        counts = [usage.get(name, 0) for name in classes]
        assert sum(counts) == usage["total"]
        prices = [Decimal(price) for price in PRICES[row["provided_model_name"]]]
        usd = [count * price / 1_000_000 for count, price in zip(counts, prices, strict=True)]
        assert [cost.get(name, 0) for name in classes] == usd
        assert row["total_cost"] == cost["total"] == sum(usd)
        if usage["input"] < usage["input_cached_tokens"]:
            certain.add(row["provided_model_name"])
    assert certain == {"gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-6"}


def test_a_trace_has_one_root_above_its_calls_or_calls_alone(sample: Sample) -> None:
    rows = exported(sample[0], "observations_v2")
    spans = {row["id"]: row for row in rows if row["type"] == "SPAN"}

    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["trace_name"] for row in spans.values()} == {"workflow-agent"}
    for row in rows:
        assert row["is_root_observation"] == (row["parent_observation_id"] == "")
        if row["trace_name"] == "workflow-agent" and row["type"] == "GENERATION":
            root = spans[row["parent_observation_id"]]
            assert root["trace_id"] == row["trace_id"]
            assert root["start_time"] <= row["start_time"] <= row["end_time"] <= root["end_time"]
            # Owner and tags stand on the root alone.
            assert (row["user_id"], row["session_id"], row["tags"]) == ("", "", [])
            assert "tenant_id" not in row["metadata"]
        else:
            assert row["user_id"]
            assert row["session_id"]
            assert row["tags"] == [f"feature:{row['trace_name']}"]
            assert row["metadata"]["tenant_id"].startswith("cu-")


def test_scores_tell_the_outcome_of_a_trace(sample: Sample) -> None:
    last = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
    for row in generations(sample[0]):
        last[row["trace_id"]] = max(last[row["trace_id"]], row["end_time"])
    scores = exported(sample[0], "scores")
    resolved = [row for row in scores if row["name"] == "resolved"]

    assert {row["name"] for row in scores} == {"resolved", "quality"}
    assert len({row["trace_id"] for row in resolved}) == len(resolved)
    assert all(row["timestamp"] > last[row["trace_id"]] for row in scores)
    assert {(row["value"], row["string_value"], row["data_type"]) for row in resolved} == {
        (1, "True", "BOOLEAN"),
        (0, "False", "BOOLEAN"),
    }
    assert 0.85 < len(resolved) / len(last) < 0.97


def test_no_call_is_in_two_tools(sample: Sample) -> None:
    logged = {call["response_id"] for call in records(sample[0], "app_log") if "response_id" in call}
    traced = {row["metadata"].get("attributes.gen_ai.response.id") for row in generations(sample[0])} - {None}

    assert logged
    assert traced
    assert not logged & traced


# ---- who calls what


def test_six_features_of_three_teams_call_five_models_of_three_providers(calls: pl.DataFrame) -> None:
    """Beside them a model on trial that no price book knows, and scripts that no feature owns."""
    owners = {workload.name: (workload.team, company.SOURCES.get(workload.name, "app_log")) for workload in WORKLOADS}
    on = pl.col("task_ms") // 86_400_000
    tiers = [
        {"customer_id": customer.customer_id, "since": (since - date(1970, 1, 1)).days, "tier": tier}
        for customer in company.CUSTOMERS
        for since, tier in customer.tiers
    ]
    tiered = (
        calls.with_columns(day=on)
        .sort("day")
        .join_asof(
            pl.DataFrame(tiers).sort("since"), left_on="day", right_on="since", by="customer_id", check_sortedness=False
        )
    )

    assert owners == FEATURES | {"scripts": ("", "app_log")}
    assert set(calls["workload"]) == {*FEATURES, "scripts"}
    assert set(calls["model"]) == {*PRICES, GEMINI_TRIAL.served}
    assert set(calls["provider"]) == {"openai", "anthropic", "google"}
    assert set(tiered["tier"].drop_nulls()) == {"free", "pro", "enterprise"}
    assert dict(calls.group_by("workload").agg(pl.col("source").unique().first()).iter_rows()) == {
        name: source for name, (_, source) in owners.items()
    }
    by_model = dict(calls.group_by("model").len().iter_rows())
    by_feature = dict(calls.group_by("workload").len().iter_rows())
    assert sum(by_model.values()) == sum(by_feature.values()) == 50_000
    assert min(by_model.values()) > 50
    assert all(0.02 < by_feature[name] / 50_000 < 0.35 for name in FEATURES)
    by_tier = dict(tiered.filter(pl.col("tier").is_not_null()).group_by("tier").len().iter_rows())
    assert by_tier["enterprise"] > by_tier["pro"] > by_tier["free"] > 500


def test_a_tenth_of_the_customers_makes_three_quarters_of_the_calls(calls: pl.DataFrame) -> None:
    """Of ServeGen's clients the top tenth makes 74 to 80 % of the requests; here 4 of 40 customers."""
    counts = calls.drop_nulls("customer_id").group_by("customer_id").len()["len"].sort(descending=True)

    assert len(counts) == 40
    assert 0.74 <= counts.head(4).sum() / counts.sum() <= 0.80


def test_hours_peak_as_a_product_does_or_hardly_at_all(calls: pl.DataFrame) -> None:
    """Busiest over quietest hour: 24 for one team's product, 1.4 for a business API."""
    by_hour = calls.unique("task").group_by("workload", hour=pl.col("task_ms") // 3_600_000 % 24).len()
    ratio = {
        name: rows["len"].max() / rows["len"].min()
        for (name,), rows in by_hour.group_by("workload")
        if name in ("support-chat", "ticket-triage")
    }

    assert 15 < ratio["support-chat"] < 40
    assert 1.2 < ratio["ticket-triage"] < 1.8


# p50, p90, p99 and mean of public traces: Azure code and chat, Mooncake conversations, RAGPulse, summaries, coding.
LENGTHS = {
    ("answer-how-to", "input"): (6_909, 27_367, 85_400, 12_035),
    ("answer-how-to", "output"): (350, 597, 1_119, 343),
    ("answer-complaint", "input"): (1_020, 2_735, 4_142, 1_155),
    ("answer-complaint", "output"): (129, 424, 601, 211),
    ("sort-ticket", "input"): (1_020, 2_735, 4_142, 1_155),
    ("sort-ticket", "output"): (13, 55, 252, 28),
    ("rewrite-query", "input"): (1_469, 5_188, 7_436, 2_048),
    ("answer-from-passages", "input"): (3_140, 3_959, 5_438, 2_944),
    ("answer-from-passages", "output"): (234, 563, 891, 283),
    ("summarise", "input"): (2_730, 3_702, 3_933, 2_588),
    ("summarise", "output"): (167, 372, 3_271, 291),
    ("write-section", "output"): (320, 1_149, 3_524, 535),
}


@pytest.mark.parametrize(("step", "what"), LENGTHS)
def test_lengths_follow_the_public_traces(quiet: pl.DataFrame, step: str, what: str) -> None:
    """As many calls lie below each quantile as should, give or take three, two and a half in a hundred.

    A constant prompt on top of the traced input is taken off.
    """
    [found] = [one for workload in WORKLOADS for one in workload.steps if one.name == step]
    rows = quiet.filter(pl.col("step") == step, attempt=1)
    on_top = 0 if found.has_prompt_inside else found.static_prompt_tokens
    drawn = rows["input_tokens"] - on_top if what == "input" else rows["output_tokens"] - rows["reasoning_tokens"]
    *quantiles, mean = LENGTHS[step, what]

    assert len(drawn) > 1_000
    for share, tokens, within in zip((0.5, 0.9, 0.99), quantiles, (0.03, 0.02, 0.005), strict=True):
        assert (drawn < tokens).mean() - within <= share <= (drawn <= tokens).mean() + within, (share, tokens)
    assert drawn.mean() == pytest.approx(mean, rel=0.06)


def test_input_and_output_are_drawn_apart(quiet: pl.DataFrame) -> None:
    """In the traces they correlate by 0.0 to 0.09."""
    rows = quiet.filter(step="answer-how-to")

    assert abs(np.corrcoef(rows["input_tokens"], rows["output_tokens"])[0, 1]) < 0.05


def test_calls_of_agents_are_as_long_as_coding_calls(quiet: pl.DataFrame) -> None:
    """Input p50, p90 and p99 of public coding calls: 9,919, 28,106 and 48,112 tokens. Sessions: 12 to 69 calls at the median."""
    rows = quiet.filter(workload="workflow-agent")
    sizes = rows.group_by("session_id").len()["len"]

    for quantile, tokens in ((0.5, 9_919), (0.9, 28_106), (0.99, 48_112)):
        assert rows["input_tokens"].quantile(quantile) == pytest.approx(tokens, rel=0.25)
    assert 12 <= sizes.quantile(0.5) <= 69


def test_a_third_of_conversations_input_is_read_from_the_cache(quiet: pl.DataFrame) -> None:
    """Of Mooncake's input 37 % repeats an earlier request, 29 % within five minutes."""
    rows = quiet.filter(pl.col("step") == "answer-how-to", "has_usage")

    assert 0.29 <= rows["cache_read_tokens"].sum() / rows["input_tokens"].sum() <= 0.37


def test_draws_follow_their_grid() -> None:
    """Half of 20,000 draws lie below the median, a tenth below the first decile."""
    drawn = Chance(1, "draws").quantities(20_000, Grid((0, 10, 100, 1_000), (0, 1_000, 5_000, 10_000)))

    assert np.mean(drawn < 10) == pytest.approx(0.1, abs=0.01)
    assert np.mean(drawn < 100) == pytest.approx(0.5, abs=0.01)
    assert (int(drawn.min()), int(drawn.max())) == (0, 999)


def test_a_grid_that_falls_is_refused() -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Grid((5, 3), (0, 10_000))


# ---- the story


def blended(rows: pl.DataFrame) -> float:
    used = rows.filter("has_usage")
    return used["output_tokens"].sum() / used["input_tokens"].sum()


def test_every_answer_grows_by_two_fifths_while_the_blend_falls(calls: pl.DataFrame) -> None:
    """Each kind of answer is about 40 % longer, the ratio of the feature falls by about a tenth."""
    answers = calls.filter(pl.col("workload") == "support-chat", "has_usage")
    is_later = pl.col("started_at").dt.date() >= DRIFT_DATE
    before, after = answers.filter(~is_later), answers.filter(is_later)

    for step in ("answer-how-to", "answer-order-status", "answer-complaint"):
        grown = after.filter(step=step)["output_tokens"].mean() / before.filter(step=step)["output_tokens"].mean()
        assert grown == pytest.approx(1.4, abs=0.15), step
    assert -0.20 < blended(after) / blended(before) - 1 < -0.03
    assert set(before["prompt_version"]) == {"7"}
    assert set(after["prompt_version"]) == {"8"}


def test_one_release_reads_and_writes_more_for_the_same_work(calls: pl.DataFrame) -> None:
    """Input beyond the constant 540 tokens and visible output are 55 % longer; the prompt's version and the blend stay."""
    summaries = calls.filter(pl.col("workload") == "doc-summary", "has_usage")
    is_later = pl.col("started_at").dt.date() >= DEARER_DATE
    before, after = summaries.filter(~is_later), summaries.filter(is_later)

    def read(rows: pl.DataFrame) -> float:
        return float((rows["input_tokens"] - 540).mean())

    assert read(after) / read(before) == pytest.approx(1.55, abs=0.05)
    written = [float((rows["output_tokens"] - rows["reasoning_tokens"]).mean()) for rows in (before, after)]
    assert written[1] / written[0] == pytest.approx(1.55, abs=0.25)
    assert abs(blended(after) / blended(before) - 1) < 0.10
    assert set(summaries["prompt_version"]) == {"1"}
    assert after["release"].min() == DEARER_RELEASE == "2026.21"


def test_one_feature_is_launched(calls: pl.DataFrame) -> None:
    first = dict(calls.group_by("workload").agg(pl.col("started_at").dt.date().min()).iter_rows())

    assert first.pop("report-writer") == LAUNCH_DATE == date(2026, 10, 20)
    assert set(first.values()) == {date(2026, 8, 10)}


def test_sessions_of_one_customer_run_away(calls: pl.DataFrame) -> None:
    """More steps than three times the median and than 99 % of good sessions, most of them one tool, and no success."""
    sessions = (
        calls.filter(workload="workflow-agent")
        .with_columns(of_step=pl.len().over("session_id", "step"))
        .group_by("session_id")
        .agg(
            pl.len().alias("steps"),
            (pl.col("of_step").max() / pl.len()).alias("top_step_share"),
            pl.col("outcome", "customer_id").first(),
            pl.col("started_at").min().dt.date().alias("day"),
        )
    )
    good = sessions.filter(outcome="success")["steps"]
    limit = max(3 * good.median(), good.quantile(0.99))
    runaway = sessions.filter(pl.col("steps") > limit, pl.col("top_step_share") > 0.6)

    assert len(runaway) >= 2
    assert set(runaway["outcome"]) == {"failure"}
    assert set(runaway["customer_id"]) == {"cu-101"}
    assert runaway["day"].min() >= date(2026, 10, 28)
    assert runaway["day"].max() < date(2026, 10, 31)
    assert runaway["steps"].max() > 200


def test_one_paying_customer_is_served_at_a_loss(calls: pl.DataFrame) -> None:
    """In October, at list prices; revenue goes with the size of the sample."""
    tables = dict(reference_tables.files(14, 50_000, WORKLOADS, company.SOURCES))
    revenue = pl.read_csv(io.StringIO(tables["revenue"])).filter(pl.col("period_start_date").str.starts_with("2026-10"))
    prices = pl.DataFrame(
        [[model, *map(float, usd)] for model, usd in PRICES.items()], ["model", "i", "o", "r", "w"], orient="row"
    )
    october = calls.filter("has_usage", pl.col("started_at").dt.strftime("%Y-%m") == "2026-10").join(prices, on="model")
    uncached = pl.col("input_tokens") - pl.col("cache_read_tokens") - pl.col("cache_write_tokens")
    usd = uncached * pl.col("i") + pl.col("output_tokens") * pl.col("o")
    usd += pl.col("cache_read_tokens") * pl.col("r") + pl.col("cache_write_tokens") * pl.col("w")
    cost = october.group_by("customer_id").agg(usd.sum() / 1_000_000)
    margin = (
        revenue.group_by("customer_id")
        .agg(pl.col("revenue_amount").sum())
        .join(cost, on="customer_id")
        .with_columns(margin=pl.col("revenue_amount") - pl.col("input_tokens"))
    )

    assert len(margin) == 20
    assert margin.filter(pl.col("margin") < 0)["customer_id"].to_list() == [company.LOSS_CUSTOMER_ID]


def test_the_agents_cache_is_hardly_read_for_six_days(calls: pl.DataFrame) -> None:
    """Nine tenths of its input before and afterwards, less than half while it lasts."""
    agent = calls.filter(workload="workflow-agent").with_columns(
        lasts=pl.col("started_at").dt.date().is_between(CACHE_DROP.from_date, CACHE_DROP.to_date, closed="left")
    )
    rates = agent.group_by("lasts").agg(pl.col("cache_read_tokens").sum() / pl.col("input_tokens").sum())

    found = dict(rates.iter_rows())
    assert found[False] > 0.85
    assert found[True] < 0.5


def test_a_third_of_the_mail_is_sorted_by_a_dearer_model_in_the_end(calls: pl.DataFrame) -> None:
    mail = calls.filter(workload="ticket-triage").with_columns(
        lasts=pl.col("started_at").dt.date() >= MISROUTING.from_date, is_dear=pl.col("model") == MISROUTING.routed_to
    )
    shares = dict(mail.group_by("lasts").agg(pl.col("is_dear").mean()).iter_rows())

    assert shares[False] == 0
    assert shares[True] == pytest.approx(0.35, abs=0.04)


def test_six_in_a_thousand_answers_of_the_search_end_at_their_cap(calls: pl.DataFrame) -> None:
    """The others end long before it."""
    answers = calls.filter(step="answer-from-passages", is_failed=False)["output_tokens"]

    assert (answers == 32_000).mean() == pytest.approx(0.006, abs=0.003)
    assert answers.filter(answers < 32_000).max() < 8_000


def test_nothing_happens_in_the_quiet_company(quiet: pl.DataFrame) -> None:
    answers = quiet.filter(workload="support-chat")
    is_later = pl.col("started_at").dt.date() >= DRIFT_DATE

    assert not quiet["is_looping"].any()
    assert quiet.filter(workload="report-writer")["started_at"].min().date() < date(2026, 8, 20)
    assert abs(blended(answers.filter(is_later)) / blended(answers.filter(~is_later)) - 1) < 0.08
    summaries = quiet.filter(pl.col("workload") == "doc-summary", "has_usage")
    is_dearer = pl.col("started_at").dt.date() >= DEARER_DATE
    read = [summaries.filter(each)["input_tokens"].mean() for each in (is_dearer, ~is_dearer)]
    assert read[0] / read[1] == pytest.approx(1, abs=0.05)
