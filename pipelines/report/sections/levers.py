"""Levers: what could be saved, ranked; and caches, tiers of models, agents, retries, caps and batches in small tables."""

from __future__ import annotations

from typing import Any

from pipelines.models import models
from pipelines.report import charts, wording
from pipelines.report.reading import OPPORTUNITIES, Ask, total

SECTION = "levers"
ROWS_AT_MOST = 6
RUNAWAYS_AT_MOST = 5
OPPORTUNITIES_AT_MOST = 6
_CACHES = """
select feature, model_canonical, verdict, verdict_reason, cache_hit_rate, base_cache_hit_rate, net_saving_usd, cost_impact_usd
from mart_cache_economics_weekly
where week_start_date = $week and cached_tokens > 0 $features
order by verdict in ('red', 'amber') desc, net_saving_usd desc nulls last, feature, model_canonical
"""
_TIERS = """
select feature, verdict, effective_cost_usd, frontier_cost_share, mid_cost_share, budget_cost_share, cost_impact_usd
from mart_model_tiers_weekly
where week_start_date = $week and effective_cost_usd > 0 $features
order by verdict = 'routing_regression' desc, effective_cost_usd desc, feature
"""
_STEPS = """
select case
        when steps <= 4 then '2 to 4' when steps <= 9 then '5 to 9' when steps <= 19 then '10 to 19'
        when steps <= 49 then '20 to 49' when steps <= 99 then '50 to 99' else '100 and more'
    end as step_range, count(*)::bigint as sessions, sum(effective_cost_usd) as effective_cost_usd, min(steps) as least
from ledger_sessions
where started_at >= $week and started_at < $week + 7 and steps >= 2 $features
group by step_range order by least
"""
_RUNAWAYS = """
select session_id, started_at, feature, verdict, steps, step_limit, top_step, top_step_share, effective_cost_usd, excess_cost_usd
from mart_runaway_sessions where week_start_date = $week $features
order by excess_cost_usd desc nulls last, session_id
"""
_RETRIES = """
select feature, effective_cost_usd, waste_cost_usd, waste_share, failed_call_cost_usd, abandoned_task_cost_usd, superseded_cost_usd
from mart_retry_waste_weekly
where week_start_date = $week and waste_cost_usd > 0 $features
order by waste_cost_usd desc, feature
"""
_CAPS = """
select coalesce(d.short_name, c.feature) as short_name, c.proposed_cap_tokens, c.truncated_share, c.saving_low_usd,
    c.saving_mid_usd, c.saving_high_usd
from (select * from mart_output_caps_weekly where week_start_date = $week and verdict = 'candidate' $features) as c
left join mart_spend_drivers_weekly as d
    on d.week_start_date = c.week_start_date and d.cut = 'request_type' and d.time_window = '1w'
    and d.feature = c.feature and d.workflow_step = c.workflow_step and d.prompt_name = c.prompt_name
order by c.saving_mid_usd desc nulls last, short_name
"""
_BATCHES = """
select feature, model_canonical, effective_cost_usd, best_saving_usd, must_be_true
from mart_batch_candidates_weekly
where week_start_date = $week and best_saving_usd > 0 $features
order by best_saving_usd desc, feature, model_canonical
"""
_OPPORTUNITIES = f"""
select opportunity_rank, feature, lever, verdict, owner, effort, sentence, must_be_true, evidence_query,
    saving_low_month_usd, saving_mid_month_usd, saving_high_month_usd
from {OPPORTUNITIES}
where week_start_date = $week and verdict in ('opportunity', 'range_only') and saving_mid_month_usd > 0 $features
order by opportunity_rank
"""
# What a lever asks to do.
DOING = {
    "context_trim": "Send less context",
    "output_cap": "Cap the answers",
    "retry_waste": "Stop the calls that bring nothing",
    "prompt_cache": "Read more from the prompt cache",
    "routing": "Route to a smaller model",
    "response_cache": "Answer repeated questions from a cache",
    "batch": "Send as a batch what nobody waits for",
    "fine_tune": "Tune a smaller model",
    "self_host": "Run it on own GPUs",
}


def doing(lever: str) -> str:
    return DOING.get(lever, wording.capitalize_first(wording.words(lever)))


def figures(ask: Ask, could_be: list[dict[str, Any]]) -> dict[str, Any]:
    """``could_be`` are the opportunities."""
    caches, caches_left = _first(ask, "Prompt caches", _CACHES, "feature", "model_canonical")
    for row in caches:
        row["bar"] = charts.bar(float(row["cache_hit_rate"] or 0), ask.limits.get("cache_hit_red_rate"))
    tiers, tiers_left = _first(ask, "Tiers of models", _TIERS, "feature")
    for row in tiers:
        row["bar"] = charts.bar(float(row["frontier_cost_share"] or 0))
    retries, retries_left = _first(ask, "Calls that brought nothing", _RETRIES, "feature")
    most = max((float(row["waste_share"] or 0) for row in retries), default=1.0) or 1.0
    for row in retries:
        row["bar"] = charts.bar(float(row["waste_share"] or 0) / most)
    caps, caps_left = _first(ask, "Caps on answers", _CAPS, "short_name", "proposed_cap_tokens")
    charts.range_bars(caps, "saving_low_usd", "saving_mid_usd", "saving_high_usd")
    batches, batches_left = _first(ask, "Work that could be a batch", _BATCHES, "feature", "model_canonical")
    saved = total(caches, "net_saving_usd")
    found = {
        "cache_title": f"{wording.usd(saved)} saved in the week" if saved is not None else "what they saved is unknown",
        "waste_most": most,
        "caches": caches,
        "caches_left": caches_left,
        "tiers": tiers,
        "tiers_left": tiers_left,
        "agents": _agents(ask),
        "retries": retries,
        "retries_left": retries_left,
        "caps": caps,
        "caps_left": caps_left,
        "batches": batches,
        "batches_left": batches_left,
        "opportunities": could_be[:OPPORTUNITIES_AT_MOST],
        "opportunities_left": len(could_be[OPPORTUNITIES_AT_MOST:]),
    }
    return found | {
        "is_empty": not any(
            found[name] for name in ("caches", "tiers", "agents", "retries", "caps", "batches", "opportunities")
        )
    }


def opportunities(ask: Ask) -> list[dict[str, Any]]:
    """What could be saved, the most first; nothing where the books have no such table."""
    if OPPORTUNITIES not in models():
        return []
    rows = ask.rows(SECTION, "Opportunities", _OPPORTUNITIES)
    ask.asked_as(SECTION, "Opportunities").link(rows[:OPPORTUNITIES_AT_MOST], "opportunity_rank")
    for row in rows:
        row["doing"] = doing(row["lever"])
    charts.range_bars(rows, "saving_low_month_usd", "saving_mid_month_usd", "saving_high_month_usd")
    return rows


def _agents(ask: Ask) -> dict[str, Any] | None:
    steps = ask.rows(SECTION, "Steps of agent runs", _STEPS)
    runaways = ask.rows(SECTION, "Runs that ran away", _RUNAWAYS)
    # Where nothing takes more than a few steps there are no agents to look at.
    if not runaways and all(row["least"] < 5 for row in steps):
        return None
    ask.asked_as(SECTION, "Steps of agent runs").link(steps, "step_range")
    ask.asked_as(SECTION, "Runs that ran away").link(runaways[:RUNAWAYS_AT_MOST], "session_id", "started_at")
    sessions = sum(row["sessions"] for row in steps)
    most = max((row["sessions"] for row in steps), default=1)
    for row in steps:
        row["bar"] = charts.bar(row["sessions"] / most)
    excess = total(runaways, "excess_cost_usd")
    if runaways:
        title = f"{len(runaways)} of {wording.things(sessions, 'run')} ran away, {wording.usd(excess)} beyond a run in the middle"
    else:
        title = f"none of {wording.things(sessions, 'run')} ran away"
    return {
        "title": title,
        "steps": steps,
        "runaways": runaways[:RUNAWAYS_AT_MOST],
        "left": len(runaways[RUNAWAYS_AT_MOST:]),
    }


def _first(ask: Ask, title: str, query: str, *by: str) -> tuple[list[dict[str, Any]], int]:
    """The first rows of an answer with the place of each, told apart by some columns, and how many more there are."""
    rows = ask.rows(SECTION, title, query)
    ask.asked_as(SECTION, title).link(rows[:ROWS_AT_MOST], *by)
    return rows[:ROWS_AT_MOST], len(rows[ROWS_AT_MOST:])
