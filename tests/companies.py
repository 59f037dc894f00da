"""Generated companies with a planted truth, whose users differ, wander and share shocks: what detectors are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from pipelines.sample import lengths
from pipelines.sample.chance import Grid

WEEKS = 13
# Weeks without a company: as far as any statistic reads back, so that companies can share one table.
APART = 11
FIRST_MONDAY = datetime(2020, 1, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Change:
    """What happens to a feature, from a day of its first Monday's count on: nothing, unless a part is given.

    ``step`` is the change of the answers' length (0.3 is +30 %), ``creep`` the change in each week from ``since_day`` on; ``moved``
    multiplies the calls of the first type; ``prompt_version`` is that of the calls from then on.
    """

    since_day: int
    step: float = 0.0
    creep: float = 0.0
    moved: float = 1.0
    prompt_version: str = "1"


@dataclass(frozen=True)
class Feature:
    """What makes a feature's calls: how many a week, of how many users, and lengths as measured on public traces."""

    name: str
    requests: int
    users: int
    types: int
    tokens_in: Grid
    tokens_out: Grid
    # By how much the answers of types differ for all users, from the first type (shorter) to the last, in logarithms.
    spread: float = 0.0


FEATURES = (
    Feature("chat", 2_500, 120, 3, lengths.AZURE_CHAT_INPUT, lengths.AZURE_CHAT_OUTPUT),
    Feature("code", 1_500, 60, 2, lengths.AZURE_CODE_INPUT, lengths.AZURE_CODE_OUTPUT),
    Feature("agent", 900, 40, 4, lengths.CONVERSATION_INPUT, lengths.CONVERSATION_OUTPUT),
    Feature("search", 500, 80, 2, lengths.RAG_INPUT, lengths.RAG_OUTPUT),
)


def drawn(chance: np.random.Generator, grid: Grid, size: int) -> np.ndarray:
    return np.interp(chance.random(size), np.array(grid.ranks) / 10_000, np.array(grid.quantiles))


def calls_of(
    seed: int,
    place: int = 0,
    *,
    features: Sequence[Feature] = FEATURES,
    weeks: int = WEEKS,
    shock: float = 0.03,
    shared: bool = False,
    changes: Mapping[str, Change] | None = None,
) -> pl.DataFrame:
    """One company. Its users differ for good (ln-sd 0.5, by type 0.2) and wander from week to week (0.15), as do their
    numbers of calls; a weekly shock moves all users of a feature, or of the company. ``changes`` happen to features by name.
    """
    chance = np.random.default_rng([seed, place])
    everyone = chance.normal(0, shock, weeks)
    frames = []
    for feature in features:
        own = everyone if shared else chance.normal(0, shock, weeks)
        activity = 1 / np.arange(1, feature.users + 1) ** 0.8
        weekly = activity[:, None] * np.exp(chance.normal(0, 0.7, (feature.users, weeks)))
        weekly *= chance.random((feature.users, weeks)) < 0.8
        by_type = chance.dirichlet(np.full(feature.types, 3.0), feature.users)
        moved = np.exp(chance.normal(0, 0.2, (feature.types, weeks)))
        change = (changes or {}).get(feature.name, Change(7 * weeks))
        moved[0, np.arange(weeks) * 7 >= change.since_day] *= change.moved
        expected = weekly[:, None, :] * by_type[:, :, None] * moved[None, :, :]
        counts = chance.poisson(expected / expected.sum((0, 1)) * feature.requests)
        length = (
            chance.normal(0, 0.5, (feature.users, 1, 1))
            + chance.normal(0, 0.2, (feature.users, feature.types, 1))
            + chance.normal(0, 0.15, (feature.users, 1, weeks))
            + own
        )
        length += np.linspace(-feature.spread, feature.spread, feature.types)[None, :, None]
        length += np.log1p(change.creep) * np.maximum(0, np.arange(weeks) - change.since_day // 7 + 1)
        prompt = chance.normal(0, 0.3, (feature.users, feature.types, 1)) + np.zeros(weeks)
        user, type_, week = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
        size = len(user)
        second = chance.integers(0, 7 * 86_400, size)
        is_later = week * 7 + second // 86_400 >= change.since_day
        frames.append(
            pl.DataFrame(
                {
                    "week": week + place * (weeks + APART),
                    "second": second,
                    "user": user,
                    "type": type_,
                    "input_total_tokens": np.rint(
                        drawn(chance, feature.tokens_in, size) * np.exp(prompt[user, type_, week])
                    ).astype(np.int64),
                    "output_total_tokens": np.rint(
                        drawn(chance, feature.tokens_out, size)
                        * np.exp(length[user, type_, week] + np.log1p(change.step) * is_later)
                    ).astype(np.int64),
                    "prompt_version": np.where(is_later, change.prompt_version, "1"),
                }
            ).with_columns(feature=pl.lit(feature.name))
        )
    return pl.concat(frames).select(
        started_at=pl.lit(FIRST_MONDAY) + pl.duration(days=7 * pl.col("week"), seconds=pl.col("second")),
        feature="feature",
        user_id=pl.format("u-{}", "user"),
        prompt_name=pl.format("p-{}", "type"),
        prompt_version="prompt_version",
        input_total_tokens="input_total_tokens",
        output_total_tokens="output_total_tokens",
    )


def monday(place: int, week: int, weeks: int = WEEKS) -> date:
    """The Monday of a week of the company in that place."""
    return FIRST_MONDAY.date() + timedelta(weeks=place * (weeks + APART) + week)
