"""One list of token classes: what is written from it, and that a new class is a line there and its price."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import contract, models, paths
from pipelines.contract import TOKEN_CLASSES, TOKEN_TYPES, token_classes_of
from pipelines.dictionary import table_types
from pipelines.engine import connect, named_rows
from pipelines.lake import CLOSED, CLOSED_MONTHS, CLOSED_MONTHS_TYPES
from pipelines.settings import Settings
from tests.prices.pricing import Pricing, book_of, request

CHECKOUT = Path(__file__).resolve().parent.parent
FILES = sorted(paths.SQL.rglob("*.sql"))


def test_a_class_is_named_for_its_type():
    assert {token_class.name for token_class in TOKEN_CLASSES if token_class.type == "cache_read"} == {
        "cache_read",
        "cache_read_audio",
        "cache_read_image",
    }
    assert [token_class.type for token_class in token_classes_of("output: output; all of it")] == ["output"]
    with pytest.raises(ValueError, match="begins with input or cache_read or cache_write or output: 'inputs_new'"):
        token_classes_of("inputs_new: input; named for no type")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(paths.SQL).as_posix())
def test_no_file_spells_the_list_out(path: Path):
    """What has its own rule is named; more than that is a loop."""
    names = "|".join(sorted((token_class.name for token_class in TOKEN_CLASSES), key=len, reverse=True))
    text = path.read_text(encoding="utf-8")

    found = set(re.findall(rf"\b({names})_(?:tokens|list|priced|(?:list_)?cost_usd|(?:list_)?usd_per_mtok)\b", text))

    # Of an output its text and its reasoning are told apart, and the types of tokens are named like four of the classes.
    assert len(found - set(TOKEN_TYPES)) <= 3, sorted(found)


def test_another_list_is_another_fingerprint(monkeypatch):
    """Of the models that are written from it, and of no other."""
    before = {name: model.version for name, model in models.models().items()}
    monkeypatch.setattr(
        contract, "TOKEN_CLASSES", (*TOKEN_CLASSES, *token_classes_of("output_new: new_out; a new kind"))
    )

    after = {name: model.version for name, model in models.load(paths.SQL).items()}

    changed = {name for name, version in after.items() if version != before[name]}
    assert changed >= {"ledger_usage", "ledger_requests", "ledger_rates", "ledger_costs", "ledger_traced_days"}
    assert not changed & {"ledger_models", "ledger_bills", "ledger_allocations", "mart_showback_weekly"}


def test_a_new_class_is_one_line_and_its_price(tmp_path):
    """The line and the row of CONTRIBUTING.md in a copy of the project: every model plans, and 2,000,000 tokens at $0.60 cost $1.20.

    Classes that are priced elsewhere stay: 1,000,000 of text input at $0.30 cost $0.30.
    """
    recipe = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [new_class] = re.findall(r"^input_video: .*$", recipe, re.MULTILINE)
    [new_price] = re.findall(r"^google,gemini-2.5-flash,video_in,.*$", recipe, re.MULTILINE)
    for folder in ("pipelines", "sql"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "data" / "shipped", tmp_path / "data" / "shipped")
    listed = tmp_path / "pipelines" / "contract.py"
    before = "cache_read: cache_read; "
    text = listed.read_text(encoding="utf-8")
    assert text.count(f"\n{before}") == 1
    listed.write_text(text.replace(f"\n{before}", f"\n{new_class}\n{before}"), encoding="utf-8")
    with (tmp_path / "data" / "shipped" / "prices.csv").open("a", encoding="utf-8") as prices:
        prices.write(f"{new_price}\n")

    code = "from tests import test_token_classes as t; t.plan_and_price()"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, CHECKOUT)))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == {
        "pipelines": str(tmp_path / "pipelines"),
        "classes": len(TOKEN_CLASSES) + 1,
        "planned": len(models.models()) - len({"ledger_files", "ledger_clock", "ledger_manifest_files"}),
        "wrong": {},
        "cost": {
            "cost_status": "priced",
            "list_cost_usd": "1.500000000000000",
            "input_uncached_list_cost_usd": "0.300000000000000",
            "input_video_list_cost_usd": "1.200000000000000",
            "input_video_cost_usd": "1.200000000000000",
        },
        "traced": [
            {"token_type": "input", "token_class": "input_uncached", "priced_tokens": 1_000_000},
            {"token_type": "input", "token_class": "input_video", "priced_tokens": 2_000_000},
        ],
    }


def plan_and_price() -> None:
    """What a project with one more class says of its models, and of a call of that class, as JSON."""
    types = {**table_types(), CLOSED_MONTHS: CLOSED_MONTHS_TYPES}
    types |= {f"{CLOSED}{name}": columns for name, columns in types.items()}
    # The register of files has no shape of its own, and nothing to do with tokens.
    of_files = [name for name, model in models.models().items() if "staged_files" in model.inputs]
    wrong: dict[str, Any] = {}
    with connect(Settings(threads=1), Path("scratch")) as con:
        made: set[str] = set()
        for name, model in models.models().items():
            if name in of_files:
                continue
            for table in sorted(model.inputs - made):
                con.execute(
                    f"create table {table} ({', '.join(f'{column} {type_}' for column, type_ in types[table].items())})"
                )
            made |= model.inputs
            con.execute(f"explain (format json) {model.query}")
            found = {row[0]: row[1] for row in con.execute(f"describe {model.query}").fetchall()}
            if found != model.types:
                wrong[name] = sorted(found.items() ^ model.types.items())
    pricing = Pricing()
    call = request(
        provider="google",
        model_served="gemini-2.5-flash",
        input_uncached_tokens=1_000_000,
        input_video_tokens=2_000_000,
        context_test_tokens=1_000,
    )
    [cost] = pricing.costs([call], book_of())
    query = models.models()["ledger_traced_days"].query
    traced = named_rows(
        pricing.con, f"select token_type, token_class, priced_tokens from ({query}) order by token_class"
    )
    shown = ("cost_status", "list_cost_usd", "input_uncached_list_cost_usd", "input_video_list_cost_usd")
    said: dict[str, Any] = {
        "pipelines": str(Path(contract.__file__).parent),
        "classes": len(contract.TOKEN_CLASSES),
        "planned": len(models.models()) - len(of_files),
        "wrong": wrong,
        "cost": {name: str(cost[name]) for name in (*shown, "input_video_cost_usd")},
        "traced": traced,
    }
    print(json.dumps(said))
