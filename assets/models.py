"""One asset a model: its name, inputs, columns and checks are those of its SQL file, its step is Books.build."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

# Dagster reads the annotations of steps and wants them whole, so no `from __future__ import annotations`.
import dagster as dg

from assets.checks import check_results, check_specs
from assets.runs import Materialized, Run
from assets.weeks import FIRST_WEEK, WEEKS, span_of
from pipelines.books import Books
from pipelines.contract import Column
from pipelines.figures import weekly_figures
from pipelines.lake import Part
from pipelines.models import Model
from pipelines.periods import EVER, Span, end_of, periods
from pipelines.runner import Built

_NAMED_AT_MOST = 60


def table_asset(model: Model) -> dg.AssetsDefinition:
    """The asset of one table."""
    is_partitioned = model.partition is not None

    @dg.asset(
        name=model.name,
        deps=sorted(model.inputs - {model.name}),
        group_name=model.subject,
        description=model.about,
        metadata={"dagster/column_schema": column_schema(model.columns), "grain": ", ".join(model.grain)},
        kinds={"duckdb", "parquet"},
        code_version=model.version[:12],
        partitions_def=WEEKS if is_partitioned else None,
        backfill_policy=dg.BackfillPolicy.single_run() if is_partitioned else None,
        check_specs=check_specs(model),
    )
    def build(context: dg.AssetExecutionContext, run: dg.ResourceParam[Run]) -> Materialized:
        weeks = span_of(context.partition_keys) if is_partitioned else EVER
        # A new day can change what is said of any month (the books' clock moves on); all weeks of those need not be run.
        window = run.window if model.partition == "month" else _overlap(run.window, weeks)
        built = run.books.build(model.name, full=run.full, window=window)
        if built.partitions or built.removed:
            run.report.built.append(built)
        if is_partitioned:
            for week, figures in weekly_metadata(run.books, model, context.partition_keys).items():
                context.add_asset_metadata(figures, partition_key=week)
        return table_result(run.books, built, weeks)

    return build


def table_result(books: Books, built: Built, weeks: Span = EVER) -> Materialized:
    """What was built of a table, the rows that it has in ``weeks``, and the verdict on its checks."""
    model = built.model
    parts = [part for part in books.lake.parts(model.name) if _lies_in(model, part, weeks)]
    return dg.MaterializeResult(
        asset_key=dg.AssetKey(model.name),
        metadata=_metadata(built, parts),
        check_results=check_results(model, books.results_of(model.name)),
    )


def weekly_metadata(books: Books, model: Model, weeks: Sequence[str]) -> dict[str, dict[str, int | float]]:
    """What Dagster plots of each week of a table: its rows, and dollars and shares where the table has them."""
    first, last = (date.fromisoformat(str(key)) for key in (FIRST_WEEK, WEEKS.get_last_partition_key()))
    rows: dict[str, int] = dict.fromkeys(weeks, 0)
    for part in books.lake.parts(model.name):
        for week in _weeks_of(model, part, first, last):
            if week in rows:
                rows[week] += part.rows
    figures = weekly_figures(books, model.name, span_of(weeks), first, last) if weeks else {}
    return {
        week: {"dagster/row_count": number, **figures.get(date.fromisoformat(week), {})}
        for week, number in rows.items()
    }


def _weeks_of(model: Model, part: Part, first: date, last: date) -> Iterator[str]:
    """The Dagster partitions that a period lies in: a month in several."""
    if model.partition is None or part.start is None:
        return
    found = periods("week", part.start, end_of(model.partition, part.start))
    yield from dict.fromkeys(min(max(week, first), last).isoformat() for week in found)


def column_schema(columns: Iterable[Column]) -> dg.TableSchema:
    """Columns of a header, or of a staged shape, for Dagster's pages."""
    return dg.TableSchema([dg.TableColumn(column.name, column.type, column.meaning) for column in columns])


def _metadata(built: Built, parts: list[Part]) -> dict[str, int | str]:
    metadata: dict[str, int | str] = {
        "dagster/row_count": sum(part.rows for part in parts),
        "partitions built": len(built.partitions),
        "partitions with other rows than before": len(built.changed),
        "rows built": built.rows,
    }
    if built.partitions:
        metadata["built"] = ", ".join(built.partitions[:_NAMED_AT_MOST])
    if built.removed:
        metadata["removed"] = ", ".join(built.removed[:_NAMED_AT_MOST])
    return metadata


def _overlap(one: Span, other: Span) -> Span:
    firsts = [span.first for span in (one, other) if span.first]
    ends = [span.end for span in (one, other) if span.end]
    return Span(max(firsts, default=None), min(ends, default=None))


def _lies_in(model: Model, part: Part, weeks: Span) -> bool:
    return (
        model.partition is None or part.start is None or weeks.overlaps(part.start, end_of(model.partition, part.start))
    )
