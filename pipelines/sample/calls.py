"""The calls of the sample company: tasks on the calendar, their calls with retries, and the tokens of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from pipelines.sample import company
from pipelines.sample.chance import Chance, Flags, Whole
from pipelines.sample.company import SEED, Source
from pipelines.sample.forms import Change, Customer, Loop, Step, TaskKind, Workload
from pipelines.sample.workloads import MODELS, WORKLOADS

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_GAP_MS = 40
# Tasks that would end after the sample's end are left out; a few more are drawn.
_SPARE_TASKS = 50
_LONGEST_CONTEXT_TOKENS = 160_000
# Below it no provider caches a prompt; OpenAI caches in blocks.
_SHORTEST_CACHED_TOKENS = 1_024
_CACHE_BLOCK_TOKENS = 128


def make_calls(
    weeks: int,
    requests: int,
    *,
    seed: int = SEED,
    workloads: Sequence[Workload] = WORKLOADS,
    sources: Mapping[str, Source] = company.SOURCES,
) -> pl.DataFrame:
    """``requests`` calls of the ``weeks`` before ``company.END``, ordered by time.

    One row a call: ids and instants, the names of task, owner and model, the tool that saw it, and the tokens of the response.
    ``input_tokens`` is all input, ``cache_read_tokens`` and ``cache_write_tokens`` are parts of it;
    ``reasoning_tokens`` is a part of ``output_tokens``. Where ``has_usage`` is false the response stated none of them.
    """
    tasks = _tasks(workloads, weeks, requests + _SPARE_TASKS, seed)
    found = pl.concat(
        [
            _workload_calls(tasks[workload.name], workload, sources.get(workload.name, "app_log"), seed)
            for workload in workloads
        ]
    )
    # The last task drawn is cut short where the number is reached.
    keys = found.select("task", "started_ms", row=pl.int_range(pl.len()))
    found = found[keys.sort("task", "started_ms").head(requests).sort("started_ms", "task")["row"]]
    chance = Chance(seed, "ids")
    return found.with_columns(
        pl.format("call-{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)).alias("id"),
        chance.hexes(len(found), 16).alias("span_id"),
        chance.hexes(len(found), 32).alias("response_hex"),
        *(
            pl.from_epoch(f"{name}_ms", time_unit="ms").dt.replace_time_zone("UTC").alias(f"{name}_at")
            for name in ("started", "first_token", "ended")
        ),
    )


def first_date(weeks: int) -> date:
    return company.END - timedelta(weeks=weeks)


def _day_ms(day: date) -> int:
    return (day - _EPOCH).days * DAY_MS


def _named(names: Sequence[str], places: Whole) -> pl.Series:
    return pl.Series(list(names), dtype=pl.String).gather(places)


def _tasks(workloads: Sequence[Workload], weeks: int, count: int, seed: int) -> dict[str, pl.DataFrame]:
    """More tasks than are needed, by workload, in the order in which they are drawn: each has at least one call."""
    numbers = np.arange(count, dtype=np.int64)
    places = Chance(seed, "workload").pick(count, [workload.weight for workload in workloads])
    return {
        workload.name: _workload_tasks(numbers[places == place], workload, weeks, seed)
        for place, workload in enumerate(workloads)
    }


def _workload_tasks(numbers: Whole, workload: Workload, weeks: int, seed: int) -> pl.DataFrame:
    chance, count, first = Chance(seed, "tasks", workload.name), len(numbers), first_date(weeks)
    days = chance.pick(count, [_day_weight(workload, first, number) for number in range(weeks * 7)])
    hours = chance.pick(count, company.HOUR_WEIGHTS[workload.workload])
    started = _day_ms(first) + days * DAY_MS + hours * 3_600_000 + chance.below(count, 3_600_000)
    customers = company.CUSTOMERS
    who = np.zeros(count, dtype=np.int64)
    for day in np.unique(days):
        here = np.flatnonzero(days == day)
        weights = [_customer_weight(customer, workload, first + timedelta(days=int(day))) for customer in customers]
        who[here] = chance.pick(len(here), weights)
    sizes = np.asarray([customer.users for customer in customers], dtype=np.int64)[who]
    # Few users make most calls: the rank is drawn towards the first.
    drawn = chance.fractions(count) >> 16
    users = (((drawn * drawn) >> 16) * sizes) >> 16
    loops = _loops(workload.loop, started, who)
    started = _with_burst(started, workload, first, seed)
    tasks = pl.DataFrame(
        {
            "task": numbers,
            "kind": _kinds(workload.kinds, started, chance),
            "is_looping": loops,
            "task_ms": started,
            "customer_id": _named([customer.customer_id for customer in customers], who),
            "user": users + 1,
            "language": _named(list(company.LANGUAGES), chance.pick(count, list(company.LANGUAGES.values()))),
            "framework": _named(list(workload.frameworks), chance.pick(count, list(workload.frameworks.values()))),
            "trace_id": chance.hexes(count, 32),
            "outcome_is_known": chance.happens(count, workload.outcomes.known_per_mille) | loops,
            "task_succeeds": chance.happens(count, workload.outcomes.success_per_mille) & ~loops,
        }
    )
    task_id = pl.format("task-{}", pl.col("task").cast(pl.String).str.zfill(7))
    user_id = pl.format("{}-user-{}", "customer_id", "user")
    session_id = {
        "task": pl.format("run-{}", "task"),
        "user_day": pl.format("chat-{}-{}", user_id, pl.from_epoch("task_ms", time_unit="ms").dt.strftime("%Y%m%d")),
        "none": pl.lit(None, dtype=pl.String),
    }[workload.session]
    tasks = tasks.select(
        "task",
        "task_ms",
        "kind",
        "is_looping",
        "language",
        "framework",
        "trace_id",
        "customer_id",
        "outcome_is_known",
        "task_succeeds",
        workload=pl.lit(workload.name),
        # What the record says; the feature itself is the workload.
        feature=pl.lit(workload.name if workload.tagged_by == "record" else None, dtype=pl.String),
        environment=pl.lit("production" if workload.tagged_by == "record" else None, dtype=pl.String),
        api_key_name=pl.lit(workload.api_key_name),
        task_id=task_id,
        user_id=user_id,
        session_id=session_id,
        release=_in_force("task_ms", company.RELEASES),
    )
    if workload.tagged_by == "nothing":
        owners = ("task_id", "user_id", "session_id", "customer_id", "release", "language", "trace_id")
        tasks = tasks.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in owners)
    return tasks


def _kinds(kinds: Sequence[TaskKind], started: Whole, chance: Chance) -> Whole:
    """The kind of each task, by the weights that hold when it starts."""
    changes = sorted({since for kind in kinds for since, _ in kind.weights})
    found = np.zeros(len(started), dtype=np.int64)
    for since in changes:
        later = np.flatnonzero(started >= _day_ms(since))
        weights = [[weight for from_date, weight in kind.weights if from_date <= since][-1] for kind in kinds]
        found[later] = chance.pick(len(later), weights)
    return found


def _loops(loop: Loop | None, started: Whole, who: Whole) -> Flags:
    """The sessions that loop: so many of the customer's in these days, and one at least."""
    found = np.zeros(len(started), dtype=np.bool_)
    if loop is not None:
        place = [customer.customer_id for customer in company.CUSTOMERS].index(loop.customer_id)
        within = (started >= _day_ms(loop.from_date)) & (started < _day_ms(loop.to_date)) & (who == place)
        hit = np.flatnonzero(within)
        # The first that were drawn: those that a smaller number of requests has as well.
        found[hit[: max(1, len(hit) * loop.per_mille // 1_000)]] = True
    return found


def _with_burst(started: Whole, workload: Workload, first: date, seed: int) -> Whole:
    """The same instants, some of those before a burst on its day: what else is drawn, and what comes later, stays as it is."""
    burst = workload.burst
    if burst is None or burst.on_date < first:
        return started
    moved = Chance(seed, "burst", workload.name).happens(len(started), burst.per_mille)
    moved &= started < _day_ms(burst.on_date)
    return np.where(moved, _day_ms(burst.on_date) + started % DAY_MS, started)


def _day_weight(workload: Workload, first: date, number: int) -> int:
    day = first + timedelta(days=number)
    if day < workload.launched:
        return 0
    growth_per_mille = 1_000 + number // 7 * company.WEEKLY_GROWTH_PER_MILLE
    return company.DAY_WEIGHTS[workload.workload][day.weekday()] * growth_per_mille


def _customer_weight(customer: Customer, workload: Workload, day: date) -> int:
    tier = max(since for since in customer.tiers if since[0] <= day)[1]
    if tier not in workload.customer_tiers:
        return 0
    return customer.weight * customer.appetite.get(workload.name, 1_000) // 1_000


def _in_force(instant_ms: str, changes: Sequence[tuple[date, str]]) -> pl.Expr:
    """The name that the newest change at an instant gave; changes go up in time."""
    found = pl.lit(changes[0][1])
    for since, name in changes[1:]:
        found = pl.when(pl.col(instant_ms) >= _day_ms(since)).then(pl.lit(name)).otherwise(found)
    return found


def _workload_calls(tasks: pl.DataFrame, workload: Workload, source: Source, seed: int) -> pl.DataFrame:
    """The calls of tasks: steps in order, failed attempts before the one that answers, one after the other."""
    steps = [
        _step_calls(tasks.filter(kind=number), workload, place, step, seed)
        for number, kind in enumerate(workload.kinds)
        for place, step in enumerate(kind.steps)
    ]
    calls = pl.concat(steps).sort("task", "step_place", "repeat", "attempt")
    given_up = pl.col("is_given_up").cast(pl.Int64)
    calls = calls.filter(given_up.cum_sum().over("task") - given_up == 0)
    taken = pl.col("duration_ms") + _GAP_MS
    place, count = pl.int_range(pl.len()).over("task"), pl.len().over("task")
    has_failed = pl.col("is_given_up").any().over("task")
    calls = calls.with_columns(
        started_ms=pl.col("task_ms") + taken.cum_sum().over("task") - taken,
        is_last=place == count.cast(pl.Int64) - 1,
        step_index=pl.when(pl.lit(workload.session == "task")).then(place),
        outcome=pl.when("outcome_is_known").then(
            pl.when(pl.col("task_succeeds") & ~has_failed).then(pl.lit("success")).otherwise(pl.lit("failure"))
        ),
        source=pl.lit(source),
        told_by=pl.lit("score" if source == "langfuse" else workload.outcomes.told_by),
    )
    return calls.with_columns(
        ended_ms=pl.col("started_ms") + pl.col("duration_ms"),
        first_token_ms=pl.when(pl.col("is_streamed") & pl.col("has_usage")).then(
            pl.col("started_ms") + pl.col("first_token_after_ms")
        ),
    ).filter(pl.col("ended_ms").max().over("task") < _day_ms(company.END))


def _step_calls(tasks: pl.DataFrame, workload: Workload, place: int, step: Step, seed: int) -> pl.DataFrame:
    """The calls of one step of the tasks, with the tokens that a response to each states."""
    chance = Chance(seed, "calls", workload.name, step.name)
    counts = chance.quantities(len(tasks), step.calls)
    if step.calls_when_failing:
        longer = chance.quantities(len(tasks), step.calls_when_failing)
        counts = np.where(tasks["task_succeeds"].to_numpy(), counts, longer)
    loop = workload.loop if step.keeps_context else None
    if loop:
        counts = np.where(tasks["is_looping"].to_numpy(), chance.quantities(len(tasks), loop.calls), counts)
    owner = np.repeat(np.arange(len(tasks), dtype=np.int64), counts)
    size, repeat = len(owner), _places(counts)
    instants = tasks["task_ms"].to_numpy()[owner]
    models = [MODELS[name] for name in [*step.models, *(one.routed_to for one in step.changes if one.routed_to)]]
    model = _routed(
        chance.pick(size, list(step.models.values())), instants, step, Chance(seed, "routes", workload.name, step.name)
    )
    tools = chance.pick(size, list(step.tools.values())) if step.tools else np.zeros(size, dtype=np.int64)
    names = _named(list(step.tools) or [step.name], tools)
    new_input = chance.quantities(size, step.input)
    visible = chance.quantities(size, step.output)
    if loop:
        loops = tasks["is_looping"].to_numpy()[owner]
        new_input = np.where(loops, chance.quantities(size, loop.input), new_input)
        visible = np.where(loops, chance.quantities(size, loop.output), visible)
        names = pl.select(pl.when(pl.Series(loops)).then(pl.lit(loop.tool)).otherwise(names)).to_series()
    if step.has_prompt_inside:
        new_input = np.maximum(new_input - step.static_prompt_tokens, 1)
    new_input = new_input * _per_mille(instants, step, "input_per_mille") // 1_000
    visible = visible * _per_mille(instants, step, "output_per_mille") // 1_000
    reasoning, first_token = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for number, one in enumerate(models):
        reasoning += np.where(model == number, chance.quantities(size, one.reasoning) // 64 * 64, 0)
        first_token += np.where(model == number, chance.quantities(size, one.first_token_ms), 0)
    # Every answer has a token at least, and the cap counts reasoning.
    visible = np.minimum(np.maximum(visible, 1), step.max_output_tokens)
    is_endless = Chance(seed, "endless", workload.name, step.name).happens(size, step.endless_per_mille)
    visible = np.where(is_endless, step.max_output_tokens, visible)
    reasoning = np.minimum(reasoning, step.max_output_tokens - visible)
    output = visible + reasoning
    total, earlier = _contexts(step, counts, repeat, new_input, output)
    hits = chance.happens(size, _cache_hit_per_mille(instants, step))
    repeated = new_input * chance.below(size, step.repeated_per_mille + 1) // 1_000
    provider = _named([one.provider for one in models], model)
    read, written = _cached(step, (provider == "anthropic").to_numpy(), total, earlier, repeated, hits)
    pace = np.asarray([one.ms_per_100_tokens for one in models], dtype=np.int64)[model]
    calls = tasks[owner].with_columns(
        pl.Series("repeat", repeat),
        provider.alias("provider"),
        _named([one.served for one in models], model).alias("model"),
        _named([one.requested for one in models], model).alias("model_requested"),
        _named([one.api for one in models], model).alias("api"),
        pl.Series("input_tokens", total),
        pl.Series("cache_read_tokens", read),
        pl.Series("cache_write_tokens", written),
        pl.Series("output_tokens", output),
        pl.Series("reasoning_tokens", reasoning),
        pl.Series("first_token_after_ms", first_token),
        pl.Series("duration_ms", first_token + output * pace // 100),
        pl.lit(place).alias("step_place"),
        (names if step.name else pl.lit(None, dtype=pl.String)).alias("step"),
        pl.lit(workload.name if step.name else None, dtype=pl.String).alias("workflow"),
        pl.lit(bool(step.tools)).alias("is_tool"),
        pl.lit(f"{workload.name}/{step.name}" if step.name else None, dtype=pl.String).alias("prompt_name"),
        pl.lit(step.max_output_tokens).alias("max_output_tokens"),
        pl.lit(step.static_prompt_tokens or None, dtype=pl.Int64).alias("static_prompt_tokens"),
        _in_force("task_ms", [(one.from_date, one.version) for one in step.versions]).alias("prompt_version"),
        pl.lit(workload.workload == "interactive").alias("is_streamed"),
    )
    if not step.name:
        calls = calls.with_columns(pl.lit(None, dtype=pl.String).alias("prompt_version"))
    return _attempts(calls, chance)


def _places(counts: Whole) -> Whole:
    """0, 1, ... within each of the groups that ``counts`` says."""
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)


def _running(counts: Whole, summed: Whole) -> Whole:
    """Running total within each group."""
    through = np.cumsum(summed)
    starts = np.cumsum(counts) - counts
    before = np.concatenate([np.zeros(1, dtype=np.int64), through])[starts]
    running: Whole = through - np.repeat(before, counts)
    return running


def _per_mille(instants_ms: Whole, step: Step, of: str) -> Whole:
    found = np.full(len(instants_ms), getattr(step.versions[0], of), dtype=np.int64)
    for version in step.versions[1:]:
        found[instants_ms >= _day_ms(version.from_date)] = getattr(version, of)
    return found


def _cache_hit_per_mille(instants_ms: Whole, step: Step) -> Whole:
    found = np.full(len(instants_ms), step.cache_hit_per_mille, dtype=np.int64)
    for change in step.changes:
        if change.cache_hit_per_mille is not None:
            found[_during(change, instants_ms)] = change.cache_hit_per_mille
    return found


def _routed(model: Whole, instants_ms: Whole, step: Step, chance: Chance) -> Whole:
    """The model of each call, where a change sends some of them to another one: its place is behind those of the step."""
    for place, change in enumerate((one for one in step.changes if one.routed_to), len(step.models)):
        goes = chance.happens(len(model), change.routed_per_mille) & _during(change, instants_ms)
        model = np.where(goes, place, model)
    return model


def _during(change: Change, instants_ms: Whole) -> Flags:
    return (instants_ms >= _day_ms(change.from_date)) & (instants_ms < _day_ms(change.to_date))


def _contexts(step: Step, counts: Whole, repeat: Whole, new_input: Whole, output: Whole) -> tuple[Whole, Whole]:
    """Input of each call, and the input of the call before it where the step carries its context (0 for the first)."""
    if not step.keeps_context:
        return np.maximum(step.static_prompt_tokens + new_input, 1), np.zeros(len(repeat), dtype=np.int64)
    said = _running(counts, new_input) + _running(counts, output) - output
    total = np.minimum(step.static_prompt_tokens + said, _LONGEST_CONTEXT_TOKENS)
    earlier = np.where(repeat > 0, np.concatenate([np.zeros(1, dtype=np.int64), total[:-1]]), 0)
    return total, earlier


def _cached(
    step: Step, is_anthropic: Flags, total: Whole, earlier: Whole, repeated: Whole, hits: Flags
) -> tuple[Whole, Whole]:
    """Input read from and written to the prompt cache.

    OpenAI caches blocks of a prefix and does not count writes. Anthropic writes what it is told to: the constant
    prefix, or the whole context where the next call carries it on.
    """
    prefix = np.where(earlier > 0, earlier, step.static_prompt_tokens + repeated)
    can_cache = prefix >= _SHORTEST_CACHED_TOKENS
    # The newest message stays outside of the cache.
    prefix = np.minimum(prefix, total - 1)
    in_blocks = prefix // _CACHE_BLOCK_TOKENS * _CACHE_BLOCK_TOKENS
    read = np.where(can_cache & hits, np.where(is_anthropic, prefix, in_blocks), 0)
    end = total - 1 if step.keeps_context else prefix
    written = np.where(can_cache & is_anthropic, np.maximum(end - read, 0), 0)
    return read, written


def _attempts(calls: pl.DataFrame, chance: Chance) -> pl.DataFrame:
    """Each call as its attempts: all but the last have failed; where a task is given up, the last one too."""
    size = len(calls)
    third = chance.happens(size, company.THIRD_ATTEMPT_PER_MILLE)
    second = chance.happens(size, company.SECOND_ATTEMPT_PER_MILLE)
    gives_up = third & chance.happens(size, company.GIVEN_UP_PER_MILLE)
    counts = np.where(third, 3, np.where(second, 2, 1)).astype(np.int64)
    owner = np.repeat(np.arange(size, dtype=np.int64), counts)
    attempt = _places(counts) + 1
    is_final = attempt == counts[owner]
    failures = company.FAILURES
    kind = chance.pick(len(owner), [failure.weight for failure in failures])
    taken_ms = pl.Series([failure.duration_ms for failure in failures], dtype=pl.Int64).gather(kind)
    failed = pl.Series("is_failed", ~is_final | gives_up[owner])
    return calls[owner].with_columns(
        pl.Series("attempt", attempt),
        failed,
        pl.Series("is_given_up", is_final & gives_up[owner]),
        pl.when(failed).then(_named([failure.error_class for failure in failures], kind)).alias("error_class"),
        pl.when(failed)
        .then(pl.Series([failure.http_status for failure in failures], dtype=pl.Int64).gather(kind))
        .otherwise(200)
        .alias("http_status"),
        (~failed | pl.Series([failure.has_usage for failure in failures]).gather(kind)).alias("has_usage"),
        pl.when(failed).then(pl.coalesce(taken_ms, "duration_ms")).otherwise("duration_ms").alias("duration_ms"),
    )
