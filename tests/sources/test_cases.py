"""Every reported case of the formats is the claim of some test, or stands here with the reason why it is none."""

from __future__ import annotations

import ast
import re

import pytest

from pipelines import paths
from tests.sources.landed import SHARED

CASES = SHARED / "formats" / "cases.md"
TESTS = paths.SQL.parent / "tests"
# Case -> why no test of ours is about it.
NO_TEST = {
    "D8": "no file tells of Anthropic's Priority Tier in dollars: what a cost report leaves out is in its source's README",
}


@pytest.mark.skipif(not CASES.exists(), reason="needs the list of cases beside the checkout")
def test_every_case_is_the_claim_of_a_test_or_has_a_reason():
    cases = set(re.findall(r"^\| ([A-G]\d+) \|", CASES.read_text(encoding="utf-8"), re.MULTILINE))

    missing = cases - _numbers_in_docstrings()

    assert missing == set(NO_TEST)


def test_what_no_file_tells_stands_in_the_readme_of_its_source():
    """D8."""
    readme = paths.SOURCES / "anthropic_usage" / "README.md"

    assert "no Priority Tier" in readme.read_text(encoding="utf-8")


def _numbers_in_docstrings() -> set[str]:
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and path.name != "test_cases.py":
                found.update(re.findall(r"\b([A-G]\d+)\b", ast.get_docstring(node) or ""))
    return found
