"""A run through Dagster: the same books as without it, kept in its instance, and nothing published where a check fails."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from assets import runs
from assets.__main__ import BLOCKED, DONE, FAILED, WRONG_USAGE, main
from assets.definitions import defs
from assets.exports import SHOWBACK
from assets.runs import outstanding, reading_books
from pipelines import books
from pipelines.lake import Lake, LakeError, run_lock
from pipelines.models import models
from pipelines.paths import DataRoot
from tests.assets.conftest import call, land_calls, land_company

# Columns that say when a machine looked, by table; the tables of all others are compared byte by byte.
CLOCKS = {
    "staged_files": "first_seen_at",
    "ledger_files": "first_seen_at",
}


def run(root: DataRoot, *more: str) -> tuple[int, dict[str, Any]]:
    report = root.path / "report.json"
    report.unlink(missing_ok=True)
    code = main(["run", "--root", str(root.path), "--report", str(report), *more])
    return code, json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}


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
    """The company after its first run through Dagster, and what that run reported. Read only."""
    root = DataRoot(tmp_path_factory.mktemp("company"))
    land_company(root)
    with pytest.MonkeyPatch.context():
        books_of(root)
        code, report = run(root)
    assert code == DONE
    return root, report


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


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataRoot, dict[str, Any]]:
    """The same company after a run without Dagster, and what that run reported. Read only."""
    root = DataRoot(tmp_path_factory.mktemp("direct"))
    land_company(root)
    return root, books.run(root).as_dict()


def test_dagster_and_direct_give_the_same_bytes(company, direct):
    (root, _), (direct, _) = company, direct

    assert hashes(root) == hashes(direct)
    assert "exports/showback/v1/week=2026-10-12/showback.parquet" in hashes(root)
    for table in CLOCKS:
        assert rows_without_clock(root, table) == rows_without_clock(direct, table)


def test_the_report_is_that_of_a_direct_run_and_names_the_runs(company, direct):
    (_, report), (_, expected) = company, direct

    assert {key: report[key] for key in expected if key != "published"} == {
        key: value for key, value in expected.items() if key != "published"
    }
    assert sorted(report["published"]) == sorted(expected["published"])
    assert [(one["job"], one["status"]) for one in report["runs"]] == [("ingest", "success"), ("tables", "success")]


def test_both_runs_are_in_the_list_of_runs(company, kept):
    _, report = company
    found = {record.dagster_run.run_id: record.dagster_run for record in kept.get_run_records()}

    assert {one["run_id"] for one in report["runs"]} == set(found)
    assert {one.job_name for one in found.values()} == {"ingest", "tables"}
    assert all(one.status == dg.DagsterRunStatus.SUCCESS for one in found.values())


def test_every_table_that_has_rows_is_materialised_in_every_week_of_the_range(company, kept):
    """From the week of the first call to that of the last: three weeks, the middle one without a call."""
    root, _ = company
    for name, model in models().items():
        if not root.table(name).is_dir():
            # What its inputs will hold is not known when the run is planned: a step may find that there is nothing to build.
            event = kept.get_latest_materialization_event(dg.AssetKey(name))
            assert event is None or event.asset_materialization.metadata["dagster/row_count"].value == 0
        elif model.partition is None:
            assert kept.get_latest_materialization_event(dg.AssetKey(name)) is not None
        else:
            assert kept.get_materialized_partitions(dg.AssetKey(name)) == {"2026-09-28", "2026-10-05", "2026-10-12"}


def test_a_materialisation_says_how_many_rows_there_are_and_what_was_built(company, kept):
    """Three calls in three weeks, on three days."""
    metadata = kept.get_latest_materialization_event(dg.AssetKey("ledger_costs")).asset_materialization.metadata

    assert metadata["dagster/row_count"].value == 3
    assert metadata["partitions built"].value == 3
    assert metadata["built"].value == "2026-09-28, 2026-09-30, 2026-10-13"


def test_a_source_says_what_it_read_and_what_it_refused(company, kept):
    event = kept.get_latest_materialization_event(dg.AssetKey(["landing", "app_log"]))
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}

    assert (metadata["files read"], metadata["records read"], metadata["records quarantined"]) == (2, 4, 1)


def test_after_a_run_nothing_is_outstanding(company):
    with reading_books(company[0]) as opened:
        assert outstanding(opened).tables == frozenset()


def test_a_new_call_costs_its_own_week_and_publishes_it(again):
    """The week of the other calls is not among the run's."""
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))

    code, report = run(again)

    assert code == DONE
    assert {path for path in report["published"] if "2026-10-12" not in path and "month=2026-10" not in path} == set()
    assert len([path for path in report["published"] if "2026-10-12" in path]) == 4
    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("ledger_costs")) == {"2026-10-12"}


def test_full_reads_and_builds_everything_again_to_the_same_bytes(again):
    before = hashes(again)

    code, report = run(again, "--full")

    assert (code, report["files_read"], report["changed"]) == (DONE, 2, 0)
    assert report["tables"] == len([model for model in models().values() if again.table(model.name).is_dir()])
    assert hashes(again) == before


def test_a_window_and_a_selection_limit_what_is_built(root, books_of):
    books_of(root)
    land_company(root)

    code, _ = run(
        root, "--from", "2026-10-13", "--to", "2026-10-14", "--select", "ledger_pulls", "--select", "ledger_models"
    )

    assert code == DONE
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


def test_a_failed_check_holds_back_what_depends_on_it_and_leaves_the_last_good_exports(again, monkeypatch):
    """ledger_costs is written and fails; showback waits; ledger_record_fates, which does not read it, goes on."""
    exports_before = {name: value for name, value in hashes(again).items() if name.startswith("exports/")}
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    fail_a_check(monkeypatch, "ledger_costs")

    code, report = run(again)

    assert (code, report["is_blocked"], report["published"]) == (BLOCKED, True, [])
    assert {result["table"] for result in report["failed"]} == {"ledger_costs"}
    assert {name: value for name, value in hashes(again).items() if name.startswith("exports/")} == exports_before
    assert Lake(again).part("ledger_costs", date(2026, 10, 14)) is not None
    assert Lake(again).part("ledger_record_fates", date(2026, 10, 14)) is not None
    assert Lake(again).part("ledger_showback_days", date(2026, 10, 14)) is None
    with dg.DagsterInstance.get() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("ledger_costs")) == {"2026-10-12"}
        assert instance.get_latest_materialization_event(SHOWBACK) is None

    # It stays failed, and what depends on it stays held back, until it is mended.
    code, report = run(again)
    assert (code, report["is_blocked"]) == (BLOCKED, True)
    assert Lake(again).part("ledger_showback_days", date(2026, 10, 14)) is None


def test_a_fault_in_a_reference_file_publishes_nothing(again):
    land_calls(again, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    again.reference.mkdir()
    faulty = again.reference / "budgets.csv"
    faulty.write_text("scope_kind,scope_value,month,budget_usd\nteam,core,,plenty\n", encoding="utf-8")

    code, report = run(again)

    assert (code, report["published"]) == (BLOCKED, [])
    assert report["problems"][0].startswith("reference/budgets.csv, line 2, column budget_usd")
    assert again.views.is_file()

    faulty.unlink()
    code, report = run(again)
    assert code == DONE
    assert report["published"] != []


def test_a_query_that_fails_ends_in_a_sentence_and_exit_code_1(again, monkeypatch, capsys):
    broken = dict(models())
    broken["ledger_clock"] = replace(broken["ledger_clock"], query="select 1 as clock")
    monkeypatch.setattr(books, "models", lambda: broken)

    code, report = run(again)

    assert (code, report) == (FAILED, {})
    said = capsys.readouterr().err
    assert "sql/ledger/ledger_clock.sql: the query and its header disagree." in said
    assert "Traceback" not in said


def test_a_table_that_does_not_exist_is_wrong_usage(root, capsys):
    assert run(root, "--select", "ledger_cost") == (WRONG_USAGE, {})
    assert "No table ledger_cost." in capsys.readouterr().err


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
