"""What leaves the books: an asset an export. They depend on every table, as a failed check anywhere holds them back."""

# Dagster reads the annotations of steps and wants them whole, so no `from __future__ import annotations`.
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from assets.models import column_schema
from assets.runs import Materialized, Run
from pipelines import exports
from pipelines.contract import Column
from pipelines.exports import MONTHLY, MonthlyExport
from pipelines.models import models, star

SHOWBACK = dg.AssetKey(["exports", "showback"])
STAR = dg.AssetKey(["exports", "star"])
_NAMED_AT_MOST = 20


def export_key(export: MonthlyExport) -> dg.AssetKey:
    """``exports/focus_1_4``, ``exports/statements``."""
    version = "" if export.version == "v1" else "_" + export.version.replace(".", "_")
    return dg.AssetKey(["exports", f"{export.name}{version}"])


# Published together: what one of them says, all of them say.
EXPORTS = (SHOWBACK, STAR, *map(export_key, MONTHLY))
_FOLDERS = {SHOWBACK: "exports/showback/", STAR: "exports/star/"} | {
    export_key(export): f"exports/{export.name}/{export.version}/" for export in MONTHLY
}


def export_assets() -> list[dg.AssetsDefinition]:
    """Every export."""
    return [_exports()]


def _spec(key: dg.AssetKey, about: str, columns: Iterable[Column]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=sorted(models()),
        group_name="exports",
        description=about,
        metadata={"dagster/column_schema": column_schema(columns)},
        kinds={"parquet", "csv"},
    )


def _specs() -> Iterator[dg.AssetSpec]:
    showback = models()[exports.TABLE]
    columns = {column.name: column for column in showback.columns}
    about = f"{showback.about} A folder a week with a manifest, version {exports.SCHEMA_VERSION}."
    yield _spec(SHOWBACK, about, (*(columns[name] for name in exports.SHOWBACK_V1), exports.ROW_KEY_COLUMN))
    spend = star()["fact_spend_weekly"]
    about = f"Facts and dimensions for BI tools, a Parquet file each with a manifest: {', '.join(sorted(star()))}. {spend.about}"
    yield _spec(STAR, about, spend.columns)
    for export in MONTHLY:
        first, *_ = tables = list(export.models.values())
        about = " ".join(model.about for model in tables)
        yield _spec(
            export_key(export), f"{about} A folder a month with a manifest, version {export.version}.", first.columns
        )


def _exports() -> dg.AssetsDefinition:
    @dg.multi_asset(name="exports", specs=list(_specs()))
    def publish(run: dg.ResourceParam[Run]) -> Iterator[Materialized]:
        # The faults of reference files belong to the run that publishes, whichever run brought the tables up to date.
        run.report.problems, _ = run.books.refresh_references()
        run.report.remarks = run.books.price_remarks()
        run.books.judge()
        run.report.results = run.books.results
        run.report.is_blocked = bool(run.report.problems or run.report.failed)
        run.report.published += run.books.publish(run.report.problems)
        if run.report.is_blocked:
            reasons = [
                *map(str, run.report.problems),
                *(f"{r.table} {r.partition}: {r.message}" for r in run.report.failed),
            ]
            raise dg.Failure(
                description=f"Nothing was published, what was published before stays: {run.report.cause}. In full: "
                + "; ".join(reasons[:_NAMED_AT_MOST])
                + ". Mend what is named, then launch the job 'tables' or type 'tokenbooks run'.",
                allow_retries=False,
            )
        yield from export_results(run.report.published)

    return publish


def export_results(published: Sequence[str]) -> Iterator[Materialized]:
    """What was written of each export."""
    for key, folder in _FOLDERS.items():
        written = [name for name in published if name.startswith(folder)]
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "files written": len(written),
                "written": ", ".join(written[:_NAMED_AT_MOST]) or "nothing has changed",
            },
        )
