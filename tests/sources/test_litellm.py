"""LiteLLM's rows and payloads: its traps, case by case (numbers of the acceptance cases), and the same call in two tools."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, SHARED, Landed, lines, read, tokens
from tests.sources.together import together


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def row(
    name: str, used: dict[str, Any] | None = None, *, meta: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A row of SpendLogs; its call id is its name. Metadata is a text, as the database gives it."""
    counts = used or usage(100, 10)
    plain = {
        "request_id": f"chatcmpl-{name}",
        "litellm_call_id": name,
        "call_type": "acompletion",
        "startTime": "2026-11-18 09:00:00.25",
        "endTime": "2026-11-18 09:00:02.75",
        "completionStartTime": "2026-11-18 09:00:01",
        "model": "gpt-4o-2024-08-06",
        "custom_llm_provider": "openai",
        "spend": 0.00035,
        "cache_hit": "False",
        "request_tags": "[]",
        "user": "owner of the key",
        "status": "success",
        "messages": "never read",
        "response": "{}",
        **{key: counts[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")},
        "metadata": json.dumps({"usage_object": counts, **(meta or {})}),
    }
    return plain | more


def payload(
    name: str, used: dict[str, Any] | None = None, *, meta: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A logged payload: times in seconds, metadata an object."""
    plain = row(name, used)
    plain |= {
        "id": plain.pop("request_id"),
        "response_cost": plain.pop("spend"),
        "cache_hit": None,
        "trace_id": f"trace-{name}",
    }
    plain |= {"startTime": 1794992400.25, "endTime": 1794992402.75, "completionStartTime": 1794992401.0}
    plain |= {"request_tags": [], "metadata": {"usage_object": used or usage(100, 10), **(meta or {})}}
    return plain | {"messages": [{"role": "user", "content": "never read"}]} | more


CACHED = {"prompt_tokens_details": {"cached_tokens": 66360}}
ROWS = [
    row("hit at the provider", usage(98805, 5120, **CACHED)),
    row("split below its total", usage(200_000, 10, cache_creation_input_tokens=184_457, prompt_tokens_details={
        "cache_creation_tokens": 184_457,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 31_490, "ephemeral_1h_input_tokens": 0},
    })),
    row("pictures among the cached", usage(1000, 10, prompt_tokens_details={"text_tokens": 500, "image_tokens": 500, "cached_tokens": 800})),
    row("pictures beside the cached", usage(1000, 10, prompt_tokens_details={"text_tokens": 100, "image_tokens": 300, "cached_tokens": 600})),
    row("gemini", usage(262_960, 1744, prompt_tokens_details={"cached_tokens": 257_955})),
    row("implicit cache", usage(500, 10, prompt_tokens_details={"cached_tokens": None})),
    row("no lifetime", usage(1000, 10, cache_creation_input_tokens=400)),
    row("aider", usage(17_111, 10, cache_read_input_tokens=17_000, cache_creation_input_tokens=102,
        prompt_tokens_details={"cached_tokens": 17_000, "cache_creation_tokens": 102}), custom_llm_provider="anthropic"),
    row("more cached than prompt", usage(10, 1, prompt_tokens_details={"cached_tokens": 20})),
    row("tagged", request_tags='["feature:a", "product:b", "tier:enterprise", "feature:c"]', end_user="acme"),
    row("parts inside parts", spend=0.000855, meta={"cost_breakdown": {"input_cost": 0.000855, "cache_read_cost": 0.000675, "original_cost": 0.000855}}),
    row("margin", spend=0.0011, meta={"cost_breakdown": {"original_cost": 0.00085, "margin_total_amount": 0.00025}}),
    row("discount", spend=0.0009, meta={"cost_breakdown": {"original_cost": 0.001, "discount_amount": 0.0001}}),
    row("dollars alone", usage(0, 0), spend=0.25, meta={"usage_object": {}}),
    row("float noise", spend="8.549999999999999e-04"),
    row("not priced", spend=0),
    row("replayed", usage(10_200, 300), cache_hit="True", spend=0.00035, request_id="chatcmpl-tagged_cache_hit1763456789.5"),
    row("no hit", cache_hit="None"),
    row("failed", usage(0, 0), status="failure", request_id="failed", spend=0, meta={
        "usage_object": {}, "error_information": {"error_code": "429", "error_class": "RateLimitError"}}),
    row("tried again", usage(0, 0), status="failure", request_id="tried again", spend=0, meta={"usage_object": {}}),
    row("tried again", meta={"attempted_retries": 1, "attempted_fallbacks": 1, "original_model_group": "smart"}, model_group="cheap"),
    row("dropped", usage(4_000, 0), status="failure", spend=0),
    row("old", usage(1000, 20), meta={"usage_object": None, "additional_usage_values": {"cache_read_input_tokens": 600}}),
    row("router", meta={"internal_call_origin": "autorouter_classifier"}),
    row("poll", usage(0, 0), meta={"internal_call_origin": "responses_poll", "usage_object": {}}, spend=0),
    row("fetched", call_type="aget_responses"),
    row("batch", call_type="aretrieve_batch", request_id="batch-1_batch_cost"),
    row("packed id", request_id="resp_" + base64.b64encode(b"litellm:custom_llm_provider:openai;model_id:m;response_id:resp_77").decode()),
    row("another id", request_id="resp_bGl0ZWxsbT_not_base64!"),
    row("nobody", end_user="", team_id="", model_group="", custom_llm_provider=""),
    row("elsewhere", custom_llm_provider="databricks", model="databricks-claude-sonnet-4"),
    row("hosted", custom_llm_provider="hosted_vllm", model="qwen"),
    row("embedding", usage(9, 0), call_type="aembedding", model="text-embedding-3-small"),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every row as it is staged, by its name."""
    landed = read(DataRoot(tmp_path_factory.mktemp("data")), {"litellm/prod/rows.jsonl": lines(*ROWS)})
    calls = landed.calls()
    assert len(calls) == len(ROWS)
    assert landed.report.warnings == []
    return calls


# ---- tokens


def test_cached_tokens_are_those_of_the_provider_whatever_cache_hit_says(told):
    """A9: 98,805 - 66,360 = 32,445; cache_hit is LiteLLM's own cache. Text None is no hit either."""
    found = told["hit at the provider"]

    assert tokens(found) == {"input_uncached": 32_445, "cache_read": 66_360, "output_text": 5120}
    assert (found["gateway_cache_hit"], told["no hit"]["gateway_cache_hit"]) == (False, False)


def test_a_split_below_its_total_leaves_writes_of_no_stated_lifetime(told):
    """A10, A14: 184,457 - 31,490 = 152,967; 200,000 - 184,457 = 15,543. Without a split all are of none."""
    found = told["split below its total"]

    assert tokens(found) == {
        "input_uncached": 15_543, "cache_write_5m": 31_490, "cache_write_1h": 0, "cache_write": 152_967, "output_text": 10,
    }  # fmt: skip
    assert found["usage_flags"] == ["split_mismatch"]
    assert tokens(told["no lifetime"]) == {"input_uncached": 600, "cache_write": 400, "output_text": 10}


def test_no_token_of_a_picture_is_counted_with_the_cached_ones_too(told):
    """A11: 500 + 500 = 1,000 with 800 of them cached, so 200 are not; 100 + 300 + 600 = 1,000 are all apart."""
    assert tokens(told["pictures among the cached"]) == {"input_uncached": 200, "cache_read": 800, "output_text": 10}
    assert tokens(told["pictures beside the cached"]) == {
        "input_uncached": 100, "input_image": 300, "cache_read": 600, "output_text": 10,
    }  # fmt: skip


def test_the_prompt_holds_the_cached_tokens_for_every_provider(told):
    """A8, A12, A15, A16, A23: 262,960 - 257,955 = 5,005; 17,111 - 17,000 - 102 = 9, for Anthropic too."""
    assert tokens(told["gemini"]) == {"input_uncached": 5005, "cache_read": 257_955, "output_text": 1744}
    assert tokens(told["aider"]) == {"input_uncached": 9, "cache_read": 17_000, "cache_write": 102, "output_text": 10}


def test_a_cache_that_was_not_reported_is_unknown_and_not_zero(told):
    """A13."""
    assert tokens(told["implicit cache"]) == {"input_uncached": 500, "output_text": 10}


def test_more_cached_than_prompt_is_flagged(told):
    """A19: 10 - 20 is no count."""
    found = told["more cached than prompt"]

    assert (found["input_uncached_tokens"], found["usage_flags"]) == (None, ["negative_remainder"])


def test_rows_from_before_the_usage_object_are_read_from_their_columns(told):
    assert tokens(told["old"]) == {"input_uncached": 400, "cache_read": 600, "output_text": 20}


def test_every_class_sum_is_the_sources_own_total_or_flagged(told):
    for name, found in told.items():
        if found["provider_total_tokens"] is not None and not found["usage_flags"]:
            assert sum(tokens(found).values()) == found["provider_total_tokens"], name


# ---- what is billed


def test_an_answer_out_of_the_gateways_cache_is_not_billed(told):
    """D4, C5: the row repeats the tokens of another call, and its response is that call's."""
    found = told["replayed"]

    assert (found["row_kind"], found["is_billable_leaf"], found["gateway_cache_hit"]) == (
        "gateway_cache_hit",
        False,
        True,
    )
    assert (found["usage_quality"], found["cost_reported_usd"], found["provider_response_id"]) == ("replayed", 0, None)
    assert sum(tokens(found).values()) == 10_500


def test_parts_of_a_cost_are_not_added(told):
    """C9: 0.000855 holds the 0.000675. As a float it is 8.549999999999999e-04."""
    assert (
        told["parts inside parts"]["cost_reported_usd"]
        == told["float noise"]["cost_reported_usd"]
        == Decimal("0.000855")
    )


def test_a_margin_or_discount_is_not_the_providers(told):
    """C10."""
    for name, cost in (("margin", "0.00085"), ("discount", "0.001")):
        assert (told[name]["cost_reported_usd"], told[name]["cost_reported_basis"]) == (Decimal(cost), "with_margin")


def test_dollars_without_tokens_are_kept_and_nothing_is_not_free(told):
    """D5, C7, trap 17."""
    assert tokens(told["dollars alone"]) == {}
    assert (told["dollars alone"]["cost_reported_usd"], told["dollars alone"]["usage_quality"]) == (
        Decimal("0.25"),
        "missing",
    )
    assert (told["not priced"]["cost_reported_usd"], told["not priced"]["cost_reported_basis"]) == (None, "none")


def test_a_failed_call_has_no_tokens_or_estimated_ones(told):
    """D3, G11, trap 7."""
    failed, dropped = told["failed|failure"], told["dropped|failure"]

    assert (failed["status"], failed["http_status"], failed["error_class"]) == ("error", 429, "RateLimitError")
    assert (tokens(failed), failed["cost_reported_usd"], failed["provider_response_id"]) == ({}, None, None)
    assert (tokens(dropped), dropped["usage_quality"]) == ({"input_uncached": 4000, "output_text": 0}, "estimated")


def test_an_attempt_that_failed_stands_beside_the_one_that_succeeded(told):
    """Both bear the call's id."""
    again = told["tried again"]

    assert told["tried again|failure"]["gateway_call_id"] == again["gateway_call_id"]
    assert (again["attempt"], again["is_retry"], again["fallback_of"], again["model_requested"]) == (
        2,
        True,
        "smart",
        "cheap",
    )


def test_calls_of_the_gateway_itself_are_overhead_and_billed_where_they_used_tokens(told):
    """Trap 12. The provider charges for them; a poll without usage cost nothing."""
    kinds = {
        name: (told[name]["row_kind"], told[name]["is_billable_leaf"])
        for name in ("router", "poll", "fetched", "batch", "embedding")
    }

    assert kinds == {
        "router": ("overhead", True),
        "poll": ("overhead", False),
        "fetched": ("other", False),
        "batch": ("llm_call", True),
        "embedding": ("embedding", True),
    }
    assert (told["batch"]["is_batch"], told["batch"]["context_test_tokens"]) == (True, None)


@together("fine")
def test_lines_of_a_batch_do_not_count_beside_its_total(place):
    """B14."""
    items = lines(payload("in a batch"), payload("in a batch too"))
    place.land("litellm/batch_line_items/2026-11-18/batch-1/part-00000.jsonl", items)
    place.land("litellm/total.jsonl", lines(row("batch", request_id="batch-1_batch_cost")))

    yield

    assert place.fates() == [(2, 0, 0, 2, 0), (1, 1, 0, 0, 0)]


# ---- who and when


def test_several_tags_make_one_row_and_the_last_of_a_name_counts(told):
    """B6, B7."""
    found = told["tagged"]

    assert (found["feature"], found["customer_id"], found["customer_tier"]) == ("c", "acme", "enterprise")


def test_the_owner_of_a_key_is_not_the_customer_and_blanks_are_nobody(told):
    """Traps 10 and 14."""
    found = told["nobody"]

    assert [found[name] for name in ("customer_id", "user_id", "team")] == [None] * 3
    assert found["provider"] == "openai"


def test_the_seller_is_the_one_that_litellm_names(told):
    """Not the one that the model's name would suggest."""
    assert (told["elsewhere"]["provider"], told["hosted"]["provider"]) == ("databricks", "self")


def test_the_providers_id_is_told_from_what_litellm_made_of_it(told):
    """Trap 6: suffixes, and ids of responses packed into its own."""
    assert told["packed id"]["provider_response_id"] == "resp_77"
    assert told["another id"]["provider_response_id"] is None
    assert told["tagged"]["provider_response_id"] == "chatcmpl-tagged"


START = datetime(2026, 11, 18, 9, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-18 09:00:00.25",
        "2026-11-18T09:00:00.250Z",
        "2026-11-18 14:30:00.250000+05:30",
        1794992400.25,
        "1.79499240025e9",
    ],
)
@together("fine")
def test_an_instant_may_be_written_in_any_of_its_forms(place, written):
    """E3, E10, E8: naive is UTC, and durations follow from the instants."""
    place.land("litellm/a.jsonl", lines(row(f"at {place.number}", startTime=written, request_duration_ms=7)))

    yield

    [found] = place.rows("staged_requests")

    assert (found["started_at"], found["duration_ms"]) == (START, 2500)


# ---- exits


def _comparable(landed: Landed, account: str) -> list[dict[str, Any]]:
    own = {
        "request_key",
        "entity_key",
        "source_account",
        "source_file",
        "source_file_sha256",
        "source_row",
        "usage_raw",
        "cost_raw",
    }
    return [
        {key: value for key, value in one.items() if key not in own}
        for one in landed.rows("staged_requests", "source_row_id", f"source_account = '{account}'")
    ]


def test_json_lines_an_array_a_page_csv_and_parquet_are_the_same_rows(tmp_path):
    """F13, F8."""
    keys = list(ROWS[0])
    rows = [{key: one.get(key) for key in keys} | {"end_user": one.get("end_user"), "team_id": one.get("team_id"),
            "model_group": one.get("model_group")} for one in ROWS]  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows([{key: "NULL" if value is None else value for key, value in one.items()} for one in rows])
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([one | {"spend": float(one["spend"])} for one in rows]), parquet)
    files: dict[str, str | bytes] = {
        "litellm/lines/rows.jsonl": lines(*rows),
        "litellm/array/array.json": json.dumps(rows, indent=1),
        "litellm/page/page.json": json.dumps({"data": rows, "total": len(rows)}),
        "litellm/table/rows.csv": "\ufeff" + text.getvalue(),
        "litellm/parquet/rows.parquet": parquet.getvalue(),
    }

    landed = read(DataRoot(tmp_path), files)

    found = {name: _comparable(landed, name.split("/")[1]) for name in files}
    assert len(found["litellm/lines/rows.jsonl"]) == len(ROWS)
    for name, rows_of in found.items():
        assert rows_of == found["litellm/lines/rows.jsonl"], name


@together("fine")
def test_a_call_seen_as_row_and_as_payload_is_booked_once(place):
    """By litellm_call_id: the suffixes of a cache hit's two ids come from two clocks."""
    hit = {"cache_hit": "True", "request_id": "chatcmpl-x_cache_hit1763456789.1"}
    again = payload("b", id="chatcmpl-x_cache_hit1763456789.7", cache_hit=True)
    place.land("litellm/rows.jsonl", lines(row("a"), row("b", **hit)))
    place.land("litellm/2026-11-18/a.json", json.dumps(payload("a")))
    place.land("litellm/2026-11-18/b.json", json.dumps(again))

    yield

    assert [sum(counts) for counts in zip(*place.fates(), strict=True)] == [4, 1, 2, 1, 0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "daily.csv",
            "date,model,api_requests,spend\n2026-11-18,gpt-4o,3,0.1\n",
            "a header with api_requests, date, model, spend",
        ),
        ("daily.json", json.dumps([{"date": "2026-11-18", "spend": 1}]), "records with date, spend"),
        ("error.json", json.dumps({"error": {"message": "no such key"}}), "an error answer of the API"),
        ("detail.json", json.dumps({"detail": "Not Found"}), "an error answer of the API"),
    ],
)
@together("fine")
def test_totals_and_error_answers_are_refused_whole(place, name, content, reason):
    """F5: the message names the versions that are known."""
    place.land(f"litellm/{name}", content)
    place.land("litellm/fine.jsonl", lines(row(f"fine {place.number}")))

    yield

    [found, fine] = sorted(place.files(), key=lambda file: file["path"].endswith("fine.jsonl"))
    assert (found["state"], found["quarantined"]) == ("refused", 1)
    assert reason in found["reasons"]
    assert "error answer" in reason or "Known are spend_logs with request_id, startTime, spend;" in found["reasons"]
    assert (fine["state"], fine["records"], fine["booked"]) == ("current", 1, 1)


# ---- the same call in Langfuse


def test_a_call_in_langfuse_and_litellm_has_the_tokens_of_one_and_the_owner_of_the_other(tmp_path):
    """B9, G16, E4: linked by litellm_call_id, and by the response's id. Failures and cache hits link nothing that is billed."""
    trace = {"trace_id": "t-1", "project_id": "p", "environment": "prod", "is_root_observation": False, "tags": []}
    times = {
        "start_time": "2026-11-18 09:00:00.1",
        "end_time": "2026-11-18 09:00:03",
        "updated_at": "2026-11-18 09:01:00",
    }
    plain = {
        **trace,
        **times,
        "type": "GENERATION",
        "provided_model_name": "gpt-4o-2024-08-06",
        "parent_observation_id": "root",
    }
    spans = [
        {**plain, "id": "root", "type": "SPAN", "parent_observation_id": "", "name": "answer", "user_id": "u-1", "session_id": "s-1",
         "metadata": {"feature": "support", "tenant_id": "acme"}},
        {**plain, "id": "one", "name": "one", "usage_details": {"input": 99, "output": 9}, "metadata": {"litellm_call_id": "by call"}},
        {**plain, "id": "two", "name": "two", "usage_details": {"input": 98, "output": 8}, "metadata": {"response_id": "chatcmpl-by response"}},
        {**plain, "id": "three", "name": "three", "usage_details": {"input": 97, "output": 7}},
    ]  # fmt: skip
    gateway = [
        row("by call", meta={"user_api_key_alias": "key", "user_api_key_team_alias": "platform"}, request_id="gen-1"),
        row("by response", meta={"user_api_key_team_alias": "platform"}),
        row("by call", usage(0, 0), status="failure", request_id="by call", spend=0, meta={"usage_object": {}}),
        row("hit", cache_hit="True", request_id="chatcmpl-by response_cache_hit1"),
        row("alone"),
    ]

    landed = read(
        DataRoot(tmp_path),
        {
            "langfuse/p/observations_v2/2026-11-18T10-00-00.jsonl": lines(*spans),
            "litellm/prod/rows.jsonl": lines(*gateway),
        },
        FATES,
    )

    same = {one["request_key"]: one for one in landed.rows("ledger_same_calls")}
    staged = {one["source_row_id"]: one for one in landed.rows("staged_requests")}
    merged = {name: same.get(one["request_key"]) for name, one in staged.items()}
    for gateway_row, span in (("by call", "one"), ("by response", "two")):
        assert merged[gateway_row]["entity_key"] == merged[span]["entity_key"]
        assert (merged[gateway_row]["is_counted"], merged[span]["is_counted"]) == (True, False)
        owners = {name: merged[gateway_row][name] for name in ("feature", "customer_id", "session_id", "team")}
        assert owners == {"feature": "support", "customer_id": "acme", "session_id": "s-1", "team": "platform"}
    assert [merged[name] for name in ("three", "hit", "alone")] == [None] * 3
    # 4 spans: the root is context, two are duplicates. 5 rows: the hit is not billable.
    assert landed.fates() == {
        "langfuse/p/observations_v2/2026-11-18T10-00-00.jsonl": (4, 1, 2, 1, 0),
        "litellm/prod/rows.jsonl": (5, 4, 0, 1, 0),
    }


# ---- the real files


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real files beside the checkout")
def test_the_real_files_are_read_whole(tmp_path):
    """G10, G11: 10,200 - 9,000 = 1,200; 300 - 128 = 172; $0.001035, seen twice and booked once."""
    folder = SHARED / "formats" / "examples" / "litellm"
    files = {f"litellm/{path.name}": path.read_bytes() for path in folder.glob("*.json")}

    landed = read(DataRoot(tmp_path), files, FATES)

    assert landed.report.warnings == []
    assert landed.is_conserved()
    assert [sum(counts) for counts in zip(*landed.fates().values(), strict=True)] == [4, 3, 1, 0, 0]
    call, failed = (
        landed.calls()["532630a9-008e-4703-9426-7ef388f18c0b"],
        landed.calls()["a57cc284-f55d-42a5-9796-39c323a724f0|failure"],
    )
    assert tokens(call) == {"input_uncached": 1200, "cache_read": 9000, "output_text": 172, "output_reasoning": 128}
    assert (call["cost_reported_usd"], call["provider_response_id"]) == (Decimal("0.001035"), "chatcmpl-ABC123")
    assert (failed["status"], failed["http_status"], tokens(failed), failed["cost_reported_usd"]) == (
        "error",
        429,
        {},
        None,
    )
