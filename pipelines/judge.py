"""The verdict of great-expectations on counts of broken rows: one frame per severity for all tables of a run.

What it would let pass without a word (no count, no row, no check) is refused before it looks, and its verdict is compared
with the counts afterwards.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from threading import Thread
from types import ModuleType
from typing import Any

import polars as pl

from pipelines.checks import CheckError, CheckResult, hold_suite
from pipelines.models import Check, Model
from pipelines.words import things

# Stands for a missing count in the frame that great-expectations sees: there a NULL would pass, and this cannot.
_NOT_COUNTED = -1
_KEY = ["table_name", "partition", "check_id"]
# Tables, partitions and checks that are at fault, or why there is no verdict.
_Verdict = frozenset[tuple[str, str, str]] | str
# Large packages of which great-expectations takes a name when it is imported, and which no count needs.
_PUT_OFF = ("altair", "scipy.stats")
# The thread that imports it, once there is one.
_beside: list[Thread] = []


def judge(model: Model, counts: pl.DataFrame) -> list[CheckResult]:
    """The verdict on the counts of one table: a result per partition, in the order given, and check, in that of the header."""
    return judge_all([(model, counts)])


def judge_all(counted: Sequence[tuple[Model, pl.DataFrame]]) -> list[CheckResult]:
    """The verdict on the counts of many tables (``checks.count_violations``), one validation for each severity.

    Raises CheckError where counts are not whole (no check, no or a repeated partition, a column missing) and where
    great-expectations judges otherwise than they say.
    """
    for model, counts in counted:
        _hold_counts(model, counts)
    frames = _frames(counted)
    verdicts = _verdicts(frames)
    return [
        _result(model, check, row, verdicts[check.severity])
        for model, counts in counted
        for row in counts.iter_rows(named=True)
        for check in model.checks
    ]


def provisional(model: Model, counts: pl.DataFrame) -> list[CheckResult]:
    """What the counts alone say, before the verdict."""
    return [_result(model, check, row, None) for row in counts.iter_rows(named=True) for check in model.checks]


def import_beside() -> None:
    """Begin to import great-expectations, which takes seconds, beside other work.

    Not where Dagster is: two threads that import packages with parts in common can each wait for the other's, and Python
    then hands one of them a half-made module.
    """
    if "dagster" not in sys.modules and not _beside:
        _beside.append(Thread(target=_import, daemon=True))
        _beside[0].start()


def _result(model: Model, check: Check, row: Mapping[str, Any], verdict: _Verdict | None) -> CheckResult:
    violations, partition = row[check.id], row["partition"]
    status, message = "passed", ""
    if violations is None:
        status, message = "error", row.get(f"{check.id}_message") or "there is no count of its violations"
    elif isinstance(verdict, str):
        status, message = "error", f"great-expectations could not judge it: {verdict}"
    elif violations:
        status, message = "failed", _broken_sentence(check, violations)
    if verdict is not None and not isinstance(verdict, str):
        is_broken = (model.name, partition, check.id) in verdict
        if is_broken != (status != "passed"):
            raise CheckError(
                f"{model.name}, {partition}, {check.id} ({check.text}): {violations} violations, and "
                f"great-expectations says {'failed' if is_broken else 'passed'}. Its version may "
                "have changed what an expectation means: see pipelines/judge.py before anything is published."
            )
    return CheckResult(
        table=model.name,
        partition=partition,
        check=check.id,
        kind=check.kind,
        text=check.text,
        severity=check.severity,
        violations=violations,
        status=status,
        message=message,
        checks_version=model.checks_version,
        fingerprint=row.get("fingerprint") or "",
    )


def _broken_sentence(check: Check, violations: int) -> str:
    rows = things(violations, "row")
    match check.kind:
        case "unique":
            return f"{rows} too many: {', '.join(check.columns)} repeated"
        case "no_rows":
            return f"{rows} found: {check.text}"
        case _:
            return f"not true in {rows}: {check.text}"


def _hold_counts(model: Model, counts: pl.DataFrame) -> None:
    """Refuse what great-expectations would let pass: it finds no fault in an empty suite or an empty frame."""
    hold_suite(model)
    if missing := [name for name in ("partition", *(check.id for check in model.checks)) if name not in counts.columns]:
        raise CheckError(f"{model.name}: the counts have no column {', '.join(missing)}.")
    labels = counts["partition"]
    if counts.is_empty() or labels.null_count() or labels.n_unique() != len(labels):
        raise CheckError(f"{model.name}: expected one row of counts per partition, found {labels.to_list()}.")
    if strange := [check.id for check in model.checks if counts[check.id].dtype != pl.Int64]:
        raise CheckError(f"{model.name}: the counts of {', '.join(strange)} are not whole numbers (BIGINT).")
    if negative := [check.id for check in model.checks if (counts[check.id] < 0).any()]:
        raise CheckError(f"{model.name}: the counts of {', '.join(negative)} are negative.")


def _frames(counted: Sequence[tuple[Model, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """By severity, a row per table, partition and check with the number of rows that break it."""
    found: dict[str, list[pl.DataFrame]] = {}
    for model, counts in counted:
        for severity in sorted({check.severity for check in model.checks}):
            ids = [check.id for check in model.checks if check.severity == severity]
            tall = counts.select("partition", *ids).unpivot(
                on=ids, index="partition", variable_name="check_id", value_name="violations"
            )
            found.setdefault(severity, []).append(
                tall.select(
                    pl.lit(model.name).alias("table_name"),
                    "partition",
                    "check_id",
                    pl.col("violations").fill_null(_NOT_COUNTED),
                )
            )
    return {severity: pl.concat(frames) for severity, frames in found.items()}


def _verdicts(frames: Mapping[str, pl.DataFrame]) -> dict[str, _Verdict]:
    """By severity, what great-expectations finds at fault, or its reason for not judging."""
    if not frames:
        return {}
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    expect_no_violations = _expect_no_violations()
    source = context.data_sources.add_pandas("counts")
    verdicts: dict[str, _Verdict] = {}
    for severity, frame in frames.items():
        suite = gx.ExpectationSuite(
            name=severity,
            expectations=[
                expect_no_violations(
                    column="violations",
                    description=f"no row breaks a check that is {severity}",
                    severity=severity,
                    meta={"severity": severity},
                )
            ],
        )
        asset = source.add_dataframe_asset(severity)
        batch = asset.add_batch_definition_whole_dataframe("checks").get_batch({"dataframe": frame.to_pandas()})
        outcome = batch.validate(
            suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": _KEY}
        )
        evaluated = outcome.statistics["evaluated_expectations"]
        marks = [result.expectation_config.meta.get("severity") for result in outcome.results]
        if evaluated != 1 or marks != [severity]:
            raise CheckError(
                f"Expected one verdict of great-expectations on the checks that are {severity}, found {evaluated}, "
                f"on {', '.join(map(str, marks)) or 'none'}."
            )
        verdicts[severity] = _verdict(outcome.results[0], len(frame))
    return verdicts


def _verdict(result: Any, rows: int) -> _Verdict:
    # The exception stands in exception_info itself, or below the id of the metric that raised it.
    info = result.exception_info or {}
    for raised in (info, *(entry for entry in info.values() if isinstance(entry, dict))):
        if raised.get("raised_exception"):
            return " ".join(str(raised["exception_message"]).split())
    if result.result.get("element_count") != rows:
        return f"it looked at {result.result.get('element_count')} of {rows} counts"
    found = result.result.get("unexpected_index_list") or []
    broken = frozenset((str(e["table_name"]), str(e["partition"]), str(e["check_id"])) for e in found)
    if bool(result.success) != (not broken):
        return f"success is {result.success}, with {len(broken)} checks at fault"
    return broken


@cache
def _great_expectations() -> Any:
    """The package, imported when a verdict is due (it takes seconds), with its telemetry off."""
    for thread in _beside:
        thread.join()
    return _import()


def _import() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    for name in _PUT_OFF:
        _put_off(name)
    # It imports two modules of Python's regular expressions that Python wants to retire. No context: this is done beside other work.
    warnings.filterwarnings("ignore", r"module 'sre_\w+' is deprecated", DeprecationWarning)
    import great_expectations
    import great_expectations.data_context.types.base
    import great_expectations.expectations

    return great_expectations


class _PutOff(ModuleType):
    """Stands for a package until something of it is used. Python's own LazyLoader does not wait: an import asks for ``__spec__``."""

    def __getattr__(self, name: str) -> Any:
        # Those who go through all modules ask each where it comes from: that is no use of it.
        if name.startswith("__") and name not in ("__all__", "__path__", "__version__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _put_off(name: str) -> None:
    """Have a package imported when something of it is first used."""
    if name not in sys.modules and importlib.util.find_spec(name) is not None:
        sys.modules[name] = _PutOff(name)


@cache
def _expect_no_violations() -> Any:
    _great_expectations()
    from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween

    class ExpectNoViolations(ExpectColumnValuesToBeBetween):
        """Rows of a partition that break one check: none expected."""

        min_value: float = 0
        max_value: float = 0

    return ExpectNoViolations
