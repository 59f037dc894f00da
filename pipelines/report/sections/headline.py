"""The three sentences of a page, and the things to do, the dearest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from pipelines.periods import DAYS_OF_MONTH
from pipelines.report import wording
from pipelines.report.reading import Ask
from pipelines.words import whose

SECTION = "todo"
TO_DO_AT_MOST = 3
# What was beyond its limit in a period that ended with the week or in it; of several days of one thing the newest.
_TO_DO = """
select rule, severity, is_possible, owner, cost_impact_usd, sentence, remedy, evidence_query,
    period_end_date - period_start_date as days
from mart_alert_states
where state = 'breach' and period_end_date > $week and period_end_date <= $week + 7 $owner
qualify row_number() over (partition by rule, entity_type, entity_id, dimension order by period_end_date desc) = 1
order by cost_impact_usd desc nulls last, case severity when 'critical' then 0 when 'warning' then 1 else 2 end, rule, entity_id, dimension
"""


def to_do(ask: Ask, could_be: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What to do, by dollars a month, and how much more there is. ``could_be`` are the opportunities."""
    owner = "" if ask.team is None else "$mine"
    query = ask.filled(_TO_DO.replace("$owner", owner)).replace("and team =", "and owner =")
    rows = ask.rows(SECTION, "What went beyond a limit", query)
    found = [_of_alert(row) for row in rows] + [
        _of_opportunity(row) for row in could_be if row["verdict"] == "opportunity"
    ]
    found.sort(key=lambda one: (one["month_usd"] is None, -(one["month_usd"] or 0)))
    return {"rows": found[:TO_DO_AT_MOST], "left": len(found[TO_DO_AT_MOST:])}


def _of_alert(row: Mapping[str, Any]) -> dict[str, Any]:
    """Something beyond a limit as a thing to do. What a budget is passed by is of the month already."""
    usd = row["cost_impact_usd"]
    days = None if row["rule"] == "budget" else row["days"]
    is_scaled = usd is not None and days is not None and days < DAYS_OF_MONTH
    return {
        "month_usd": usd * DAYS_OF_MONTH / days if is_scaled and days else usd,
        "cost": "unknown cost" if usd is None else f"{wording.usd(usd)}{_per(row)}",
        "kind": f"{'possible, ' if row['is_possible'] else ''}{row['severity']}",
        "is_grave": row["severity"] == "critical",
        "whose": whose(row["owner"]),
        "doing": row["remedy"],
        "first_step": first_step(row["remedy"]),
        "why": row["sentence"],
        "query": row["evidence_query"],
    }


def _of_opportunity(row: Mapping[str, Any]) -> dict[str, Any]:
    doing = f"{row['doing']}, {row['feature']}."
    return {
        "month_usd": row["saving_mid_month_usd"],
        "cost": f"{wording.usd(row['saving_mid_month_usd'])} a month",
        "kind": f"to be saved by {wording.words(row['effort'])}",
        "is_grave": False,
        "whose": whose(row["owner"]),
        "doing": doing,
        "first_step": doing,
        "why": f"{row['sentence']} If: {row['must_be_true']}" if row["must_be_true"] else row["sentence"],
        "query": row["evidence_query"],
    }


def sentences(
    spend: Mapping[str, Any], change: Mapping[str, Any] | None, who: Mapping[str, Any], actions: Mapping[str, Any]
) -> list[Markup]:
    """What was spent and what changed; what explains most of it; what to do first. Each number leads to its section."""
    return [_spent(spend, who), *_explained(change), *_first(actions["rows"])]


def _spent(spend: Mapping[str, Any], who: Mapping[str, Any]) -> Markup:
    if spend["invoiced_cost_usd"] is None:
        calls = wording.things(spend["now"]["requests"] or 0, "call")
        return Markup("What {} cost is unknown: {}.").format(_link("trust", calls), "none of them has a price")
    usd = spend["invoiced_cost_usd"]
    said = _link("who", wording.usd(usd))
    if spend["change_usd"] is None:
        return Markup("{} was spent on {}; there is no week before to compare with.").format(
            said, wording.things(spend["now"]["requests"], "call")
        )
    before = spend["before"]["invoiced_cost_usd"]
    more = "more" if spend["change_usd"] >= 0 else "less"
    relative = f" ({wording.growth(spend['change_usd'] / before)})" if before else ""
    text = Markup("{} was spent, {} {} than the week before{}.").format(
        said, _link("change", wording.usd(abs(spend["change_usd"]))), more, relative
    )
    teams = [team for team in who["teams"] if team["team"] != "unattributed"]
    if len(who["teams"]) > 1 and teams and usd:
        share = wording.share(teams[0]["invoiced_cost_usd"] / usd)
        text += Markup(" The team {} bears {} of it.").format(teams[0]["team"], _link("who", share))
    return text


def _explained(change: Mapping[str, Any] | None) -> list[Markup]:
    if change is None or change["largest"] is None:
        return []
    name, usd = change["largest"]
    if change["is_by_feature"]:
        text = Markup("Most of the change is {}: {}").format(name, _link("change", wording.change(usd)))
    else:
        text = Markup("What explains most of it is {}: {}").format(name, _link("change", wording.change(usd)))
        same = [cell for cell in change["cells"] if (cell["usd"] >= 0) == (usd >= 0)]
        if same:
            text += Markup("; the cell that moved most is {} ({})").format(
                same[0]["place"], _link("change", wording.change(same[0]["usd"]))
            )
    return [text + Markup(".")]


def _first(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    if not rows:
        return [Markup("Nothing went beyond a limit in the week: {} to do.").format(_link("todo", "0 things"))]
    row = rows[0]
    return [Markup("First thing to do, {}, {}: {}").format(_link("todo", row["cost"]), row["whose"], row["first_step"])]


def first_step(remedy: str) -> str:
    """The first thing that a remedy says to do, past where to look."""
    steps = [step.strip() for step in remedy.rstrip(".").split(";")]
    doing = [step for step in steps if not step.startswith("See ")] or steps
    return wording.capitalize_first(doing[0]) + "."


def _per(row: Mapping[str, Any]) -> str:
    """Over which time the dollars of an alert are."""
    if row["rule"] == "budget":
        return " over the month's budget"
    return {1: " in a day", 7: " a week"}.get(row["days"], " a month")


def _link(section: str, text: str) -> Markup:
    return Markup('<a href="#{}">{}</a>').format(section, escape(text))
