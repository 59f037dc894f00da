"""What other people's tools read: the weekly showback as Parquet and CSV, with a manifest. A stable, versioned contract."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import duckdb

from pipelines.engine import one_row, quoted
from pipelines.lake import Lake, replace_text
from pipelines.paths import DataRoot
from pipelines.runner import create_view

SCHEMA_VERSION = "1"
TABLE = "mart_showback_weekly"

# The columns of version 1, in this order. Columns may be added at the end; none is renamed, retyped or taken away.
SHOWBACK_V1 = """
week_start_date billing_month cost_centre team feature customer_tier environment provider billing_account_id model_canonical model_tier
state requests tasks successes unpriced_requests unpriced_tokens input_total_tokens output_total_tokens cache_read_total_tokens
cache_write_total_tokens output_reasoning_tokens list_cost_usd effective_cost_usd direct_cost_usd allocated_untraced_usd discount_usd
credit_usd tax_fee_usd rounding_usd invoiced_cost_usd billing_currency invoiced_cost_billing_currency allocation_basis
""".split()


def publish(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> tuple[list[date], list[str]]:
    """Write the showback of every week that has changed; all weeks come back, and the files written as paths below the data root.

    A week's files are written beside their places and put there one by one, the manifest last: where a manifest's hashes
    hold, the week is whole.
    """
    parts = lake.parts(TABLE)
    if not parts:
        return [], []
    create_view(con, lake, TABLE, parts, {})
    weeks = con.execute(
        f"select week_start_date, count(*), sum(invoiced_cost_usd), min(state) from {TABLE} group by week_start_date order by all"
    ).fetchall()
    run = hashlib.sha256("".join(part.content_hash for part in parts).encode()).hexdigest()[:16]
    written: list[str] = []
    for week, rows, invoiced, state in weeks:
        written += _publish_week(con, root, week, rows, str(invoiced), _state(con, week, state), run)
    for folder in sorted((root.exports / "showback" / "v1").glob("week=*")):
        if folder.name.removeprefix("week=") not in {week.isoformat() for week, *_ in weeks}:
            for path in sorted(folder.iterdir()):
                path.unlink()
            folder.rmdir()
            written.append(root.relative(folder) + " (removed)")
    return [week for week, *_ in weeks], written


def is_published(root: DataRoot, state: str) -> bool:
    """Whether what lies in exports/ was published from the state given, and is all there."""
    try:
        known = json.loads((root.exports / ".published.json").read_text(encoding="utf-8"))
        return bool(known["state"] == _noted(state)) and all((root.path / name).is_file() for name in known["files"])
    except (OSError, ValueError, KeyError):
        return False


def note_published(root: DataRoot, state: str) -> None:
    """Note from what exports/ was published, so that a run without news need not write it to compare."""
    files = [root.relative(path) for path in sorted(root.exports.rglob("*")) if path.is_file() and path.name[0] != "."]
    replace_text(root.exports / ".published.json", json.dumps({"state": _noted(state), "files": files}) + "\n")


def _noted(state: str) -> str:
    return hashlib.sha256("|".join([SCHEMA_VERSION, *SHOWBACK_V1, state]).encode()).hexdigest()


def _state(con: duckdb.DuckDBPyConnection, week: date, least: str) -> str:
    """A week is final when all its rows are."""
    provisional = one_row(con, f"select count(*) from {TABLE} where week_start_date = ? and state <> 'final'", [week])[
        0
    ]
    return "provisional" if provisional else "final"


def _publish_week(
    con: duckdb.DuckDBPyConnection, root: DataRoot, week: date, rows: int, invoiced: str, state: str, run: str
) -> list[str]:
    folder = root.showback_export(week)
    folder.mkdir(parents=True, exist_ok=True)
    query = f"select {', '.join(SHOWBACK_V1)} from {TABLE} where week_start_date = date '{week}' order by {', '.join(SHOWBACK_V1[:11])}"
    formats = {"showback.parquet": "format parquet, compression zstd", "showback.csv": "format csv, header true"}
    hashes: dict[str, str] = {}
    for name, options in formats.items():
        temporary = folder / f".{name}.tmp"
        con.execute(f"copy ({query}) to {quoted(str(temporary))} ({options})")
        hashes[name] = hashlib.sha256(temporary.read_bytes()).hexdigest()
    manifest_path = folder / "manifest.json"
    if _same(manifest_path, hashes) and all((folder / name).is_file() for name in formats):
        for name in formats:
            (folder / f".{name}.tmp").unlink()
        return []
    for name in formats:
        (folder / f".{name}.tmp").replace(folder / name)
    manifest = {
        "dataset": "showback",
        "schema_version": SCHEMA_VERSION,
        "week_start_date": week.isoformat(),
        "state": state,
        "rows": rows,
        "invoiced_cost_usd": invoiced,
        "columns": SHOWBACK_V1,
        "sha256": hashes,
        "run": run,
    }
    replace_text(manifest_path, json.dumps(manifest, indent=2) + "\n")
    return [root.relative(folder / name) for name in (*formats, "manifest.json")]


def _same(manifest_path: Path, hashes: dict[str, str]) -> bool:
    try:
        return bool(json.loads(manifest_path.read_text(encoding="utf-8"))["sha256"] == hashes)
    except (OSError, ValueError, KeyError):
        return False
