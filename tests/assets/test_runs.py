"""A run through Dagster: the same books as without it, kept in its instance, and nothing published where a check fails."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from assets import reported, runs
from assets.checks import BLOCKING, WARNING
from assets.definitions import defs
from assets.exports import EXPORTS, SHOWBACK
from assets.runs import Work, outstanding
from pipelines import books
from pipelines.books import reading_books
from pipelines.lake import Lake, LakeError, run_lock
from pipelines.models import ModelError, models
from pipelines.paths import DataRoot
from pipelines.periods import Span
from tests.assets.conftest import call, land_calls, land_company

# Columns that say when a machine looked, by table; the tables of all others are compared byte by byte.
CLOCKS = {
    "staged_files": "first_seen_at",
    "ledger_files": "first_seen_at",
}


def run(root: DataRoot, **asked: Any) -> dict[str, Any]:
    """What ``tokenbooks run`` does, and what it reports."""
    return reported.run(root, **asked).as_dict()


def run_jobs(root: DataRoot) -> dict[str, dg.ExecuteInProcessResult]:
    """What the sensors ask for one after the other: ``ingest``, then ``tables`` over the weeks that are out of date."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        ingest = defs.resolve_job_def("ingest").execute_in_process(
            run_config=quiet, instance=instance, raise_on_error=False
        )
        work = due(root)
        tables = defs.resolve_job_def("tables").execute_in_process(
            run_config=quiet,
            instance=instance,
            raise_on_error=False,
            asset_selection=[*work.keys, *EXPORTS],
            tags=work.tags,
        )
    return {"ingest": ingest, "tables": tables}


def due(root: DataRoot) -> Work:
    with reading_books(root) as opened:
        return outstanding(opened)


def hashes(root: DataRoot) -> dict[str, str]:
    """sha256 by path of the tables and exports."""
    found = {}
    for folder in (root.lake, root.exports):
        for path in sorted(folder.rglob("*")):
            name = root.relative(path)
            if path.is_file() and not path.name.startswith(".") and name.split("/")[1] not in CLOCKS:
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def rows_without_clock(root: DataRoot, table: str) -> list[tuple[Any, ...]]:
    file = root.whole(table)
    return duckdb.sql(f"select * exclude ({CLOCKS[table]}) from read_parquet('{file}') order by all").fetchall()


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, books_of: Callable[[DataRoot], DataRoot]
) -> tuple[DataRoot, dict[str, Any]]:
    """The company after its first run, and what that run reported. Read only."""
    root = DataRoot(tmp_path_factory.mktemp("company"))
    land_company(root)
    return root, run(books_of(root))


@pytest.fixture(scope="module")
def by_jobs(tmp_path_factory: pytest.TempPathFactory, books_of: Callable[[DataRoot], DataRoot]) -> DataRoot:
    """The same company after both jobs. Read only."""
    root = DataRoot(tmp_path_factory.mktemp("jobs"))
    land_company(root)
    assert all(result.success for result in run_jobs(books_of(root)).values())
    return root


@pytest.fixture
def kept(company: tuple[DataRoot, dict[str, Any]], books_of: Callable[[DataRoot], DataRoot]) -> Iterator[Any]:
    """The instance of the company."""
    books_of(company[0])
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def again(
    company: tuple[DataRoot, dict[str, Any]], root: DataRoot, books_of: Callable[[DataRoot], DataRoot]
) -> DataRoot:
    """A copy of the company's data root, up to date, with no run in its instance."""
    shutil.copytree(company[0].path, root.path, ignore=shutil.ignore_patterns("dagster"))
    return books_of(root)


def test_a_run_its_jobs_and_a_run_without_dagster_give_the_same_bytes(company, by_jobs, direct):
    (root, _), (direct, _) = company, direct

    assert "exports/showback/v1/week=2026-10-12/showback.parquet" in hashes(direct)
    for other in (root, by_jobs):
        assert hashes(other) == hashes(direct)
        for table in CLOCKS:
            assert rows_without_clock(other, table) == rows_without_clock(direct, table)


def test_the_report_is_that_of_a_direct_run(company, direct):
    (_, report), (_, expected) = company, direct

    assert report == expected


def events(root: DataRoot, books_of: Callable[[DataRoot], DataRoot]) -> dict[str, dict[str, Any]]:
    """What Dagster's pages have of each table: partitions, rows and columns, and the verdict on its checks."""
    books_of(root)
    found = {}
    with dg.DagsterInstance.get() as instance:
        for key in instance.all_asset_keys():
            event = instance.get_latest_materialization_event(key)
            if event is None or event.asset_materialization is None:
                continue
            metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
            verdicts = {}
            for name in (BLOCKING, WARNING, "no_fault"):
                [verdict] = instance.event_log_storage.get_asset_check_execution_history(
                    dg.AssetCheckKey(key, name), limit=1
                ) or [None]
                if verdict and verdict.event:
                    evaluation = verdict.event.dagster_event.asset_check_evaluation_data
                    values = {name: value.value for name, value in evaluation.metadata.items()}
                    verdicts[name] = (evaluation.passed, evaluation.severity, evaluation.description, values)
            found[key.to_user_string()] = {
                "weeks": instance.get_materialized_partitions(key),
                "rows": metadata.get("dagster/row_count"),
                "metadata": metadata,
                "verdicts": verdicts,
            }
    return found


def test_dagster_is_told_what_its_jobs_would_have_said(company, by_jobs, books_of):
    """A job tells of every asset, a run of those that it did something to."""
    told, said = events(company[0], books_of), events(by_jobs, books_of)

    assert {name for name, of in said.items() if of["rows"] or name.startswith("exports/")} <= set(told) <= set(said)
    assert sum(len(of["weeks"]) for of in told.values()) > 60
    for name, of in told.items():
        assert of == said[name], name


def test_a_run_is_not_in_the_list_of_runs(company, kept):
    assert kept.get_run_records() == []


def test_every_table_that_has_rows_is_materialised_in_every_week_of_the_range(company, kept):
    """From the week of the first call to that of the last: three weeks, the middle one without a call."""
    root, _ = company
    for name, model in models().items():
        if not root.table(name).is_dir():
            assert kept.get_latest_materialization_event(dg.AssetKey(name)) is None
        elif model.partition is None:
            assert kept.get_latest_materialization_event(dg.AssetKey(name)) is not None
        else:
            assert kept.get_materialized_partitions(dg.AssetKey(name)) == {"2026-09-28", "2026-10-05", "2026-10-12"}


def test_a_materialisation_says_of_its_week_what_is_plotted_and_of_the_run_what_was_built(company, kept):
    """Calls 1 and 2 in the first week, none in the second, call 3 in the third: 1,000 tokens at $2.50 and 10 at $10 a million
    for each number of the call, so 3 * 0.0025 + 2 * 0.0001 and 3 * 0.0025 + 0.0001 dollars.
    """
    said = {}
    for record in kept.fetch_materializations(dg.AssetKey("ledger_costs"), limit=10).records:
        metadata = record.asset_materialization.metadata
        assert metadata["built"].value == "2026-09-28, 2026-09-30, 2026-10-13"
        said[record.asset_materialization.partition] = {
            name: metadata[name].value
            for name in ("dagster/row_count", "requests", "effective_cost_usd", "unpriced_share")
            if name in metadata
        }

    assert said == {
        "2026-09-28": {
            "dagster/row_count": 2,
            "requests": 2.0,
            "effective_cost_usd": pytest.approx(0.0077),
            "unpriced_share": 0.0,
        },
        "2026-10-05": {"dagster/row_count": 0},
        "2026-10-12": {
            "dagster/row_count": 1,
            "requests": 1.0,
            "effective_cost_usd": pytest.approx(0.0076),
            "unpriced_share": 0.0,
        },
    }


def test_a_source_says_what_it_read_and_what_it_refused(company, kept):
    event = kept.get_latest_materialization_event(dg.AssetKey(["landing", "app_log"]))
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}

    assert (metadata["files read"], metadata["records read"], metadata["records quarantined"]) == (2, 4, 1)


def test_after_a_run_nothing_is_outstanding(company):
    with reading_books(company[0]) as opened:
        assert outstanding(opened).tables == frozenset()


def test_a_run_with_nothing_new_tells_nothing(again):
    run(again)

    assert list(again.dagster.iterdir()) == []


def test_a_new_call_costs_its_own_week_and_publishes_it(again):
    """The week of the other calls is not among the run's."""
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))

    report = run(again)

    # A table of the star is one file for all weeks; the page of a week says what its months' bills leave untraced.
    assert {
        path
        for path in report["published"]
        if "2026-10-12" not in path and "month=2026-10" not in path and "/star/" not in path
    } == {"exports/report/2026-09-28.html", "exports/report/email/2026-09-28.txt"}
    assert {path for path in report["published"] if "2026-10-12" in path} == {
        *(
            f"exports/showback/v1/week=2026-10-12/{name}"
            for name in ("showback.parquet", "showback.csv", "manifest.json")
        ),
        *(f"exports/report/{page}" for page in ("2026-10-12.html", "email/2026-10-12.html", "email/2026-10-12.txt")),
    }
    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("ledger_costs")) == {"2026-10-12"}


def test_full_reads_and_builds_everything_again_to_the_same_bytes(again):
    before = hashes(again)

    report = run(again, full=True)

    assert (report["files_read"], report["changed"]) == (2, 0)
    assert report["tables"] == len([model for model in models().values() if again.table(model.name).is_dir()])
    assert hashes(again) == before


def test_a_window_and_a_selection_limit_what_is_built(root, books_of):
    books_of(root)
    land_company(root)

    run(root, window=Span(date(2026, 10, 13), date(2026, 10, 14)), select=["ledger_pulls", "ledger_models"])

    assert [str(part.start) for part in Lake(root).parts("ledger_models")] == ["2026-10-13"]
    assert not root.table("ledger_costs").exists()


def fail_a_check(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    """Every check of a table finds a row that breaks it."""
    real = books.count_checks

    def count_checks(con, lake, planner, model, parts):
        found = real(con, lake, planner, model, parts)
        broken = [pl.lit(1, pl.Int64).alias(check.id) for check in model.checks] if model.name == table else []
        return found.with_columns(broken)

    monkeypatch.setattr(books, "count_checks", count_checks)


def test_a_failed_check_leaves_the_last_good_exports_and_dagster_names_it(again, monkeypatch):
    exports_before = {name: value for name, value in hashes(again).items() if name.startswith("exports/")}
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    fail_a_check(monkeypatch, "ledger_costs")

    report = run(again)

    assert (report["is_blocked"], report["published"]) == (True, [])
    assert {result["table"] for result in report["failed"]} == {"ledger_costs"}
    assert report["cause"].startswith(f"{len(report['failed'])} failed checks of ledger_costs (")
    assert report["cause"].endswith(": mend the landed files or reference rows behind it; then run again")
    assert {name: value for name, value in hashes(again).items() if name.startswith("exports/")} == exports_before
    with dg.DagsterInstance.get() as instance:
        [verdict] = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("ledger_costs"), BLOCKING), limit=1
        )
        evaluation = verdict.event.dagster_event.asset_check_evaluation_data
        assert not evaluation.passed
        assert {name: value.value for name, value in evaluation.metadata.items() if name.startswith("check_")} == {
            check.id: f"{check.text}: fails in 2026-10-14"
            for check in models()["ledger_costs"].checks
            if check.severity == "critical"
        }
        assert instance.get_latest_materialization_event(SHOWBACK) is None


def test_in_a_job_a_failed_check_holds_back_what_depends_on_it(again, monkeypatch):
    """ledger_costs is written and fails; showback waits; ledger_record_fates, which does not read it, goes on."""
    exports_before = {name: value for name, value in hashes(again).items() if name.startswith("exports/")}
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    fail_a_check(monkeypatch, "ledger_costs")

    ended = run_jobs(again)

    assert (ended["ingest"].success, ended["tables"].success) == (True, False)
    assert {name: value for name, value in hashes(again).items() if name.startswith("exports/")} == exports_before
    assert Lake(again).part("ledger_costs", date(2026, 10, 14)) is not None
    assert Lake(again).part("ledger_record_fates", date(2026, 10, 14)) is not None
    assert Lake(again).part("ledger_showback_days", date(2026, 10, 14)) is None
    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("ledger_costs")) == {"2026-10-12"}
        assert instance.get_latest_materialization_event(SHOWBACK) is None

    # It stays failed, and what depends on it stays held back, until it is mended.
    assert "ledger_costs" in due(again).tables
    assert not run_jobs(again)["tables"].success
    assert Lake(again).part("ledger_showback_days", date(2026, 10, 14)) is None


def test_a_fault_in_a_reference_file_publishes_nothing(again):
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    again.reference.mkdir()
    faulty = again.reference / "budgets.csv"
    faulty.write_text("scope_kind,scope_value,month,budget_usd\nteam,core,,plenty\n", encoding="utf-8")

    report = run(again)

    assert (report["is_blocked"], report["published"]) == (True, [])
    assert report["problems"][0].startswith("reference/budgets.csv, line 2, column budget_usd")
    assert again.views.is_file()

    faulty.unlink()
    report = run(again)
    assert not report["is_blocked"]
    assert report["published"] != []


def test_of_a_run_that_fails_dagster_is_told_what_was_done_before(again, monkeypatch):
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    broken = dict(models())
    broken["ledger_showback_days"] = replace(broken["ledger_showback_days"], query="select 1 as clock")
    monkeypatch.setattr(books, "models", lambda: broken)

    with pytest.raises(ModelError, match=r"ledger_showback_days.sql: the query and its header disagree."):
        run(again)

    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("ledger_costs")) == {"2026-10-12"}
        assert instance.get_latest_materialization_event(dg.AssetKey("ledger_showback_days")) is None


def test_a_run_of_the_daemon_works_on_the_data_root_of_its_environment(root, instance):
    land_company(root)

    result = defs.resolve_job_def("ingest").execute_in_process(instance=instance)

    assert result.success
    assert root.whole("staged_files").is_file()


def test_a_run_of_the_daemon_gives_up_where_another_one_never_ends(root, instance, monkeypatch):
    def never_free(*_):
        raise LakeError("Another run is at work.")

    monkeypatch.setattr(runs, "open_books", never_free)
    monkeypatch.setattr(runs, "PATIENCE_S", 0)

    result = defs.resolve_job_def("ingest").execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    with run_lock(root):
        pass
