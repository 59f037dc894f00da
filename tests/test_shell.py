"""The shell of ``tokenbooks sql``: what it completes, explains and refuses, piped and on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.cli.query import said_of
from pipelines.cli.shell import Tables, command, completions
from pipelines.views import open_views

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture
def con(golden_books):
    with open_views(golden_books) as opened:
        yield opened


def names(before: str, word: str, con) -> list[str]:
    return [name for name, _ in completions(before, word, Tables(con))]


def test_tables_are_completed_behind_from_and_columns_of_the_tables_that_are_named(con):
    assert names("select team from fact_sp", "fact_sp", con) == ["fact_spend_weekly"]
    assert names(".describe dim_te", "dim_te", con) == ["dim_team"]
    assert names("select 1 from fact_spend_weekly where bill", "bill", con) == ["billing_currency"]
    assert names("select 1 from fact_spend_weekly as f where f.row", "row", con) == ["row_key"]
    assert names("select 1 from mart_showback_weekly f where f.allocation_", "allocation_", con) == [
        "allocation_basis",
        "allocation_method",
    ]
    assert "row_key" not in names("select 1 from dim_week where ro", "ro", con)


@pytest.mark.parametrize(
    "table",
    [
        "mart_showback_weekly",
        "published_showback_weekly",
        "closed_mart_showback_weekly",
        "fact_spend_weekly",
        "staged_bills",
    ],
)
def test_describe_has_a_meaning_for_each_column(con, table):
    about, columns = Tables(con).about(table)

    assert about or table.startswith("closed_")
    assert [column.name for column in columns if not column.meaning and column.name != "row_key"] == []


def test_a_dot_command_answers_or_says_which_there_are(con, capsys):
    tables = Tables(con)
    command(".describe fact_alerts", tables, "table")
    described = capsys.readouterr().out
    command(".tables showback", tables, "table")
    listed = capsys.readouterr().out.split()
    command(".tabels", tables, "table")
    command(".describe fact_alert", tables, "table")
    command(".describe", tables, "table")
    complained = capsys.readouterr().err

    assert "dollars_at_stake_usd" in described
    assert "USD" in described
    assert {"mart_showback_weekly", "published_showback_weekly"} <= set(listed)
    assert "No command .tabels. Nearest: .tables." in complained
    assert "No table fact_alert. Nearest: fact_alerts" in complained
    assert ".describe wants the name of a table" in complained
    assert command(".format markdown", tables, "table") == "markdown"
    assert command(".format parquet", tables, "table") == "table"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select tem from fact_spend_weekly", "No column tem in fact_spend_weekly. Nearest: team"),
        ("select f.invoiced_usd from fact_spend_weekly as f", "Nearest: invoiced_cost_usd"),
        ("from fact_spend", "No table fact_spend. Nearest: fact_spend_weekly"),
        ("from pg_clas", "No table pg_clas."),
        ("select * from pragma_table_inf('x')", "does not exist"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_ours(con, golden_books, query, said):
    with pytest.raises(Exception) as failed:  # noqa: PT011
        con.execute(query)
    text = said_of(con, failed.value, query, golden_books)

    assert said in text
    assert "pg_class" not in text
    assert "pragma_table_info" not in text


def test_a_person_at_a_terminal_may_take_several_lines_and_finds_the_query_again(golden_books, tmp_path):
    """The history is a file of the data root; a query that a semicolon has not ended yet goes on in the next line."""
    root = tmp_path / "books"
    root.mkdir()
    for name in ("lake", "closed", "tokenbooks.duckdb"):
        if (golden_books.path / name).exists():
            (root / name).symlink_to(golden_books.path / name)
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "TOKENBOOKS_DATA": str(root),
        "PYTHONPATH": str(CHECKOUT),
        "TERM": "xterm",
        "PAGER": "cat",
    }
    shell = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "sql"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        close_fds=True,
    )
    os.close(theirs)
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 30
        while text not in seen:
            assert time.monotonic() < end, seen
            assert shell.poll() is None, seen
            if not select.select([ours], [], [], 1)[0]:
                continue
            seen += os.read(ours, 65536)
            # prompt_toolkit asks the terminal where the cursor is.
            if seen.endswith(b"\x1b[6n"):
                os.write(ours, b"\x1b[1;1R")

    try:
        until(b"books>")
        os.write(ours, b"select 40\r")
        until(b"...>")
        os.write(ours, b"+ 1002 as answer;\r")
        until(b"1042")
        os.write(ours, b".quit\r")
        assert shell.wait(30) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    assert "+select 40\n++ 1002 as answer;\n" in (root / ".sql_history").read_text("utf-8")
