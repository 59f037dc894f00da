"""How often ``mart_spend_anomalies_daily`` is wrong: made-up features in which it is known what happened, and real traffic.

No seed was used to choose a limit. Each feature has its own growth, weekdays, noise of its own days, of the days before and of
the whole company, pauses, and some are launched late.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.made_up import books_of

SEEDS = (101, 202, 303)
FEATURES = 40
DAYS = 182
FIRST = date(2026, 1, 1)
TABLE = "mart_spend_anomalies_daily"
# What is planted from the day on: factors of the days that follow.
PLANTED = {
    "a week at 17 times the cost": [17.0] * 7,
    "a rise of 25 % a day for nine days": [1.25**day for day in range(1, 10)],
    "one day at three times the cost": [3.0],
}


def run(servegen: Path | None) -> None:
    """Print a table of false alerts and of what is found."""
    print("| company | what is planted | found | in days, usually | false alerts a feature and month |")
    print("|---|---|---|---|---|")
    for what, factors in {"nothing": [], **PLANTED}.items():
        made = [_company(np.random.default_rng((seed, len(what))), bool(factors)) for seed in SEEDS]
        costs = np.concatenate([costs for costs, _ in made])
        starts = np.concatenate([starts for _, starts in made])
        for place, factor in enumerate(factors):
            costs[np.arange(len(costs)), starts + place] *= factor
        print(f"| {_judged(costs, starts, len(factors), what)} |")
    if servegen is not None:
        print(f"| {_natural(servegen)} |")


def _company(random: np.random.Generator, is_planted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Daily costs of a company's features, and a day of each on which something may be planted."""
    days = np.arange(DAYS)
    level = np.log(20) + 1.2 * random.standard_normal((FEATURES, 1))
    growth = random.normal(0.002, 0.002, (FEATURES, 1)) * days
    weekend = np.where(days % 7 >= 5, np.log(random.uniform(0.2, 1, (FEATURES, 1))), 0)
    own = random.uniform(0.04, 0.2, (FEATURES, 1)) * random.standard_normal((FEATURES, DAYS))
    slow = np.zeros((FEATURES, DAYS))
    for day in days[1:]:
        slow[:, day] = 0.6 * slow[:, day - 1] + 0.05 * random.standard_normal(FEATURES)
    shared = 0.05 * random.standard_normal(DAYS)
    costs = np.exp(level + growth + weekend + own + slow + shared)
    costs[random.random((FEATURES, DAYS)) < 0.01] = 0
    launched = np.where(random.random(FEATURES) < 0.2, random.integers(0, 90, FEATURES), 0)
    costs[days < launched[:, None]] = 0
    starts = launched + random.integers(40, DAYS - 90 - 12, FEATURES)
    if is_planted:
        costs[np.arange(FEATURES), starts] = np.maximum(
            costs[np.arange(FEATURES), starts], np.exp(level + growth)[np.arange(FEATURES), starts]
        )
    return costs, starts


def _states(costs: np.ndarray, first: date = FIRST) -> pl.DataFrame:
    """What the table says of each feature and day."""
    features, days = np.nonzero(costs > 0)
    cells = [
        {
            "usage_date": first + timedelta(days=int(day)),
            "feature": f"feature-{feature:04}",
            "team": "team",
            "requests": 1,
            "total_tokens": 1,
            "unpriced_requests": 0,
            "unpriced_tokens": 0,
            "effective_cost_usd": costs[feature, day],
        }
        for feature, day in zip(features, days, strict=True)
    ]
    end = first + timedelta(days=costs.shape[1])
    now = datetime(end.year, end.month, end.day, tzinfo=UTC)
    with books_of([], now=now, stat_cost_cells_daily=cells) as books:
        books.make(TABLE)
        states: pl.DataFrame = books.con.sql(f"select feature, usage_date, state from {TABLE}").pl()
    return states


def _judged(costs: np.ndarray, starts: np.ndarray, length: int, what: str) -> str:
    """A line: the share of what was planted that is found within its days, and the alerts outside of them.

    An alert is the first flagged day of a row of them.
    """
    states = _states(costs)
    flagged = np.zeros(costs.shape, dtype=bool)
    learned = np.zeros(costs.shape, dtype=bool)
    for feature, day, state in states.iter_rows():
        place = int(feature.split("-")[1]), (day - FIRST).days
        flagged[place] = state in ("anomaly", "level_shift")
        learned[place] = state != "learning"
    delays = []
    outside = flagged.copy()
    for feature, start in enumerate(starts):
        if length:
            hit = np.flatnonzero(flagged[feature, start : start + length])
            delays += [int(hit[0]) + 1] if len(hit) else []
            # What is left of it behind its days is no alert of its own.
            outside[feature, start : start + length + 2] = False
    first_days = outside[:, 1:] & ~outside[:, :-1]
    months = learned.sum() / 30.4
    found = f"{len(delays) / len(starts):.2f} of {len(starts)}" if length else ""
    usual = f"{np.median(delays):.0f}" if delays else ""
    return f"{len(SEEDS)} of {FEATURES} features | {what} | {found} | {usual} | {first_days.sum() / months:.2f}"


def _natural(folder: Path) -> str:
    """The line of real traffic: requests of the clients of public traces, of which nothing is known to have gone wrong.

    They last 14 days, too short for a method of weeks: each day is cut into seven parts that stand for a week's days.
    """
    path = folder / "client_rates_600s.parquet"
    if not path.exists():
        return f"no {path.name} in {folder} | | | | "
    parts = (pl.col("t") * 7 // 86_400).cast(pl.Int64)
    sums = (
        pl.read_parquet(path)
        .with_columns(parts.alias("part"))
        .group_by("model", "client", "part")
        .agg(pl.col("rate").sum())
    )
    costs = []
    for _, rows in sums.group_by("model", "client", maintain_order=False):
        series = np.zeros(98)
        inside = rows.filter(pl.col("part") < 98)
        series[inside["part"].to_numpy()] = inside["rate"].to_numpy()
        # Clients that are there most of the time, as features are; each spends as much.
        if (series > 0).sum() >= 90:
            costs.append(100 * series / series.mean())
    states = _states(np.array(sorted(costs, key=lambda one: tuple(one))))
    judged = states.filter(pl.col("state") != "learning").sort("feature", "usage_date")
    flags = judged.with_columns(is_flagged=pl.col("state").is_in(["anomaly", "level_shift"]))
    starts = flags.filter(pl.col("is_flagged") & ~pl.col("is_flagged").shift(1, fill_value=False).over("feature"))
    return f"{len(costs)} clients of ServeGen | nothing known; a part of the day as a day | | | {len(starts) / (len(judged) / 30.4):.2f}"
