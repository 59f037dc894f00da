"""One folder with one file a call, as loggers write them to object storage: read in batches, in bounded time and memory.

The same calls in one file of lines are what it is measured against: what a file costs beside its record is the difference.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.processes import Cost, measure

_FIRST = datetime(2026, 11, 1, tzinfo=UTC)
_READ = """
from pathlib import Path
from pipelines import reference
from pipelines.books import open_books
from pipelines.paths import DataRoot
root = DataRoot(Path(sys.argv[1]))
with open_books(root) as books:
    reference.refresh(books.con, root, books.lake)
    report = books.read_landing()
    print(len(report.files_read), sum(version.records for version in report.files_read))
    assert not report.warnings, report.warnings[:3]
"""


def call(number: int, calls: int, days: int) -> dict[str, object]:
    """A payload as LiteLLM logs it, about 2 kB with its prompt."""
    at = (_FIRST + timedelta(days=days) * (number / calls)).timestamp()
    return {
        "id": f"chatcmpl-{number:09d}",
        "litellm_call_id": f"call-{number:09d}",
        "trace_id": f"trace-{number // 3:09d}",
        "call_type": "acompletion",
        "cache_hit": False,
        "status": "success",
        "custom_llm_provider": "openai",
        "startTime": at,
        "endTime": at + 1.25,
        "completionStartTime": at + 0.5,
        "model": "gpt-4o-2024-08-06",
        "model_group": "chat",
        "api_base": "https://api.openai.com",
        "response_cost": 0.0035,
        "request_tags": ["feature:support"],
        "metadata": {
            "user_api_key_alias": "prod-web",
            "usage_object": {
                "prompt_tokens": 1000 + number % 900,
                "completion_tokens": 100,
                "total_tokens": 1100 + number % 900,
                "prompt_tokens_details": {"cached_tokens": number % 900},
            },
        },
        "messages": [{"role": "user", "content": "a question that is never read " * 40}],
        "response": {"id": f"chatcmpl-{number:09d}"},
    }


def write_files(folder: Path, calls: int, days: int = 14) -> None:
    """One file a call, in folders by day, named like S3 objects of LiteLLM."""
    for number in range(calls):
        record = call(number, calls, days)
        at = datetime.fromtimestamp(float(str(record["startTime"])), UTC)
        path = folder / f"{at:%Y-%m-%d}" / f"time-{at:%H-%M-%S-%f}_{record['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))


def write_lines(path: Path, calls: int, days: int = 14) -> None:
    """The same calls, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for number in range(calls):
            file.write(json.dumps(call(number, calls, days)) + "\n")


def run(files: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder) / "many", Path(folder) / "one"
        write_files(many / "landing" / "litellm" / "prod", files)
        write_lines(one / "landing" / "litellm" / "prod" / "calls.jsonl", files)
        print(f"{files:,} calls of LiteLLM")
        costs = [
            _print("read from one file of lines", measure([sys.executable, "-c", _READ, str(one)]), files),
            _print("read from one file a call", measure([sys.executable, "-c", _READ, str(many)]), files),
            _print("look again, nothing new", measure([sys.executable, "-c", _READ, str(many)]), files),
        ]
        fragments = len(list((many / "lake" / "staged_requests").rglob("*.parquet")))
        print(
            f"  {fragments} fragments; a file costs {(costs[1].cpu_s - costs[0].cpu_s) / files * 1e3:.2f} ms beside its record"
        )


def _print(what: str, cost: Cost, files: int) -> Cost:
    print(
        f"  {what:28s} {cost.cpu_s:8.1f} CPU s ({cost.cpu_s / files * 1e3:5.2f} ms a call) {cost.wall_s:8.1f} s {cost.peak_mib:8,.0f} MiB"
    )
    return cost
