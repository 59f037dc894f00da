"""What can be wrong with a usage object: a sentence for quarantine, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

from pipelines.usage.shapes import UsageShape, lines_of, literal, usage_shapes

# A DOUBLE above this does not hold every whole number.
LARGEST_COUNT = 2**53
# One value that stands where a count is expected: NULL where it is one, or JSON null.
COUNT_PROBLEM = f"""
create or replace temp macro usage_count_problem(place, found) as case
    when found is null or json_type(found) = 'NULL' then null
    when json_type(found) in ('BOOLEAN', 'OBJECT', 'ARRAY')
        or not coalesce(isfinite(try_cast(found ->> '$' as double)), false)
        or try_cast(found ->> '$' as double) <> floor(try_cast(found ->> '$' as double))
        then place || ' is ' || left(cast(found as varchar), 40) || ', expected a whole number'
    when try_cast(found ->> '$' as double) < 0
        then place || ' is ' || left(cast(found as varchar), 40) || ', expected a count of 0 or more'
    when try_cast(found ->> '$' as double) > {LARGEST_COUNT}
        then place || ' is ' || left(cast(found as varchar), 40) || ', expected a count of at most {LARGEST_COUNT}'
end
"""
# What is wrong at places of an object, the first of them; ``kinds`` says of each what is expected: count, OBJECT or ARRAY. One list
# of places in place of an expression for each: what a batch of records costs is the plan of its query.
PROBLEM_AT = """
create or replace temp macro usage_problem_at(object, paths, kinds) as list_filter(
    list_transform(
        list_zip(paths, kinds),
        lambda usage_at: case
            when usage_at[2] = 'count'
                then usage_count_problem('usage' || usage_at[1][2:], json_extract(object, usage_at[1]))
            when json_type(json_extract(object, usage_at[1])) not in (usage_at[2], 'NULL')
                then 'usage' || usage_at[1][2:] || ' is ' || left(cast(json_extract(object, usage_at[1]) as varchar), 40)
                    || ', expected ' || case usage_at[2] when 'OBJECT' then 'an object' else 'a list' end
        end
    ),
    lambda usage_said: usage_said is not null
)[1]
"""
_NOT_AN_OBJECT = (
    "case when json_type(usage_text) not in ('OBJECT', 'NULL') "
    "then 'usage is ' || left(cast(usage_text as varchar), 40) || ', expected an object' end"
)


def _is_sound(fields: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Conditions that all hold where each value is surely what it must be.

    A value that is no number is there as text and not as number. An object or a list of which nothing could be read
    may be something else: of an object the text is asked, a list leaves a doubt.
    """
    for name, of in fields.items():
        number = ".".join(("usage_numbers", *above, name))
        text = ".".join(("usage_texts", *above, name))
        if isinstance(of, Mapping):
            anything = " or ".join(f"{text}.{inner} is not null" for inner in of)
            json_path = ".".join(("$", *above, name))
            yield f"({text} is null or {anything} or json_type(usage_text, {literal(json_path)}) = 'OBJECT')"
            yield from _is_sound(of, (*above, name))
        elif isinstance(of, list):
            counts = [part for part, kind in of[0].items() if kind == "count"]
            wrong = " or ".join(f"not {_is_count(f'usage_element.{count}')}" for count in counts)
            doubtful = f"list_filter({number}, lambda usage_element: coalesce({wrong}, true))"
            yield f"coalesce(len({doubtful}) = 0, {text} is null)"
        elif of == "count":
            yield f"({number} is null) = ({text} is null)"
            yield f"coalesce({number} = floor({number}), true)"


def _is_count(number: str) -> str:
    return f"({number} between 0 and {LARGEST_COUNT} and {number} = floor({number}))"


def _counts(fields: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, of in fields.items():
        if isinstance(of, Mapping):
            yield from _counts(of, (*above, name))
        elif of == "count":
            yield (*above, name)


def _places(fields: Mapping[str, Any], above: str = "$") -> Iterator[tuple[str, str]]:
    """The path of each place that can be wrong and what is expected there; of a list also each count of its elements."""
    for name, of in fields.items():
        path = f"{above}.{name}"
        if of == "count":
            yield path, "count"
        elif isinstance(of, Mapping):
            yield path, "OBJECT"
            yield from _places(of, path)
        elif isinstance(of, list):
            yield path, "ARRAY"
            yield from ((f"{path}[*].{part}", "counts") for part, kind in of[0].items() if kind == "count")


def _problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """In the order of the fields what is wrong, read from the text again, as JSON; NULL where nothing is."""
    for is_within_lists, found in groupby(_places(fields), key=lambda place: place[1] == "counts"):
        places = list(found)
        if not is_within_lists:
            paths, kinds = (", ".join(map(literal, values)) for values in zip(*places, strict=True))
            yield f"usage_problem_at(usage_text, [{paths}], [{kinds}])"
            continue
        for path, _ in places:
            each = f"json_extract(usage_text, {literal(path)})"
            problem = f"usage_count_problem({literal('usage' + path[1:].replace('[*]', '[]'))}, usage_element)"
            yield (
                f"list_filter(list_transform({each}, lambda usage_element: {problem}), "
                f"lambda usage_element: usage_element is not null)[1]"
            )


def problem_of(shapes: Collection[UsageShape]) -> str:
    """A sentence for quarantine, or NULL. The text is read again only where the parsed values leave a doubt."""
    branches = []
    for shape in shapes:
        anything = " or ".join(f"usage_texts.{name} is not null" for name in shape.fields)
        numbers = ", ".join(".".join(("usage_numbers", *keys)) for keys in _counts(shape.fields))
        in_range = f"coalesce(least({numbers}) >= 0 and greatest({numbers}) <= {LARGEST_COUNT}, true)"
        sound = " and ".join([f"({anything})", in_range, *_is_sound(shape.fields)])
        found = f"coalesce({_NOT_AN_OBJECT}, {', '.join(_problems(shape.fields))})"
        branches.append(f"when {literal(shape.name)} then case when {sound} then null else {found} end")
    left_out = [name for name in usage_shapes() if name not in {shape.name for shape in shapes}]
    branches += [f"when {literal(name)} then 'usage is of shape {name}, which was not asked for'" for name in left_out]
    return f"case usage_shape {lines_of(branches)} else {_NOT_AN_OBJECT} end"
