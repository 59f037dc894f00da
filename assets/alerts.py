"""Sends alerts from Dagster, where somebody wants it: off unless settings.toml says ``send_alerts = true``, or the page turns it on."""

# Dagster reads the annotations of steps and wants them whole, so no `from __future__ import annotations`.
from datetime import UTC, datetime

import dagster as dg

from assets.runs import data_root
from assets.schedules import QUIET, settings
from pipelines import alerting
from pipelines.alerting.channels import TABLE
from pipelines.alerting.outbox import oldest_waiting
from pipelines.lake import Lake, LakeError, digest, sha256_of

_LOOK_EVERY_S = 60
# A run at work, or a person who sends, is waited for.
_TRIES, _PAUSE_S = 30, 30


@dg.op(name="send_alerts", description="Puts what is new into the outbox and sends all that waits.")
def send_alerts(context: dg.OpExecutionContext) -> None:
    try:
        result = alerting.send(data_root())
    except LakeError as error:
        raise dg.RetryRequested(max_retries=_TRIES, seconds_to_wait=_PAUSE_S) from error
    context.add_output_metadata(
        {
            "messages sent": len(result.sent),
            "messages waiting": len(result.waiting),
            "sent": "\n".join(f"{one['channel']}: {one['subject']}" for one in result.sent) or "nothing is new",
        }
    )
    if result.held_back:
        context.log.warning(f"Nothing new is told: {result.held_back}")
    if result.problems:
        raise dg.Failure(
            description=" ".join(result.problems)
            + " What was not sent waits in the outbox and is tried again every hour.",
            allow_retries=False,
        )


@dg.job(
    name="alerts",
    description="Sends alerts to the channels of reference/alert_channels.csv: the only job that makes a connection.",
    executor_def=dg.in_process_executor,
    config=QUIET,
)
def ALERTS() -> None:
    send_alerts()


@dg.sensor(
    job=ALERTS,
    minimum_interval_seconds=_LOOK_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING if settings().send_alerts else dg.DefaultSensorStatus.STOPPED,
    description="Asks for alerts to be sent when they or their channels have changed, and every hour while a message waits.",
)
def changed_alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    root = data_root()
    channels = root.reference / f"{TABLE}.csv"
    if not channels.is_file():
        return dg.SkipReason("No channel is configured in reference/alert_channels.csv.")
    hour = f"{datetime.now(UTC):%Y-%m-%dT%H}" if oldest_waiting(root) else ""
    seen = digest([Lake(root).state(alerting.ALERTS), sha256_of(channels), hour])
    if seen == context.cursor:
        return dg.SkipReason("No alert has changed, and none waits.")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_config=QUIET)], cursor=seen)
