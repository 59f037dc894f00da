"""What other people's tools read, as Parquet and CSV with a manifest: the weekly showback, and months of FOCUS and of statements.

Each is a stable, versioned contract.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines import published
from pipelines.contract import Column
from pipelines.engine import one_row, quoted
from pipelines.lake import Lake, digest, months_closed, replace_text, sha256_of
from pipelines.models import Model, models
from pipelines.paths import DataRoot

SCHEMA_VERSION = "1"
TABLE = "mart_showback_weekly"

# The columns of version 1, in this order; row_key stands behind them. Columns may be added at the end; none is renamed, retyped or
# taken away (docs/bi.md says how a version ends).
SHOWBACK_V1 = """
week_start_date billing_month cost_centre team feature customer_tier environment provider billing_account_id model_canonical model_tier
state requests tasks successes unpriced_requests unpriced_tokens input_total_tokens output_total_tokens cache_read_total_tokens
cache_write_total_tokens output_reasoning_tokens list_cost_usd effective_cost_usd direct_cost_usd allocated_untraced_usd discount_usd
credit_usd tax_fee_usd rounding_usd invoiced_cost_usd billing_currency invoiced_cost_billing_currency allocation_basis
""".split()

SHOWBACK_KEY = SHOWBACK_V1[:11]
ROW_KEY = f"md5(concat_ws(chr(31), {', '.join(SHOWBACK_KEY)}))"
ROW_KEY_COLUMN = Column(
    "row_key", "VARCHAR", "md5 of the first eleven columns: one row has it, and the same in every run"
)
# What a manifest sums. Of an amount that is null in a row the sum is of the others.
_SUMMED = [name for name in SHOWBACK_V1 if name.endswith(("_usd", "requests", "tasks", "successes", "_tokens"))]

# Raised when the files of a month are written otherwise from the same rows.
MONTHS_VERSION = "1"
_PARQUET = "format parquet, compression zstd"
_CSV = "format csv, header true"
_CSV_INSTANTS = "timestampformat '%Y-%m-%dT%H:%M:%SZ'"


@dataclass(frozen=True)
class MonthlyExport:
    """Tables that go out together, a folder a month. ``totals``: the amount column of the first table, and its currency."""

    name: str
    version: str
    tables: Mapping[str, str]
    totals: tuple[str, str]
    is_focus: bool = False

    @property
    def models(self) -> dict[str, Model]:
        """The tables by the names of their files."""
        return {stem: models()[table] for stem, table in self.tables.items()}


MONTHLY = (
    MonthlyExport(
        "focus",
        "1.4",
        {
            "cost_and_usage": "focus_cost_and_usage",
            "invoice_detail": "focus_invoice_detail",
            "billing_period": "focus_billing_period",
        },
        ("BilledCost", "BillingCurrency"),
        is_focus=True,
    ),
    MonthlyExport(
        "focus",
        "1.2",
        {"cost_and_usage": "focus_cost_and_usage_1_2"},
        ("BilledCost", "BillingCurrency"),
        is_focus=True,
    ),
    MonthlyExport(
        "statements",
        "v1",
        {"statements": "mart_statements_monthly", "postings": "mart_postings_monthly"},
        ("invoiced_cost_billing_currency", "billing_currency"),
    ),
)
# What FOCUS calls the types.
_FOCUS_TYPES = {"VARCHAR": "STRING", "BIGINT": "INTEGER", "BOOLEAN": "BOOLEAN", "DATE": "STRING"}
_FOCUS_SCHEMA_DATE = "2026-11-21T00:00:00Z"


def publish(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> tuple[list[date], list[str]]:
    """Write the showback of every week that has changed; all weeks come back, and the files written as paths below the data root.

    A closed month is published as it was closed, and a week whose months are all closed is not written again.
    A week's files are written beside their places and put there one by one, the manifest last: where a manifest's hashes
    hold, the week is whole.
    """
    weeks = create_showback_view(con, lake)
    written = published.restore(root)
    frozen = published.frozen_weeks(root)
    for week in weeks:
        if week not in frozen:
            written += [root.relative(path) for path in write_week(con, lake, week, root.showback_export(week))]
    for folder in sorted((root.exports / "showback" / "v1").glob("week=*")):
        if folder.name.removeprefix("week=") not in {week.isoformat() for week in weeks}:
            written.append(_remove(root, folder))
    return weeks, written


def publish_months(
    con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, wanted: Sequence[MonthlyExport] = MONTHLY
) -> list[str]:
    """Write the months of FOCUS and of the statements that have changed; the files written as paths below the data root.

    A closed month is published as it was closed (``published.restore`` sees to that) and not written again.
    """
    written: list[str] = []
    for export in wanted:
        months = sorted(
            {
                part.start
                for model in export.models.values()
                for part in lake.parts(model.name)
                if part.start is not None
            }
        )
        closed = months_closed(root)
        for month in months:
            # A closed month keeps its files (published.restore).
            if month not in closed:
                place = root.monthly_export(export.name, export.version, month)
                written += [root.relative(path) for path in write_month(con, lake, export, month, place)]
        folder = root.exports / export.name / export.version
        for old in sorted(folder.glob("month=*")):
            if old.name.removeprefix("month=") not in {f"{month:%Y-%m}" for month in [*months, *closed]}:
                written.append(_remove(root, old))
        if export.is_focus and months:
            schema = json.dumps(focus_schema(export), indent=2) + "\n"
            path = folder / "schema.json"
            if not path.is_file() or path.read_text(encoding="utf-8") != schema:
                replace_text(path, schema)
                written.append(root.relative(path))
    return written


def focus_schema(export: MonthlyExport) -> dict[str, Any]:
    """The metadata that FOCUS wants beside the data: who made it, in which version, with which columns."""
    return {
        "DataGenerator": {"DataGenerator": "tokenbooks"},
        "Schema": [
            {
                "SchemaId": f"{export.version}-{model.version[:12]}",
                "Dataset": stem,
                "FocusVersion": export.version,
                "CreationDate": _FOCUS_SCHEMA_DATE,
                "ColumnDefinition": [
                    {"ColumnName": column.name, "DataType": _focus_type(column.type, column.meaning)}
                    for column in model.columns
                ],
            }
            for stem, model in export.models.items()
        ],
    }


def _focus_type(type_: str, meaning: str) -> str:
    if type_.startswith("DECIMAL"):
        return "DECIMAL"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return "DATETIME"
    return "JSON" if meaning.startswith("JSON") else _FOCUS_TYPES[type_]


def write_month(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    export: MonthlyExport,
    month: date,
    folder: Path,
    closing: date | None = None,
) -> list[Path]:
    """Write the files of a month, where they differ from those that are there. ``closing``: as in ``published.parts``."""
    parts = {stem: lake.part(model.name, month) for stem, model in export.models.items()}
    run = digest(
        [
            MONTHS_VERSION,
            *(f"{stem} {export.models[stem].version} {part.content_hash}" for stem, part in parts.items() if part),
        ]
    )[:16]
    files = [f"{stem}.{ending}" for stem in parts for ending in ("parquet", "csv")]
    if said_by(folder / "manifest.json").get("run") == run and all((folder / name).is_file() for name in files):
        return []
    queries: dict[str, str] = {}
    tables: dict[str, dict[str, Any]] = {}
    for stem, model in export.models.items():
        wanted = [(part, month == closing)] if (part := parts[stem]) else []
        published.create_published_view(con, lake, model.name, wanted)
        queries[stem] = (
            f"select * from {model.name} order by {', '.join(f'{name} nulls last' for name in model.sort_columns)}"
        )
        tables[stem] = {
            "rows": one_row(con, f"select count(*) from {model.name}")[0],
            "columns": [column.name for column in model.columns],
        }
    first = next(iter(export.tables.values()))
    amount, currency = export.totals
    sums = con.execute(
        f"select {currency}, sum({amount}) from {first} group by {currency} order by {currency}"
    ).fetchall()
    stamps = (
        f", kv_metadata {{FocusVersion: '{export.version}', DataGenerator: 'tokenbooks'}}" if export.is_focus else ""
    )
    manifest = {
        "dataset": export.name,
        "schema_version": export.version.removeprefix("v"),
        "month": f"{month:%Y-%m}",
        "totals": {amount: {code: f"{total:f}" for code, total in sums}},
        "tables": tables,
    }
    return write_files(con, folder, queries, manifest, run, _PARQUET + stamps, f"{_CSV}, {_CSV_INSTANTS}")


def is_published(root: DataRoot, state: str) -> bool:
    """Whether what lies in exports/ was published from the state given, and is all there."""
    known = said_by(root.exports / ".published.json")
    is_same = "files" in known and known.get("state") == _noted(state)
    return is_same and all((root.path / name).is_file() for name in known["files"])


def note_published(root: DataRoot, state: str) -> None:
    """Note from what exports/ was published, so that a run without news need not write it to compare."""
    files = [root.relative(path) for path in sorted(root.exports.rglob("*")) if path.is_file() and path.name[0] != "."]
    replace_text(root.exports / ".published.json", json.dumps({"state": _noted(state), "files": files}) + "\n")


def _noted(state: str) -> str:
    said = [
        SCHEMA_VERSION,
        MONTHS_VERSION,
        *SHOWBACK_V1,
        *(f"{e.name} {e.version} {sorted(e.tables)}" for e in MONTHLY),
        state,
    ]
    return hashlib.sha256("|".join(said).encode()).hexdigest()


def create_showback_view(con: duckdb.DuckDBPyConnection, lake: Lake, closing: date | None = None) -> list[date]:
    """A view of the showback as it is published; the weeks in it come back. ``closing`` as in ``published.parts``."""
    published.create_published_view(con, lake, TABLE, published.parts(lake, TABLE, closing))
    found = con.execute(f"select distinct week_start_date from {TABLE} order by week_start_date").fetchall()
    return [week for (week,) in found]


def write_week(con: duckdb.DuckDBPyConnection, lake: Lake, week: date, folder: Path) -> list[Path]:
    """Write the files of a week out of the view of ``create_showback_view``, where they differ from those that are there."""
    query = (
        f"select {', '.join(SHOWBACK_V1)}, {ROW_KEY} as row_key from {TABLE} where week_start_date = date '{week}' "
        f"order by {', '.join(SHOWBACK_KEY)}"
    )
    rows, provisional, final, *sums = one_row(
        con,
        f"""select count(*), count(*) filter (where state = 'provisional'), count(*) filter (where state = 'final'),
            {", ".join(f"sum({name})" for name in _SUMMED)} from {TABLE} where week_start_date = ?""",
        [week],
    )
    said = {name: summed(total) for name, total in zip(_SUMMED, sums, strict=True)}
    manifest = {
        "dataset": "showback",
        "schema_version": SCHEMA_VERSION,
        "week_start_date": week.isoformat(),
        # A week is final when all its rows are, and closed when all its months are.
        "state": "provisional" if provisional else "final" if final else "closed",
        "rows": rows,
        "invoiced_cost_usd": str(said["invoiced_cost_usd"]),
        "sums": said,
        "columns": [*SHOWBACK_V1, ROW_KEY_COLUMN.name],
    }
    run = hashlib.sha256("".join(part.content_hash for part in lake.parts(TABLE)).encode()).hexdigest()[:16]
    return write_files(con, folder, {"showback": query}, manifest, run)


def summed(total: int | Decimal | None) -> int | str | None:
    """A sum as a manifest states it: money as a text, so that no reader makes a float of it."""
    return f"{total:f}" if isinstance(total, Decimal) else total


def write_files(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    queries: Mapping[str, str],
    manifest: Mapping[str, Any],
    run: str,
    parquet: str = _PARQUET,
    csv: str | None = _CSV,
) -> list[Path]:
    """Each query as Parquet and CSV, put in place one by one and the manifest last; nothing where all are as they were."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes: dict[str, str] = {}
    for stem, query in queries.items():
        for name, options in ((f"{stem}.parquet", parquet), (f"{stem}.csv", csv)):
            if options is None:
                continue
            temporary = folder / f".{name}.tmp"
            con.execute(f"copy ({query}) to {quoted(str(temporary))} ({options})")
            hashes[name] = sha256_of(temporary)
    manifest_path = folder / "manifest.json"
    if said_by(manifest_path).get("sha256") == hashes and all((folder / name).is_file() for name in hashes):
        for name in hashes:
            (folder / f".{name}.tmp").unlink()
        return []
    for name in hashes:
        (folder / f".{name}.tmp").replace(folder / name)
    replace_text(manifest_path, json.dumps({**manifest, "sha256": hashes, "run": run}, indent=2) + "\n")
    return [folder / name for name in (*hashes, "manifest.json")]


def _remove(root: DataRoot, folder: Path) -> str:
    """Remove a folder of files; its name comes back as the list of what was written shows it."""
    for path in sorted(folder.iterdir()):
        path.unlink()
    folder.rmdir()
    return root.relative(folder) + " (removed)"


def said_by(path: Path) -> dict[str, Any]:
    """What a manifest or a note says; nothing where it is missing or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
