"""Scenarios: rows of ``scenarios.csv``, ours and theirs, with what is set for once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from pipelines.words import listed, meant

CASES = ("low", "mid", "high")
# Whom or what a lever is for; blank is all. Several words are set apart by blanks.
SCOPE = ("feature", "step", "customer_id", "customer_tier", "provider", "from_model")
# What a setting is, by its unit; every other unit is a number, or three of them.
_WORDS = ("word", "words", "model", "file", "day")
_SHARES = "shares"
# What something is divided by.
_LEAST = {
    **dict.fromkeys(("output_tokens_per_s", "input_tokens_per_s", "cache_read_tokens_per_s"), Decimal(1)),
    "peak_share": Decimal("0.01"),
    "group_calls": Decimal(1),
    "round_tokens": Decimal(1),
    "paid_back_months": Decimal(1),
}


class ScenarioError(ValueError):
    """A scenario, a lever or a setting that there is not, or that cannot be read. The message is for a person."""


@dataclass(frozen=True)
class Kind:
    """A lever. ``rank``: its place where several are asked for, as what comes first leaves less for the next.

    ``factors``: what of a row's cost it may change, beside its tokens; ``fills``: classes of tokens that rows may have only after it.
    """

    rank: int
    query: str
    held: str
    risk: str
    needs_calls: bool = True
    factors: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()


_OF_ROUTES = ("weight", "input_factor", "output_factor", "cold_share", "added")
# In the order prompt hygiene, cap, limits, route, caches, batch, prices.
KINDS: Mapping[str, Kind] = {
    "context_trim": Kind(
        10,
        "lever_context_trim",
        "answers and their length",
        "an answer may miss what was cut",
        factors=("input_factor",),
    ),
    "limit": Kind(
        15,
        "lever_limit",
        "calls below the limit",
        "users who leave, and those who pay in place of it",
        factors=("weight",),
    ),
    "output_cap": Kind(
        20,
        "lever_output_cap",
        "calls, input and the text up to the cap",
        "a cut answer may be of no use, asked for again or not",
        factors=("weight", "added"),
    ),
    "route": Kind(
        30,
        "lever_route",
        "calls, tools and units that are not tokens; the range of context lengths that a call falls in",
        "the quality and latency of the other model",
        factors=_OF_ROUTES,
    ),
    "cascade": Kind(
        31,
        "lever_route",
        "calls, tools and units that are not tokens; the second try costs what the call cost",
        "latency of two calls in a row; wrong first answers that nobody notices",
        factors=_OF_ROUTES,
    ),
    "few_shot": Kind(
        32, "lever_few_shot", "answers and their length", "a tuned model may know less than the examples told"
    ),
    "prompt_cache": Kind(
        40,
        "lever_prompt_cache",
        "calls, their order and their instants, prompts and answers",
        "a prefix that is not the same byte for byte is not read",
        factors=("cold_share",),
        fills=("cache_read", "cache_write_5m", "cache_write_1h"),
    ),
    "response_cache": Kind(
        41,
        "lever_response_cache",
        "calls and prompts",
        "stale answers, and answers that belong to somebody else",
        factors=("weight", "added"),
    ),
    "micro_batch": Kind(
        50,
        "lever_micro_batch",
        "answers and their length",
        "the wait, and answers that get worse when several are asked for at once",
    ),
    "batch": Kind(
        51,
        "lever_batch",
        "calls, prompts, answers and what is read from the cache",
        "answers come later",
        needs_calls=False,
        factors=("weight", "added"),
    ),
    "price": Kind(
        60,
        "lever_price",
        "calls, models and tokens; units that are not tokens",
        "what people do about it",
        needs_calls=False,
        factors=("input_factor", "output_factor"),
    ),
    "fixed": Kind(90, "", "", ""),
    # Questions of their own, which leave the rows as they are.
    "self_host": Kind(
        95,
        "whatif_hours",
        "calls, tokens and their hours; the API's price as it was paid",
        "the quality of another model; people who are not there; months in which the GPUs wait for work",
    ),
    "usage_pricing": Kind(
        96, "whatif_pricing", "what each user did, up to the allowance", "users who leave or come because of the price"
    ),
}


@dataclass(frozen=True)
class Lever:
    """One lever with its settings: a text, a list of shares, or a number for each of the three cases, by the unit of each."""

    name: str
    settings: Mapping[str, Any]
    units: Mapping[str, str]
    given: frozenset[str] = field(default=frozenset())

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]


@dataclass(frozen=True)
class Scenario:
    name: str
    levers: tuple[Lever, ...]


# Levers that are no step of a replay.
ALONE = ("self_host", "usage_pricing")
Row = Mapping[str, Any]


def scenarios_of(rows: Sequence[Row], asked: str, given: Sequence[str] = ()) -> list[Scenario]:
    """The scenarios of ``a`` or ``a+b``, in the order in which their levers are applied, with ``key=value`` set.

    Raises ScenarioError.
    """
    names = [name.strip().replace("-", "_") for name in asked.split("+") if name.strip()]
    known = list(dict.fromkeys(str(row["scenario"]) for row in rows))
    if not names:
        raise ScenarioError(f"{asked!r} names no scenario. 'tokenbooks whatif' lists all {len(known)}.")
    found = []
    for name in names:
        if name not in known:
            raise ScenarioError(f"No scenario {name}.{meant(name, known)} 'tokenbooks whatif' lists all {len(known)}.")
        found.append(_scenario(rows, name))
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ScenarioError(f"{twice[0]} is asked for twice.")
    if len(found) > 1 and (alone := [one.name for one in found if any(lever.name in ALONE for lever in one.levers)]):
        raise ScenarioError(f"{alone[0]} is a question of its own: ask it without the others.")
    settled = _with(found, given)
    return sorted(settled, key=lambda one: min(lever.kind.rank for lever in one.levers))


def _scenario(rows: Sequence[Row], name: str) -> Scenario:
    by_lever: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["scenario"] == name:
            by_lever.setdefault(str(row["lever"]), {})[str(row["parameter"])] = row
    levers = []
    for lever, settings in by_lever.items():
        if lever not in KINDS:
            raise ScenarioError(
                f"scenarios.csv: {name} has a lever {lever}, which is none. Known are {listed(sorted(KINDS), 20)}."
                f"{meant(lever, KINDS, at_most=1)}"
            )
        # A scenario of one's own says what it changes; the rest is as in our first scenario with that lever.
        ours = next((str(row["scenario"]) for row in rows if row["lever"] == lever), name)
        defaults = {str(row["parameter"]): row for row in rows if row["lever"] == lever and row["scenario"] == ours}
        values: dict[str, Any] = dict.fromkeys(SCOPE, "") if KINDS[lever].query else {}
        units = dict.fromkeys(values, "words")
        for parameter, row in (defaults | settings).items():
            units[parameter] = str(row["unit"] or (defaults[parameter]["unit"] if parameter in defaults else "words"))
            values[parameter] = value_of(row["setting"] or "", units[parameter], parameter, f"{name}.{parameter}")
        levers.append(Lever(lever, values, units))
    return Scenario(name, tuple(sorted(levers, key=lambda one: one.kind.rank)))


def value_of(text: str, unit: str, parameter: str, where: str) -> Any:
    """A setting as it is used: a text, a list of ten shares, or three numbers. Raises ScenarioError with ``where`` it stands."""
    text = text.strip()
    if unit in _WORDS:
        return text
    try:
        if unit == _SHARES:
            shares = [_number(part) for part in text.split()]
            if len(shares) != 10 or not all(0 <= share <= 1 for share in shares):
                raise ScenarioError(f"{where} is {text!r}, expected ten shares set apart by blanks.")
            return shares
        parts = [_number(part) for part in text.split("/")]
    except InvalidOperation:
        raise ScenarioError(f"{where} is {text!r}, expected a number, or three such as 0.8/1/1.3.") from None
    if len(parts) not in (1, 3):
        raise ScenarioError(f"{where} is {text!r}, expected a number, or three such as 0.8/1/1.3.")
    triple = tuple(parts * 3 if len(parts) == 1 else parts)
    # A price may become more than twice as high; every other share is one of something.
    if unit == "share" and not all(share > -1 and (share <= 1 or parameter == "change") for share in triple):
        raise ScenarioError(f"{where} is {text!r}, expected shares of 1, such as 0.2.")
    if unit == "quantile" and not all(0 <= share <= 1 for share in triple):
        raise ScenarioError(f"{where} is {text!r}, expected a share from 0 to 1, such as 0.99.")
    if (least := _LEAST.get(parameter)) is not None and min(triple) < least:
        raise ScenarioError(f"{where} is {text!r}, expected {least} or more.")
    return triple


def _number(text: str) -> Decimal:
    number = Decimal(text.strip())
    if not number.is_finite():
        raise InvalidOperation
    return number


def _with(found: Sequence[Scenario], given: Sequence[str]) -> list[Scenario]:
    """The scenarios with what is set for once, ``key=value`` or ``scenario.key=value``."""
    settled = list(found)
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ScenarioError(f"--set {text}: expected key=value, such as --set share=0.5.")
        scenario_name, dot, parameter = key.strip().rpartition(".")
        places = [
            (place, number)
            for place, one in enumerate(settled)
            if not dot or one.name == scenario_name.replace("-", "_")
            for number, lever in enumerate(one.levers)
            if parameter in lever.settings
        ]
        if not places:
            known = sorted({name for one in settled for lever in one.levers for name in lever.settings})
            raise ScenarioError(
                f"--set {text}: there is no setting {key.strip()}.{meant(parameter, known)} Known are {listed(known, 40)}."
            )
        if len({place for place, _ in places}) > 1 and parameter not in SCOPE:
            names = listed([f"{settled[place].name}.{parameter}" for place, _ in places])
            raise ScenarioError(f"--set {text}: that is a setting of several scenarios; say {names}.")
        for place, number in places:
            lever = settled[place].levers[number]
            new = value_of(value, lever.units[parameter], parameter, f"--set {key.strip()}")
            changed = replace(lever, settings={**lever.settings, parameter: new}, given=lever.given | {parameter})
            levers = [*settled[place].levers]
            levers[number] = changed
            settled[place] = replace(settled[place], levers=tuple(levers))
    return settled
