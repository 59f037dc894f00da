"""What runs when. All of it is on from the start, and asks for a run only where there is something to do.

``landing`` sees files that are new or changed and asks for ``ingest``; when that has ended, ``rebuild`` asks for
``tables`` over the weeks that are out of date. ``daily`` catches what no file announces (a changed query, a run that
failed), ``weekly`` has the week just ended published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import TypeVar

import dagster as dg

from assets.exports import EXPORTS
from assets.runs import Work, data_root, outstanding
from assets.sources import source_assets
from pipelines.books import Books, reading_books
from pipelines.lake import LakeError
from pipelines.landing import listing
from pipelines.paths import DataRoot
from pipelines.periods import start_of
from pipelines.settings import Settings, SettingsError, load
from pipelines.sources import sources

# Without it Dagster writes thousands of lines a run to the console. A request for a run does not take it from its job.
QUIET: Mapping[str, Mapping[str, object]] = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def settings() -> Settings:
    """What settings.toml says of the hours; a fault in it is for a run to report, and no reason to show nothing."""
    try:
        return load(data_root().settings)
    except SettingsError:
        return Settings()


_WHEN = settings()
# A look at what has not changed takes milliseconds; the daemon itself looks every five seconds.
_LOOK_EVERY_S = 10
_FRESH = "Nothing is out of date."
# Such books are looked at by no one before a run has brought them forward.
_EARLIER = "books of an earlier version"
_Answer = TypeVar("_Answer")

_FIRST_STEPS = dg.AssetSelection.assets(*(key for asset in source_assets() for key in asset.keys))

INGEST = dg.define_asset_job(
    "ingest",
    selection=_FIRST_STEPS,
    description="Reference tables, price book, and what is new in landing/.",
    executor_def=dg.in_process_executor,
    config=QUIET,
)
TABLES = dg.define_asset_job(
    "tables",
    selection=dg.AssetSelection.all() - _FIRST_STEPS,
    description="Ledger, marts and exports, over a range of weeks.",
    executor_def=dg.in_process_executor,
    config=QUIET,
)


@dg.sensor(
    job=INGEST,
    minimum_interval_seconds=_LOOK_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for ingest when a file of landing/, a reference table or settings.toml is new or has changed.",
)
def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    root = data_root()
    seen = signature(root)
    if seen == context.cursor:
        return dg.SkipReason("Nothing has changed in landing/ or reference/.")
    try:
        news = look(root, _news)
    except OSError as error:
        return dg.SkipReason(busy(error))
    except LakeError:
        news = _EARLIER
    if not news:
        return dg.SensorResult(skip_reason="Nothing has landed that is not in the books.", cursor=seen)
    return dg.SensorResult(run_requests=[_ingest(news)], cursor=seen)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[INGEST],
    request_job=TABLES,
    minimum_interval_seconds=_LOOK_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the tables that are out of date when an ingest has ended.",
)
def rebuild(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    work = look(data_root(), outstanding)
    return _rebuild(work, run_key=context.dagster_run.run_id) if work.tables else dg.SkipReason(_FRESH)


@dg.schedule(
    cron_schedule=_WHEN.daily_schedule,
    job=INGEST,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks for ingest where something has landed or a table is out of date; rebuild follows.",
)
def daily() -> dg.RunRequest | dg.SkipReason:
    try:
        news = look(data_root(), lambda books: _news(books) or _overdue(books))
    except OSError as error:
        return dg.SkipReason(busy(error))
    except LakeError:
        news = _EARLIER
    return _ingest(news) if news else dg.SkipReason(_FRESH)


@dg.schedule(
    cron_schedule=_WHEN.weekly_schedule,
    job=TABLES,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Has the week just ended published, with all that is out of date built before.",
)
def weekly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    root = data_root()
    week = start_of("week", context.scheduled_execution_time.astimezone(UTC).date()) - timedelta(days=7)
    try:
        has_begun, work = look(root, lambda books: (_has_begun(books), outstanding(books)))
    except OSError as error:
        return dg.SkipReason(busy(error))
    except LakeError as error:
        return dg.SkipReason(str(error))
    if not has_begun:
        return dg.SkipReason("Nothing has landed yet.")
    if not work.tables and (root.showback_export(week) / "manifest.json").is_file():
        return dg.SkipReason(f"The week of {week} is published. {_FRESH}")
    return _rebuild(work, run_key=f"week of {week}")


def signature(root: DataRoot) -> str:
    """What lies in landing/ and reference/, by names, sizes and modification times: equal for every process."""
    found, strangers = listing(root, frozenset(sources()))
    lines = [f"{file.name}\t{file.size}\t{file.mtime_ns}" for file in found]
    edited = sorted(root.reference.glob("*.csv")) + [path for path in (root.settings,) if path.is_file()]
    for path in edited:
        status = path.stat()
        lines.append(f"{root.relative(path)}\t{status.st_size}\t{status.st_mtime_ns}")
    return hashlib.sha256("\n".join([*lines, *strangers]).encode()).hexdigest()


def look(root: DataRoot, at: Callable[[Books], _Answer]) -> _Answer:
    """What is asked of the books. Raises as ``reading_books``."""
    with reading_books(root) as books:
        return at(books)


def _has_begun(books: Books) -> bool:
    return books.lake.part("staged_files", None) is not None


def _news(books: Books) -> str:
    """What an ingest would bring in, in a few words; nothing before the first file has landed."""
    files = books.news()
    if files:
        return f"{len(files)} file{'s' * (len(files) != 1)}"
    return "reference tables" if _has_begun(books) and books.stale_references() else ""


def _overdue(books: Books) -> str:
    work = outstanding(books) if _has_begun(books) else None
    return str(work) if work and work.tables else ""


def _ingest(news: str) -> dg.RunRequest:
    return dg.RunRequest(run_config=QUIET, tags={"tokenbooks/news": news})


def _rebuild(work: Work, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key, run_config=QUIET, tags=work.tags, asset_selection=[*work.keys, *EXPORTS])


def busy(error: OSError) -> str:
    """Why nothing is asked for: a run took away a file that was just being looked at."""
    return f"A run is at work, looked at again next time ({error})."
