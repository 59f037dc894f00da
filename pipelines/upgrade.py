"""Brings the lake of an earlier version into the form that this one keeps: what was a file a day or a week becomes coarse.

No row is lost or read again; the tables are then out of date by their fingerprints and are built anew by plan.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipelines.lake import home
from pipelines.parquet import PeriodRows, described, write_periods
from pipelines.paths import DataRoot

SENTENCE = (
    "This lake was written by an earlier version: its files are put together by month and year, and every table is built "
    "once again. Nothing that was read is lost, and closed months stay as they are."
)
_OLD_FORMS = ("day=", "week=")
RUN_ONCE = (
    "These books were written by another version, and some of their tables or columns are not as this one has them: "
    "run 'tokenbooks run' once, then ask again. Nothing that was read is lost."
)


def is_of_earlier_version(root: DataRoot) -> bool:
    """Whether a table of the lake still has a folder a day or a week."""
    return bool(_old_tables(root))


def bring_forward(root: DataRoot) -> str:
    """Put the files of an earlier version together; a sentence about it, nothing where there is nothing to do.

    A table is put together beside its place and takes it when it is whole. Only the holder of the run lock may call it.
    """
    tables = _old_tables(root)
    for folder in tables:
        _put_together(root, folder)
    return SENTENCE if tables else ""


def lacks_columns(root: DataRoot) -> bool:
    """Whether a file of the lake has not all columns that its table has in this version."""
    import pyarrow.parquet as pq

    from pipelines.contract import shapes
    from pipelines.models import models

    wanted = {name: set(model.types) for name, model in models().items()}
    wanted |= {shape.table: set(shape.types) for shape in shapes().values()}
    return any(
        not columns <= set(pq.read_schema(path).names)
        for name, columns in wanted.items()
        for path in root.table(name).rglob("*.parquet")
    )


def _old_tables(root: DataRoot) -> list[Path]:
    if not root.lake.is_dir():
        return []
    return [
        folder
        for folder in sorted(root.lake.iterdir())
        if folder.is_dir()
        and folder.name[0] != "."
        and any(inner.name.startswith(_OLD_FORMS) for inner in folder.iterdir())
    ]


def _put_together(root: DataRoot, folder: Path) -> None:
    making = DataRoot(root.scratch / "earlier")
    shutil.rmtree(making.path, ignore_errors=True)
    found: dict[Path, list[PeriodRows]] = {}
    for inner in sorted(inner for inner in folder.iterdir() if inner.name.startswith(_OLD_FORMS)):
        grain, _, day = inner.name.partition("=")
        start = date.fromisoformat(day)
        for path in sorted(inner.glob("*.parquet")):
            [said] = described(path, start)
            target = home(making, folder.name, grain, start) / path.name
            found.setdefault(target, []).append(
                PeriodRows(start, said.fingerprint, _Rows(path), said.content_hash or said.fingerprint or "unknown")
            )
    for target, periods in found.items():
        write_periods(periods, target, "earlier").replace(target)
    aside = root.scratch / "aside"
    folder.rename(aside)
    making.table(folder.name).rename(folder)
    shutil.rmtree(aside)


class _Rows:
    """The rows of a file, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self):  # type: ignore[no-untyped-def]
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path) as file:
            rows: pa.Table = file.read()
        yield rows
