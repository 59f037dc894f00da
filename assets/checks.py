"""Checks of the headers as asset checks: names, texts and verdicts are those of the table of check results."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from pipelines.checks import CheckResult
from pipelines.models import Model

_NAMED_AT_MOST = 20


def check_specs(model: Model) -> list[dg.AssetCheckSpec]:
    """One spec a check of the header; a critical one that fails holds back what depends on the table."""
    return [
        dg.AssetCheckSpec(
            check.id,
            asset=model.name,
            description=check.text,
            blocking=check.severity == "critical",
            metadata={"kind": check.kind, "severity": check.severity},
        )
        for check in model.checks
    ]


def check_results(model: Model, results: Sequence[CheckResult]) -> list[dg.AssetCheckResult]:
    """The verdict on each check of the header, over all partitions of the table."""
    return [
        _verdict(model, check.id, check.severity, [r for r in results if r.check == check.id]) for check in model.checks
    ]


def _verdict(model: Model, check: str, severity: str, results: Sequence[CheckResult]) -> dg.AssetCheckResult:
    missed = [result for result in results if result.status != "passed"]
    metadata: dict[str, object] = {"partitions": len(results), "violations": sum(r.violations or 0 for r in missed)}
    if missed:
        metadata["partitions that fail"] = ", ".join(result.partition for result in missed[:_NAMED_AT_MOST])
    return dg.AssetCheckResult(
        asset_key=model.name,
        check_name=check,
        passed=not missed,
        severity=dg.AssetCheckSeverity.ERROR if severity == "critical" else dg.AssetCheckSeverity.WARN,
        description=missed[0].message if missed else None if results else "The table has no partition yet.",
        metadata=metadata,  # type: ignore[arg-type]
    )
