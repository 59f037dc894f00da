"""Every source whose files are lines of JSON: what is wrong in a file costs that line alone, and what is odd but right is read.

The lines are those of each source's example. All files of a source lie in one account under ids of their own and are read
together. Tables, pages of an API and bills have their tables of faults beside the tests of their sources, and below.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest

from benchmarks.sources import LOGS, Log
from pipelines import paths
from pipelines.contract import TOKEN_CLASS_NAMES
from pipelines.paths import DataRoot
from pipelines.sources import sources
from tests.sources.landed import FATES, Landed, read

PROMPT = "this text is not read"
FILES = (*LOGS, Log("outcomes", "2026-11-18.jsonl", 0, "t-4"), Log("requests", "warehouse/2026-11-17.csv", 0, "w-1"))
COUNT = re.compile(
    r'((?:prompt_tokens|input_tokens|inputTokens|inputTokenCount|promptTokenCount|promptTokens|req_units|"input|quantity'
    r'|input_uncached_tokens)\\?"\s*:\s*)(\d+)\b(?!\.)'
)
MONEY = re.compile(r'("(?:cost|spend|total_cost|cost_reported_usd)"\s*:\s*"?)(\d+\.\d+)')
NUMBER = re.compile(r"(:\s*)(\d+)(?=[,}\s])")
# Deeper than Python follows, in what is looked at to recognise a file and in what is larger than that.
DEEP, DEEPEST = (
    {"object": '{"a":' * depth + "1" + "}" * depth, "list": "[" * depth + "]" * depth} for depth in (2_000, 40_000)
)
INSTANT = re.compile(r"2026-11-1[78][T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00| UTC)?")


@dataclass(frozen=True)
class Case:
    """A file made of lines, ``one(number)`` a line under an id of its own: ``fine`` ones, and ``refused`` with such a reason."""

    claim: str
    make: Callable[[Callable[[int], str]], str | bytes]
    fine: int
    refused: int = 0
    reason: str = ""


def line_of(log: Log) -> str:
    """The record as a line, with a prompt in it."""
    path = paths.SOURCES / log.source / "example" / log.path
    if path.suffix == ".csv":
        header, first, *_ = path.read_text(encoding="utf-8").splitlines()
        cells = dict(zip(header.split(","), first.split(","), strict=True))
        return json.dumps({name: cell for name, cell in cells.items() if cell} | {"prompt": PROMPT})
    text = path.read_text(encoding="utf-8").splitlines()[log.record]
    return text if PROMPT in text else text.rstrip().removesuffix("}") + f', "prompt": "{PROMPT}"}}'


def renamed(log: Log, text: str, number: int) -> str:
    """The record under another id of the same form."""
    name = log.id[:-4] + f"{number:04d}" if len(log.id) >= 16 else f"{log.id}-{number}"
    return text.replace(f'"{log.id}"', f'"{name}"')


def added(text: str, more: str) -> str:
    return text.rstrip().removesuffix("}") + f", {more}}}"


def numbered(text: str, number: str) -> str:
    """The record with every number another one."""
    return NUMBER.sub(lambda m: m[1] + number, text)


def torn(text: str) -> str:
    return text[: len(text) * 2 // 3]


# Their calls are lines or rows of a table.
NO_LISTS = {"app_log", "coding_agents", "openai_usage", "outcomes", "requests"}
NUMBERS = ("9223372036854775808", "9" * 300, "1e400", "-9223372036854775809", "NaN", "-Infinity", '"NaN"', '"Infinity"')
NO_FIELD = '"no_field": '
HALF = chr(92) + "ud83d"


def quoted(text: str) -> str:
    """A text as it stands within a text of JSON."""
    return json.dumps(text)[1:-1]


CASES = (
    Case("plain", lambda one: f"{one(1)}\n{one(2)}\n", 2),
    Case("torn", lambda one: f"{one(1)}\n{torn(one(2))}", 1, 1, "not JSON"),
    Case("torn_first", lambda one: f"{one(1)[len(one(1)) // 2 :]}\n{one(2)}\n", 1, 1, "not JSON"),
    Case(
        "latin",
        lambda one: f"{one(1)}\n".encode() + one(2).replace(PROMPT, "caf\xe9").encode("latin-1") + b"\n",
        1,
        1,
        "not UTF-8 (byte 0xe9",
    ),
    Case("escape", lambda one: f"{one(1)}\n{one(2).replace(PROMPT, chr(92) + 'x')}\n{one(3)}\n", 2, 1, "not JSON"),
    Case("other", lambda one: f"{one(1)}\n[1]\n", 1, 1, "a JSON array, expected an object"),
    Case("marked", lambda one: "\ufeff" + f"{one(1)}\n", 1),
    Case("windows", lambda one: f"{one(1)}\r\n\r\n{one(2)}\r\n", 2),
    Case("quotes", lambda one: one(1).replace(PROMPT, "a, 'b'; caf\u00e9") + "\n", 1),
    Case("whole_counts", lambda one: COUNT.sub(r"\1\2.0", one(1)) + "\n", 1),
    Case("tiny_money", lambda one: MONEY.sub(lambda m: m[1] + f"{Decimal(m[2]):e}", one(1)) + "\n", 1),
    Case("utc", lambda one: INSTANT.sub(r"2026-11-18T\1Z", one(1)) + "\n", 1),
    Case("blank", lambda one: INSTANT.sub(r"2026-11-18 \1", one(1)) + "\n", 1),
    Case("offset", lambda one: INSTANT.sub(r"2026-11-18T\1+00:00", one(1)) + "\n", 1),
    Case("day", lambda one: INSTANT.sub(r"2026-11-18", one(1)) + "\n", 1),
    Case("deep_list", lambda one: f"{one(1)}\n{DEEPEST['list']}\n{one(2)}\n", 2, 1, "a JSON array, expected an object"),
    Case("deep_list_first", lambda one: f"{DEEP['list']}\n{one(1)}\n", 1, 1, "a JSON array, expected an object"),
    Case("deepest_list_first", lambda one: f"{DEEPEST['list']}\n{one(1)}\n", 1, 1, "a JSON array, expected an object"),
    Case("deep_torn_first", lambda one: f"{'[' * 80_000}\n{one(1)}\n", 1, 1, "not JSON"),
    # What no source reads of a call may be as it will: the call is booked.
    Case("deep_field", lambda one: f"{one(1)}\n{added(one(2), NO_FIELD + DEEP['object'])}\n{one(3)}\n", 3),
    Case("deep_text", lambda one: f"{one(1)}\n{one(2).replace(PROMPT, quoted(DEEP['object']))}\n{one(3)}\n", 3),
    Case("no_text", lambda one: f"{one(1)}\n{one(2).replace(PROMPT, chr(0))}\n{one(3)}\n", 2, 1, "not JSON"),
    Case("no_lines", lambda one: f"{one(1)}\n{chr(0) * 5000}\n{one(3)}\n", 2, 1, "not JSON"),
    Case("no_character", lambda one: f"{one(1)}\n{one(2).replace(PROMPT, 'a' + chr(92) + 'u0000')}\n", 2),
    Case("half_an_emoji", lambda one: f"{one(1)}\n{one(2).replace(PROMPT, 'cut ' + HALF)}\n", 2),
    Case(
        "half_an_emoji_in_bytes",
        lambda one: one(1).replace(PROMPT, "\ud83d").encode("utf-8", "surrogatepass"),
        0,
        1,
        "not UTF-8",
    ),
    Case("twice", lambda one: f"{one(1)}\n{added(one(2), one(2).strip()[1:-1])}\n", 2),
    Case("marked_within", lambda one: f"{one(1)}\n\ufeff{one(2)}\n{one(3)}\n", 2, 1, "not JSON"),
    Case("marked_windows", lambda one: f"\ufeff{one(1)}\r\n{one(2)}\r\n", 2),
    Case("wide", lambda one: f"{one(1)}\n".encode("utf-16"), 0, 1, "UTF-16, expected UTF-8. Save it as UTF-8"),
    Case("error", lambda one: json.dumps({"error": {"message": "Rate limit", "code": 429}}) + "\n", 0, 1, "expected"),
    Case("nothing", lambda one: "", 0),
    Case("blank_lines", lambda one: "\n \n", 0),
)
NAMES = [log.source for log in FILES]
# Reports of an API as its answers lie in a file.
PAGES = {
    "anthropic_usage": "org-example/usage_report_messages.2026-11.pulled-20261120T060000Z.json",
    "openai_usage": "org-example/costs.2026-11.pulled-20261120T060000Z.json",
    "openrouter": "team/activity_api.pulled-20261121T060000Z.json",
}
# Claim -> the file made of a page, and what is said of it; nothing where all of it is read.
PAGE_CASES: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "page": (str, ""),
    "page_marked": (lambda page: "\ufeff" + page, ""),
    "page_windows": (lambda page: page.replace("\n", "\r\n"), ""),
    "page_packed": (lambda page: gzip.compress(page.encode()), ""),
    "page_torn": (lambda page: page.rstrip()[:-30], "not JSON"),
    "page_error": (
        lambda page: json.dumps({"error": {"message": "Rate limit", "code": 429}}),
        "an error answer of the API",
    ),
    "page_of_a_proxy": (lambda page: "<html><body>502 Bad Gateway</body></html>", "a web page"),
}


def files() -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {}
    for log in FILES:
        text = line_of(log)
        for place, case in enumerate(CASES):

            def one(number: int, log: Log = log, text: str = text, place: int = place) -> str:
                return renamed(log, text, 10 * place + number)

            found[f"{log.source}/all/{case.claim}.jsonl"] = case.make(one)
        # A document without anything of a record, and records whose numbers are none that a column holds.
        plain, *others = (renamed(log, text, 9_100 + number) for number in range(len(NUMBERS) + 3))
        odd = [numbered(other, number) for other, number in zip(others, NUMBERS, strict=False)]
        found[f"{log.source}/all/deep_document.jsonl"] = "\n".join(
            (DEEP["object"], plain, DEEPEST["object"], others[-1])
        )
        found[f"{log.source}/all/numbers.jsonl"] = "\n".join((plain.replace("9100", "9199"), *odd, others[-2]))
        found[f"{log.source}/all/list.json"] = (
            f"[{plain},\n{added(others[0], NO_FIELD + DEEP['object'])},\n{DEEP['object']},\n{others[1]}]"
        )
    # One is enough for all, for the reader of lines is one.
    log = FILES[0]
    found[f"{log.source}/all/long.jsonl"] = renamed(log, line_of(log), 9_001).replace(PROMPT, "x" * 20_000_000) + "\n"
    for source, name in PAGES.items():
        page = (paths.SOURCES / source / "example" / name).read_text(encoding="utf-8")
        for claim, (make, _) in PAGE_CASES.items():
            found[f"{source}/pages/{claim}.json"] = make(page)
        found[f"{source}/pages/page_empty.json"] = json.dumps(
            {"object": "page", "data": [], "has_more": False, "next_page": None}
        )
    return found


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    return read(DataRoot(tmp_path_factory.mktemp("books")), files(), FATES)


@pytest.fixture(scope="module")
def fates(landed: Landed) -> dict[str, dict[str, Any]]:
    """Each file's own row, by its path below ``landing/``."""
    return landed.files()


@pytest.fixture(scope="module")
def records(landed: Landed) -> dict[tuple[str, str], dict[str, Any]]:
    """(source, claim) -> the first record of the file."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for shape in ("requests", "scores"):
        for row in landed.rows(f"staged_{shape}", "source_row"):
            found.setdefault((row["source"], PurePosixPath(row["source_file"]).stem), row)
    return found


def test_every_source_is_here_or_has_a_table_of_its_own():
    """Bills are in test_cloud_bills, traces of Langfuse's other exits in test_langfuse."""
    assert set(sources()) - {log.source for log in FILES} - set(PAGES) == {"focus"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim)
@pytest.mark.parametrize("source", NAMES)
def test_a_fault_costs_its_line_alone(fates, source, case):
    """F8, F10, F14. A line may hold several records, as a trace or a call with its scores."""
    in_a_line = fates[f"{source}/all/plain.jsonl"]["records"] // 2
    file = fates[f"{source}/all/{case.claim}.jsonl"]

    assert (file["records"], file["quarantined"]) == (in_a_line * case.fine + case.refused, case.refused)
    assert case.reason in file["reasons"]


def test_every_record_has_a_fate_and_no_prompt_is_repeated(landed):
    said = "\n".join(landed.report.warnings)

    assert landed.is_conserved()
    assert PROMPT not in said
    assert str(landed.root.path) not in said


@pytest.mark.parametrize("source", NAMES)
def test_counts_with_a_fraction_of_nothing_and_money_with_an_exponent_are_what_they_are(records, source):
    """3.0 is 3, and 1.5e-1 is 0.15."""
    plain = records[source, "plain"]
    for claim in ("whole_counts", "tiny_money", "quotes"):
        for name in [*TOKEN_CLASS_NAMES, "cost_reported_usd", "quantity"]:
            assert records[source, claim].get(name) == plain.get(name), (claim, name)


def test_the_changes_of_counts_and_money_reach_most_sources():
    """Of the others counts are texts, have a fraction already, or are none."""
    lines = {log.source: line_of(log) for log in FILES}

    assert {source for source, text in lines.items() if not COUNT.search(text)} == {
        "otel_genai",
        "outcomes",
        "portkey",
        "requests",
    }
    assert {source for source, text in lines.items() if MONEY.search(text)} >= {
        "langfuse",
        "helicone",
        "litellm",
        "portkey",
    }


@pytest.mark.parametrize("source", NAMES)
def test_an_instant_is_one_in_each_of_its_forms(records, source):
    """E10: with Z, without an offset, with one, and a day, which is its first instant where the instant is written so."""
    at = "scored_at" if source == "outcomes" else "started_at"
    utc = records[source, "utc"][at]

    assert records[source, "blank"][at] == records[source, "offset"][at] == utc
    assert records[source, "day"][at] in (utc, utc.replace(hour=0, minute=0, second=0, microsecond=0))


@pytest.mark.parametrize("source", NAMES)
def test_a_document_nested_thousands_deep_is_one_refused_record_wherever_it_stands(fates, source):
    """Lines: the first and the third of four. A list: the third of four, and the second has a field that is as deep.

    Lines of a coding agent's session that are no answer are none. Lists are no form of some sources.
    """
    in_a_line = fates[f"{source}/all/plain.jsonl"]["records"] // 2
    lines, elements = fates[f"{source}/all/deep_document.jsonl"], fates[f"{source}/all/list.json"]

    assert (lines["records"], lines["quarantined"]) == (2 * in_a_line + 2, 0 if source == "coding_agents" else 2)
    if source in NO_LISTS:
        assert elements["records"] == elements["quarantined"]
    else:
        assert (elements["records"], elements["quarantined"]) == (3 * in_a_line + 1, 1)


@pytest.mark.parametrize("source", NAMES)
def test_numbers_that_no_column_holds_cost_no_neighbour(landed, source):
    """Ten lines: the first and the last are booked; of those between every number is one that is none, or is too large."""
    rows = [row for name in ("requests", "scores") for row in landed.rows(f"staged_{name}")]
    # Of a line with several records the place of each stands above the line's number.
    booked = {
        row["source_row"] % (1 << 32) for row in rows if row["source_file"] == f"landing/{source}/all/numbers.jsonl"
    }

    assert {min(booked), max(booked)} == {1, len(NUMBERS) + 2}


def test_a_line_of_20_megabytes_is_read(landed):
    assert landed.fates()["app_log/all/long.jsonl"] == (1, 1, 0, 0, 0)


@pytest.mark.parametrize("claim", PAGE_CASES)
@pytest.mark.parametrize("source", PAGES)
def test_a_page_is_read_whole_or_refused_with_what_to_do(fates, source, claim):
    plain, file = (fates[f"{source}/pages/{name}.json"] for name in ("page", claim))
    reason = PAGE_CASES[claim][1]

    if reason:
        assert (file["records"], file["quarantined"]) == (1, 1)
        assert reason in file["reasons"]
    else:
        assert (file["records"], file["quarantined"]) == (plain["records"], plain["quarantined"])


@pytest.mark.parametrize("source", PAGES)
def test_an_empty_page_has_no_records(landed, source):
    assert landed.fates()[f"{source}/pages/page_empty.json"] == (0, 0, 0, 0, 0)
