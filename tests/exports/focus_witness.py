"""What the validator of the FinOps Foundation says of the FOCUS 1.2 files of a data root, and what is known of it."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from pipelines.paths import DataRoot

# Its versions do not go with ours, and it wants Python 3.12: it has an environment of its own (Makefile).
_ENVIRONMENT = Path(__file__).parents[2] / ".venv" / "focus"
_VALIDATOR = _ENVIRONMENT / "bin" / "focus-validator"
_EXPLAINED = Path(__file__).with_name("focus_explained.csv")
# What our sellers have, in the words of the specification; without these their columns are not judged.
_SUPPORTED = """
ACCOUNT_NAMING MULTIPLE_PRICING_CATEGORIES NEGOTIATED_PRICING PUBLIC_PRICE_LIST USAGE_MEASUREMENT UNIT_PRICING SUB_ACCOUNT REGION TAGGING
""".split()

needs_the_validator = pytest.mark.skipif(not _VALIDATOR.exists(), reason="focus-validator is not installed")


def judged(root: DataRoot, ending: str, folder: Path) -> tuple[set[str], set[str]]:
    """The rules that all months of a data root as one file keep, and those that it fails or that fail to run.

    ``ending`` is csv or parquet: which of the two files of each month is judged.
    """
    months = root.exports / "focus" / "1.2" / "*" / f"cost_and_usage.{ending}"
    whole, report = folder / f"all.{ending}", folder / "report.xml"
    with duckdb.connect() as con:
        text = ", all_varchar = true" if ending == "csv" else ""
        con.execute(f"copy (from read_{ending}('{months}', hive_partitioning = false{text})) to '{whole}'")
    # It reads its list of currencies relative to where it is started.
    [place] = _ENVIRONMENT.glob("lib/python*/site-packages")
    subprocess.run(
        [
            *(str(_VALIDATOR), "--data-file", str(whole), "--validate-version", "1.2", "--block-download"),
            *("--applicability-criteria", ",".join(f"{name}_SUPPORTED" for name in _SUPPORTED)),
            *("--output-type", "unittest", "--output-destination", str(report)),
        ],
        cwd=place,
        check=True,
        capture_output=True,
    )
    found: dict[str, set[str]] = {"kept": set(), "failure": set(), "error": set(), "skipped": set()}
    for case in ElementTree.parse(report).iter("testcase"):
        found[next((child.tag for child in case), "kept")].add(case.attrib["name"].partition(" :: ")[0])
    return found["kept"], found["failure"] | found["error"]


def explained(company: str) -> set[str]:
    """The rules that its files are known to fail, each with why and where the specification says so."""
    with _EXPLAINED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["why"].strip() and row["reference"].strip() for row in rows)
    return {row["rule"] for row in rows if row["company"] in ("both", company)}
