"""Levers applied to the rows of the ledger, one after the other, and what the rows would have cost.

One mechanism for all of them: rows of calls (or of cells of calls, where no lever looks at a single one) go from lever to lever, are
summed to boxes of rates and priced by the query that makes ledger_rates. What a lever does not touch costs what the ledger says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.contract import TOKEN_CLASSES
from pipelines.engine import CHOICE_OF_SIDES, named_rows, one_row, planned_without, quoted
from pipelines.models import asked, models
from pipelines.whatif.intervals import Interval, intervals_of, user_groups
from pipelines.whatif.scenarios import CASES, SCOPE, Lever, Scenario, ScenarioError
from pipelines.words import listed

# What the replay reads of the books, beside what the rates are made of.
TABLES = (
    "ledger_requests",
    "ledger_costs",
    "ledger_rates",
    "stat_rate_cells_weekly",
    "stat_usage_cells_weekly",
    "ref_features",
    "ref_limits",
    "ref_model_tiers",
)
_KEY = (
    "provider model_canonical service_tier is_batch speed region region_class "
    "billing_account_scope project_scope feature_scope customer_scope"
).split()
_ROUTES = ("route", "cascade")
_TO_OTHER_RATES = (*_ROUTES, "batch")
# Of the joins of a replay the small side stands on the right; the engine takes calls side by side for few, and would build on them.
_NOT_CHOSEN = ("join_order", CHOICE_OF_SIDES)
# By these a row is always held against its rates, the others where they differ.
_ALWAYS = ("provider", "model_canonical")
# Levers that cost something by themselves; others carry what is there.
_ADD = ("response_cache",)
# By factor the settings that it follows, and the value of each at which it stays as it is.
_STILL: Mapping[str, Mapping[str, int]] = {
    "weight": {"failure_rate": 0, "retry_share": 0, "share": 1},
    "input_factor": {"input_ratio": 1, "trim_share": 0},
    "output_factor": {"output_ratio": 1},
    "cold_share": {"cold_share": 0, "hit_share": 1},
}
# What of a row's cost a lever may change, beside its tokens.
FACTORS = ("weight", "input_factor", "output_factor", "cold_share", "added")
_SUMS = {
    **dict.fromkeys(
        ("requests", "covered_requests", "changed_requests", "unpriced_requests", "unreplayed_requests"), "bigint"
    ),
    **dict.fromkeys(("actual_usd", "covered_usd", *(f"cost_{case}_usd" for case in CASES)), "decimal(38, 15)"),
}
_OUT_OF_STEP = "ledger_requests and ledger_costs are not in step"
# By what a call alone can be told from others of its feature.
_OF_CALLS = ("step", "customer_id")


@dataclass(frozen=True)
class Replayed:
    """What the rows would have cost, by feature and customer tier, and what the replay was made of."""

    rows: list[dict[str, Any]]
    is_by_call: bool
    targets: list[dict[str, Any]]


@dataclass(frozen=True)
class Booked:
    """The calls of a window as the books have them. ``cost_usd`` is None where none has a cost."""

    cost_usd: Decimal | None
    requests: int
    unpriced_requests: int


def inputs() -> list[str]:
    """Every table that a replay reads."""
    return sorted({*TABLES, *models()["ledger_rates"].inputs})


class Replay:
    """Replays on a connection that has the tables of ``inputs``, for the calls of a window of UTC days.

    ``other_book``: a table with other prices than ref_price_book, for scenarios about prices.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, first: date, end: date, *, other_book: str = "", is_by_call: bool = False
    ) -> None:
        self._con = con
        self._other_book = other_book
        self._is_by_call = is_by_call
        self._steps = 0
        self._bounds = {"first": f"{first} 00:00:00+00", "end": f"{end} 00:00:00+00"}
        con.execute(
            "create or replace temp table whatif_window as select ?::timestamptz as first_at, ?::timestamptz as end_at",
            [datetime.combine(first, time(), UTC), datetime.combine(end, time(), UTC)],
        )
        con.execute(
            f"create or replace temp table whatif_booked_rates as select * from ledger_rates "
            f"where usage_date >= date '{first}' and usage_date < date '{end}'"
        )
        first_at, end_at = self._bounds.values()
        within = f"started_at >= timestamptz '{first_at}' and started_at < timestamptz '{end_at}'"
        billable = f"select count(*) from ledger_requests where is_billable_leaf and {within}"
        self._counts = f"select ({billable}), (select count(*) from ledger_costs where {within})"
        # Whether ledger_requests and ledger_costs have a row each for the same calls, in the same order; not looked at yet where unknown.
        self._is_in_step: bool | None = None

    def run(self, scenarios: Sequence[Scenario], *, with_users: bool = False) -> Replayed:
        """What is left to pay once the levers of all scenarios are applied, in their order. ``with_users``: for ``intervals``."""
        levers = sorted(
            (lever for one in scenarios for lever in one.levers if lever.kind.query), key=lambda one: one.kind.rank
        )
        steps: list[str] = []
        targets: list[dict[str, Any]] = []
        self._con.execute(
            f"create or replace temp table whatif_keys as select distinct usage_date, {', '.join(_KEY)} from whatif_booked_rates"
        )
        for number, lever in enumerate(levers):
            self._set(number, lever)
            targets += self._add_keys(number, lever)
        self._make_rates(is_other=bool(self._other_book) and any(lever.name == "price" for lever in levers))
        for number, lever in enumerate(levers):
            if lever.name in _ROUTES:
                self._keep_priced_targets(number)
        is_by_call = self._is_by_call or self._needs_calls(levers)
        seen = self._seen_classes(is_by_call)
        for number, lever in enumerate(levers):
            query = self._shadowed(
                asked(lever.kind.query, **_structure(lever)),
                whatif_before=f"select * from step_{number}",
                whatif_settings=f"select * from whatif_settings_{number}",
                whatif_targets=f"select * from whatif_targets_{number}",
            )
            steps.append(f"step_{number + 1} as not materialized ({query})")
        shape = {
            "is_by_call": is_by_call,
            "factors": [name for name in FACTORS if any(_changes(lever, name) for lever in levers)],
            **self._rates_shape(
                {*seen, *(name for lever in levers for name in lever.kind.fills)},
                has_others=bool(self._other_book) or any(lever.name in _TO_OTHER_RATES for lever in levers),
            ),
        }
        costs = self._shadowed(asked("whatif_costs", **shape), whatif_after=f"select * from step_{len(levers)}")
        self._create("whatif_replayed", costs, steps, seen if is_by_call else None, with_users=with_users)
        rows = named_rows(
            self._con,
            f"select feature, customer_tier, {', '.join(f'cast(sum({name}) as {kind}) as {name}' for name, kind in _SUMS.items())} "
            "from whatif_replayed group by feature, customer_tier order by all",
        )
        return Replayed(rows, is_by_call, targets)

    def look_at(self, lever: Lever, **structure: object) -> list[dict[str, Any]]:
        """The rows of a question that changes none: the query of the lever over the calls as they are."""
        self._set(0, lever)
        self._con.execute("create or replace temp table whatif_rates as select * from whatif_booked_rates")
        query = self._shadowed(
            asked(lever.kind.query, **_structure(lever), **structure),
            whatif_before="select * from step_0",
            whatif_settings="select * from whatif_settings_0",
        )
        self._create("whatif_looked", query, [], self._seen_classes(is_by_call=True))
        return named_rows(self._con, "select * from whatif_looked order by all")

    def _create(
        self, table: str, query: str, steps: Sequence[str], seen: Sequence[str] | None, *, with_users: bool = False
    ) -> None:
        """A table out of the steps of a replay, which begin with the calls that have tokens of the classes ``seen``; or with the cells."""
        before = asked("whatif_cells")
        for is_in_step in (True, False) if seen is not None and self._is_in_step else (False,):
            if seen is not None:
                before = asked(
                    "whatif_calls",
                    **self._bounds,
                    live_classes=seen,
                    is_in_step=is_in_step,
                    out_of_step=_OUT_OF_STEP,
                    has_users=with_users,
                    user_groups=user_groups(self._con) if with_users else 0,
                )
            first = f"step_0 as not materialized ({self._shadowed(before)})"
            try:
                with planned_without(self._con, _NOT_CHOSEN):
                    self._con.execute(
                        f"create or replace temp table {table} as with {', '.join([first, *steps])} select * from ({query})"
                    )
                return
            except duckdb.InvalidInputException as error:
                if not is_in_step or _OUT_OF_STEP not in str(error):
                    raise
                self._is_in_step = False

    def _seen_classes(self, is_by_call: bool) -> list[str]:
        """The classes that any token of the window is of."""
        sums = ", ".join(f"coalesce(sum({one.tokens}), 0) > 0" for one in TOKEN_CLASSES)
        calls, *has = one_row(
            self._con,
            f"select coalesce(sum(requests), 0), {sums} from stat_rate_cells_weekly as k cross join whatif_window as w "
            "where k.usage_date >= cast(w.first_at as date) and k.usage_date < cast(w.end_at as date)",
        )
        if is_by_call:
            booked, costed = one_row(self._con, self._counts)
            if self._is_in_step is None:
                self._is_in_step = booked == costed
            if booked != calls:
                return [one.name for one in TOKEN_CLASSES]
        return [one.name for one, is_seen in zip(TOKEN_CLASSES, has, strict=True) if is_seen]

    def _rates_shape(self, live: Collection[str], *, has_others: bool) -> dict[str, object]:
        """By what rows have to be told apart to find their rates, and which rates may be missing where rows go to others."""
        lengths = "ctx_min_tokens > 0 or ctx_max_tokens < 9223372036854775807"
        instants = "rate_from_at > cast(usage_date as timestamptz) or rate_to_at < cast(usage_date + 1 as timestamptz)"
        classes = [one for one in TOKEN_CLASSES if one.name in live]
        flags = [
            *(f"count(distinct {name}) > 1" for name in _KEY),
            f"bool_or({instants})",
            f"bool_or({lengths})",
            *(f"{has_others} and bool_or(rate_status = 'ok' and {one.name}_usd_per_mtok is null)" for one in classes),
        ]
        has = one_row(self._con, f"select {', '.join(f'coalesce({flag}, false)' for flag in flags)} from whatif_rates")
        differ, (has_instants, has_lengths), lacking = (
            has[: len(_KEY)],
            has[len(_KEY) : len(_KEY) + 2],
            has[len(_KEY) + 2 :],
        )
        return {
            "live_classes": [one.name for one in classes],
            "lacking_classes": [one.name for one, is_lacking in zip(classes, lacking, strict=True) if is_lacking],
            "keys": [name for name, is_told in zip(_KEY, differ, strict=True) if is_told or name in _ALWAYS],
            "has_instants": has_instants,
            "has_lengths": has_lengths,
        }

    def booked(self) -> Booked:
        """All calls of the window."""
        cost_usd, requests, unpriced = one_row(
            self._con,
            "select sum(k.effective_cost_usd), coalesce(sum(k.requests), 0)::bigint, "
            "coalesce(sum(k.requests) filter (k.effective_cost_usd is null), 0)::bigint "
            "from stat_rate_cells_weekly as k cross join whatif_window as w "
            "where k.usage_date >= cast(w.first_at as date) and k.usage_date < cast(w.end_at as date)",
        )
        return Booked(cost_usd, requests, unpriced)

    def intervals(self, replayed: Replayed) -> list[Interval]:
        """What chance separates, of all and of each feature, of the replay that was made last, with users."""
        sums = {"": summed(replayed.rows)[0], **{row["feature"]: row for row in summed(replayed.rows, ["feature"])}}
        return intervals_of(self._con, sums, is_by_call=replayed.is_by_call)

    def _shadowed(self, query: str, **tables: str) -> str:
        """A query that finds under some names what is ours."""
        named = {"ledger_rates": "select * from whatif_rates", **tables}
        used = {name: text for name, text in named.items() if name in query}
        if not used:
            return query
        return f"with {', '.join(f'{name} as not materialized ({text})' for name, text in used.items())} select * from ({query})"

    def _set(self, number: int, lever: Lever) -> None:
        columns = []
        for name, value in lever.settings.items():
            if isinstance(value, str):
                columns.append(f"{quoted(value)} as {name}")
            elif isinstance(value, list):
                columns.append(f"[{', '.join(f'cast({one} as decimal(18, 9))' for one in value)}] as {name}")
            else:
                columns += [
                    f"cast({one} as decimal(18, 9)) as {name}_{case}" for case, one in zip(CASES, value, strict=True)
                ]
        self._con.execute(f"create or replace temp table whatif_settings_{number} as select {', '.join(columns)}")

    def _add_keys(self, number: int, lever: Lever) -> list[dict[str, Any]]:
        """What the rows may ask of the book after a lever, beside what they asked before; and where its calls go."""
        if lever.name == "batch" and lever.settings["mode"] not in ("batch", "flex"):
            raise ScenarioError(f"mode is {lever.settings['mode']!r}, expected batch or flex.")
        if lever.name == "batch":
            changed = {"is_batch": "true"} if lever.settings["mode"] == "batch" else {"service_tier": "'flex'"}
            self._insert_keys(changed, "")
            return []
        if lever.name not in _ROUTES:
            return []
        named, tier = lever.settings["to_model"], lever.settings["to_tier"]
        if (not named and not tier) or (named and "/" not in named):
            raise ScenarioError(
                f"to_model is {named!r}: set it as seller/model, such as --set to_model=openai/gpt-4o-mini."
            )
        query = self._shadowed(asked("whatif_targets"), whatif_settings=f"select * from whatif_settings_{number}")
        self._con.execute(f"create or replace temp table whatif_models_{number} as {query}")
        found = named_rows(self._con, f"select * from whatif_models_{number} order by all")
        if not found:
            wanted = named or f"the tier {tier}"
            raise ScenarioError(
                f"No call of the window could move to {wanted}: set to_model=seller/model, or from_tier and to_tier by model_tiers.csv."
            )
        same = "t.to_provider = k.provider"
        changed = {
            "provider": "t.to_provider",
            "model_canonical": "t.to_model",
            "speed": "''",
            **{
                name: f"case when {same} then k.{name} else '' end"
                for name in ("service_tier", "region", "region_class", "billing_account_scope", "project_scope")
            },
        }
        self._insert_keys(
            changed,
            f"inner join whatif_models_{number} as t on k.provider = t.from_provider and k.model_canonical = t.from_model",
        )
        return found

    def _insert_keys(self, changed: Mapping[str, str], join: str) -> None:
        columns = ", ".join(changed.get(name, f"k.{name}") for name in _KEY)
        names = ", ".join(_KEY)
        self._con.execute(
            f"insert into whatif_keys (usage_date, {names}) select distinct k.usage_date, {columns} from whatif_keys as k {join} "
            f"except select usage_date, {names} from whatif_keys"
        )

    def _make_rates(self, *, is_other: bool) -> None:
        """The rates of all keys: those of the ledger as booked, others by its own query; by another book all."""
        same = " and ".join(f"k.{name} = r.{name}" for name in ("usage_date", *_KEY))
        missing = (
            f"select * from whatif_keys as k where not exists (select 1 from whatif_booked_rates as r where {same})"
        )
        shadows = {
            "ledger_requests": f"with whatif_keys as ({'select * from whatif_keys' if is_other else missing}) {asked('whatif_asked_keys')}"
        }
        if is_other:
            shadows["ref_price_book"] = f"select * from {self._other_book}"
        named = ", ".join(f"{name} as ({text})" for name, text in shadows.items())
        rates = f"with {named} select * from ({models()['ledger_rates'].query})"
        booked = "" if is_other else "select * from whatif_booked_rates union all by name "
        if not is_other and not one_row(self._con, f"select count(*) from ({missing})")[0]:
            booked, rates = "", "select * from whatif_booked_rates"
        of_classes = ", ".join(f"{one.name}_usd_per_mtok" for one in TOKEN_CLASSES)
        self._con.execute(
            "create or replace temp table whatif_rates as "
            f"select *, case when rate_status = 'ok' then dense_rank() over (order by {of_classes}) end as rate_set "
            f"from ({booked}select * from ({rates}))"
        )
        self._con.execute(
            f"create or replace temp table whatif_rate_sets as select distinct rate_set, {of_classes} from whatif_rates "
            "where rate_set is not null"
        )

    def _keep_priced_targets(self, number: int) -> None:
        self._con.execute(
            f"create or replace temp table whatif_targets_{number} as select distinct r.usage_date, t.* "
            f"from whatif_models_{number} as t inner join whatif_rates as r on r.provider = t.to_provider "
            "and r.model_canonical = t.to_model and r.rate_status = 'ok'"
        )
        if not one_row(self._con, f"select count(*) from whatif_targets_{number}")[0]:
            names = self._con.execute(
                f"select distinct to_provider || '/' || to_model from whatif_models_{number} order by all"
            ).fetchall()
            wanted = listed([name for (name,) in names])
            raise ScenarioError(
                f"The book has no price of {wanted} on any day of the window. 'tokenbooks prices show MODEL' has the names that it knows; "
                "a price of your own goes into reference/prices.csv."
            )

    def _needs_calls(self, levers: Sequence[Lever]) -> bool:
        """Whether cells do not do: a lever looks at a call, or rates change within a cell."""
        if any(lever.kind.needs_calls or any(lever.settings[name] for name in _OF_CALLS) for lever in levers):
            return True
        for column in ("rate_from_at", "ctx_min_tokens"):
            edges = f"select distinct usage_date, provider, model_canonical, {column} from"
            if one_row(self._con, f"select count(*) from ({edges} whatif_rates except {edges} whatif_booked_rates)")[0]:
                return True
        return False


def _changes(lever: Lever, factor: str) -> bool:
    """Whether a lever changes a factor of a row with the settings that it has: rows need not be told apart by others."""
    if factor not in lever.kind.factors:
        return False
    if factor == "added":
        return lever.name in _ADD
    return not any(
        name in lever.settings and all(one == still for one in lever.settings[name])
        for name, still in _STILL[factor].items()
        if name != "share" or lever.name == "batch"
    )


def _structure(lever: Lever) -> dict[str, Any]:
    """What of a lever's query is written only where its settings want it."""
    settings = lever.settings
    again = settings.get("failure_rate") or settings.get("retry_share") or ()
    kept = settings.get("share") if lever.name == "batch" else ()
    return {
        "meant_by": [name for name in SCOPE if settings.get(name)],
        "is_cascade": lever.name == "cascade",
        "is_partial": lever.name == "route" and settings["share"][1] < 1,
        "has_second": any(again) or any(one < 1 for one in kept or ()),
        "mode": settings.get("mode", ""),
        # What the engine takes as a constant only.
        "share": f"{settings['share'][1]:f}" if "share" in settings else "",
        "quantile": f"{settings['quantile'][1]:f}" if "quantile" in settings else "",
    }


def summed(rows: Iterable[Mapping[str, Any]], by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of a replay added up by some of their columns, with the saving: what is unknown stays out and is counted."""
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in by)
        group = groups.setdefault(key, dict(zip(by, key, strict=True)))
        for name, value in row.items():
            if name not in ("feature", "customer_tier") and value is not None:
                group[name] = group[name] + value if name in group else value
    for group in groups.values():
        # The dearest assumption leaves the lowest saving: so the savings of groups add up to those of all.
        for saving, cost in zip(CASES, reversed(CASES), strict=True):
            actual, other = group.get("actual_usd"), group.get(f"cost_{cost}_usd")
            group[f"saving_{saving}_usd"] = None if actual is None or other is None else actual - other
    return sorted(
        groups.values(), key=lambda group: (-abs(group["saving_mid_usd"] or Decimal(0)), *map(str, group.values()))
    )
