"""Output-ratio drift: the worked example to its printed digits, each verdict in its turn, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

WEEK = datetime(2026, 10, 5, 12, tzinfo=UTC)
MONDAY = date(2026, 10, 5)
USERS = [f"u{number:02}" for number in range(12)]


def calls(weeks_before: int, user: str, tokens_in: int, tokens_out: int, number: int, **more: Any) -> dict[str, Any]:
    return {
        "weeks_before": weeks_before,
        "user_id": user,
        "input_total_tokens": tokens_in,
        "output_total_tokens": tokens_out,
        "number": number,
    } | more


def repeated(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Each row as often as its number says."""
    frame = pl.DataFrame(list(rows), infer_schema_length=None)
    return (
        frame.select(pl.exclude("number").repeat_by("number").explode())
        .with_columns(started_at=pl.lit(WEEK) - pl.duration(weeks=pl.col("weeks_before")))
        .drop("weeks_before")
    )


def steady(out: int = 100, users: Sequence[str] = USERS, weeks: Sequence[int] = (1, 2, 3, 4), **more: Any) -> list[Any]:
    """25 calls of each user in each of some weeks before."""
    return [calls(week, user, 1_000, out, 25, **more) for week in weeks for user in users]


def drift(books: Any, monday: date = MONDAY, feature: str = "chat") -> dict[str, Any]:
    return books.row("mart_output_ratio_drift_weekly", week_start_date=monday, feature=feature)


def test_twelve_users_of_the_example_drift_by_28_percent(weeks_of):
    """n0 = 100, n1 = 50, change of the logarithm .2 for six users and .3 for six: m .25, standard error .0367733, 11 degrees of
    freedom, t 6.7984, p 2.960e-5, interval +18.4 % to +39.2 %, 80 % of rises of 11.98 % would be seen.
    """
    rows = [calls(week, user, 1, 10**9, 25, is_priced=False) for week in (1, 2, 3, 4) for user in USERS]
    for number, user in enumerate(USERS):
        rows.append(calls(0, user, 1, round(10**9 * math.exp(0.2 if number < 6 else 0.3)), 50, is_priced=False))

    books = weeks_of(repeated(rows))

    found = drift(books)
    assert found["log_change"] == pytest.approx(0.25, abs=1e-8)
    assert round(found["paired_change"], 3) == 0.284
    assert round(found["log_standard_error"], 7) == 0.0367733
    assert found["degrees_of_freedom"] == pytest.approx(11, abs=1e-9)
    assert round(found["t_statistic"], 4) == 6.7984
    assert f"{found['p_value']:.3e}" == "2.960e-05"
    assert (round(found["paired_change_low"], 3), round(found["paired_change_high"], 3)) == (0.184, 0.392)
    assert round(found["mde_80"], 4) == 0.1198
    assert found["q_value"] == found["p_value"]
    assert (found["verdict"], found["cause"], found["cluster_unit"]) == ("drift", None, "user")
    assert (found["paired_clusters"], found["paired_requests"], found["base_requests"]) == (12, 600, 1_200)
    assert (found["base_weeks"], found["paired_coverage"]) == (4, 1)
    assert found["cost_impact_usd"] is None
    assert found["sentence"].startswith(
        "Same users, same request types: answers are 28 % longer per input token than in the four weeks before (18-39 %); "
        "output +28 %, input +0 %."
    )


def test_a_thousand_answers_that_are_100_tokens_longer_cost_a_dollar(weeks_of):
    """1,000 requests, output per request 300 to 400, $10 a million: $1.00 a week."""
    rows = [calls(week, f"u{user}", 1_000, 300, 20) for week in (1, 2, 3, 4) for user in range(20)]
    rows += [calls(0, f"u{user}", 1_000, 400, 50) for user in range(20)]

    found = drift(weeks_of(repeated(rows)))

    assert found["answered_requests"] == 1_000
    assert found["cost_impact_usd"] == Decimal("1.00")
    assert "; $1.00 a week." in found["sentence"]
    assert found["verdict"] == "drift"


def test_the_cost_of_longer_answers_leaves_out_what_is_new(weeks_of):
    """Type a: 1,000 calls from 300 to 400 tokens, $1.00; type b begins in the week: there is nothing to compare it with."""
    rows = [calls(week, f"u{user}", 1_000, 300, 20, prompt_name="a") for week in (1, 2, 3, 4) for user in range(20)]
    rows += [calls(0, f"u{user}", 1_000, 400, 50, prompt_name="a") for user in range(20)]
    rows += [calls(0, f"u{user}", 1_000, 5_000, 50, prompt_name="b") for user in range(20)]

    assert drift(weeks_of(repeated(rows)))["cost_impact_usd"] == Decimal("1.00")


def test_longer_answers_that_the_blend_hides_are_found(weeks_of):
    """Each type writes 30 % more; traffic moves to the short one: the blend falls from .26 to .234, the verdict is drift."""
    rows = []
    for user in USERS:
        for week in (1, 2, 3, 4):
            rows += [
                calls(week, user, 1_000, 100, 6, prompt_name="a"),
                calls(week, user, 1_000, 500, 4, prompt_name="b"),
            ]
        rows += [calls(0, user, 1_000, 130, 16, prompt_name="a"), calls(0, user, 1_000, 650, 4, prompt_name="b")]

    found = drift(weeks_of(repeated(rows)))

    assert (round(found["base_output_token_ratio"], 9), round(found["output_token_ratio"], 9)) == (0.26, 0.234)
    assert round(found["paired_change"], 9) == 0.3
    assert found["verdict"] == "drift"
    assert found["sentence"].endswith(
        "Beside that, traffic that moved between request types changed output per input token by -35 %."
    )
    # 192 x 30 and 48 x 150 tokens at $10 a million.
    assert found["cost_impact_usd"] == Decimal("0.1296")


def test_shorter_prompts_are_told_from_longer_answers(weeks_of):
    """Input falls from 1,000 to 500, output stays: the ratio doubles, and the sentence says that input fell by half."""
    rows = [*steady(), *(calls(0, user, 500, 100, 25) for user in USERS)]

    found = drift(weeks_of(repeated(rows)))

    assert (round(found["paired_change"], 9), round(found["output_change"], 9), round(found["input_change"], 9)) == (
        1,
        0,
        -0.5,
    )
    assert "output +0 %, input -50 %" in found["sentence"]
    assert found["cost_impact_usd"] == 0


def test_creep_is_seen_in_the_last_three_weeks_together(weeks_of):
    """+4 % a week for eight weeks, and a limit of 20 %: +10 % against the four weeks before. The last three weeks, 4 : 2 : 1, lie at
    (4 x 8 + 2 x 7 + 6) / 7 = 7.43 weeks of growth, the six before them at 2.5: 4.93 weeks of 4 %, 21.3 %. All users alike: the error is
    that of the shocks, .03 x sqrt(21/49 + 1/6) = .02315; t(.975, 10 degrees) 2.228: 15.2 % to 27.7 %.
    """
    out = [round(10**6 * 1.04 ** (8 - week)) for week in range(9)]
    rows = [calls(week, user, 1_000, out[week], 25) for week in range(9) for user in USERS]
    limits = "name,threshold\ndrift_min_change,0.20\n"

    books = weeks_of(repeated(rows), thresholds=limits)

    found, creep = drift(books), books.row("stat_paired_change_weekly", week_start_date=MONDAY, measure="answers")
    assert 0.05 < found["paired_change"] < 0.20
    assert round(found["creep_change"], 4) == 0.2132
    assert found["creep_p"] < 0.001
    assert (round(creep["log_standard_error"], 5), round(creep["degrees_of_freedom"], 6)) == (0.02315, 10)
    assert (creep["paired_requests"], creep["base_requests"], creep["base_weeks"]) == (900, 1_800, 6)
    assert (found["verdict"], found["cause"]) == ("drift", "creep")
    assert found["sentence"].startswith(
        "Same users, same request types: answers are 21 % longer per input token in the last three weeks than in the eight weeks "
        "before, step by step (15-28 %); "
    )


def test_a_rise_that_stands_still_is_no_creep(weeks_of):
    """+30 % seven weeks ago: of the eight weeks before the last three, four are of the old level, so that these look 14.0 % longer
    (half of ln 1.3); but the newest week is as long as the four before it.
    """
    rows = [calls(week, user, 1_000, 1_300 if week <= 6 else 1_000, 25) for week in range(11) for user in USERS]

    found = drift(weeks_of(repeated(rows)))

    assert round(found["creep_change"], 3) == 0.14
    assert found["creep_p"] < 0.001
    assert found["verdict"] == "stable"


def test_the_chance_of_prompts_is_taken_out_of_answers(weeks_of):
    """In the last three weeks prompts of even users are e^-.2 as long, of odd ones e^.2, answers by half of that, and all e^.1 more: the
    slope is .5, what is left is .1 for each, and its error that of the shocks alone (.02315).
    """
    rows = []
    for number, user in enumerate(USERS):
        chance = 0.2 if number % 2 else -0.2
        for week in range(9):
            x, y = (0.0, 0.0) if week > 2 else (chance, chance / 2 + 0.1)
            rows.append(calls(week, user, round(10**7 * math.exp(x)), round(10**6 * math.exp(y)), 25))

    books = weeks_of(repeated(rows))

    creep = books.row("stat_paired_change_weekly", week_start_date=MONDAY, measure="answers")
    assert (round(creep["input_slope"], 4), round(creep["log_change"], 4)) == (0.5, 0.1)
    assert round(creep["log_standard_error"], 5) == 0.02315
    assert drift(books)["cause"] == "creep"


def test_answers_that_grow_with_their_prompts_are_no_creep(weeks_of):
    """Documents twice as long in the last three weeks, and answers as well; half of the users send 10 % more besides, without longer
    answers. By them the slope is 0, and answers would be longer by all of ln 2. But prompts changed beyond chance, and the ratio fell by
    half of ln 1.1.
    """
    rows = []
    for number, user in enumerate(USERS):
        for week in range(9):
            grown = 1 if week > 2 else 2
            chance = 1 if week > 2 or number % 2 == 0 else 1.1
            rows.append(calls(week, user, round(1_000 * grown * chance), 100 * grown, 25))

    books = weeks_of(repeated(rows))

    creep = books.row("stat_paired_change_weekly", week_start_date=MONDAY, measure="answers")
    assert (creep["input_slope"], creep["is_input_changed"], round(creep["log_change"], 4)) == (0, True, 0.6931)
    assert creep["p_value"] < 0.001
    found = drift(books)
    assert (found["verdict"], round(found["creep_change"], 4)) == ("stable", round(1.1**-0.5 - 1, 4))


@pytest.mark.parametrize(("limit", "is_changed"), [(53, True), (55, False)])
def test_how_far_prompts_must_change_is_a_limit_that_can_be_set(weeks_of, limit, is_changed):
    """As above: prompts are longer by ln 2 + ln 1.1 / 2 = .7408, each user ln 1.1 / 2 from that: 53.85 errors of .04766 / sqrt(12)."""
    rows = []
    for number, user in enumerate(USERS):
        for week in range(9):
            grown = 1 if week > 2 else 2
            chance = 1 if week > 2 or number % 2 == 0 else 1.1
            rows.append(calls(week, user, round(1_000 * grown * chance), 100 * grown, 25))

    books = weeks_of(repeated(rows), thresholds=f"name,threshold\ncreep_input_errors,{limit}\n")

    creep = books.row("stat_paired_change_weekly", week_start_date=MONDAY, measure="answers")
    assert creep["is_input_changed"] == is_changed


def test_a_doubtful_change_is_no_drift_because_others_drifted(weeks_of):
    """+9 % for twelve users alike: t = ln 1.09 / (.03 x sqrt(1.25)) = 2.569, p (11 degrees) .026. By itself that is chance; beside two
    features that rose by half it passes Benjamini-Hochberg (q .026), and is held back by its own p.
    """
    rows = []
    for feature, out in (("poems", 150), ("tales", 150), ("chat", 109)):
        rows += steady(feature=feature) + [calls(0, user, 1_000, out, 25, feature=feature) for user in USERS]

    books = weeks_of(repeated(rows))

    found = drift(books)
    assert (round(found["t_statistic"], 3), round(found["p_value"], 3), round(found["q_value"], 3)) == (
        2.569,
        0.026,
        0.026,
    )
    assert (found["verdict"], drift(books, feature="poems")["verdict"]) == ("stable", "drift")


def test_one_user_who_writes_much_more_is_no_drift(weeks_of):
    """One of twelve goes from 100 to 400 tokens: the blend rises by 25 %, all of it hers."""
    rows = [*steady(), *(calls(0, user, 1_000, 400 if user == "u07" else 100, 25) for user in USERS)]

    found = drift(weeks_of(repeated(rows)))

    assert round(found["output_token_ratio_change"], 9) == 0.25
    assert (found["verdict"], found["top_user"], found["top_user_share"]) == ("one_user", "u07", 1)
    assert found["sentence"].startswith("Output per input token rose 25 %, and 100 % of that hangs on one user (u07)")


def test_traffic_that_moves_to_other_types_is_a_mix_shift(weeks_of):
    """a has .1, b has .5 in both periods; b's share of the calls falls from .4 to .2: .26 to .18."""
    rows = []
    for user in USERS:
        for week in (1, 2, 3, 4):
            rows += [
                calls(week, user, 1_000, 100, 15, prompt_name="a"),
                calls(week, user, 1_000, 500, 10, prompt_name="b"),
            ]
        rows += [calls(0, user, 1_000, 100, 20, prompt_name="a"), calls(0, user, 1_000, 500, 5, prompt_name="b")]
    # Not all alike, or the error of the mix would be 0.
    rows.append(calls(0, "u03", 1_000, 100, 3, prompt_name="a"))

    found = drift(weeks_of(repeated(rows)))

    assert found["verdict"] == "mix_shift"
    assert round(found["within_delta"], 12) == 0
    assert found["mix_p_value"] < 0.01
    assert found["mix_change_low"] < found["mix_change"] < found["mix_change_high"] < -0.1
    assert found["sentence"] == (
        "Traffic moved between request types, which changed output per input token by -31 %. "
        "Same users, same request types: +0 %, no more than chance may (-7 to 8 %)."
    )


def test_no_change_says_what_would_have_been_seen(weeks_of):
    """All as before: no error but the shared shock of 3 %; t(.975, 11) + t(.80, 11) is 3.0763, times .03354: 10.9 %."""
    found = drift(weeks_of(repeated([*steady(), *(calls(0, user, 1_000, 100, 25) for user in USERS)])))

    assert found["verdict"] == "stable"
    assert round(found["mde_80"], 3) == 0.109
    assert found["sentence"] == (
        "Same users, same request types: no change that stands out from chance (-7 to 8 %). "
        "A rise of 11 % would be seen 4 times in 5, a smaller one less often."
    )


WEEK_NOW = [calls(0, user, 1_000, 200, 25) for user in USERS]


@pytest.mark.parametrize(
    ("rows", "reason", "words"),
    [
        (WEEK_NOW, "no_pairs", "no calls in the four weeks before"),
        ([*steady(users=["x"]), *WEEK_NOW], "no_pairs", "nobody has calls of one request type both in the week and"),
        ([*steady(users=USERS[:9]), *WEEK_NOW], "few_users", "9 users with calls of one request type"),
        ([*steady(), *(row | {"number": 10} for row in WEEK_NOW)], "few_requests", "120 calls to compare, 200 are needed"),
        ([row | {"number": 8} for row in steady()] + WEEK_NOW, "few_base_requests", "384 calls of the four weeks before"),
        ([*steady(weeks=(1, 4)), *WEEK_NOW], "few_base_weeks", "2 of the four weeks before can be compared with, 3 are"),
        (
            [row | {"number": 1} for row in steady() + steady() + WEEK_NOW]
            + [calls(week, user, 1_000, 100, 500) for week in range(5) for user in USERS[:4]],
            "few_degrees_of_freedom",
            "a few users make most of the calls",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)  # fmt: skip
def test_too_little_is_said_and_not_judged(weeks_of, rows, reason, words):
    """The limits of thresholds.csv: 10 users, 5 degrees of freedom, 200 and 400 calls, 3 weeks. The ratio doubles each time."""
    found = drift(weeks_of(repeated(rows)))

    assert (found["verdict"], found["verdict_reason"]) == ("insufficient", reason)
    assert words in found["sentence"]
    assert (found["q_value"], found["cause"]) == (None, None)


def test_a_week_under_way_is_not_judged(weeks_of):
    rows = repeated([*steady(), *WEEK_NOW])

    friday = drift(weeks_of(rows, now=datetime(2026, 10, 9, tzinfo=UTC)))
    after = drift(weeks_of(rows, now=datetime(2026, 10, 12, tzinfo=UTC)))

    assert (friday["verdict"], friday["verdict_reason"]) == ("insufficient", "week_not_over")
    assert (friday["output_token_ratio"], friday["paired_change"]) == (0.2, after["paired_change"])
    assert after["verdict"] == "drift"


def test_only_answers_with_input_and_output_are_compared(weeks_of):
    """Failed calls, calls without output (a logarithm of 0) or without usage leave the test as it is."""
    rows = [*steady(), *WEEK_NOW]
    odd: list[dict[str, Any]] = [
        calls(0, "u01", 1_000, 9_000, 50, status="error"),
        calls(0, "u02", 0, 50, 50),
        calls(0, "u03", 1_000, 0, 50),
    ]

    plain, mixed = drift(weeks_of(repeated(rows))), drift(weeks_of(repeated([*rows, *odd])))

    assert mixed["log_change"] == plain["log_change"]
    assert mixed["paired_requests"] == plain["paired_requests"] == 300
    # Of 350 answered calls 300 are paired; those without output count in the ratio of the sums.
    assert (mixed["requests"], mixed["answered_requests"]) == (450, 350)
    assert mixed["paired_coverage"] == Decimal("0.857142857")
    assert mixed["output_token_ratio"] == pytest.approx(60_000 / 350_000)


def test_customers_stand_in_for_users_that_are_not_known(weeks_of):
    """Sessions end within the week: with customers there are pairs all the same."""
    rows = [
        row | {"user_id": None, "customer_id": row["user_id"], "session_id": f"{row['user_id']}-{row['weeks_before']}"}
        for row in [*steady(), *WEEK_NOW]
    ]

    found = drift(weeks_of(repeated(rows)))

    assert (found["verdict"], found["cluster_unit"], found["paired_clusters"]) == ("drift", "customer", 12)
    assert found["sentence"].startswith("Same customers, same request types: answers are 100 % longer")


def test_a_limit_can_be_set_for_one_feature(weeks_of):
    """+28 % is a drift; not for a feature whose own limit is 50 %."""
    rows = [*steady(), *(calls(0, user, 1_000, 128, 25) for user in USERS)]
    both = [*rows, *(row | {"feature": "poems"} for row in rows)]
    limits = "name,scope_kind,scope_value,threshold\ndrift_min_change,feature,poems,0.5\n"

    books = weeks_of(repeated(both), thresholds=limits)

    assert (drift(books)["verdict"], drift(books, feature="poems")["verdict"]) == ("drift", "stable")


def test_tokens_without_a_price_make_the_cost_incomplete(weeks_of):
    rows = [*steady(), *WEEK_NOW, calls(0, "u01", 1_000, 200, 25, is_priced=False)]

    found = drift(weeks_of(repeated(rows)))

    assert (found["unpriced_requests"], found["unpriced_tokens"], found["is_incomplete"]) == (25, 30_000, True)
