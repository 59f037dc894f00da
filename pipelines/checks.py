"""Holds tables to the checks of their headers: the engine counts the rows that break them (``pipelines/judge.py`` judges).

Each table gives one frame, a row per partition and a column per check. A partition passes a check when no row breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.engine import quoted
from pipelines.models import Check, Model
from pipelines.periods import start_of
from pipelines.words import things

SCHEMA = pa.schema(
    [
        ("table_name", pa.string()),
        ("partition", pa.string()),
        ("check_id", pa.string()),
        ("kind", pa.string()),
        ("check_text", pa.string()),
        ("severity", pa.string()),
        ("violations", pa.int64()),
        ("status", pa.string()),
        ("message", pa.string()),
        ("checks_version", pa.string()),
        ("fingerprint", pa.string()),
    ]
)

# Where a column of the table is named otherwise than the field of a result.
_FIELDS: Mapping[str, str] = {"table_name": "table", "check_id": "check", "check_text": "text"}

# Counts of one check by partition (partitions without a broken row may be left out), or why there are none.
_Outcome = Mapping[str, int] | str


class CheckError(RuntimeError):
    """The checks of a table cannot be trusted: nothing may be published on their word."""


class _Uncountable(Exception):
    """A check gives something that is not a count of rows by partition."""


@dataclass(frozen=True)
class CheckResult:
    """One check of one partition.

    ``status`` is ``passed``, ``failed`` (rows break it: ``violations``) or ``error`` (it could not be counted:
    ``violations`` is None and ``message`` says why). ``partition`` is the first day, or ``all``; ``fingerprint`` says what it
    was built from.
    """

    table: str
    partition: str
    check: str
    kind: str
    text: str
    severity: str
    violations: int | None
    status: str
    message: str
    checks_version: str = ""
    fingerprint: str = ""


def count_violations(
    con: duckdb.DuckDBPyConnection, model: Model, partitions: Sequence[str], partition_sql: str | None
) -> pl.DataFrame:
    """How many rows break each check: ``partition`` and one BIGINT column per check id, one row per expected partition.

    ``con`` has a view named like the table with exactly the rows of ``partitions``, and views of what the ``no_rows``
    queries read. ``partition_sql`` gives the label of a row (a DATE is cheapest), None where the table is in one piece.
    A partition without rows has zeros. A check whose SQL fails has NULLs, and a column ``<id>_message`` says why. Row
    conditions and ``unique`` checks share one scan of the table; duplicates are counted within a partition.
    Raises CheckError where the view cannot be read or holds rows of a partition that is not expected.
    """
    _hold_request(model, partitions, partition_sql)
    label = f"(\n{partition_sql}\n)" if partition_sql else quoted(partitions[0])

    def broken_rows(checks: Sequence[Check]) -> dict[str, _Outcome]:
        return _broken_rows(con, model, partitions, label, checks)

    def exceptions(checks: Sequence[Check]) -> dict[str, _Outcome]:
        return {check.id: _exceptions(con, model, max(partitions), check) for check in checks}

    no_rows = [check for check in model.checks if check.kind == "no_rows"]
    outcomes = _outcomes(broken_rows, [check for check in model.checks if check.kind != "no_rows"])
    if all(isinstance(outcome, str) for outcome in outcomes.values()):
        # No scan came through, so view and labels are still to be seen: a fault of theirs is no fault of a check.
        try:
            broken_rows([])
        except duckdb.Error as error:
            raise CheckError(f"{model.name}: its rows cannot be told apart by partition: {_reason(error)}") from error
    for check in no_rows:
        outcomes |= _outcomes(exceptions, [check])
    return _frame(model, partitions, outcomes)


def worst(results: Iterable[CheckResult]) -> Literal["passed", "warning", "failed"]:
    """``failed`` if a critical check did not pass, else ``warning`` if another did not, else ``passed``.

    A check that could not be counted has not passed. Raises CheckError on no results: nothing checked, nothing passed.
    """
    results = list(results)
    if not results:
        raise CheckError("No check was made, so there is no verdict. Ask only after a table was checked.")
    missed = {result.severity for result in results if result.status != "passed"}
    if not missed:
        return "passed"
    return "failed" if "critical" in missed else "warning"


def to_table(results: Iterable[CheckResult]) -> pa.Table:
    """Results as rows, in the order of table, partition and place in the header: equal results give equal bytes."""
    ordered = sorted(results, key=lambda result: (result.table, result.partition, len(result.check), result.check))
    # Column by column: from_pylist would import pandas.
    columns = [
        pa.array([getattr(result, _FIELDS.get(field.name, field.name)) for result in ordered], field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def load(path: Path) -> list[CheckResult]:
    """Results from a Parquet file of ``to_table``."""
    # A folder named week=2026-08-24 is no column.
    rows = pl.read_parquet(path, columns=SCHEMA.names, hive_partitioning=False, glob=False)
    return [result_of(row) for row in rows.iter_rows(named=True)]


def result_of(row: Mapping[str, Any]) -> CheckResult:
    """A row of ``to_table`` as a result."""
    return CheckResult(**{_FIELDS.get(name, name): row[name] for name in SCHEMA.names})


def hold_suite(model: Model) -> None:
    if not model.checks:
        raise CheckError(f"{model.name} has no check, and would pass. Its header has a grain: check that it is unique.")


def _hold_request(model: Model, partitions: Sequence[str], partition_sql: str | None) -> None:
    hold_suite(model)
    if not partitions or len(set(partitions)) != len(partitions):
        raise CheckError(
            f"{model.name}: expected distinct partitions to check, found {', '.join(partitions) or 'none'}."
        )
    if partition_sql is None and len(partitions) > 1:
        raise CheckError(f"{model.name}: {len(partitions)} partitions, and no expression that tells their rows apart.")


def _outcomes(count: Callable[[Sequence[Check]], dict[str, _Outcome]], checks: Sequence[Check]) -> dict[str, _Outcome]:
    """Counts of all checks at once; where that fails, of each by itself, so that only the faulty ones go without."""
    if not checks:
        return {}
    try:
        return count(checks)
    except duckdb.InterruptException:
        raise
    except (duckdb.Error, _Uncountable) as error:
        if len(checks) == 1:
            return {checks[0].id: _reason(error)}
    return {id_: outcome for check in checks for id_, outcome in _outcomes(count, [check]).items()}


def _broken_rows(
    con: duckdb.DuckDBPyConnection, model: Model, partitions: Sequence[str], label: str, checks: Sequence[Check]
) -> dict[str, _Outcome]:
    """Rows in which a condition is not true, and those beyond the first of each key within a partition, by one scan.

    Equal keys have equal hashes (nulls are equal), so as many hashes as rows prove a key unique, for half the price of grouping
    by a wide key; it is grouped only where some hash repeats (a duplicate, or chance).
    """
    # Columns have no alias: a condition could name it. Groups are formed before the label becomes a text: text for each row
    # costs more than the conditions.
    selected = ", ".join([f"cast({label} as varchar)", "count(*)", *map(_count_of, checks)])
    found = _rows(con, f'select {selected} from "{model.name}" group by {label}')
    if strangers := [row for row in found if row[0] not in partitions]:
        listed = ", ".join(
            f"{row[0] or 'without a partition'} ({things(row[1], 'row')})" for row in sorted(strangers, key=str)
        )
        raise CheckError(
            f"{model.name}: rows of partitions that are not being checked: {listed}; expected {', '.join(partitions)}. "
            "They would go unchecked: give the view the rows of these partitions only."
        )
    counts = {check.id: {row[0]: row[number] for row in found} for number, check in enumerate(checks, 2)}
    for check in checks:
        if check.kind == "unique" and any(counts[check.id].values()):
            counts[check.id] = _group_surplus(con, model, label, _key_of(check))
    return dict(counts)


def _count_of(check: Check) -> str:
    """Rows that break a condition; of a key as many rows as there are more than hashes."""
    if check.kind == "unique":
        return f"count(*) - count(distinct hash({_key_of(check)}))"
    # The condition has its own lines: it may end in a comment.
    return f"count(*) filter (where (\n{check.condition}\n) is not true)"


def _key_of(check: Check) -> str:
    return ", ".join(f'"{name}"' for name in check.columns)


def _group_surplus(con: duckdb.DuckDBPyConnection, model: Model, label: str, key: str) -> dict[str, int]:
    groups = f'(select {label}, count(*) - 1 from "{model.name}" group by {label}, {key} having count(*) > 1)'
    selected = "cast(label as varchar), cast(sum(surplus) as bigint)"
    return dict(_rows(con, f"select {selected} from {groups} as keys(label, surplus) group by label"))


def _exceptions(con: duckdb.DuckDBPyConnection, model: Model, last: str, check: Check) -> dict[str, int]:
    """Rows of a query of exceptions, by its column ``partition`` where it has one, else all in the last partition.

    Rows of partitions that are not being checked stay out: of other tables the query may read more than those.
    """
    query = f"(\n{check.query.rstrip().removesuffix(';')}\n) as exceptions"
    [[rows]] = _rows(con, f"select count(*) from {query}")
    if not rows:
        return {}
    columns = [name.lower() for name in _column_names(con, f"select * from {query} limit 0")]
    if model.partition is None or "partition" not in columns:
        return {last: rows}
    counts = {}
    for label, rows in _rows(con, f'select cast("partition" as varchar), count(*) from {query} group by 1'):
        if label is None or not _is_partition(model.partition, label):
            shown = "NULL" if label is None else repr(label)
            raise _Uncountable(
                f"its column partition holds {shown}; expected the first day of a {model.partition}, such as '{last}'"
            )
        counts[label] = rows
    return counts


def _is_partition(grain: str, label: str) -> bool:
    try:
        day = date.fromisoformat(label)
    except ValueError:
        return False
    return day.isoformat() == label and start_of(grain, day) == day


# These two hold the connection and a text, nothing else: DuckDB takes a table it does not know for a Python variable of
# the function that calls it, and a check must not read our frames.
def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


def _column_names(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return [column[0] for column in con.execute(sql).description or []]


def _reason(error: Exception) -> str:
    """What DuckDB says, without the picture of the statement: that one is ours, not the header's."""
    return " ".join(re.split(r"\n\s*LINE \d+:", str(error))[0].split())


def _frame(model: Model, partitions: Sequence[str], outcomes: Mapping[str, _Outcome]) -> pl.DataFrame:
    columns = [pl.Series("partition", partitions, pl.String)]
    messages = []
    for check in model.checks:
        outcome = outcomes[check.id]
        if isinstance(outcome, str):
            columns.append(pl.Series(check.id, [None] * len(partitions), pl.Int64))
            messages.append(pl.Series(f"{check.id}_message", [outcome] * len(partitions), pl.String))
        else:
            columns.append(pl.Series(check.id, [outcome.get(partition, 0) for partition in partitions], pl.Int64))
    return pl.DataFrame([*columns, *messages])
