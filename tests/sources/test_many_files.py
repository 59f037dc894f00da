"""One folder with one file a call, as loggers write them to object storage: read in batches, whatever is wrong with one of them.

The figures for a hundred thousand are measured by ``python -m benchmarks``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_litellm import payload

from pipelines import reading
from pipelines.books import open_books
from pipelines.lake import Lake
from pipelines.paths import DataRoot
from pipelines.staging import Stager
from tests.sources.landed import FATES, NOW, Landed, read

FILES = 120
BATCH = 50
FOLDER = "litellm/prod"


def files(indent: int | None = None) -> dict[str, str | bytes]:
    """One file a call, in folders by day. Each has a line more than its record where ``indent`` is given."""
    second = 1794992400.25
    return {
        f"{FOLDER}/2026-11-{18 + number // 60}/time-09-{number:03d}_chatcmpl-{number}.json": json.dumps(
            payload(f"c-{number}", startTime=second + 86_400 * (number // 60)), indent=indent
        )
        for number in range(FILES)
    }


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files were read together, each time."""
    seen: list[int] = []
    stage = Stager.stage

    def counting(self, source, batch, name):  # type: ignore[no-untyped-def]
        seen.append(len(batch))
        return stage(self, source, batch, name)

    monkeypatch.setattr(reading, "BATCH_FILES", BATCH)
    monkeypatch.setattr(Stager, "stage", counting)
    return seen


def test_files_of_one_call_are_read_together(tmp_path: Path, opened: list[int]) -> None:
    """120 files in batches of 50, 50 and 20: days 18 and 19 meet in the second; a batch has one file a month, so 3 fragments. A second look reads nothing."""
    root = DataRoot(tmp_path)

    landed = read(root, files(), FATES)

    assert opened == [50, 50, 20]
    assert len(list(root.table("staged_requests").rglob("*.parquet"))) == 3
    assert len(Lake(root).parts("staged_requests")) == 4
    assert [sum(counts) for counts in zip(*landed.fates().values(), strict=True)] == [FILES, FILES, 0, 0, 0]
    assert landed.is_conserved()
    with open_books(root) as books:
        assert books.news() == []
        assert books.read_landing(now=NOW).files_read == []
    assert opened == [50, 50, 20]


def test_each_record_is_that_of_its_file(tmp_path: Path) -> None:
    """Also where records stand over several lines, or below blank ones."""
    blank = {name: b"\n\n" + str(text).encode() for name, text in files().items()}
    for place, content in enumerate((files(), files(indent=1), blank)):
        landed = read(DataRoot(tmp_path / str(place)), content)
        for row in landed.rows("staged_requests"):
            assert row["source_row_id"] == "c-" + row["source_file"].split("-")[-1].removesuffix(".json")
            assert row["source_row"] == (3 if content is blank else 1)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_torn_file_among_many_is_lost_alone(tmp_path: Path, opened: list[int], indent: int | None) -> None:
    """Lines are read one by one: nothing is read twice but for its batch. Of documents the file is found in halves: 50, 25, 13, 7, 4, 2, 1."""
    content = files(indent)
    torn = sorted(content)[7]
    content[torn] = str(content[torn])[:300]

    landed = read(DataRoot(tmp_path), content, FATES)

    assert landed.fates()[torn] == (1, 0, 0, 0, 1)
    assert [sum(counts) for counts in zip(*landed.fates().values(), strict=True)] == [FILES, FILES - 1, 0, 0, 1]
    assert len(opened) <= (3 if indent is None else 3 + 2 * 6)


def test_a_killed_run_leaves_nothing_half_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the third batch, whatever of the first two was noted: the next run has each call once."""
    root = DataRoot(tmp_path)
    monkeypatch.setattr(reading, "BATCH_FILES", BATCH)
    stage, calls = Stager.stage, iter(range(9))

    def killed(self, source, batch, name):  # type: ignore[no-untyped-def]
        if next(calls) == 2:
            raise KeyboardInterrupt
        return stage(self, source, batch, name)

    monkeypatch.setattr(Stager, "stage", killed)
    with pytest.raises(KeyboardInterrupt):
        read(root, files())

    landed = read(root, {}, FATES)

    assert isinstance(landed, Landed)
    assert len(landed.rows("staged_requests")) == FILES
    assert [sum(counts) for counts in zip(*landed.fates().values(), strict=True)] == [FILES, FILES, 0, 0, 0]
