"""What stands on the pages is what the marts say, to the cent; a team's page knows of no other team."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path

import duckdb
import pytest

from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.views import open_views
from tests.test_report import Page

SHOWBACK = "published_showback_weekly"


@pytest.fixture(scope="module")
def views(golden_books: DataRoot) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_views(golden_books) as con:
        yield con


def pages(root: DataRoot) -> list[Path]:
    """The pages of the two newest weeks: the last is not over."""
    return sorted(root.report(date.min).parent.glob("*.html"))[-2:]


def week_of(path: Path) -> date:
    return date.fromisoformat(path.stem)


def amount(text: str) -> Decimal:
    return Decimal(re.sub(r"[$,+]", "", text))


def test_the_owners_on_a_page_are_those_of_the_showback_to_the_cent(
    golden_books: DataRoot, views: duckdb.DuckDBPyConnection
) -> None:
    for path in pages(golden_books):
        head, *rows = Page(path.read_text(encoding="utf-8")).tables["t-who"]
        place = head.index("Invoiced")
        shown = {row[0]: amount(row[place]) for row in rows if row[place] != "no price"}
        known = views.execute(
            f"""select coalesce(team, 'Total') as owner, sum(invoiced_cost_usd) from {SHOWBACK}
            where week_start_date = ? group by rollup (team)""",
            [week_of(path)],
        ).fetchall()

        assert {owner.replace("unattributed", "Unattributed"): usd for owner, usd in known}.items() <= shown.items()


def test_the_steps_of_the_bridge_sum_to_what_the_showback_changed_by(
    golden_books: DataRoot, views: duckdb.DuckDBPyConnection
) -> None:
    """Week before + steps = this week, in cents as printed, and both ends are those of the showback."""
    for path in pages(golden_books):
        _, first, *steps, last = Page(path.read_text(encoding="utf-8")).tables["t-change"]
        before, now = (
            views.execute(
                f"select sum(invoiced_cost_usd) from {SHOWBACK} where week_start_date = ?", [week]
            ).fetchall()[0][0]
            for week in (week_of(path) - timedelta(days=7), week_of(path))
        )

        assert (amount(first[1]), amount(last[1])) == (before, now)
        assert before + sum(amount(step[1]) for step in steps) == now


def test_every_query_on_a_page_can_be_asked_as_it_stands(
    golden_books: DataRoot, views: duckdb.DuckDBPyConnection
) -> None:
    teams = golden_books.report_of_team("*", pages(golden_books)[0].stem and week_of(pages(golden_books)[0]))
    found = 0
    for path in [*pages(golden_books), *sorted(teams.parent.parent.glob(f"*/{teams.name}"))]:
        for query in re.findall(r"<pre>(.*?)</pre>", path.read_text(encoding="utf-8"), re.DOTALL):
            views.execute(unescape(query))
            found += 1

    assert found > 60


def test_a_teams_page_is_its_own_and_names_no_other(golden_books: DataRoot, views: duckdb.DuckDBPyConnection) -> None:
    """Its total is the team's part of the showback; of other teams, and of what only they have, nothing stands there."""
    week = week_of(pages(golden_books)[0])
    spent = dict(
        views.execute(
            f"select team, sum(invoiced_cost_usd) from {SHOWBACK} where week_start_date = ? group by team", [week]
        ).fetchall()
    )
    teams = set(spent) - {"unattributed"}
    assert len(teams) > 1
    for team in teams:
        text = golden_books.report_of_team(team, week).read_text(encoding="utf-8")
        said = re.sub(r"<[^>]*>", " ", text.partition("</style>")[2])
        head, *rows = Page(text).tables["t-who"]

        assert rows[-1][0] == "Total"
        assert amount(rows[-1][head.index("Invoiced")]) == spent[team]
        for other in teams - {team}:
            assert not re.search(rf"\b{re.escape(other)}\b", said), f"{team} reads of {other}"


def test_the_summary_for_mail_is_small_asks_for_nothing_and_has_a_twin_in_plain_text(golden_books: DataRoot) -> None:
    for path in pages(golden_books):
        html, text = (
            golden_books.report_mail(week_of(path), ending).read_text(encoding="utf-8") for ending in ("html", "txt")
        )
        found = Page(html)

        assert len(html) < 100_000
        assert found.addresses == []
        assert not {"style", "script", "img", "link", "svg"} & set(found.tags)
        assert "class=" not in html
        sentences = re.findall(r'<p style="margin:0 0 8px;">(.*?)</p>', html)
        assert len(sentences) >= 3
        for sentence in sentences:
            assert unescape(sentence) in text


def test_a_name_with_signs_of_a_path_stays_in_its_folder(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    folders = {root.report_of_team(team, date(2026, 11, 2)).parent for team in ("a/b", "..", "R & D", "team.x", ".")}

    assert {folder.parent for folder in folders} == {root.exports / "report" / "teams"}
    assert len(folders) == 5


def test_every_head_of_figures_says_what_it_means_on_hover_and_in_a_list_that_can_be_opened(
    golden_books: DataRoot,
) -> None:
    """A title for the mouse; for keyboard and touch a link to the same sentence, which stands in a folded list of its section."""
    meant = 0
    for path in pages(golden_books):
        text = path.read_text(encoding="utf-8")
        lists = "".join(re.findall(r'<details class="meanings">.*?</details>', text, re.DOTALL))
        for inside in re.findall(r'<th scope="col" class="n">(.*?)</th>', text):
            found = re.fullmatch(r'<a href="#(m-[^"]+)" title="([^"]+)">[^<]+</a>', inside)
            assert found, f"no meaning: {inside}"
            assert re.search(rf'<dt id="{found[1]}">[^<]+</dt><dd>{re.escape(found[2])}</dd>', lists)
            meant += 1

    assert meant > 60


def test_every_figure_of_a_table_leads_to_the_query_that_gives_it(
    golden_books: DataRoot, views: duckdb.DuckDBPyConnection
) -> None:
    """The invoiced cost of each line of the showback is what its own query sums to; every other figure has a link too."""
    checked = 0
    for path in pages(golden_books):
        text = path.read_text(encoding="utf-8")
        queries = {
            anchor: unescape(query)
            for anchor, query in re.findall(r'id="(q-[^"]+)">(?:(?!<pre>).)*?<pre>(.*?)</pre>', text, re.DOTALL)
        }
        for anchor, said in re.findall(r'data-label="Invoiced"><a href="#([^"]+)"[^>]*>([^<]+)</a>', text):
            rows = named_rows(views, queries[anchor])
            assert round(sum(one["invoiced_cost_usd"] for one in rows), 2) == amount(said)
            checked += 1
        for name, table in re.findall(r'<table class="cards[^"]*"(?: id="([^"]*)")?>(.*?)</table>', text, re.DOTALL):
            loose = re.findall(r'<td class="n[^"]*"[^>]*>\s*([-+$\d][^<]*)', table)
            assert name == "t-change" or loose == [], f"{name}: {loose}"

    assert checked > 8


def test_the_tab_key_stops_once_a_row(golden_books: DataRoot) -> None:
    text = pages(golden_books)[0].read_text(encoding="utf-8")
    for row in re.findall(r'<tr class="feature">.*?</tr>', text, re.DOTALL):
        links = re.findall(r'<a href="#(q-[^"]+)"( tabindex="-1")?>', row)
        places = {anchor for anchor, _ in links}
        assert len([anchor for anchor, skipped in links if not skipped]) == len(places)
