"""Books of another version, whose files lack columns: a command says so in a sentence until the first run."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipelines import books
from pipelines.cli import app, command_line
from pipelines.paths import DataRoot
from pipelines.upgrade import RUN_ONCE, lacks_columns
from tests.conftest import upstream
from tests.sources.landed import land


def test_books_that_lack_a_column_say_to_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call as it was kept before counts that no rule reads were."""
    root = DataRoot(tmp_path / "books")
    call = {"id": "1", "timestamp": "2026-11-18T12:00:00Z", "provider": "openai", "model": "gpt-5.4"}
    land(root, "app_log/a/calls.jsonl", json.dumps({**call, "usage": {"prompt_tokens": 10, "completion_tokens": 5}}))
    books.run(root, now=datetime(2026, 11, 20, tzinfo=UTC), select=upstream("ledger_costs"))
    assert not lacks_columns(root)
    for table in ("staged_requests", "ledger_requests"):
        for path in root.table(table).rglob("*.parquet"):
            rows = pq.read_table(path)
            kept = rows.drop_columns(["unread_usage"]).replace_schema_metadata(rows.schema.metadata)
            path.unlink()
            pq.write_table(kept, path)

    monkeypatch.setattr(sys, "argv", ["tokenbooks", "explain", "1", "--root", str(root.path)])
    with pytest.raises(SystemExit):
        command_line()

    assert lacks_columns(root)
    assert RUN_ONCE in capsys.readouterr().err


@pytest.mark.parametrize(
    "query", ["from new_table", "select count(*) from ledger_files", "select new_column from ledger_clock"]
)
def test_what_views_of_another_version_cannot_answer_is_answered_with_run_once(
    golden_books: DataRoot, tmp_path: Path, query: str
) -> None:
    """They name files where another version kept them, which the lock of the engine takes for strangers, and know fewer tables."""
    root = DataRoot(tmp_path / "books")
    root.path.mkdir()
    root.lake.symlink_to(golden_books.lake)
    with duckdb.connect(str(root.views)) as con:
        con.execute("create macro views_version() as 'another'")
        con.execute("create macro data_root() as ''")
        con.execute("create view ledger_clock as select 1 as old_column")
        con.execute(f"copy (select 1 as one) to '{tmp_path}/elsewhere.parquet' (format parquet)")
        con.execute(f"create view ledger_files as from read_parquet('{tmp_path}/elsewhere.parquet')")

    said = CliRunner().invoke(app, ["sql", query, "--root", str(root.path)])

    assert (said.exit_code, RUN_ONCE in said.output) == (1, True)


def test_a_question_with_a_fault_of_its_own_is_not_blamed_on_the_version(golden_books: DataRoot) -> None:
    said = CliRunner().invoke(app, ["sql", "from read_csv('/etc/hosts')", "--root", str(golden_books.path)])

    assert said.exit_code == 1
    assert "Permission Error" in said.output
    assert RUN_ONCE not in said.output
