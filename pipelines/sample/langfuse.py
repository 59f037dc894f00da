"""Calls as Langfuse's weekly blob export has them: observations and scores, and a manifest that names both.

The project's export leaves out the group ``io``: no prompt and no answer is in the files. The older weeks are JSON Lines, the newer
ones Parquet, as the export's settings were changed on a day. Windows include both of their bounds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sample import company
from pipelines.sample.app_log import RESPONSE_IDS, json_lines, packed
from pipelines.sample.calls import first_date
from pipelines.sample.chance import Chance, Grid
from pipelines.sample.workloads import WORKLOADS

# An export runs once its window is 20 minutes past.
_LATER = timedelta(minutes=20, seconds=41)
_INGESTED_MS = 4_200
_MINUTES_LATER = Grid((2, 5, 12, 20, 90, 400, 1_300, 2_600, 3_300, 4_200, 5_600))
_QUALITY = Grid((5, 20, 40, 52, 70, 83, 90, 95, 97, 99, 100))
_QUALITY_PER_MILLE = 80

_MAP_TYPES = {"metadata": pa.string(), "usage_details": pa.uint64(), "cost_details": pa.decimal128(18, 12)}
_MICROSECONDS, _MILLISECONDS = pa.timestamp("us", tz="UTC"), pa.timestamp("ms", tz="UTC")


def _fields(text: str) -> list[tuple[str, str]]:
    """Column names with their kind, ``?`` where it can be null."""
    found = []
    for word in text.split():
        name, _, kind = word.partition(":")
        found.append((name, kind or "text"))
    return found


# In the order in which the groups stand in Langfuse's own query.
OBSERVATION_FIELDS = _fields("""
id trace_id start_time:us end_time:us? project_id parent_observation_id type name level status_message version environment
bookmarked:flag public:flag user_id session_id is_root_observation:flag completion_start_time:us? created_at:us updated_at:us
metadata:map provided_model_name model_id model_parameters usage_details:map cost_details:map total_cost:usd
usage_pricing_tier_id:text? usage_pricing_tier_name:text? prompt_id prompt_name prompt_version:small? tool_definitions:map
tool_calls:list tool_call_names:list tags:list release trace_name latency:number? time_to_first_token:number?
""")
SCORE_FIELDS = _fields("""
id timestamp:ms project_id environment trace_id:text? observation_id:text? session_id:text? dataset_run_id:text? name value:number
source comment:text? data_type string_value:text? created_at:ms updated_at:ms
""")


@dataclass(frozen=True)
class ExportFile:
    """A file of the export: its key below the project's folder, and when it was written."""

    key: str
    content: bytes
    written_at: datetime


def export_files(
    calls: pl.DataFrame, weeks: int, prices: Mapping[str, Mapping[str, Decimal]], seed: int
) -> Iterator[ExportFile]:
    """Tables and manifest of each weekly window. ``prices``: USD a token by model and class."""
    seen = calls.filter(source="langfuse")
    if seen.is_empty():
        return
    tables = {
        "observations_v2": (OBSERVATION_FIELDS, "start_time", _observations(seen, prices)),
        "scores": (SCORE_FIELDS, "timestamp", _scores(seen, seed)),
    }
    for number in range(weeks):
        start = first_date(weeks) + timedelta(weeks=number)
        end = start + timedelta(weeks=1)
        written_at = _midnight(end) + _LATER
        is_parquet = start >= company.LANGFUSE_PARQUET_FROM
        named = []
        for table, (fields, by, rows) in tables.items():
            window = rows.filter(pl.col(by).is_between(_midnight(start), _midnight(end), closed="both"))
            content = _parquet(window, fields) if is_parquet else packed(_text(window, fields))
            key = f"{table}/{end:%Y-%m-%d}T00-00-00.{'parquet' if is_parquet else 'jsonl.gz'}"
            named.append(_named(key, table, content, None if is_parquet else len(window), is_parquet))
            yield ExportFile(key, content, written_at)
        manifest = _manifest(start, end, written_at, named)
        yield ExportFile(f"manifests/{end:%Y-%m-%d}T00-00-00.json", manifest, written_at)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1_000:03d}Z"


def _named(key: str, table: str, content: bytes, rows: int | None, is_parquet: bool) -> dict[str, object]:
    return {
        "key": f"{company.LANGFUSE_PROJECT}/{key}",
        "table": table,
        "fileType": "PARQUET" if is_parquet else "JSONL",
        "format": "parquet" if is_parquet else "jsonl-gzip",
        "compressed": not is_parquet,
        "contentType": "application/vnd.apache.parquet" if is_parquet else "application/x-ndjson",
        "sizeBytes": len(content),
        "rowCount": rows,
    }


def _manifest(start: date, end: date, written_at: datetime, files: Sequence[Mapping[str, object]]) -> bytes:
    """Written after all tables: the files that it names are whole."""
    content = {
        "version": 1,
        "projectId": company.LANGFUSE_PROJECT,
        "exportSource": "EVENTS",
        "window": {"minTimestamp": _iso(_midnight(start)), "maxTimestamp": _iso(_midnight(end))},
        "maxTimestamp": _iso(_midnight(end)),
        "createdAt": _iso(written_at),
        "tables": ["scores", "observations_v2"],
        "files": list(files),
    }
    return json.dumps(content, separators=(",", ":")).encode()


# ---- rows


def _observations(calls: pl.DataFrame, prices: Mapping[str, Mapping[str, Decimal]]) -> pl.DataFrame:
    """A generation for each call. Where a task is more than one step, a span of its own is the root of the trace."""
    has_root = pl.col("workload").replace_strict(
        {one.name: len(one.kinds[0].steps) > 1 for one in WORKLOADS}, return_dtype=pl.Boolean
    )
    calls = calls.with_columns(has_root=has_root, root_id=pl.col("trace_id").str.slice(16))
    generations = calls.select(
        *_generation(),
        *_usage("usage_details", {}),
        *_usage("cost_details", prices),
    )
    spans = (
        calls.filter("has_root")
        .group_by("trace_id", maintain_order=True)
        .agg(
            pl.col("root_id", "workload", "user_id", "session_id", "customer_id", "release", "environment").first(),
            pl.col("language", "framework", "started_at").first(),
            pl.col("ended_at").max(),
        )
        .select(*_span())
    )
    rows = pl.concat([generations, spans], how="diagonal")
    total = pl.sum_horizontal("cost_details.total").fill_null(0)
    return rows.with_columns(total.alias("total_cost")).sort("start_time", "id")


def _shared() -> dict[str, pl.Expr]:
    """What generation and span have alike."""
    return {
        "trace_id": pl.col("trace_id"),
        "start_time": pl.col("started_at").dt.cast_time_unit("us"),
        "end_time": pl.col("ended_at").dt.cast_time_unit("us"),
        "project_id": pl.lit(company.LANGFUSE_PROJECT),
        "version": pl.lit(""),
        "environment": pl.col("environment").fill_null("default"),
        "bookmarked": pl.lit(False),
        "public": pl.lit(False),
        "created_at": (pl.col("ended_at") + pl.duration(milliseconds=_INGESTED_MS)).dt.cast_time_unit("us"),
        "updated_at": (pl.col("ended_at") + pl.duration(milliseconds=_INGESTED_MS)).dt.cast_time_unit("us"),
        "release": pl.col("release"),
        "trace_name": pl.col("workload"),
        # Seconds, as in exports that were set up since April 2026.
        "latency": (pl.col("ended_at") - pl.col("started_at")).dt.total_milliseconds() / 1_000,
        "metadata.scope.name": pl.lit("langfuse-sdk"),
        "metadata.language": pl.col("language"),
        "metadata.framework": pl.col("framework"),
    }


def _span() -> list[pl.Expr]:
    texts = ("provided_model_name", "model_id", "model_parameters", "prompt_id", "prompt_name", "status_message")
    columns = (
        _shared()
        | dict.fromkeys((*texts, "parent_observation_id"), pl.lit(""))
        | {
            "id": pl.col("root_id"),
            "type": pl.lit("SPAN"),
            "name": pl.col("workload"),
            "level": pl.lit("DEFAULT"),
            "user_id": pl.col("user_id").fill_null(""),
            "session_id": pl.col("session_id").fill_null(""),
            "is_root_observation": pl.lit(True),
            "metadata.tenant_id": pl.col("customer_id"),
            "tags": pl.format("feature:{}", "workload"),
        }
    )
    return [value.alias(name) for name, value in columns.items()]


def _generation() -> list[pl.Expr]:
    """Where the trace has a root, owner and tags stand on the root alone."""
    is_root = ~pl.col("has_root")

    def owned(value: pl.Expr, otherwise: str | None) -> pl.Expr:
        return pl.when(is_root).then(value).otherwise(pl.lit(otherwise, dtype=pl.String))

    has_usage, has_called = pl.col("has_usage"), pl.col("is_tool") & ~pl.col("is_failed")
    response_id = pl.concat_str(pl.col("api").replace_strict(RESPONSE_IDS), "response_hex")
    columns = _shared() | {
        "id": pl.col("span_id"),
        "parent_observation_id": pl.when("has_root").then("root_id").otherwise(pl.lit("")),
        "type": pl.lit("GENERATION"),
        "name": pl.col("step"),
        "level": pl.when("is_failed").then(pl.lit("ERROR")).otherwise(pl.lit("DEFAULT")),
        "status_message": pl.when("is_failed")
        .then(
            pl.concat_str(
                pl.col("http_status").cast(pl.String), pl.col("error_class"), separator=" ", ignore_nulls=True
            )
        )
        .otherwise(pl.lit("")),
        "user_id": owned(pl.col("user_id").fill_null(""), ""),
        "session_id": owned(pl.col("session_id").fill_null(""), ""),
        "is_root_observation": is_root,
        "completion_start_time": pl.col("first_token_at").dt.cast_time_unit("us"),
        "metadata.tenant_id": owned(pl.col("customer_id"), None),
        "metadata.attributes.gen_ai.provider.name": pl.col("provider"),
        "metadata.attributes.gen_ai.response.id": pl.when(has_usage).then(response_id),
        "metadata.attempt": pl.when(pl.col("attempt") > 1).then(pl.col("attempt").cast(pl.String)),
        # A response names the dated model; a call that failed before it has only what was asked for.
        "provided_model_name": pl.col("model"),
        "model_id": pl.concat_str(pl.lit("builtin-"), "model_requested"),
        "model_parameters": pl.concat_str(
            pl.lit('{"max_tokens":'), pl.col("max_output_tokens").cast(pl.String), pl.lit("}")
        ),
        "usage_pricing_tier_id": pl.when(has_usage).then(pl.concat_str("model_requested", pl.lit("-standard"))),
        "usage_pricing_tier_name": pl.when(has_usage).then(pl.lit("Standard")),
        "prompt_id": pl.concat_str("prompt_name", pl.lit("@"), "prompt_version"),
        "prompt_name": pl.col("prompt_name"),
        "prompt_version": pl.col("prompt_version").cast(pl.UInt16),
        "tool_calls": pl.when(has_called).then(
            pl.concat_str(pl.lit('{"type":"function","name":"'), "step", pl.lit('"}'))
        ),
        "tool_call_names": pl.when(has_called).then("step"),
        "tags": owned(pl.format("feature:{}", "workload"), None),
        "time_to_first_token": (pl.col("first_token_at") - pl.col("started_at")).dt.total_milliseconds() / 1_000,
    }
    return [value.alias(name) for name, value in columns.items()]


def _usage(name: str, prices: Mapping[str, Mapping[str, Decimal]]) -> list[pl.Expr]:
    """Token counts, or with prices their list cost in units of 1e-12 USD. The classes are disjoint."""
    read, written = pl.col("cache_read_tokens"), pl.col("cache_write_tokens")
    is_anthropic = pl.col("provider") == "anthropic"
    splits_reasoning = pl.col("api").is_in(["openai.responses", "gemini.generateContent"])
    reasoning = pl.when(splits_reasoning).then("reasoning_tokens")
    counts = {
        "input": ("input", pl.col("input_tokens") - read - written),
        "output": ("output", pl.col("output_tokens") - reasoning.fill_null(0)),
        "output_reasoning_tokens": ("output", reasoning),
        "input_cached_tokens": ("cache_read", read),
        "input_cache_creation": ("cache_write_5m", pl.when(is_anthropic).then(written)),
    }
    found = {}
    for key, (unit, count) in counts.items():
        if prices:
            rates = {model: int(by_unit.get(unit, Decimal()) * 10**12) for model, by_unit in prices.items()}
            count = count * pl.col("model").replace_strict(rates, default=0, return_dtype=pl.Int64)
        found[key] = pl.when("has_usage").then(count)
    total = pl.when("has_usage").then(pl.sum_horizontal(*found.values()))
    return [value.alias(f"{name}.{key}") for key, value in (found | {"total": total}).items()]


def _scores(calls: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Whether the task was resolved, told on the trace some time after its last call; for some a grade by another model."""
    chance = Chance(seed, "scores")
    told = calls.filter(pl.col("is_last"), pl.col("outcome").is_not_null())
    size = len(told)
    succeeded = pl.col("outcome") == "success"
    resolved = told.with_columns(
        chance.hexes(size, 32).alias("id"),
        pl.Series("minutes_later", chance.quantities(size, _MINUTES_LATER)),
    ).select(
        *_score("resolved", "API", "BOOLEAN"),
        timestamp=(pl.col("ended_at") + pl.duration(minutes="minutes_later")).dt.truncate("1ms"),
        value=succeeded.cast(pl.Float64),
        string_value=pl.when(succeeded).then(pl.lit("True")).otherwise(pl.lit("False")),
    )
    graded = told.filter(pl.Series(chance.happens(size, _QUALITY_PER_MILLE)))
    size = len(graded)
    quality = graded.with_columns(
        chance.hexes(size, 32).alias("id"), pl.Series("grade", chance.quantities(size, _QUALITY))
    ).select(
        *_score("quality", "EVAL", "NUMERIC"),
        timestamp=pl.col("ended_at") + pl.duration(seconds=30),
        value=pl.col("grade") / 100,
        string_value=pl.lit(None, dtype=pl.String),
    )
    rows = pl.concat([resolved, quality])
    stamps = {
        name: pl.col("timestamp") + pl.duration(milliseconds=_INGESTED_MS) for name in ("created_at", "updated_at")
    }
    return rows.with_columns(**stamps).sort("timestamp", "id")


def _score(name: str, source: str, data_type: str) -> list[pl.Expr]:
    absent = pl.lit(None, dtype=pl.String)
    columns = {
        "id": pl.col("id"),
        "project_id": pl.lit(company.LANGFUSE_PROJECT),
        "environment": pl.col("environment").fill_null("default"),
        "trace_id": pl.col("trace_id"),
        "name": pl.lit(name),
        "source": pl.lit(source),
        "data_type": pl.lit(data_type),
    } | dict.fromkeys(("observation_id", "session_id", "dataset_run_id", "comment"), absent)
    return [value.alias(key) for key, value in columns.items()]


# ---- forms


def _keys(rows: pl.DataFrame, name: str) -> dict[str, str]:
    """Key of a map -> the column that holds its values, null where the key is absent."""
    return {column.removeprefix(f"{name}."): column for column in rows.columns if column.startswith(f"{name}.")}


def _parquet(rows: pl.DataFrame, fields: Sequence[tuple[str, str]]) -> bytes:
    columns = [(pa.field(name, *_arrow_type(name, kind)), _arrow(rows, name, kind)) for name, kind in fields]
    schema = pa.schema([field for field, _ in columns])
    content = io.BytesIO()
    table = pa.table([column.cast(field.type) for field, column in columns], schema=schema)
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def _arrow_type(name: str, kind: str) -> tuple[pa.DataType, bool]:
    types = {
        "text": pa.string(),
        "us": _MICROSECONDS,
        "ms": _MILLISECONDS,
        "flag": pa.bool_(),
        "usd": pa.decimal128(18, 12),
        "small": pa.uint16(),
        "number": pa.float64(),
        "list": pa.list_(pa.field("element", pa.string(), nullable=False)),
        "map": pa.map_(pa.string(), pa.field("value", _MAP_TYPES.get(name, pa.string()), nullable=False)),
    }
    return types[kind.removesuffix("?")], kind.endswith("?")


def _arrow(rows: pl.DataFrame, name: str, kind: str) -> pa.Array:
    if kind == "map":
        keys = _keys(rows, name)
        return _maps([(key, _values(rows[column], name)) for key, column in keys.items()], len(rows), name)
    if kind == "list":
        return _lists(_plain(rows[name].cast(pl.String)))
    if kind == "usd":
        return _decimals(rows[name])
    return _plain(rows[name])


def _plain(series: pl.Series) -> pa.Array:
    found = series.to_arrow()
    return (
        found.cast(pa.string())
        if pa.types.is_large_string(found.type) or pa.types.is_string_view(found.type)
        else found
    )


def _values(series: pl.Series, name: str) -> pa.Array:
    if name == "cost_details":
        return _decimals(series)
    return _plain(series) if name == "metadata" else _plain(series.cast(pl.UInt64))


def _decimals(units: pl.Series) -> pa.Array:
    """Units of 1e-12 as decimals: the whole numbers are their own 128 bits."""
    whole = np.zeros((len(units), 2), dtype="<i8")
    whole[:, 0] = units.fill_null(0).to_numpy()
    mask = pa.array(units.is_not_null().to_numpy()).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(18, 12), len(units), [mask, pa.py_buffer(whole.tobytes())])


def _maps(columns: Sequence[tuple[str, pa.Array]], size: int, name: str) -> pa.Array:
    """One map a row, with the keys whose value is not null."""
    value_type = _MAP_TYPES.get(name, pa.string())
    if not columns:
        return pa.MapArray.from_arrays(
            pa.array(np.zeros(size + 1, dtype=np.int32)), pa.array([], pa.string()), pa.array([], value_type)
        )
    present = np.column_stack([column.is_valid().to_numpy(zero_copy_only=False) for _, column in columns])
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    row, place = np.nonzero(present)
    keys = pa.array([key for key, _ in columns]).take(pa.array(place))
    values = pa.chunked_array([column for _, column in columns]).combine_chunks().take(pa.array(place * size + row))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, values)


def _lists(values: pa.Array) -> pa.Array:
    """A list of one element, or an empty one where there is none."""
    offsets = np.concatenate([[0], np.cumsum(values.is_valid().to_numpy(zero_copy_only=False))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null())


def _text(rows: pl.DataFrame, fields: Sequence[tuple[str, str]]) -> bytes:
    """JSON Lines. Instants are written without their zone, decimals without their last zeros."""
    members: list[pl.Expr] = []
    for place, (name, kind) in enumerate(fields):
        lead = pl.lit(f'{"," if place else "{"}"{name}":')
        members += [lead, _json(rows, name, kind).fill_null("null")]
    return json_lines(rows.select(pl.concat_str(*members, pl.lit("}"))))


def _json(rows: pl.DataFrame, name: str, kind: str) -> pl.Expr:
    value = pl.col(name)
    match kind.removesuffix("?"):
        case "us":
            return _quoted(value.dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
        case "ms":
            return _quoted(value.dt.strftime("%Y-%m-%d %H:%M:%S%.3f"))
        case "flag" | "small" | "number":
            return _number(value)
        case "usd":
            return _usd(value)
        case "list":
            return pl.concat_str(pl.lit("["), _quoted(_escaped(value)).fill_null(""), pl.lit("]"))
        case "map":
            forms = {"metadata": _quoted, "cost_details": _usd}
            form = forms.get(name, _number)
            entries = [
                pl.concat_str(pl.lit(f',"{key}":'), form(pl.col(column))) for key, column in _keys(rows, name).items()
            ]
            if not entries:
                return pl.lit("{}")
            return pl.concat_str(pl.lit("{"), pl.concat_str(entries, ignore_nulls=True).str.slice(1), pl.lit("}"))
        case _:
            return _quoted(_escaped(value))


def _number(value: pl.Expr) -> pl.Expr:
    return value.cast(pl.String)


def _quoted(text: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit('"'), text, pl.lit('"'))


def _escaped(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all('"', '\\"', literal=True)


def _usd(units: pl.Expr) -> pl.Expr:
    fraction = (units % 10**12).cast(pl.String).str.zfill(12).str.strip_chars_end("0")
    whole = (units // 10**12).cast(pl.String)
    return pl.when(fraction == "").then(whole).otherwise(pl.concat_str(whole, pl.lit("."), fraction))
