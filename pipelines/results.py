"""The newest result of every check of every period, kept as one table and read as a frame."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import polars as pl
import pyarrow as pa

from pipelines import checks
from pipelines.checks import SCHEMA, CheckResult, result_of, to_table
from pipelines.lake import Lake, Part
from pipelines.models import Model
from pipelines.runner import label

TABLE = "check_results"
_MISSED = pl.col("status") != "passed"


class Results:
    """Results of all tables; ``save`` writes them where something has changed."""

    def __init__(self, lake: Lake, models: Collection[str]) -> None:
        self._lake = lake
        self._is_changed = False
        path = lake.root.whole(TABLE)
        # Made without Arrow, which would bring pandas into a run that has nothing to do.
        empty = pl.DataFrame(schema={f.name: pl.Int64 if f.type == pa.int64() else pl.String for f in SCHEMA})
        frame = pl.read_parquet(path, hive_partitioning=False) if path.is_file() else empty
        # A table of another program version knows less of its rows: everything is checked again.
        self._frame = frame.select(SCHEMA.names) if set(SCHEMA.names) <= set(frame.columns) else empty
        # Of a table whose SQL file is gone no check can fail any more.
        self._frame = self._frame.filter(pl.col("table_name").is_in(list(models)))
        self._checked: dict[str, dict[str, tuple[str, str]]] | None = None

    def __len__(self) -> int:
        return len(self._frame)

    def __iter__(self) -> Iterator[CheckResult]:
        return map(result_of, self._frame.iter_rows(named=True))

    @property
    def missed(self) -> list[CheckResult]:
        """The results that are not ``passed``."""
        return [result_of(row) for row in self._frame.filter(_MISSED).iter_rows(named=True)]

    def of(self, table: str) -> list[CheckResult]:
        """The results of one table."""
        return [result_of(row) for row in self._frame.filter(pl.col("table_name") == table).iter_rows(named=True)]

    def worst(self) -> Literal["passed", "warning", "failed"]:
        """As ``checks.worst``, without a look at each result that passed."""
        return checks.worst(self.missed or self._first())

    def state(self) -> list[str]:
        """What of the results decides what is published."""
        return [str(len(self._frame)), *(f"{r.table}|{r.partition}|{r.check}|{r.status}" for r in self.missed)]

    def due(self, model: Model, parts: Sequence[Part]) -> list[Part]:
        """The periods of a table that have not been checked as they are, by the checks as they are."""
        known = self._known().get(model.name, {})
        wanted = model.checks_version
        return [part for part in parts if known.get(label(part.start)) != (wanted, part.fingerprint)]

    def put(self, results: Sequence[CheckResult], there: Mapping[str, Collection[str]]) -> None:
        """Take new results; ``there`` are the labels of the periods that the tables looked at have now."""
        checked = {(result.table, result.partition) for result in results}
        known = self._known()
        gone = {
            (table, partition)
            for table, labels in there.items()
            for partition in known.get(table, {}).keys() - set(labels)
        }
        if not checked and not gone:
            return
        out = pl.DataFrame(sorted(checked | gone), schema=["table_name", "partition"], orient="row")
        new = pl.DataFrame(pl.from_arrow(to_table(results)))
        kept = self._frame.join(out, on=["table_name", "partition"], how="anti")
        self._frame = pl.concat([kept, new]).sort(
            "table_name", "partition", pl.col("check_id").str.len_bytes(), "check_id"
        )
        self._checked, self._is_changed = None, True

    def save(self) -> None:
        if not self._is_changed:
            return
        target = self._lake.root.whole(TABLE)
        rows = self._frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(
            SCHEMA.remove_metadata() if SCHEMA.metadata else SCHEMA
        )
        self._lake.put(self._lake.write([rows], target, "results", "1"), target, TABLE)
        self._is_changed = False

    def _known(self) -> dict[str, dict[str, tuple[str, str]]]:
        if self._checked is None:
            self._checked = {}
            columns = ["table_name", "partition", "checks_version", "fingerprint"]
            for table, partition, version, fingerprint in self._frame.select(columns).unique().iter_rows():
                self._checked.setdefault(table, {})[partition] = (version, fingerprint)
        return self._checked

    def _first(self) -> list[CheckResult]:
        return [result_of(row) for row in self._frame.head(1).iter_rows(named=True)]
