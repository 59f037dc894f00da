"""The documents: their commands exist, their links lead somewhere, their examples run and give what they say."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer

from pipelines import __version__
from pipelines.books import run
from pipelines.cli import app
from pipelines.cli.examples import EXAMPLES
from pipelines.dictionary import table_types
from pipelines.engine import connect, named_rows
from pipelines.lake import Lake
from pipelines.models import parse
from pipelines.paths import DataRoot
from pipelines.reading import Reader
from pipelines.settings import Settings
from pipelines.sources import sources

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "pipelines/sources/*/README.md")
    for path in CHECKOUT.glob(pattern)
)
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def text_of(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block."""
    found = re.findall(r"^ *```([a-z ]*)\n(.*?)^ *```$", text_of(name), re.MULTILINE | re.DOTALL)
    return [(language, textwrap.dedent(content)) for language, content in found]


def block(name: str, language: str, holding: str = "") -> str:
    """The only block of a language that holds a text."""
    [content] = [content for said, content in blocks(name) if said == language and holding in content]
    return content


def code_of(name: str) -> list[str]:
    """Every line of shell, and every piece of inline code."""
    lines = [line for language, content in blocks(name) if language == "sh" for line in content.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", prose_of(name))


def prose_of(name: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)


@cache
def commands() -> Mapping[str, set[str]]:
    """The commands of ``tokenbooks`` with their options."""
    group: Any = typer.main.get_command(app)
    return {
        name: {
            option
            for part in (command, *getattr(command, "commands", {}).values())
            for parameter in part.params
            for option in parameter.opts
        }
        | {"--help"}
        for name, command in group.commands.items()
        if not command.hidden
    }


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", text_of("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_a_document_exists(name):
    for code in code_of(name):
        for target in re.findall(r"^make ([a-z]+)", code):
            assert target in targets(), code
        for command, rest in re.findall(r"(?:^|/)tokenbooks ([a-z]+)([^#]*)", code):
            assert command in commands(), code
            assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= commands()[command], code


def test_every_command_is_in_the_readme():
    named = {command for code in code_of("README.md") for command in re.findall(r"tokenbooks ([a-z]+)", code)}

    assert named >= set(commands())


def test_every_make_target_is_in_a_document():
    named = {
        target
        for name in ("README.md", "CONTRIBUTING.md")
        for code in code_of(name)
        for target in re.findall(r"^make ([a-z]+)", code)
    }

    assert named >= targets() - {"clean"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(name):
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", prose_of(name)):
        assert "://" not in target, target
        path = (CHECKOUT / name).parent / target if target else CHECKOUT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.resolve().relative_to(CHECKOUT).as_posix()), f"{target}#{anchor}"


@cache
def anchors(name: str) -> set[str]:
    """The headings of a document as GitHub's addresses have them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(name), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in plain}


def test_the_site_has_every_document():
    """What its settings take in, and what its contents name."""
    settings: dict[str, Any] = {}
    exec(text_of("docs/site/conf.py"), settings)
    named = [line.strip() for line in text_of("docs/site/index.rst").splitlines() if line.startswith("   ..")]
    contents = [str((CHECKOUT / "docs/site" / entry).resolve().relative_to(CHECKOUT)) + ".md" for entry in named]

    for name in DOCUMENTS:
        assert any(fnmatch(name, pattern) for pattern in settings["include_patterns"]), name
        assert any(fnmatch(name, pattern) for pattern in contents), name


def test_your_data_has_every_source_with_its_folder_and_its_readme():
    text = text_of("docs/your_data.md")

    for source in sources():
        assert f"landing/{source}/" in text, source
        assert f"../pipelines/sources/{source}/README.md" in text, source


def test_every_example_of_the_help_names_options_that_there_are():
    for name, lines in EXAMPLES.items():
        for line in lines:
            assert line.startswith(f"tokenbooks {name}"), line
            assert set(re.findall(r"(?<!\S)--[a-z-]+", line)) <= commands()[name.split()[0]], line


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_every_path_in_a_document_exists(name):
    """What a recipe makes is not there yet."""
    made_by_recipes = ("pipelines/sources/acme/", "sql/marts/economics/mart_feature_errors_weekly.sql")
    paths = {
        code for code in code_of(name) if re.match(r"(?:pipelines|sql|assets|tests|docs|data/shipped)/[\w./-]*$", code)
    }

    assert [path for path in sorted(paths) if path not in made_by_recipes and not (CHECKOUT / path).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_finished(name):
    assert re.findall(r"\b(?:TODO|FIXME|TBD|XXX)\b", text_of(name)) == []


def test_the_changelog_begins_with_this_version():
    assert re.findall(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)[0] == __version__


# ---- README: your own data in five steps


def test_the_five_steps_give_what_the_readme_says(tmp_path, monkeypatch):
    """List: 0.142 + 0.11676 + 0.255 + 0.0975 + 0.081 + 0.0161 + 0.024 + 0.01 + 0.184 = 0.92636.

    OpenAI is 0.80526 of it. With 10 % off: 0.92636 - 0.080526 = 0.845834. Call 9 has no usage, so no cost.
    """
    root = DataRoot(tmp_path)
    for path, content in {
        root.landing / "app_log" / "calls.jsonl": block("README.md", "json lines"),
        root.reference / "features.csv": block("README.md", "csv", "owner_team"),
        root.reference / "prices.csv": block("README.md", "csv", "unit_price"),
        root.reference / "price_overrides.csv": block("README.md", "csv", "multiplier"),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    report = run(root, now=NOW)

    assert not report.problems
    assert not report.is_blocked
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as con:
        query = "select sum(list_cost_usd), sum(effective_cost_usd), count(*) from 'lake/ledger_costs/*/*.parquet'"
        assert con.execute(query).fetchall() == [(Decimal("0.92636"), Decimal("0.845834"), 10)]
        rows = con.execute(block("README.md", "sql", "showback.parquet")).fetchall()
    said = re.findall(r"\$(\d+\.\d\d) (?:at list prices|under the contract)", text_of("README.md"))
    assert said == ["0.93", "0.85"]
    calls = {(team, feature): int(requests) for team, feature, requests, *_ in rows}
    assert calls == {("cx", "support-chat"): 4, ("legal", "contract-review"): 5, ("unattributed", "unattributed"): 1}
    assert sum(effective for *_, effective, _ in rows) == Decimal("0.845834")


# ---- CONTRIBUTING: the recipes


def test_the_recipe_for_a_source_reads_its_example(tmp_path):
    """The files of the recipe, written down as it says, give its expected.json."""
    name = "CONTRIBUTING.md"
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "source.py").write_text(block(name, "python"), encoding="utf-8")
    (folder / "requests.sql").write_text(block(name, "sql", "from records"), encoding="utf-8")
    module: dict[str, Any] = {"__file__": str(folder / "source.py")}
    exec(compile(block(name, "python"), "source.py", "exec"), module)
    root = DataRoot(tmp_path / "data")
    (root.landing / "acme").mkdir(parents=True)
    (root.landing / "acme" / "calls.jsonl").write_text(block(name, "json lines"), encoding="utf-8")
    wanted = json.loads(block(name, "json"))

    with connect(Settings(), root.scratch) as con:
        report = Reader(con, root, Lake(root), Settings(), {"acme": module["SOURCE"]}, [], NOW).read()
        rows = named_rows(con, f"select * from read_parquet('{root.table('staged_requests')}/*/*.parquet')")

    assert [{key: row[key] for key in line} for row, line in zip(rows, wanted["staged"]["requests"], strict=True)] == (
        wanted["staged"]["requests"]
    )
    [read] = report.files_read
    assert (read.records, read.quarantined) == (2, 1)
    refused = json.loads((root.quarantine / "acme" / "calls.jsonl.jsonl").read_text(encoding="utf-8"))
    assert refused | {"file": "calls.jsonl"} == wanted["refusals"][0]


def test_the_recipe_for_a_table_is_a_model_that_runs(tmp_path):
    """Its result is what its header says, and its answer runs on it."""
    path = tmp_path / "sql" / "marts" / "economics" / "mart_feature_errors_weekly.sql"
    path.parent.mkdir(parents=True)
    path.write_text(block("CONTRIBUTING.md", "sql", "about:"), encoding="utf-8")

    model = parse(path, tmp_path / "sql")

    with duckdb.connect() as con:
        types = table_types()["ledger_requests"]
        con.execute(f"create table ledger_requests ({', '.join(f'{n} {t}' for n, t in types.items())})")
        con.execute(
            "insert into ledger_requests by name select unnest(['ok', 'ok', 'error']) as status, 'search' as feature, "
            "true as is_billable_leaf, timestamptz '2026-11-18 12:00:00+00' as started_at"
        )
        con.execute(f"create table {model.name} as {model.query}")
        found = con.execute(f"describe {model.name}").fetchall()
        assert {row[0]: row[1] for row in found} == model.types
        assert con.execute(f"select requests, failed_requests from {model.name}").fetchall() == [(3, 1)]
        [(feature, share)] = con.execute(model.answer).fetchall()
    assert (feature, share) == ("search", pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("file", "holding"),
    [("prices.csv", "cohere"), ("prices.csv", "video_in"), ("thresholds.csv", "unpriced_warn_share")],
)
def test_the_row_of_a_recipe_fits_its_file(file, holding):
    """As many cells as the header of the shipped file has."""
    header = text_of(f"data/shipped/{file}").splitlines()[0].split(",")

    assert len(block("CONTRIBUTING.md", "csv", holding).strip().split(",")) == len(header)
