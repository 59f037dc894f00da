"""What else was asked of the levers: the what-ifs that were kept, with all they rest on, and what came of the levers that were pulled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.models import models
from pipelines.periods import DAYS_OF_MONTH
from pipelines.report import charts
from pipelines.report.reading import ANSWERS, LEVERS_ACTED, Ask
from pipelines.report.sections.levers import SECTION, doing
from pipelines.report.wording import things, words
from pipelines.whatif.kept import PAGE_DAYS
from pipelines.whatif.scenarios import CASES

ANSWERS_AT_MOST = 4
ACTED_AT_MOST = 4
_ANSWERS = f"""
select scenario, first_date, end_date, assumed, held, not_priced, sum(actual_usd) as actual_usd, sum(covered_usd) as covered_usd,
    sum(saving_low_usd) as saving_low_usd, sum(saving_mid_usd) as saving_mid_usd, sum(saving_high_usd) as saving_high_usd,
    sum(revenue_usd) as revenue_usd, sum(revenue_low_usd) as revenue_low_usd, sum(revenue_mid_usd) as revenue_mid_usd,
    sum(revenue_high_usd) as revenue_high_usd, sum(unpriced_requests + unreplayed_requests)::bigint as left_requests
from {ANSWERS}
where end_date > $week + 7 - {PAGE_DAYS.days} and end_date <= $week + 7 $features
group by scenario, first_date, end_date, assumed, held, not_priced having sum(actual_usd) is not null
order by saving_mid_usd desc, scenario
"""
_ACTED = f"""
select feature, lever, since_date, follow_up, follow_up_reason, weeks, promised_low_month_usd, promised_mid_month_usd,
    promised_high_month_usd, realised_month_usd, realised_low_month_usd, realised_high_month_usd, realised_by, sentence
from {LEVERS_ACTED} where week_start_date = $week $features
order by realised_month_usd desc nulls last, feature, lever
"""


def figures(ask: Ask) -> dict[str, Any]:
    answers = ask.rows(SECTION, "What-ifs that were kept", _ANSWERS)
    for row in answers:
        days = (row["end_date"] - row["first_date"]).days
        for case in CASES:
            row[f"month_{case}_usd"] = row[f"saving_{case}_usd"] * DAYS_OF_MONTH / days
        if row["revenue_usd"] is not None:
            for name in ("revenue_usd", *(f"revenue_{case}_usd" for case in CASES)):
                row[name] *= DAYS_OF_MONTH / days
        row["days"] = days
        row["coverage"] = row["covered_usd"] / row["actual_usd"] if row["actual_usd"] else None
        row["name"] = " and ".join(map(words, row["scenario"].split("+")))
    ask.asked_as(SECTION, "What-ifs that were kept").link(
        answers[:ANSWERS_AT_MOST], "scenario", "first_date", "end_date", "assumed", "held", "not_priced"
    )
    charts.range_bars(answers, "month_low_usd", "month_mid_usd", "month_high_usd")
    acted = ask.rows(SECTION, "Levers that were pulled", _ACTED) if LEVERS_ACTED in models() else []
    if acted:
        ask.asked_as(SECTION, "Levers that were pulled").link(acted[:ACTED_AT_MOST], "feature", "lever")
    for row in acted:
        row["doing"] = doing(row["lever"])
        row["told"] = _told(row)
    return {
        "answers": answers[:ANSWERS_AT_MOST],
        "answers_left": len(answers[ANSWERS_AT_MOST:]),
        "acted": acted[:ACTED_AT_MOST],
        "acted_left": len(acted[ACTED_AT_MOST:]),
    }


def _told(row: Mapping[str, Any]) -> str:
    """How it is known what came of a lever, or why it is not."""
    if row["realised_by"] is None:
        return str(row["sentence"])
    weeks = things(row["weeks"], "week")
    if row["realised_by"] == "replay":
        return f"the calls of {weeks} without it"
    low, high = row["realised_low_month_usd"], row["realised_high_month_usd"]
    doubt = (
        "; too few users to tell from chance"
        if low is None
        else "; chance may make as much"
        if low <= 0 <= high
        else ""
    )
    return f"the same work before, over {weeks}{doubt}"
