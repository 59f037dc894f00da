"""Calls as the application's own log: one JSON object a line, the usage object as the provider's SDK returns it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TypeAlias

import polars as pl
import pyarrow as pa

Json: TypeAlias = "pl.Expr | int | str | Mapping[str, Json] | Sequence[Json]"

RESPONSE_IDS: Mapping[str, str] = {
    "openai.chat": "chatcmpl-",
    "openai.responses": "resp_",
    "anthropic.messages": "msg_",
    "gemini.generateContent": "",
}
_TEXTS = """
error_class feature environment customer_id user_id session_id task_id trace_id span_id workflow step prompt_name prompt_version
release api_key_name
""".split()


def day_files(calls: pl.DataFrame) -> Iterator[tuple[date, bytes]]:
    """The text of each UTC day's file."""
    seen = calls.filter(source="app_log")
    lines = seen.select(_record().alias("line"))
    counts = seen.group_by(pl.col("started_at").dt.date(), maintain_order=True).len()
    first = 0
    for day, count in counts.iter_rows():
        yield day, json_lines(lines[first : first + count])
        first += count


def json_lines(lines: pl.DataFrame) -> bytes:
    """The text of a file with these lines."""
    text = io.BytesIO()
    lines.write_csv(text, include_header=False, quote_style="never", separator="\t")
    return text.getvalue()


def packed(text: bytes) -> bytes:
    """The bytes as a gzip file."""
    # Arrow brings its own zlib, so that the bytes are the same on every machine, and writes no time into the file.
    return bytes(pa.Codec("gzip", compression_level=6).compress(text, asbytes=True))


def _json(value: Json) -> pl.Expr:
    """A value as JSON text. Texts of the sample hold nothing that JSON would escape."""
    if isinstance(value, pl.Expr):
        return value.cast(pl.String)
    if isinstance(value, int):
        return pl.lit(str(value))
    if isinstance(value, str):
        return pl.lit(f'"{value}"')
    if isinstance(value, Mapping):
        members = [part for name, member in value.items() for part in (pl.lit(f',"{name}":'), _json(member))]
        return pl.concat_str(pl.lit("{" + f'"{next(iter(value))}":'), *members[1:], pl.lit("}"))
    return pl.concat_str(pl.lit("["), *(_json(member) for member in value), pl.lit("]"))


def _text(value: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit('"'), value, pl.lit('"'))


def _instant(name: str) -> pl.Expr:
    return _text(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))


def _usages() -> Mapping[str, pl.Expr]:
    """The usage object of each API."""
    total_in, total_out = pl.col("input_tokens"), pl.col("output_tokens")
    read, written, reasoning = pl.col("cache_read_tokens"), pl.col("cache_write_tokens"), pl.col("reasoning_tokens")
    gemini: dict[str, Json] = {
        "promptTokenCount": total_in,
        "candidatesTokenCount": total_out - reasoning,
        "totalTokenCount": total_in + total_out,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total_in}],
    }
    return {
        "openai.chat": _json(
            {
                "prompt_tokens": total_in,
                "completion_tokens": total_out,
                "total_tokens": total_in + total_out,
                "prompt_tokens_details": {"cached_tokens": read, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": reasoning,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            }
        ),
        "openai.responses": _json(
            {
                "input_tokens": total_in,
                "input_tokens_details": {"cached_tokens": read},
                "output_tokens": total_out,
                "output_tokens_details": {"reasoning_tokens": reasoning},
                "total_tokens": total_in + total_out,
            }
        ),
        "anthropic.messages": _json(
            {
                "input_tokens": total_in - read - written,
                "cache_creation_input_tokens": written,
                "cache_read_input_tokens": read,
                "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
                "output_tokens": total_out,
                "service_tier": "standard",
                "inference_geo": "global",
            }
        ),
        # Gemini leaves a count of 0 out.
        "gemini.generateContent": pl.when(reasoning > 0)
        .then(_json(gemini | {"thoughtsTokenCount": reasoning}))
        .otherwise(_json(gemini)),
    }


def _record() -> pl.Expr:
    api, has_usage = pl.col("api"), pl.col("has_usage")
    usage = pl.lit("null")
    for name, found in _usages().items():
        usage = pl.when(has_usage & (api == name)).then(found).otherwise(usage)
    response_id = pl.when(has_usage).then(_text(api.replace_strict(RESPONSE_IDS) + pl.col("response_hex")))
    metadata = {"language": _text(pl.col("language")), "framework": _text(pl.col("framework"))}
    is_retry = pl.col("attempt") > 1
    members: dict[str, pl.Expr] = {
        "timestamp": _instant("started_at"),
        "first_token_at": _instant("first_token_at"),
        "ended_at": _instant("ended_at"),
        "provider": _text(pl.col("provider")),
        "api": _text(api),
        "model": _text(pl.col("model")),
        "model_requested": pl.when(pl.col("model") != pl.col("model_requested")).then(_text(pl.col("model_requested"))),
        "usage": usage,
        "service_tier": pl.when(has_usage & (pl.col("provider") == "openai")).then(pl.lit('"default"')),
        "response_id": response_id,
        "status": pl.when(pl.col("is_failed")).then(pl.lit('"error"')).otherwise(pl.lit('"ok"')),
        "http_status": pl.col("http_status").cast(pl.String),
        "attempt": pl.col("attempt").cast(pl.String),
        "is_retry": pl.when(is_retry).then(pl.lit("true")),
        **{name: _text(pl.col(name)) for name in _TEXTS},
        "step_index": pl.col("step_index").cast(pl.String),
        "max_output_tokens": pl.col("max_output_tokens").cast(pl.String),
        "static_prompt_tokens": pl.col("static_prompt_tokens").cast(pl.String),
        "outcome": pl.when(pl.col("is_last") & (pl.col("told_by") == "last_call")).then(_text(pl.col("outcome"))),
        "metadata": pl.coalesce(_json(metadata), _json({"framework": metadata["framework"]})),
    }
    # A member without a value is left out.
    parts = [pl.concat_str(pl.lit(f',"{name}":'), value).fill_null("") for name, value in members.items()]
    return pl.concat_str(pl.lit('{"id":'), _text(pl.col("id")), *parts, pl.lit("}"))
