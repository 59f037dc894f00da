"""The life of a landing file: read once, read in pieces, copied, replaced, emptied, deleted, and what of it stays private.

What a wrong record becomes is in test_bad_input.py.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bad_input import DAY, FATES_OF_RECORDS, NOW, bucket, call, cost, lines, page, used, zstd

from pipelines import landing, reference
from pipelines.books import Books, open_books
from pipelines.landing import Register
from pipelines.paths import DataRoot
from pipelines.reading import ReadReport
from pipelines.records import files
from pipelines.runner import build
from tests.sources.landed import rows

LATER = NOW + timedelta(days=30)
REQUESTS = (
    "ledger_models",
    "ledger_pulls",
    "ledger_bills",
    "ledger_billing_accounts",
    "ledger_superseded_requests",
    "ledger_requests",
)
LINEAGE = ("source_file", "source_file_sha256", "source_row")
Fates = dict[str, tuple[int, int, int, int, int]]


def land(root: DataRoot, name: str, content: str | bytes, source: str = "app_log") -> Path:
    path = root.landing / source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def make(books: Books, tables: Sequence[str]) -> None:
    for name in tables:
        build(books.con, books.lake, books.planner, books.plan(name))


def read(root: DataRoot, *, full: bool = False, now: datetime = NOW) -> tuple[ReadReport, Fates]:
    """One run up to ``ledger_files``: the report, and by path (records, booked, duplicate, not billable, quarantined)."""
    with open_books(root) as books:
        report = books.read_landing(full=full, now=now)
        make(books, FATES_OF_RECORDS)
    return report, fates(root)


def fates(root: DataRoot, where: str = "state <> 'replaced'") -> Fates:
    found = {}
    for row in rows(root, "ledger_files", where=where):
        counts = (row["records"], row["booked"], row["duplicate"], row["not_billable"], row["quarantined"])
        assert counts[0] == sum(counts[1:]), f"{row['path']}: every record has one fate"
        found[row["path"].removeprefix("landing/").removeprefix("app_log/")] = counts
    return found


def versions(root: DataRoot) -> dict[str, dict[str, Any]]:
    return {
        row["path"].removeprefix("landing/app_log/"): row
        for row in rows(root, "staged_files", where="state <> 'replaced'")
    }


def staged(root: DataRoot, shape: str = "requests", *, without: Sequence[str] = ()) -> list[dict[str, Any]]:
    found = [
        {name: value for name, value in row.items() if name not in without} for row in rows(root, f"staged_{shape}")
    ]
    return sorted(found, key=lambda row: str(sorted(row.items(), key=lambda item: item[0])))


def ids(root: DataRoot) -> list[str]:
    return sorted(row["source_row_id"] for row in rows(root, "staged_requests"))


def fragments(root: DataRoot) -> dict[str, bytes]:
    return {
        path.relative_to(root.path).as_posix(): path.read_bytes()
        for path in root.lake.rglob("*.parquet")
        if path.parent.parent.name.startswith("staged_")
    }


# ---- one content, many forms
def test_plain_gzip_and_zstd_give_the_same_rows(tmp_path):
    text = lines(*(call(number, task_id=f"t-{number}", metadata={"language": "de"}) for number in range(50)))
    forms = {"plain": text.encode(), "gzip": gzip.compress(text.encode()), "zstd": zstd(text)}

    found = []
    for name, content in forms.items():
        root = DataRoot(tmp_path / name)
        land(root, "calls.jsonl", content)
        read(root)
        found.append(staged(root, without=("source_file_sha256",)))

    assert len(found[0]) == 50
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("wrong", "pack"),
    [([], str.encode), ([0, 63, 99], str.encode), ([7], lambda text: gzip.compress(text.encode()))],
    ids=["plain", "plain, wrong at both ends", "gzip"],
)
def test_a_file_in_pieces_gives_the_rows_and_line_numbers_of_one_piece(tmp_path, monkeypatch, wrong, pack):
    """100 lines of about 260 bytes in pieces of 8,000 bytes, with a blank line behind each tenth."""
    texts = [call(number, task_id=f"t-{number}") if number not in wrong else "{" for number in range(100)]
    content = pack("".join(text + "\n" * (1 + (number % 10 == 9)) for number, text in enumerate(texts)))
    whole, pieces = DataRoot(tmp_path / "whole"), DataRoot(tmp_path / "pieces")
    land(whole, "calls.jsonl", content)
    land(pieces, "calls.jsonl", content)

    _, fates_of_whole = read(whole)
    monkeypatch.setattr(files, "PIECE_BYTES", 8_000)
    monkeypatch.setattr(files, "_BLOCK_BYTES", 700)
    monkeypatch.setattr(landing, "PIECE_BYTES", 8_000)
    monkeypatch.setattr(landing, "_BLOCK_BYTES", 700)
    _, fates_of_pieces = read(pieces)

    assert len(fragments(pieces)) > len(fragments(whole)) + 1
    assert staged(pieces) == staged(whole)
    assert staged(pieces, "refusals") == staged(whole, "refusals")
    assert fates_of_pieces == fates_of_whole == {"calls.jsonl": (100, 100 - len(wrong), 0, 0, len(wrong))}
    assert {row["source_row_id"]: row["source_row"] for row in staged(pieces)}["c-98"] == 98 + 9 + 1


def test_a_file_that_is_cut_in_its_last_piece_keeps_the_pieces_before(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIECE_BYTES", 20_000)
    monkeypatch.setattr(files, "_BLOCK_BYTES", 10_000)
    packed = gzip.compress(lines(*(call(number, task_id=os.urandom(20).hex()) for number in range(1_000))).encode())
    root = DataRoot(tmp_path / "books")
    land(root, "calls.gz", packed[: len(packed) * 9 // 10])

    report, found = read(root)

    count, booked, _, _, quarantined = found["calls.gz"]
    assert (booked, quarantined) == (count - 1, 1)
    assert 800 < booked < 950
    assert f"line {count}: the gzip stream ends early" in report.warnings[0]
    assert sorted(row["source_row"] for row in staged(root)) == list(range(1, count))


def test_the_quick_and_the_careful_way_give_the_same_rows(tmp_path):
    """The same records; one file has a torn line at its end and is read line by line."""
    odd = [
        call(1, id=5, attempt="2", metadata={"language": "de", "long": "x" * 300, "list": [1], "object": {"a": 1}}),
        call(2, timestamp="2026-11-18T12:00:00+01:00", step_index=3.0, http_status="200", user_id="u-9"),
        call(3, usage=None, feature={"a": 1}, language="top level", tags=["x"]),
        call(4, usage={"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 3}, provider="Anthropic"),
        call(5, batch=True, cost_usd=0.01, trace_id="0AF76519-16CD43DD8448EB211C80319C", prompt="ünïcödé \u0000"),
    ]
    found = []
    for name, more in (("quick", []), ("careful", ['{"id": '])):
        root = DataRoot(tmp_path / name)
        land(root, "calls.jsonl", lines(*odd, *more))
        root.settings.write_text('keep_attributes = ["language", "long", "list", "object"]\n')
        read(root)
        found.append(staged(root, without=("source_file_sha256",)))

    assert len(found[0]) == 5
    assert found[0] == found[1]


# ---- the same bytes, other paths
def test_the_same_bytes_under_two_paths_are_booked_once(root):
    for name in ("a.jsonl", "b.jsonl"):
        land(root, name, lines(call(1), call(2)))

    _, found = read(root)

    assert found == {"a.jsonl": (2, 2, 0, 0, 0), "b.jsonl": (2, 0, 2, 0, 0)}
    assert ids(root) == ["c-1", "c-2"]


def test_a_copy_that_comes_later_is_known_as_one(root):
    land(root, "a.jsonl", lines(call(1), call(2)))
    read(root)
    land(root, "b.jsonl", lines(call(1), call(2)))

    report, found = read(root)

    assert report.files_read == []
    assert found == {"a.jsonl": (2, 2, 0, 0, 0), "b.jsonl": (2, 0, 2, 0, 0)}
    with open_books(root) as books:
        assert books.news() == []


def test_a_renamed_file_stays_booked_once(root):
    path = land(root, "a.jsonl", lines(call(1), call(2)))
    read(root)
    path.rename(path.with_name("b.jsonl"))

    _, found = read(root)

    assert found == {"a.jsonl": (2, 2, 0, 0, 0), "b.jsonl": (2, 0, 2, 0, 0)}
    assert ids(root) == ["c-1", "c-2"]


def test_a_copy_of_a_file_that_cannot_be_read_is_refused_too(root):
    land(root, "a.csv", "date,amount\n1,2\n")
    land(root, "b.csv", "date,amount\n1,2\n")

    _, found = read(root)

    assert found == {"a.csv": (1, 0, 0, 0, 1), "b.csv": (1, 0, 0, 0, 1)}


def test_a_copy_takes_over_when_the_first_path_gets_new_bytes(root):
    land(root, "a.jsonl", lines(call(1)))
    land(root, "b.jsonl", lines(call(1)))
    read(root)
    land(root, "a.jsonl", lines(call(2), call(3)))

    _, found = read(root)

    assert found == {"a.jsonl": (2, 2, 0, 0, 0), "b.jsonl": (1, 1, 0, 0, 0)}
    assert ids(root) == ["c-1", "c-2", "c-3"]


def test_two_files_that_change_places_keep_their_records(root):
    land(root, "a.jsonl", lines(call(1)))
    land(root, "b.jsonl", lines(call(2), call(3)))
    read(root)
    land(root, "a.jsonl", lines(call(2), call(3)))
    land(root, "b.jsonl", lines(call(1)))

    _, found = read(root)

    assert found == {"a.jsonl": (2, 2, 0, 0, 0), "b.jsonl": (1, 1, 0, 0, 0)}
    assert ids(root) == ["c-1", "c-2", "c-3"]


@pytest.mark.parametrize("again", ["full", "settings"])
@pytest.mark.parametrize("gone", [False, True])
def test_copies_stay_copies_when_everything_is_read_again(root, again, gone):
    """By --full, or because a setting changes how files are read; also where the first of the two paths is gone."""
    path = land(root, "a.jsonl", lines(call(1, user_id="u-1"), call(2)))
    land(root, "b.jsonl", lines(call(1, user_id="u-1"), call(2)))
    land(root, "c.jsonl", lines(call(3)))
    read(root)
    if gone:
        path.unlink()
    if again == "settings":
        root.settings.write_text("keep_user_ids = true\n")

    _, found = read(root, full=again == "full")

    assert sorted([found["a.jsonl"], found["b.jsonl"]]) == [(2, 0, 2, 0, 0), (2, 2, 0, 0, 0)]
    assert found["c.jsonl"] == (1, 1, 0, 0, 0)
    assert ids(root) == ["c-1", "c-2", "c-3"]
    if again == "settings":
        assert {row["user_id"] for row in staged(root)} == {"u-1", None}


def test_the_same_bytes_in_two_accounts_are_two_things(root):
    land(root, "web/calls.jsonl", lines(call(1)))
    land(root, "api/calls.jsonl", lines(call(1)))

    _, found = read(root)

    assert found == {"web/calls.jsonl": (1, 1, 0, 0, 0), "api/calls.jsonl": (1, 1, 0, 0, 0)}
    assert {(row["source_account"], row["source_row_id"]) for row in staged(root)} == {("web", "c-1"), ("api", "c-1")}


# ---- the same path, other bytes
def test_new_bytes_take_the_place_of_the_old_rows(root):
    land(root, "a.jsonl", lines(call(1), call(2)))
    read(root)
    land(root, "a.jsonl", lines(call(2), call(3), call(4)))

    _, found = read(root)

    assert found == {"a.jsonl": (3, 3, 0, 0, 0)}
    assert fates(root, "state = 'replaced'") == {"a.jsonl": (2, 0, 2, 0, 0)}
    assert ids(root) == ["c-2", "c-3", "c-4"]


@pytest.mark.parametrize("changed", [["a"], ["a", "b"], ["a", "b", "c"]], ids=len)
def test_a_replaced_file_leaves_the_others_of_its_batch_alone(root, changed):
    for name in "abc":
        land(root, f"{name}.jsonl", lines(call(1, id=f"{name}-old"), "{"))
    read(root)
    for name in changed:
        land(root, f"{name}.jsonl", lines(call(1, id=f"{name}-new")))

    _, found = read(root)

    assert ids(root) == sorted(f"{name}-{'new' if name in changed else 'old'}" for name in "abc")
    assert found == {f"{name}.jsonl": (1, 1, 0, 0, 0) if name in changed else (2, 1, 0, 0, 1) for name in "abc"}


@pytest.mark.parametrize("empty", [b"", b"\n", gzip.compress(b"")], ids=["no bytes", "a blank line", "packed"])
def test_an_emptied_file_takes_its_rows_out(root, empty):
    """From a batch with another one, which stays."""
    land(root, "a.jsonl", lines(call(1), call(2)))
    land(root, "b.jsonl", lines(call(3)))
    read(root)
    land(root, "a.jsonl", empty)

    _, found = read(root)

    assert found["a.jsonl"] == (0, 0, 0, 0, 0)
    assert ids(root) == ["c-3"]


def test_a_deleted_file_keeps_its_rows(root):
    path = land(root, "a.jsonl", lines(call(1)))
    read(root)
    path.unlink()

    _, found = read(root, full=True)

    assert found == {"a.jsonl": (1, 1, 0, 0, 0)}
    assert ids(root) == ["c-1"]


def test_of_a_batch_the_deleted_file_keeps_its_rows_when_the_other_is_read_again(root):
    path = land(root, "a.jsonl", lines(call(1), "{"))
    land(root, "b.jsonl", lines(call(2)))
    read(root)
    path.unlink()

    _, found = read(root, full=True)

    assert found == {"a.jsonl": (2, 1, 0, 0, 1), "b.jsonl": (1, 1, 0, 0, 0)}
    assert ids(root) == ["c-1", "c-2"]


def test_bytes_that_come_back_are_the_version_they_were(root):
    """First seen on 1 December: a record of the 3rd was refused then, and stays refused when the bytes come back."""
    first = lines(call(1), call(2, timestamp="2026-12-03T00:00:00Z"))
    for content, now in ((first, NOW), (lines(call(9)), LATER), (first, LATER)):
        land(root, "a.jsonl", content)
        _, found = read(root, now=now)

    assert found == {"a.jsonl": (2, 1, 0, 0, 1)}
    assert versions(root)["a.jsonl"]["first_seen_at"] == NOW


def test_a_mended_file_leaves_no_list_of_refusals(root):
    land(root, "a.jsonl", lines(call(1), "{"))
    read(root)
    assert [path.name for path in root.quarantine.rglob("*.jsonl")] == ["a.jsonl.jsonl"]
    land(root, "a.jsonl", lines(call(1), call(2)))

    read(root)

    assert list(root.quarantine.rglob("*.jsonl")) == []


def test_files_of_one_name_have_lists_of_their_own(root):
    land(root, "web/calls.jsonl", lines(call(1), "{"))
    land(root, "api/calls.jsonl", lines(call(1), "{", "{"))

    read(root)

    listed = {path.name: len(path.read_text().splitlines()) for path in (root.quarantine / "app_log").glob("*.jsonl")}
    assert listed == {"web__calls.jsonl.jsonl": 1, "api__calls.jsonl.jsonl": 2}


# ---- read once
def test_what_is_known_is_not_read_again(root):
    path = land(root, "a.jsonl", lines(call(1)))
    read(root)
    before = fragments(root)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))

    report, _ = read(root, now=LATER)

    assert report.files_read == []
    assert {name: content for name, content in fragments(root).items() if "staged_files" not in name} == before
    with open_books(root) as books:
        assert books.news() == []


def test_a_full_run_reads_all_again_into_the_same_bytes(root):
    """Also where a modification time has changed: what counts is when the bytes were first seen and pulled."""
    land(root, "web/a.jsonl", lines(call(1), call(2), "{"))
    land(root, "web/b.jsonl.gz", gzip.compress(lines(call(3)).encode()))
    path = land(root, "org/costs.json", json.dumps(page(bucket(cost()))), "openai_usage")
    read(root)
    before, known = fragments(root), versions(root)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))

    report, _ = read(root, full=True, now=LATER)

    assert len(report.files_read) == 3
    assert fragments(root) == before
    assert {name: row["first_seen_at"] for name, row in versions(root).items()} == dict.fromkeys(known, NOW)
    assert {name: row["pulled_at"] for name, row in versions(root).items()} == {
        n: r["pulled_at"] for n, r in known.items()
    }


@pytest.mark.parametrize(("full", "saves"), [(False, 0), (True, 0), (True, 1)])
def test_a_run_that_is_killed_leaves_nothing_half_read(root, monkeypatch, full, saves):
    """It dies between the fragments of a batch and the register that names them; the next run is whole."""
    for name in "abc":
        land(root, f"{name}.jsonl", lines(call(1, id=name)))
    land(root, "web/d.jsonl", lines(call(1, id="d")))
    read(root)
    land(root, "a.jsonl", lines(call(1, id="new")))
    (root.landing / "app_log" / "b.jsonl").unlink()
    real, left = Register.save, [saves]

    def dying(register: Register) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(register)

    with monkeypatch.context() as patched:
        patched.setattr(Register, "save", dying)
        with pytest.raises(KeyboardInterrupt), open_books(root) as books:
            books.read_landing(full=full, now=NOW)

    _, found = read(root)

    assert ids(root) == ["b", "c", "d", "new"]
    assert found == dict.fromkeys(("a.jsonl", "b.jsonl", "c.jsonl", "web/d.jsonl"), (1, 1, 0, 0, 0))
    named = {row["batch"] for row in versions(root).values()}
    assert {Path(name).stem for name in fragments(root) if "staged_requests" in name} == named


def test_a_file_that_cannot_be_opened_stops_no_other(root, monkeypatch):
    """A stand-in for rights that are missing: whoever runs the tests may have them all."""
    land(root, "a.jsonl", lines(call(1)))
    land(root, "b.jsonl", lines(call(2)))
    real: Callable[[Path], landing.Contents] = landing.contents_of

    def refused(path: Path) -> landing.Contents:
        if path.name == "a.jsonl":
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.reading.contents_of", refused)
        report, found = read(root)

    assert found == {"b.jsonl": (1, 1, 0, 0, 0)}
    assert report.warnings == [
        "landing/app_log/a.jsonl: it cannot be opened (Permission denied). The other files were read; the next run tries it again."
    ]
    assert read(root)[1] == {"a.jsonl": (1, 1, 0, 0, 0), "b.jsonl": (1, 1, 0, 0, 0)}


# ---- names
def test_accounts_are_named_by_folders_and_not_by_what_an_export_makes(root):
    folders = [
        "web",
        "web/2026",
        "2026-11-18",
        "2026/11/18",
        "20261118",
        "traces",
        "observations/web",
        "day=2026-11-18",
        ".",
    ]
    for number, folder in enumerate(folders):
        land(root, f"{folder}/{number}.jsonl", lines(call(number)))

    read(root)

    accounts = {row["source_row_id"]: row["source_account"] for row in staged(root)}
    assert accounts == {f"c-{number}": "web" if number < 2 else "default" for number in range(len(folders))}


def test_a_file_may_have_any_name(root):
    """Letters that mean something to a shell or to SQL; in a batch and alone, as lines and as a table."""
    names = ["calls [1].jsonl", "calls*.jsonl", "it's?.jsonl", "{a,b}.jsonl", "calls 1.jsonl", "ünï [cö]*dé.csv"]
    names += ["web [1]/b/c/d.jsonl", "api*/calls?.csv"]
    header = "id,timestamp,provider,model,usage\n"
    for number, name in enumerate(names):
        is_table = name.endswith("csv")
        land(root, name, header + f"c-{number},2026-11-18,openai,gpt-4o,\n" if is_table else lines(call(number)))

    _, found = read(root)

    assert found == dict.fromkeys(names, (1, 1, 0, 0, 0))
    assert ids(root) == [f"c-{number}" for number in range(len(names))]


def test_hidden_files_are_left_alone_and_unknown_folders_are_named(root):
    land(root, ".DS_Store", b"\0")
    land(root, "web/.calls.jsonl.part", lines(call(1)))
    land(root, "a.jsonl", lines(call(1)), "app_logs")

    report, found = read(root)

    assert found == {}
    [warning] = report.warnings
    assert warning.startswith("landing/app_logs/: no source has that name")
    assert "landing/app_log/" in warning


# ---- what is kept of free-form fields
METADATA = {"language": "de", "note": "private", "nested": {"a": "private"}, "long": "x" * 300}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.toml", 'keep_attributes = ["language"]\n'),
        ("reference/dimensions.csv", "dimension,attribute,why\nlanguage,language,\n"),
        (
            "reference/attribution_rules.csv",
            "priority,source,match_field,match_kind,match_value,dimension,dimension_value\n"
            "1,,attributes.language,exact,de,team,berlin\n",
        ),
    ],
)
def test_an_attribute_is_kept_where_a_setting_a_dimension_or_a_rule_names_it(root, name, content):
    """Naming it reads the file again."""
    land(root, "a.jsonl", lines(call(1, metadata=METADATA), call(2)))
    read(root)
    assert [row["attributes"] for row in staged(root)] == [{}, {}]
    path = root.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)

    with open_books(root) as books:
        problems = reference.refresh(books.con, root, books.lake)
        books.read_landing(now=NOW)

    assert problems == []
    assert {row["source_row_id"]: row["attributes"] for row in staged(root)} == {"c-1": {"language": "de"}, "c-2": {}}


def test_of_an_attribute_200_characters_of_a_single_value_are_kept(root):
    """F11: of a key that is there twice, the last. Objects and lists are no single values."""
    twice = call(2).replace('"prompt"', '"metadata": {"language": "de", "x": 1, "language": "en"}, "prompt"')
    land(
        root,
        "a.jsonl",
        lines(call(1, metadata=METADATA), twice, call(3, language="fr"), call(4, metadata=json.dumps(METADATA))),
    )
    root.settings.write_text('keep_attributes = ["language", "long", "nested"]\n')

    read(root)

    kept = {row["source_row_id"]: row["attributes"] for row in staged(root)}
    assert kept["c-1"] == kept["c-4"] == {"language": "de", "long": "x" * 200}
    assert kept["c-2"] == {"language": "en"}
    assert kept["c-3"] == {"language": "fr"}


def test_names_of_attributes_may_be_any_text(root):
    """Names of our own columns, of fields in other letters, and with quotes among them."""
    names = ["place", "filename", "problem", "line", "Feature", "further", 'a"b', "c'd", "e.f", "Language", "language"]
    for name in ("a.jsonl", "b.jsonl"):
        land(root, name, lines(call(1, id=name, metadata={key: key.upper() for key in names})))
    root.settings.write_text(f"keep_attributes = {json.dumps(names)}\n")

    read(root)

    assert [row["attributes"] for row in staged(root)] == [{key: key.upper() for key in sorted(names)}] * 2


def test_no_text_of_a_prompt_leaves_landing(root):
    """In lines that are booked, refused and torn; in fields of all names; in the values that are cut and kept."""
    secret = "what nobody may read"
    fields = dict.fromkeys(("prompt", "messages", "input", "output", "completion", "response", "anything"), secret)
    texts = [
        call(1, **fields, metadata={"note": secret}),
        call(2, **fields, timestamp="tomorrow"),
        call(3, **fields)[:-2],
        json.dumps([secret]),
        call(4, usage=None, **fields).replace("}", r', "x": "\q"}'),
    ]
    land(root, "a.jsonl", lines(*texts))
    land(root, "b.jsonl", json.dumps([fields]))
    land(root, "org/costs.json", json.dumps({"error": {"message": secret}}), "openai_usage")
    land(root, "org/usage.json", json.dumps({"object": "page", "data": [secret]})[:-1], "openai_usage")

    report, _ = read(root)

    made = [path for folder in (root.lake, root.quarantine) for path in folder.rglob("*") if path.is_file()]
    assert [path for path in made if secret.encode() in path.read_bytes()] == []
    for path in (path for path in made if path.suffix == ".parquet"):
        with duckdb.connect() as con:
            assert secret not in str(con.execute(f"from read_parquet('{path}')").fetchall())
    assert secret not in str(report)


def test_user_ids_are_pseudonyms_that_the_key_decides(root):
    """``undefined`` and blanks are nobody (E7)."""
    land(
        root,
        "a.jsonl",
        lines(*(call(n, user_id=user) for n, user in enumerate(["u-9", "u-9", "undefined", " ", None]))),
    )

    def users() -> list[str | None]:
        read(root)
        return [row["user_id"] for row in sorted(rows(root, "staged_requests"), key=lambda row: row["source_row"])]

    plain = users()
    (root.path / "secret").write_text("a key\n")
    root.settings.write_text('pseudonym_key_file = "secret"\n')
    keyed = users()
    root.settings.write_text("keep_user_ids = true\n")

    assert plain[0] == plain[1] != "u-9"
    assert keyed[0] == keyed[1] not in (plain[0], "u-9")
    assert plain[2:] == keyed[2:] == [None] * 3
    assert users() == ["u-9", "u-9", None, None, None]


# ---- pulls of a bill
def pull(root: DataRoot, name: str, at: str, *buckets: Any) -> None:
    land(root, f"org/{name}.pulled-{at}T060000Z.json", json.dumps(page(*buckets)), "openai_usage")


def booked(root: DataRoot, table: str) -> list[dict[str, Any]]:
    """One run up to ``ledger_bills`` and ``ledger_usage``, whose rows in time order come back."""
    with open_books(root) as books:
        books.refresh_references()
        books.read_landing(now=NOW)
        make(books, [*FATES_OF_RECORDS, "ledger_models", "ledger_bills", "ledger_usage"])
    fates(root)
    return sorted(rows(root, table), key=lambda row: str(row.get("charge_start_at") or row.get("bucket_start_at")))


def test_the_newest_pull_of_a_day_counts_as_a_whole(root):
    """F26: 18 November was 5 + 3, is now 4: the lower total wins, and the line that is gone is gone. The 17th stays."""
    before = {"start": DAY - 86_400, "end": DAY}
    pull(root, "costs", "20261120", bucket(cost(1), **before), bucket(cost(5), cost(3, "web search tool calls")))
    pull(root, "costs", "20261121", bucket(cost(4)))

    rows = booked(root, "ledger_bills")

    assert [(row["charge_start_at"].day, int(row["billed_amount"])) for row in rows] == [(17, 1), (18, 4)]
    assert fates(root)["openai_usage/org/costs.pulled-20261120T060000Z.json"] == (3, 1, 2, 0, 0)


def test_a_bucket_that_a_later_pull_shows_empty_is_gone(root):
    after = {"start": DAY + 86_400, "end": DAY + 2 * 86_400}
    pull(root, "costs", "20261120", bucket(cost(5)))
    pull(root, "costs", "20261121", bucket(), bucket(cost(7), **after))

    assert [int(row["billed_amount"]) for row in booked(root, "ledger_bills")] == [7]


def test_the_older_pull_may_land_last(root):
    pull(root, "costs", "20261121", bucket(cost(4)))
    booked(root, "ledger_bills")
    pull(root, "costs", "20261120", bucket(cost(5)))

    assert [int(row["billed_amount"]) for row in booked(root, "ledger_bills")] == [4]


def test_of_pulls_of_several_grains_one_counts(root):
    """B12: costs by line item, usage with the most dimensions, whichever is newer."""
    pull(root, "costs_by_item", "20261120", bucket(cost(3), cost(2, "web search tool calls")))
    pull(root, "costs", "20261121", bucket(cost(5, None, project_id="p")))
    pull(root, "usage_completions_by_model", "20261120", bucket(used(), used(model="gpt-5")))
    pull(root, "usage_completions", "20261121", bucket(used(model=None)))

    bills = booked(root, "ledger_bills")

    assert sorted(int(row["billed_amount"]) for row in bills) == [2, 3]
    assert sorted(row["model_raw"] for row in booked(root, "ledger_usage")) == ["gpt-4o", "gpt-5"]


def test_buckets_of_one_minute_and_of_an_hour_lie_side_by_side(root):
    hour = [bucket(used(), start=DAY + 60 * minute, end=DAY + 60 * (minute + 1)) for minute in range(60)]
    pull(root, "usage_completions", "20261120", *hour)

    rows = booked(root, "ledger_usage")

    assert (len(rows), sum(row["requests"] for row in rows)) == (60, 180)


# ---- order and division of the records do not matter
def ledger_requests(root: DataRoot, files: dict[str, bytes]) -> list[dict[str, Any]]:
    for name, content in files.items():
        land(root, name, content)
    with open_books(root) as books:
        books.refresh_references()
        books.read_landing(now=NOW)
        make(books, REQUESTS)
    return sorted(rows(root, "ledger_requests"), key=lambda row: row["request_key"])


CALLS = [
    {
        "id": f"c-{number % 7}",
        "timestamp": f"2026-11-{17 + number % 3}T0{number}:00:00Z",
        "logged_at": f"2026-11-20T00:0{number // 7}:00Z",
    }
    | {"provider": "openai", "model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": number, "completion_tokens": 2}}
    | {"feature": "search", "prompt": "ä" * number, "task_id": f"t-{number // 2}"}
    for number in range(10)
]


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Ten records of seven calls: three of them are newer versions."""
    root = DataRoot(tmp_path_factory.mktemp("plain"))
    found = ledger_requests(root, {"all.jsonl": "".join(json.dumps(record) + "\n" for record in CALLS).encode()})
    assert [row["input_total_tokens"] for row in found if row["source_row_id"] == "c-0"] == [7]
    assert len(found) == 7
    return found


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_division_packing_and_spaces_change_no_row_of_the_ledger(tmp_path_factory, in_order, data):
    """And no record counts twice because it lies in two files."""
    order = data.draw(st.permutations(CALLS))
    cuts = sorted(data.draw(st.sets(st.integers(1, 9), max_size=4)))
    repeated = data.draw(st.lists(st.sampled_from(CALLS), max_size=4))
    files = {}
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(order)], strict=True)):
        spaces = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", " :\t")]))
        end_of_line = data.draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
        text = "".join(json.dumps(record, separators=spaces) + end_of_line for record in order[start:end] + repeated)
        pack = data.draw(
            st.sampled_from([lambda text: text.encode(), lambda text: gzip.compress(text.encode(), mtime=0), zstd])
        )
        files[f"{data.draw(st.integers(0, 99))}-{number}.jsonl"] = pack(text)

    found = ledger_requests(DataRoot(tmp_path_factory.mktemp("drawn")), files)

    assert found == in_order


@pytest.mark.parametrize("layout", ["csv", "parquet"])
def test_a_table_gives_the_rows_that_lines_give(tmp_path, in_order, layout):
    columns = {name: [json.dumps(r[name]) if name == "usage" else r[name] for r in CALLS] for name in CALLS[0]}
    target = tmp_path / f"all.{layout}"
    with duckdb.connect() as con:
        con.register("records", pa.table(columns))
        con.execute(f"copy records to '{target}' ({'header true' if layout == 'csv' else 'format parquet'})")

    found = ledger_requests(DataRoot(tmp_path / "books"), {target.name: target.read_bytes()})

    assert found == in_order


def test_the_raw_record_of_a_pull_names_no_user(root: DataRoot) -> None:
    """The user of a usage row is a keyed hash in its column; the record beside it must not undo that."""
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 10,
        "output_tokens": 1,
        "num_model_requests": 1,
        "model": "m",
        "user_id": "user-of-the-provider",
    }
    page = {
        "object": "page",
        "data": [{"object": "bucket", "start_time": DAY, "end_time": DAY + 86_400, "results": [result]}],
    }
    path = root.landing / "openai_usage" / "org" / "usage_completions.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(page), encoding="utf-8")

    with open_books(root) as books:
        books.refresh_references()
        books.read_landing(now=NOW)

    fragments = sorted(root.lake.joinpath("staged_usage").rglob("*.parquet"))
    assert fragments
    assert all(b"user-of-the-provider" not in path.read_bytes() for path in fragments)
    [raw] = pl.read_parquet(fragments[0])["raw"].to_list()
    assert json.loads(raw) == {name: value for name, value in result.items() if name != "user_id"}
