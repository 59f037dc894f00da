"""A large file of each source that has JSON Lines, with long prompts: read in bounded memory, against DuckDB reading the same lines.

A file repeats one record of the source's example under ever new ids, with a long text where the example has its prompt. The bare
engine reads the record's own fields as text, but for those that no source reads, and writes them to Parquet once.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import measure
from benchmarks.small_files import _READ
from pipelines import paths

# Fields with prompts that no source reads; of others with text in them parts are read.
UNREAD = {"messages", "prompt", "request", "request_body"}
PROMPT = "this text is not read"
_BARE = """
import duckdb
from pipelines.settings import Settings
file, target, columns = sys.argv[1:]
with duckdb.connect(config={"threads": Settings().threads, "memory_limit": Settings().memory_limit}) as con:
    con.execute(
        f"copy (select * from read_json('{file}', columns = {columns}, format = 'newline_delimited', maximum_object_size = 33554432)) "
        f"to '{target}' (format parquet)"
    )
"""


@dataclass(frozen=True)
class Log:
    """A file of an example, one of its records (from 0), and the text of its id, which ends in digits or is as it may be."""

    source: str
    path: str
    record: int
    id: str


LOGS = (
    Log("app_log", "web/2026-11-18.jsonl", 0, "c-1"),
    Log("langfuse", "prod/observations_v2/2026-11-18T10-00-00.jsonl", 1, "a000000000000002"),
    Log("helicone", "org/requests.jsonl", 0, "0d7e8f00-0000-4000-8000-000000000001"),
    Log("litellm", "proxy/spend_logs.jsonl", 0, "call-1"),
    Log("otel_genai", "prod/collector.jsonl", 0, "00000000000000a2"),
    Log("portkey", "logs.jsonl", 0, "p-1"),
    Log("langsmith", "prod/runs.jsonl", 1, "1efa0000-0000-6000-8000-000000000002"),
    Log("coding_agents", "team/claude/session.jsonl", 1, "msg_agent_1"),
    Log("aws_bedrock", "payer/invocations.jsonl", 0, "r-1"),
    Log("azure_openai", "contract/requestresponse.jsonl", 0, "k-1"),
    Log("google_vertex", "acct/request_response.jsonl", 0, "77"),
    Log("openai_usage", "org-batch/batch_abc123_output.jsonl", 0, "batch_req_1"),
)


def write(log: Log, path: Path, size: int, prompt_bytes: int) -> int:
    """A file of about ``size`` bytes; how many records it has comes back."""
    lines = (paths.SOURCES / log.source / "example" / log.path).read_text(encoding="utf-8").splitlines()
    text = lines[log.record]
    prompt = ("a question that is never read " * (prompt_bytes // 30 + 1))[:prompt_bytes]
    head, *rest = text.replace(PROMPT, prompt).split(f'"{log.id}"')
    if PROMPT not in text:
        # A record without its prompt, as some tools log it: the text stands in a field of its own.
        rest[-1] = rest[-1].removesuffix("}") + f', "prompt": "{prompt}"}}'
    width = len(log.id) if log.id[-4:].isalnum() and len(log.id) >= 16 else 0
    records = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            for _ in range(200):
                number = f"{records:012d}"
                name = log.id[: width - len(number)] + number if width else f"{log.id}-{number}"
                file.write(f'"{name}"'.join([head, *rest]) + "\n")
                records += 1
    return records


def run(size: int, only: str = "", prompt_bytes: int = 8_000) -> None:
    """Measure and print."""
    print(f"{size / 1e6:,.0f} MB of JSON Lines of each source, prompts of {prompt_bytes:,} bytes")
    for log in LOGS:
        if only in ("", log.source):
            with tempfile.TemporaryDirectory() as folder:
                _run(log, Path(folder), size, prompt_bytes)


def _run(log: Log, folder: Path, size: int, prompt_bytes: int) -> None:
    file = folder / "landing" / log.source / "bench" / Path(log.path).name
    records = write(log, file, size, prompt_bytes)
    with file.open(encoding="utf-8") as opened:
        record = json.loads(opened.readline())
    fields = {name: "VARCHAR" for name in record if name not in UNREAD}
    columns = "{" + ", ".join(f"'{name}': '{type_}'" for name, type_ in fields.items()) + "}"
    bare = measure([sys.executable, "-c", _BARE, str(file), str(folder / "bare.parquet"), columns])
    ours = measure([sys.executable, "-c", _READ, str(folder)])
    print(
        f"  {log.source:14s} {records:9,} records {ours.cpu_s:8.1f} CPU s, {ours.cpu_s / bare.cpu_s:5.1f} times the bare reader "
        f"({bare.cpu_s:.1f}); peak {ours.peak_mib:6,.0f} MiB (bare {bare.peak_mib:,.0f}), {ours.wall_s:.1f} s",
        flush=True,
    )
