"""A year of weeks built again from Dagster's page: the request that its button makes, a daemon that does the work, the page looked at.

``python -m benchmarks.backfill [FOLDER]``: with a folder, pictures of the pages are put there where Chromium is present.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.books import open_books
from pipelines.paths import DataRoot

CALLS, WEEKS = 1_000, 52
FIRST_WEEK = date(2025, 11, 3)
_PATIENCE_S = 1_800

_NODES = "{ assetNodes { assetKey { path } isPartitioned } }"
_LAUNCH = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
_STATUS = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status error { message } runs { runId status } } }
}"""
_MATERIALISED = """
query($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetMaterializations(limit: 60) {
      partition
      metadataEntries { label ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } }
    }
    assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } }
  } }
}"""
_PAGES = {
    "overview": "/assets/ledger_costs?view=overview",
    "partitions": "/assets/ledger_costs?view=partitions",
    "events": "/assets/ledger_costs?view=events",
    "checks": "/assets/ledger_costs?view=checks",
    "backfills": "/runs?view=backfills",
}


def land(root: DataRoot) -> None:
    """A call every 8 hours and 44 minutes: 1,000 in 52 weeks, two teams, one model in 50 without a price."""
    start = datetime(FIRST_WEEK.year, FIRST_WEEK.month, FIRST_WEEK.day, tzinfo=UTC)
    step = timedelta(weeks=WEEKS) / CALLS
    path = root.landing / "app_log" / "web" / "year.jsonl"
    path.parent.mkdir(parents=True)
    lines = [
        {
            "id": f"c-{number}",
            "timestamp": (start + number * step).isoformat(),
            "provider": "openai",
            "api": "openai.chat",
            "model": "gpt-none-of-these" if number % 50 == 0 else "gpt-4o",
            "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1_000},
            "feature": ("search", "chat")[number % 2],
            "team": ("core", "care")[number % 2],
        }
        for number in range(CALLS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@contextmanager
def started(*command: str, log: Path) -> Iterator[None]:
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(port: int, query: str, **variables: Any) -> dict[str, Any]:
    """What Dagster's page asks of its server, as the page asks it."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        found = json.load(answer)
    if found.get("errors"):
        raise RuntimeError(found["errors"])
    return dict(found["data"])


def wait_for_page(port: int) -> None:
    for _ in range(_PATIENCE_S):
        try:
            ask(port, "{ version }")
        except OSError:
            time.sleep(1)
        else:
            return
    raise RuntimeError("Dagster's page did not come up.")


def backfill(port: int, weeks: list[str]) -> tuple[str, dict[str, Any]]:
    """Ask for all tables of weeks, and wait until they are built."""
    nodes = ask(port, _NODES)["assetNodes"]
    keys = [node["assetKey"] for node in nodes if node["isPartitioned"]]
    params = {"assetSelection": keys, "partitionNames": weeks, "tags": [], "title": f"{len(weeks)} weeks"}
    asked = ask(port, _LAUNCH, params=params)["launchPartitionBackfill"]
    if asked["__typename"] != "LaunchBackfillSuccess":
        raise RuntimeError(asked)
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        found = ask(port, _STATUS, id=asked["backfillId"])["partitionBackfillOrError"]
        if found["status"].startswith(("COMPLETED", "FAILED", "CANCELED")):
            return found["status"], found
        time.sleep(2)
    raise RuntimeError(f"The backfill did not end within {_PATIENCE_S // 60} minutes.")


def pictures(port: int, folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("No Chromium here: no pictures.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in _PAGES.items():
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1500,1300"]
        command += ["--virtual-time-budget=40000", "--timeout=60000", f"--screenshot={folder / name}.png"]
        subprocess.run([*command, f"http://127.0.0.1:{port}{page}"], capture_output=True, check=False, timeout=180)


def main(folder: Path | None) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = DataRoot(Path(made))
        land(root)
        os.environ |= {"TOKENBOOKS_DATA": str(root.path), "NO_PROXY": "127.0.0.1"}
        from assets.instance import environment

        os.environ |= environment(root)
        with open_books(root) as books:
            books.refresh_references()
            books.read_landing()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        programs = Path(sys.executable).parent
        definitions = ("-m", "assets.definitions")
        daemon = (str(programs / "dagster-daemon"), "run", *definitions)
        page = (str(programs / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), *definitions)
        weeks = [(FIRST_WEEK + timedelta(weeks=number)).isoformat() for number in range(WEEKS)]
        with started(*page, log=root.path / "page.log"), started(*daemon, log=root.path / "daemon.log"):
            wait_for_page(port)
            began = time.monotonic()
            status, found = backfill(port, weeks)
            print(f"{status} after {time.monotonic() - began:.0f} s in {len(found['runs'])} runs: {found['runs']}")
            if found["error"]:
                print(found["error"]["message"])
            show(port, "ledger_costs")
            show(port, "mart_showback_weekly")
            show(port, "mart_data_quality_daily")
            if folder:
                pictures(port, folder)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"CPU {used.ru_utime + used.ru_stime:.0f} s, page and daemon included")


def show(port: int, table: str) -> None:
    """What the page knows of a table: weeks, what is plotted of the last ones, checks."""
    found = ask(port, _MATERIALISED, key={"path": [table]})["assetNodeOrError"]
    by_week = {one["partition"]: one["metadataEntries"] for one in reversed(found["assetMaterializations"])}
    print(f"{table}: {len(by_week)} weeks")
    for week in sorted(by_week)[-3:]:
        figures = {
            entry["label"]: entry.get("intValue", entry.get("floatValue"))
            for entry in by_week[week]
            if "intValue" in entry or "floatValue" in entry
        }
        print(f"  {week}: {figures}")
    for check in found["assetChecksOrError"].get("checks", []):
        print(f"  {check['name']}: {(check['executionForLatestMaterialization'] or {}).get('status')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
