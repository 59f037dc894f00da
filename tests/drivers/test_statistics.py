"""Shared statistics against worked examples, scipy, and what must hold for any rows."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from pipelines.models import models

# A day of the judged week, and one of the week before.
WEEK = datetime(2026, 10, 5, 12, tzinfo=UTC)
BEFORE = WEEK - timedelta(weeks=1)
STATISTICS = ("stat_paired_change_weekly", "stat_bennet_weekly", "stat_jackknife_weekly", "stat_bootstrap_weekly")


def calls(
    at: datetime, user: str, tokens_in: int, tokens_out: int, number: int = 1, **more: Any
) -> list[dict[str, Any]]:
    one = {"started_at": at, "user_id": user, "input_total_tokens": tokens_in, "output_total_tokens": tokens_out}
    return [one | more] * number


def ratio(before: list[tuple[str, str, int, int]], after: list[tuple[str, str, int, int]]) -> list[dict[str, Any]]:
    """Calls of (user, prompt, input, output) in the two weeks."""
    rows = []
    for at, given_rows in ((BEFORE, before), (WEEK, after)):
        for user, prompt, tokens_in, tokens_out in given_rows:
            rows += calls(at, user, tokens_in, tokens_out, prompt_name=prompt)
    return rows


def test_two_requests_are_summed_before_dividing(weeks_of):
    """100 / 1,000 is 0.1; the mean of 20/10 and 80/990 would be 1.04."""
    books = weeks_of([*calls(WEEK, "u1", 10, 20), *calls(WEEK, "u2", 990, 80)])

    assert books.row("mart_output_ratio_drift_weekly")["output_token_ratio"] == pytest.approx(0.1, abs=1e-15)


def test_prices_are_of_a_million_tokens(weeks_of):
    """50,000 conversations of 2,000 in and 500 out: 100 million in at $2.50, 25 million out at $10: $500."""
    frame = pl.DataFrame({"started_at": [WEEK] * 50_000}).with_columns(
        input_total_tokens=pl.lit(2_000), output_total_tokens=pl.lit(500), user_id=pl.lit("u")
    )

    cell = weeks_of(frame).row("stat_usage_cells_weekly")

    assert (cell["input_total_tokens"], cell["output_total_tokens"]) == (100_000_000, 25_000_000)
    assert cell["effective_cost_usd"] == 500


def test_leaving_out_one_user_after_the_other_gives_the_error_of_the_example(weeks_of):
    """In 100 each; out 80, 60, 70, then 50, 20, 35: change -0.35, error 0.0288675, t -12.124, p (2 df) 0.0067341."""
    before, after = [("a", "p", 100, 80), ("b", "p", 100, 60), ("c", "p", 100, 70)], [50, 20, 35]
    rows = ratio(before, [(user, "p", 100, out) for (user, *_), out in zip(before, after, strict=True)])

    found = weeks_of(rows).row("stat_jackknife_weekly", statistic="output_ratio_change")

    assert found["clusters"] == 3
    assert found["estimate"] == pytest.approx(-0.35, abs=1e-12)
    assert round(found["standard_error"], 7) == 0.0288675
    assert round(found["t_statistic"], 3) == -12.124
    assert round(found["p_value"], 7) == 0.0067341
    # Without b the change is -32.5 %: no other user takes more of it away. t(.975, 2) is 4.3026527.
    assert (found["top_cluster_id"], round(found["top_cluster_estimate"], 3)) == ("b", -0.325)
    assert found["estimate_low"] == pytest.approx(-0.35 - 4.3026527 * 0.0288675, abs=1e-6)


def test_every_type_writes_more_and_the_blend_falls(weeks_of):
    """a: 600 in, 60 out, then 800, 104. b: 400, 200, then 200, 130. -0.026 is within +0.066 and mix -0.092."""
    rows = ratio([("u", "a", 600, 60), ("u", "b", 400, 200)], [("u", "a", 800, 104), ("u", "b", 200, 130)])

    books = weeks_of(rows)
    parts = {row["prompt_name"]: row for row in books.rows("stat_bennet_weekly")}

    assert sum(part["within_delta"] for part in parts.values()) == pytest.approx(0.066, abs=1e-12)
    assert sum(part["mix_delta"] for part in parts.values()) == pytest.approx(-0.092, abs=1e-12)
    assert (float(parts["a"]["base_weight_share"]), float(parts["a"]["weight_share"])) == (0.6, 0.8)
    [drift] = [
        row for row in books.rows("mart_output_ratio_drift_weekly") if row["week_start_date"] == date(2026, 10, 5)
    ]
    assert (round(drift["base_output_token_ratio"], 9), round(drift["output_token_ratio"], 9)) == (0.26, 0.234)
    assert round(drift["output_token_ratio_change"], 3) == -0.1
    assert (round(drift["within_change"], 3), round(drift["mix_change"], 3)) == (0.254, -0.354)


def test_a_type_that_is_absent_in_one_period_is_all_mix(weeks_of):
    """a: 100 in, 10 out in both. b comes with 100 in and 30 out: 0.1 to 0.2, mix 0.1, within 0."""
    rows = ratio([("u", "a", 100, 10)], [("u", "a", 100, 10), ("u", "b", 100, 30)])

    parts = {row["prompt_name"]: row for row in weeks_of(rows).rows("stat_bennet_weekly")}

    assert [part["within_delta"] for part in parts.values()] == [0, 0]
    assert sum(part["mix_delta"] for part in parts.values()) == pytest.approx(0.1, abs=1e-12)
    assert parts["b"]["base_part_ratio"] == pytest.approx(0.3)


def test_benjamini_hochberg_gives_the_q_of_the_example(weeks_of):
    """p = .001, .02, .04, .5 gives q = .004, .04, .0533, .5; a feature that was not tested counts for nothing."""
    query = models()["stat_paired_change_weekly"].query
    tail = query[query.index("placed_tests as (") :]
    columns = query[query.index("tested as (") : query.index("placed_tests as (")]
    assert "count(case when untested_reason is null then 1 end) over" in columns
    values = "('a', 0.04, null), ('b', 0.001, null), ('c', 0.5, null), ('d', 0.02, null), ('e', 0.0001, 'few_users')"
    con = weeks_of([{"started_at": WEEK}]).con

    found = con.execute(
        f"""with given as (from (values {values}) as v(feature, p_value, untested_reason)),
        tested as (
            select date '2026-10-05' as week_start_date, 'output' as measure, '4w' as baseline, feature, 'user' as cluster_unit,
                1 as paired_clusters, 1 as paired_requests, 1 as base_requests, 1 as base_weeks, 0.0 as input_slope,
                false as is_input_changed, 0.0 as log_change,
                1.0 as log_standard_error, 1.0 as degrees_of_freedom, 1.0 as t_statistic, p_value, 1.0 as reach, 1.0 as power_reach,
                untested_reason, count(case when untested_reason is null then 1 end) over () as tests
            from given
        ),
        limit_rows as (
            select date '2026-10-05' as week_start_date, feature, 0.05 as drift_q, 0.05 as min_change, 0.003 as drift_p,
                0.035 as creep_p, 0.005 as creep_shorter_p, 0.02 as going_on, 0.2 as ratio_p
            from given
        ), {tail}"""
    ).fetchall()

    q = {row[3]: row[16] for row in found}
    assert {name: value and round(value, 4) for name, value in q.items()} == {
        "a": 0.0533, "b": 0.004, "c": 0.5, "d": 0.04, "e": None,
    }  # fmt: skip


def test_equal_habits_leave_no_width_to_the_interval(weeks_of):
    """Each user spends 80 on two of ten types and 20 on the others: every draw gives 0.80, for any hash."""
    rows = []
    for user in range(7):
        for kind in range(10):
            rows += calls(
                WEEK, f"u{user}", 10, 1, prompt_name=f"p{kind}", cost_usd=Decimal("40.00" if kind < 2 else "2.50")
            )

    books = weeks_of(rows)
    [found] = [row for row in books.rows("stat_bootstrap_weekly") if row["time_window"] == "1w"]

    assert (found["estimate_low"], found["estimate_high"], found["cut"]) == (0.8, 0.8, "request_type")
    assert 290 <= found["draws"] <= 300
    assert found["clusters"] == 7


def test_the_interval_is_as_wide_as_that_of_a_proportion(weeks_of):
    """400 users spend alike, 280 of them on the two large types: 0.70 with error sqrt(.7 x .3 / 400) = .0229: .655 to .745."""
    rows = [one for user in range(400) for one in calls(WEEK, f"u{user}", 10, 1, prompt_name=f"p{_kind(user)}")]

    found = weeks_of(rows).row("mart_spend_concentration_weekly", time_window="1w", cut="request_type")

    assert float(found["top20_share"]) == 0.7
    assert float(found["top20_share_low"]) == pytest.approx(0.655, abs=0.008)
    assert float(found["top20_share_high"]) == pytest.approx(0.745, abs=0.008)


def _kind(user: int) -> int:
    return user % 2 if user < 280 else 2 + user % 8


def test_more_users_than_are_drawn_apart_are_drawn_in_groups(weeks_of):
    """600 users in 50 groups: the interval is as wide as that of 600, within a third."""
    chance = np.random.default_rng(8)
    rows = [
        one
        for user in range(600)
        for one in calls(WEEK, f"u{user}", 1_000, int(chance.integers(50, 5_000)), prompt_name=f"p{user % 12}")
    ]
    limits = "name,threshold\nbootstrap_max_clusters,50\n"

    apart, grouped = (
        books.rows("stat_bootstrap_weekly", time_window="1w")[0]
        for books in (weeks_of(rows), weeks_of(rows, thresholds=limits))
    )

    widths = [found["estimate_high"] - found["estimate_low"] for found in (apart, grouped)]
    assert widths[0] * 2 / 3 < widths[1] < widths[0] * 3 / 2
    assert apart["clusters"] == grouped["clusters"] == 600


def random_calls(seed: int, users: int = 14, number: int = 500) -> pl.DataFrame:
    """Calls of three features, some weeks, users and types, a few of them failed or without a price."""
    chance = np.random.default_rng(seed)
    kinds = chance.integers(0, 12, number)
    return pl.DataFrame(
        {
            "started_at": [
                WEEK - timedelta(weeks=int(week), seconds=int(s))
                for week, s in zip(chance.integers(0, 6, number), chance.integers(0, 90_000, number), strict=True)
            ],
            "feature": [f"f{kind % 3}" for kind in kinds],
            "prompt_name": [f"p{kind}" for kind in kinds],
            "user_id": [f"u{user}" if user else None for user in chance.integers(0, users, number)],
            "customer_id": [f"c{c}" if c else None for c in chance.integers(0, 4, number)],
            "status": chance.choice(["ok", "ok", "ok", "error"], number).tolist(),
            "is_priced": (chance.random(number) < 0.97).tolist(),
            "input_total_tokens": chance.integers(0, 5_000, number).tolist(),
            "output_total_tokens": chance.integers(0, 900, number).tolist(),
            "model_canonical": chance.choice(["gpt-4o", "gpt-5.2", "gpt-4o-mini"], number).tolist(),
        }
    ).with_columns(
        # A call of five does not tell what it read from the cache.
        cache_read_tokens=pl.when(pl.Series(chance.random(number) < 0.8)).then(
            (pl.col("input_total_tokens") * pl.Series(chance.random(number))).cast(pl.Int64)
        )
    )


def brute_force(books: Any) -> dict[tuple[Any, str, str, str], tuple[float, float | None]]:
    """Estimate and jackknife error of every statistic, by recomputing them without each user, in plain Python.

    A measure: what is over the line, what is below it, whether each model counts by itself, and what is tested.
    """
    measures = {
        "output_ratio": (
            lambda row: row["output_total_tokens"],
            lambda row: row["input_total_tokens"] if row["answered_requests"] else 0,
            False,
            ("change", "mix"),
        ),
        "cache_hit_rate": (
            lambda row: row["cache_read_total_tokens"],
            lambda row: row["cache_known_input_tokens"] if row["answered_requests"] else 0,
            True,
            ("change",),
        ),
        "frontier_share": (
            lambda row: row["requests"] if row["model_canonical"] == "gpt-5.2" else 0,
            lambda row: row["requests"],
            False,
            ("change", "mix", "within"),
        ),
    }
    found: dict[tuple[Any, str, str, str], tuple[float, float | None]] = {}
    weeks = sorted({row["week_start_date"] for row in books.rows("stat_usage_cells_weekly")})
    for measure, (over, below, by_model, parts) in measures.items():
        cells: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for row in books.rows("stat_usage_cells_weekly"):
            for week in weeks:
                back = (week - row["week_start_date"]).days // 7
                if 0 <= back <= 4 and below(row):
                    model = row["model_canonical"] if by_model else "(all)"
                    one = row | {"period": 1 if back == 0 else 0, "y": over(row), "x": below(row)}
                    cells[week, row["feature"], model].append(one)
        for (week, feature, model), rows in cells.items():
            users = sorted({(row["cluster_unit"], row["cluster_id"]) for row in rows})
            for part in parts:
                whole = _statistic(part, rows)
                if whole is None or (measure != "output_ratio" and not any(row["y"] for row in rows)):
                    continue
                # A rate that moved by less than a point is not tested.
                if measure == "cache_hit_rate" and abs(whole) < 0.01:
                    continue
                left = [
                    _statistic(part, [r for r in rows if (r["cluster_unit"], r["cluster_id"]) != user])
                    for user in users
                ]
                known = [value for value in left if value is not None]
                error = None
                if len(known) == len(users) > 1:
                    error = math.sqrt((len(users) - 1) / len(users) * sum((v - np.mean(known)) ** 2 for v in known))
                found[week, f"{measure}_{part}", feature, model] = (whole, error)
    return found


def _statistic(part: str, rows: list[dict[str, Any]]) -> float | None:
    x: dict[int, dict[str, int]] = {0: defaultdict(int), 1: defaultdict(int)}
    y: dict[int, dict[str, int]] = {0: defaultdict(int), 1: defaultdict(int)}
    for row in rows:
        x[row["period"]][row["prompt_name"]] += row["x"]
        y[row["period"]][row["prompt_name"]] += row["y"]
    sums = [sum(x[period].values()) for period in (0, 1)]
    if not all(sums):
        return None
    whole = [sum(y[period].values()) / sums[period] for period in (0, 1)]
    change = whole[1] - whole[0]
    mix = 0.0
    for kind in {*x[0], *x[1]}:
        r = [y[p][kind] / x[p][kind] if x[p][kind] else None for p in (0, 1)]
        r0, r1 = r[0] if r[0] is not None else r[1], r[1] if r[1] is not None else r[0]
        mix += (x[1][kind] / sums[1] - x[0][kind] / sums[0]) * ((r0 + r1) / 2 - sum(whole) / 2)
    return {"change": change, "mix": mix, "within": change - mix}[part]


SLOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SLOW
@given(seed=st.integers(0, 2**32 - 1))
def test_the_jackknife_is_what_leaving_out_each_user_gives(weeks_of, seed):
    """The SQL does it by what each user takes from the sums; here everything is worked out again without each user."""
    books = weeks_of(random_calls(seed))
    expected = brute_force(books)

    found = {
        (row["week_start_date"], row["statistic"], row["feature"], row["model_canonical"]): (
            row["estimate"],
            row["standard_error"],
        )
        for row in books.rows("stat_jackknife_weekly")
    }

    assert found.keys() == expected.keys()
    for key, (estimate, error) in expected.items():
        assert found[key][0] == pytest.approx(estimate, abs=1e-9), key
        assert found[key][1] == (None if error is None else pytest.approx(error, abs=1e-9)), key


@SLOW
@given(seed=st.integers(0, 2**32 - 1))
def test_what_must_hold_for_any_calls_holds(weeks_of, seed):
    """The headers' own checks: within + mix = change, shares sum to 1, intervals in order; and q is scipy's."""
    books = weeks_of(random_calls(seed), thresholds="name,threshold\ndrift_min_users,2\ndrift_min_df,0\n" + "".join(
        f"drift_min_{name},1\n" for name in ("requests_current", "requests_base", "base_weeks")
    ))  # fmt: skip

    for table in ("stat_usage_cells_weekly", "stat_request_sizes_weekly", *STATISTICS, "mart_spend_drivers_weekly"):
        assert books.broken(table) == [], table
    for table in ("mart_spend_concentration_weekly", "mart_output_ratio_drift_weekly"):
        assert books.broken(table) == [], table
    families: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in books.rows("stat_paired_change_weekly"):
        if row["untested_reason"] is None:
            families[row["week_start_date"], row["measure"], row["baseline"]].append(row)
            p = 2 * stats.t.sf(abs(row["t_statistic"]), row["degrees_of_freedom"])
            assert row["p_value"] == pytest.approx(p, rel=1e-9)
    assert any(len(rows) == 3 for rows in families.values())
    for rows in families.values():
        q = stats.false_discovery_control([row["p_value"] for row in rows])
        assert [row["q_value"] for row in rows] == pytest.approx(list(q), rel=1e-12)


@SLOW
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_the_number_of_threads_change_nothing(weeks_of, seed):
    rows = random_calls(seed)

    one = weeks_of(rows, threads=1)
    other = weeks_of(rows.sample(fraction=1, shuffle=True, seed=seed % 1_000), threads=2)

    for table in (*STATISTICS, "mart_spend_concentration_weekly", "mart_output_ratio_drift_weekly"):
        assert one.rows(table) == other.rows(table), table


def test_the_names_of_users_change_no_test(weeks_of):
    """Only the draws of the bootstrap hang on names, and who is named."""
    rows = random_calls(3)
    other = rows.with_columns(user_id=pl.format("x{}", pl.col("user_id").str.reverse()))
    named = {"top_cluster_id", "top_user", "sentence"}

    one, two = weeks_of(rows), weeks_of(other)

    for table in (
        "stat_paired_change_weekly",
        "stat_bennet_weekly",
        "stat_jackknife_weekly",
        "mart_spend_drivers_weekly",
    ):
        assert [{k: v for k, v in row.items() if k not in named} for row in one.rows(table)] == [
            {k: v for k, v in row.items() if k not in named} for row in two.rows(table)
        ], table


@pytest.mark.parametrize(
    ("known", "unit", "clusters"),
    [
        ({"user_id": "u", "customer_id": "c", "session_id": "s"}, "user", 1),
        ({"customer_id": "c", "session_id": "s"}, "customer", 1),
        ({"session_id": "s"}, "session", 1),
        ({}, "day_and_type", 2),
    ],
)
def test_calls_of_one_user_else_customer_else_session_else_day_and_type_hang_together(weeks_of, known, unit, clusters):
    rows = [{"started_at": WEEK, "prompt_name": name, **known} for name in ("a", "b", "b")]

    cells = weeks_of(rows).rows("stat_usage_cells_weekly")

    assert {cell["cluster_unit"] for cell in cells} == {unit}
    assert len({cell["cluster_id"] for cell in cells}) == clusters


def test_a_week_begins_at_midnight_of_the_reporting_time_zone(weeks_of):
    """Monday 02:00 UTC is Sunday evening in New York, and Sunday 23:30 UTC is Monday in Berlin."""
    monday, sunday = datetime(2026, 10, 5, 2, tzinfo=UTC), datetime(2026, 10, 4, 23, 30, tzinfo=UTC)
    rows = [{"started_at": monday, "user_id": "m"}, {"started_at": sunday, "user_id": "s"}]

    weeks = {
        zone: {
            row["cluster_id"]: str(row["week_start_date"])
            for row in weeks_of(rows, zone=zone).rows("stat_usage_cells_weekly")
        }
        for zone in ("UTC", "America/New_York", "Europe/Berlin")
    }

    assert weeks == {
        "UTC": {"m": "2026-10-05", "s": "2026-09-28"},
        "America/New_York": {"m": "2026-09-28", "s": "2026-09-28"},
        "Europe/Berlin": {"m": "2026-10-05", "s": "2026-10-05"},
    }
