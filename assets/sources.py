"""What a run starts from: reference tables and the price book, one asset a source, one a staged shape."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache

# Dagster reads the annotations of steps and wants them whole, so no `from __future__ import annotations`.
import dagster as dg

from assets.models import column_schema
from assets.runs import Materialized, Run
from pipelines import landing
from pipelines.books import Books
from pipelines.contract import Shape, shapes
from pipelines.lake import CLOSED
from pipelines.models import models
from pipelines.reading import ReadReport
from pipelines.reference import REPORTING
from pipelines.reference.files import Problem
from pipelines.reference.tables import TABLES, ReferenceTable
from pipelines.sources import Source, sources

FILES = dg.AssetKey(["landing", "reference"])
_BOOK = {
    "ref_price_book": "Every rate that held or holds: the package's list prices, our rows over them, yours over both.",
    "ref_model_names": "Names that models go by in logs and on bills, and the model of the price book that each means.",
}
_BOOK_INPUTS = ["ref_prices", "ref_model_aliases"]
# What decides which attributes of a record are kept.
_KEPT_BY = ["ref_attribution_rules", "ref_dimensions"]
_NAMED_AT_MOST = 20


def landing_key(source: str) -> dg.AssetKey:
    """The asset that stands for the files of a source."""
    return dg.AssetKey(["landing", source])


@cache
def source_assets() -> Sequence[dg.AssetsDefinition]:
    """All of them, in the order of a row's journey."""
    found = sources().values()
    register = _staged_asset(landing.TABLE, _first_line(landing.FileVersion), list(found), None)
    staged = [_shape_asset(shape, [s for s in found if _fills(s, shape)]) for shape in shapes().values()]
    return [_references(), *(_source_asset(source) for source in found), register, *staged]


def _references() -> dg.AssetsDefinition:
    files = dg.AssetSpec(
        FILES,
        group_name="landing",
        description="The CSV files that people edit: those of reference/ win over ours where keys are equal.",
        kinds={"csv"},
    )
    specs = [files]
    specs += [
        dg.AssetSpec(
            table.table,
            deps=[FILES],
            group_name="reference",
            description=table.about,
            metadata={"dagster/column_schema": _written_columns(table)},
            kinds={"parquet"},
        )
        for table in TABLES.values()
    ]
    specs += [
        dg.AssetSpec(name, deps=_BOOK_INPUTS, group_name="reference", description=about, kinds={"parquet"})
        for name, about in _BOOK.items()
    ]
    specs.append(
        dg.AssetSpec(
            REPORTING,
            deps=[FILES],
            group_name="reference",
            description="The time zone that weeks of reports begin in, from settings.toml.",
            kinds={"parquet"},
        )
    )
    specs += [
        dg.AssetSpec(
            table,
            group_name="closed",
            description=f"{table.removeprefix(CLOSED)} as it was when its months were closed.",
            kinds={"parquet"},
        )
        for table in sorted(
            {table for model in models().values() for table in model.inputs if table.startswith(CLOSED)}
        )
    ]
    # What publishing asks for, not what the tables do: a faulty one keeps what it last held.
    faultless = dg.AssetCheckSpec("no_fault", asset=FILES, description="No line of a reference file has a fault.")

    @dg.multi_asset(name="references", specs=specs, check_specs=[faultless])
    def refresh(context: dg.AssetExecutionContext, run: dg.ResourceParam[Run]) -> Iterator[Materialized]:
        report = run.report
        report.problems, report.notes = run.books.refresh_references()
        report.remarks = run.books.price_remarks()
        for remark in report.remarks:
            context.log.warning(remark)
        for problem in report.problems:
            context.log.error(str(problem))
        yield files_result(report.problems)
        for spec in specs[1:]:
            [table] = spec.key.path
            yield reference_result(run.books, table, report.notes)

    return refresh


def files_result(problems: Sequence[Problem]) -> Materialized:
    """The verdict on the files that people edit."""
    verdict = dg.AssetCheckResult(
        passed=not problems,
        asset_key=FILES,
        check_name="no_fault",
        description=str(problems[0]) if problems else None,
        metadata={"faults": "\n".join(map(str, problems[:_NAMED_AT_MOST]))},
    )
    return dg.MaterializeResult(asset_key=FILES, check_results=[verdict])


def reference_result(books: Books, table: str, notes: Sequence[str]) -> Materialized:
    """Rows and columns of a reference table, and what the price book has to say."""
    metadata = _held(books, table)
    if table in _BOOK:
        metadata["notes"] = dg.MarkdownMetadataValue("\n".join(f"- {note}" for note in notes) or "none new")
    return dg.MaterializeResult(asset_key=dg.AssetKey(table), metadata=metadata)


def _source_asset(source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        key=landing_key(source.name),
        deps=_KEPT_BY if source.keeps_attributes else [],
        group_name="landing",
        description=source.about,
        metadata={"fills": ", ".join(shapes()[name].table for name in source.queries)},
    )
    def read(context: dg.AssetExecutionContext, run: dg.ResourceParam[Run]) -> Materialized:
        report = run.books.read_landing(full=run.full, only=source.name)
        for warning in report.warnings:
            if warning not in run.report.read.warnings:
                context.log.warning(warning)
                run.report.read.warnings.append(warning)
        run.report.read.files_read += report.files_read
        run.report.read.files_listed += report.files_listed
        return source_result(source.name, report)

    return read


def source_result(source: str, report: ReadReport) -> Materialized:
    """What was read of the files of a source."""
    versions = [version for version in report.files_read if version.source == source]
    return dg.MaterializeResult(
        asset_key=landing_key(source),
        metadata={
            "files in landing": report.files_listed[source],
            "files read": len(versions),
            "records read": sum(version.records for version in versions),
            "records quarantined": sum(version.quarantined for version in versions),
            "read": ", ".join(version.path for version in versions[:_NAMED_AT_MOST]) or "nothing new",
        },
    )


def _shape_asset(shape: Shape, filled_by: Sequence[Source]) -> dg.AssetsDefinition:
    return _staged_asset(shape.table, shape.about, filled_by, column_schema(shape.columns))


def _staged_asset(
    table: str, about: str, filled_by: Sequence[Source], schema: dg.TableSchema | None
) -> dg.AssetsDefinition:
    @dg.asset(
        name=table,
        deps=[landing_key(source.name) for source in filled_by],
        group_name="staged",
        description=about,
        metadata={"dagster/column_schema": schema} if schema else {},
        kinds={"parquet"},
    )
    def stage(run: dg.ResourceParam[Run]) -> Materialized:
        return staged_result(run.books, table)

    return stage


def staged_result(books: Books, table: str) -> Materialized:
    """Rows and days of a staged shape, or of the register of files, whose columns no header says."""
    metadata = _held(books, table)
    metadata["days"] = len({part.start for part in books.lake.parts(table)})
    if table != landing.TABLE:
        del metadata["dagster/column_schema"]
    return dg.MaterializeResult(asset_key=dg.AssetKey(table), metadata=metadata)


def tables_filled_by(names: Collection[str]) -> list[str]:
    """The register of files and the staged shapes that some sources fill."""
    found = [source for source in sources().values() if source.name in names]
    filled = [shape.table for shape in shapes().values() if any(_fills(source, shape) for source in found)]
    return [landing.TABLE, *filled]


def _fills(source: Source, shape: Shape) -> bool:
    """Refusals come from every source, the other shapes from those that have a query for them."""
    return shape.name in source.queries or shape.name == "refusals"


def _held(books: Books, table: str) -> dict[str, dg.MetadataValue | dg.TableSchema | int]:
    """Rows and columns of an unpartitioned table as the lake has it."""
    types = books.planner.types(table, books.con)
    return {
        "dagster/row_count": sum(part.rows for part in books.lake.parts(table)),
        "dagster/column_schema": dg.TableSchema([dg.TableColumn(name, type_) for name, type_ in types.items()]),
    }


def _written_columns(table: ReferenceTable) -> dg.TableSchema:
    """The columns as people write them in the file."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                field.name,
                field.kind,
                f"one of {', '.join(field.allowed)}" if field.allowed else None,
                constraints=dg.TableColumnConstraints(nullable=not field.required),
            )
            for field in table.fields
        ]
    )


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").split(".")[0] + "."
