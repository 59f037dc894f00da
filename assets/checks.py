"""The checks of a header as two asset checks: those that hold back what depends on the table, and those that only warn.

Each check of a header as an asset check of its own would be two events a step, a few hundred a run. Which of them failed
stands in the metadata, by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from pipelines.checks import CheckResult
from pipelines.models import Check, Model

# Names of the asset checks.
BLOCKING, WARNING = "critical", "warning"
_NAMED_AT_MOST = 20


def check_specs(model: Model) -> list[dg.AssetCheckSpec]:
    """One spec for what is critical and one for the rest, where the header has checks of the kind."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=model.name,
            description="\n".join(f"- {check.id}: {check.text}" for check in checks),
            blocking=name == BLOCKING,
            metadata={"checks": len(checks)},
        )
        for name, checks in _kinds(model)
    ]


def check_results(model: Model, results: Sequence[CheckResult]) -> list[dg.AssetCheckResult]:
    """The verdict on each kind of check, over all partitions of the table."""
    return [_verdict(model, name, checks, results) for name, checks in _kinds(model)]


def _kinds(model: Model) -> list[tuple[str, list[Check]]]:
    blocking = [check for check in model.checks if check.severity == "critical"]
    others = [check for check in model.checks if check.severity != "critical"]
    return [(name, checks) for name, checks in ((BLOCKING, blocking), (WARNING, others)) if checks]


def _verdict(model: Model, name: str, checks: Sequence[Check], results: Sequence[CheckResult]) -> dg.AssetCheckResult:
    ids = {check.id for check in checks}
    missed = [result for result in results if result.check in ids and result.status != "passed"]
    metadata: dict[str, object] = {
        "checks": len(checks),
        "partitions": len({result.partition for result in results}),
        "violations": sum(result.violations or 0 for result in missed),
    }
    for check in checks:
        if failed := [result.partition for result in missed if result.check == check.id]:
            metadata[check.id] = f"{check.text}: fails in {', '.join(failed[:_NAMED_AT_MOST])}"
    return dg.AssetCheckResult(
        asset_key=model.name,
        check_name=name,
        passed=not missed,
        severity=dg.AssetCheckSeverity.ERROR if name == BLOCKING else dg.AssetCheckSeverity.WARN,
        description=missed[0].message if missed else None if results else "The table has no partition yet.",
        metadata=metadata,  # type: ignore[arg-type]
    )
