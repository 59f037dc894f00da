"""The close: a company worked out by hand is closed, late files come, and what was closed stays as it was."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipelines import audit, books, close
from pipelines.cli import app
from pipelines.engine import named_rows
from pipelines.lake import Lake, months_closed
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.settings import Settings
from pipelines.summary import summarise
from tests import test_golden_books as golden
from tests.conftest import GOLDEN
from tests.sources.landed import queried
from tests.tables import create, types_of
from tests.test_golden_books import KEY, differences, expected

AUGUST, SEPTEMBER, OCTOBER = date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)
# A call of November, so that October is over.
NOVEMBER_CALL = """{"id":"n-1","timestamp":"2026-11-03T09:00:00Z","provider":"openai","api":"openai.chat","model":"larch-mid-2026-04-15",\
"usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010},"feature":"search"}
"""


class Killed(BaseException):
    """Stands for a process that dies."""


@dataclass
class Story:
    """One company through its closes, and what was seen on the way."""

    root: DataRoot
    first: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, list[close.Hindrance] | str] = field(default_factory=dict)
    killed: dict[str, Any] = field(default_factory=dict)
    closed: dict[str, bytes] = field(default_factory=dict)
    published: dict[str, bytes] = field(default_factory=dict)
    late: books.RunReport = field(default_factory=books.RunReport)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def close_month(root: DataRoot, month: date, accept: str = "") -> close.Closed | list[close.Hindrance]:
    with books.open_books(root) as opened:
        return close.close(opened, month, accept=accept)


def refusal(root: DataRoot, month: date) -> str:
    with pytest.raises(close.CloseRefused) as caught:
        close_month(root, month)
    return str(caught.value)


def dies_at(owner: object, name: str, root: DataRoot, month: date) -> None:
    """A close whose process dies when it comes to a step."""

    def die(*arguments: object, **named: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Killed):
            close_month(root, month)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = DataRoot(tmp_path_factory.mktemp("close"))
    shutil.copytree(GOLDEN / "landing", root.landing)
    shutil.copytree(GOLDEN / "reference", root.reference)
    assert not books.run(root).is_blocked
    told = Story(root, contents(root.lake))
    told.refused["september first"] = refusal(root, SEPTEMBER)
    with books.open_books(root) as opened:
        broken = next(r for r in opened.results if (r.table, r.partition) == ("mart_showback_weekly", "2026-08-01"))
        failed = replace(broken, status="failed", violations=1, message="1 row found")
        others = [r for r in opened.results.of(broken.table) if r.partition == broken.partition and r != broken]
        opened.results.put([failed, *others], {})
        told.refused["check"] = close.hindrances(opened, AUGUST)
        told.refused["check, accepted"] = close.close(opened, AUGUST, accept="never mind")  # type: ignore[assignment]
    lake_before = contents(root.lake)
    dies_at(close, "_record", root, AUGUST)
    told.killed["record"] = (months_closed(root), close.verify(root))
    dies_at(Path, "rename", root, AUGUST)
    told.killed["rename"] = (months_closed(root), close.verify(root))
    dies_at(audit, "append", root, AUGUST)
    told.killed["append"] = (months_closed(root), close.verify(root))
    with books.open_books(root):
        told.killed["next"] = (months_closed(root), close.verify(root), list(root.closed.iterdir()))
    # What follows a close is made up for by the next run.
    books.run(root)
    told.killed["lake"] = {name for name, text in contents(root.lake).items() if lake_before.get(name, text) != text}
    told.refused["august again"] = refusal(root, AUGUST)
    assert isinstance(close_month(root, SEPTEMBER), close.Closed)
    told.refused["october"] = close_month(root, OCTOBER)  # type: ignore[assignment]
    told.closed, told.published = contents(root.closed), contents(root.exports)
    shutil.copytree(GOLDEN / "late" / "landing", root.landing, dirs_exist_ok=True)
    shutil.copytree(GOLDEN / "late" / "reference", root.reference, dirs_exist_ok=True)
    (root.landing / "app_log" / "web" / "2026-11.jsonl").write_text(NOVEMBER_CALL, encoding="utf-8")
    told.refused["news"] = close_month(root, OCTOBER, "whatever")  # type: ignore[assignment]
    told.late = books.run(root)
    return told


def texts(found: object) -> str:
    return "\n".join(one.text for one in found) if isinstance(found, list) else str(found)


def test_another_root_with_the_same_files_has_the_same_bytes(story: Story, golden_books: DataRoot) -> None:
    """All but the tables that know a clock."""
    clocked = ("staged_files", "ledger_files")

    def tables(lake: dict[str, bytes]) -> dict[str, bytes]:
        return {
            path: text for path, text in lake.items() if path.endswith(".parquet") and path.split("/")[0] not in clocked
        }

    assert tables(story.first) == tables(contents(golden_books.lake))


# ---- when a month may be closed


def test_months_are_closed_one_after_the_other_and_once(story: Story) -> None:
    assert "2026-08 is still open" in texts(story.refused["september first"])
    assert "2026-08 is closed already" in texts(story.refused["august again"])


def test_a_failed_check_refuses_the_close_and_cannot_be_accepted(story: Story) -> None:
    for found in (story.refused["check"], story.refused["check, accepted"]):
        assert isinstance(found, list)
        assert [(one.text, one.acceptable) for one in found] == [
            ("check failed: mart_showback_weekly (2026-08-01): 1 row found", False)
        ]


def test_an_account_without_its_invoice_is_an_accrual_and_refuses_the_close(story: Story) -> None:
    """October: 2.5984794 and 1.149891 of calls, no bill; and the books' now is 2026-10-05."""
    found = story.refused["october"]
    assert isinstance(found, list)
    assert [(one.text, one.acceptable) for one in found] == [
        ("the month is not over: the newest record of the books is of 2026-10-05T11:47Z", False),
        ("anthropic ant-core: no invoice; its calls come to $2.60, an accrual", True),
        ("openai org-main: no invoice; its calls come to $1.15, an accrual", True),
    ]


def test_files_that_are_not_read_yet_refuse_the_close(story: Story) -> None:
    found = story.refused["news"]
    assert isinstance(found, list)
    assert not found[0].acceptable
    assert "run 'tokenbooks run' first" in found[0].text
    assert "3 files of landing/ are not read yet" in texts(found)


def test_a_verdict_beyond_tolerance_an_unfinished_invoice_and_a_missing_rate_are_named(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    model = models()["mart_reconciliation_monthly"]
    said = [
        {
            "billing_account_id": "a",
            "verdict": "fail",
            "state": "provisional",
            "unexplained_usd": Decimal(120),
            "open_items": 3,
        },
        {
            "billing_account_id": "b",
            "verdict": "ok",
            "state": "provisional",
            "unexplained_usd": Decimal(0),
            "open_items": 0,
        },
        {
            "billing_account_id": "c",
            "verdict": "no_rate",
            "state": "provisional",
            "unexplained_usd": None,
            "open_items": 0,
        },
        {
            "billing_account_id": "d",
            "verdict": "warn",
            "state": "final",
            "unexplained_usd": Decimal("0.5"),
            "open_items": 1,
        },
        # No call behind a bill is no fault of the bill, and a call that costs nothing has no bill.
        {
            "billing_account_id": "e",
            "verdict": "no_trace",
            "state": "final",
            "unexplained_usd": Decimal(0),
            "open_items": 0,
        },
        {
            "billing_account_id": "f",
            "verdict": "no_bill",
            "state": "provisional",
            "unexplained_usd": None,
            "open_items": 0,
        },
    ]
    with duckdb.connect() as con:
        create(
            con,
            "found",
            model.types,
            [
                {
                    "month_start_date": AUGUST,
                    "provider": "openai",
                    "oldest_open_date": date(2026, 8, 3) if row["open_items"] else None,
                    "traced_effective_cost_usd": Decimal(0),
                    "unpriced_tokens": 0,
                    **row,
                }
                for row in said
            ],
        )
        target = root.stored(model.name, "month", AUGUST) / "part.parquet"
        target.parent.mkdir(parents=True)
        con.execute(f"copy found to '{target}' (format parquet)")
        opened = books.Books(root, Settings(), con, lambda text: None)
        found = close.unreconciled(opened, AUGUST)

    assert found == [
        "openai a: bill and calls differ beyond tolerance: $120.00 unexplained, 3 open items since 2026-08-03",
        "openai b: the invoice is not complete yet (its last lines may still be restated)",
        "openai c: a rate to USD is missing in reference/fx_rates.csv, so its dollars are unknown",
        "openai e: the invoice has no call behind it",
    ]


# ---- whole or not at all


def test_a_close_that_is_killed_leaves_no_close_or_a_whole_one(story: Story) -> None:
    """Before the set has its name nothing is closed; from then on it is, and the next run adds the line of the log."""
    for step in ("record", "rename"):
        assert story.killed[step] == ([], []), step
    assert story.killed["append"] == ([AUGUST], ["closed/2026-08: the log has no line for its close"])
    closed, faults, there = story.killed["next"]
    assert (closed, faults) == ([AUGUST], [])
    assert {path.name for path in there} == {"2026-08", "audit_log.jsonl"}


def test_a_close_changes_no_table_of_the_live_lake_but_those_that_look_at_closed_months(story: Story) -> None:
    changed = {name.split("/")[0] for name in story.killed["lake"]}

    looking_back = {
        "mart_corrections_weekly",
        "mart_statements_monthly",
        "ledger_changed_calls",
        "ledger_changed_bills",
    }
    # The results of their checks say what these were built from.
    assert changed <= looking_back | {".index.json", ".views_version.json", "check_results"}


def test_a_set_holds_every_partition_of_the_month_read_only_with_its_hash(story: Story) -> None:
    folder = story.root.closed_month(AUGUST)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    closed = {
        part.start for part in Lake(story.root).parts("closed_ledger_costs") if f"{part.start:%Y-%m}" == "2026-08"
    }
    live = {part.start for part in Lake(story.root).parts("ledger_costs") if f"{part.start:%Y-%m}" == "2026-08"}

    assert closed == live
    assert {date(2026, 8, 24), date(2026, 8, 31)} <= closed
    assert [path.parent.name for path in (folder / "lake" / "ledger_costs").rglob("*.parquet")] == ["month=2026-08-01"]
    assert {"ledger_requests", "ledger_bills", "mart_showback_weekly", "mart_reconciliation_monthly"} <= set(
        record["rows"]
    )
    assert set(record["files"]) == set(contents(folder)) - {"record.json"}
    assert record["invoiced_cost_usd"] == "43.51"
    assert record["checks_passed"] > 100
    assert record["checks_not_passed"] == []
    assert {path.stat().st_mode & 0o222 for path in folder.rglob("*") if path.is_file()} == {0}


# ---- after the late files


def test_no_byte_of_a_closed_month_changes(story: Story) -> None:
    now = contents(story.root.closed)

    assert {name for name, text in story.closed.items() if now[name] != text} == {"audit_log.jsonl"}
    assert now["audit_log.jsonl"].startswith(story.closed["audit_log.jsonl"])
    assert not story.late.is_blocked
    assert close.verify(story.root) == []


def test_what_is_published_for_closed_weeks_stays_byte_for_byte(story: Story) -> None:
    """The week of 2026-09-28 has days of October: its closed part stands as it was, and its page goes on."""
    now = contents(story.root.exports)
    weeks = ("2026-08-24", "2026-08-31", "2026-09-07", "2026-09-14", "2026-09-21")
    kept = {name for name in story.published if any(week in name for week in weeks)}

    # Three files of the showback, the page, those of two teams, and the summary in two forms.
    assert len(kept) == 8 * len(weeks)
    assert [name for name in sorted(kept) if now[name] != story.published[name]] == []
    for name in ("showback.csv", "showback.parquet", "manifest.json"):
        path = f"showback/v1/week=2026-09-28/{name}"
        assert now[path] == story.published[path]


def test_focus_and_statements_of_closed_months_stay_byte_for_byte(story: Story) -> None:
    """Two versions of FOCUS and the statements, each with its manifest; the statements say that they are closed."""
    now = contents(story.root.exports)
    kept = {name for name in story.published if "month=2026-08/" in name or "month=2026-09/" in name}

    assert len(kept) == 2 * (7 + 3 + 5)
    assert [name for name in sorted(kept) if now[name] != story.published[name]] == []
    for month in ("2026-08", "2026-09"):
        lines = now[f"statements/v1/month={month}/statements.csv"].decode().splitlines()
        assert {row["state"] for row in csv.DictReader(lines)} == {"closed"}


def test_published_showback_is_that_of_the_close_and_says_so(story: Story) -> None:
    """43.51 and 166.72; the rows of both months are 'closed', October is an accrual."""
    with duckdb.connect() as con:
        found = con.execute(
            f"""select billing_month, state, cast(sum(invoiced_cost_usd) as varchar)
            from '{story.root.exports}/showback/v1/*/showback.parquet' where billing_month < '2026-11' group by all order by all"""
        ).fetchall()
    view = queried(
        story.root,
        "select billing_month, sum(invoiced_cost_usd) as usd from published_showback_weekly group by all order by all",
    )

    assert found == [
        ("2026-08", "closed", "43.51"),
        ("2026-09", "closed", "166.72"),
        ("2026-10", "provisional", "3.75"),
    ]
    assert [(row["billing_month"], str(row["usd"])) for row in view[:3]] == [(month, usd) for month, _, usd in found]


@pytest.mark.parametrize(
    ("view", "files", "amount"),
    [
        ("published_statements_monthly", "statements/v1/*/statements.parquet", "invoiced_cost_billing_currency"),
        ("published_postings_monthly", "statements/v1/*/postings.parquet", "debit_amount"),
        ("published_focus_cost_and_usage", "focus/1.4/*/cost_and_usage.parquet", "BilledCost"),
        ("published_focus_cost_and_usage_1_2", "focus/1.2/*/cost_and_usage.parquet", "BilledCost"),
        ("published_focus_invoice_detail", "focus/1.4/*/invoice_detail.parquet", "BilledCost"),
    ],
)
def test_a_published_view_has_the_rows_of_the_files_that_went_out(
    story: Story, view: str, files: str, amount: str
) -> None:
    """Late rows of a closed month stand there once, as corrections of the month that was open."""
    with duckdb.connect() as con:
        sent = con.execute(f"select count(*), sum({amount}) from '{story.root.exports}/{files}'").fetchall()
    [asked] = queried(story.root, f"select count(*) as n, sum({amount}) as amount from {view}")

    assert [tuple(asked.values())] == sent


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mart_showback_weekly", KEY),
        (
            "mart_reconciliation_daily",
            ["usage_date", "provider", "billing_account_id", "model_canonical", "token_type"],
        ),
        ("ledger_files", ["path"]),
    ],
)
def test_the_live_lake_is_the_one_worked_out_with_the_late_files(story: Story, name: str, key: list[str]) -> None:
    """As if no month had been closed."""
    found = {tuple(str(row[column] or "") for column in key): row for row in queried(story.root, f"from {name}")}
    wanted = {tuple(row[column] for column in key): row for row in expected(f"after_late/{name}")}
    wrong = {place: differences(row, found[place]) if place in found else ["missing"] for place, row in wanted.items()}
    more = {place for place in set(found) - set(wanted) if "2026-11" not in "".join(place)}

    assert wanted
    assert {place: text for place, text in wrong.items() if text} == {}
    assert more == set()


@pytest.mark.parametrize(
    "claim",
    [
        golden.test_every_request_has_the_classes_the_owner_and_the_account_worked_out_by_hand,
        golden.test_every_cost_equals_the_one_worked_out_by_hand_to_the_last_digit,
        golden.test_invoices_equal_those_worked_out_by_hand,
        golden.test_each_verdict_is_the_one_worked_out_by_hand,
    ],
    ids=lambda claim: claim.__name__.removeprefix("test_"),
)
def test_what_held_before_the_late_files_holds_with_them(
    story: Story, claim: Callable[[DataRoot], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same claims, against the figures worked out with the late files."""
    monkeypatch.setattr(golden, "expected", lambda name: expected(f"after_late/{name}"))
    claim(story.root)


def test_corrections_are_those_worked_out_by_hand(story: Story) -> None:
    """Ten rows: late calls 0.00, the restated invoice -0.42, the corrected price 0.00."""
    key = ["booked_week_start_date", *KEY]
    found = {tuple(str(row[name]) for name in key): row for row in queried(story.root, "from mart_corrections_weekly")}
    wanted = list(expected("mart_corrections_weekly"))
    wrong = {
        tuple(row[name] for name in key): differences(row, found[tuple(row[name] for name in key)]) for row in wanted
    }

    assert len(found) == len(wanted) == 10
    assert {place: text for place, text in wrong.items() if text} == {}


def test_corrections_sum_to_live_less_closed(story: Story) -> None:
    query = """select billing_month, provider, billing_account_id, sum(usd) as usd from (
            select billing_month, provider, billing_account_id, invoiced_cost_usd as usd from mart_showback_weekly
            where billing_month < '2026-10'
            union all
            select billing_month, provider, billing_account_id, -invoiced_cost_usd as usd from closed_mart_showback_weekly
            union all
            select billing_month, provider, billing_account_id, -delta_usd as usd from mart_corrections_weekly)
        group by all"""

    assert {row["usd"] for row in queried(story.root, query)} == {Decimal(0)}
    [total] = queried(story.root, "select sum(delta_usd) as usd from mart_corrections_weekly")
    assert total["usd"] == Decimal("-0.42")


def test_the_summary_of_a_run_names_the_corrections(story: Story) -> None:
    [booked] = queried(story.root, "select count(*) as number, sum(delta_usd) as usd from mart_corrections_weekly")
    found = summarise(story.root)
    said = CliRunner().invoke(app, ["run", "--root", str(story.root.path)]).output

    assert (found.corrections, found.corrected_usd) == (booked["number"], booked["usd"])
    assert f"Corrections  {booked['number']} corrections of closed months, " in said


def test_the_page_of_the_week_that_bears_them_shows_the_corrections(story: Story) -> None:
    page = story.root.report(date(2026, 10, 5)).read_text(encoding="utf-8")

    assert "Corrections of closed months" in page
    assert "-$0.42" in page
    assert "2026-08-late.jsonl" in page


def test_the_log_has_a_line_for_each_close_correction_and_change_of_a_price(story: Story) -> None:
    entries = audit.entries(story.root)
    events = [entry["event"] for entry in entries]
    changed = [
        entry["of"] for entry in entries if entry["event"] == "price_book_change" and entry["content_hash_before"]
    ]

    assert events.count("close") == 2
    assert events.count("correction") == 10
    assert changed == ["ref_price_book"]
    assert "settings_change" in events


def test_a_run_without_news_builds_and_publishes_nothing_and_adds_no_line(story: Story) -> None:
    before = story.root.audit_log.read_bytes()

    report = books.run(story.root)

    assert not report.built
    assert not report.published
    assert story.root.audit_log.read_bytes() == before


def test_the_command_shows_corrections_and_that_all_is_whole(story: Story) -> None:
    cli = CliRunner()

    shown = cli.invoke(app, ["corrections", "--month", "2026-08", "--json", "--root", str(story.root.path)])
    verified = cli.invoke(app, ["close", "--verify", "--root", str(story.root.path)])
    wrong = cli.invoke(app, ["close", "2026-13", "--root", str(story.root.path)])
    again = cli.invoke(app, ["close", "2026-08", "--root", str(story.root.path)])

    assert [row["delta_usd"] for row in json.loads(shown.output)] == ["-0.12", "0.25", "-0.09", "-0.04"]
    assert verified.exit_code == 0
    assert "2 closed months" in verified.output
    assert (wrong.exit_code, again.exit_code) == (2, 1)


# ---- what is broken is found


@pytest.fixture
def copied(story: Story, tmp_path: Path) -> DataRoot:
    """The closed months alone, writable."""
    root = DataRoot(tmp_path)
    shutil.copytree(story.root.closed, root.closed)
    for path in root.closed.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    return root


def test_one_changed_byte_of_a_closed_file_is_found(copied: DataRoot) -> None:
    path = copied.closed_month(SEPTEMBER) / "lake" / "mart_showback_weekly" / "month=2026-09-01" / "part.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))

    assert close.verify(copied) == [f"{copied.relative(path)}: its bytes are not those of the close"]


def test_a_missing_and_an_added_file_are_found(copied: DataRoot) -> None:
    folder = copied.closed_month(AUGUST)
    (folder / "exports" / "report" / "2026-08-24.html").unlink()
    (folder / "lake" / "more.parquet").write_bytes(b"")

    assert close.verify(copied) == [
        "closed/2026-08/exports/report/2026-08-24.html: it is missing",
        "closed/2026-08/lake/more.parquet: it was not there at the close",
    ]


def test_a_changed_record_and_a_month_that_is_gone_are_found(copied: DataRoot) -> None:
    record = copied.closed_month(AUGUST) / "record.json"
    record.write_text(record.read_text(encoding="utf-8").replace("43.51", "43.52"), encoding="utf-8")
    shutil.rmtree(copied.closed_month(SEPTEMBER))

    assert close.verify(copied) == [
        "closed/2026-09: the log says that it was closed, and it is not there",
        "closed/2026-08/record.json: it is not the record that was logged",
    ]


def test_a_changed_and_a_missing_line_of_the_log_are_found(copied: DataRoot) -> None:
    lines = copied.audit_log.read_text(encoding="utf-8").splitlines()
    number = next(place for place, line in enumerate(lines) if '"event": "correction"' in line)
    changed = [*lines]
    changed[number] = lines[number].replace('"delta_usd": "-0.12"', '"delta_usd": "-0.13"')
    missing = [line for place, line in enumerate(lines) if place != number]

    for written, wanted in (
        (changed, "it is not as it was written"),
        (missing, "it does not follow the line before it"),
    ):
        copied.audit_log.write_text("\n".join(written) + "\n", encoding="utf-8")
        found = close.verify(copied)
        assert found
        assert found[0].startswith(f"closed/audit_log.jsonl, line {number + 1}: {wanted}")
    cli = CliRunner().invoke(app, ["close", "--verify", "--root", str(copied.path)])
    assert cli.exit_code == 3


# ---- corrections of corrections


@st.composite
def keyed_amounts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Showback rows of two closed months and an open one, some of them without a bill."""
    keys = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["2026-08", "2026-09", "2026-10"]), st.sampled_from("abc"), st.sampled_from("xy")
            ),
            unique=True,
            max_size=8,
        )
    )
    found = []
    for month, team, account in keys:
        cents = draw(st.integers(-500, 500))
        bill = draw(st.booleans())
        found.append(
            {
                "month_start_date": date.fromisoformat(f"{month}-01"),
                "week_start_date": date.fromisoformat(f"{month}-14"),
                "billing_month": month,
                "team": team,
                "provider": "openai",
                "billing_account_id": account,
                "model_canonical": "m",
                "model_tier": "mid",
                "invoiced_cost_usd": Decimal(cents).scaleb(-2),
                "billing_currency": "EUR" if bill else None,
                "invoiced_cost_billing_currency": Decimal(draw(st.integers(-500, 500))).scaleb(-2) if bill else None,
                "successes": draw(st.integers(0, 3)),
            }
        )
    return found


def corrections(**tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the mart's query gives for rows of its inputs."""
    model = models()["mart_corrections_weekly"]
    with duckdb.connect() as con:
        for table in model.inputs:
            create(con, table, types_of(table), tables.get(table, []))
        return named_rows(con, model.query)


def months(*starts: date) -> list[dict[str, Any]]:
    return [{"month_start_date": start} for start in starts]


def by_key(found: list[dict[str, Any]], usd: str, native: str) -> dict[tuple[object, ...], tuple[Decimal, Decimal]]:
    """Sums of the rows of closed months, 0 where there is none."""
    sums: dict[tuple[object, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for row in found:
        if row["billing_month"] != "2026-10":
            place = sums[row["billing_month"], row["team"], row["billing_account_id"]]
            place[0] += row[usd]
            place[1] += row[native] or 0
    return {key: (usd, native) for key, (usd, native) in sums.items() if (usd, native) != (0, 0)}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(keyed_amounts(), keyed_amounts(), keyed_amounts())
def test_closed_and_all_corrections_sum_to_live_over_two_closes(
    closed: list[dict[str, Any]], then: list[dict[str, Any]], now: list[dict[str, Any]]
) -> None:
    """August and September are closed; corrections are booked in October; it is closed too; what comes then is booked in November."""
    kept = [row for row in closed if row["billing_month"] != "2026-10"]
    first = corrections(
        closed_months=months(AUGUST, SEPTEMBER), closed_mart_showback_weekly=kept, mart_showback_weekly=then
    )
    october = [row for row in now if row["billing_month"] == "2026-10"]
    second = corrections(
        closed_months=months(AUGUST, SEPTEMBER, OCTOBER),
        closed_mart_showback_weekly=[*kept, *october],
        mart_showback_weekly=now,
        closed_mart_corrections_weekly=first,
    )
    new = [row for row in second if row["booked_month"] == "2026-11"]

    for booked, live in ((first, then), (second, now)):
        amounts = [
            *(
                {**row, "usd": row["invoiced_cost_usd"], "native": row["invoiced_cost_billing_currency"]}
                for row in kept
            ),
            *({**row, "usd": row["delta_usd"], "native": row["delta_billing_currency"]} for row in booked),
        ]
        wanted = by_key(live, "invoiced_cost_usd", "invoiced_cost_billing_currency")
        assert by_key(amounts, "usd", "native") == wanted
    # What is booked stands as it was, and a booked row comes once.
    assert sorted(map(str, (row for row in second if row["booked_month"] == "2026-10"))) == sorted(map(str, first))
    assert len(second) == len(first) + len(new)
    assert {row["booked_week_start_date"] for row in first} <= {date(2026, 10, 5)}
    assert {row["booked_week_start_date"] for row in new} <= {date(2026, 11, 2)}


def test_the_first_reason_that_applies_counts_and_all_causes_are_named() -> None:
    """Model m: a price and late rows meet; model n: only its own late rows; o: nothing of its own, so those of its account."""

    def row(model: str, usd: str) -> dict[str, Any]:
        return {
            "month_start_date": AUGUST,
            "week_start_date": date(2026, 8, 24),
            "billing_month": "2026-08",
            "provider": "openai",
            "billing_account_id": "a",
            "model_canonical": model,
            "model_tier": "mid",
            "invoiced_cost_usd": Decimal(usd),
            "billing_currency": "USD",
            "invoiced_cost_billing_currency": Decimal(usd),
            "successes": 0,
        }

    def cause(model: str, reason: str, caused_by: str) -> dict[str, Any]:
        place = {
            "usage_date": date(2026, 8, 25),
            "provider": "openai",
            "billing_account_id": "a",
            "model_canonical": model,
        }
        return {**place, "reason": reason, "caused_by": caused_by, "requests": 1}

    found = corrections(
        closed_months=months(AUGUST),
        closed_mart_showback_weekly=[row("m", "1.00"), row("n", "2.00"), row("o", "3.00")],
        mart_showback_weekly=[row("m", "1.01"), row("n", "2.01"), row("o", "2.98")],
        ledger_changed_calls=[
            cause("m", "late_rows", "late.jsonl"),
            cause("m", "price_correction", "reference/prices.csv: openai m"),
            cause("n", "late_rows", "late.jsonl"),
        ],
    )

    assert {one["model_canonical"]: (one["reason"], one["caused_by"]) for one in found} == {
        "m": ("price_correction", "late.jsonl; reference/prices.csv: openai m"),
        "n": ("late_rows", "late.jsonl"),
        "o": ("price_correction", "late.jsonl; reference/prices.csv: openai m"),
    }
    assert {one["booked_week_start_date"] for one in found} == {date(2026, 9, 7)}


# ---- what changed after the close, and by what

CALL = {
    "request_key": "k",
    "source_row_id": "k",
    "source_row_version": "1",
    "entity_key": "k",
    "started_at": datetime(2026, 8, 25, 12, tzinfo=UTC),
    "model_served": "m-2026",
    "model_canonical": "m",
    "billing_account_id": "a",
    "input_total_tokens": 100,
    "output_total_tokens": 10,
    "feature": "search",
    "attribution_source": {"feature": "rule", "customer_tier": "reference"},
}
COST = {
    "request_key": "k",
    "started_at": CALL["started_at"],
    "cost_status": "priced",
    "list_cost_usd": Decimal("2.5"),
    "effective_cost_usd": Decimal("2.5"),
    "price_ids": ["old"],
}
PRICES = [
    {"price_id": price, "book_version": book, "provider": "openai", "model_id": "m"}
    for price, book in (("old", "genai-prices 1"), ("new", "user 2026-09-01"), ("ours", "shipped 2026-09-01"))
]


@pytest.mark.parametrize(
    ("call", "cost", "wanted"),
    [
        ({}, {}, set()),
        ({"source_row_version": "2"}, {}, {("m", "late_rows", "landing/app_log/late.jsonl")}),
        (
            {},
            {"list_cost_usd": Decimal(3), "price_ids": ["new"]},
            {("m", "price_correction", "reference/prices.csv: openai m")},
        ),
        (
            {},
            {"list_cost_usd": Decimal(3), "price_ids": ["ours"]},
            {("m", "price_correction", "data/shipped/prices.csv: openai m")},
        ),
        (
            {},
            {"effective_cost_usd": Decimal(2)},
            {("m", "price_correction", "reference/price_overrides.csv: openai m")},
        ),
        (
            {"model_canonical": "n"},
            {},
            {(model, "price_correction", "reference/model_aliases.csv: openai m-2026") for model in ("m", "n")},
        ),
        ({"feature": "chat"}, {}, {("m", "attribution_change", "reference/attribution_rules.csv: feature")}),
        ({"customer_tier": "pro"}, {}, {("m", "attribution_change", "reference/customers.csv: customer_tier")}),
        ({"team": "x"}, {}, {("m", "attribution_change", "landing/app_log/default: team")}),
        # At another seller the call has another account and other prices: one cause.
        (
            {"provider": "azure", "billing_account_id": "b"},
            {"list_cost_usd": Decimal(3), "effective_cost_usd": Decimal(3), "price_ids": ["new"]},
            {("m", "attribution_change", "reference/seller_aliases.csv: openai to azure")},
        ),
    ],
)
def test_what_changed_of_a_call_is_told_apart_and_named(run: Any, call: Any, cost: Any, wanted: Any) -> None:
    """The same call at the close and now, but for what is given. A call that is now of another model changes both."""
    now = {**CALL, **call}
    staged = {
        name: now[name] for name in ("request_key", "source_row_id", "source_row_version", "started_at", "model_served")
    }

    found = run(
        "ledger_changed_calls",
        closed_months=months(AUGUST),
        closed_ledger_requests=[CALL],
        closed_ledger_costs=[COST],
        ledger_requests=[now],
        ledger_costs=[{**COST, **cost}],
        staged_requests=[{**staged, "source_file": "landing/app_log/late.jsonl"}],
        ref_price_book=PRICES,
    )

    assert {(row["model_canonical"], row["reason"], row["caused_by"]) for row in found} == wanted
    assert all(row["requests"] == 1 for row in found)
    assert {row["provider"] for row in found} <= {"openai", call.get("provider", "openai")}


def test_calls_of_an_open_month_and_calls_that_are_gone(run: Any) -> None:
    """Nothing is said of October; a call of August that is gone says where it came from."""
    october = {**CALL, "request_key": "o", "started_at": datetime(2026, 10, 2, tzinfo=UTC)}

    found = run(
        "ledger_changed_calls",
        closed_months=months(AUGUST),
        closed_ledger_requests=[CALL],
        closed_ledger_costs=[COST],
        ledger_requests=[october],
        ledger_costs=[{**COST, "request_key": "o"}],
    )

    assert [(row["usage_date"], row["reason"], row["caused_by"]) for row in found] == [
        (date(2026, 8, 25), "late_rows", "landing/app_log/default (no longer there)")
    ]


def test_an_outcome_that_came_late_is_named(run: Any) -> None:
    task = {
        "source_account": "default",
        "task_id": "t",
        "started_at": CALL["started_at"],
        "first_request_key": "k",
        "requests": 1,
        "outcome": "failure",
        "outcome_source": "call",
    }

    found = run(
        "ledger_changed_calls",
        closed_months=months(AUGUST),
        closed_ledger_requests=[CALL],
        closed_ledger_costs=[COST],
        closed_ledger_tasks=[task],
        ledger_requests=[CALL],
        ledger_costs=[COST],
        ledger_tasks=[{**task, "outcome": "success", "outcome_source": "outcomes"}],
    )

    assert [(row["reason"], row["caused_by"]) for row in found] == [("late_outcome", "landing/outcomes: t")]


LINE = {
    "cost_key": "c",
    "month_start_date": AUGUST,
    "usage_date": date(2026, 8, 25),
    "charge_start_date": date(2026, 8, 25),
    "source": "openai_usage",
    "billing_account_id": "a",
    "charge_category": "Usage",
    "model_canonical": "m",
    "billing_currency": "EUR",
    "billed_amount": Decimal(10),
    "list_amount": Decimal(10),
    "billed_usd": Decimal(11),
    "list_usd": Decimal(11),
}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ({}, set()),
        ({"billed_usd": Decimal(12)}, {("m", "price_correction", "reference/fx_rates.csv: EUR")}),
        ({"provider": "azure"}, {("m", "attribution_change", "reference/seller_aliases.csv: openai to azure")}),
        ({"billed_amount": Decimal(9)}, {("m", "restated_invoice", "landing/openai_usage/new.json")}),
        (
            {"cost_key": "other", "source": "period_charges", "charge_id": "fee", "model_canonical": None},
            {
                (None, "restated_invoice", "reference/period_charges.csv: fee"),
                ("m", "restated_invoice", "landing/openai_usage/new.json"),
            },
        ),
    ],
)
def test_what_changed_of_a_bill_is_told_apart_and_named(run: Any, line: Any, wanted: Any) -> None:
    """The same line at the close and now, but for what is given. In the last case it is gone, and a charge is new."""
    at = datetime(2026, 8, 25, tzinfo=UTC)
    pulled = datetime(2026, 10, 6, tzinfo=UTC)
    place = {
        "source": "openai_usage",
        "endpoint": "costs",
        "billing_account_id": "a",
        "charge_start_at": at,
        "cost_key": "c",
    }
    window = {
        "source": "openai_usage",
        "endpoint": "costs",
        "window_start_at": at,
        "window_end_at": at + timedelta(days=1),
    }
    new = {"source_file": "landing/openai_usage/new.json", "source_file_sha256": "new"}
    pull = {name: value for name, value in window.items() if name != "source_file"}

    found = run(
        "ledger_changed_bills",
        closed_months=months(AUGUST),
        closed_ledger_bill_days=[LINE],
        closed_ledger_bills=[place],
        ledger_bill_days=[{**LINE, **line}],
        ledger_bills=[{**place, "pulled_at": pulled}] if line.get("cost_key") != "other" else [],
        ledger_pulls=[{**pull, "source_file_sha256": "new", "counts": True}],
        staged_bills=[{**place, **new, "pulled_at": pulled}],
        staged_windows=[{**window, **new}],
        ref_model_tiers=[],
        ref_thresholds=[],
    )

    assert {(row["model_canonical"], row["reason"], row["caused_by"]) for row in found} == wanted


def test_a_rule_that_splits_otherwise_is_named_for_all_accounts(run: Any) -> None:
    rule = {"charge_match_field": "provider", "charge_match_value": "openai", "method": "even"}

    found = run(
        "ledger_changed_bills",
        closed_months=months(AUGUST),
        ref_allocation_rules=[rule, {**rule, "charge_match_value": "x", "valid_from_date": date(2026, 9, 1)}],
        closed_ref_allocation_rules=[{**rule, "method": "proportional"}],
        ref_model_tiers=[],
        ref_thresholds=[],
    )

    assert [(row["provider"], row["reason"], row["caused_by"], row["changed_lines"]) for row in found] == [
        (None, "attribution_change", "reference/allocation_rules.csv", 2)
    ]


# ---- the next month: this changes the story, so it stands last


def test_what_was_booked_in_a_month_is_closed_with_it_and_exceptions_are_recorded(story: Story) -> None:
    """October is over and has no invoice: it is closed with a reason, and its ten corrections with it."""
    root = story.root
    before = queried(root, "from mart_corrections_weekly order by all")

    refused = close_month(root, OCTOBER)
    done = close_month(root, OCTOBER, accept="the invoices come in December, accrued")

    assert isinstance(refused, list)
    assert all(one.acceptable for one in refused)
    assert isinstance(done, close.Closed)
    assert len(done.exceptions) == 2
    accepted = [entry for entry in audit.entries(root) if entry["event"] == "accepted_exception"]
    assert {entry["reason"] for entry in accepted} == {"the invoices come in December, accrued"}
    assert [entry["exception"] for entry in accepted] == list(done.exceptions)
    kept = root.closed_month(OCTOBER) / "lake" / "mart_corrections_weekly" / "part.parquet"
    assert len(pl.read_parquet(kept)) == 10
    assert queried(root, "from mart_corrections_weekly order by all") == before
    assert close.verify(root) == []
    assert [part.start for part in Lake(root).parts("closed_mart_showback_weekly")] == [AUGUST, SEPTEMBER, OCTOBER]
    assert {
        row["state"] for row in queried(root, "from published_showback_weekly where billing_month = '2026-10'")
    } == {"closed"}
