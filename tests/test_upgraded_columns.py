"""Books of another version, whose files lack columns: a command says so in a sentence until the first run."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import books
from pipelines.cli import main
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
        main()

    assert lacks_columns(root)
    assert RUN_ONCE in capsys.readouterr().err
