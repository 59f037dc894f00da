"""The end of a month: what is over is proposed, closed by itself only where asked for, and never while something is open."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import books, close, month_end
from pipelines.cli import app
from pipelines.lake import months_closed
from pipelines.paths import DataRoot

AUGUST, SEPTEMBER = date(2026, 8, 1), date(2026, 9, 1)


@pytest.fixture
def root(golden_books: DataRoot, tmp_path: Path) -> DataRoot:
    """The company worked out by hand: August and September agree with their invoices, now is 2026-10-05."""
    copy = DataRoot(tmp_path / "books")
    shutil.copytree(golden_books.path, copy.path)
    return copy


def due(root: DataRoot, *more: str) -> tuple[int, str]:
    said = CliRunner().invoke(app, ["close", "--due", "--root", str(root.path), *more])
    return said.exit_code, said.output


def test_months_that_are_over_are_proposed_with_their_reconciliation_and_none_is_closed(root: DataRoot) -> None:
    """August is 43.51 in all. September waits for August alone, and October is not over."""
    code, said = due(root)

    lines = said.splitlines()
    assert lines[0] == "2026-08 is over and can be closed: $43.51. To close it: tokenbooks close 2026-08"
    accounts = ["anthropic ant-core", "openai org-eu", "openai org-main"]
    assert [line.split(":")[0].strip() for line in lines[1:4]] == accounts
    assert all(": agrees, final" in line for line in lines[1:4])
    assert "exports/statements/v1/month=2026-08" in lines[4]
    assert "exports/focus/1.4/month=2026-08" in lines[4]
    assert "2026-09 is over and waits:" in said
    assert said.splitlines()[-1] == (
        "    2026-08 is still open. Months are closed one after the other: close it first."
    )
    assert (code, months_closed(root)) == (3, [])
    status = CliRunner().invoke(app, ["status", "--root", str(root.path)]).output
    assert "Month end    2026-08 and 2026-09 are over and not closed: see 'tokenbooks close --due'" in status


def test_where_the_settings_say_so_months_that_agree_are_closed_one_after_the_other(root: DataRoot) -> None:
    root.settings.write_text("close_reconciled_months = true\n", encoding="utf-8")

    code, said = due(root, "--json")

    assert [(one["month"], one["state"], one["hindrances"]) for one in json.loads(said)] == [
        ("2026-08", "closed", []),
        ("2026-09", "closed", []),
    ]
    assert (code, months_closed(root), close.verify(root)) == (0, [AUGUST, SEPTEMBER], [])
    assert "Closed       2026-08, 2026-09" in CliRunner().invoke(app, ["status", "--root", str(root.path)]).output
    assert due(root) == (0, "No month that is over is open: there is nothing to close.\n")


def test_a_month_that_does_not_agree_is_never_closed_by_itself_nor_is_any_after_it(root: DataRoot) -> None:
    """A file that is not read yet may hold calls of August, and a failed check says that a figure is wrong."""
    root.settings.write_text("close_reconciled_months = true\n", encoding="utf-8")
    bill = next(path for path in sorted(root.landing.rglob("*")) if "costs" in path.name and path.is_file())
    bill.with_name(f"later-{bill.name}").write_bytes(bill.read_bytes())

    with books.open_books(root) as opened:
        found = month_end.prepare(opened)

    assert [(one.month, one.state) for one in found] == [(AUGUST, "waits"), (SEPTEMBER, "waits")]
    assert "1 file of landing/ is not read yet" in found[0].hindrances[0].text
    assert found[0].invoiced_cost_usd == Decimal("43.51")
    assert months_closed(root) == []


def test_an_account_without_a_bill_keeps_its_month_open_whatever_the_settings_say(root: DataRoot) -> None:
    """The bills are taken out: an empty file in the place of each. What is left is calls, an accrual."""
    root.settings.write_text("close_reconciled_months = true\n", encoding="utf-8")
    for path in sorted(root.landing.rglob("*")):
        if path.is_file() and "cost" in path.name:
            path.write_bytes(b"")
    books.run(root)

    code, said = due(root)

    assert "no bill yet" in said
    assert "no invoice; its calls come to" in said
    assert 'tokenbooks close 2026-08 --accept "the reason"' in said
    assert (code, months_closed(root)) == (3, [])


def test_months_with_nothing_in_them_wait_in_one_line() -> None:
    """A call of 2024 and one of 2026 leave months between that nobody wants to read of one by one."""
    turn = close.Hindrance("2024-11 is still open. Months are closed one after the other: close it first.", False)
    missing = close.Hindrance("openai org-eu: the invoice has no call behind it", True)
    account = {
        "provider": "openai",
        "billing_account_id": "org-eu",
        "invoiced_cost_usd": Decimal("0.06"),
        "traced_effective_cost_usd": Decimal(0),
        "unexplained_usd": Decimal("0.06"),
        "verdict": "no_trace",
        "state": "provisional",
    }

    def month(start: date, usd: Decimal | None, accounts: list[dict[str, object]], *why: close.Hindrance) -> object:
        return month_end.MonthEnd(start, month_end.WAITS, usd, accounts, [], list(why))

    said = month_end.all_in_words(
        [
            month(date(2024, 11, 1), Decimal("0.06"), [account], missing),
            *(month(date(2025, number, 1), None, [], turn) for number in (1, 2, 3)),
            month(date(2025, 4, 1), Decimal("0.06"), [account], turn),
        ]  # type: ignore[list-item]
    )

    assert said.count("is over and waits") == 2
    assert "2025-01 to 2025-03 are over, with nothing to close but the turn: no call and no bill." in said
    assert "2025-02" not in said
