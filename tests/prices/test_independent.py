"""Independent checks: the costs of real usage objects against the calculators of two others, at three dates."""

from __future__ import annotations

import pytest
from independent import INSTANTS, LITELLM, cases, differences, known_differences


@pytest.mark.parametrize(
    "witness",
    [
        "genai_prices",
        pytest.param("litellm", marks=pytest.mark.skipif(not LITELLM.exists(), reason="litellm is not installed")),
    ],
)
def test_every_difference_from_another_calculator_is_in_the_table_with_its_reason(witness: str) -> None:
    """Some 800 different objects at three dates; where the totals differ, the table says by how much and why."""
    known = known_differences(witness)

    found = differences(witness)

    assert len(cases()) * len(INSTANTS) > 2_000
    assert all(row["reason"].strip() for row in known)
    assert found == [{name: value for name, value in row.items() if name != "reason"} for row in known]
