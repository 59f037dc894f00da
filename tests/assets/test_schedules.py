"""What asks for a run, and when it keeps still."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.alerts import ALERTS, changed_alerts
from assets.exports import EXPORTS, SHOWBACK
from assets.month_end import MONTH_END, monthly
from assets.schedules import INGEST, QUIET, TABLES, daily, landing, rebuild, signature, weekly
from pipelines import books
from pipelines.lake import months_closed
from pipelines.paths import DataRoot
from tests.assets.conftest import call, land_calls, land_company

MONDAY = datetime(2026, 10, 19, 7, tzinfo=UTC)


def look(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None]:
    """One look of the sensor: what it asks for, and the cursor it leaves."""
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        found = landing(context)
    if isinstance(found, dg.SkipReason):
        return [], cursor
    return list(found.run_requests or []), found.cursor


def monday(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    return weekly(dg.build_schedule_context(instance=instance, scheduled_execution_time=MONDAY))


def test_everything_is_on_from_the_start():
    assert {one.default_status for one in (landing, rebuild)} == {dg.DefaultSensorStatus.RUNNING}
    assert {one.default_status for one in (daily, weekly, monthly)} == {dg.DefaultScheduleStatus.RUNNING}


def test_before_anything_has_landed_nothing_runs_and_nothing_is_written(root, instance):
    before = sorted(path for path in root.path.rglob("*") if "dagster" not in path.parts)

    assert look(instance)[0] == []
    assert isinstance(daily(), dg.SkipReason)
    assert isinstance(monday(instance), dg.SkipReason)
    assert sorted(path for path in root.path.rglob("*") if "dagster" not in path.parts) == before


def test_the_sensor_asks_once_for_what_has_landed(root, instance):
    land_company(root)

    asked, cursor = look(instance)
    assert [one.tags["tokenbooks/news"] for one in asked] == ["2 files"]
    assert look(instance, cursor) == ([], cursor)

    land_calls(root, "c.jsonl", call(5, "2026-10-14T10:00:00Z"))
    asked, _ = look(instance, cursor)
    assert [one.tags["tokenbooks/news"] for one in asked] == ["3 files"]


@pytest.fixture
def up_to_date(direct, root) -> DataRoot:
    """A copy of the company after a run, in the data root of the instance."""
    shutil.copytree(direct[0].path, root.path, dirs_exist_ok=True)
    return root


def test_the_sensor_sees_a_changed_reference_table(up_to_date, instance):
    root = up_to_date
    asked, cursor = look(instance)
    assert asked == []

    root.reference.mkdir()
    (root.reference / "features.csv").write_text("feature,owner_team\nsearch,core\n", encoding="utf-8")
    asked, _ = look(instance, cursor)
    assert [one.tags["tokenbooks/news"] for one in asked] == ["reference tables"]


def test_the_signature_is_the_same_in_every_process_and_changes_with_a_file(root):
    land_company(root)
    first = signature(root)

    assert len(first) == 64
    assert signature(root) == first
    land_calls(root, "a.jsonl", call(1, "2026-09-29T10:00:00Z"))
    assert signature(root) != first


def ended(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    """What follows an ingest."""
    run = instance.create_run_for_job(dg.job(name="ingest")(lambda: None))
    event = dg.DagsterEvent("PIPELINE_SUCCESS", "ingest")
    return rebuild(dg.build_run_status_sensor_context("rebuild", event, instance, run))


def test_an_ingest_is_followed_by_the_tables_over_the_weeks_that_are_out_of_date(root, instance):
    land_company(root)
    with books.open_books(root) as opened:
        opened.refresh_references()
        opened.read_landing()

    asked = ended(instance)

    assert isinstance(asked, dg.RunRequest)
    assert asked.tags["dagster/asset_partition_range_start"] == "2026-09-28"
    assert asked.tags["dagster/asset_partition_range_end"] == "2026-10-12"
    assert {dg.AssetKey("ledger_costs"), SHOWBACK} <= set(asked.asset_selection or ())


def test_with_nothing_out_of_date_everything_keeps_still_and_says_so(up_to_date, instance):
    assert look(instance)[0] == []
    assert ended(instance) == dg.SkipReason("Nothing is out of date.")
    assert daily() == dg.SkipReason("Nothing is out of date.")
    assert monday(instance) == dg.SkipReason("The week of 2026-10-12 is published. Nothing is out of date.")


def test_on_monday_a_week_that_is_not_published_is_asked_for(up_to_date, instance):
    for path in up_to_date.showback_export(MONDAY.date().replace(day=12)).iterdir():
        path.unlink()

    asked = monday(instance)

    assert isinstance(asked, dg.RunRequest)
    assert list(asked.asset_selection or ()) == list(EXPORTS)


def test_daily_asks_for_what_has_landed(root, instance):
    land_company(root)

    asked = daily()

    assert isinstance(asked, dg.RunRequest)
    assert asked.tags["tokenbooks/news"] == "2 files"


@pytest.mark.parametrize("job", [INGEST, TABLES], ids=lambda job: job.name)
def test_jobs_run_in_one_process_and_write_warnings_only(job):
    assert job.executor_def == dg.in_process_executor
    assert job.config == {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def test_a_run_at_work_is_no_fault_of_a_look(root, instance, monkeypatch):
    """A file that is taken away while it is looked at."""
    land_company(root)

    def vanished(*_):
        raise FileNotFoundError(2, "gone", str(Path("lake/x")))

    monkeypatch.setattr("assets.schedules.reading_books", vanished)

    assert look(instance) == ([], None)
    assert isinstance(daily(), dg.SkipReason)


def test_alerts_are_sent_by_dagster_only_where_the_settings_say_so_and_channels_are_there(root, instance):
    """Off from the start. Turned on, it asks once for what is new, and keeps still until alerts or channels change."""
    assert changed_alerts.default_status == dg.DefaultSensorStatus.STOPPED

    def ask(cursor: str | None) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
            return changed_alerts(context)

    assert isinstance(ask(None), dg.SkipReason)
    root.reference.mkdir(parents=True)
    (root.reference / "alert_channels.csv").write_text(
        "channel,kind,address_env\nops,slack,NOT_SET\n", encoding="utf-8"
    )
    asked = ask(None)
    assert isinstance(asked, dg.SensorResult)
    assert len(asked.run_requests or ()) == 1
    assert ask(asked.cursor) == dg.SkipReason("No alert has changed, and none waits.")
    assert ALERTS.execute_in_process(instance=instance).success


def test_the_end_of_a_month_is_asked_for_once_for_each_state_of_its_books(up_to_date, instance):
    """The newest call is of 2026-10-13: September is over and has no bill. The key of a run tells one state from the next."""
    asked = monthly(dg.build_schedule_context(instance=instance))

    assert isinstance(asked, dg.RunRequest)
    assert asked.tags["tokenbooks/months"] == "2026-09"
    again = monthly(dg.build_schedule_context(instance=instance))
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == asked.run_key
    up_to_date.settings.write_text("close_reconciled_months = true\n", encoding="utf-8")
    other = monthly(dg.build_schedule_context(instance=instance))
    assert isinstance(other, dg.RunRequest)
    assert other.run_key != asked.run_key


def test_the_job_brings_the_books_up_to_date_and_closes_no_month_without_its_bill(up_to_date, instance):
    """A call of November ends October too. Neither month has a bill, so neither is closed though the settings would have it."""
    up_to_date.settings.write_text("close_reconciled_months = true\n", encoding="utf-8")
    land_calls(up_to_date, "d.jsonl", call(6, "2026-11-02T10:00:00Z"))

    done = MONTH_END.execute_in_process(instance=instance, run_config=QUIET)

    [output] = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    said = output.event_specific_data.metadata
    assert said["waits"].value == "2026-09, 2026-10"
    assert "no invoice; its calls come to" in said["months"].value
    assert months_closed(up_to_date) == []
    assert (up_to_date.monthly_export("statements", "v1", date(2026, 10, 1)) / "manifest.json").is_file()


def test_before_a_month_is_over_nothing_is_asked_for(root, instance):
    assert monthly(dg.build_schedule_context(instance=instance)) == dg.SkipReason("No month that is over is open.")


def test_books_of_an_earlier_version_are_asked_a_run_that_brings_them_forward(up_to_date, instance):
    folder = up_to_date.table("staged_scores") / "day=2026-11-02"
    folder.mkdir(parents=True)
    (folder / "batch.parquet").write_bytes(b"")

    [asked], _ = look(instance)
    due = daily()

    assert [asked.tags["tokenbooks/news"], due.tags["tokenbooks/news"]] == ["books of an earlier version"] * 2
    assert isinstance(monday(instance), dg.SkipReason)
    assert isinstance(monthly(), dg.SkipReason)
