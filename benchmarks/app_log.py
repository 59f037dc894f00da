"""An application's log of any length, and DuckDB reading its lines.

The bare engine reads the same columns with the same types out of the same file and writes them to Parquet once.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from pipelines.sources.app_log.source import FORMAT

# Types that a reader would give the columns that are not text.
TYPES = {
    "timestamp": "TIMESTAMPTZ",
    "ended_at": "TIMESTAMPTZ",
    "first_token_at": "TIMESTAMPTZ",
    "logged_at": "TIMESTAMPTZ",
    "batch": "BOOLEAN",
    "is_retry": "BOOLEAN",
    "http_status": "INTEGER",
    "attempt": "INTEGER",
    "step_index": "BIGINT",
    "max_output_tokens": "BIGINT",
    "static_prompt_tokens": "BIGINT",
    "cost_usd": "DECIMAL(18,12)",
}

_LINES = """
copy (
    select
        'call-' || lpad(i::varchar, 9, '0') as id,
        strftime(timestamptz '2026-09-01 00:00:00+00' + to_microseconds((i * ({days} * 86400e6 / {rows}))::bigint), '%Y-%m-%dT%H:%M:%S.%gZ')
            as timestamp,
        'openai' as provider,
        'openai.chat' as api,
        case i % 3 when 0 then 'gpt-4o-2024-08-06' when 1 then 'gpt-4o-mini' else 'gpt-5-mini' end as model,
        {{
            'prompt_tokens': 900 + h % 4000,
            'completion_tokens': 5 + h % 900,
            'total_tokens': 905 + h % 4000 + h % 900,
            'prompt_tokens_details': {{'cached_tokens': h % 900, 'audio_tokens': 0}},
            'completion_tokens_details': {{'reasoning_tokens': (h % 900) // 3, 'audio_tokens': 0}}
        }} as usage,
        'chatcmpl-' || md5(i::varchar) as response_id,
        'ok' as status,
        ['support-chat', 'search', 'summaries'][1 + i % 3] as feature,
        'c-' || h % 400 as customer_id,
        'u-' || h % 9000 as user_id,
        's-' || i // 6 as session_id,
        't-' || i // 3 as task_id,
        ['draft', 'rank', 'answer'][1 + i % 3] as step,
        'main-web' as api_key_name,
        repeat('a question that is never read ', 8) as prompt,
        {{'language': 'de'}} as metadata
    from (select range as i, (range * 2654435761) % 1000003 as h from range({rows}))
) to '{path}' (format json)
"""


def write_lines(path: Path, rows: int, days: int = 14) -> None:
    """An application log of ``rows`` calls over ``days`` days, in order of time, about 800 bytes a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(_LINES.format(rows=rows, days=days, path=path)).fetchall()


def write_late(path: Path, rows: int, day: date) -> None:
    """A file of further calls of one day, as a logger that was held up sends it."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        text = _LINES.format(rows=rows, days=1, path=path)
        con.execute(text.replace("2026-09-01", f"{day}").replace("'call-'", "'late-'")).fetchall()


def bare_engine(lines: Path, target: Path) -> str:
    """Python that does what the bare engine does."""
    columns = ", ".join(f"'{name}': '{TYPES.get(name, type_)}'" for name, type_ in FORMAT.columns.items())
    query = (
        f"copy (select * from read_json('{lines}', columns = {{{columns}}}, format = 'newline_delimited')) "
        f"to '{target}' (format parquet, compression zstd)"
    )
    return f"import duckdb\ncon = duckdb.connect()\ncon.execute(\"set TimeZone = 'UTC'\")\ncon.execute({query!r}).fetchall()"
