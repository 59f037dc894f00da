"""Statistics of weeks in whole runs: any split of the files gives the same bytes, and a new week wakes no old one."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines import books
from pipelines.books import RunReport
from pipelines.paths import DataRoot
from tests.conftest import upstream

FIRST = datetime(2026, 6, 1, tzinfo=UTC)
WEEKS = 11
# From its week on answers of odd prompts are much longer; few calls are enough for a verdict.
STEP = FIRST + timedelta(weeks=7)
LIMITS = {"drift_min_requests_current": 20, "drift_min_requests_base": 80, "drift_min_df": 3, "onset_min_days": 4}
# 2026-11-18: no path and no clock of a test enters a table.
WRITTEN_AT_S = 1_795_003_200
TABLES = (
    "stat_usage_cells_weekly",
    "stat_rate_cells_weekly",
    "stat_request_sizes_weekly",
    "stat_paired_change_weekly",
    "stat_drift_cells_weekly",
    "stat_drift_onset_weekly",
    "stat_bennet_weekly",
    "stat_jackknife_weekly",
    "stat_bootstrap_weekly",
    "mart_spend_drivers_weekly",
    "mart_spend_concentration_weekly",
    "mart_output_ratio_drift_weekly",
    "stat_escalations_weekly",
    "stat_output_lengths_weekly",
    "stat_input_lengths_weekly",
    "mart_cache_economics_weekly",
    "mart_model_tiers_weekly",
    "mart_output_caps_weekly",
    "mart_context_tax_weekly",
)


def run(root: DataRoot) -> RunReport:
    """A run of the tables that are looked at."""
    return books.run(root, select=upstream(*TABLES))


def land(root: DataRoot, weeks: Sequence[int]) -> None:
    """A file a week, all its calls on a Monday: 12 users of 11 prompts, answers of odd ones longer week by week, and by a step."""
    root.reference.mkdir(exist_ok=True)
    limits = "".join(f"{name},{limit}\n" for name, limit in LIMITS.items())
    (root.reference / "thresholds.csv").write_text(f"name,threshold\n{limits}", encoding="utf-8")
    folder = root.landing / "requests" / "warehouse"
    folder.mkdir(parents=True, exist_ok=True)
    for week in weeks:
        path = folder / f"week-{week:02}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(
                "source_row_id started_at provider model_served input_uncached_tokens output_text_tokens feature prompt_name "
                "user_id".split()
            )
            for number in range(96):
                user, prompt = number % 12, number * 7 % 11
                at = FIRST + timedelta(weeks=week, minutes=14 * number + week)
                tokens_in = 800 + 37 * number + 300 * ((prompt + week) % 5)
                tokens_out = 100 + 11 * user + 20 * (prompt % 3) + (9 * week + 400 * (week >= 7)) * (prompt % 2)
                rows.writerow(
                    (f"{week}-{number}", at.isoformat(), "openai", "gpt-4o-2024-08-06", tokens_in, tokens_out,
                     f"f{prompt % 2}", f"p{prompt}", f"u{user}")
                )  # fmt: skip
        os.utime(path, (WRITTEN_AT_S, WRITTEN_AT_S))


def content(root: DataRoot) -> dict[str, bytes]:
    return {
        root.relative(path): path.read_bytes()
        for table in TABLES
        for path in sorted(root.table(table).rglob("*.parquet"))
    }


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    root = DataRoot(tmp_path_factory.mktemp("once"))
    land(root, range(WEEKS))
    assert not run(root).is_blocked
    return root


def test_weeks_that_come_late_or_new_give_the_bytes_of_all_at_once(at_once: DataRoot, tmp_path: Path) -> None:
    """First all but weeks 3 and 10; then 3, late, so that all that read it are built again; then 10, which wakes no old week.

    A table asks the clock until a day after its week. Before week 10 that stood on week 9's Monday, less than a day past week 8.
    """
    root = DataRoot(tmp_path)
    for weeks in ([week for week in range(WEEKS) if week not in (3, 10)], [3], [10]):
        land(root, weeks)
        report = run(root)
        assert not report.is_blocked

    assert content(root) == content(at_once)
    assert not run(root).built
    recent = {(FIRST + timedelta(weeks=WEEKS - back)).date().isoformat() for back in (1, 2, 3)}
    built = {each.model.name: set(each.partitions) for each in report.built if each.model.name in TABLES}
    assert built.keys() == set(TABLES)
    assert {name: sorted(weeks - recent) for name, weeks in built.items()} == {name: [] for name in TABLES}


def test_the_marts_say_something(at_once: DataRoot) -> None:
    """11 request types, 12 users, all weeks but the last are over; answers of odd prompts grow week by week."""
    verdicts = pl.read_parquet(at_once.table("mart_spend_concentration_weekly") / "*" / "*.parquet")
    drift = pl.read_parquet(at_once.table("mart_output_ratio_drift_weekly") / "*" / "*.parquet")

    types = verdicts.filter((pl.col("cut") == "request_type") & (pl.col("time_window") == "4w"))
    assert types.height == WEEKS - 1
    assert types["types"].unique().to_list() == [11]
    assert set(types["verdict"]) <= {"holds", "partly", "does_not_hold"}
    assert types["jaccard_previous"].null_count() == 4
    assert set(drift.filter(~pl.col("is_closed"))["verdict_reason"]) == {"week_not_over"}
    drifts = drift.filter(verdict="drift")
    assert set(drifts["feature"]) == {"f1"}
    assert STEP.date() in set(drifts["onset_date"])


def test_a_reporting_time_zone_moves_the_weeks_and_loses_no_call(tmp_path: Path) -> None:
    """Monday's calls before 04:00 UTC are of Sunday in New York: 18 (every 14 minutes) of a week that has none in UTC."""
    root = DataRoot(tmp_path)
    land(root, [0, 1])
    tables = upstream("stat_usage_cells_weekly", "mart_showback_weekly")
    books.run(root, select=tables)
    utc = pl.read_parquet(root.table("stat_usage_cells_weekly") / "*" / "*.parquet")
    root.settings.write_text('reporting_time_zone = "America/New_York"\n', encoding="utf-8")

    report = books.run(root, select=tables)

    moved = pl.read_parquet(root.table("stat_usage_cells_weekly") / "*" / "*.parquet")
    calls = {str(week): n for week, n in moved.group_by("week_start_date").agg(pl.sum("requests")).iter_rows()}
    assert calls == {"2026-05-25": 18, "2026-06-01": 96, "2026-06-08": 78}
    assert moved["requests"].sum() == utc["requests"].sum() == 192
    assert "mart_showback_weekly" not in {built.model.name for built in report.built}
