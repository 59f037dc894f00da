"""A provider's usage object, turned into disjoint token classes by SQL.

Each API shape is one file beside this module, named like the shape: a header (YAML in a comment) and one struct
expression over ``usage``, the parsed object. A new shape is a new file. The header says

``about``          what the provider counts where, and what we do about it
``apis``           names of the API under which a source may hand over such objects
``recognised_by``  keys (``all``, ``any``, ``none``) that tell the shape where no API is named; without it, it never is
``basis``          ``inclusive`` where cached input is part of the stated input, ``disjoint`` where it is not; an object that
                   shows otherwise has the part ``is_disjoint``
``fields``         what is read of the object: ``count``, ``text``, a nested object, or a list with one element
``define``         optional named expressions over ``usage``, written ``defined.<name>`` below
``aside``          keys that are known and not read, by their path: what they count is no part of the bill, or said elsewhere
``on_request``     true for the form of one tool: it is read only where it is asked for by name, so that others do not pay for it

The expression names token classes, and of ``OTHER_PARTS`` what the provider tells. Counts are DOUBLE there: exact up to
2^53, and a fraction can be seen. Names of its lambdas begin with ``usage_``: a column of the records would win.
Everything that holds for each shape is done here: a negative remainder is nulled and flagged, the provider's total is
tested, a count that is none becomes ``problem``, and what an object states beside its tokens is read (``stated``): dollars,
calls of tools, time.

A source's SQL takes the steps as common table expressions, after the one that holds its records::

    with records as (select ..., api, usage from ...),
    {usage_steps("records", api="api", usage="usage")}
    select ..., classed.input_uncached_tokens, classed.usage_flags, usage_shape
    from usage_classed

on a connection where ``register`` was called. ``usage`` is of type JSON. Steps, not one macro: DuckDB finds equal
parts of an expression within a step, not within a macro's lambda, where the same work took six times as long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import duckdb

from pipelines.contract import TOKEN_CLASS_NAMES, TOKEN_CLASSES
from pipelines.usage import stated
from pipelines.usage.further import UNREAD, Further, further_steps, look
from pipelines.usage.problems import COUNT_PROBLEM, PROBLEM_AT, problem_of
from pipelines.usage.shapes import PARTS, UsageShape, UsageShapeError, lines_of, literal, shape_macro, usage_shapes

# What the struct ``classed`` holds, in this order.
CLASSES_TYPES = {
    **dict.fromkeys(TOKEN_CLASS_NAMES, "BIGINT"),
    **dict.fromkeys(("input_total", "cached_total", "written_total", "class_total"), "BIGINT"),
    "context_test_tokens": "BIGINT",
    "provider_total_tokens": "BIGINT",
    "extra_units": "MAP(VARCHAR, DECIMAL(38,9))",
    "usage_flags": "VARCHAR[]",
    "usage_basis": "VARCHAR",
    "usage_quality": "VARCHAR",
    "service_tier": "VARCHAR",
    "speed": "VARCHAR",
    "inference_geo": "VARCHAR",
    "unread_usage": UNREAD,
    "cost_reported_usd": "DECIMAL(18,12)",
    "cost_reported_basis": "VARCHAR",
    "problem": "VARCHAR",
}
_SMALL_SHAPE = "voyage.embeddings"


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros that ``usage_steps`` calls, and ``usage_shape(api, usage)``, on the connection.

    They are temporary: they live and die with the connection, whatever database it is on.
    """
    macros = (
        COUNT_PROBLEM,
        PROBLEM_AT,
        _MODALITY_TOKENS,
        _TOKENS_OF_MODALITY,
        _LIFETIME_TOKENS,
        _CACHED_LEFT_OUT,
        _THOUGHT_LEFT_OUT,
        *stated.MACROS,
        shape_macro(),
    )
    for statement in macros:
        connection.execute(statement)


def usage_steps(
    records: str, *, api: str, usage: str, only: Collection[str] | None = None, further: Further | None = None
) -> str:
    """Common table expressions from ``records`` (a table or an earlier step) to ``usage_classed``.

    ``usage_classed`` has all columns of ``records``, ``usage_shape`` (null without usage, ``ambiguous`` where no api is
    given and the keys fit no shape or several, ``unknown`` where the api is not known) and the struct ``classed``
    (``CLASSES_TYPES``). Where ``classed.problem`` is not null the classes are null: the record belongs in quarantine.

    ``api`` and ``usage`` are expressions over ``records``, of type VARCHAR and JSON; each is evaluated once.
    ``only`` names the shapes that occur, where the caller has looked (``select distinct usage_shape(api, usage)``
    costs little): the parser then reads the fields of these alone. A row of another shape gets a ``problem``.
    None or empty: all shapes but those that are read on request.
    ``further`` are the keys that occur and no shape names (pipelines.usage.further.look): they are read by their words, and the
    counts under those that say nothing stand in ``classed.unread_usage``. Without it such keys are not seen.

    Raises KeyError where ``only`` names no shape.
    """
    every = [name for name, shape in usage_shapes().items() if not shape.on_request]
    shapes = [usage_shapes()[name] for name in sorted(only or every)]
    fields = _all_fields(shapes)
    return f"""
usage_named as (
    select *, {api} as usage_api, {usage} as usage_text
    from {records}
),
usage_shaped as (
    select *, usage_shape(usage_api, usage_text) as usage_shape
    from usage_named
),
usage_parsed as (
    select *, from_json(usage_text, {literal(_structure(fields))}) as usage_texts
    from usage_shaped
),
usage_counted as (
    select *, try_cast(usage_texts as {_columns(fields)}) as usage_numbers
    from usage_parsed
),
usage_found as (
    select *, {_parts(shapes)} as usage_parts, usage_stated(usage_text) as usage_said, {problem_of(shapes)} as usage_problem
    from usage_counted
),
{further_steps(further or {})}
usage_summed as (
    select *, {_sums()}
    from usage_read
),
usage_judged as (
    select *, {_judged()}
    from usage_summed
),
usage_classed as (
    select
        * exclude (
            usage_api, usage_text, usage_texts, usage_numbers, usage_parts, usage_said, usage_problem, usage_unread,
            usage_is_negative, usage_class_sum, usage_nulled, usage_units, usage_is_nothing, usage_is_mismatch
        ),
        {_classed()} as classed
    from usage_judged
)
"""


def shapes_named(found: Iterable[str | None]) -> set[str]:
    """What ``usage_steps`` is to be asked for where ``usage_shape`` gave these: a small shape where none of them is one."""
    return {name for name in found if name in usage_shapes()} or {_SMALL_SHAPE}


def classes(api: str | None, usage_json: str | None) -> dict[str, Any]:
    """The classes of one usage object, by the same SQL, with ``usage_shape`` beside them.

    ``api`` None lets the keys decide; ``usage_json`` None is a call whose provider sent no usage.
    """
    with duckdb.connect() as connection:
        register(connection)
        values = {"api": api, "usage": usage_json}
        connection.execute(
            "create temp table objects as select cast($api as varchar) as api, cast($usage as json) as usage", values
        )
        seen = look(connection, "with ", "objects", "api", "usage", None)
        steps = usage_steps("objects", api="api", usage="usage", only=shapes_named(seen.shapes), further=seen.further)
        row = connection.execute(f"with {steps} select usage_shape, classed from usage_classed").fetchone()
    assert row is not None
    return {"usage_shape": row[0], **row[1]}


def _structure(fields: Any) -> str:
    """The structure that ``from_json`` reads, from the fields of a header."""
    if isinstance(fields, Mapping):
        return "{" + ",".join(f'"{name}":{_structure(of)}' for name, of in fields.items()) + "}"
    if isinstance(fields, list):
        return f"[{_structure(fields[0])}]"
    return '"VARCHAR"'


def _columns(fields: Any) -> str:
    """The DuckDB type of the parsed object."""
    if isinstance(fields, Mapping):
        return "STRUCT(" + ", ".join(f'"{name}" {_columns(of)}' for name, of in fields.items()) + ")"
    if isinstance(fields, list):
        return _columns(fields[0]) + "[]"
    return {"count": "DOUBLE", "text": "VARCHAR"}[fields]


_MODALITY_TOKENS = """
create or replace temp macro modality_tokens(details, modalities) as
    list_sum(
        list_transform(
            list_filter(details, lambda usage_part: list_contains(modalities, upper(usage_part.modality))),
            lambda usage_part: usage_part.tokenCount
        )
    )
"""
_TOKENS_OF_MODALITY = """
create or replace temp macro tokens_of_modality(details, modalities) as
    list_sum(
        list_transform(
            list_filter(details, lambda usage_part: list_contains(modalities, upper(usage_part.modality))),
            lambda usage_part: usage_part.tokens
        )
    )
"""
_LIFETIME_TOKENS = """
create or replace temp macro lifetime_tokens(details, lifetime) as
    list_sum(
        list_transform(
            list_filter(details, lambda usage_part: usage_part.ttl = lifetime),
            lambda usage_part: usage_part.inputTokens
        )
    )
"""
# What frameworks state is meant to be inclusive. Where input cannot hold the cached tokens, or the total has them on top, it is not;
# likewise output and reasoning ("thought").
_CACHED_LEFT_OUT = """
create or replace temp macro cached_left_out(input, output, cached, thought, total) as coalesce(
    cached > 0 and (
        input < cached
        or coalesce(total - input - output in (cached, cached + coalesce(thought, 0)), false)
    ),
    false
)
"""
_THOUGHT_LEFT_OUT = """
create or replace temp macro thought_left_out(input, output, cached, thought, total) as coalesce(
    thought > 0 and (
        output < thought
        or coalesce(total - input - output = thought and thought <> cached, false)
        or coalesce(total - input - output = cached + thought, false)
    ),
    false
)
"""


def _all_fields(shapes: Collection[UsageShape]) -> dict[str, Any]:
    """The fields of all shapes in one object: rows of all shapes come mixed, and the parser reads one structure.

    Raises UsageShapeError where two shapes want to read the same key in different ways.
    """
    merged: dict[str, Any] = {}
    for shape in shapes:
        _merge(merged, shape.fields, shape.name)
    return merged


def _merge(into: dict[str, Any], fields: Mapping[str, Any], name: str) -> None:
    for key, of in fields.items():
        if isinstance(of, Mapping) and isinstance(into.setdefault(key, {}), dict):
            _merge(into[key], of, name)
        elif into.setdefault(key, of) != of:
            raise UsageShapeError(f"{name}.sql: field {key} is {of} here and {into[key]} in another shape")


def _parts(shapes: Collection[UsageShape]) -> str:
    """The shape's own struct, widened to all parts that there are."""
    widened = "STRUCT(" + ", ".join(f"{name} {of}" for name, of in PARTS.items()) + ")"
    branches = [f"when '' then cast(null as {widened})"]
    for shape in shapes:
        expression = _over_columns(shape.expression)
        for name, text in shape.define.items():
            defined = f"({_over_columns(text)})".replace("\\", "\\\\")
            expression = re.sub(rf"\bdefined\.{name}\b", defined, expression)
        branches.append(f"when {literal(shape.name)} then cast({expression} as {widened})")
    return f"case usage_shape {lines_of(branches)} end"


def _over_columns(expression: str) -> str:
    return re.sub(r"\busage\.", "usage_numbers.", expression)


def _sums() -> str:
    """What several of the results go by: whether a class is below nothing, and what all of them come to."""
    every = ", ".join(f"usage_parts.{name}" for name in TOKEN_CLASS_NAMES)
    class_sum = " + ".join(f"coalesce(usage_parts.{name}, 0)" for name in TOKEN_CLASS_NAMES)
    # Added to a count, the last nulls it in a record with a problem; the rest nulls negative counts. Branches cost more.
    return f"""coalesce(least({every}) < 0, false) as usage_is_negative,
        {class_sum} as usage_class_sum,
        case when usage_problem is null then cast(0 as double) end as usage_nulled"""


def _judged() -> str:
    every = ", ".join(f"usage_parts.{name}" for name in TOKEN_CLASS_NAMES)
    return f"""{stated.units_of("usage_parts.extra_units", "usage_class_sum")} as usage_units,
        coalesce({every}) is null and coalesce(cardinality(usage_units), 0) = 0 as usage_is_nothing,
        coalesce(usage_class_sum <> usage_parts.provider_total_tokens, false) as usage_is_mismatch"""


def _classed() -> str:
    """The result's struct: what holds for every shape."""
    negative, mismatch, nothing = "usage_is_negative", "usage_is_mismatch", "usage_is_nothing"
    values = {
        name: f"try_cast(nullif(greatest(usage_parts.{name} + usage_nulled, -1), -1) as bigint)"
        for name in (*TOKEN_CLASS_NAMES, "context_test_tokens", "provider_total_tokens")
    }
    sums = {
        "input_total": [of.tokens for of in TOKEN_CLASSES if of.type != "output"],
        "cached_total": [of.tokens for of in TOKEN_CLASSES if of.type in ("cache_read", "cache_write")],
        "written_total": [of.tokens for of in TOKEN_CLASSES if of.type == "cache_write"],
    }
    for name, of in sums.items():
        values[name] = f"try_cast({' + '.join(f'coalesce(usage_parts.{part}, 0)' for part in of)} as bigint)"
    values |= {
        "class_total": "try_cast(usage_class_sum as bigint)",
        "extra_units": "usage_units",
        "usage_flags": f"""case
            when not ({negative}) and not ({mismatch}) and not ({nothing}) and usage_parts.flags is null
                then cast([] as varchar[])
            when usage_shape is null then ['missing_usage']
            when usage_parts is null then ['ambiguous_shape']
            else list_sort(list_distinct(list_filter(list_concat(usage_parts.flags, [
                case when {negative} then 'negative_remainder' end,
                case when {mismatch} and not ({nothing}) then 'split_mismatch' end,
                case when {nothing} then 'missing_usage' end
            ]), lambda usage_flag: usage_flag is not null)))
        end""",
        "usage_basis": f"case when usage_parts.is_disjoint then 'disjoint' else case usage_shape {lines_of(_basis_branches())} end end",
        "usage_quality": f"""case
            when usage_shape in ('ambiguous', 'unknown') then 'partial'
            when {nothing} then 'missing'
            when {negative} or usage_parts.is_partial or usage_problem is not null then 'partial'
            else 'reported'
        end""",
        "service_tier": "usage_parts.service_tier",
        "speed": "usage_parts.speed",
        "inference_geo": "usage_parts.inference_geo",
        "unread_usage": "usage_unread",
        "cost_reported_usd": "usage_said.usd",
        "cost_reported_basis": "coalesce(usage_said.basis, 'none')",
        "problem": "usage_problem",
    }
    return "{" + ",\n".join(f"'{name}': {values[name]}" for name in CLASSES_TYPES) + "}"


def _basis_branches() -> list[str]:
    bases = {shape.name: shape.basis for shape in usage_shapes().values()}
    bases |= {"ambiguous": "ambiguous", "unknown": "ambiguous"}
    return [f"when {literal(name)} then {literal(basis)}" for name, basis in bases.items()]
