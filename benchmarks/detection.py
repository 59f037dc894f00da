"""How well drifts and concentration are told: generated companies with a planted truth through the real SQL, as tables of Markdown.

Five seeds, none of which served to choose a limit or a method. A company has four features: two in which something is planted and two
smaller ones in which nothing happens. A step begins on a random day; its first full week is the first that is wholly after it. The version
of the prompt changes with the step in one of the two features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.made_up import books_of, percent
from tests.companies import FEATURES, FIRST_MONDAY, Change, Feature, calls_of, monday

SEEDS = (1_009, 2_003, 3_001, 4_001, 5_003)
# Creep is found near the least that can be seen at all, so that its rate wants more companies; these seeds served no choice either.
MORE_SEEDS = range(40_001, 40_021)
# So many companies go through the SQL at once.
TOGETHER = 6
CHAT, CODE, AGENT, SEARCH = FEATURES
# What the quantiles of ServeGen's lengths are of.
RANKS = (0, 0.01, *(number / 20 for number in range(1, 20)), 0.98, 0.99, 0.999, 1)
DRIFT = "mart_output_ratio_drift_weekly"
CONCENTRATION = "mart_spend_concentration_weekly"

Row = Mapping[str, Any]


def run(servegen: Path | None) -> None:
    """Print what is found, and of a folder with the public traces of ServeGen how often an alarm is raised on it."""
    steps = [_steps(0.30, 5_000), _steps(0.25, 3_000), _steps(-0.30, 5_000)]
    print("\n| planted | features | found in its first full week | by the second |")
    print("|---|---|---|---|")
    for one in steps:
        print(
            f"| {one.planted} | {one.features} | {percent(one.first, one.features)} | {percent(one.second, one.features)} |"
        )
    print("\n| planted | dated | within a day | set holds the day | width of the set, median days | cause named |")
    print("|---|---|---|---|---|---|")
    for one in steps:
        print(
            f"| {one.planted} | {one.dated} | {percent(one.within, one.dated)} | {percent(one.covered, one.dated)} | "
            f"{one.width:.0f} | {percent(one.caused, one.dated)} |"
        )
    print("\n| nothing planted, or something else | feature-weeks | called a drift |")
    print("|---|---|---|")
    for name, weeks, drifts in (
        *_quiet(),
        _mixes(),
        *((f"{one.planted}: the other two features", one.quiet, one.false) for one in steps),
    ):
        print(f"| {name} | {weeks} | {drifts} ({percent(drifts, weeks)}) |")
    if servegen is not None:
        print(f"| {_natural(servegen)} |")
    print("\n| creep of a week | features | found within two weeks | three | four | in which week, median |")
    print("|---|---|---|---|---|---|")
    for seeds, words in ((SEEDS, ""), (MORE_SEEDS, ", twenty more seeds")):
        print(_creep(0.05, seeds, words))
    print(
        "\n| share of the dearest fifth, planted | company-weeks | holds | partly | does_not_hold | interval holds the planted share |"
    )
    print("|---|---|---|---|---|---|")
    for share in (0.40, 0.50, 0.55, 0.60, 0.65, 0.72, 0.80):
        print(_concentration(share))


def _verdicts(calls: Sequence[pl.DataFrame]) -> dict[tuple[date, str], Row]:
    with books_of(pl.concat(calls)) as books:
        return {(row["week_start_date"], row["feature"]): row for row in books.rows(DRIFT)}


@dataclass
class _Found:
    planted: str
    features: int = 0
    first: int = 0
    second: int = 0
    dated: int = 0
    within: int = 0
    covered: int = 0
    caused: int = 0
    quiet: int = 0
    false: int = 0
    width: float = 0.0


def _features(requests: int) -> tuple[Feature, ...]:
    """Two of the size that is asked for, and two small ones."""
    return (
        replace(CHAT, requests=requests),
        replace(AGENT, requests=requests, users=90),
        replace(CODE, requests=1_000),
        SEARCH,
    )


def _steps(step: float, requests: int, companies: int = 6) -> _Found:
    weeks = 8
    found = _Found(f"{100 * step:+.0f} % at {requests:,} calls a week")
    features = _features(requests)
    widths = []
    for seed in SEEDS:
        days = {place: int(day) for place, day in enumerate(np.random.default_rng(seed).integers(35, 42, companies))}
        calls = []
        for place, day in days.items():
            changes = {"chat": Change(day, step, prompt_version="2"), "agent": Change(day, step)}
            calls.append(calls_of(seed, place, features=features, weeks=weeks, changes=changes))
        rows = _verdicts(calls)
        for place, day in days.items():
            full = -(-day // 7)
            truth = monday(place, 0, weeks) + timedelta(days=day)
            for name in ("chat", "agent"):
                after = [rows[monday(place, week, weeks), name] for week in (full, full + 1) if week < weeks]
                drifts = [row["verdict"] == "drift" for row in after]
                found.features += 1
                found.first += drifts[0]
                found.second += any(drifts)
                for row in after[:1]:
                    if row["onset_date"] is None:
                        continue
                    found.dated += 1
                    found.within += abs((row["onset_date"] - truth).days) <= 1
                    found.covered += row["onset_lo_date"] <= truth <= row["onset_hi_date"]
                    found.caused += row["cause"] == ("prompt_version" if name == "chat" else "no_config_change")
                    widths.append((row["onset_hi_date"] - row["onset_lo_date"]).days + 1)
        others = [
            row for (_, name), row in rows.items() if name not in ("chat", "agent") and row["verdict"] != "insufficient"
        ]
        found.quiet += len(others)
        found.false += sum(row["verdict"] == "drift" for row in others)
    found.width = float(np.median(widths)) if widths else 0.0
    return found


def _quiet(companies: int = 12) -> Iterator[tuple[str, int, int]]:
    for shared, words in ((False, "a shock of 3 % of each feature"), (True, "one shock of 3 % of the company")):
        tested = drifts = 0
        for seed in SEEDS:
            for start in range(0, companies // 2, TOGETHER):
                places = range(start, min(start + TOGETHER, companies // 2))
                rows = _verdicts([calls_of(seed, place, shared=shared) for place in places]).values()
                tested += sum(row["verdict"] != "insufficient" for row in rows)
                drifts += sum(row["verdict"] == "drift" for row in rows)
        yield f"nothing, users that wander, {words}", tested, drifts


def _mixes(companies: int = 4) -> tuple[str, int, int]:
    """From a week on, the type with the shortest answers has four times its calls."""
    weeks, since = 8, 5
    features = tuple(replace(one, spread=0.9) for one in _features(5_000))
    tested = drifts = 0
    moved = []
    for seed in SEEDS:
        changes = dict.fromkeys(("chat", "agent"), Change(7 * since, moved=4.0))
        rows = _verdicts(
            [calls_of(seed, place, features=features, weeks=weeks, changes=changes) for place in range(companies)]
        )
        for place in range(companies):
            for name in ("chat", "agent"):
                row = rows[monday(place, since, weeks), name]
                tested += row["verdict"] != "insufficient"
                drifts += row["verdict"] == "drift"
                moved.append(row["output_token_ratio_change"])
    return f"a mix of types that moves the blend by {100 * np.median(moved):+.0f} % (median)", tested, drifts


def _creep(creep: float, seeds: Sequence[int], words: str, companies: int = 5) -> str:
    since, weeks = 9, 14
    features = _features(5_000)
    first = []
    for seed in seeds:
        changes = dict.fromkeys(("chat", "agent"), Change(7 * since, creep=creep))
        rows = _verdicts(
            [calls_of(seed, place, features=features, weeks=weeks, changes=changes) for place in range(companies)]
        )
        for place in range(companies):
            for name in ("chat", "agent"):
                weeks_found = [
                    week - since + 1
                    for week in range(since, weeks)
                    if rows[monday(place, week, weeks), name]["verdict"] == "drift"
                ]
                first.append(min(weeks_found, default=99))
    seen = " | ".join(percent(sum(week <= limit for week in first), len(first)) for limit in (2, 3, 4))
    return f"| {100 * creep:+.0f} % at 5,000 calls a week{words} | {len(first)} | {seen} | {np.median(first):.0f} |"


def _exponent(share: float, types: int) -> float:
    """Of a power law by rank, such that the first fifth has a share."""
    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        sizes = 1 / np.arange(1, types + 1) ** middle
        low, high = (middle, high) if sizes[: -(-types // 5)].sum() / sizes.sum() < share else (low, middle)
    return low


def _concentration(share: float, companies: int = 20, types: int = 25, users: int = 120, calls: int = 1_500) -> str:
    """A week a company: users that differ in how much they call and what; costs of a call of ln-sd 1."""
    sizes = 1 / np.arange(1, types + 1) ** _exponent(share, types)
    planted = sizes / sizes.sum()
    verdicts = {"holds": 0, "partly": 0, "does_not_hold": 0}
    covered = 0
    for seed in SEEDS:
        frames = []
        for place in range(companies):
            chance = np.random.default_rng([seed, place, int(1_000 * share)])
            weights = 1 / np.arange(1, users + 1) ** 0.7
            habits = np.stack([chance.dirichlet(planted * 12) for _ in range(users)])
            # What the users would do on average is the planted share.
            habits *= planted / (weights[:, None] * habits).sum(0) * weights.sum()
            chances = weights[:, None] * habits
            cell = chance.choice(users * types, calls, p=(chances / chances.sum()).ravel())
            cost = np.exp(chance.normal(0, 1, calls) - 0.5) / 100
            at = FIRST_MONDAY + timedelta(weeks=place)
            frames.append(
                pl.DataFrame(
                    {
                        "started_at": [at] * calls,
                        "user_id": [f"u-{one}" for one in cell // types],
                        "prompt_name": [f"p-{one}" for one in cell % types],
                        "cost_usd": [Decimal(f"{one:.9f}") for one in cost],
                    }
                )
            )
        with books_of(pl.concat(frames)) as books:
            for row in books.rows(CONCENTRATION, time_window="1w", cut="request_type"):
                verdicts[row["verdict"]] += 1
                covered += row["top20_share_low"] <= Decimal(f"{share:.4f}") <= row["top20_share_high"]
    rows = sum(verdicts.values())
    cells = " | ".join(percent(number, rows) for number in verdicts.values())
    return f"| {share:.2f} | {rows} | {cells} | {percent(covered, rows)} |"


def _natural(folder: Path, calls: int = 4_000, clients: int = 20) -> str:
    """Alarms on real traffic: 14 days of each client's lengths by window of six hours.

    A day stands for a week, since the trace has two weeks only: it moves more from day to day than a week from week to week.
    Clients are users, groups of them features.
    """
    summary = pl.read_parquet(folder / "client_window_summary.parquet").select(
        "model", "client", "window_s", "requests"
    )
    lengths = pl.read_parquet(folder / "token_quantiles.parquet").with_columns(
        pl.col("client").cast(pl.Int64), pl.col("window_s").cast(pl.Int64)
    )
    for kind in ("input_tokens", "output_tokens"):
        one = lengths.filter(kind=kind).select("model", "client", "window_s", pl.col("quantiles").alias(kind))
        summary = summary.join(one, on=["model", "client", "window_s"])
    days = summary.with_columns(day=pl.col("window_s") // 86_400)
    long = days.group_by("model").agg(pl.col("day").n_unique()).filter(pl.col("day") >= 14)["model"].to_list()
    frames = []
    chance = np.random.default_rng(SEEDS[0])
    for model in sorted(long):
        of_model = days.filter(model=model)
        known = of_model["client"].unique().sort().to_list()
        groups = max(1, len(known) // clients)
        for group in range(groups):
            rows = of_model.filter(pl.col("client").is_in(known[group::groups])).sort("client", "window_s").to_dicts()
            for day in range(14):
                windows = [row for row in rows if row["day"] == day]
                sizes = np.array([row["requests"] for row in windows])
                for row, number in zip(windows, chance.multinomial(calls, sizes / sizes.sum()), strict=True):
                    grids = {kind: np.array(row[kind]) for kind in ("input_tokens", "output_tokens")}
                    drawn = {
                        kind: np.rint(np.interp(chance.random(number), RANKS, grid)).astype(np.int64)
                        for kind, grid in grids.items()
                    }
                    frames.append(
                        pl.DataFrame(
                            {
                                "feature": [f"{model}-{group}"] * number,
                                "user_id": [f"c-{row['client']}"] * number,
                                "started_at": [FIRST_MONDAY + timedelta(weeks=day, seconds=row["window_s"] % 86_400)]
                                * number,
                                "input_total_tokens": np.maximum(drawn["input_tokens"], 1),
                                "output_total_tokens": np.maximum(drawn["output_tokens"], 1),
                            },
                            schema_overrides={"started_at": pl.Datetime("us", "UTC")},
                        )
                    )
    tested = [row for row in _verdicts(frames).values() if row["verdict"] != "insufficient"]
    drifts = sum(row["verdict"] == "drift" for row in tested)
    seen = float(np.median([row["mde_80"] for row in tested]))
    return (
        f"real traffic of clients (ServeGen), a day for a week; {100 * seen:.0f} % would be seen (median) | "
        f"{len(tested)} | {drifts} ({percent(drifts, len(tested))})"
    )
