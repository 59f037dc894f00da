"""An answer as a file: ``exports/whatif/<scenario>.parquet``, with the columns and checks of ``sql/whatif/whatif_answers.sql``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.checks import count_violations
from pipelines.engine import typed_table
from pipelines.models import whatif_answers
from pipelines.paths import DataRoot
from pipelines.whatif.alone import Alone, kept_rows
from pipelines.whatif.answer import Answer
from pipelines.whatif.scenarios import ScenarioError

_ROWS = "whatif_answer_rows"


def table_of(found: Answer | Alone) -> pa.Table:
    """The answer as the rows of the file. Raises ScenarioError where they break a check of the header."""
    model = whatif_answers()
    is_several = len({row["scenario"] for row in found.assumed}) > 1
    assumed = "; ".join(
        f"{row['scenario'] + '.' if is_several else ''}{row['setting']}={row['low_mid_high']}" for row in found.assumed
    )
    of_all = {
        "scenario": found.name,
        "first_date": found.first,
        "end_date": found.end,
        "assumed": assumed,
        "held": "; ".join(found.held),
        "not_priced": "; ".join(found.risks),
    }
    rows = [{**of_all, **row} for row in (_with_chance(found) if isinstance(found, Answer) else kept_rows(found))]
    columns = ", ".join(f"{name} {type_}" for name, type_ in model.types.items())
    places = ", ".join("?" for _ in model.types)
    with duckdb.connect() as con:
        con.execute(f"create table {_ROWS} ({columns})")
        con.executemany(
            f"insert into {_ROWS} values ({places})", [[row.get(name) for name in model.types] for row in rows]
        )
        con.execute(f"create table {model.name} as {model.query}")
        [counted] = count_violations(con, model, ["all"], None).to_dicts()
        if broken := [check.text for check in model.checks if counted[check.id] != 0]:
            raise ScenarioError(f"Not kept, as the answer breaks what its file promises: {'; '.join(broken)}.")
        return typed_table(con.table(model.name).order(", ".join(model.sort_columns)))


def _with_chance(found: Answer) -> Iterator[dict[str, Any]]:
    """The rows of a replay, each with what chance separates of its feature."""
    intervals = {one.feature: one for one in found.intervals}
    for row in found.by(("feature", "customer_tier")):
        chance = intervals[row["feature"]]
        yield {
            **row,
            "feature_clusters": chance.clusters,
            "feature_verdict": chance.verdict,
            "feature_saving_low_share": chance.share_low,
            "feature_saving_high_share": chance.share_high,
        }


def keep(root: DataRoot, found: Answer | Alone) -> Path:
    """Write the file, in one step; an answer to the same question takes its place. Raises ScenarioError."""
    table = table_of(found)
    path = root.whatif_answers / f"{found.name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)
    return path
