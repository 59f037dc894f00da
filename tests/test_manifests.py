"""Manifests of AWS: which files are a bill together, which are missing, and one that nothing is there of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pipelines import books
from pipelines.books import open_books
from pipelines.paths import DataRoot
from tests.conftest import upstream
from tests.sources.landed import land, queried
from tests.sources.test_cloud_bills import CUR, table

NOW = datetime(2026, 11, 20, tzinfo=UTC)
MONTH = "BILLING_PERIOD=2026-10"


def cur(payer: str, *costs: str) -> str:
    """A part of a Cost and Usage Report: a line of the month's first day for each cost; a header alone without any."""
    rows = [CUR | {"bill_payer_account_id": payer, "line_item_unblended_cost": cost} for cost in costs]
    return table(*rows) if rows else ",".join(CUR) + "\n"


def manifest(folder: str, *numbers: int) -> str:
    keys = [f"s3://bucket/{folder}/data/{MONTH}/export-{number:05d}.csv.gz" for number in numbers]
    return json.dumps({"dataFiles": keys, "columns": [{"name": "x", "type": "String"}]}, indent=2)


# Account -> its files: what the manifest names, and the parts with the stamp of each.
PARTS = {
    "stamps": ((1, 2), {"export-00001.pulled-20261104T000000Z.csv": ("1.00",), "export-00002.pulled-20261104T000900Z.csv": ("2.00",)}),
    "same": ((1, 2, 3), {"export-00001.csv": ("4.00",), "export-00002.csv": (), "export-00003.csv": ()}),
    "short": ((1, 2), {"export-00001.pulled-20261104T000000Z.csv": ("8.00",)}),
    "nothing": ((1, 2), {}),
    "empty": ((1,), {"export-00001.csv": ()}),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    made = DataRoot(tmp_path_factory.mktemp("manifests") / "books")
    for account, (numbers, parts) in PARTS.items():
        land(made, f"aws_bedrock/{account}/metadata/{MONTH}/export-Manifest.json", manifest(account, *numbers))
        for name, costs in parts.items():
            land(made, f"aws_bedrock/{account}/data/{MONTH}/{name}", cur(account, *costs))
    # Without a manifest a later stamp is a later pull, and takes the place of the one before.
    for stamp, cost in (("20261104T000000Z", "16.00"), ("20261104T000900Z", "32.00")):
        land(made, f"aws_bedrock/alone/data/{MONTH}/export-00001.pulled-{stamp}.csv", cur("alone", cost))
    call = {"id": "now", "timestamp": "2026-11-18T12:00:00Z", "provider": "groq", "model": "m", "usage": {}}
    land(made, "app_log/web/calls.jsonl", json.dumps(call) + "\n")
    report = books.run(made, now=NOW, select=upstream("ledger_invoices", "ledger_files"))
    assert not report.is_blocked, report.failed
    return made


def test_the_files_that_a_manifest_names_are_one_pull_whenever_each_was_copied(root: DataRoot) -> None:
    """1.00 + 2.00 by two stamps are 3.00; parts that are the same bytes are there; of two pulls without a manifest the later counts."""
    query = "select billing_account_id, invoiced_cost_usd, state, missing_pull is null as is_whole from ledger_invoices"
    found = queried(root, query)
    assert {row.pop("billing_account_id"): row for row in found} == {
        "stamps": {"invoiced_cost_usd": Decimal("3.00"), "state": "final", "is_whole": True},
        "same": {"invoiced_cost_usd": Decimal("4.00"), "state": "final", "is_whole": True},
        "short": {"invoiced_cost_usd": Decimal("8.00"), "state": "provisional", "is_whole": False},
        "alone": {"invoiced_cost_usd": Decimal("32.00"), "state": "final", "is_whole": True},
    }  # fmt: skip


def test_a_manifest_of_which_nothing_is_there_is_named(root: DataRoot) -> None:
    with open_books(root) as opened:
        said = [text for text in opened.remarks() if "Manifest" in text]
    place = f"metadata/{MONTH}/export-Manifest.json names"
    assert said == [
        f"landing/aws_bedrock/empty/{place} 1 file of 2026-10, and none of them is there with a line: copy them",
        f"landing/aws_bedrock/nothing/{place} 2 files of 2026-10, and none of them is there with a line: copy them",
    ]
