"""What one record of each source costs to read, in CPU microseconds, beside DuckDB reading the same file to Parquet.

A file repeats the sound records of a source's example under ever new ids. It is read at two sizes: the slope between them is
the cost of a record, without what a run, a batch and a query cost once. ``refused`` is the same with one broken line in the file.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.processes import measure_work
from pipelines import paths, reference
from pipelines.books import open_books
from pipelines.engine import quoted
from pipelines.paths import DataRoot
from pipelines.settings import Settings


@dataclass(frozen=True)
class Example:
    """A file of a source's example, and the key or column whose value is new in each record; none where it repeats as it is."""

    source: str
    path: str
    id: str = ""


EXAMPLES = (
    Example("app_log", "web/2026-11-18.jsonl", "id"),
    Example("langfuse", "prod/observations_v2/2026-11-18T10-00-00.jsonl", "id"),
    Example("langfuse", "prod/scores/2026-11-18T10-00-00.jsonl", "id"),
    Example("helicone", "org/requests.jsonl", "request_id"),
    Example("litellm", "proxy/spend_logs.jsonl", "request_id"),
    Example("otel_genai", "prod/collector.jsonl", "spanId"),
    Example("portkey", "logs.jsonl", "id"),
    Example("langsmith", "prod/runs.jsonl", "id"),
    Example("coding_agents", "team/claude/session.jsonl", "uuid"),
    Example("coding_agents", "team/codex/rollout.jsonl"),
    Example("aws_bedrock", "payer/invocations.jsonl", "requestId"),
    Example("aws_bedrock", "payer/cur-2026-11.pulled-20261101T200000Z.csv"),
    Example("azure_openai", "contract/requestresponse.jsonl", "correlationId"),
    Example("azure_openai", "contract/actual-2026-11.pulled-20261101T200000Z.csv"),
    Example("google_vertex", "acct/request_response.jsonl", "request_id"),
    Example("google_vertex", "acct/billing-2026-11.pulled-20261101T200000Z.jsonl"),
    Example("focus", "reseller/focus-2026-11.pulled-20261102T050000Z.csv"),
    Example("openai_usage", "org-example/usage_completions.2026-11.pulled-20261120T060000Z.json"),
    Example("openai_usage", "org-example/costs.2026-11.pulled-20261120T060000Z.json"),
    Example("openai_usage", "org-batch/batch_abc123_output.jsonl", "id"),
    Example("anthropic_usage", "org-example/usage_report_messages.2026-11.pulled-20261120T060000Z.json"),
    Example("anthropic_usage", "org-example/cost_report.2026-11.pulled-20261120T060000Z.json"),
    Example("openrouter", "together/billing_usage.2026-11.pulled-20261120T060000Z.json"),
    Example("openrouter", "team/activity_generations.pulled-20261121T060000Z.csv", "generation_id"),
    Example("outcomes", "2026-11-18.jsonl"),
    Example("requests", "warehouse/2026-11-17.csv", "request_id"),
)


def write(example: Example, path: Path, records: int, *, broken: bool = False) -> None:
    """A file of about ``records`` records; with ``broken`` the line in its middle is torn."""
    text = (paths.SOURCES / example.source / "example" / example.path).read_text(encoding="utf-8")
    pieces = {"jsonl": _json_lines, "csv": _csv_rows, "json": _pages}[path.suffix[1:]](example, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number, piece in enumerate(itertools.islice(pieces, records + 1)):
            file.write(f"{piece}\n")
            if broken and number == records // 2:
                file.write('{"a torn line\n' if path.suffix == ".jsonl" else "a torn line\n")


def _refused(example: Example) -> set[int]:
    expected = json.loads((paths.SOURCES / example.source / "expected.json").read_text(encoding="utf-8"))
    return {found["line"] for found in expected["refusals"] if found["file"] == example.path}


def _json_lines(example: Example, text: str) -> Iterator[str]:
    refused = _refused(example)
    lines = [line for number, line in enumerate(text.splitlines(), 1) if number not in refused]
    ids = re.compile(rf'("{example.id}"\s*:\s*"?)([^",}}]*)')
    for number in itertools.count():
        line = lines[number % len(lines)]
        yield ids.sub(lambda found: found[1] + _renewed(found[2], number), line) if example.id else line  # noqa: B023


def _renewed(text: str, number: int) -> str:
    """Of a long id another of its length; of a short one a longer."""
    return f"{text[:-12]}{number:012d}" if len(text) >= 16 else f"{text}{number:08d}"


def _csv_rows(example: Example, text: str) -> Iterator[str]:
    refused = _refused(example)
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    rows = [row for number, row in enumerate(rows, 2) if number not in refused]
    place = header.index(example.id) if example.id in header else None
    yield _csv_line(header)
    for number in itertools.count():
        row = list(rows[number % len(rows)])
        if place is not None:
            row[place] = _renewed(row[place], number)
        yield _csv_line(row)


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _pages(example: Example, text: str) -> Iterator[str]:
    """Pages of an API, one after the other, each without its refused results."""
    page = json.loads(text)
    refused, place = _refused(example), 0
    for bucket in page["data"]:
        results: list[Any] = bucket.get("results", [])
        places = range(place + 1, place + 1 + len(results))
        place += len(results)
        if results:
            bucket["results"] = [result for nth, result in zip(places, results, strict=True) if nth not in refused]
    return itertools.repeat(json.dumps(page))


def run(records: int, only: str = "") -> None:
    """Measure and print."""
    print(f"CPU us per record, slope between {records:,} and {4 * records:,} lines or pages")
    print(
        f"  {'source':15s} {'file':24s} {'ours':>8s} {'refused':>8s} {'bare':>8s} {'ratio':>6s} {'a run':>9s}",
        flush=True,
    )
    for example in EXAMPLES:
        if only in ("", example.source):
            with tempfile.TemporaryDirectory() as folder:
                _run(example, Path(folder), records)


def _run(example: Example, folder: Path, records: int) -> None:
    sizes = (records, 4 * records)
    files = [_file(example, folder / str(size), size) for size in sizes]
    torn = [_file(example, folder / f"torn{size}", size, broken=True) for size in sizes if files[0].suffix == ".jsonl"]
    _read(files[0], folder / "warm")
    (first, few), (last, many) = [_read(file, folder / f"{size}-read") for file, size in zip(files, sizes, strict=True)]
    ours = (last - first) / (many - few)
    bare = (_bare(files[1], folder) - _bare(files[0], folder)) / (many - few)
    refused = " " * 8
    if torn:
        (first_torn, few), (last_torn, many) = [_read(file, folder / f"{file.parts[-5]}-read") for file in torn]
        refused = f"{(last_torn - first_torn) / (many - few) * 1e6:8.1f}"
    print(
        f"  {example.source:15s} {files[0].name[:24]:24s} {ours * 1e6:8.1f} {refused} {bare * 1e6:8.1f} {ours / bare:6.1f} "
        f"{(first - ours * few) * 1e3:6.0f} ms",
        flush=True,
    )


def _file(example: Example, root: Path, records: int, *, broken: bool = False) -> Path:
    path = root / "landing" / example.source / "bench" / Path(example.path).name
    write(example, path, records, broken=broken)
    return path


def _read(file: Path, target: Path) -> tuple[float, int]:
    """CPU seconds from the landing file to staged fragments, and how many records there were."""
    root = DataRoot(target)
    folder = root.landing / file.parts[-3] / "bench"
    folder.mkdir(parents=True)
    (folder / file.name).hardlink_to(file)
    with open_books(root) as books:
        reference.refresh(books.con, root, books.lake)
        found = []
        cost = measure_work(lambda: found.append(books.read_landing()))
        return cost.cpu_s, sum(version.records for version in found[0].files_read)


def _bare(file: Path, folder: Path) -> float:
    """CPU seconds of DuckDB alone, the fields as text."""
    if file.suffix == ".csv":
        reader = f"read_csv({quoted(str(file))}, all_varchar = true, header = true)"
    else:
        with file.open(encoding="utf-8") as opened:
            fields = dict.fromkeys(field for line in itertools.islice(opened, 10) for field in json.loads(line))
        columns = ", ".join(f"{quoted(field)}: 'VARCHAR'" for field in fields)
        reader = f"read_json({quoted(str(file))}, columns = {{{columns}}}, format = 'newline_delimited')"
    settings = Settings()
    with duckdb.connect(config={"threads": settings.threads, "memory_limit": settings.memory_limit}) as con:
        target = quoted(str(folder / "bare.parquet"))
        return measure_work(lambda: con.execute(f"copy (from {reader}) to {target} (format parquet)")).cpu_s
