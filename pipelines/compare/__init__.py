"""Two sides, one list of prices: what a call and a task cost on each, for the same work, and whether the difference is real.

Logs are staged and all is priced in a folder of its own; the books are only read.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from pipelines import paths, reference
from pipelines.books import Books, open_books
from pipelines.compare.sides import COLUMNS, NoSide, Side, what_there_is
from pipelines.contract import TOKEN_CLASSES
from pipelines.engine import named_rows, one_row, quoted
from pipelines.lake import Lake
from pipelines.models import expanded, models
from pipelines.paths import DataRoot
from pipelines.periods import EVER
from pipelines.planner import Planner
from pipelines.relations import create_view
from pipelines.runner import build
from pipelines.words import things

SOURCE = "app_log"
BASE, HEAD = "base", "head"
# One call with the same ids on both sides is no call that two tools saw.
_NOT_BUILT = frozenset({"ledger_same_calls"})
_LIMITS = (
    "release_p",
    "release_cost_change",
    "release_improvement",
    "release_concurrent_days",
    "drift_min_change",
    "unpriced_warn_share",
)
_CLUSTERS = ("user", "customer", "session", "task")
# Dimensions that are columns of a call: what a side may name, but for those of very many values, and two more.
BY_COLUMN = {
    **{key: column for key, column in COLUMNS.items() if key not in ("customer", "workflow")},
    "environment": "nullif(environment, 'unattributed')",
    "prompt_version": "case when prompt_version is not null then concat_ws('@', prompt_name, prompt_version) end",
    "step": "workflow_step",
    "region": "region",
}


@dataclass(frozen=True)
class Measured:
    """What was measured of the sides; ``changes`` has a row for each scope and measure."""

    sides: tuple[Side, ...]
    priced_on: date
    is_concurrent: bool
    limits: dict[str, float]
    totals: dict[str, dict[str, Any]]
    changes: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    models: list[dict[str, Any]]
    dimensions: list[dict[str, Any]]
    problems: tuple[str, ...]


def measure(
    root: DataRoot,
    sides: Sequence[Side],
    *,
    priced_on: date | None = None,
    by: Sequence[str] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Measured:
    """Measure one or two sides, base first, all at the prices of one day: by default that of the newest call of the last side.

    Raises NoSide where a side has no calls.
    """
    names = (BASE, HEAD) if len(sides) == 2 else (HEAD,)
    with _scratch(root, dict(zip(names, sides, strict=True)), by, progress) as (books, problems):
        con = books.con
        _create_references(books)
        for name, side in zip(names, sides, strict=True):
            try:
                _select(books, name, side)
            except NoSide as error:
                # Why a log has no calls is said by what was refused of it.
                raise NoSide("\n".join([str(error), *problems])) from None
        _unite(con, names)
        day = (
            priced_on
            or one_row(
                con,
                f"select max(cast(started_at as date)) from compare_calls where side = '{names[-1]}' and is_selected",
            )[0]
        )
        progress(f"pricing both sides as of {day}")
        _price(con, day)
        con.execute(f"create temp table all_units as {_query('compare_units')}")
        limits = _limits(con, day)
        is_concurrent = _narrow(con, sides, limits)
        for name, side in zip(names, sides, strict=True):
            _cluster(con, name, side, limits)
        con.execute(
            "create temp table compare_units as " + " union all by name ".join(f"from {name}_units" for name in names)
        )
        con.execute(
            "create temp table compare_terms as select ? as is_concurrent, ?::date as judged_date", [is_concurrent, day]
        )
        return Measured(
            tuple(sides),
            day,
            is_concurrent,
            limits,
            {row["side"]: row for row in named_rows(con, _TOTALS)},
            named_rows(con, _query("compare_changes")) if len(sides) == 2 else [],
            named_rows(con, _classes()),
            named_rows(con, _MODELS),
            [row for one in by for row in _by(con, one)],
            (*problems, *_remarks(con, by)),
        )


def _remarks(con: duckdb.DuckDBPyConnection, by: Sequence[str]) -> list[str]:
    """Models without a price, and dimensions that no call tells."""
    found = [
        f"No price for {model!r} ({provider}): {things(number, 'request')}. "
        "Add rows to reference/prices.csv, or an alias if it goes by another name."
        for model, provider, number in con.execute(
            """select model_canonical, provider, count(*) from compare_units where counted = 'request' and is_unpriced
            group by model_canonical, provider order by count(*) desc, model_canonical"""
        ).fetchall()
    ]
    for dimension in by:
        if (
            dimension not in BY_COLUMN
            and not one_row(con, f"select count(*) from compare_units where {_told(con, dimension)} is not null")[0]
        ):
            found.append(
                f"No call tells {dimension!r}: it is neither one of {', '.join(BY_COLUMN)}, "
                "nor in the metadata of a log, nor kept by dimensions.csv."
            )
    return found


_TOTALS = """
select
    side,
    count(*) filter (where counted = 'request') as requests,
    count(*) filter (where counted = 'request' and is_unpriced) as unpriced_requests,
    cast(sum(unit_cost_usd) filter (where counted = 'request') as decimal(38, 15)) as cost_usd,
    count(*) filter (where counted = 'task') as tasks,
    min(usage_date) as first_date,
    max(usage_date) as last_date,
    count(distinct feature) as features,
    count(*) filter (where counted = 'request' and is_own_price) as own_price_requests
from compare_units group by side order by side
"""
_MODELS = """
select
    provider,
    model_canonical,
    count(*) filter (where side = 'base') as base_requests,
    count(*) filter (where side = 'head') as requests,
    cast(sum(unit_cost_usd) filter (where side = 'base') as decimal(38, 15)) as base_cost_usd,
    cast(sum(unit_cost_usd) filter (where side = 'head') as decimal(38, 15)) as cost_usd,
    base_requests / nullif(cast(sum(base_requests) over () as double), 0) as base_request_share,
    requests / nullif(cast(sum(requests) over () as double), 0) as request_share
from compare_units where counted = 'request'
group by provider, model_canonical order by greatest(coalesce(base_request_share, 0), coalesce(request_share, 0)) desc, model_canonical
"""


def _classes() -> str:
    """Tokens and cost of each class, for each class that there is."""
    parts = []
    for place, one in enumerate(TOKEN_CLASSES):
        sums = ", ".join(
            f"""cast(sum({one.tokens}) filter (where side = '{side}') as bigint) as {prefix}tokens,
            sum({one.tokens}) filter (where side = '{side}')
                / nullif(cast(count(*) filter (where side = '{side}') as double), 0) as {prefix}tokens_per_request,
            cast(sum({one.name}_cost_usd) filter (where side = '{side}') as decimal(38, 15)) as {prefix}cost_usd"""
            for side, prefix in ((BASE, "base_"), (HEAD, ""))
        )
        parts.append(
            f"select '{one.name}' as token_class, {place} as place, {sums} from compare_units where counted = 'request'"
        )
    return f"""select * exclude (place) from ({" union all ".join(parts)})
        where coalesce(base_tokens, 0) > 0 or coalesce(tokens, 0) > 0 order by place"""


@contextmanager
def _scratch(
    root: DataRoot, sides: dict[str, Side], by: Sequence[str], progress: Callable[[str], None]
) -> Iterator[tuple[Books, list[str]]]:
    """Books of a folder that goes when all is done, with the prices and settings of a data root, and its logs staged."""
    with tempfile.TemporaryDirectory(prefix="tokenbooks-compare-") as folder:
        scratch = DataRoot(Path(folder) / "books")
        scratch.path.mkdir()
        if root.reference.is_dir():
            shutil.copytree(root.reference, scratch.reference)
        if root.settings.is_file():
            shutil.copyfile(root.settings, scratch.settings)
            from pipelines.settings import load

            if key := load(root.settings).pseudonym_key_file:
                (scratch.path / key).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root.path / key, scratch.path / key)
        logs = {name: side for name, side in sides.items() if side.log}
        for name, side in logs.items():
            _lay(scratch, name, Path(str(side.log)))
        with open_books(scratch, progress) as books:
            books.settings = replace(
                books.settings, keep_attributes=tuple(sorted({*books.settings.keep_attributes, *by}))
            )
            faults, _ = books.refresh_references()
            problems = [str(fault) for fault in faults]
            if logs:
                report = books.read_landing()
                problems += _refused(books, logs) + [text for text in report.warnings if "landing/" not in text]
                wanted = _upstream("ledger_requests") - _NOT_BUILT
                for table in books.models:
                    if table in wanted:
                        # Not to be published, so its checks are not counted.
                        build(books.con, books.lake, books.planner, books.plan(table))
            yield books, problems


def _lay(scratch: DataRoot, name: str, log: Path) -> None:
    """A log, or every file of a folder of logs, where the reader looks for it, as an account of its own."""
    files = (
        [log]
        if log.is_file()
        else sorted(one for one in log.rglob("*") if one.is_file() and not one.name.startswith("."))
    )
    if not files:
        raise NoSide(f"{log}: a folder without files.")
    place = scratch.landing / SOURCE / f"compare_{name}"
    for number, file in enumerate(files):
        target = place / f"{number:06}" / file.name
        target.parent.mkdir(parents=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)


def _refused(books: Books, logs: dict[str, Side]) -> list[str]:
    found = []
    for one in books.refused():
        file, reasons = Path(one["file"]), one["refusals"]
        name = file.parts[2].removeprefix("compare_")
        line = f"line {reasons[0]['line']}: " if reasons and reasons[0].get("line") else ""
        first = f": {line}{reasons[0].get('reason')}" if reasons else ""
        side = logs[name]
        where = side.text if side.log and side.log.is_file() else f"{side.text}, {file.name}"
        found.append(
            f"{where}: {one['quarantined']:,} of {one['records']:,} lines cannot be read{first}. "
            "They are in neither side."
        )
    return found


def _upstream(table: str) -> set[str]:
    found: set[str] = set()
    left = [table]
    while left:
        name = left.pop()
        if name in models() and name not in found:
            found.add(name)
            left += models()[name].inputs
    return found


def _query(name: str) -> str:
    return expanded(paths.SQL / "parts" / f"{name}.sql", paths.SQL)


def _create_references(books: Books) -> None:
    """Views of the reference tables that prices, tasks and limits are read from."""
    con, lake, planner = books.con, books.lake, books.planner
    wanted = {name for table in ("ledger_rates", "ledger_costs", "ledger_tasks") for name in models()[table].inputs}
    references = {one for one in wanted if one.startswith("ref_")}
    for name in sorted(references | {"ref_thresholds", "ref_dimensions", reference.REPORTING}):
        if name != "ref_limits":
            planner.create_view(con, name, EVER)
    con.execute(f"create or replace temp view ref_limits as {models()['ref_limits'].query}")
    # Prices of own GPUs are those of their hours: such calls keep the price that they were booked at.
    for name in ("ledger_gpu_rates", "ledger_scores"):
        create_view(con, lake, name, [], planner.types(name, con))


def _columns() -> list[str]:
    """The columns of a call that any of the queries reads."""
    text = " ".join(
        [*(models()[name].query for name in ("ledger_rates", "ledger_costs", "ledger_tasks")), _query("compare_units")]
    )
    words = set(re.findall(r"\w+", text)) | {"request_key", "started_at"}
    return [name for name in models()["ledger_requests"].types if name in words]


def _select(books: Books, name: str, side: Side) -> None:
    """The calls of a side, and those of its tasks, as ``<name>_calls``; what they were booked at as ``<name>_booked``."""
    con = books.con
    lake = books.lake if side.log else Lake(side.root)
    planner = books.planner if side.log else Planner(lake, models())
    if not side.log and not lake.parts("ledger_requests"):
        raise NoSide(
            f"{side.text}: there are no books at {side.root.path} yet. Run 'tokenbooks run', or name a file of app_log lines."
        )
    planner.create_view(con, "ledger_requests", side.days_around, f"{name}_ledger")
    account = f" and source_account = 'compare_{name}'" if side.log else ""
    day = "cast(started_at at time zone (select reporting_time_zone from ref_reporting) as date)"
    chosen = f"is_billable_leaf{account} and {side.condition(day)}"
    if not one_row(con, f"select count(*) from {name}_ledger where {chosen}")[0]:
        planner.create_view(con, "ledger_requests", EVER, f"{name}_all")
        con.execute(f"create temp view {name}_seen as from {name}_all where is_billable_leaf{account}")
        raise NoSide(what_there_is(con, side, f"{name}_seen"))
    columns = ", ".join(f'"{column}"' for column in _columns())
    con.execute(
        f"""create temp table {name}_calls as
        select {columns}, coalesce({chosen}, false) as is_selected, '{name}' as side
        from {name}_ledger
        where is_billable_leaf{account} and (({chosen}) or (source_account, task_id) in (
            select (source_account, task_id) from {name}_ledger where {chosen} and task_id is not null
        ))"""
    )
    costs = models()["ledger_costs"]
    found = [] if side.log else planner.files("ledger_costs", side.days_around)
    create_view(con, lake, f"{name}_costs", found, costs.types, costs.dated)
    con.execute(
        f"""create temp table {name}_booked as select c.request_key, c.effective_cost_usd, {_class_costs("c")}
        from {name}_costs as c semi join {name}_calls as r on c.request_key = r.request_key"""
    )


def _class_costs(alias: str) -> str:
    return ", ".join(f"{alias}.{one.name}_cost_usd" for one in TOKEN_CLASSES)


def _unite(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Both sides under keys of their own: a call may be on both."""
    calls = " union all by name ".join(f"from {name}_calls" for name in names)
    con.execute(
        f"""create temp table compare_calls as
        select * replace (side || '|' || request_key as request_key, side || '|' || source_account as source_account) from ({calls})"""
    )
    booked = " union all ".join(
        f"select * replace ('{name}|' || request_key as request_key) from {name}_booked" for name in names
    )
    con.execute(f"create temp table compare_booked as {booked}")
    con.execute("create temp table compare_sides as select request_key, side, is_selected from compare_calls")


def _price(con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Cost of all calls by the queries of the ledger as if each had been made on one day, at its own time of day."""
    con.execute(
        f"""create or replace temp view ledger_requests as select * exclude (side, is_selected) replace (
            timestamptz '{day} 00:00:00+00' + (started_at - date_trunc('day', started_at)) as started_at
        ) from compare_calls"""
    )
    con.execute(f"create or replace temp table ledger_rates as {models()['ledger_rates'].query}")
    con.execute(f"create temp table priced_costs as {models()['ledger_costs'].query}")
    con.execute(
        "create or replace temp view ledger_requests as select * exclude (side, is_selected) from compare_calls"
    )
    classes = ", ".join(
        f"case when p.effective_cost_usd is null then b.{one.name}_cost_usd else p.{one.name}_cost_usd end as {one.name}_cost_usd"
        for one in TOKEN_CLASSES
    )
    con.execute(
        f"""create temp table ledger_costs as
        select
            q.request_key, q.started_at, coalesce(p.effective_cost_usd, b.effective_cost_usd) as effective_cost_usd, {classes},
            p.effective_cost_usd is null and b.effective_cost_usd is not null as is_own_price
        from compare_calls as q
        left join priced_costs as p on q.request_key = p.request_key
        left join compare_booked as b on q.request_key = b.request_key"""
    )
    con.execute(f"create temp table ledger_tasks as {models()['ledger_tasks'].query}")


def _limits(con: duckdb.DuckDBPyConnection, day: date) -> dict[str, float]:
    rows = con.execute(
        """select limit_name, threshold_number from ref_limits
        where scope_kind = '' and valid_from_date <= ? and valid_to_date > ?
            and (limit_name like 'compare_%' or list_contains(?::varchar[], limit_name))""",
        [day, day, list(_LIMITS)],
    ).fetchall()
    return {name: float(value) for name, value in rows}


def _narrow(con: duckdb.DuckDBPyConnection, sides: Sequence[Side], limits: dict[str, float]) -> bool:
    """Where both sides of one ledger served on the same days, and enough on these, those days alone are compared."""
    if len(sides) < 2 or any(side.log for side in sides) or sides[0].root != sides[1].root:
        return False
    shared = (
        "select usage_date from all_units where counted = 'request' group by usage_date having count(distinct side) = 2"
    )
    days, *_ = one_row(con, f"select count(*) from ({shared})")
    fewest, *_ = one_row(
        con,
        f"""select coalesce(min(units), 0) from (
            select side, count(*) as units from all_units where counted = 'request' and usage_date in ({shared}) group by side
        )""",
    )
    if days < limits["release_concurrent_days"] or fewest < limits["compare_min_units"]:
        return False
    con.execute(f"delete from all_units where usage_date not in ({shared})")
    return True


def _cluster(con: duckdb.DuckDBPyConnection, name: str, side: Side, limits: dict[str, float]) -> None:
    """The units of a side with what is independent of each other: users as in every table, in a test run its cases."""
    key = """coalesce(
        'user|' || user_id, 'customer|' || customer_id, 'session|' || session_id,
        concat_ws('|', usage_date, feature, workflow_step, prompt_name)
    )"""
    if side.log:
        counts = one_row(
            con,
            f"""select {", ".join(f"count(distinct {one}_id)" for one in _CLUSTERS)} from all_units
            where side = '{name}' and counted = 'request'""",
        )
        enough = [one for one, count in zip(_CLUSTERS, counts, strict=True) if count >= limits["compare_min_clusters"]]
        most = max(zip(counts, _CLUSTERS, strict=True), key=lambda pair: pair[0])
        unit = enough[0] if enough else most[1] if most[0] else None
        call = "'call|' || u.request_key"
        key = f"coalesce('{unit}|' || {unit}_id, {call})" if unit else call
    con.execute(
        f"""create temp table {name}_units as
        select u.*, {key} as cluster_key, c.is_own_price
        from all_units as u inner join ledger_costs as c on u.request_key = c.request_key
        where u.side = '{name}'"""
    )


def _by(con: duckdb.DuckDBPyConnection, dimension: str) -> list[dict[str, Any]]:
    """Calls, tasks and sessions by the values of a dimension."""
    told = _told(con, dimension)
    value = f"coalesce(nullif(lower(trim({told})), ''), '(none)')"
    con.execute(
        f"""create or replace temp table dimension_units as
        select side, counted as cost_unit, {value} as dimension_value, cluster_key, unit_cost_usd
        from compare_units
        union all
        select
            side, 'session' as cost_unit, min_by({value}, request_key) as dimension_value,
            min(cluster_key) as cluster_key, case when count(*) = count(unit_cost_usd) then sum(unit_cost_usd) end as unit_cost_usd
        from compare_units
        where counted = 'request' and session_id is not null
        group by side, session_id"""
    )
    return [{"dimension": dimension, **row} for row in named_rows(con, _query("compare_dimension"))]


def _told(con: duckdb.DuckDBPyConnection, dimension: str) -> str:
    """What a call says of a dimension, as SQL."""
    if dimension in BY_COLUMN:
        return BY_COLUMN[dimension]
    attributes = con.execute(
        "select attribute from ref_dimensions where dimension = ? order by attribute", [dimension]
    ).fetchall()
    names = dict.fromkeys([*(name for (name,) in attributes), dimension])
    return f"coalesce({', '.join(f'attributes[{quoted(name)}]' for name in names)})"
