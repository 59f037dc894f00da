"""An answer as a file: ``exports/whatif/<scenario>.parquet``, a row for each feature and customer tier."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.paths import DataRoot
from pipelines.whatif.answer import Answer
from pipelines.whatif.scenarios import CASES

_USD = pa.decimal128(38, 15)
_COUNTS = ("requests", "covered_requests", "changed_requests", "unpriced_requests", "unreplayed_requests")
SCHEMA = pa.schema(
    [
        ("scenario", pa.string()),
        ("first_date", pa.date32()),
        ("end_date", pa.date32()),
        ("feature", pa.string()),
        ("customer_tier", pa.string()),
        *((name, pa.int64()) for name in _COUNTS),
        ("actual_usd", _USD),
        ("covered_usd", _USD),
        *((f"cost_{case}_usd", _USD) for case in CASES),
        *((f"saving_{case}_usd", _USD) for case in CASES),
    ]
)


def keep(root: DataRoot, found: Answer) -> Path:
    """Write the file, in one step; an answer to the same question takes its place."""
    rows = [
        {
            "scenario": found.name,
            "first_date": found.first,
            "end_date": found.end,
            **{name: row.get(name) for name in SCHEMA.names if name not in ("scenario", "first_date", "end_date")},
        }
        for row in found.by(("feature", "customer_tier"))
    ]
    path = root.exports / "whatif" / f"{found.name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)
    temporary.replace(path)
    return path
