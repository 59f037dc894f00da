"""Every source folder: reading its ``example/`` gives its ``expected.json``. A new folder is picked up by itself.

``expected.json`` holds, for the files of ``example/`` laid into ``landing/<source>/``,

``staged``    shape -> its rows in file order; of each row the columns that are named.
              A token class that is not named must be null
``fates``     file -> its records by fate, as in ``ledger_files``
``refusals``  what was quarantined: file, line, reason
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from pipelines import paths
from pipelines.books import run
from pipelines.contract import TOKEN_CLASS_NAMES, shapes
from pipelines.paths import DataRoot
from pipelines.sources import sources
from tests.conftest import upstream
from tests.sources.landed import rows

FOLDERS = sorted(path.name for path in paths.SOURCES.iterdir() if path.is_dir() and path.name != "__pycache__")
# After every instant of the examples: a record later than its file's first sight is refused.
NOW = datetime(2026, 12, 1, tzinfo=UTC)
FATES = ("records", "booked", "duplicate", "not_billable", "quarantined")
# Stands in the free text of the examples, and may stand nowhere else.
PROMPT_TEXT = "this text is not read"


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """One run over the examples of all sources."""
    root = DataRoot(tmp_path_factory.mktemp("data"))
    for name in FOLDERS:
        if (paths.SOURCES / name / "example").is_dir():
            shutil.copytree(paths.SOURCES / name / "example", root.landing / name)
    report = run(root, now=NOW, select=upstream("ledger_files"))
    assert not report.problems
    assert not report.failed
    return root


def expected(source: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((paths.SOURCES / source / "expected.json").read_text(encoding="utf-8"))
    return content


def staged(root: DataRoot, shape: str, source: str) -> list[dict[str, Any]]:
    # A record may be several rows.
    parts = {"usage": ", operation", "bills": ", provider, charge_category, line_item_raw"}.get(shape, "")
    where = f"source = '{source}'"
    return rows(root, f"staged_{shape}", f"source_file, source_row, {shapes()[shape].day_of}{parts}", where)


def plain(value: object) -> object:
    """A value as JSON would hold it; decimals without the zeros at their end."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value


@pytest.mark.parametrize("source", FOLDERS)
def test_a_source_folder_is_whole(source):
    """README, how files are recognised, a query for a shape, an example and what is expected of it (CONTRIBUTING)."""
    folder = paths.SOURCES / source

    assert source in sources()
    assert sources()[source].folder == folder
    assert set(sources()[source].queries) & {"requests", "usage", "bills", "scores"}
    for name in ("README.md", "__init__.py", "source.py", "example", "expected.json"):
        assert (folder / name).exists(), f"pipelines/sources/{source} has no {name}"
    assert [path for path in (folder / "example").rglob("*") if path.is_file()]
    said = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("**Where**", "**How to get it**", "**What is lost**", "**What is refused**"):
        assert part in said, f"pipelines/sources/{source}/README.md does not say: {part}"


@pytest.mark.parametrize("source", FOLDERS)
def test_every_query_of_a_source_is_named_for_a_shape(source):
    """A query that is used by ``source.py`` itself is named there; any other name would never run."""
    folder = paths.SOURCES / source
    code = (folder / "source.py").read_text(encoding="utf-8")

    strange = [path.name for path in folder.glob("*.sql") if path.stem not in shapes() and path.name not in code]

    assert strange == []


@pytest.mark.parametrize("source", FOLDERS)
@pytest.mark.parametrize("shape", [name for name in shapes() if name != "refusals"])
def test_the_example_gives_the_expected_rows(books, source, shape):
    wanted = expected(source)["staged"].get(shape, [])
    token_classes = {name for name in TOKEN_CLASS_NAMES if name in shapes()[shape].types}

    found = staged(books, shape, source)

    assert len(found) == len(wanted)
    for row, line in zip(found, wanted, strict=True):
        named = dict.fromkeys(token_classes) | line
        assert {name: plain(row[name]) for name in named} == named


@pytest.mark.parametrize("source", FOLDERS)
def test_every_record_of_the_example_has_its_fate(books, source):
    found = rows(books, "ledger_files", "path", f"source = '{source}'")

    fates = {row["path"].removeprefix(f"landing/{source}/"): {fate: row[fate] for fate in FATES} for row in found}

    assert fates == expected(source)["fates"]
    for row in found:
        assert row["records"] == row["booked"] + row["duplicate"] + row["not_billable"] + row["quarantined"]


@pytest.mark.parametrize("source", FOLDERS)
def test_what_is_refused_is_named_by_file_line_and_reason(books, source):
    """In the table and in the readable list below ``quarantine/``."""
    wanted = expected(source)["refusals"]
    landed = f"landing/{source}/"

    refused = [row for row in staged(books, "refusals", source) if row["fate"] == "quarantined"]
    lists = sorted((books.quarantine / source).glob("*.jsonl"))
    listed = [json.loads(line) for path in lists for line in path.read_text(encoding="utf-8").splitlines()]

    assert [
        {"file": row["source_file"].removeprefix(landed), "line": row["source_row"], "reason": row["reason"]}
        for row in refused
    ] == wanted
    assert [entry | {"file": entry["file"].removeprefix(landed)} for entry in listed] == wanted


def test_no_text_of_a_prompt_leaves_the_landing_files(books):
    """Parquet is read back as text; everything else is searched as bytes."""
    landed = [path for path in books.landing.rglob("*") if path.is_file()]
    made = [path for path in books.path.rglob("*") if path.is_file() and books.landing not in path.parents]

    assert any(PROMPT_TEXT.encode() in path.read_bytes() for path in landed)
    with duckdb.connect() as con:
        for path in made:
            assert PROMPT_TEXT.encode() not in path.read_bytes(), path
            if path.suffix == ".parquet":
                query = f"select count(*) from read_parquet('{path}') as t where contains(cast(t as varchar), ?)"
                assert con.execute(query, [PROMPT_TEXT]).fetchall() == [(0,)], path
