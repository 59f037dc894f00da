"""What other people's tools read: the weekly showback as Parquet and CSV, with a manifest. A stable, versioned contract."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import duckdb

from pipelines import published
from pipelines.engine import one_row, quoted
from pipelines.lake import Lake, replace_text
from pipelines.paths import DataRoot

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
            for path in sorted(folder.iterdir()):
                path.unlink()
            folder.rmdir()
            written.append(root.relative(folder) + " (removed)")
    return weeks, written


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


def create_showback_view(con: duckdb.DuckDBPyConnection, lake: Lake, closing: date | None = None) -> list[date]:
    """A view of the showback as it is published; the weeks in it come back. ``closing`` as in ``published.parts``."""
    published.create_published_view(con, lake, TABLE, published.parts(lake, TABLE, closing))
    found = con.execute(f"select distinct week_start_date from {TABLE} order by week_start_date").fetchall()
    return [week for (week,) in found]


def write_week(con: duckdb.DuckDBPyConnection, lake: Lake, week: date, folder: Path) -> list[Path]:
    """Write the files of a week out of the view of ``create_showback_view``, where they differ from those that are there."""
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
    rows, invoiced, provisional, final = one_row(
        con,
        f"""select count(*), sum(invoiced_cost_usd), count(*) filter (where state = 'provisional'),
            count(*) filter (where state = 'final') from {TABLE} where week_start_date = ?""",
        [week],
    )
    manifest = {
        "dataset": "showback",
        "schema_version": SCHEMA_VERSION,
        "week_start_date": week.isoformat(),
        # A week is final when all its rows are, and closed when all its months are.
        "state": "provisional" if provisional else "final" if final else "closed",
        "rows": rows,
        "invoiced_cost_usd": str(invoiced),
        "columns": SHOWBACK_V1,
        "sha256": hashes,
        "run": hashlib.sha256("".join(part.content_hash for part in lake.parts(TABLE)).encode()).hexdigest()[:16],
    }
    replace_text(manifest_path, json.dumps(manifest, indent=2) + "\n")
    return [folder / name for name in (*formats, "manifest.json")]


def _same(manifest_path: Path, hashes: dict[str, str]) -> bool:
    try:
        return bool(json.loads(manifest_path.read_text(encoding="utf-8"))["sha256"] == hashes)
    except (OSError, ValueError, KeyError):
        return False
