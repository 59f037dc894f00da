"""What leaves the books: one asset an export. It depends on every table, as a failed check anywhere holds it back."""

# Dagster reads the annotations of steps and wants them whole, so no `from __future__ import annotations`.
import dagster as dg

from assets.models import column_schema
from assets.runs import Materialized, Run
from pipelines import exports
from pipelines.models import Model, models

SHOWBACK = dg.AssetKey(["exports", "showback"])
_NAMED_AT_MOST = 20


def export_assets() -> list[dg.AssetsDefinition]:
    """Every export."""
    return [_showback(models()[exports.TABLE])]


def _showback(model: Model) -> dg.AssetsDefinition:
    columns = {column.name: column for column in model.columns}

    @dg.asset(
        key=SHOWBACK,
        deps=sorted(models()),
        group_name="exports",
        description=f"{model.about} A folder a week with a manifest, version {exports.SCHEMA_VERSION}.",
        metadata={"dagster/column_schema": column_schema(columns[name] for name in exports.SHOWBACK_V1)},
        kinds={"parquet", "csv"},
    )
    def publish(run: dg.ResourceParam[Run]) -> Materialized:
        # The faults of reference files belong to the run that publishes, whichever run brought the tables up to date.
        run.report.problems, _ = run.books.refresh_references()
        run.report.results = run.books.results
        run.report.is_blocked = bool(run.report.problems or run.report.failed)
        run.report.published += run.books.publish(run.report.problems)
        if run.report.is_blocked:
            reasons = [
                *map(str, run.report.problems),
                *(f"{r.table} {r.partition}: {r.message}" for r in run.report.failed),
            ]
            raise dg.Failure(
                description="Nothing was published, what was published before stays: "
                + "; ".join(reasons[:_NAMED_AT_MOST]),
                allow_retries=False,
            )
        return dg.MaterializeResult(
            metadata={
                "files written": len(run.report.published),
                "written": ", ".join(run.report.published[:_NAMED_AT_MOST]) or "nothing has changed",
            }
        )

    return publish
