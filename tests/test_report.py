"""The weekly page and the figures a run prints."""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import books
from pipelines.paths import DataRoot
from pipelines.reference.files import read
from pipelines.reference.tables import TABLES
from pipelines.reference.templates import template
from pipelines.report.sections.drivers import so_far
from pipelines.report.sections.owners import COMPONENTS, summed, teams
from pipelines.report.wording import cents, change, count, growth, share, span, unit_cost, usd
from pipelines.summary import summarise
from tests.conftest import upstream


def land(root: DataRoot, *calls: dict[str, object]) -> None:
    path = root.landing / "app_log" / "calls.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in calls), encoding="utf-8")


def call(number: int, day: str, **given: object) -> dict[str, object]:
    """1,000,000 tokens in and 100,000 out: on gpt-4o $2.50 and $1.00."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000}
    return {
        "id": f"c-{number}",
        "timestamp": f"{day}T10:00:00Z",
        "provider": "openai",
        "api": "openai.chat",
        "model": "gpt-4o",
        "usage": usage,
        "feature": "search",
        "team": "core",
    } | given


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.table = ""
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            str(value) for name, value in attrs if name in ("src", "href", "action", "data", "poster", "srcset")
        ]
        self.ids |= {str(value) for name, value in attrs if name == "id"}
        if tag == "table":
            self.rows = self.tables.setdefault(dict(attrs).get("id") or "", [])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.rows = []

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Three weeks; in the second a call without a feature and one of a model without a price."""
    root = DataRoot(tmp_path_factory.mktemp("reported"))
    land(
        root,
        call(1, "2026-10-27"),
        call(2, "2026-11-03", feature="<b>search & find"),
        call(3, "2026-11-04", feature="<b>search & find"),
        call(4, "2026-11-04", feature=None, team=None, api_key_name="key-7"),
        call(5, "2026-11-05", model="own-model-9"),
        call(6, "2026-11-17"),
    )
    books.run(root)
    return root


def test_a_page_is_one_file_that_asks_for_nothing(reported: DataRoot) -> None:
    pages = sorted(reported.report(date.min).parent.glob("*.html"))

    assert [page.stem for page in pages] == ["2026-10-26", "2026-11-02", "2026-11-16"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = Page(text)
        assert not {"script", "link", "img", "iframe", "object", "form"} & set(found.tags)
        assert {address[0] for address in found.addresses} == {"#"}
        assert {address[1:] for address in found.addresses} <= found.ids
        assert "@import" not in text
        assert "url(" not in text
        assert len(text) < 3_000_000


def test_the_owners_on_the_page_sum_to_the_weeks_cost_and_nobodys_comes_last(reported: DataRoot) -> None:
    """Two calls of 'search & find' and one without a feature at $3.50; the model without a price costs nothing known."""
    html = reported.report(date(2026, 11, 2)).read_text(encoding="utf-8")
    head, *rows = Page(html).tables["t-who"]

    assert head == ["Team and feature, US dollars", "Calls", "Direct", "Invoiced", "Change"]
    assert [row[0] for row in rows] == ["core", "<b>search & find", "search", "Unattributed", "Total"]
    assert {row[0]: row[3:] for row in rows} == {
        "core": ["$7.00", "+$3.50"],
        "<b>search & find": ["$7.00", "+$7.00"],
        "search": ["no price", ""],
        "Unattributed": ["$3.50", "+$3.50"],
        "Total": ["$10.50", "+$7.00"],
    }
    assert "$10.50</a> was spent" in html
    assert "$7.00</a> more than the week before (+200 %)" in html


def test_a_page_is_written_again_only_where_its_figures_have_changed(reported: DataRoot) -> None:
    before = {path: path.stat().st_mtime_ns for path in (reported.exports / "report").rglob("*")}

    assert books.run(reported).published == []
    assert {path: path.stat().st_mtime_ns for path in (reported.exports / "report").rglob("*")} == before


def test_what_to_add_is_named_as_a_row_the_dearest_first(reported: DataRoot) -> None:
    """The nameless caller cost $3.50; 1,100,000 tokens without a price count $3.50 too at the mean price of a token."""
    found = summarise(reported)

    assert [(row["table"], row["row"], str(round(row["cost_usd"], 2))) for row in found.to_add] == [
        ("attribution_rules.csv", "10,app_log,api_key_name,exact,key-7,feature,<feature>,,,", "3.50"),
        ("prices.csv", "openai,own-model-9,input,1000000,<price>,USD" + "," * 16, "3.50"),
        ("prices.csv", "openai,own-model-9,output,1000000,<price>,USD" + "," * 16, "3.50"),
    ]
    assert {row["verdict"] for row in found.drift} == {"insufficient"}
    assert found.drivers is not None
    assert "too few" in found.drivers.lower()


def test_a_row_to_add_fits_the_file_that_init_made_and_the_users_own(reported: DataRoot, tmp_path: Path) -> None:
    """A row of as many cells as the header has, in its order; reading finds fault with the placeholder alone."""
    root = DataRoot(shutil.copytree(reported.path, tmp_path / "root"))
    root.reference.mkdir()
    tables = {name: TABLES[name] for name in ("prices", "attribution_rules")}
    (root.reference / "prices.csv").write_text(template(tables["prices"]), encoding="utf-8")
    (root.reference / "attribution_rules.csv").write_text(
        "# ours\nmatch_value,priority,match_field,match_kind,dimension,dimension_value\n", encoding="utf-8"
    )

    rows = {row["table"]: row["row"] for row in summarise(root).to_add}
    assert rows["attribution_rules.csv"] == "key-7,10,api_key_name,exact,feature,<feature>"
    for name, table in tables.items():
        path = root.reference / f"{name}.csv"
        path.write_text(path.read_text() + rows[path.name].replace("<price>", "2.5") + "\n", encoding="utf-8")
        found, problems = read(table, path, path.name)
        assert (len(found), problems) == (1, [])


def test_what_calls_without_a_price_come_to_is_unknown_and_not_0(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    land(root, call(1, "2026-11-03", model="own-model-9", feature=None, api_key_name="key-7"))
    books.run(root, select=upstream("mart_showback_weekly"))
    found = summarise(root)

    assert (found.effective_cost_usd, found.accrued_cost_usd) == (None, None)
    assert [(row["why"], row["cost_usd"]) for row in found.to_add] == [
        ("no feature: 1 call", None),
        ("no price: 1 call, 1,100,000 tokens since 2026-11-03", None),
        ("no price: 1 call, 1,100,000 tokens since 2026-11-03", None),
    ]


def test_where_no_invoice_is_what_has_no_call_is_unknown(reported: DataRoot) -> None:
    html = reported.report(date(2026, 11, 2)).read_text(encoding="utf-8")

    assert summarise(reported).untraced_usd is None
    assert "no invoice of the week is in" in html


def test_a_week_that_is_no_more_has_no_page(reported: DataRoot, tmp_path: Path) -> None:
    root = DataRoot(shutil.copytree(reported.path, tmp_path / "root"))
    land(root, call(2, "2026-11-03"))
    books.run(root)

    assert {page.stem for page in (root.exports / "report").rglob("*.*")} == {"2026-11-02"}


def test_all_that_is_provisional_is_said_to_wait_and_one_call_is_one_call(reported: DataRoot) -> None:
    html = reported.report(date(2026, 11, 2)).read_text(encoding="utf-8")

    assert "$10.50 of it waits for a bill or its last days (openai for 2026-11: no bill yet)." in html
    assert ["openai, a model no price list names", "1", "1.1 M"] in Page(html).tables["t-unpriced"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.decimals(-900, 900, places=10)] * 4, st.sampled_from(["-0.01", "0", "0.01"])),
        min_size=1,
        max_size=5,
    )
)
def test_the_cents_of_each_line_of_the_owners_table_add_up(amounts: list[tuple[Any, ...]]) -> None:
    """Whatever is cut off in print: direct + shared + credits + tax + rounding = invoiced, for owners, teams and all."""
    names = COMPONENTS
    owners = [
        {
            **dict(zip(names, parts, strict=True)),
            "invoiced_cost_usd": round(sum(parts), 2) + Decimal(cent),
            "team": "core",
            "feature": str(number),
            "requests": 1,
            "unknown_rows": 0,
        }
        for number, (*parts, cent) in enumerate(amounts)
    ]
    [team] = teams(owners)

    for line in (*team["features"], team, summed(owners)):
        *parts, invoiced = (
            Decimal(cents(line[name]).replace("$", "").replace(",", ""))
            for name in (*names, "rounding_usd", "invoiced_cost_usd")
        )
        assert sum(parts) == invoiced
    assert summed([owners[0] | {"unknown_rows": 1}])["rounding_usd"] is None


def test_a_part_is_never_shown_as_nothing_or_as_all() -> None:
    assert [share(part) for part in (0.9996, 1 - 1 / 2**20, 0.0004, Decimal("0.996"))] == [
        "99.96 %",
        "99.9999 %",
        "0.04 %",
        "99.6 %",
    ]
    assert [share(part) for part in (0, 1, Decimal(0), Decimal(1))] == ["0.0 %", "100 %", "0.0 %", "100 %"]


def test_the_share_so_far_is_of_the_listed_types_alone() -> None:
    """Costs 50, 20, 15, 15; the third is a B: 50, 70 and 85 %, as the sentence counts class A."""
    rows = [
        {"driver": driver, "effective_cost_usd": Decimal(usd), "abc_class": abc_class}
        for driver, usd, abc_class in (("a", 50, "A"), ("b", 20, "A"), ("c", 15, "B"), ("d", 15, "A"))
    ]

    assert [(row["driver"], str(row["so_far"])) for row in so_far(rows)] == [("a", "0.5"), ("b", "0.7"), ("d", "0.85")]


def test_figures_are_written_for_people() -> None:
    assert [usd(Decimal(text)) for text in ("99.994", "1234.5", "12345.6", "-3")] == [
        "$99.99",
        "$1,234",
        "$12,346",
        "-$3.00",
    ]
    assert [unit_cost(Decimal(text)) for text in ("0.0142338", "0.000321", "0.4", "2.5")] == [
        "$0.0142",
        "$0.000321",
        "$0.400",
        "$2.50",
    ]
    assert [growth(part) for part in (0.004, -0.004, 0.295, -0.231, 12.5)] == [
        "0 %",
        "0 %",
        "+30 %",
        "-23 %",
        "14 times",
    ]
    assert span(date(2026, 11, 2), date(2026, 11, 8)) == "2 to 8 November 2026"
    assert span(date(2026, 12, 28), date(2027, 1, 3)) == "28 December 2026 to 3 January 2027"
    assert [usd(None), share(None), count(None), change(None)] == ["unknown", "unknown", "unknown", "new"]
    assert [share(0.0123), share(0.5)] == ["1.2 %", "50 %"]
    assert [count(999_999), count(12_400_000)] == ["999,999", "12.4 M"]
    assert [change(Decimal(5)), change(Decimal(-5))] == ["+$5.00", "-$5.00"]
