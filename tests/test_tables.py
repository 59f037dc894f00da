"""Tables as a terminal shows them: nothing that identifies a row, and no figure, is ever cut."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipelines.books import RunReport
from pipelines.cli.printing import print_table
from pipelines.cli.reports import print_report
from pipelines.paths import DataRoot
from pipelines.reference.files import Problem

ROWS: list[dict[str, Any]] = [
    {
        "provider": "vertex",
        "model_id": "claude-sonnet-4-5",
        "region": region,
        "unit": unit,
        "price": Decimal(price),
        "per": 1_000_000,
        "to": None,
        "source": "a list of prices, times 1.1 for a regional endpoint, as read in October",
    }
    for region, unit, price in (("global", "cache_write_5m", "3.75"), ("regional", "cache_write_1h", "6.625"))
]


def printed(width: int, rows: list[dict[str, Any]] = ROWS) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False, soft_wrap=True)
    print_table(rows, "", console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [30, 60, 80, 120, 240])
def test_identifying_words_and_figures_are_whole_at_any_width(width: int) -> None:
    lines = printed(width)

    words = " ".join(lines).split()
    for row in ROWS:
        assert {row["provider"], row["model_id"].rstrip(), row["region"], row["unit"], str(row["price"])} <= {
            word.rstrip(",") for word in words
        }
    assert "…" not in "".join(lines)
    assert all(len(line) <= width for line in lines if not line.startswith("All rows"))


def test_a_wide_table_says_once_what_all_rows_say() -> None:
    said, head, *rows = printed(80)

    assert said.startswith("All rows: provider vertex, model_id claude-sonnet-4-5, per 1,000,000, source a list")
    assert (head.split(), len(rows)) == (["region", "unit", "price"], 2)


def test_a_table_wider_than_the_terminal_is_a_value_a_line() -> None:
    lines = printed(24)

    assert [line.split() for line in lines[1:4]] == [
        ["region", "global"],
        ["unit", "cache_write_5m"],
        ["price", "3.75"],
    ]


def test_a_table_that_fits_is_as_it_was() -> None:
    head, *rows = printed(240)

    assert head.split() == list(ROWS[0])
    assert len(rows) == 2


def test_a_fault_of_a_reference_file_is_a_sentence_before_what_follows_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = RunReport(problems=[Problem("reference/a.csv", 3, "b", "'soon', expected a date")])

    print_report(DataRoot(tmp_path), {**report.as_dict(), "summary": None})

    assert "reference/a.csv, line 3, column b: 'soon', expected a date. The table keeps" in capsys.readouterr().out
