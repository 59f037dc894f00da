"""docs/data_dictionary.md is what the headers give, and the queries in it run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.contract import shapes
from pipelines.dictionary import REFERENCE_EXTRAS, dictionary, main, table_types
from pipelines.models import models
from pipelines.reference.tables import TABLES

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "data_dictionary.md"
WITH_ANSWER = sorted(name for name, model in models().items() if model.answer)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table, typed and empty."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table, types in table_types().items():
            columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
            connection.execute(f"create table {table} ({columns})")
        yield connection


def test_the_committed_page_is_what_the_headers_give():
    """When this fails: make docs."""
    assert PAGE.read_text(encoding="utf-8") == dictionary()


def test_the_page_is_the_same_in_every_process_and_needs_no_dagster():
    code = (
        "import sys, hashlib; from pipelines.dictionary import dictionary; "
        "print(hashlib.sha256(dictionary().encode()).hexdigest(), 'dagster' in sys.modules)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1
    assert said.pop().split()[1] == "False"


def test_check_fails_for_a_stale_page_and_says_what_to_do(tmp_path, capsys):
    page = tmp_path / "page.md"
    assert main(["--write", str(page)]) == 0
    assert main(["--check", str(page)]) == 0

    page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    assert main(["--check", str(page)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert main(["--check", str(tmp_path / "absent.md")]) == 1


def test_every_table_has_a_section_and_every_column_a_line():
    page = dictionary()
    sections = {part.split("\n", 1)[0]: part for part in page.split("\n### ")[1:]}

    assert list(sections) == list(table_types())
    for table, types in table_types().items():
        for column, type_ in types.items():
            if table.removeprefix("ref_") in TABLES and column in REFERENCE_EXTRAS:
                continue
            assert f"| `{column}` | {type_} |" in sections[table], f"{table}.{column}"


def test_sections_stand_in_journey_order():
    """Staged, reference, ledger, marts; within a layer a table stands behind what it reads."""
    order = list(table_types())
    place = {table: number for number, table in enumerate(order)}

    assert order[: len(shapes())] == [shape.table for shape in shapes().values()]
    for name, model in models().items():
        for table in model.inputs & set(models()):
            assert place[table] <= place[name]


def test_every_link_of_the_page_has_a_section():
    page = dictionary()

    linked = set(re.findall(r"\]\(#([a-z0-9_]+)\)", page))

    assert linked <= set(re.findall(r"^### ([a-z0-9_]+)$", page, re.MULTILINE))


def test_a_table_of_the_page_has_as_many_cells_as_titles():
    """A bar inside a meaning is escaped; else the rest of the line would be lost."""
    for block in re.findall(r"(?:^\|.*\|\n)+", dictionary(), re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(bars) == 1, block.splitlines()[0]


@pytest.mark.parametrize("table", WITH_ANSWER)
def test_the_answer_of_a_table_runs(con, table):
    """As in the header, and as the page shows it."""
    model = models()[table]
    [shown] = re.findall(rf"\n### {table}\n.*?```sql\n(.*?)\n```", dictionary(), re.DOTALL)

    assert model.question.endswith("?")
    assert " ".join(shown.split()) == " ".join(model.answer.split())
    assert table in model.answer
    con.execute(model.answer).fetchall()
    con.execute(shown).fetchall()


def test_every_mart_has_a_question_and_its_answer():
    marts = [model for model in models().values() if model.layer == "marts"]

    assert marts
    assert [model.name for model in marts if not (model.question and model.answer)] == []


def test_a_question_has_an_answer():
    assert [model.name for model in models().values() if bool(model.question) != bool(model.answer)] == []
