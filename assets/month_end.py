"""The end of a month in Dagster: the books are brought up to date, and each month that is over is proposed for its close.

It closes a month by itself only where settings.toml says ``close_reconciled_months = true`` and nothing speaks against it.
"""

# Dagster reads the annotations of steps and wants them whole, so no `from __future__ import annotations`.
import dagster as dg

from assets import reported
from assets.runs import data_root
from assets.schedules import QUIET, busy, look, settings
from pipelines import month_end
from pipelines.books import open_books
from pipelines.lake import LakeError

# A run at work is waited for.
_TRIES, _PAUSE_S = 30, 30


@dg.op(
    name="prepare_month_end",
    description="Reads, builds, checks and publishes what is due, then says of each month that is over whether it can be closed.",
)
def prepare(context: dg.OpExecutionContext) -> None:
    root = data_root()
    try:
        report = reported.run(root, progress=context.log.info)
        with open_books(root, context.log.info) as books:
            found = month_end.prepare(books)
    except LakeError as error:
        raise dg.RetryRequested(max_retries=_TRIES, seconds_to_wait=_PAUSE_S) from error
    context.add_output_metadata(
        {
            "months": dg.MetadataValue.md(f"```\n{month_end.all_in_words(found)}\n```" if found else "none"),
            **{
                state: ", ".join(f"{one.month:%Y-%m}" for one in found if one.state == state) or "none"
                for state in (month_end.CLOSED, month_end.READY, month_end.WAITS)
            },
        }
    )
    if report.is_blocked:
        raise dg.Failure(
            description=f"Nothing was published, what was published before stays, and no month is closed: {report.cause}.",
            allow_retries=False,
        )
    if waiting := [one for one in found if one.state == month_end.WAITS]:
        context.log.warning(month_end.all_in_words(waiting))


@dg.job(
    name="month_end",
    description="Prepares the close of the months that are over, and closes them where settings.toml says so.",
    executor_def=dg.in_process_executor,
    config=QUIET,
)
def MONTH_END() -> None:
    prepare()


@dg.schedule(
    name="month_end",
    cron_schedule=settings().month_end_schedule,
    job=MONTH_END,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks for month_end where a month is over and not closed, once for each state of its books.",
)
def monthly() -> dg.RunRequest | dg.SkipReason:
    try:
        months, state = look(data_root(), lambda books: (month_end.months_over(books), month_end.state_of(books)))
    except OSError as error:
        return dg.SkipReason(busy(error))
    except LakeError as error:
        return dg.SkipReason(str(error))
    if not months:
        return dg.SkipReason("No month that is over is open.")
    named = ", ".join(f"{month:%Y-%m}" for month in months)
    return dg.RunRequest(f"{named} {state}", run_config=QUIET, tags={"tokenbooks/months": named})
