"""The macros that every source's SQL may use: what is wrong with a text, instants, and look-ups by name in metadata and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import duckdb

from pipelines import paths
from pipelines.engine import listed, quoted

# A file has fewer lines than this.
LINES_APART = 2**32

# A text that is there and is not what it should be gives a sentence; so a cast never makes a null of it in silence.
MACROS = (
    "whole(text) as case when try_cast(text as decimal(38, 9)) = floor(try_cast(text as decimal(38, 9))) "
    "then try_cast(try_cast(text as decimal(38, 9)) as bigint) end",
    "wrong_count(field, text) as case when text is not null and coalesce(whole(text) < 0, true) "
    "then field || ' is ' || left(text, 40) || ', expected a whole number of 0 or more' end",
    "wrong_small_count(field, text) as case when text is not null and coalesce(whole(text) not between 0 and 2147483647, true) "
    "then field || ' is ' || left(text, 40) || ', expected a whole number from 0 to 2147483647' end",
    "wrong_usd(field, text) as case when text is not null and try_cast(text as decimal(18, 12)) is null "
    "then field || ' is ' || left(text, 40) || ', expected an amount in USD below 1000000' end",
    "wrong_json(field, text, wanted) as case "
    "when text is not null and coalesce(json_type(try_cast(text as json)), '') not in (wanted, 'NULL') "
    "then field || ' is ' || left(text, 40) || ', expected a JSON ' || lower(wanted) end",
    "wrong_amount(field, text) as case when text is not null and try_cast(text as decimal(38, 12)) is null "
    "then field || ' is ' || left(text, 40) || ', expected a decimal number' end",
    "wrong_boolean(field, text) as case when text is not null and try_cast(text as boolean) is null "
    "then field || ' is ' || left(text, 40) || ', expected true or false' end",
    "wrong_instant(field, text) as case when text is not null and not coalesce(isfinite(try_cast(text as timestamptz)), false) "
    "then field || ' is ' || left(text, 40) || ', expected an instant in ISO 8601 such as 2026-11-18T12:00:00Z' end",
    "iso_instant(instant) as strftime(instant, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "hex_id(text) as replace(lower(text), '-', '')",
    # What databases and languages write for nothing, blanks among it, is nothing.
    "said(text) as case when lower(trim(text)) not in ('', 'null', 'none', 'undefined') then text end",
    # Unix seconds as an instant in ISO 8601; any other text as it is.
    "dated(text) as case when regexp_full_match(text, '[0-9]+(\\.[0-9]+)?([eE]\\+?[0-9]+)?') "
    "and try_cast(text as decimal(38, 9)) between 100000000 and 99999999999 "
    "then iso_instant(make_timestamptz(cast(round(try_cast(text as decimal(38, 9)) * 1000000) as bigint))) else text end",
    # Of a line that holds several records the first has the line as its place; the line can be told of each.
    f"row_in_line(line, nth) as line + (nth - 1) * {LINES_APART}",
    # A tier that is stated, and one that the keys of the counts name; what was left to the provider contradicts nothing.
    "tiers_differ(stated, of_counts) as coalesce(lower(stated) <> 'auto' and not contains(lower(stated), of_counts), false)",
    # Cells of tables that people download: blanks and the word NULL say nothing, a dollar sign stands before an amount.
    "plain(text) as nullif(nullif(trim(text), ''), 'NULL')",
    "money(text) as regexp_replace(plain(text), '^(-?)\\s*\\$\\s*', '\\1')",
    # ISO 8601 with or without an offset (none is UTC), unix seconds, and the dates of an American table: 4/1/25 is 1 April.
    "instant_of(text) as case when regexp_full_match(text, '\\d{9,10}(\\.\\d+)?') then to_timestamp(try_cast(text as double)) "
    "when regexp_full_match(text, '\\d{1,2}/\\d{1,2}/\\d{2}') then cast(try_strptime(text, '%m/%d/%y') as timestamptz) "
    "when regexp_full_match(text, '\\d{1,2}/\\d{1,2}/\\d{4}') then cast(try_strptime(text, '%m/%d/%Y') as timestamptz) "
    "else try_cast(text as timestamptz) end",
    "wrong_date(field, text) as case when text is not null and not coalesce(isfinite(instant_of(text)), false) "
    "then field || ' is ' || left(text, 40) || ', expected a date such as 2026-11-18' end",
)


def create_macros(con: duckdb.DuckDBPyConnection, keep: Sequence[str]) -> None:
    """What every source's SQL may use; ``kept_attributes(document, further)`` keeps entries by name, cut at 200 characters."""
    for macro in MACROS:
        con.execute(f"create or replace temp macro {macro}")
    if not keep:
        con.execute(
            "create or replace temp macro kept_attributes(document, further) as cast(map {} as map(varchar, varchar))"
        )
        return
    # Of a key that is there twice the last one wins. Objects and lists are no values of a dimension.
    for macro in (
        "all_keys(document) as coalesce(json_keys(document), [])",
        "has_repeated_keys(document) as len(list_distinct(all_keys(document))) < len(all_keys(document))",
        "last_value_of(document, key) as json_extract(document, '$.*')"
        "[len(all_keys(document)) - list_position(list_reverse(all_keys(document)), key) + 1]",
        "value_at(document, key, path) as case when has_repeated_keys(document) then last_value_of(document, key) "
        "else json_extract(document, path) end",
        "scalar(value) as case when json_type(value) not in ('OBJECT', 'ARRAY') then value ->> '$' end",
    ):
        con.execute(f"create or replace temp macro {macro}")
    values = ", ".join(
        f"left(coalesce(scalar(value_at(document, {quoted(key)}, {quoted('$.' + json.dumps(key))})), "
        f"scalar(json_extract(further, {quoted('$.' + json.dumps(key))}))), 200)"
        for key in keep
    )
    con.execute(
        "create or replace temp macro kept_attributes(document, further) as map_from_entries(list_filter("
        f"list_zip({listed(keep)}, [{values}]), lambda entry: entry[2] is not null))"
    )


def create_name_macros(
    con: duckdb.DuckDBPyConnection, keep: Sequence[str], dimension_keys: Mapping[str, Sequence[str]]
) -> None:
    """Look-ups by name in a record's metadata and tags, for sources whose names are free.

    ``named`` is such a look-up: {names, texts}, names in lower case, the entry that wins first (names.sql makes them).
    ``text_named(named, name)`` gives a text whole, ``value_named`` its first 200 characters, ``dimension_of(named, dimension)``
    gives a dimension that every call has, ``kept_of(named)`` the attributes and ``kept_tags(tags)`` the tags kept by name.
    """
    for written in sorted(paths.SOURCES.glob("*.sql")):
        con.execute(written.read_text(encoding="utf-8"))
    keys = ", ".join(f"{quoted(name)}: {listed([key.lower() for key in of])}" for name, of in dimension_keys.items())
    kept = f"cast({listed(keep)} as varchar[])"
    folded = f"cast({listed([name.lower() for name in keep])} as varchar[])"
    for macro in (
        "text_named(named, name) as nullif(trim(named.texts[list_position(named.names, name)]), '')",
        "value_named(named, name) as left(text_named(named, name), 200)",
        f"keys_of_dimension(dimension) as (map {{{keys}}})[dimension]"
        if keys
        else "keys_of_dimension(dimension) as null",
        "dimension_of(named, dimension) as list_filter(list_transform(keys_of_dimension(dimension), "
        "lambda name: value_named(named, name)), lambda found: found is not null)[1]",
        f"kept_of(named) as map_from_entries(list_filter(list_transform({kept}, "
        "lambda name: {'key': name, 'value': value_named(named, lower(name))}), lambda entry: entry.value is not null))",
        f"kept_tags(tags) as list_filter(tags, lambda tag: list_contains({folded}, lower(split_part(tag, ':', 1))))",
    ):
        con.execute(f"create or replace temp macro {macro}")
