"""What an installation keeps of what it has worked out, so that a new data root costs no more than an old one."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.instance import instance_of
from pipelines import in_force, kept, reference, views
from pipelines.engine import connect
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import Span
from pipelines.prices import book
from pipelines.prices.book_kept import book_of
from pipelines.reference.files import current_frame
from pipelines.settings import Settings

FILES = {"a": b"\n1\n", "b": b""}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that has kept nothing yet."""
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "kept")
    return kept.FOLDER


def test_files_come_back_as_they_were_kept_under_their_key_alone(folder):
    assert kept.read("book", "one") is None
    assert kept.keep("book", "one", FILES)
    assert kept.read("book", "one") == FILES
    assert kept.read("book", "other") is None
    assert kept.read("views", "one") is None
    assert [path.suffix for path in folder.iterdir()] == [".kept"]


@pytest.mark.parametrize("tear", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole[:40] + whole[41:]])
def test_what_is_torn_is_as_if_it_were_not_there(folder, tear):
    kept.keep("book", "one", FILES)
    [path] = folder.iterdir()
    path.write_bytes(tear(path.read_bytes()))

    assert kept.read("book", "one") is None
    assert kept.keep("book", "one", FILES)
    assert kept.read("book", "one") == FILES


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "file" / "kept")

    assert not kept.keep("book", "one", FILES)
    assert kept.read("book", "one") is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_of_a_name_the_twelve_that_were_used_last_stay(folder):
    for number in range(12):
        kept.keep("book", str(number), FILES)
        os.utime(kept._path("book", str(number)), (number, number))
    kept.keep("views", "one", FILES)
    assert kept.read("book", "0") == FILES

    kept.keep("book", "12", FILES)

    assert [number for number in range(13) if kept.read("book", str(number)) is None] == [1]
    assert kept.read("views", "one") == FILES


def test_a_kept_book_is_the_book_that_was_built_and_of_these_rows_alone(folder, root, monkeypatch):
    """The second is not built: the name that builds it is gone by then."""
    frames = [current_frame(root, table)[0] for table in ("prices", "model_aliases", "gpu_pools")]
    built = book_of(*frames)
    build = book.build_book
    monkeypatch.delattr(book, "build_book")

    again = book_of(*frames)

    assert again.tables.keys() == built.tables.keys()
    assert all(again.tables[name].equals(table) for name, table in built.tables.items())
    assert all(again.tables[name].schema == table.schema for name, table in built.tables.items())
    assert (again.problems, again.version) == (built.problems, built.version)
    with pytest.raises(ImportError):
        book_of(frames[0].head(0), *frames[1:])
    assert build(*frames).version == built.version


def test_views_that_another_data_root_had_are_right_for_this_one(folder, tmp_path):
    """Each answers with its own row, from the file of views that the first has made."""
    roots = [DataRoot(tmp_path / name) for name in ("one", "other")]
    for root in roots:
        lake = Lake(root)
        with connect(Settings(threads=1), root.scratch) as con:
            frame = pl.DataFrame([[root.path.name]], {"feature": pl.String}, orient="row")
            reference.write_frame(con, root, lake, "ref_features", frame, "f")
        views.refresh(root, lake, models())

    assert len(list(folder.iterdir())) == 1
    for root in roots:
        with views.open_views(root) as con:
            assert con.execute("from ref_features").fetchall() == [(root.path.name,)]


def test_a_kept_instance_is_one_that_dagster_would_have_made(folder, tmp_path, monkeypatch):
    """With the tables that its own has, empty, and the same of no two data roots: each is given an id of its own."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    roots = [DataRoot(tmp_path / name) for name in ("one", "other")]
    with instance_of(roots[0]) as instance:
        ids = [instance.run_storage.get_run_storage_id()]
        instance.report_runless_asset_event(dg.AssetMaterialization("told"))
        assert len(instance.all_asset_keys()) == 1

    # The second keeps nothing: it has found what the first kept.
    monkeypatch.setattr(kept, "keep", None)
    with instance_of(roots[1]) as instance:
        found = sorted(path.name for path in roots[1].dagster.rglob("*.db"))
        assert found == [".db", "index.db", "runs.db", "schedules.db"]
        ids.append(instance.run_storage.get_run_storage_id())
        assert instance.all_asset_keys() == []
        instance.report_runless_asset_event(dg.AssetMaterialization("told"))
        assert len(instance.all_asset_keys()) == 1
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "rows",
    [
        pl.DataFrame(
            {
                "price": ["1", "2", "3"],
                "effective_from": [None, datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)],
                "effective_to": [datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, 12, tzinfo=UTC), None],
            }
        ),
        pl.DataFrame({"owner": ["a"], "valid_from_date": [date(2026, 11, 2)], "valid_to_date": [date(2026, 11, 9)]}),
        pl.DataFrame({"name": ["always valid"]}),
    ],
    ids=["prices", "owners", "names"],
)
def test_what_is_kept_of_a_large_table_tells_of_every_span_what_its_rows_tell(folder, tmp_path, monkeypatch, rows):
    monkeypatch.setattr(in_force, "_MANY_ROWS", 1)
    rows.write_parquet(file := tmp_path / "rows.parquet")
    spans = [
        Span(date(2026, 11, day), date(2026, 11, day + days) if days else None)
        for day in range(1, 12)
        for days in range(4)
    ]
    told = [in_force.rows_in_force(rows)(span) for span in spans]

    made = in_force.table_in_force(file, len(rows), "hash")
    file.unlink()
    taken = in_force.table_in_force(file, len(rows), "hash")

    assert [made(span) for span in spans] == [taken(span) for span in spans] == told
    with pytest.raises(FileNotFoundError):
        in_force.table_in_force(file, len(rows), "another hash")
