"""The lake: whole files or none, one run at a time, an index that can be thrown away."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.engine import batches_of, connect, rows_of
from pipelines.lake import Lake, LakeError, run_lock, sweep
from pipelines.paths import DataRoot
from pipelines.settings import Settings

DAY = date(2026, 11, 2)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(Settings(threads=2), tmp_path / "scratch") as opened:
        yield opened


def put(lake: Lake, con: duckdb.DuckDBPyConnection, query: str, fingerprint: str = "f") -> Path:
    target = lake.root.partition("ledger_x", "day", DAY)
    lake.put(lake.write([rows_of(con, query)], target, fingerprint, "h1"), target, "ledger_x", DAY)
    return target


def test_a_file_says_what_it_was_built_from(root: DataRoot, con: duckdb.DuckDBPyConnection) -> None:
    path = put(Lake(root), con, "select 1 as a union all select 2")

    said = pq.read_metadata(path).metadata
    assert said[b"fingerprint"] == b"f"
    assert said[b"header_version"] == b"h1"
    assert len(said[b"content_hash"]) == 64
    assert said[b"content_hash"] != b"0" * 64
    assert path == root.lake / "ledger_x" / "day=2026-11-02" / "part.parquet"


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

    assert removed == ["lake/.scratch", "lake/ledger_x/day=2026-11-02/.part.parquet.tmp"]
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
    target = root.partition("ledger_x", "day", DAY)
    two = lake.write([rows_of(con, query)], target, "f", "h").read_bytes()
    con.execute("set threads = 1")

    assert lake.write([rows_of(con, query)], target, "f", "h").read_bytes() == two
    assert lake.write(batches_of(con, query, 10_000), target, "f", "h").read_bytes() == two


def test_the_content_hash_covers_all_that_stands_before_the_footer(
    root: DataRoot, con: duckdb.DuckDBPyConnection
) -> None:
    """A Parquet file ends with its footer, the footer's length in four bytes, and PAR1."""
    content = put(Lake(root), con, "select range as a, '{}'::json as b from range(200000)").read_bytes()
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

    assert list(json.loads(root.index.read_text(encoding="utf-8"))["ledger_x"]) == [
        "lake/ledger_x/day=2026-11-02/part.parquet"
    ]
