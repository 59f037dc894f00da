"""How well runaway sessions are told: generated companies with planted loops through the real SQL, as tables of Markdown.

Five seeds, none of which served to choose a limit. A company has three agents: one of short runs with many tools, one of long runs that
mostly searches (a natural repeater), and a new one with few runs, for which the fixed limits hold. In the second half of the weeks a
session in thirty is caught in a loop: after some ordinary steps it calls one tool over and over and fails. Others only look like it: long
runs that fail with many tools, runs that wait for something by asking one tool and succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from benchmarks.made_up import books_of, percent
from pipelines.engine import named_rows

SEEDS = (1_009, 2_003, 3_001, 4_001, 5_003)
FIRST_MONDAY = datetime(2026, 8, 3, tzinfo=UTC)
WEEKS, QUIET_WEEKS = 8, 4
PLANTED_SHARE, ALIKE_SHARE = 1 / 30, 1 / 30
SHORTEST_LOOP, LONGEST_LOOP = 10, 250
KNOWN_SHARE = 0.92
# Each sign by itself, with the limit of the length as it is published where successful sessions suffice.
_SIGNS = """
    with sessions as (select *, date_trunc('week', started_at) as week from ledger_sessions where steps > 1),
    limits as (
        select w.week, s.feature, greatest(3 * quantile_disc(s.steps, 0.5), quantile_disc(s.steps, 0.99)) as step_limit
        from (select distinct week from sessions) as w
        inner join sessions as s on s.week < w.week and s.week >= w.week - interval 28 day
        where s.outcome = 'success'
        group by w.week, s.feature
    )
    select s.session_id, s.outcome, cast(s.effective_cost_usd as double) as usd, r.verdict, s.top_step_share > 0.6 as is_alike,
        s.steps > l.step_limit as is_long
    from sessions as s
    left join limits as l on s.week = l.week and s.feature = l.feature
    left join mart_runaway_sessions as r on s.session_id = r.session_id
"""


@dataclass(frozen=True)
class Agent:
    """A feature: sessions a week, median steps and their spread (of the logarithm), shares of its tools, share of success."""

    feature: str
    sessions: int
    median_steps: float
    spread: float
    tools: tuple[float, ...]
    success: float


AGENTS = (
    Agent("assistant", 250, 8, 0.6, (0.30, 0.22, 0.18, 0.12, 0.10, 0.08), 0.80),
    Agent("research", 120, 22, 0.5, (0.58, 0.22, 0.12, 0.08), 0.75),
    Agent("newcomer", 9, 10, 0.6, (0.35, 0.25, 0.20, 0.20), 0.70),
)


def calls_of(seed: int, agents: Sequence[Agent] = AGENTS) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The calls of a company, and a row for each session: what it is (ordinary, loop, waits, wanders), its steps and feature."""
    rng = np.random.default_rng(seed)
    calls: list[dict[str, Any]] = []
    sessions: list[dict[str, Any]] = []
    for agent in agents:
        for week in range(WEEKS):
            for number in range(rng.poisson(agent.sessions)):
                kind = "ordinary"
                if week >= QUIET_WEEKS:
                    kind = str(
                        rng.choice(
                            ["loop", "waits", "wanders", "ordinary"],
                            p=[PLANTED_SHARE, ALIKE_SHARE / 2, ALIKE_SHARE / 2, 1 - PLANTED_SHARE - ALIKE_SHARE],
                        )
                    )
                tools, succeeds = _session(rng, agent, kind)
                name = f"{agent.feature}-{week}-{number}"
                at = FIRST_MONDAY + timedelta(weeks=week, seconds=int(rng.integers(0, 6 * 86_400)))
                is_known = rng.random() < KNOWN_SHARE
                sessions.append(
                    {
                        "session_id": name,
                        "feature": agent.feature,
                        "kind": kind,
                        "steps": len(tools),
                        "is_known": is_known,
                    }
                )
                context = 2_000
                for step, tool in enumerate(tools):
                    output = int(rng.integers(60, 400))
                    calls.append(
                        {
                            "started_at": at + timedelta(seconds=20 * step),
                            "session_id": name,
                            "feature": agent.feature,
                            "step": f"tool-{tool}",
                            "input_total_tokens": min(context, 150_000),
                            "output_total_tokens": output,
                            "outcome": ("success" if succeeds else "failure")
                            if is_known and step == len(tools) - 1
                            else None,
                        }
                    )
                    context += output + int(rng.integers(100, 900))
    return pl.DataFrame(calls, infer_schema_length=None), pl.DataFrame(sessions)


def _session(rng: np.random.Generator, agent: Agent, kind: str) -> tuple[list[int], bool]:
    """Tools of a session's steps, and whether it succeeds. Sessions that fail are half as long again as others."""
    succeeds = bool(rng.random() < agent.success)
    steps = agent.median_steps * np.exp(rng.normal(0, agent.spread)) * (1 if succeeds else 1.5)
    tools = [int(tool) for tool in rng.choice(len(agent.tools), p=agent.tools, size=max(2, round(steps)))]
    if kind == "ordinary":
        return tools, succeeds
    length = int(np.clip(round(60 * np.exp(rng.normal(0, 0.8))), SHORTEST_LOOP, LONGEST_LOOP))
    if kind == "wanders":
        more = rng.choice(len(agent.tools), size=length)
        return tools + [int(tool) for tool in more], False
    return tools + [int(rng.integers(len(agent.tools)))] * length, kind == "waits"


def judged(seed: int) -> pl.DataFrame:
    """Sessions of the weeks with plants: what they are, and what the books say of them and of each sign by itself."""
    calls, sessions = calls_of(seed)
    with books_of(calls) as books:
        books.make("mart_runaway_sessions")
        found = pl.DataFrame(named_rows(books.con, _SIGNS), infer_schema_length=None)
    late = pl.col("session_id").str.split("-").list.get(-2).cast(pl.Int64) >= QUIET_WEEKS
    return sessions.filter(late).join(found, on="session_id", how="left").with_columns(seed=pl.lit(seed))


def run() -> None:
    """Print precision and recall, by agent and by sign."""
    rows = pl.concat([judged(seed) for seed in SEEDS])
    rows = rows.with_columns(is_planted=pl.col("kind") == "loop", is_flagged=pl.col("verdict").is_not_null())
    print("\n| agent | sessions | planted loops | flagged | precision | recall | recall in dollars |")
    print("|---|---|---|---|---|---|---|")
    for name, part in [*((a.feature, rows.filter(feature=a.feature)) for a in AGENTS), ("all", rows)]:
        planted, flagged = part.filter("is_planted"), part.filter("is_flagged")
        usd, found_usd = planted["usd"].sum(), planted.filter("is_flagged")["usd"].sum()
        print(
            f"| {name} | {len(part):,} | {len(planted)} | {len(flagged)} | {percent(flagged['is_planted'].sum(), len(flagged))} | "
            f"{percent(planted['is_flagged'].sum(), len(planted))} | {percent(found_usd, usd)} |"
        )
    print("\n| steps of the planted session | sessions | recall |")
    print("|---|---|---|")
    for low, high in ((0, 25), (25, 50), (50, 100), (100, 1_000)):
        part = rows.filter(pl.col("is_planted") & pl.col("steps").is_between(low, high, closed="left"))
        name = f"{low} to {high - 1}" if high < 1_000 else f"{low} and more"
        print(f"| {name} | {len(part)} | {percent(part['is_flagged'].sum(), len(part))} |")
    print("\n| verdict | flagged | precision |")
    print("|---|---|---|")
    for verdict in ("runaway", "runaway_suspected"):
        part = rows.filter(verdict=verdict)
        print(f"| `{verdict}` | {len(part)} | {percent(part['is_planted'].sum(), len(part))} |")
    print("\n| flagged by | flagged | precision | recall |")
    print("|---|---|---|---|")
    planted = rows["is_planted"].sum()
    failed = pl.col("outcome").ne_missing("success")
    for name, rule in (
        ("length alone", pl.col("is_long")),
        ("length, no success", pl.col("is_long") & failed),
        ("one step repeated, no success", pl.col("is_alike") & failed),
        ("all three (as published)", pl.col("is_flagged")),
    ):
        part = rows.filter(rule)
        print(
            f"| {name} | {len(part)} | {percent(part['is_planted'].sum(), len(part))} | {percent(part['is_planted'].sum(), planted)} |"
        )
