"""What Dagster is shown: the tables as their SQL files have them, and nothing said twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.definitions import defs
from assets.exports import EXPORTS, SHOWBACK
from assets.sources import FILES, landing_key
from pipelines.contract import shapes
from pipelines.exports import SHOWBACK_V1
from pipelines.models import Model, models
from pipelines.reference.tables import TABLES
from pipelines.sources import sources

SNAPSHOT = Path(__file__).with_name("snapshot.json")
GRAPH = defs.resolve_asset_graph()
COLUMN_SCHEMA = "dagster/column_schema"


def shown() -> dict[str, Any]:
    """Names that others hold on to: in bookmarks, in scripts that call `dg launch`, in the history of runs."""
    repository = defs.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return {
        "assets": sorted(key.to_user_string() for key in GRAPH.materializable_asset_keys),
        "jobs": sorted(job.name for job in jobs),
        "schedules": {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs},
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    }


def parents(table: str) -> set[str]:
    return {key.to_user_string() for key in GRAPH.get(dg.AssetKey(table)).parent_keys}


def schema_of(key: dg.AssetKey) -> dict[str, tuple[str, str | None]]:
    return {c.name: (c.type, c.description) for c in GRAPH.get(key).metadata[COLUMN_SCHEMA].columns}


def test_the_definitions_can_be_loaded():
    dg.Definitions.validate_loadable(defs)


def test_names_of_assets_jobs_schedules_and_sensors_are_as_committed():
    """Meant to be otherwise? ``python -m tests.assets.test_definitions`` writes the snapshot anew."""
    assert shown() == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_no_asset_depends_on_one_that_nothing_makes():
    """A misspelt input would show as a table of somebody else's."""
    assert GRAPH.get_all_asset_keys() == GRAPH.materializable_asset_keys


@pytest.mark.parametrize("model", models().values(), ids=lambda model: model.name)
def test_a_table_depends_on_what_its_query_reads(model: Model):
    assert parents(model.name) == model.inputs - {model.name}


@pytest.mark.parametrize("model", models().values(), ids=lambda model: model.name)
def test_a_table_is_described_by_its_header(model: Model):
    node = GRAPH.get(dg.AssetKey(model.name))

    assert node.description == model.about
    assert schema_of(node.key) == {column.name: (column.type, column.meaning) for column in model.columns}


@pytest.mark.parametrize("model", models().values(), ids=lambda model: model.name)
def test_the_checks_of_a_header_are_an_asset_check_that_blocks_and_one_that_warns(model: Model):
    keys = GRAPH.get_check_keys_for_assets({dg.AssetKey(model.name)})
    specs = {key.name: GRAPH.get_check_spec(key) for key in keys}
    said = {name: set((spec.description or "").splitlines()) for name, spec in specs.items()}

    expected: dict[str, set[str]] = {}
    for check in model.checks:
        name = "critical" if check.severity == "critical" else "warning"
        expected.setdefault(name, set()).add(f"- {check.id}: {check.text}")
    assert said == expected
    assert {name: spec.blocking for name, spec in specs.items()} == {name: name == "critical" for name in expected}


def test_a_staged_shape_depends_on_the_sources_that_fill_it():
    for shape in shapes().values():
        fill_it = [s.name for s in sources().values() if shape.name in s.queries or shape.name == "refusals"]

        assert parents(shape.table) == {landing_key(name).to_user_string() for name in fill_it}
        assert schema_of(dg.AssetKey(shape.table)) == {c.name: (c.type, c.meaning) for c in shape.columns}


def test_every_source_has_an_asset_and_every_reference_table_comes_from_the_files():
    assert {landing_key(name) for name in sources()} <= GRAPH.materializable_asset_keys
    assert all(parents(table.table) == {FILES.to_user_string()} for table in TABLES.values())


def test_an_export_waits_for_every_table_as_a_failed_check_anywhere_holds_it_back():
    for export in EXPORTS:
        assert {key.to_user_string() for key in GRAPH.get(export).parent_keys} == set(models())
    assert list(schema_of(SHOWBACK)) == [*SHOWBACK_V1, "row_key"]


def test_partitioned_tables_count_in_weeks_and_a_range_is_one_run():
    for model in models().values():
        node = GRAPH.get(dg.AssetKey(model.name))
        if model.partition is None:
            assert node.partitions_def is None
        else:
            assert isinstance(node.partitions_def, dg.WeeklyPartitionsDefinition)
            assert node.backfill_policy == dg.BackfillPolicy.single_run()


def test_the_tables_are_built_by_the_job_of_that_name():
    keys = defs.resolve_job_def("tables").asset_layer.selected_asset_keys

    assert keys == {*(dg.AssetKey(name) for name in models()), *EXPORTS}


def test_both_jobs_together_run_every_asset_once():
    ingest, tables = (defs.resolve_job_def(name).asset_layer.selected_asset_keys for name in ("ingest", "tables"))

    assert not ingest & tables
    assert ingest | tables == GRAPH.materializable_asset_keys


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(shown(), indent=2) + "\n", encoding="utf-8")
