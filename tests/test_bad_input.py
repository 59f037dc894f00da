"""Files with something wrong in them: what of each is booked, what is refused, and the sentence a person gets.

One run reads them all: files of text in batches, some with something to refuse in each and some without, the others each in
an account of its own. Every file's records must add up: records = booked + duplicate + not_billable + quarantined.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import reference
from pipelines.books import open_books
from pipelines.paths import DataRoot
from pipelines.reading import ReadReport
from pipelines.runner import build
from tests.sources.landed import rows

NOW = datetime(2026, 12, 1, tzinfo=UTC)
# What ledger_files is made of.
FATES_OF_RECORDS = (
    "ledger_pulls",
    "ledger_superseded_requests",
    "ledger_superseded_scores",
    "ledger_record_fates",
    "ledger_files",
)
USAGE = {"prompt_tokens": 10, "completion_tokens": 2}
DAY = int(datetime(2026, 11, 18, tzinfo=UTC).timestamp())
SECRET = "the text of a prompt"


def call(number: int, **fields: Any) -> str:
    """A line of an app_log; a field given as ``...`` is left out."""
    plain = {
        "id": f"c-{number}",
        "timestamp": "2026-11-18T12:00:00Z",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "usage": USAGE,
        "prompt": SECRET,
    }
    return json.dumps({name: value for name, value in {**plain, **fields}.items() if value is not ...})


def lines(*texts: str, end: str = "\n") -> str:
    return "".join(text + end for text in texts)


def table(*rows: Mapping[str, Any]) -> str:
    """Rows as CSV, with the cells quoted that must be."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cells(number: int, **more: Any) -> dict[str, Any]:
    """The cells of an app_log's row."""
    return {**json.loads(call(number)), "usage": json.dumps(USAGE), "prompt": "", **more}


def canonical(number: int, **more: Any) -> str:
    """A line of canonical requests."""
    plain = {"source_row_id": f"w-{number}", "started_at": "2026-11-18T12:00:00Z", "provider": "openai"}
    return json.dumps({**plain, "model_served": "gpt-4o", "input_uncached_tokens": 10, "output_text_tokens": 2, **more})


def outcome(number: int, **more: Any) -> str:
    plain = {"task_id": f"t-{number}", "outcome": "success", "recorded_at": "2026-11-18T15:00:00Z"}
    return json.dumps({name: value for name, value in {**plain, **more}.items() if value is not ...})


def bucket(*results: Any, start: Any = DAY, end: Any = DAY + 86_400) -> dict[str, Any]:
    return {"object": "bucket", "start_time": start, "end_time": end, "results": list(results)}


def page(*buckets: Any) -> dict[str, Any]:
    return {"object": "page", "data": list(buckets), "has_more": False, "next_page": None}


def cost(value: Any = 0.06, line_item: str = "gpt-4o-2024-08-06, input", **more: Any) -> dict[str, Any]:
    amount = {"value": value, "currency": "usd"}
    return {"object": "organization.costs.result", "amount": amount, "line_item": line_item, "project_id": None, **more}


def used(**more: Any) -> dict[str, Any]:
    counts = {"input_tokens": 100, "input_cached_tokens": 40, "output_tokens": 10, "num_model_requests": 3}
    return {"object": "organization.usage.completions.result", "model": "gpt-4o", "project_id": None, **counts, **more}


def parquet(**columns: Any) -> bytes:
    text = io.BytesIO()
    pq.write_table(pa.table(columns), text)
    return text.getvalue()


def zstd(text: str) -> bytes:
    packed: bytes = pa.compress(text.encode(), codec="zstd", asbytes=True)
    return packed


def half_of(content: bytes) -> bytes:
    return content[: len(content) // 2]


@dataclass(frozen=True)
class Case:
    """A file and what becomes of its records. ``refused`` are (line, part of the reason); other records are booked."""

    claim: str
    content: str | bytes
    records: int
    refused: tuple[tuple[int | None, str], ...] = ()
    not_billable: int = 0
    duplicate: int = 0
    name: str = "app_log/{account}/calls.jsonl"
    staged: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    shape: str = "requests"

    @property
    def is_of_a_batch(self) -> bool:
        """Pages of one account would stand in for each other, and ids in other bytes than text cannot be told apart."""
        return isinstance(self.content, str) and self.shape in ("requests", "scores")

    @property
    def path(self) -> str:
        folder, name = self.name.split("/{account}/")
        batch = "faulty" if self.refused else "fine"
        place = f"{batch}/{self.claim}-" if self.is_of_a_batch else f"{self.claim}/"
        return f"landing/{folder}/{place}{name}"

    @property
    def landed(self) -> bytes:
        """The content, its ids made different from those of the other files of the batch."""
        if isinstance(self.content, bytes):
            return self.content
        return (self.named(self.content) if self.is_of_a_batch else self.content).encode()

    def named(self, text: str) -> str:
        return re.sub(r"\b([cwt]-\d)\b", rf"{self.claim}-\1", text) if self.is_of_a_batch else text


def at(line: int | None, reason: str) -> tuple[tuple[int | None, str], ...]:
    return ((line, reason),)


GOOD = {"source_row_id": "c-1", "input_uncached_tokens": 10, "output_text_tokens": 2}


def wrong_field(claim: str, reason: str, **fields: Any) -> Case:
    """Two calls: the second has the field that is wrong."""
    return Case(claim, lines(call(1), call(2, **fields)), 2, at(2, reason), staged={1: GOOD})


def fine_field(claim: str, staged: Mapping[str, Any], **fields: Any) -> Case:
    return Case(claim, lines(call(1), call(2, **fields)), 2, staged={1: GOOD, 2: staged})


ISO = "expected an instant in ISO 8601"
APP_LOG = [
    Case("a_torn_last_line_is_refused_alone", lines(call(1)) + call(2)[:40], 2, at(2, "not JSON"), staged={1: GOOD}),
    Case("a_torn_first_line_is_refused_alone", lines(call(9)[25:], call(1)), 2, at(1, "not JSON"), staged={2: GOOD}),
    Case("a_first_line_cut_at_its_end_is_refused_alone", lines(call(9)[:40], call(1)), 2, at(1, "not JSON")),
    Case(
        "a_list_on_the_first_line_is_refused_alone", lines("[1]", call(1)), 2, at(1, "a JSON array, expected an object")
    ),
    Case(
        "lines_that_are_no_objects_are_refused_each",
        lines(call(1), "[1, 2]", "null", "5", '"text"', call(2)),
        6,
        (*at(2, "a JSON array"), *at(3, "a JSON null"), *at(4, "a JSON "), *at(5, "a JSON varchar")),
        staged={1: GOOD, 6: {"source_row_id": "c-2"}},
    ),
    Case("two_objects_on_a_line_are_refused", lines(call(1), call(2) + call(3)), 2, at(2, "not JSON")),
    Case(
        "blank_lines_are_no_records_and_lines_keep_their_numbers",
        lines("", call(1), "", "   ", call(2)),
        2,
        staged={2: GOOD, 5: {"source_row_id": "c-2"}},
    ),
    Case(
        "blank_lines_do_not_shift_the_line_of_a_refusal",
        lines("", call(1), "", "   ", "{", call(2)),
        3,
        at(5, "not JSON"),
        staged={2: GOOD, 6: {"source_row_id": "c-2"}},
    ),
    Case("an_empty_file_has_no_records", "", 0),
    Case("a_file_of_blank_lines_has_no_records", "\n\n  \n", 0),
    Case(
        "windows_line_ends_are_read",
        lines(call(1), call(2), end="\r\n"),
        2,
        staged={1: GOOD, 2: {"source_row_id": "c-2"}},
    ),
    Case("a_byte_order_mark_is_no_text", "\ufeff" + lines(call(1), "{"), 2, at(2, "not JSON"), staged={1: GOOD}),
    Case("a_byte_order_mark_alone_is_read", "\ufeff" + lines(call(1)), 1, staged={1: GOOD}),
    Case(
        "a_byte_that_is_not_utf8_refuses_its_line",
        lines(call(1)).encode()
        + call(2, feature="?").replace("?", "\xe9").encode("latin-1")
        + b"\n"
        + call(3).encode(),
        3,
        at(2, "not UTF-8 (byte 0xe9 at column "),
        staged={1: GOOD, 3: {"source_row_id": "c-3"}},
    ),
    Case(
        "a_bad_escape_in_a_prompt_refuses_its_line",
        lines(call(1), call(2).replace(SECRET, r"a\x"), call(3)),
        3,
        at(2, "not JSON"),
        staged={1: GOOD, 3: {"source_row_id": "c-3"}},
    ),
    Case(
        "a_key_that_is_there_twice_counts_once",
        lines(call(1)[:-1] + ', "model": "another"}'),
        1,
        staged={1: {**GOOD, "model_served": "gpt-4o-2024-08-06"}},
    ),
    Case(
        "a_line_of_20_megabytes_is_read",
        lines(call(1), call(2, prompt="x" * 20_000_000), call(3)),
        3,
        staged={1: GOOD, 2: {"source_row_id": "c-2"}, 3: {"source_row_id": "c-3"}},
    ),
    Case(
        "a_file_of_another_tool_is_refused_whole",
        '{"trace": 1, "cost": 2}\n' * 3,
        1,
        at(None, "records with the fields cost, trace, expected an app_log with id, timestamp, provider, model"),
    ),
    Case(
        "one_json_document_is_refused_whole",
        json.dumps([json.loads(call(1))], indent=1),
        1,
        at(None, "one JSON document, expected an app_log: JSON Lines (one object a line), CSV or Parquet"),
    ),
    Case("an_older_version_is_a_duplicate", lines(call(1), call(1, logged_at="2026-11-18T13:00:00Z")), 2, duplicate=1),
    wrong_field("no_id_is_missing", "missing id", id=...),
    wrong_field("a_blank_id_is_missing", "missing id", id=""),
    wrong_field(
        "several_missing_fields_are_all_named",
        "missing timestamp, provider, model",
        timestamp=...,
        provider=None,
        model="",
    ),
    wrong_field("no_usage_is_missing", "missing usage", usage=...),
    wrong_field("usage_that_is_a_text_is_refused_alone", 'usage is "none", expected an object', usage="none"),
    wrong_field("usage_that_is_a_list_is_refused", "usage is [], expected an object", usage=[]),
    wrong_field(
        "a_count_in_words_is_refused",
        'usage.prompt_tokens is "many", expected a whole number',
        usage={**USAGE, "prompt_tokens": "many"},
    ),
    wrong_field(
        "half_a_token_is_refused",
        "usage.prompt_tokens is 1.9, expected a whole number",
        usage={**USAGE, "prompt_tokens": 1.9},
    ),
    wrong_field(
        "fewer_than_no_tokens_are_refused",
        "usage.prompt_tokens is -3, expected a count of 0 or more",
        usage={**USAGE, "prompt_tokens": -3},
    ),
    wrong_field(
        "a_shape_that_is_not_known_is_refused",
        "api is openai.nope, expected an API shape that is known",
        api="openai.nope",
    ),
    wrong_field("an_attempt_in_words_is_refused", "attempt is two, expected a whole number", attempt="two"),
    wrong_field(
        "an_attempt_that_no_integer_holds_is_refused",
        "attempt is 99999999999, expected a whole number",
        attempt=99999999999,
    ),
    wrong_field("a_flag_that_is_none_is_refused", "batch is maybe, expected true or false", batch="maybe"),
    wrong_field("a_cost_in_words_is_refused", "cost_usd is x, expected an amount in USD", cost_usd="x"),
    wrong_field(
        "a_cost_past_all_sense_is_refused",
        "cost_usd is 5000000.0, expected an amount in USD below 1000000",
        cost_usd=5e6,
    ),
    wrong_field("an_instant_of_another_form_is_refused", f"timestamp is 18/11/2026, {ISO}", timestamp="18/11/2026"),
    wrong_field("unix_seconds_are_refused", f"timestamp is 1763467200, {ISO}", timestamp=1763467200),
    wrong_field("infinity_is_no_instant", f"timestamp is -infinity, {ISO}", timestamp="-infinity"),
    wrong_field("infinity_is_no_end_either", f"ended_at is infinity, {ISO}", ended_at="infinity"),
    wrong_field(
        "the_zero_of_a_clock_is_no_instant",
        "in_the_distant_past: 0001-01-01T00:00:00Z",
        timestamp="0001-01-01T00:00:00Z",
    ),
    # First seen on 1 December: 2 December may be a clock ahead of ours, 3 December may not.
    wrong_field(
        "the_day_after_tomorrow_is_in_the_future",
        "in_the_future: 2026-12-03T00:00:00Z, expected no day after 2026-12-02",
        timestamp="2026-12-03T00:00:00Z",
    ),
    fine_field("tomorrow_is_read", {"source_row_id": "c-2"}, timestamp="2026-12-02T23:59:59Z"),
    fine_field(
        "usage_that_is_null_is_booked_without_tokens",
        {"source_row_id": "c-2", "input_uncached_tokens": None, "usage_quality": "missing"},
        usage=None,
    ),
    fine_field("usage_written_as_text_is_read", {"input_uncached_tokens": 10}, usage=json.dumps(USAGE)),
    fine_field(
        "three_point_zero_is_three",
        {"input_uncached_tokens": 3, "attempt": 3},
        usage={**USAGE, "prompt_tokens": 3.0},
        attempt=3.0,
    ),
    fine_field(
        # A19: the remainder would be 3 - 5.
        "more_cached_than_prompt_is_booked_and_flagged",
        {"input_uncached_tokens": None, "cache_read_tokens": 5, "usage_flags": ["negative_remainder"]},
        usage={"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}},
    ),
    fine_field(
        "an_offset_is_reckoned_with",
        {"started_at": datetime(2026, 11, 18, 6, 30, tzinfo=UTC)},
        timestamp="2026-11-18T12:00:00+05:30",
    ),
    fine_field(
        "an_instant_without_offset_is_utc",
        {"started_at": datetime(2026, 11, 18, 9, tzinfo=UTC)},
        timestamp="2026-11-18T09:00:00",
    ),
    fine_field(
        "a_date_is_its_first_instant", {"started_at": datetime(2026, 11, 18, tzinfo=UTC)}, timestamp="2026-11-18"
    ),
    fine_field("metadata_that_is_no_object_says_nothing", {"source_row_id": "c-2"}, metadata=[1, "x"]),
]

CSV = "app_log/{account}/calls.csv"
HEADER = "id,timestamp,provider,model,usage,prompt\n"
TABLES = [
    Case(
        "cells_may_hold_commas_quotes_and_lines",
        table(cells(1, prompt_name='a, "b"\nc'), cells(2, prompt_name="")),
        2,
        name=CSV,
        staged={2: {**GOOD, "prompt_name": 'a, "b"\nc'}, 4: {"source_row_id": "c-2", "prompt_name": None}},
    ),
    Case(
        "blank_rows_and_windows_line_ends_of_a_csv_are_read",
        "\ufeff" + table(cells(1), cells(2)).replace("c-2,", "\nc-2,").replace("\n", "\r\n"),
        2,
        name=CSV,
        staged={2: GOOD, 4: {"source_row_id": "c-2"}},
    ),
    Case("a_csv_of_a_header_has_no_records", HEADER, 0, name=CSV),
    Case(
        "a_row_with_too_few_cells_is_refused_alone",
        table(cells(1), cells(2)) + "c-3,2026-11-18T12:00:00Z,openai\n",
        3,
        at(4, "3 cells, expected 6"),
        name=CSV,
        staged={2: GOOD, 3: {"source_row_id": "c-2"}},
    ),
    Case(
        "a_row_with_too_many_cells_is_refused_alone",
        table(cells(1)) + "c-2,2026-11-18T12:00:00Z,openai,gpt-4o,,,7,8\n",
        2,
        at(3, "8 cells, expected 6"),
        name=CSV,
        staged={2: GOOD},
    ),
    Case(
        "a_quote_that_is_not_closed_is_refused_where_it_opens",
        table(cells(1)) + 'c-2,2026-11-18T12:00:00Z,openai,gpt-4o,"{,\n',
        2,
        at(3, "not CSV (unexpected end of data)"),
        name=CSV,
        staged={2: GOOD},
    ),
    Case(
        "a_cell_that_is_not_utf8_refuses_its_row",
        table(cells(1, step="a"), cells(2, step="caf\xe9")).encode("latin-1"),
        2,
        at(3, "not UTF-8 (byte 0xe9)"),
        name=CSV,
        staged={2: GOOD},
    ),
    Case(
        "a_cell_that_nobody_reads_may_hold_any_byte",
        table(cells(1), cells(2, prompt="caf\xe9")).encode("latin-1"),
        2,
        name=CSV,
        staged={2: GOOD, 3: {"source_row_id": "c-2"}},
    ),
    Case(
        "usage_of_a_csv_that_is_no_json_is_refused_alone",
        table(cells(1), cells(2, usage="oops")),
        2,
        at(3, 'usage is "oops", expected an object'),
        name=CSV,
        staged={2: GOOD},
    ),
    Case(
        "metadata_of_a_csv_that_is_no_json_says_nothing",
        table(cells(1, metadata="oops"), cells(2, metadata="{}")),
        2,
        name=CSV,
        staged={2: GOOD},
    ),
    Case(
        "a_blank_cell_of_usage_is_null",
        table(cells(1, usage="")),
        1,
        name=CSV,
        staged={2: {"usage_quality": "missing"}},
    ),
    Case(
        "a_csv_without_usage_misses_it_in_every_row",
        "id,timestamp,provider,model\nc-1,2026-11-18,openai,gpt-4o\n",
        1,
        at(2, "missing usage"),
        name=CSV,
    ),
    Case(
        "a_header_of_another_table_is_refused",
        "date,amount\n2026-11-18,1\n",
        1,
        at(None, "a header without id, timestamp, provider, model (date, amount)"),
        name=CSV,
    ),
    Case(
        "semicolons_are_no_commas",
        HEADER.replace(",", ";"),
        1,
        at(None, "a header without id, timestamp, provider, model (id;timestamp"),
        name=CSV,
    ),
    Case(
        "a_field_may_head_one_column",
        "id," + HEADER,
        1,
        at(None, "a header with two columns id, expected one"),
        name=CSV,
    ),
    Case(
        "parquet_is_read",
        parquet(
            id=["c-1", "c-2"],
            timestamp=pa.array([datetime(2026, 11, 18, 12), None], pa.timestamp("us")),  # noqa: DTZ001
            provider=["openai"] * 2,
            model=["gpt-4o"] * 2,
            usage=[USAGE, USAGE],
            attempt=[2.0, None],
        ),
        2,
        at(2, "missing timestamp"),
        name="app_log/{account}/calls.parquet",
        staged={1: {**GOOD, "attempt": 2, "started_at": datetime(2026, 11, 18, 12, tzinfo=UTC)}},
    ),
    Case(
        "a_parquet_file_that_is_cut_is_refused_whole",
        half_of(parquet(id=["c-1"])),
        1,
        at(None, "not a Parquet file that can be read"),
        name="app_log/{account}/calls.parquet",
    ),
]
PACKED = [
    Case("gzip_is_known_by_its_bytes", gzip.compress(lines(call(1)).encode()), 1, staged={1: GOOD}),
    Case("zstd_is_known_by_its_bytes", zstd(lines(call(1))), 1, staged={1: GOOD}),
    Case(
        "a_stream_of_two_gzip_members_is_read_to_its_end",
        gzip.compress(lines(call(1)).encode()) + gzip.compress(lines(call(2)).encode()),
        2,
        staged={1: GOOD, 2: {"source_row_id": "c-2"}},
    ),
    Case("packed_nothing_has_no_records", gzip.compress(b""), 0),
    Case(
        "a_packed_csv_is_read",
        gzip.compress(table(cells(1)).encode()),
        1,
        name="app_log/{account}/calls.csv.gz",
        staged={2: GOOD},
    ),
    Case("a_gzip_file_of_five_bytes_is_reported", gzip.compress(b"x")[:5], 1, at(1, "the gzip stream ends early")),
]

REQUESTS, OUTCOMES = "requests/{account}/rows.jsonl", "outcomes/{account}/tasks.jsonl"


def wrong_request(claim: str, reason: str, **fields: Any) -> Case:
    staged = {1: {"source_row_id": "w-1", "input_uncached_tokens": 10}}
    return Case(claim, lines(canonical(1), canonical(2, **fields)), 2, at(2, reason), name=REQUESTS, staged=staged)


def wrong_outcome(claim: str, reason: str, **fields: Any) -> Case:
    content = lines(outcome(1), outcome(2, **fields))
    return Case(claim, content, 2, at(2, reason), name=OUTCOMES, shape="scores", staged={1: {"target_id": "t-1"}})


OTHER_ROWS = [
    wrong_request("canonical_rows_need_a_key", "missing source_row_id", source_row_id=""),
    wrong_request(
        "canonical_counts_are_whole",
        "input_uncached_tokens is 10.5, expected a whole number of 0 or more",
        input_uncached_tokens=10.5,
    ),
    wrong_request(
        "canonical_counts_are_not_negative",
        "output_text_tokens is -1, expected a whole number of 0 or more",
        output_text_tokens=-1,
    ),
    wrong_request("a_status_that_no_integer_holds_is_refused", "http_status is 99999999999", http_status=99999999999),
    wrong_request(
        "flags_that_are_no_list_are_refused_alone",
        "usage_flags is partial, expected a JSON array",
        usage_flags="partial",
    ),
    wrong_request(
        "units_that_are_no_numbers_are_refused_alone",
        'extra_units is {"web_search":"many"}, expected decimal',
        extra_units={"web_search": "many"},
    ),
    wrong_request(
        "attributes_that_are_no_object_are_refused_alone", "attributes is x, expected a JSON object", attributes="x"
    ),
    wrong_request(
        "a_leaf_is_true_or_false", "is_billable_leaf is maybe, expected true or false", is_billable_leaf="maybe"
    ),
    Case(
        "rows_that_are_not_canonical_are_refused_whole",
        lines('{"a": 1}'),
        1,
        at(None, "records with the fields a, expected canonical requests"),
        name=REQUESTS,
    ),
    wrong_outcome("an_outcome_is_about_something", "missing task_id, session_id or trace_id", task_id=""),
    wrong_outcome("an_outcome_says_something", "missing outcome", outcome=None),
    wrong_outcome("an_outcome_has_an_instant", "missing recorded_at", recorded_at=...),
    wrong_outcome("quantities_are_numbers", "quantity is many, expected a decimal number", quantity="many"),
]

COSTS, TOKENS = "openai_usage/{account}/costs.json", "openai_usage/{account}/usage_completions.json"


def costs(
    claim: str, content: Any, records: int, refused: tuple[tuple[int | None, str], ...] = (), **more: Any
) -> Case:
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return Case(claim, text, records, refused, **{"name": COSTS, "shape": "bills", **more})


def tokens(
    claim: str, content: Any, records: int, refused: tuple[tuple[int | None, str], ...] = (), **more: Any
) -> Case:
    return costs(claim, content, records, refused, **{"name": TOKENS, "shape": "usage", **more})


def item(text: str, **staged: Any) -> Case:
    nothing = dict.fromkeys(("model_raw", "token_type", "service_tier", "is_batch", "modality"))
    claim = "the_line_" + "".join(letter if letter.isalnum() else "_" for letter in text)
    return costs(
        claim,
        page(bucket(cost(1, text))),
        1,
        staged={1: {"line_item_raw": text, "billed_amount": 1, **nothing, **staged}},
    )


NEXT = {"start": DAY + 86_400, "end": DAY + 2 * 86_400}
TWO_PAGES = (page(bucket(cost(1))), page(bucket(cost(2), **NEXT)))
TWO_DAYS = {1: {"billed_amount": 1}, 2: {"billed_amount": 2}}
PAGES = [
    costs("a_list_of_pages_is_read", list(TWO_PAGES), 2, staged=TWO_DAYS),
    costs("pages_one_after_another_are_read", "\n".join(json.dumps(one) for one in TWO_PAGES), 2, staged=TWO_DAYS),
    costs(
        "pages_over_several_lines_are_read",
        "\n".join(json.dumps(one, indent=1) for one in TWO_PAGES),
        2,
        staged=TWO_DAYS,
    ),
    costs("a_packed_list_of_pages_is_read", gzip.compress(json.dumps(TWO_PAGES).encode()), 2, staged=TWO_DAYS),
    costs("a_page_without_buckets_has_no_records", page(), 0),
    costs("no_pages_are_no_records", "[]", 0),
    costs("an_empty_answer_is_no_record", "", 0),
    costs("a_bucket_without_results_carries_only_its_window", page(bucket()), 1, not_billable=1),
    costs(
        "a_page_that_is_cut_is_refused_whole", json.dumps(page(bucket(cost())))[:-30], 1, at(None, "not JSON at byte ")
    ),
    costs(
        "an_error_answer_is_refused_whole",
        {"error": {"message": "Incorrect API key"}},
        1,
        at(None, "an error answer of the API, expected a page with data; pull it again"),
    ),
    costs(
        "an_error_answer_among_the_pages_is_reported",
        json.dumps(page(bucket(cost(1)))) + json.dumps({"error": {"message": "rate limit"}}),
        2,
        at(2, "page 2 has no list of data; pull it again"),
        staged={1: {"billed_amount": 1}},
    ),
    costs(
        "another_document_is_refused_whole", {"a": 1}, 1, at(None, 'no "data" list, expected pages of /v1/organization')
    ),
    costs(
        "an_amount_may_be_text",
        page(bucket(cost("0.10"))),
        1,
        staged={1: {"billed_amount": Decimal("0.1"), "currency": "USD"}},
    ),
    costs("an_amount_may_be_negative", page(bucket(cost(-5))), 1, staged={1: {"billed_amount": -5}}),
    costs(
        "an_empty_amount_is_no_charge",
        page(bucket(cost(""), cost(None), cost(1))),
        3,
        not_billable=2,
        staged={3: {"billed_amount": 1}},
    ),
    costs(
        "an_amount_in_words_is_refused",
        page(bucket(cost("x"), cost(1))),
        2,
        at(1, "amount.value is x, expected a decimal number"),
        staged={2: {"billed_amount": 1}},
    ),
    costs(
        "an_amount_without_currency_is_refused",
        page(bucket(cost(amount={"value": 1}), cost(1))),
        2,
        at(1, "missing amount.currency"),
    ),
    costs(
        "an_amount_that_is_no_object_is_refused",
        page(bucket(cost(amount=1), cost(1))),
        2,
        at(1, "amount is 1, expected an object of value and currency"),
    ),
    costs(
        "a_result_of_an_unknown_kind_is_refused",
        page(bucket(cost(object="organization.gifts.result"), cost(1))),
        2,
        at(
            1,
            "a result named organization.gifts.result, expected organization.usage.*.result or organization.costs.result",
        ),
        staged={2: {"billed_amount": 1}},
    ),
    costs(
        "a_bucket_without_times_is_refused",
        page(bucket(cost(), start=None, end=None), bucket(cost(1))),
        2,
        at(1, "a bucket without start_time and end_time"),
    ),
    costs(
        "milliseconds_are_no_seconds",
        page(bucket(cost(), start=DAY * 1000, end=DAY * 1000), bucket(cost(1))),
        2,
        at(1, "a bucket without start_time and end_time, expected unix seconds"),
    ),
    costs(
        "a_bucket_that_ends_as_it_starts_is_refused",
        page(bucket(cost(), end=DAY), bucket(cost(1))),
        2,
        at(1, "a bucket that ends no later than it starts"),
    ),
    costs(
        "results_that_are_no_list_are_refused",
        page({**bucket(), "results": {"a": 1}}, bucket(cost(1))),
        2,
        at(1, "a bucket whose results are no list"),
    ),
    costs(
        "a_bucket_of_next_year_is_in_the_future",
        page(bucket(cost(), start=DAY + 10**7, end=DAY + 10**7 + 9), bucket(cost(1))),
        2,
        at(1, "in_the_future: 2027-03-13"),
    ),
    item("assistants api | file search"),
    item(
        "batch | gpt-4o-2024-08-06, cached input", model_raw="gpt-4o-2024-08-06", token_type="cache_read", is_batch=True
    ),
    item(
        "priority | gpt-4o audio, output",
        model_raw="gpt-4o",
        token_type="output",
        service_tier="priority",
        modality="audio",
    ),
    item("gpt-6-astra, input_tokens", model_raw="gpt-6-astra", token_type="input"),
    item("gpt-4o, cache writes, long context", model_raw="gpt-4o", token_type="cache_write"),
    tokens(
        "dimensions_that_are_all_null_are_read",
        page(bucket(used(model=None))),
        1,
        staged={1: {"model_raw": None, "input_uncached_tokens": 60, "pull_grain": []}},
    ),
    tokens(
        "counts_like_three_point_zero_are_read",
        page(bucket(used(input_tokens=3.0, input_cached_tokens=0))),
        1,
        staged={1: {"input_uncached_tokens": 3}},
    ),
    tokens(
        "counts_that_are_none_are_refused_each",
        page(
            bucket(
                used(input_tokens="many"),
                used(input_tokens=1.5),
                used(input_tokens=-1),
                used(input_cached_text_tokens="x"),
                used(),
            )
        ),
        5,
        (
            *at(1, "input_tokens is many"),
            *at(2, "input_tokens is 1.5"),
            *at(3, "input_tokens is -1"),
            *at(4, "input_cached_text_tokens is x"),
        ),
        staged={5: {"input_uncached_tokens": 60, "cache_read_tokens": 40}},
    ),
    tokens(
        "more_cached_than_input_of_a_bucket_is_refused",
        page(bucket(used(input_cached_tokens=140), used())),
        2,
        at(1, "input_cached_tokens 140 is more than input_tokens 100"),
    ),
    tokens(
        "a_meter_in_words_is_refused_alone",
        page(
            bucket(
                {"object": "organization.usage.images.result", "images": "many"},
                {"object": "organization.usage.images.result", "images": 3},
            )
        ),
        2,
        at(1, "images is many, expected a decimal number"),
        staged={2: {"operation": "image", "quantity": 3, "quantity_unit": "images"}},
    ),
    tokens(
        "searches_go_by_other_names_than_their_endpoints",
        page(
            bucket(
                {"object": "organization.usage.file_searches.result", "num_requests": 4},
                {"object": "organization.usage.web_searches.result", "num_requests": 5, "num_model_requests": 2},
            )
        ),
        2,
        staged={
            1: {"endpoint": "usage.file_search_calls", "quantity": 4},
            2: {"endpoint": "usage.web_search_calls", "requests": 2},
        },
    ),
    tokens(
        "a_csv_with_an_unknown_header_is_refused_whole",
        "start_time,end_time\n1,2\n",
        1,
        at(None, "a header of start_time, end_time, which is none of the known ones (dashboard_cost: start_time"),
    ),
]
CASES = [*APP_LOG, *TABLES, *PACKED, *OTHER_ROWS, *PAGES]


@dataclass(frozen=True)
class Books:
    """What one run over all the cases gave."""

    root: DataRoot
    report: ReadReport
    files: Mapping[str, Mapping[str, Any]]

    def refused(self, path: str) -> list[dict[str, Any]]:
        """What the readable lists in quarantine/ say of a file."""
        listed = [line for one in self.root.quarantine.rglob("*.jsonl") for line in one.read_text().splitlines()]
        return sorted((e for e in map(json.loads, listed) if e["file"] == path), key=lambda e: e["line"] or 0)

    def staged(self, case: Case) -> dict[int, dict[str, Any]]:
        return {
            row["source_row"]: row
            for row in rows(self.root, f"staged_{case.shape}", where=f"source_file = '{case.path}'")
        }


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    root = DataRoot(tmp_path_factory.mktemp("data"))
    for case in CASES:
        path: Path = root.path / case.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.landed)
    with open_books(root) as opened:
        reference.refresh(opened.con, root, opened.lake)
        report = opened.read_landing(now=NOW)
        for name in FATES_OF_RECORDS:
            build(opened.con, opened.lake, opened.planner, opened.plan(name))
    return Books(root, report, {row["path"]: row for row in rows(root, "ledger_files")})


def test_no_two_cases_lie_in_one_place():
    assert len({case.path for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
def test_every_record_has_the_fate_that_it_should(books, case):
    found = books.files[case.path]

    fates = {name: found[name] for name in ("records", "booked", "duplicate", "not_billable", "quarantined")}

    refused = len(case.refused)
    booked = case.records - case.duplicate - case.not_billable - refused
    wanted = {"duplicate": case.duplicate, "not_billable": case.not_billable, "quarantined": refused}
    assert fates == {"records": case.records, "booked": booked, **wanted}
    assert found["records"] == found["booked"] + found["duplicate"] + found["not_billable"] + found["quarantined"]


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=lambda case: case.claim)
def test_what_is_refused_is_said_with_line_and_reason(books, case):
    """In quarantine/, in ledger_files and as a sentence of the run, which says what to do."""
    listed = books.refused(case.path)
    [warning] = [text for text in books.report.warnings if text.startswith(f"{case.path}")]

    assert [entry["line"] for entry in listed] == [line for line, _ in case.refused]
    for entry, (_, reason) in zip(listed, case.refused, strict=True):
        assert reason in entry["reason"]
        assert entry["reason"] in books.files[case.path]["reasons"]
    line, reason = case.refused[0]
    assert reason in warning
    if line is None:
        assert warning.endswith("Nothing of it was booked; the other files were.")
    else:
        assert warning.startswith(f"{case.path}, line {line}: ")
        assert f"{len(case.refused)} of {case.records} records were refused" in warning
        assert warning.endswith("Put a mended file in its place, then run again.")


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=lambda case: case.claim)
def test_nothing_is_said_of_a_file_in_which_nothing_is_wrong(books, case):
    assert books.refused(case.path) == []
    assert [text for text in books.report.warnings if case.path in text] == []


@pytest.mark.parametrize("case", [case for case in CASES if case.staged], ids=lambda case: case.claim)
def test_what_is_right_in_the_file_is_read(books, case):
    """By line, for the columns that the case names."""
    found = books.staged(case)

    wanted = {
        line: {
            name: case.named(value) if name in ("source_row_id", "target_id") else value for name, value in row.items()
        }
        for line, row in case.staged.items()
    }
    assert {line: {name: found[line][name] for name in row} for line, row in wanted.items()} == wanted
    assert len(found) == case.records - case.not_billable - len(case.refused)


def test_no_message_says_where_the_data_root_is_or_what_a_prompt_said(books):
    said = "\n".join([*books.report.warnings, *(row["reasons"] for row in books.files.values())])

    assert str(books.root.path) not in said
    assert SECRET not in said
    for path in (
        file for folder in (books.root.lake, books.root.quarantine) for file in folder.rglob("*") if file.is_file()
    ):
        assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("layout", ["jsonl", "csv"])
@pytest.mark.parametrize("neighbours", [0, 1])
def test_of_a_stream_that_is_cut_all_that_is_there_is_booked(tmp_path, kind, layout, neighbours):
    """Compressed in one piece and cut in half; alone and in a batch with another file."""
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(3_000)]
    plain = (
        lines(*(call(n, id=id_) for n, id_ in enumerate(ids)))
        if layout == "jsonl"
        else table(*(cells(0, id=id_) for id_ in ids))
    )
    packed = half_of(gzip.compress(plain.encode()) if kind == "gzip" else zstd(plain))
    root = DataRoot(tmp_path / "books")
    root.landing.joinpath("app_log").mkdir(parents=True)
    (root.landing / "app_log" / "cut").write_bytes(packed)
    if neighbours:
        whole = plain.encode() if layout == "csv" else lines(call(1, id="other")).encode()
        (root.landing / "app_log" / "whole").write_bytes(
            gzip.compress(whole) if kind == "gzip" else pa.compress(whole, codec="zstd", asbytes=True)
        )

    with open_books(root) as opened:
        report = opened.read_landing(now=NOW)

    [cut] = [version for version in report.files_read if version.path.endswith("cut")]
    read = sorted(row["source_row"] for row in rows(root, "staged_requests", where="source_file like '%cut'"))
    header = layout == "csv"
    assert 500 < cut.records < 3_000
    assert cut.quarantined == 1
    assert read == list(range(1 + header, cut.records + header))
    assert f"line {cut.records + header}: the {kind} stream ends early" in report.warnings[0]
