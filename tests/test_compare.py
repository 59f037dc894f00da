"""``compare``: what a call and a task cost on two sides for the same work, and when the gate holds something back."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import books, paths
from pipelines.compare import Measured
from pipelines.compare.sides import NoSide, side_of
from pipelines.compare.verdicts import Gate, judge, sentence
from pipelines.engine import connect, named_rows
from pipelines.lake import Lake
from pipelines.models import expanded, models
from pipelines.paths import DataRoot
from pipelines.settings import Settings
from tests.conftest import upstream
from tests.test_cli import tokenbooks

LIMITS = {
    "release_p": 0.05,
    "release_cost_change": 0.30,
    "release_improvement": 0.10,
    "drift_min_change": 0.05,
    "unpriced_warn_share": 0.01,
}
DAY = {"base": date(2026, 11, 4), "head": date(2026, 11, 11)}


@pytest.fixture
def changes(shipped: Lake) -> Callable[..., list[dict[str, Any]]]:
    """``changes(units)``: the rows of the real query for units written in the test, costs in ``usd``."""

    def run(units: Sequence[dict[str, Any]], *, concurrent: bool = False) -> list[dict[str, Any]]:
        types = {
            "user_id": "varchar",
            "customer_id": "varchar",
            "session_id": "varchar",
            "task_id": "varchar",
            "is_unpriced": "boolean",
        }
        rows = [
            {
                "side": one["side"],
                "counted": one.get("counted", "request"),
                "feature": one.get("feature", "chat"),
                "workflow_step": one.get("step", "answer"),
                "prompt_name": "(unnamed)",
                "usage_date": one.get("day", DAY[one["side"]]),
                "is_ok": True,
                "input_total_tokens": one.get("input", 1_000),
                "output_total_tokens": one.get("output", 100),
                "cost": one["usd"],
                "cluster_key": str(one.get("user", one.get("case", one.get("cluster")))),
                "user_id": one.get("user"),
                "customer_id": None,
                "session_id": None,
                "task_id": one.get("case"),
                "is_unpriced": one["usd"] is None,
            }
            for one in units
        ]
        with connect(Settings(threads=2), shipped.root.scratch) as con:
            con.register("given", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
            typed = ", ".join(f"cast({name} as {type_}) as {name}" for name, type_ in types.items())
            con.execute(
                f"create table compare_units as select * replace ({typed}), cast(cost as decimal(38, 15)) as unit_cost_usd from given"
            )
            thresholds = shipped.absolute(shipped.part("ref_thresholds", None))
            con.execute(f"create temp view ref_thresholds as from read_parquet('{thresholds}')")
            con.execute(f"create table ref_limits as {models()['ref_limits'].query}")
            con.execute(
                "create table compare_terms as select ? as is_concurrent, ?::date as judged_date",
                [concurrent, DAY["head"]],
            )
            return named_rows(con, expanded(paths.SQL / "parts" / "compare_changes.sql", paths.SQL))

    return run


def one(rows: Sequence[dict[str, Any]], measure: str = "request", scope: str = "(all)") -> dict[str, Any]:
    [row] = [row for row in rows if (row["measure"], row["scope_name"]) == (measure, scope)]
    return row


def verdict(rows: list[dict[str, Any]], gate: Gate | None = None) -> str:
    """The word for all, as the command comes to it."""
    return judge(measured(rows), gate).verdict


def measured(rows: list[dict[str, Any]]) -> Measured:
    root = DataRoot(Path("books"))
    sides = tuple(side_of(f"release={name}", root) for name in ("1", "2"))
    return Measured(sides, DAY["head"], False, LIMITS, {}, rows, [], [], [], ())


# ---- worked by hand


def test_the_paired_change_is_that_of_the_releases(changes):
    """12 users, 100 calls then 50, log change .2 for six and .3 for six: m = .25, (12/11) x sum of squares = .00022727.

    The base is of four weeks: tau^2 (1 + 1/4) = .001125; se = .0367733, df = 11, +18.4 % to +39.2 %, p = 2.960e-5.
    """
    units = []
    for user in range(12):
        weeks = [date(2026, 10, 7), date(2026, 10, 14), date(2026, 10, 21), date(2026, 10, 28)]
        units += [{"side": "base", "user": f"u{user}", "usd": 0.01, "day": weeks[n % 4]} for n in range(100)]
        units += [
            {"side": "head", "user": f"u{user}", "usd": 0.01 * math.exp(0.2 if user < 6 else 0.3)} for _ in range(50)
        ]

    row = one(changes(units))

    assert (row["method"], row["pair_unit"], row["clusters"], row["untested_reason"]) == ("paired", "user", 12, None)
    assert row["log_standard_error"] == pytest.approx(0.0367733, abs=1e-7)
    assert row["degrees_of_freedom"] == pytest.approx(11)
    assert row["p_value"] == pytest.approx(2.960e-5, rel=1e-3)
    assert (row["change_low"], row["change_high"]) == (pytest.approx(0.184, abs=5e-4), pytest.approx(0.392, abs=5e-4))


def test_a_change_of_mix_is_no_change_of_cost(changes):
    """800 and 200 calls at $.006 and $.016, then 300 and 200 at $.006 and $.020: raw .0080 to .0116, +45 %; mix-free 5.80 / 5.00, +16 %."""
    units = [
        {"side": side, "step": step, "user": f"u{n % 40}", "usd": usd}
        for side, step, number, usd in (
            ("base", "a", 800, 0.006),
            ("base", "b", 200, 0.016),
            ("head", "a", 300, 0.006),
            ("head", "b", 200, 0.020),
        )
        for n in range(number)
    ]

    rows = changes(units)

    assert one(rows)["raw_change"] == pytest.approx(0.45)
    assert one(rows)["mix_free_change"] == pytest.approx(0.16)
    assert verdict(rows, Gate(0.30, 0.30)) == "no_change"


def test_cases_that_cannot_be_paired_are_left_out_one_by_one(changes):
    """Other cases on each side, a type: 10 to 13 cents on average. Jackknife of the logarithm of a mean, each side by itself.

    Base half 8, half 12 cents: left out, the mean of 39 is 10.0513 or 9.9487; variance 39/40 x sum = .00103; head alike.
    """
    units = [{"side": "base", "cluster": f"b{n}", "usd": 0.08 if n % 2 else 0.12} for n in range(40)]
    units += [{"side": "head", "cluster": f"h{n}", "usd": 0.104 if n % 2 else 0.156} for n in range(40)]

    row = one(changes(units, concurrent=True))

    logs = [math.log((4.0 - x) / 39) for x in (0.08, 0.12) for _ in range(20)]
    mean = sum(logs) / 40
    variance = 39 / 40 * sum((log - mean) ** 2 for log in logs)
    assert (row["method"], row["clusters"], row["base_clusters"]) == ("unpaired", 40, 40)
    assert row["log_standard_error"] == pytest.approx(math.sqrt(2 * variance), rel=1e-9)
    assert row["same_work_change"] == row["mix_free_change"] == pytest.approx(0.30)


def test_the_sides_exchanged_give_the_reciprocal(changes):
    """Like for like +25 % one way is -20 % the other: 1.25 x 0.80 = 1; both are as sure."""
    chance = random.Random(3)
    units = [
        {"side": side, "case": f"c{n}", "usd": 0.01 * chance.lognormvariate(0.2 * (side == "head"), 0.4)}
        for side in ("base", "head")
        for n in range(50)
    ]
    exchanged = [{**unit, "side": "base" if unit["side"] == "head" else "head"} for unit in units]

    there, back = one(changes(units)), one(changes(exchanged))

    assert (1 + there["same_work_change"]) * (1 + back["same_work_change"]) == pytest.approx(1)
    assert there["p_value"] == pytest.approx(back["p_value"])


# ---- what is too little


def test_a_real_rise_of_few_calls_is_insufficient_and_of_enough_is_a_regression(changes):
    """+40 % of 8 cases is left alone; of 40 cases, three calls each, it is held back."""

    def run(cases: int) -> list[dict[str, Any]]:
        chance = random.Random(7)
        return [
            {
                "side": side,
                "case": f"c{n}",
                "user": "ci",
                "step": f"s{call}",
                "usd": 0.01 * rise * chance.lognormvariate(0, 0.3),
            }
            for side, rise in (("base", 1.0), ("head", 1.4))
            for n in range(cases)
            for call in range(3)
        ]

    few, enough = changes(run(8)), changes(run(40))

    assert one(few)["untested_reason"] in ("few_units", "few_clusters")
    assert verdict(few, Gate(0.30, 0.30)) == "insufficient"
    assert (one(enough)["method"], one(enough)["pair_unit"]) == ("paired", "task")
    assert verdict(enough, Gate(0.30, 0.30)) == "regression"


def test_a_real_rise_below_the_limit_holds_nothing_back(changes):
    """+15 % of every case is real, and below +30 %; with --fail-on +10% it is held back."""
    units = [
        {"side": side, "case": f"c{n}", "usd": 0.01 * rise}
        for side, rise in (("base", 1.0), ("head", 1.15))
        for n in range(60)
    ]

    rows = changes(units)

    assert one(rows)["p_value"] < 0.05
    assert verdict(rows, Gate(0.30, None)) == "no_change"
    assert verdict(rows, Gate(0.10, None)) == "regression"


def test_what_is_within_chance_is_said_with_its_size(changes):
    """Six of twelve users cost 30 % more and six 20 % less: no more than chance, so the change of the sum is none to quote alone."""
    units = [
        {"side": side, "user": f"u{n}", "usd": 0.01 * (1 + n) * rise[n % 2]}
        for side, rise in (("base", (1, 1)), ("head", (0.8, 1.3)))
        for n in range(12)
        for _ in range(5)
    ]

    found = measured(changes(units))
    row = judge(found, None).change("request")

    assert row["verdict"] == "no_change"
    assert sentence(row, found).endswith("which is within chance.")


def test_one_case_with_most_of_the_cost_is_no_sample(changes):
    """40 cases a side of a cent, and one of ten dollars in the head that no other is like: +500 times, and nobody's verdict."""
    units = [{"side": side, "cluster": f"{side}{n}", "usd": 0.01} for side in ("base", "head") for n in range(40)]
    units.append({"side": "head", "cluster": "whale", "usd": 10})

    assert verdict(changes(units), Gate(0.30, None)) in ("insufficient", "no_change")


def test_what_cost_nothing_has_no_change_in_percent(changes):
    """From a free model to a cent a call: infinitely more, so it is said and not judged."""
    units = [
        {"side": side, "cluster": f"c{n}", "usd": usd} for side, usd in (("base", 0), ("head", 0.01)) for n in range(60)
    ]

    rows = changes(units)

    assert (one(rows)["untested_reason"], verdict(rows, Gate(0.30, None))) == ("no_cost", "insufficient")


def test_without_a_price_it_is_not_judged(changes):
    """Two of a hundred calls lack a price, where one is allowed."""
    units = [{"side": side, "case": f"c{n}", "usd": 0.01} for side in ("base", "head") for n in range(100)]
    units = [
        {**unit, "usd": None} if unit["case"] in ("c1", "c2") and unit["side"] == "head" else unit for unit in units
    ]

    assert verdict(changes(units), Gate(0.30, None)) == "incomplete"


# ---- how often it is wrong


@pytest.mark.parametrize("kind", ["cases", "calls", "users"])
def test_equal_sides_hold_nothing_back(changes, kind):
    """200 pairs of equal sides, as features of one question: at most 5 in 100 are beyond chance, and next to none is held back.

    cases: the same 40 test cases twice; calls: 60 and 60 calls that have nothing in common; users: 30 users, some ten times as busy.
    Costs of one case differ with an ln-sd of 0.8, those of different cases with one of 1.0.
    """
    chance = random.Random(kind)
    units = []
    for pair in range(200):
        for side in ("base", "head"):
            if kind == "calls":
                units += [
                    {
                        "side": side,
                        "feature": f"f{pair}",
                        "cluster": f"{side}{n}",
                        "usd": 0.01 * chance.lognormvariate(0, 1),
                    }
                    for n in range(60)
                ]
                continue
            members, name = (40, "case") if kind == "cases" else (30, "user")
            for n in range(members):
                level = random.Random(n * 1000 + pair).lognormvariate(0, 1)
                calls = 1 if kind == "cases" else 1 + 9 * (n % 5 == 0)
                units += [
                    {
                        "side": side,
                        "feature": f"f{pair}",
                        name: f"m{n}",
                        "usd": 0.01 * level * chance.lognormvariate(0, 0.8),
                    }
                    for _ in range(calls)
                ]

    rows = [row for row in changes(units) if row["measure"] == "request" and row["scope_name"] != "(all)"]

    assert len(rows) == 200
    assert sum(row["p_value"] is not None for row in rows) >= 180
    rows = [row for row in rows if row["p_value"] is not None]
    beyond = sum(row["p_value"] < 0.05 for row in rows)
    held_back = sum(
        row["p_value"] < 0.05 and row["same_work_change"] > 0 and row["mix_free_change"] >= 0.30 for row in rows
    )
    assert beyond <= 17, "5 % of 200, and what chance adds in one of a hundred"
    assert held_back <= 10


# ---- the command


def lines(cases: int, output: int, *, day: str = "2026-11-10", broken: bool = False, **more: Any) -> str:
    """The log of a test run: each case calls once, 1,000 tokens in."""
    found = []
    for n in range(cases):
        usage = {"prompt_tokens": 1_000, "completion_tokens": output + n, "total_tokens": 1_000 + output + n}
        record = {
            "id": f"r{n}",
            "timestamp": f"{day}T10:{n // 60:02}:{n % 60:02}Z",
            "provider": "openai",
            "api": "openai.chat",
            "model": "gpt-4o-2024-08-06",
            "usage": usage,
            "feature": "answers",
            "task_id": f"case-{n}",
            "response_id": f"recorded-{n}",
            "metadata": {"language": "Java" if n % 3 else "Rust"},
        }
        found.append(json.dumps(record | more))
    return "\n".join([*found, *(["{broken"] if broken else [])]) + "\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of test runs, and no books beside them."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "base.jsonl").write_text(lines(40, 100), encoding="utf-8")
    (folder / "head").mkdir()
    (folder / "head" / "part.jsonl").write_text(lines(40, 400, day="2026-11-20", broken=True), encoding="utf-8")
    (folder / "notes.txt").write_text("what was said", encoding="utf-8")
    return folder


def test_a_dearer_test_run_ends_with_4_and_leaves_nothing_behind(runs):
    """Case n: 1,000 x 2.50 + (100 + n) x 10 a million, then 400 + n.

    40 x .0025 + 4,780 x .00001 = 0.1478, then 40 x 300 x .00001 more: 0.2678.
    Ids and answers that were recorded once and played twice are calls of both runs. A broken line is named.
    """
    before = sorted(runs.rglob("*"))

    told = tokenbooks("compare", "base.jsonl", "head", "--fail-on", "+30%", "--json", data=runs / "nobooks")

    content = json.loads(told.stdout)
    assert (told.returncode, content["verdict"], content["priced_on"]) == (4, "regression", "2026-11-20")
    assert [float(content["totals"][side]["cost_usd"]) for side in ("base", "head")] == [0.1478, 0.2678]
    row = one(content["changes"], "task", "(all)")
    assert row["mix_free_change"] == pytest.approx(0.2678 / 0.1478 - 1)
    assert "head, part.jsonl: 1 of 41 lines cannot be read: line 41" in told.stderr
    assert sorted(runs.rglob("*")) == before


def test_markdown_for_a_pull_request(runs):
    """Equal sides: no change, ends with 0; tables with as many cells in each line."""
    told = tokenbooks(
        "compare", "base.jsonl", "base.jsonl", "--fail-on", "+30%", "--format", "markdown", data=runs / "nobooks"
    )

    assert (told.returncode, told.stdout.splitlines()[0]) == (0, "### LLM cost: no change")
    table = told.stdout.split("\n\n")[2].splitlines()
    assert len({line.count("|") for line in table}) == 1
    assert any(line.startswith("| cost of a task |") for line in table)


def test_one_side_by_language_says_where_there_are_too_few(runs):
    """40 cases: 26 in Java, 14 in Rust: a median of 26, and of 14 the sum alone. Words as in mart_dimension_costs_weekly."""
    told = tokenbooks("compare", "base.jsonl", "--by", "language", "--by", "mood", "--json", data=runs / "nobooks")

    rows = {
        (row["cost_unit"], row["dimension_value"]): (row["units"], row["sample_status"], row["mean_cost_usd"])
        for row in json.loads(told.stdout)["dimensions"]
    }
    assert "No call tells 'mood'" in told.stderr
    assert rows["task", "java"] == (26, "median", None)
    assert rows["task", "rust"] == (14, "small", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["base.json", "head"], "Beside it: base.jsonl"),
        (["relase=4", "head"], "Nearest: release"),
        (["week=yesterday", "head"], "no week such as 2026-11-02"),
        (["release=4", "head"], "no books"),
        (["base.jsonl", "head,release=4"], "No call tells a release"),
        (["base.jsonl", "head", "--fail-on", "30"], "expected a rise such as"),
        (["base.jsonl", "--fail-on", "30%"], "one side alone"),
        (["notes.txt", "head"], "has no calls. notes.txt"),
    ],
)
def test_what_is_no_side_is_said_with_what_there_is(runs, words, said):
    told = tokenbooks("compare", *words, data=runs / "nobooks")

    assert told.returncode == 2
    assert said in " ".join(told.stderr.split())


# ---- the books


@contextmanager
def _nothing_written(root: DataRoot) -> Iterator[None]:
    before = {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()}
    yield
    assert {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file()} == before


def test_releases_and_weeks_of_the_books_are_compared_at_the_same_prices(tmp_path):
    """A price that doubles between two releases is no regression: both are priced as of the newest call of the head.

    Release 1 was booked at 40 x $.001, and stands against release 2 at 40 x $.002, which costs as much.
    """
    root = DataRoot(tmp_path / "books")
    (root.landing / "app_log").mkdir(parents=True)
    root.reference.mkdir()
    (root.reference / "prices.csv").write_text(
        "provider,model_id,unit,per_units,unit_price,currency,effective_from,effective_to,source_ref\n"
        "self,acme,input,1000000,1.00,USD,2026-01-01,2026-11-09,list\n"
        "self,acme,input,1000000,2.00,USD,2026-11-09,,list\n"
        "self,acme,output,1000000,0,USD,2026-01-01,,list\n",
        encoding="utf-8",
    )
    for number, day in ((1, "2026-11-03"), (2, "2026-11-10")):
        text = lines(40, 0, day=day, provider="self", model="acme", release=f"4.{number}").replace(
            '"id": "r', f'"id": "{number}r'
        )
        (root.landing / "app_log" / f"{number}.jsonl").write_text(
            text.replace("case-", f"{number}-case-"), encoding="utf-8"
        )
    books.run(root, select=upstream("ledger_costs", "ledger_requests"))

    with _nothing_written(root):
        told = tokenbooks("compare", "release=4.1", "release=4.2", "--fail-on", "+30%", "--json", data=root.path)
        weeks = tokenbooks("compare", "week=2026-11-02", "week=2026-11-09", "--json", data=root.path)
        lost = tokenbooks("compare", "release=4.1", "release=4.9", data=root.path)

    content = json.loads(told.stdout)
    assert told.returncode == 0
    assert [float(content["totals"][side]["cost_usd"]) for side in ("base", "head")] == [0.08, 0.08]
    assert json.loads(weeks.stdout)["totals"] == content["totals"]
    assert (lost.returncode, "Release there: 4.2 and 4.1" in lost.stderr) == (2, True)


def test_a_side_is_read_as_it_is_written(tmp_path):
    root = DataRoot(tmp_path)
    side = side_of("prompt=answer@7,feature=chat,week=2026-11-04", root)

    assert side.equal == (("prompt", "answer"), ("prompt_version", "7"), ("feature", "chat"))
    assert (side.span.first, side.span.end) == (date(2026, 11, 2), date(2026, 11, 9))
    with pytest.raises(NoSide, match="no books at"):
        side_of("root:/nowhere", root)


@pytest.fixture(scope="module")
def production_and_ci(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Books of production with two versions of a prompt in one week, and books of nothing but the log that CI left.

    A test run is a session of ten cases, in one language, framework and runtime.
    """
    folder = tmp_path_factory.mktemp("two_books")
    production, ci = DataRoot(folder / "production"), DataRoot(folder / "ci")
    for root in (production, ci):
        (root.landing / "app_log").mkdir(parents=True)
    for version, output in (("6", 100), ("7", 200)):
        text = lines(40, output, day="2026-11-03", prompt_name="answer", prompt_version=version)
        calls = [
            json.loads(line) | {"id": name, "response_id": name, "task_id": name, "user_id": f"u{n}"}
            for n, line in enumerate(text.splitlines())
            for name in (f"v{version}-{n}",)
        ]
        (production.landing / "app_log" / f"{version}.jsonl").write_text(
            "".join(json.dumps(one) + "\n" for one in calls), encoding="utf-8"
        )
    runs = []
    for number, text in enumerate(lines(600, 400, day="2026-11-10", prompt_name="answer").splitlines()):
        run = number // 10
        record = json.loads(text)
        record["metadata"] = {
            "language": ("java", "rust")[run % 2],
            "framework": ("spring", "axum")[run % 2],
            "runtime": ("jvm-21", "tokio-1")[run % 2],
        }
        runs.append(json.dumps(record | {"session_id": f"run-{run}"}))
    (ci.landing / "app_log" / "ci.jsonl").write_text("\n".join(runs) + "\n", encoding="utf-8")
    # Of what metadata tells, books keep what is named.
    ci.reference.mkdir()
    named = ("language", "framework", "runtime")
    (ci.reference / "dimensions.csv").write_text(
        "dimension,attribute\n" + "".join(f"{name},{name}\n" for name in named), encoding="utf-8"
    )
    for root in (production, ci):
        books.run(root, select=upstream("ledger_costs", "ledger_requests"))
    return production.path, ci.path


def test_a_test_run_in_ci_is_held_against_last_weeks_production(production_and_ci):
    """Version 7 of production: 1,000 x 2.50 + (200 + n) x 10 a million: .0025 + .002195 = .004695 a call on average; CI:
    .0025 + (400 + 299.5) x .00001 = .009495, 102 % more for the same prompt."""
    production, ci = production_and_ci
    sides = (f"root:{production},week=2026-11-02,prompt_version=7", f"root:{ci}")

    told = tokenbooks("compare", *sides, "--fail-on", "request=+30%", "--json", data=ci)

    content = json.loads(told.stdout)
    row = one(content["changes"], "request", "(all)")
    assert (told.returncode, content["verdict"]) == (4, "regression")
    assert row["mix_free_change"] == pytest.approx(0.009495 / 0.004695 - 1)
    assert row["change_low"] > 0.3


def test_versions_of_a_prompt_are_sides(production_and_ci):
    """100 tokens more in each of 40 answers: .001 on .003695, 27 %: real, and less than 30 %."""
    production, _ = production_and_ci

    told = tokenbooks("compare", "prompt=answer@6", "prompt=answer@7", "--fail-on", "+30%", "--json", data=production)

    content = json.loads(told.stdout)
    row = one(content["changes"], "request", "(all)")
    assert told.returncode == 0
    assert (row["base_units"], row["units"]) == (40, 40)
    assert row["mix_free_change"] == pytest.approx(0.001 / 0.003695)


def test_what_a_test_run_costs_by_language_framework_and_runtime(production_and_ci):
    """60 runs of ten cases, 30 in each language. Run r costs ten times .0065 + (10 r + 4.5) x .00001 = .06545 + r x .001; java has the
    even ones of 0 to 58, 29 in the mean, rust the odd ones, 30."""
    _, ci = production_and_ci

    told = tokenbooks(
        "compare", f"root:{ci}", "--by", "language", "--by", "framework", "--by", "runtime", "--json", data=ci
    )

    rows = {
        row["dimension_value"]: (row["units"], row["sample_status"], float(row["mean_cost_usd"]))
        for row in json.loads(told.stdout)["dimensions"]
        if row["cost_unit"] == "session"
    }
    java, rust = (30, "mean", pytest.approx(0.06545 + 0.029)), (30, "mean", pytest.approx(0.06545 + 0.030))
    assert rows == dict.fromkeys(("java", "spring", "jvm-21"), java) | dict.fromkeys(("rust", "axum", "tokio-1"), rust)
