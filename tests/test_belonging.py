"""A file in the wrong place is answered with what it is and where it belongs."""

from __future__ import annotations

import bz2
import json
import zipfile
from pathlib import Path

import pytest

from pipelines.belonging import looks_like, may_be, no_export, stranger
from pipelines.paths import DataRoot
from pipelines.sources import sources

COSTS = json.dumps({"object": "page", "data": [{"object": "bucket", "start_time": 1, "end_time": 2, "results": []}]})


@pytest.mark.parametrize("name", sorted(sources()))
def test_an_example_of_every_source_is_told_to_be_of_it(name: str) -> None:
    """By its first bytes; manifests and notes beside the exports are none."""
    examples = [path for path in (sources()[name].folder / "example").rglob("*") if path.is_file()]

    assert any(f"landing/{name}/" in looks_like(path) for path in examples)


def test_what_lies_outside_of_the_sources_folders_is_told_where_to_go(root: DataRoot) -> None:
    (root.landing / "openai").mkdir(parents=True)
    (root.landing / "empty").mkdir()
    for place in ("costs.json", "openai/costs.json"):
        (root.landing / place).write_text(COSTS, encoding="utf-8")

    said = [stranger(root, f"landing/{name}") for name in ("costs.json", "openai", "empty")]

    assert said[0].endswith("so it is not read. Move it to landing/openai_usage/.")
    assert said[1].endswith("so nothing in it is read. Move its files to landing/openai_usage/.")
    assert "Move it below one of anthropic_usage, " in said[2]


def test_what_is_no_export_is_named(tmp_path: Path) -> None:
    packed, workbook, page, costs = (tmp_path / name for name in ("a.zip", "b.csv", "c.csv", "d.json"))
    readme, other = tmp_path / "README.md", tmp_path / "calls.jsonl.bz2"
    readme.write_text("# Sources\n\nExports of three accounts.\n", encoding="utf-8")
    other.write_bytes(bz2.compress(COSTS.encode()))
    for path, member in ((packed, "costs.json"), (workbook, "xl/workbook.xml")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, COSTS)
    page.write_text("<!DOCTYPE html><html>Sign in</html>", encoding="utf-8")
    costs.write_text(COSTS, encoding="utf-8")

    assert no_export(packed).startswith("a zip archive with costs.json; unpack it")
    assert no_export(workbook).startswith("an Excel workbook; save its sheet as CSV")
    assert no_export(page).startswith("a web page")
    assert no_export(readme) == "a text for people (.md), expected an export; take it out of landing/"
    assert no_export(other).startswith("packed with bzip2; unpack it, or pack it with gzip or zstd")
    assert no_export(costs) == ""


def test_a_file_that_its_source_knows_and_cannot_book_may_be_of_another(tmp_path: Path) -> None:
    """An observation of Langfuse has an id and a start, which is all that an application's log is known by."""
    path = next((sources()["langfuse"].folder / "example").rglob("observations_v2/*.jsonl"))

    assert "landing/langfuse/" in may_be(path, "app_log")
    assert may_be(next((sources()["openrouter"].folder / "example").rglob("*.csv")), "openrouter") == ""
