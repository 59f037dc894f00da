"""``python -m benchmarks.same_books`` says of two data roots whether they hold the same rows, whatever their files look like."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from benchmarks.same_books import main

INVOICES = "(values (1, 'a', 1.10), (2, 'b', 2.20), (2, 'b', 2.20), (3, null, 3.30)) as t (day, owner, amount)"


def put(root: Path, file: str, query: str) -> None:
    path = root / "lake" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(f"copy ({query}) to '{path}' (format parquet)")


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A data root with one table, a file a day."""
    root = tmp_path / "one"
    for day in (1, 2, 3):
        put(root, f"ledger_things/day={day}/part.parquet", f"select * from {INVOICES} where day = {day}")
    return root


def test_the_same_rows_in_other_files_in_another_order_are_equal(
    one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three files of days against two of a month with other columns first, one of them deeper; a table that one lacks is empty."""
    other = tmp_path / "other"
    put(
        other,
        "ledger_things/2026/a.parquet",
        f"select owner, amount, day from {INVOICES} where day > 1 order by day desc",
    )
    put(other, "ledger_things/b.parquet", f"select owner, amount, day from {INVOICES} where day = 1")
    put(other, "mart_nothing/part.parquet", "select 1 as x where false")
    put(other, "ledger_things/.c.parquet.tmp", "select 1 as x")

    assert main([str(one), str(other)]) == 0

    printed = capsys.readouterr().out
    assert "ledger_things" in printed
    assert "4 rows  equal" in printed
    assert "2 tables, 0 differ" in printed


def test_a_row_that_stands_twice_in_one_and_once_in_the_other_differs(
    one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are sets of the same three rows; as books they are 9.90 and 7.70."""
    other = tmp_path / "other"
    put(other, "ledger_things/part.parquet", f"select distinct * from {INVOICES}")

    assert main([str(one), str(other)]) == 1

    printed = capsys.readouterr().out
    assert "1 only in ONE, 0 only in OTHER" in printed
    assert "only in ONE: day = 2, owner = b, amount = 2.20" in printed


def test_what_differs_is_told_by_column(one: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of another type, one that is not there, and a table that only one has."""
    other = tmp_path / "other"
    put(
        other,
        "ledger_things/part.parquet",
        f"select day, owner, amount::decimal(9, 4) as amount, 1 as extra from {INVOICES}",
    )
    put(other, "mart_more/part.parquet", "select 1 as x")

    assert main([str(one), str(other)]) == 1

    printed = capsys.readouterr().out
    assert "amount: ONE DECIMAL(3,2), OTHER DECIMAL(9,4)" in printed
    assert "extra: ONE -, OTHER INTEGER" in printed
    assert "2 tables, 2 differ: ledger_things, mart_more" in printed


def test_of_a_row_with_the_same_key_only_the_columns_that_differ_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ledger_clock has one row by 'clock'; ledger_files.first_seen_at knows the machine's clock and is left out."""
    for name, hour in (("one", 1), ("other", 2)):
        put(
            tmp_path / name,
            "ledger_clock/part.parquet",
            f"select 'books' as clock, timestamptz '2026-11-02 0{hour}:00:00Z' as now_at",
        )
        put(tmp_path / name, "ledger_files/part.parquet", f"select 'a' as path, 'b' as sha256, {hour} as first_seen_at")

    assert main([str(tmp_path / "one"), str(tmp_path / "other")]) == 1

    printed = capsys.readouterr().out
    assert "clock = books: now_at = 2026-11-02 01:00:00+00:00 in ONE, 2026-11-02 02:00:00+00:00 in OTHER" in printed
    assert "2 tables, 1 differ: ledger_clock" in printed

    assert main([str(tmp_path / "one"), str(tmp_path / "other"), "--without", "ledger_clock.now_at"]) == 0


def test_a_folder_without_a_lake_is_wrong_usage(one: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(one), str(tmp_path)])

    assert ended.value.code == 2
