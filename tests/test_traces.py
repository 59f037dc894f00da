"""What rows mean for each other: spans above and below, owners along a trace, one call in two tools, scores of a task.

The rows are of no tool in particular: every source with spans goes through the same tables.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Run = Callable[..., list[dict[str, Any]]]
START = datetime(2026, 11, 2, 12, tzinfo=UTC)
OWNERLESS = dict.fromkeys(("feature", "team", "cost_centre", "customer_tier", "environment"))


def span(key: str, above: str | None = None, **more: Any) -> dict[str, Any]:
    """A call of a trace; ``above`` is the span that it stands below."""
    return {
        "request_key": key,
        "source": "tracer",
        "source_row_id": key,
        "source_row": sum(map(ord, key)),
        "entity_key": key,
        "trace_id": "trace",
        "span_id": key,
        "parent_span_id": above,
        "model_served": "m",
        "step": key,
        "started_at": START,
        **OWNERLESS,
    } | more


def used(tokens_in: int, tokens_out: int) -> dict[str, int]:
    return {"input_uncached_tokens": tokens_in, "output_text_tokens": tokens_out}


def context(key: str, above: str | None = None, **more: Any) -> dict[str, Any]:
    return span(key, above, row_kind="context", is_billable_leaf=False, model_served=None) | more


AGENT = {"row_kind": "aggregate_only"}


def roles(run: Run, *spans: dict[str, Any], **tables: Any) -> dict[str, str]:
    return {
        row["request_key"]: row["leaf_rule"] for row in run("ledger_span_roles", staged_requests=list(spans), **tables)
    }


# ---- the billable leaf rule


def test_an_agent_that_repeats_the_usage_below_it_is_no_leaf(run: Run) -> None:
    """B1, B3, canonical 7.1 and 7.2: $0.19052 shown is $0.09526 twice. Spans without usage stand between."""
    found = roles(
        run, span("agent", **AGENT, **used(10, 5)), context("step", "agent"), span("call", "step", **used(9, 5))
    )

    assert found == {"agent": "no_call"}


def test_an_agent_without_usage_below_it_is_the_call(run: Run) -> None:
    """B4: some SDKs put all usage, or cost alone, on the parent."""
    cost_alone = {"cost_reported_usd": Decimal("0.5")}

    assert roles(run, span("agent", **AGENT, **cost_alone), context("step", "agent"), span("call", "step")) == {}
    assert roles(run, span("agent", **AGENT, **cost_alone), span("call", "agent", **used(1, 1))) == {"agent": "no_call"}


def test_a_span_whose_tokens_are_the_sum_of_those_below_is_no_leaf(run: Run) -> None:
    """Canonical 7.3: 15 = 10 + 5, also where one of them sums up again; 16 is not."""
    below = [span("mid", "top", **used(8, 2)), span("a", "mid", **used(8, 2)), span("b", "top", **used(4, 1))]

    assert roles(run, span("top", **used(12, 3)), *below) == {"top": "sum_of_calls", "mid": "sum_of_calls"}
    assert roles(run, span("top", **used(13, 3)), *below) == {"top": "calls_below", "mid": "sum_of_calls"}


def test_an_embedding_above_an_embedding_is_no_leaf(run: Run) -> None:
    """B2, canonical 7.4."""
    kind = {"row_kind": "embedding"}

    assert roles(run, span("operation", **kind, **used(7, 0)), span("call", "operation", **kind, **used(9, 0))) == {
        "operation": "embedding_pair"
    }


def test_the_outer_span_of_a_known_pair_is_no_leaf_whatever_its_tokens(run: Run) -> None:
    """B10, trap 21, canonical 7.5: 57 tokens above 147; only the inner one is the call."""
    outer = span("outer", step="ai.generateText", **used(14, 43))
    inner = span("inner", "outer", step="ai.generateText.doGenerate", **used(62, 85))

    [row] = run("ledger_span_roles", staged_requests=[outer, inner])

    assert (row["request_key"], row["row_kind"], row["is_billable_leaf"]) == ("outer", "aggregate_span", False)
    assert roles(run, outer, inner | {"step": "chat"}) == {"outer": "calls_below"}
    assert roles(
        run, outer, inner | {"step": "chat"}, ref_span_pairs=[{"outer_step": "^ai", "inner_step": "^chat"}]
    ) == {"outer": "known_pair"}


def test_a_call_that_a_tool_of_another_call_makes_is_one_of_its_own(run: Run) -> None:
    """An agent as a tool: both are calls, and nothing is doubted."""
    assert roles(run, span("call", **used(9, 5)), context("tool", "call"), span("inner", "tool", **used(3, 1))) == {}


def test_traces_are_joined_within_a_week_and_parents_in_a_circle_end(run: Run) -> None:
    late = {"started_at": START + timedelta(days=6)}
    circle = [context("x", "y"), context("y", "x"), span("call", "x", **used(1, 1))]

    assert roles(run, span("agent", **AGENT, **used(1, 1)), span("call", "agent", **used(2, 2), **late)) == {
        "agent": "no_call"
    }
    assert roles(run, *circle) == {}


def test_no_trace_or_account_reaches_into_another(run: Run) -> None:
    agent = span("agent", **AGENT, **used(1, 1))

    for elsewhere in ({"trace_id": "other"}, {"source_account": "other"}, {"source": "other"}):
        assert roles(run, agent, span("call", "agent", **used(2, 2)) | elsewhere) == {}


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int]:
    """A trace in any order: calls at its ends; above them spans that repeat what is below, agents that say anything, context."""
    spans: list[dict[str, Any]] = []

    def grow(key: str, above: str | None, depth: int) -> int:
        below = draw(st.integers(1, 3)) if depth and draw(st.booleans()) else 0
        if not below:
            tokens = draw(st.integers(1, 1000))
            spans.append(span(key, above, **used(tokens, 1)))
            return tokens + 1
        tokens = sum(grow(f"{key}{number}", key, depth - 1) for number in range(below))
        kind = draw(st.sampled_from(("context", "agent", "sum")))
        if kind == "context":
            spans.append(context(key, above))
        elif kind == "agent":
            spans.append(span(key, above, **AGENT, **used(draw(st.integers(1, 1000)), 1)))
        else:
            spans.append(span(key, above, **used(tokens - 1, 1)))
        return tokens

    tokens = grow("s", None, 4)
    return draw(st.permutations(spans)), tokens


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees())
def test_a_trace_costs_what_its_innermost_calls_cost(run: Run, tree: tuple[list[dict[str, Any]], int]) -> None:
    """However deep, and in whatever order its rows stand."""
    spans, tokens = tree

    aggregates = roles(run, *spans)

    billed = [row for row in spans if row.get("is_billable_leaf", True) and row["request_key"] not in aggregates]
    assert sum(row["input_uncached_tokens"] + row["output_text_tokens"] for row in billed) == tokens
    assert aggregates == roles(run, *spans[::-1])


def booked(run: Run, *spans: dict[str, Any], **tables: Any) -> dict[str, dict[str, Any]]:
    """The calls as the ledger has them, with what the tables before it decide."""
    rows = list(spans)
    made = {"ledger_span_roles": run("ledger_span_roles", staged_requests=rows)}
    made["ledger_span_owners"] = run("ledger_span_owners", staged_requests=rows)
    limits = tables.pop("ref_limits", [])
    made["ledger_same_calls"] = run("ledger_same_calls", staged_requests=rows, ref_limits=limits, **made)
    return {row["request_key"]: row for row in run("ledger_requests", staged_requests=rows, **made, **tables)}


def test_the_ledger_books_leaves_and_leaves_context_out(run: Run) -> None:
    """B8: the root shows nothing; the trace costs what its leaves cost. Each record has its fate."""
    spans = [context("root"), span("agent", "root", **AGENT, **used(9, 5)), span("call", "agent", **used(9, 5))]

    calls = booked(run, *spans)
    kinds = {key: (row["row_kind"], row["is_billable_leaf"]) for key, row in calls.items()}
    decided = run("ledger_span_roles", staged_requests=spans)
    fates = run("ledger_record_fates", staged_requests=spans, ledger_span_roles=decided)

    assert kinds == {"agent": ("aggregate_span", False), "call": ("llm_call", True)}
    assert sorted((row["fate"], row["reason"], row["records"]) for row in fates) == [
        ("booked", "", 1),
        ("not_billable", "aggregate_span", 1),
        ("not_billable", "context", 1),
    ]


# ---- owners along the trace


def test_own_wins_over_the_nearest_span_above_over_the_root_over_any_span(run: Run) -> None:
    """Canonical 10.1, METHODS 4, E4: and where each came from is recorded."""
    spans = [
        context("root", customer_id="acme", user_id="u-1", session_id="s-1", team="by root", feature="by root"),
        context("mid", "root", team="by mid", feature="by mid", prompt_name="p", prompt_version="7"),
        context("side", "root", release="v1", prompt_name="of another call"),
        span("call", "mid", feature="own"),
    ]

    call = booked(run, *spans)["call"]

    names = ("feature", "team", "customer_id", "user_id", "session_id", "release", "prompt_name", "prompt_version")
    assert [call[name] for name in names] == ["own", "by mid", "acme", "u-1", "s-1", "v1", "p", "7"]
    assert call["attribution_source"] == {
        "customer_id": "root",
        "feature": "own",
        "prompt_name": "ancestor",
        "release": "trace",
        "session_id": "root",
        "team": "ancestor",
        "user_id": "root",
    }


def test_the_header_of_a_trace_is_its_root_also_for_spans_whose_parent_is_missing(run: Run) -> None:
    """Trap 23: the legacy export has users and tags on traces alone; a late parent was never exported."""
    header = context("trace:1", span_id=None, user_id="u-1", feature="support", workflow="answer")

    calls = booked(run, header, span("top"), span("orphan", "never exported"), span("below", "top"))

    assert {key: (row["user_id"], row["feature"], row["workflow"]) for key, row in calls.items()} == dict.fromkeys(
        ("top", "orphan", "below"), ("u-1", "support", "answer")
    )
    assert all(row["attribution_source"]["feature"] == "root" for row in calls.values())


def test_of_several_spans_that_know_the_earliest_is_asked(run: Run) -> None:
    """Whatever the order of the rows."""
    spans = [
        span("a", team="late", started_at=START + timedelta(seconds=1)),
        span("b", team="early", started_at=START),
        span("c", "never exported"),
    ]

    assert booked(run, *spans)["c"]["team"] == booked(run, *spans[::-1])["c"]["team"] == "early"


def test_the_trace_names_feature_and_task_where_neither_it_nor_a_rule_does(run: Run) -> None:
    """After the rules: what someone wrote into a table goes before the name of a trace."""
    call = span("call", fallback_feature="LangGraph", fallback_task_id="trace")
    rules = [
        {
            "priority": 1,
            "match_field": "step",
            "match_kind": "exact",
            "match_value": "call",
            "dimension": "feature",
            "dimension_value": "by rule",
        }
    ]

    plain, ruled = booked(run, call)["call"], booked(run, call, ref_attribution_rules=rules)["call"]

    assert (plain["feature"], plain["task_id"], plain["attribution_source"]) == (
        "LangGraph",
        "trace",
        {"feature": "trace"},
    )
    assert (ruled["feature"], ruled["attribution_source"]) == ("by rule", {"feature": "rule"})


def test_rules_and_references_see_what_came_from_the_trace(run: Run) -> None:
    features = [{"feature": "support", "owner_team": "cx", "cost_centre": "CC-1"}]

    call = booked(run, context("root", feature="support"), span("call", "root"), ref_features=features)["call"]

    assert (call["team"], call["cost_centre"]) == ("cx", "CC-1")
    assert call["attribution_source"] == {"cost_centre": "reference", "feature": "root", "team": "reference"}


def test_rows_without_a_trace_take_nothing_from_each_other(run: Run) -> None:
    calls = [span(key, trace_id=None, team=team) for key, team in (("a", "x"), ("b", None))]

    assert run("ledger_span_owners", staged_requests=calls) == []


# ---- the basis test


def cached(key: str, basis: str, **more: Any) -> dict[str, Any]:
    counts = {
        "input_uncached_tokens": 1200,
        "cache_read_tokens": 1024,
        "output_text_tokens": 300,
        "output_reasoning_tokens": 128,
    }
    counts |= {"context_test_tokens": 2224, "usage_basis": basis, "usage_group": "sdk|m"}
    return span(key, trace_id=None, **counts) | more


LIMITS = [
    {
        "limit_name": name,
        "scope_kind": "",
        "scope_value": "",
        "threshold_number": Decimal(number),
        "valid_from_date": date(1, 1, 1),
        "valid_to_date": date(9999, 12, 31),
    }
    for name, number in (("basis_votes", "20"), ("coverage_ok", "0.98"))
]


def votes(run: Run, *calls: dict[str, Any], **tables: Any) -> list[dict[str, Any]]:
    names = [{"usage_date": START.date(), "provider": "openai", "model_raw": "m", "model_canonical": "m"}]
    return run("ledger_usage_votes", staged_requests=list(calls), ledger_models=names, ref_limits=LIMITS, **tables)


def test_one_certain_row_or_twenty_doubtful_ones_decide_for_a_group(run: Run) -> None:
    """Canonical 9.3: 19 say nothing, 20 make it inclusive, one with fewer input than cached tokens makes it disjoint."""
    doubtful = [cached(f"c-{n}", "ambiguous") for n in range(20)]

    def decided(*calls: dict[str, Any]) -> tuple[Any, ...]:
        [group] = votes(run, *calls)
        return group["usage_basis"], group["decided_by"], group["undecided_requests"]

    assert decided(*doubtful[:19]) == ("ambiguous", "nothing", 19)
    assert decided(*doubtful) == ("inclusive", "votes", 20)
    assert decided(*doubtful, cached("sure", "disjoint")) == ("disjoint", "certain_row", 20)


def test_the_reading_that_meets_the_provider_decides(run: Run) -> None:
    """Canonical 9.4: two calls are 2 x 2,224 = 4,448 tokens of input read one way, 2 x 1,200 = 2,400 read the other."""
    calls = [cached("a", "ambiguous"), cached("b", "ambiguous")]

    def decided(billed: int) -> tuple[str, str]:
        bucket = {"provider": "openai", "model_canonical": "m", "bucket_start_at": START.replace(hour=0)}
        [group] = votes(run, *calls, ledger_usage=[bucket | {"usage_key": "u", "input_total_tokens": billed}])
        return group["usage_basis"], group["decided_by"]

    assert decided(2_410) == ("inclusive", "provider_usage")
    assert decided(4_440) == ("disjoint", "provider_usage")
    assert decided(9_000) == ("ambiguous", "nothing")


def test_calls_under_another_name_of_their_seller_are_judged_by_the_usage_of_the_seller(run: Run) -> None:
    """seller_aliases.csv: `corp-ai` is openai from November on. Two calls of 1,200 read inclusively are the 2,410 that openai counts."""
    calls = [cached("a", "ambiguous", provider="corp-ai"), cached("b", "ambiguous", provider="corp-ai")]
    bucket = {"provider": "openai", "model_canonical": "m", "bucket_start_at": START.replace(hour=0)}
    alias = {"provider": "Corp-AI", "seller": "openai", "valid_from_date": date(2026, 11, 1), "reference_row": 2}

    [group] = votes(
        run, *calls, ledger_usage=[bucket | {"usage_key": "u", "input_total_tokens": 2_410}], ref_seller_aliases=[alias]
    )

    assert (group["provider"], group["usage_basis"], group["decided_by"]) == ("corp-ai", "inclusive", "provider_usage")


def test_groups_are_judged_apart_and_months_too(run: Run) -> None:
    """A4: old rows inclusive, new rows disjoint, in one project."""
    old = [cached(f"o-{n}", "ambiguous") for n in range(20)]
    new = [cached(f"n-{n}", "ambiguous", started_at=START + timedelta(days=30)) for n in range(20)]

    found = votes(run, *old, *new, cached("sure", "disjoint", started_at=START + timedelta(days=30)))

    assert [(str(row["month_start_date"]), row["usage_basis"]) for row in found] == [
        ("2026-11-01", "inclusive"),
        ("2026-12-01", "disjoint"),
    ]


@pytest.mark.parametrize(
    ("basis", "counts"),
    [
        ("inclusive", (176, 1024, 172, 128, 1500)),
        ("disjoint", (1200, 1024, 300, 128, 2652)),
        ("ambiguous", (1200, 1024, 300, 128, 2652)),
    ],
)
def test_the_ledger_books_a_doubtful_row_as_its_group_is_read(run: Run, basis: str, counts: tuple[int, ...]) -> None:
    """G13: 1,200 - 1,024 = 176 and 300 - 128 = 172; a row that told by itself stays as it is."""
    group = {"month_start_date": date(2026, 11, 1), "source": "tracer", "source_account": "default"}
    group |= {"usage_group": "sdk|m", "provider": "openai", "usage_basis": basis}

    sure, doubtful = run(
        "ledger_requests",
        staged_requests=[cached("a", "disjoint"), cached("b", "ambiguous")],
        ledger_usage_basis=[group],
    )

    names = (
        "input_uncached_tokens",
        "cache_read_tokens",
        "output_text_tokens",
        "output_reasoning_tokens",
        "total_tokens",
    )
    assert tuple(doubtful[name] for name in names) == counts
    assert (doubtful["usage_basis"], sure["usage_basis"], sure["input_uncached_tokens"]) == (basis, "disjoint", 1200)
    assert doubtful["context_test_tokens"] == doubtful["input_total_tokens"]


def test_the_dollars_that_hang_on_a_doubt_are_shown(run: Run) -> None:
    """1,024 of 1,200 input tokens at $0.0012 and 128 of 300 output tokens at $0.003: $0.001024 + $0.00128 = $0.002304."""
    call = {"request_key": "k", "started_at": START, "source": "tracer", "usage_basis": "ambiguous"}
    call |= {"input_uncached_tokens": 1200, "cache_read_tokens": 1024, "cache_read_total_tokens": 1024}
    call |= {"output_text_tokens": 300, "output_reasoning_tokens": 128}
    cost = {
        "request_key": "k",
        "started_at": START,
        "list_cost_usd": Decimal("0.01"),
        "effective_cost_usd": Decimal("0.01"),
    }
    cost |= {"input_uncached_cost_usd": Decimal("0.0012"), "output_text_cost_usd": Decimal("0.003")}
    fate = {
        "usage_date": START.date(),
        "source": "tracer",
        "shape": "requests",
        "fate": "booked",
        "reason": "",
        "records": 1,
    }

    [day] = run(
        "mart_data_quality_daily",
        ledger_requests=[call],
        ledger_costs=[cost],
        ledger_record_fates=[fate],
        ref_limits=[LIMITS[0] | {"limit_name": "unpriced_warn_share"}],
    )

    assert (day["ambiguous_requests"], day["ambiguous_spread_usd"]) == (1, Decimal("0.002304"))


# ---- the same call in two tools

RANKS = [
    {
        "limit_name": f"same_call_{kind}_rank",
        "scope_kind": "source",
        "scope_value": source,
        "threshold_number": Decimal(rank),
        "valid_from_date": date(1, 1, 1),
        "valid_to_date": date(9999, 12, 31),
    }
    for kind, source, rank in (
        ("token", "gateway", 10),
        ("token", "tracer", 30),
        ("owner", "gateway", 20),
        ("owner", "tracer", 10),
    )
]


def gateway(key: str, **more: Any) -> dict[str, Any]:
    return span(key, source="gateway", trace_id=None, span_id=None, **used(100, 10)) | more


@pytest.mark.parametrize(
    "ids",
    [{"provider_response_id": "resp-1"}, {"gateway_call_id": "call-1"}, {"trace_id": "trace", "span_id": "same"}],
)
def test_one_call_in_two_tools_has_the_tokens_of_the_gateway_and_the_owner_of_the_tracer(
    run: Run, ids: dict[str, str]
) -> None:
    """B9, G16, canonical 8.1 to 8.3: also an owner that the tracer knows from its root."""
    spans = [context("root", customer_id="acme"), span("traced", "root", team="cx", **used(99, 9)) | ids]
    spans.append(gateway("wired", team="by key", api_key_name="k") | ids)

    calls = booked(run, *spans, ref_limits=RANKS)

    [call] = calls.values()
    assert (call["request_key"], call["total_tokens"], call["api_key_name"]) == ("wired", 110, "k")
    assert (call["team"], call["customer_id"], call["trace_id"]) == ("cx", "acme", "trace")
    assert call["attribution_source"] == {"customer_id": "root", "team": "own"}
    assert call["entity_key"] not in ("wired", "traced")


def test_the_row_of_the_other_tool_is_a_duplicate(run: Run) -> None:
    spans = [span("traced", provider_response_id="r"), gateway("wired", provider_response_id="r")]

    same = run("ledger_same_calls", staged_requests=spans, ref_limits=RANKS)
    fates = run("ledger_record_fates", staged_requests=spans, ledger_same_calls=same)

    assert sorted((row["source"], row["fate"], row["reason"]) for row in fates) == [
        ("gateway", "booked", ""),
        ("tracer", "duplicate", "same call in gateway"),
    ]


def test_ids_within_one_tool_and_rows_that_only_look_alike_are_not_merged(run: Run) -> None:
    """Canonical 8.4: same model, tokens and instant are no proof. A retry may bear the id of the first attempt."""
    alike = [span("a", **used(100, 10)), gateway("b")]
    retried = [gateway("a", gateway_call_id="c"), gateway("b", gateway_call_id="c")]

    assert run("ledger_same_calls", staged_requests=alike, ref_limits=RANKS) == []
    assert run("ledger_same_calls", staged_requests=retried, ref_limits=RANKS) == []


def test_attempts_of_the_tool_that_counts_all_stay(run: Run) -> None:
    """One id on two attempts of the gateway and on one span."""
    spans = [gateway("a", gateway_call_id="c"), gateway("b", gateway_call_id="c"), span("s", gateway_call_id="c")]

    found = run("ledger_same_calls", staged_requests=spans, ref_limits=RANKS)

    assert {row["request_key"]: row["is_counted"] for row in found} == {"a": True, "b": True, "s": False}


def test_ids_link_rows_also_over_a_third(run: Run) -> None:
    """b shares its response with a and its gateway's id with c: one call."""
    rows = [
        span("a", provider_response_id="r"),
        span("b", source="app", trace_id=None, provider_response_id="r", gateway_call_id="g"),
        gateway("c", gateway_call_id="g"),
    ]

    found = run("ledger_same_calls", staged_requests=rows, ref_limits=RANKS)

    assert len({row["entity_key"] for row in found}) == 1
    assert [row["request_key"] for row in found if row["is_counted"]] == ["c"]


def test_an_aggregate_span_takes_no_part_in_the_merge(run: Run) -> None:
    """The agent span repeats the response id of the call below it."""
    spans = [span("agent", **AGENT, **used(9, 5), provider_response_id="r")]
    spans += [span("call", "agent", **used(9, 5), provider_response_id="r"), gateway("wired", provider_response_id="r")]

    calls = booked(run, *spans, ref_limits=RANKS)

    assert {key: row["is_billable_leaf"] for key, row in calls.items()} == {"agent": False, "wired": True}


# ---- scores


def score(key: str, kind: str, target: str, **more: Any) -> dict[str, Any]:
    return {
        "score_key": key,
        "source": "tracer",
        "target_kind": kind,
        "target_id": target,
        "name": "resolved",
        "data_type": "BOOLEAN",
        "value_text": "True",
        "value_num": 1.0,
        "scored_at": START,
    } | more


LABELS = [
    {"score_name": "resolved", "label": "true", "outcome": "success"},
    {"score_name": "resolved", "label": "false", "outcome": "failure"},
    {"score_name": "quality", "threshold": Decimal("0.5"), "outcome": "success"},
    {"score_name": "quality", "threshold": Decimal("0"), "outcome": "failure"},
    {"score_name": "quality", "threshold": Decimal("0.9"), "outcome": "failure", "feature": "strict"},
]


def outcome(run: Run, *scores: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    call = {"request_key": "k", "source": "tracer", "source_row_id": "o-1", "task_id": "t-1", "trace_id": "trace"}
    call |= {"session_id": "s-1", "started_at": START, "outcome": "failure"} | more
    [task] = run(
        "ledger_tasks",
        ledger_requests=[call],
        ledger_scores=list(scores),
        ref_outcome_labels=LABELS,
        ref_limits=[LIMITS[0] | {"limit_name": "task_close_hours"}],
    )
    return task["outcome"], task["outcome_source"]


@pytest.mark.parametrize(
    ("kind", "target"), [("task", "t-1"), ("trace", "trace"), ("session", "s-1"), ("request", "o-1")]
)
def test_a_score_counts_for_the_task_whatever_of_it_it_stands_on(run: Run, kind: str, target: str) -> None:
    """BOOKS 5; without a score the last call's word counts."""
    assert outcome(run, score("a", kind, target)) == ("success", "score")
    assert outcome(run, score("a", kind, "another")) == ("failure", "call")


def test_the_nearer_score_wins_then_the_newer_and_outcomes_over_all(run: Run) -> None:
    late = START + timedelta(hours=1)
    on_session = score("a", "session", "s-1", value_text="False", scored_at=late)
    recorded = score("z", "session", "s-1", source="outcomes", name="outcome", value_text="failure")

    assert outcome(run, score("b", "trace", "trace"), on_session) == ("success", "score")
    assert outcome(
        run, score("b", "trace", "trace"), score("c", "trace", "trace", value_text="False", scored_at=late)
    ) == ("failure", "score")
    assert outcome(run, score("b", "task", "t-1"), recorded) == ("failure", "outcomes")


def test_the_highest_threshold_that_is_met_decides_and_the_feature_s_own_goes_first(run: Run) -> None:
    """0.87 is a success from 0.5 on; a feature may say otherwise; a score that no row maps says nothing."""
    quality = {"name": "quality", "data_type": "NUMERIC", "value_text": None}

    assert outcome(run, score("a", "trace", "trace", value_num=0.87, **quality)) == ("success", "score")
    assert outcome(run, score("a", "trace", "trace", value_num=0.2, **quality)) == ("failure", "score")
    assert outcome(run, score("a", "trace", "trace", value_num=0.95, **quality), feature="strict") == (
        "failure",
        "score",
    )
    assert outcome(run, score("a", "trace", "trace", value_num=0.95, **quality | {"name": "other"})) == (
        "failure",
        "call",
    )


def test_the_newest_version_of_a_score_counts(run: Run) -> None:
    """An export sent again, and a mind that was changed."""
    row = {
        "source": "tracer",
        "score_key": "a",
        "target_kind": "trace",
        "target_id": "t",
        "name": "n",
        "scored_at": START,
    }
    rows = [row | {"source_row": n, "source_row_version": version} for n, version in ((1, "2"), (2, "1"), (3, "2"))]

    beaten = run("ledger_superseded_scores", staged_scores=rows)
    [kept] = run("ledger_scores", staged_scores=rows, ledger_superseded_scores=beaten)

    assert [(found["source_row"], found["reason"]) for found in beaten] == [(2, "older version"), (3, "same score")]
    assert kept["score_key"] == "a"
