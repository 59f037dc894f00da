"""The lake: whole files or none, one run at a time, an index that can be thrown away."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines import upgrade
from pipelines.engine import batches_of, connect, rows_of, with_row_hashes
from pipelines.lake import Lake, LakeError, run_lock, sweep
from pipelines.parquet import PeriodRows, write_periods, write_rows
from pipelines.paths import DataRoot
from pipelines.settings import Settings

DAY = date(2026, 11, 2)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(Settings(threads=2), tmp_path / "scratch") as opened:
        yield opened


def put(lake: Lake, con: duckdb.DuckDBPyConnection, query: str, fingerprint: str = "f") -> Path:
    return put_days(lake, con, {DAY: query}, fingerprint)


def put_days(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    queries: Mapping[date, str],
    fingerprint: str = "f",
    *,
    gone: Sequence[date] = (),
    by_day: bool = False,
) -> Path:
    """Write the rows of some days of one month; where they lie comes back."""
    rows = {day: with_row_hashes(con, rows_of(con, query)) for day, query in queries.items()}
    folder = lake.root.stored("ledger_x", "month", DAY.replace(day=1))
    periods = [PeriodRows(day, fingerprint, [table]) for day, table in rows.items()]
    schema = next((table.schema.remove(table.schema.get_field_index("row_hash")) for table in rows.values()), None)
    lake.store("ledger_x", folder, periods, gone, "h1", schema, by_day=by_day)
    return folder / "part.parquet"


def test_a_file_says_what_it_was_built_from(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    path = put(Lake(root), con, "select 1 as a union all select 2")

    said = pq.read_metadata(path).metadata
    [[start, fingerprint, content_hash, rows]] = json.loads(said[b"periods"])
    assert (start, fingerprint, rows) == ("2026-11-02", "f", 2)
    assert said[b"header_version"] == b"h1"
    assert len(content_hash) == 32
    assert content_hash != "0" * 32
    assert path == root.lake / "ledger_x" / "month=2026-11-01" / "part.parquet"


def test_days_of_a_month_share_a_file_and_one_that_is_built_again_leaves_the_others(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(root)
    days = [date(2026, 11, day) for day in (2, 3, 9)]
    path = put_days(lake, con, {day: f"select {day.day} as a, date '{day}' as d" for day in days})
    before = {part.start: (part.fingerprint, part.content_hash) for part in lake.parts("ledger_x")}

    put_days(lake, con, {days[1]: "select 30 as a, date '2026-11-03' as d union all select 31, date '2026-11-03'"}, "g")

    after = {part.start: (part.fingerprint, part.content_hash) for part in Lake(root).parts("ledger_x")}
    assert [after[day] == before[day] for day in days] == [True, False, True]
    assert [part.rows for part in lake.parts("ledger_x")] == [1, 2, 1]
    rows = con.execute(f"select a from read_parquet('{path}', hive_partitioning = false)").fetchall()
    assert rows == [(2,), (30,), (31,), (9,)]
    put_days(lake, con, {}, gone=days[:2])
    assert [part.start for part in Lake(root).parts("ledger_x")] == days[2:]
    put_days(lake, con, {}, gone=days[2:])
    assert Lake(root).parts("ledger_x") == []
    assert not path.parent.exists()


def test_a_month_takes_another_form_with_the_same_rows_fingerprints_and_hashes(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    """One file, a file a day with one day more, and one file again."""
    lake = Lake(root)
    days = [date(2026, 11, day) for day in (2, 3, 9)]
    queries = {day: f"select {day.day} as a, '{{}}'::json as b, 1.5::decimal(18,9) as c" for day in days}

    def found() -> tuple[list[str], list[tuple[object, ...]], list[tuple[object, ...]]]:
        parts = Lake(root).parts("ledger_x")
        files = sorted({part.path for part in parts})
        names = [file.rpartition("/")[2] for file in files]
        rows = con.execute(
            f"from read_parquet({[str(root.path / f) for f in files]}, hive_partitioning=false) order by a"
        )
        return names, [(part.start, part.fingerprint, part.content_hash) for part in parts], rows.fetchall()

    put_days(lake, con, {day: queries[day] for day in days[:2]})
    _, together, _ = found()
    put_days(lake, con, {days[2]: queries[days[2]]}, by_day=True)
    names, apart, rows = found()
    assert names == ["day=2026-11-02.parquet", "day=2026-11-03.parquet", "day=2026-11-09.parquet"]
    assert apart[:2] == together
    put_days(lake, con, {}, by_day=False)
    assert found() == (["part.parquet"], apart, rows)
    assert [path.name for path in root.table("ledger_x").iterdir()] == ["month=2026-11-01"]


def test_the_lake_of_an_earlier_version_is_brought_forward_with_every_row(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    """It had a folder a day or week, and told of one period a file by its place."""
    for folder, value in (("day=2026-11-02", 1), ("day=2026-11-03", 2), ("day=2026-12-01", 3)):
        target = root.table("staged_x") / folder / "batch.parquet"
        write_rows([rows_of(con, f"select {value} as a")], target, "batch", "fragment").replace(target)
    week = root.table("mart_x_weekly") / "week=2026-11-02" / "part.parquet"
    write_rows([rows_of(con, "select 4 as a")], week, "f", "h").replace(week)
    before = {part.start: (part.fingerprint, part.content_hash) for part in Lake(root).parts("staged_x")}

    assert upgrade.is_of_earlier_version(root)
    assert "written by an earlier version" in upgrade.bring_forward(root)

    lake = Lake(root)
    assert {part.start: (part.fingerprint, part.content_hash) for part in lake.parts("staged_x")} == before
    assert sorted({part.path for part in lake.parts("staged_x")}) == [
        "lake/staged_x/month=2026-11-01/batch.parquet",
        "lake/staged_x/month=2026-12-01/batch.parquet",
    ]
    assert [part.path for part in lake.parts("mart_x_weekly")] == ["lake/mart_x_weekly/year=2026-01-01/part.parquet"]
    rows = con.execute(f"select a from '{root.lake}/*/*/*.parquet' order by a").fetchall()
    assert rows == [(1,), (2,), (3,), (4,)]
    assert upgrade.bring_forward(root) == ""


def test_the_content_hash_follows_the_rows_and_not_the_fingerprint(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(root)

    def content(query: str, fingerprint: str) -> str:
        put(lake, con, query, fingerprint)
        part = lake.part("ledger_x", DAY)
        assert part is not None
        return part.content_hash

    first = content("select 1 as a", "f")
    assert content("select 1 as a", "g") == first
    assert content("select 2 as a", "f") != first


def test_the_index_is_only_a_cache(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(root)
    put(lake, con, "select 1 as a")
    lake.save_index()

    known = Lake(root).parts("ledger_x")
    root.index.write_text("{ broken", encoding="utf-8")
    assert Lake(root).parts("ledger_x") == known
    root.index.unlink()
    assert Lake(root).parts("ledger_x") == known


def test_a_file_changed_behind_the_index_is_described_anew(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(root)
    path = put(lake, con, "select 1 as a")
    lake.save_index()
    path.write_bytes(b"PAR1 broken")

    [part] = Lake(root).parts("ledger_x")

    assert (part.fingerprint, part.rows) == ("", 0)


def test_what_a_killed_run_left_is_swept_and_good_files_stay(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(root)
    path = put(lake, con, "select 1 as a")
    path.with_name(".part.parquet.tmp").write_bytes(b"half a fi")
    root.scratch.mkdir(parents=True)
    (root.scratch / "piece.jsonl").write_bytes(b"{")

    removed = sweep(root)

    assert removed == ["lake/.scratch", "lake/ledger_x/month=2026-11-01/.part.parquet.tmp"]
    assert con.execute(f"select a from read_parquet('{path}', hive_partitioning = false)").fetchall() == [(1,)]


def test_a_reader_in_the_middle_of_a_replacement_reads_the_old_rows_to_their_end(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(root)
    path = put(lake, con, "select 1 as a")
    with path.open("rb") as reader:
        before = reader.read(4)
        put(lake, con, "select 2 as a")
        rest = reader.read()

    assert before + rest != path.read_bytes()
    assert (before + rest)[-4:] == b"PAR1"


def test_a_second_run_is_told_who_is_at_work(root: DataRoot) -> None:
    """The lock is the process's own: within it, it can be taken again."""
    code = (
        "import sys; from pathlib import Path; from pipelines.lake import run_lock, LakeError; from pipelines.paths import DataRoot\n"
        "try:\n    with run_lock(DataRoot(Path(sys.argv[1]))): print('free')\nexcept LakeError as error: print(error)"
    )

    def other() -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(root.path)], capture_output=True, text=True, check=True
        ).stdout

    with run_lock(root), run_lock(root):
        assert f"process {os.getpid()}" in other()
    assert other() == "free\n"


def test_the_lock_dies_with_a_killed_process(root: DataRoot) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pipelines.lake import run_lock; from pipelines.paths import DataRoot\n"
        "with run_lock(DataRoot(Path(sys.argv[1]))): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(root.path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LakeError, match="Another run is at work"), run_lock(root):
            pass
        process.kill()
    with run_lock(root):
        pass


def test_the_same_rows_give_the_same_bytes_for_any_number_of_threads(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    query = "select md5(range::varchar) as id, (range % 7)::decimal(18,2) as usd, [range] as list from range(300000) order by id"
    lake = Lake(root)
    con.execute("set threads = 2")
    target = root.whole("ledger_x")
    two = lake.write([rows_of(con, query)], target, "f", "h").read_bytes()
    con.execute("set threads = 1")

    assert lake.write([rows_of(con, query)], target, "f", "h").read_bytes() == two
    assert lake.write(batches_of(con, query, 10_000), target, "f", "h").read_bytes() == two


def test_the_content_hash_covers_all_that_stands_before_the_footer(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    """A Parquet file ends with its footer, the footer's length in four bytes, and PAR1."""
    lake, target = Lake(root), root.whole("ledger_x")
    rows = rows_of(con, "select range as a, '{}'::json as b from range(200000)")
    lake.put(lake.write([rows], target, "f", "h1"), target, "ledger_x")
    content = target.read_bytes()
    footer_bytes = int.from_bytes(content[-8:-4], "little")

    [part] = Lake(root).parts("ledger_x")
    assert part.content_hash == hashlib.sha256(b"h1" + content[: -8 - footer_bytes]).hexdigest()


def test_an_empty_partition_keeps_its_types(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    query = "select 1::decimal(38,15) as usd, '{}'::json as raw, map {'a': 1::decimal(38,9)} as units, now() as at where false"
    path = put(Lake(root), con, query)

    found = con.execute(f"describe select * from read_parquet('{path}', hive_partitioning = false)").fetchall()
    assert [row[1] for row in found] == [
        "DECIMAL(38,15)",
        "JSON",
        "MAP(VARCHAR, DECIMAL(38,9))",
        "TIMESTAMP WITH TIME ZONE",
    ]


def test_the_index_holds_no_path_of_the_machine(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(root)
    put(lake, con, "select 1 as a")
    lake.save_index()

    assert list(json.loads(root.index.read_text(encoding="utf-8"))["tables"]["ledger_x"]) == [
        "lake/ledger_x/month=2026-11-01/part.parquet"
    ]


def test_keys_and_instants_are_written_by_their_differences_and_everything_else_by_a_dictionary(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    """Nested columns are named by their paths in the file: one that is not would be written without a dictionary."""
    rows = rows_of(
        con,
        """select md5(i::varchar) as request_key, 'call-' || i as source_row_id, timestamptz '2026-11-02' + to_seconds(i) as started_at,
            ['a', 'b'] as tags, map {'k': 'v'} as attributes, {'x': 1, 'y': ['z']} as place, 'EUR' as currency, '{"a": 1}'::json as raw
        from range(2000) as t(i)""",
    )
    path = root.stored("ledger_things", "month", date(2026, 11, 1)) / "part.parquet"
    write_periods([PeriodRows(date(2026, 11, 2), "f", [with_row_hashes(con, rows)])], path, "1").replace(path)

    group = pq.read_metadata(path).row_group(0)
    by_dictionary = {
        column.path_in_schema
        for column in (group.column(n) for n in range(group.num_columns))
        if "RLE_DICTIONARY" in column.encodings
    }
    assert by_dictionary == {
        *("tags.list.element", "attributes.key_value.key", "attributes.key_value.value"),
        *("place.x", "place.y.list.element", "currency", "raw"),
    }
    found = rows_of(con, f"select * from read_parquet('{path}', hive_partitioning = false)")
    assert found.to_pylist() == rows.to_pylist()
