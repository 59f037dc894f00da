"""The weekly page: one self-contained HTML file a week, written from the marts, for a person with two minutes.

Beside it the same page for each team, and a summary for e-mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from markupsafe import Markup

from pipelines import published
from pipelines.checks import CheckResult
from pipelines.lake import Lake, digest, replace_text
from pipelines.paths import DataRoot
from pipelines.periods import start_of
from pipelines.report import wording
from pipelines.report.queries import Heads, meaning
from pipelines.report.reading import Ask, Marts, loaded, parts_of, tables
from pipelines.report.sections import (
    ahead,
    bridge,
    drift,
    drivers,
    economics,
    headline,
    levers,
    owners,
    spend,
    trust,
    whatif,
)
from pipelines.whatif import kept as kept_answers

__all__ = ["documents", "publish", "source_text", "tables"]
_FOLDER = Path(__file__).parent
_MARK = "<!-- made from "
# When a page was made is no news: a page is written again where anything else on it is other.
_MADE_AT = re.compile(r"<time[^>]*>[^<]*</time>")
_OWNERS = """
select feature, max_by(team, invoiced_cost_usd) as team from (
    select feature, team, sum(invoiced_cost_usd) as invoiced_cost_usd
    from published_showback_weekly where week_start_date = $week group by feature, team)
group by feature order by feature
"""


def publish(
    con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, results: Sequence[CheckResult], *, weeks: Sequence[date]
) -> list[str]:
    """Write the pages whose figures have changed and remove those of weeks that are no more; paths below the data root.

    ``weeks`` are the weeks that have a showback.
    """
    frozen = published.frozen_weeks(root)
    by_partition = _by_partition(results)
    answers = kept_answers.answers(con, root)
    # A week whose months are all closed keeps its pages (published.restore).
    due = {
        week: own
        for week in weeks
        if week not in frozen
        and not _is_written(root, week, _made_from(lake, week, own := _of_week(by_partition, week), answers))
    }
    written: list[str] = []
    if due:
        with loaded(con, lake, list(due)) as marts:
            for week, own in due.items():
                written += _write(root, week, _documents(marts, lake, week, own, answers))
    for path in sorted(path for path in root.report(date.min).parent.rglob("*.*") if path.is_file()):
        if path.stem not in {week.isoformat() for week in weeks}:
            path.unlink()
            written.append(f"{root.relative(path)} (removed)")
    return written


def documents(
    con: duckdb.DuckDBPyConnection, lake: Lake, week: date, results: Sequence[CheckResult], closing: date | None = None
) -> dict[Path, str]:
    """The files of a week by their paths below ``exports/``. ``closing``: a month that is just being closed."""
    with loaded(con, lake, [week], closing) as marts:
        own, answers = _of_week(_by_partition(results), week), kept_answers.answers(con, lake.root)
        return _documents(marts, lake, week, own, answers, closing)


@cache
def source_text() -> str:
    """What decides how a page looks: it is written again where that changes."""
    written = sorted(path for path in _FOLDER.rglob("*") if path.suffix in (".py", ".j2", ".css"))
    return "".join(path.read_text(encoding="utf-8") for path in written)


def _documents(
    marts: Marts,
    lake: Lake,
    week: date,
    results: Sequence[CheckResult],
    answers: Sequence[kept_answers.KeptAnswer],
    closing: date | None = None,
) -> dict[Path, str]:
    """The page comes last: it names the others."""
    root = lake.root
    made_at = _books_time(marts.con, lake)
    whole = contents(Ask(marts, week), results, made_at)
    found = {
        root.report_mail(week, "html"): _template("mail.html.j2").render(whole),
        root.report_mail(week, "txt"): _template("mail.txt.j2").render(whole).strip() + "\n",
    }
    features: dict[str, list[str]] = {}
    for row in Ask(marts, week).rows("", "", _OWNERS):
        features.setdefault(row["team"], []).append(row["feature"])
    for line in whole["who"]["teams"]:
        if (team := line["team"]) != "unattributed":
            own = contents(Ask(marts, week, team, features.get(team, [])), (), made_at)
            found[root.report_of_team(team, week)] = _template("page.html.j2").render(own)
    mark = f"{_MARK}{_made_from(lake, week, results, answers, closing)} -->"
    beside = "".join(f"<!-- with {root.relative(path)} -->" for path in found)
    found[root.report(week)] = f"{mark}{beside}\n{_template('page.html.j2').render(whole)}"
    return {path.relative_to(root.exports): text for path, text in found.items()}


def contents(ask: Ask, results: Sequence[CheckResult], made_at: Markup) -> dict[str, Any]:
    """What a page says, by section."""
    spent = spend.figures(ask)
    before = spent["before"] and spent["before"]["invoiced_cost_usd"]
    change = bridge.figures(ask, spent["invoiced_cost_usd"], before)
    who = owners.figures(ask)
    could_be = levers.opportunities(ask)
    actions = headline.to_do(ask, could_be)
    return {
        "team": ask.team,
        "made_at": made_at,
        "spend": spent,
        "state": "Provisional"
        if spent["now"]["provisional_rows"]
        else "Final"
        if spent["now"]["open_rows"]
        else "Closed",
        "change": change,
        "who": who,
        "actions": actions,
        "sentences": headline.sentences(spent, change, who, actions),
        "drivers": drivers.figures(ask),
        "drift": drift.figures(ask),
        "economics": economics.figures(ask),
        "levers": levers.figures(ask, could_be),
        "whatif": whatif.figures(ask),
        "ahead": ahead.figures(ask),
        "trust": trust.figures(ask, results) if ask.team is None else None,
        "asked": ask.asked,
        "heads": Heads(),
    }


def _books_time(con: duckdb.DuckDBPyConnection, lake: Lake) -> Markup:
    """The books' own now, as a page says it."""
    part = lake.part("ledger_clock", None)
    if part is None:
        return Markup("")
    found = con.execute("select max(now_at) from read_parquet(?)", [str(lake.absolute(part))]).fetchone()
    now: datetime | None = found[0] if found else None
    if now is None:
        return Markup("")
    return Markup("<time>Run at {} {}, {} UTC.</time>").format(wording.day(now.date()), now.year, f"{now:%H:%M}")


@cache
def _template(name: str) -> Any:
    """A template, compiled once for all pages of a run."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=jinja2.select_autoescape(("html.j2", "css"), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= wording.FILTERS | {"meaning": meaning}
    return environment.get_template(name)


def _write(root: DataRoot, week: date, texts: Mapping[Path, str]) -> list[str]:
    """Write what is other than what is there; teams that spent nothing any more lose their page of the week."""
    written = []
    for relative, text in texts.items():
        path = root.exports / relative
        is_new = not path.is_file() or _said(path.read_text(encoding="utf-8")) != _said(text)
        if is_new or path == root.report(week):
            replace_text(path, text)
        written += [root.relative(path)] * is_new
    for path in sorted(root.report_of_team("*", week).parent.parent.glob(f"*/{week.isoformat()}.html")):
        if path.relative_to(root.exports) not in texts:
            path.unlink()
            written.append(f"{root.relative(path)} (removed)")
    return written


def _said(text: str) -> str:
    """A page without of what and when it was made."""
    first, _, rest = text.partition("\n")
    return _MADE_AT.sub("", rest if first.startswith(_MARK) else text)


def _is_written(root: DataRoot, week: date, made_from: str) -> bool:
    """Whether the page of a week was made from the same, and the files beside it are there."""
    try:
        with root.report(week).open(encoding="utf-8") as file:
            first = file.readline()
    except OSError:
        return False
    beside = re.findall(r"<!-- with (.*?) -->", first)
    return first.startswith(f"{_MARK}{made_from} -->") and all((root.path / name).is_file() for name in beside)


def _by_partition(results: Iterable[CheckResult]) -> dict[str, list[tuple[int, CheckResult]]]:
    """Results by partition, each with its place among all: of a year of days there are tens of thousands."""
    found: dict[str, list[tuple[int, CheckResult]]] = {}
    for place, result in enumerate(results):
        found.setdefault(result.partition, []).append((place, result))
    return found


def _of_week(by_partition: Mapping[str, Sequence[tuple[int, CheckResult]]], week: date) -> list[CheckResult]:
    """The results of what holds rows of a week: a day of it, the week, its months, or all there is."""
    days = [week + timedelta(days=number) for number in range(7)]
    labels = {"all", *map(str, days), *(str(start_of("month", day)) for day in days)}
    found = [entry for label in labels for entry in by_partition.get(label, ())]
    return [result for _, result in sorted(found, key=lambda entry: entry[0])]


def _made_from(
    lake: Lake,
    week: date,
    results: Sequence[CheckResult],
    answers: Sequence[kept_answers.KeptAnswer],
    closing: date | None = None,
) -> str:
    lines = [
        f"{part.content_hash} {closed}"
        for table in tables()
        for part, closed in parts_of(lake, table, week, closing)
        if part.start is not None or part.rows
    ]
    lines += [f"{one.path.name} {one.sha256}" for one in answers if one.is_of(week)]
    lines += sorted(f"{r.table}|{r.partition}|{r.check}" for r in results if r.status != "passed")
    return digest([*lines, str(len(results)), source_text()])
