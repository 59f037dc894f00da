"""What was asked and kept stands on the pages of its weeks and in the books, with all that it rests on."""

from __future__ import annotations

import re
import shutil
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import books
from pipelines.cli import app
from pipelines.paths import DataRoot
from pipelines.report.wording import share, things, usd
from pipelines.views import open_views
from pipelines.whatif.answer import Answer, ask
from pipelines.whatif.export import keep
from tests.test_report import Page
from tests.test_report_browser import CHROMIUM, DARK, seen

# Four weeks that end with the week of the page.
FIRST, WEEK, END = date(2026, 9, 7), date(2026, 9, 28), date(2026, 10, 5)
ACTED = "feature,lever,since_date,why\nsearch,response_cache,2026-09-07,tested\n"


def text_of(root: DataRoot, week: date) -> str:
    return root.report(week).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def kept(golden_books: DataRoot, tmp_path_factory: pytest.TempPathFactory) -> tuple[DataRoot, Answer]:
    """The golden books with one answer kept and one lever acted on."""
    root = DataRoot(tmp_path_factory.mktemp("asked") / "books")
    shutil.copytree(golden_books.path, root.path)
    (root.reference / "levers_acted.csv").write_text(ACTED, encoding="utf-8")
    answer = ask(root, "price_change", ["change=0.1/0.2/0.3", "feature=search"], first=FIRST, end=END)
    keep(root, answer)
    books.run(root)
    return root, answer


def test_a_kept_answer_stands_on_the_page_with_what_it_rests_on(kept: tuple[DataRoot, Answer]) -> None:
    """28 days become a month of 30.4375; a price that rises saves less than nothing."""
    root, answer = kept
    _, row, rests_on = Page(text_of(root, WEEK)).tables["t-whatif"]
    low, mid, high = (answer.per_month(answer.total[f"saving_{case}_usd"]) for case in ("low", "mid", "high"))

    assert high < 0
    assert row[0] == "Price change, on the 28 days from 7 September"
    assert row[1] == f"{usd(mid)}({usd(low)} to {usd(high)})"
    assert row[3] == share(answer.total["covered_usd"] / answer.total["actual_usd"])
    left = answer.total["unpriced_requests"] + answer.total["unreplayed_requests"]
    assert rests_on == [
        f"Not priced: {answer.risks[0]}. Held: {answer.held[0]}. Left out for want of a price: {things(left, 'call')}."
        "Assumed: feature=search; change=0.1/0.2/0.3."
    ]


def test_an_answer_is_of_the_pages_of_four_weeks(kept: tuple[DataRoot, Answer]) -> None:
    """The week in which its window ends, and three after it; not those before."""
    root, _ = kept
    found = {
        path.stem
        for path in root.report(WEEK).parent.glob("*.html")
        if "t-whatif" in Page(path.read_text(encoding="utf-8")).tables
    }

    assert found == {"2026-09-28", "2026-10-05"}


def test_only_the_team_that_bears_a_feature_reads_of_it(kept: tuple[DataRoot, Answer]) -> None:
    root, answer = kept
    teams = root.report_of_team("*", WEEK)
    read = {
        path.parent.name: Page(path.read_text(encoding="utf-8")).tables.get("t-whatif", [])
        for path in teams.parent.parent.glob(f"*/{teams.name}")
    }
    mine = [rows for rows in read.values() if rows and share(1) in rows[1]]
    [search] = [row for row in answer.by(["feature"]) if row["feature"] == "search"]

    assert len(read) > 1
    assert len(mine) == 1
    assert usd(answer.per_month(search["saving_mid_usd"])) in mine[0][1][1]


def test_what_was_acted_on_stands_beside_what_was_promised(kept: tuple[DataRoot, Answer]) -> None:
    """On 7 September the last promise is that of the week of 31 August; no cache of answers is in the golden books."""
    root, _ = kept
    with open_views(root) as con:
        [(promised,)] = con.execute(
            "select saving_mid_month_usd from mart_opportunities_weekly "
            "where week_start_date = date '2026-08-31' and feature = 'search' and lever = 'response_cache'"
        ).fetchall()
    _, row = Page(text_of(root, WEEK)).tables["t-acted"]

    assert row[:2] == ["Answer repeated questions from a cache, search", "7 September"]
    assert row[2].startswith(usd(promised))
    assert row[3:] == ["not known", "Nothing of it is in the books of these weeks."]


def test_whoever_asks_the_books_finds_what_was_kept(kept: tuple[DataRoot, Answer]) -> None:
    """By the view, and by the queries on the page: that of the section, and that of the row which its figures lead to."""
    root, answer = kept
    queries = re.findall(r"<pre>(.*?)</pre>", text_of(root, WEEK), re.DOTALL)
    with open_views(root) as con:
        [(saved,)] = con.execute("select sum(saving_mid_usd) from whatif_answers").fetchall()
        shown = [con.execute(unescape(query)).fetchall() for query in queries if "whatif_answers" in query]

    assert saved == answer.total["saving_mid_usd"]
    assert len(shown) == 2
    assert [[row[0] for row in rows] for rows in shown] == [["price_change"], ["price_change"]]


def test_a_run_writes_pages_again_only_where_an_answer_came_or_went(
    kept: tuple[DataRoot, Answer], tmp_path: Path
) -> None:
    root = DataRoot(tmp_path / "books")
    shutil.copytree(kept[0].path, root.path)
    assert books.run(root).published == []
    (root.whatif_answers / "price_change.parquet").unlink()

    written = books.run(root).published

    assert {path for path in written if "teams" not in path and "email" not in path} == {
        root.relative(root.report(day)) for day in (WEEK, END)
    }
    assert "t-whatif" not in Page(text_of(root, WEEK)).tables
    with open_views(root) as con:
        assert con.execute("from whatif_answers").fetchall() == []


def test_the_best_lever_of_a_request_type_is_that_of_the_opportunities(kept: tuple[DataRoot, Answer]) -> None:
    root, _ = kept
    with open_views(root) as con:
        best = {
            feature: usd(usd_a_month)
            for feature, usd_a_month in con.execute(
                "select feature, max_by(saving_mid_month_usd, -opportunity_rank) from mart_opportunities_weekly "
                f"where week_start_date = date '{WEEK}' and saving_mid_month_usd > 0 group by feature"
            ).fetchall()
        }
    head, *rows = Page(text_of(root, WEEK)).tables["t-drivers"]
    said = [
        (feature, row[head.index("Best lever")])
        for row in rows
        for feature in best
        if row[0].split(" / ")[0] == feature
    ]

    assert len(said) > 1
    for feature, lever in said:
        assert f": {best[feature]} a month in {feature}" in lever


def test_a_run_ends_with_the_top_opportunity_its_owner_and_the_command_that_looks_at_it(
    kept: tuple[DataRoot, Answer],
) -> None:
    root, _ = kept
    with open_views(root) as con:
        [(feature, lever, owner, sentence)] = con.execute(
            "select feature, lever, owner, sentence from mart_opportunities_weekly "
            f"where week_start_date = date '{WEEK}' and verdict = 'opportunity' order by opportunity_rank limit 1"
        ).fetchall()

    said = CliRunner().invoke(app, ["run", "--direct", "--root", str(root.path)]).output
    command = f"whatif {lever} --set feature={feature}"
    looked = CliRunner().invoke(app, [*command.split(), "--root", str(root.path)])

    assert f"Opportunity  {feature}, owner {owner}: {sentence}" in said
    assert f"tokenbooks {command}\n" in said
    assert looked.exit_code == 0


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(
    ("width", "options"), [(390, ()), (820, (DARK,)), (1400, ())], ids=["phone", "tablet dark", "desk"]
)
def test_opportunities_and_answers_fit_their_width(
    kept: tuple[DataRoot, Answer], tmp_path: Path, width: int, options: tuple[str, ...]
) -> None:
    said = seen(kept[0].report(WEEK), tmp_path, width, *options)

    assert (said["scrolled"], said["cut"], said["faint"]) == (width, [], [])
