"""One run over every example of the formats and every public log and bill: each file is booked, or refused with a reason.

The files lie beside the checkout and may change, so nothing here counts them: what is asserted are identities, and of each
kind of file that cannot be booked the reason that a reader gets. Of large tables the first lines are taken.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pipelines.paths import DataRoot
from pipelines.sources import sources
from tests.sources.landed import FATES, SHARED, Landed, read

EXAMPLES, DATA = SHARED / "formats" / "examples", SHARED / "data"
# Lines of a log or bill that are read.
MOST_LINES = 3_000
# The source that each folder of public data is for; without one: a table of another kind, for whoever lays it there.
SOURCE_OF = {
    "aider/*": "app_log",
    "azure_llm_2023/*": "requests",
    "finops_toolkit/*": "azure_openai",
    "focus/*": "focus",
    "focus_converters/reports_cost-csv*": "focus",
    "focus_converters/*aws*": "aws_bedrock",
    "focus_converters/*-ea-*": "azure_openai",
    "langfuse_seed/*": "langfuse",
    "provider_usage/*": "app_log",
    "tracelab/*": "coding_agents",
    "*": "requests",
}
# Files of which nothing can be booked, and what must be said of each. Of any other file every record is read.
REFUSED = {
    "*.md": "a text for people (.md), expected an export",
    "*.txt": "",
    # Four columns of a report, a rate card, and parts of a specification: no bill and no log.
    "*/cur2_iam_principal_rows*": "a header without line_item_usage_start_date",
    "*/cur_row.marketplace*": "missing line_item_usage_start_date",
    "*/vertex_skus_observed.json": "rows without billing_account_id",
    "*/schema_*.openapi.json": 'no "data" list, expected pages of /v1/organization/',
    "*/schema_*Result.example.json": 'no "data" list, expected pages of /v1/organization/',
    "*/schema_Batch.example.invalid.json": "not JSON",
    # Logs of other tools, which name no provider, and samples without an instant.
    "*/aider/*": "records with the fields event, properties, time, user_id, expected an app_log with id, timestamp",
    "*/provider_usage/*": "missing id, timestamp, provider",
    "*/azure_llm_2023/*": "a header without source_row_id, started_at, provider, model_served (TIMESTAMP,",
    "*/mooncake/*": "records with the fields hash_ids, input_length, output_length, timestamp, expected canonical",
    "*/ragpulse/*": ", expected canonical requests with source_row_id",
    "*/servegen/*": "a header without source_row_id, started_at, provider, model_served",
    "*/vidur/*": "a header without source_row_id, started_at, provider, model_served (num_prefill_tokens,",
    # Another cloud's cost report, and sessions that were spread over several lines for people to read.
    "*/focus_converters/reports_cost-csv*": "a header without BilledCost",
    "*/tracelab/*": "expected a session log of Claude Code (lines with sessionId and message) or of Codex",
}
# Files of which single records are refused.
PARTLY = {
    "*/agent_jsonl_fixtures.jsonl": "missing timestamp",
    "focus/*/semantic_bad.csv": "expected an instant after ChargePeriodStart",
}
# What is found and what is expected, or what is missing: something that can be mended.
ACTIONABLE = re.compile(r"expected |missing |without |not JSON|none of the known|pull it again")

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real files beside the checkout")


def first_lines(path: Path) -> bytes:
    packed = path.suffix == ".gz"
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    if {".jsonl", ".csv"} & set(path.suffixes) and content.count(b"\n") > MOST_LINES:
        content = b"".join(content.splitlines(keepends=True)[:MOST_LINES])
    return gzip.compress(content, mtime=0) if packed else content


def shared_files() -> Iterator[tuple[str, bytes]]:
    for path in sorted(path for path in EXAMPLES.rglob("*") if path.is_file()):
        source, *folders = path.relative_to(EXAMPLES).parts
        # Files of one month stand in for each other; so each has an account.
        account = path.name.replace(".", "_") if source == "focus" else "examples"
        yield "/".join([source, account, *folders]), first_lines(path)
    for path in sorted(path for path in DATA.rglob("*") if path.is_file() and path.parent != DATA):
        name = path.relative_to(DATA).as_posix()
        yield f"{_said(SOURCE_OF, name)}/{name}", first_lines(path)


def _said(table: Mapping[str, str], name: str) -> str | None:
    return next((said for pattern, said in table.items() if fnmatch(name, pattern)), None)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    return read(DataRoot(tmp_path_factory.mktemp("books")), dict(shared_files()), FATES)


def test_every_file_of_the_formats_is_of_a_source_and_has_a_row(landed):
    laid = {name for name, _ in shared_files()}

    assert set(landed.files()) == laid
    assert {name.split("/")[0] for name in laid} <= set(sources())


def test_every_record_of_every_file_has_one_fate(landed):
    """records = booked + duplicate + not billable + quarantined, for each file."""
    assert {name: counts for name, counts in landed.fates().items() if counts[0] != sum(counts[1:])} == {}


def test_a_record_that_is_not_booked_has_a_reason(landed):
    for name, file in landed.files().items():
        if file["booked"] < file["records"]:
            assert file["reasons"], name


def test_only_what_is_no_log_and_no_bill_is_refused_and_the_reason_says_what_is_missing(landed):
    for name, file in landed.files().items():
        wanted = _said(REFUSED, name)
        if wanted is None and _said(PARTLY, name) is None:
            assert file["quarantined"] == 0, (name, file["reasons"])
        elif wanted is None:
            assert 0 < file["quarantined"] < file["records"], name
            assert str(_said(PARTLY, name)) in file["reasons"]
        else:
            assert file["quarantined"] == file["records"] > 0, name
            assert wanted in file["reasons"], (name, file["reasons"])


def test_every_refusal_says_what_was_found_and_what_to_do(landed):
    refused = {name: file["reasons"] for name, file in landed.files().items() if file["quarantined"]}

    assert {name: reason for name, reason in refused.items() if not ACTIONABLE.search(reason)} == {}
    warned = "\n".join(landed.report.warnings)
    assert [name for name in refused if f"landing/{name}" not in warned] == []
    assert str(landed.root.path) not in warned


def test_every_source_of_the_examples_is_read(landed):
    """The lines of a general bill are of other services, and a call that two tools logged is booked once."""
    examples = [(name, file) for name, file in landed.files().items() if (EXAMPLES / name.split("/")[0]).is_dir()]

    read_of = {name.split("/")[0] for name, file in examples if file["records"] > file["quarantined"]}

    assert read_of == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}


def test_files_that_keep_the_rules_of_focus_are_read_whole(landed):
    """G17: the files that pass the rules, and those whose faults leave money and time readable, lose no record."""
    files = {name.split("/")[-1]: file for name, file in landed.files().items() if name.startswith("focus/")}
    passed = ("ok_float.csv", "bom.csv", "dropped_conditional.csv", "ok.parquet", "decimal.parquet", "focus14.csv")
    readable = ("bad.csv", "offset_dt.csv", "int_costs.csv")

    for name in (*passed, *readable):
        assert (files[name]["quarantined"], files[name]["duplicate"]) == (0, 0), (name, files[name]["reasons"])
