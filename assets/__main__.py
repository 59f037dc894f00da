"""Runs both jobs in this process, as ``tokenbooks run`` does: ``python -m assets run --root DIR --report FILE``.

The runs are kept in the instance of the data root, so that Dagster's pages show them. What was done goes to the report, as
JSON, unless the run failed; what went wrong to standard error; with ``--progress`` what is being done to standard output,
a line each. Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done but a check failed, so nothing was published.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.books import RunReport, open_books
from pipelines.lake import LakeError, replace_text
from pipelines.models import ModelError, models
from pipelines.paths import DataRoot
from pipelines.planner import EVER, Span
from pipelines.settings import SettingsError

if TYPE_CHECKING:
    import dagster as dg

    from assets.runs import Run, Work

DONE, FAILED, WRONG_USAGE, BLOCKED = 0, 1, 2, 3

# A round may bring about what no plan could tell before it; more than this many says that something never settles.
_ROUNDS_AT_MOST = 3
# What a step ends in where a check, not the code, stopped it.
_HELD_BACK = frozenset({"DagsterAssetCheckFailedError", "Failure"})
_INSTANCE = """\
# Written by tokenbooks. What Dagster keeps lies beside this file.
telemetry:
  enabled: false
nux:
  enabled: false
"""


@dataclass
class Outcome:
    """What both jobs did: the report, the runs that Dagster has kept of it, and what stopped them."""

    report: RunReport = field(default_factory=RunReport)
    runs: list[dict[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return FAILED if self.errors else BLOCKED if self.report.is_blocked else DONE

    def document(self) -> dict[str, Any]:
        """The report as ``--direct`` has it, and the runs."""
        return {**self.report.as_dict(), "exit_code": self.exit_code, "runs": self.runs}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, run, write the report; the exit code comes back."""
    given = _parser().parse_args(arguments)
    if strange := sorted(set(given.select) - set(models())):
        print(f"No table {', '.join(strange)}. Known are {', '.join(sorted(models()))}.", file=sys.stderr)
        return WRONG_USAGE
    root = DataRoot(given.root.expanduser().resolve())
    window = Span(given.first, given.end)
    tell = _tell if given.progress else _keep_still
    outcome = run(root, full=given.full, window=window, select=given.select, progress=tell)
    for error in outcome.errors:
        print(error, file=sys.stderr)
    if given.report and outcome.exit_code != FAILED:
        replace_text(given.report, json.dumps(outcome.document(), indent=2, default=str) + "\n")
    return outcome.exit_code


def run(
    root: DataRoot,
    *,
    full: bool = False,
    window: Span = EVER,
    select: Sequence[str] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """``ingest``, then ``tables`` over the weeks that are out of date, under one lock."""
    os.environ.update(environment(root))
    # Dagster reads the environment when it is imported.
    import dagster as dg

    from assets.runs import Run, working_on

    outcome = Outcome()
    try:
        with dg.DagsterInstance.get() as instance, open_books(root, progress) as books:
            asked = Run(books, full, window, outcome.report)
            with working_on(asked):
                _run_jobs(instance, asked, select, outcome)
            books.judge()
            outcome.report.results = books.results
            outcome.report.is_blocked = bool(outcome.report.problems or outcome.report.failed)
            if outcome.exit_code == BLOCKED:
                # The step that publishes may have been held back; the views are for all that is there.
                books.publish(outcome.report.problems)
    except (LakeError, ModelError, SettingsError) as error:
        outcome.errors.append(str(error))
    return outcome


def environment(root: DataRoot) -> Mapping[str, str]:
    """The variables that a process of Dagster needs to work on a data root; what it writes stays below that."""
    root.dagster.mkdir(parents=True, exist_ok=True)
    home = Path(__file__).resolve().parent.parent
    if not (home / "dagster.yaml").is_file():
        # Installed without the checkout.
        home = root.dagster
        if not (home / "dagster.yaml").is_file():
            replace_text(home / "dagster.yaml", _INSTANCE)
    return {
        "TOKENBOOKS_DATA": str(root.path),
        "TOKENBOOKS_DAGSTER": str(root.dagster),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def _run_jobs(instance: dg.DagsterInstance, asked: Run, select: Sequence[str], outcome: Outcome) -> None:
    from assets.exports import EXPORTS
    from assets.runs import outstanding

    def work() -> Work:
        return outstanding(asked.books, full=asked.full, window=asked.window, select=select)

    if not _run_job("ingest", instance, asked, outcome):
        return
    due = work()
    for _ in range(_ROUNDS_AT_MOST):
        built_before = len(asked.report.built)
        selection = [*due.keys, *EXPORTS]
        if not _run_job("tables", instance, asked, outcome, tags=due.tags, selection=selection):
            return
        asked.full = False
        due = work()
        if not due.tables or len(asked.report.built) == built_before:
            return


def _run_job(
    name: str,
    instance: dg.DagsterInstance,
    asked: Run,
    outcome: Outcome,
    *,
    tags: Mapping[str, str] | None = None,
    selection: Sequence[dg.AssetKey] | None = None,
) -> bool:
    """Whether the job went through. Where it did not, its errors are among the outcome's, unless a check stopped it."""
    from assets.definitions import defs
    from assets.schedules import COMMAND_LINE, STARTED_BY

    result = defs.resolve_job_def(name).execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=instance,
        raise_on_error=False,
        asset_selection=selection,
        tags={**(tags or {}), STARTED_BY: COMMAND_LINE},
    )
    outcome.runs.append({"job": name, "run_id": result.run_id, "status": "success" if result.success else "failure"})
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        if error is None or error.cls_name not in _HELD_BACK:
            outcome.errors.append(f"{event.step_key}: {_innermost(error) if error else event.message}")
    return result.success


def _innermost(error: Any) -> str:
    """What the code said, without what Dagster says around it."""
    while error.cause is not None:
        error = error.cause
    name, _, text = str(error.message).partition(": ")
    return (text if name.rpartition(".")[2] == error.cls_name else str(error.message)).strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m assets", description="The jobs of tokenbooks, through Dagster.")
    command = parser.add_subparsers(required=True).add_parser("run", help="ingest, then rebuild what is out of date")
    command.add_argument("--root", type=Path, required=True, help="the data root")
    command.add_argument("--full", action="store_true", help="read and build everything again")
    command.add_argument("--from", dest="first", type=date.fromisoformat, help="build nothing before this day")
    command.add_argument("--to", dest="end", type=date.fromisoformat, help="build nothing from this day on")
    command.add_argument(
        "--select", action="append", default=[], metavar="TABLE", help="build this table only (repeat)"
    )
    command.add_argument("--report", type=Path, help="where to write, as JSON, what was done")
    command.add_argument("--progress", action="store_true", help="say what is being done")
    return parser


def _tell(text: str) -> None:
    print(text, flush=True)


def _keep_still(text: str) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
