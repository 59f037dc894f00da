"""Everything that Dagster shows and runs."""

from __future__ import annotations

import warnings

import dagster as dg

from assets.alerts import ALERTS, changed_alerts
from assets.exports import export_assets
from assets.models import table_asset
from assets.month_end import MONTH_END, monthly
from assets.runs import books_of_a_run
from assets.schedules import INGEST, TABLES, daily, landing, rebuild, weekly
from assets.sources import source_assets
from pipelines.models import models

with warnings.catch_warnings():
    # It says so of a parameter that it has had for years, backfill_policy.
    warnings.filterwarnings("ignore", ".* is currently in beta", dg.BetaWarning)
    _tables = [table_asset(model) for model in models().values()]

defs = dg.Definitions(
    assets=[*source_assets(), *_tables, *export_assets()],
    jobs=[INGEST, TABLES, MONTH_END, ALERTS],
    schedules=[daily, weekly, monthly],
    sensors=[landing, rebuild, changed_alerts],
    resources={"run": books_of_a_run},
    executor=dg.in_process_executor,
)
