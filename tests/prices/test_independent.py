"""An independent check: the costs of real usage objects against genai-prices' own calculator, at three dates."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from independent import INSTANTS, OBJECTS, cases, differences

TABLE = Path(__file__).parent / "differences_genai_prices.csv"


@pytest.mark.skipif(not OBJECTS.is_file(), reason="the providers' objects are not here")
def test_every_difference_from_the_other_calculator_is_in_the_table_with_its_reason() -> None:
    """Some 800 different objects at three dates; where the totals differ, the table says by how much and why."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))

    found = differences()

    assert len(cases()) * len(INSTANTS) > 2_000
    assert all(row["reason"].strip() for row in known)
    assert found == [{name: value for name, value in row.items() if name != "reason"} for row in known]
