"""Dagster's instance keeps many events in one transaction."""

from __future__ import annotations

import os

import dagster as dg
import pytest

from assets.storage import EventLog


def fail_within(storage: EventLog, instance: dg.DagsterInstance) -> None:
    with storage.at_once():
        instance.report_runless_asset_event(dg.AssetMaterialization("lost"))
        raise ZeroDivisionError


def test_events_are_kept_at_once_or_not_at_all(instance):
    """Three weeks of a table are there after the batch; of a batch that fails nothing is."""
    storage = instance.event_log_storage
    assert isinstance(storage, EventLog)
    # Runs and steps hand over so many together.
    assert int(os.environ["DAGSTER_EVENT_BATCH_SIZE"]) > 1

    with storage.at_once():
        for week in ("2026-10-05", "2026-10-12", "2026-10-19"):
            instance.report_runless_asset_event(dg.AssetMaterialization("kept", partition=week))
    with pytest.raises(ZeroDivisionError):
        fail_within(storage, instance)

    assert instance.get_materialized_partitions(dg.AssetKey("kept")) == {"2026-10-05", "2026-10-12", "2026-10-19"}
    assert instance.get_latest_materialization_event(dg.AssetKey("lost")) is None
