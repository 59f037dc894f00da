"""Keys of usage objects that no shape names: found by a look at what occurs, read by their words, or kept by name.

A batch of records is looked at once, for the keys that occur and no shape has (``look``). Most batches have none, and pay nothing
more. Of those that have some, the SQL here reads what the words of a key say (pipelines/usage/keys.py) into the classes of the
shape, and lists the counts under keys that say nothing to us as ``unread_usage``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.contract import SERVICE_TIERS, TOKEN_CLASSES
from pipelines.usage.keys import Reading, default_class, reading_of
from pipelines.usage.problems import LARGEST_COUNT
from pipelines.usage.shapes import UsageShape, literal, usage_shapes

Path = tuple[str, ...]
Further = Mapping[str, Sequence[Path]]
# No provider nests its counts deeper.
_DEEPEST = 4
_LONGEST_NAME = 100
UNREAD = "MAP(VARCHAR, BIGINT)"
_DIRECTIONS = ("input", "output")


@dataclass(frozen=True)
class Look:
    """What a batch holds: the shapes that occur, and by shape the keys that it does not name."""

    shapes: set[str]
    further: Further


def look(con: duckdb.DuckDBPyConnection, before: str, records: str, api: str, usage: str, shape: str | None) -> Look:
    """Look at a relation: ``before`` are its common table expressions up to a comma, ``shape`` the only one that occurs."""
    name = literal(shape) if shape else f"usage_shape({api}, {usage})"
    shapes = [usage_shapes()[shape]] if shape else list(usage_shapes().values())
    parents = sorted({parent for of in shapes for parent in _parents(of.fields)})
    occurring: set[str] = {shape} if shape else set()
    further: dict[str, set[Path]] = {}
    while parents:
        found = con.execute(
            f"""{before}seen_keys as (select {name} as shape, json_keys({usage}, $paths) as keys from {records})
            select distinct shape, keys from seen_keys""",
            {"paths": [_pointer(parent) for parent in parents]},
        ).fetchall()
        deeper: set[Path] = set()
        for shape_name, key_lists in found:
            if shape_name not in usage_shapes():
                continue
            occurring.add(shape_name)
            of = usage_shapes()[shape_name]
            for parent, keys in zip(parents, key_lists or (), strict=False):
                known = _fields_at(of, parent)
                # What stands below a key that no rule names takes its place.
                if keys and known is None and parent in further.get(shape_name, ()):
                    further[shape_name].discard(parent)
                elif known is None:
                    continue
                for key in keys or ():
                    path = (*parent, key)
                    if key not in (known or {}) and not _is_aside(of, path):
                        further.setdefault(shape_name, set()).add(path)
                        if len(path) < _DEEPEST:
                            deeper.add(path)
        parents = sorted(deeper)
    kept = {of: sorted(path for path in paths if _says_more(usage_shapes()[of], path)) for of, paths in further.items()}
    return Look(occurring, {of: paths for of, paths in kept.items() if paths})


def _parents(fields: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    yield above
    for name, of in fields.items():
        if isinstance(of, Mapping):
            yield from _parents(of, (*above, name))


def _fields_at(shape: UsageShape, path: Path) -> Mapping[str, Any] | None:
    """The fields that a shape has in an object; None where it reads no such object."""
    fields: Any = shape.fields
    for key in path:
        fields = fields.get(key) if isinstance(fields, Mapping) else None
    return fields if isinstance(fields, Mapping) else None


def _is_aside(shape: UsageShape, path: Path) -> bool:
    return any(".".join(path[: length + 1]) in shape.aside for length in range(len(path)))


def _says_more(shape: UsageShape, path: Path) -> bool:
    """Whether a key changes what its shape reads. A detail that is what no other detail has, at no tier of its own, does not."""
    reading = reading_of(path)
    is_left_over = reading.kind == "rest" and not reading.tier and shape.basis == "inclusive" and len(path) > 1
    return reading.kind != "none" and not is_left_over


def _pointer(path: Path) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path) or "$"


def further_steps(further: Further) -> str:
    """The steps from ``usage_found`` to ``usage_read``: parts with what further keys say, and the column ``usage_unread``."""
    if not further:
        return f"usage_read as (select *, cast(null as {UNREAD}) as usage_unread from usage_found),"
    paths = sorted({path for of in further.values() for path in of})
    places = {path: f"usage_counts.k{number}" for number, path in enumerate(paths)}
    counts = ", ".join(f"'k{number}': {_count_at(path)}" for number, path in enumerate(paths))
    stated = {shape: _stated(of, places) for shape, of in further.items()}
    names = sorted({name for of in stated.values() for name in of})
    # A row without any of the keys is as it was.
    some = {shape: " or ".join(f"{places[path]} is not null" for path in of) for shape, of in further.items()}
    structs = []
    for shape, of in stated.items():
        values = {name: of.get(name, _nothing(name)) for name in names}
        structs.append(f"when usage_shape = {literal(shape)} and ({some[shape]}) then {_struct(values)}")
    if not names:
        return further_steps({})
    merge = _Merge(names, sorted(further))
    return f"""
usage_further as (select *, {{{counts}}} as usage_counts from usage_found),
usage_stated as (select *, case {" ".join(structs)} end as usage_more from usage_further),
usage_spelled as (select *, case when usage_more is not null then {merge.spelled()} end as usage_new from usage_stated),
usage_gained as (select *, case when usage_more is not null then {merge.gained()} end as usage_gain from usage_spelled),
usage_placed as (select *, case when usage_more is not null then {merge.placed()} end as usage_way from usage_gained),
usage_added as (select *, case when usage_more is not null then {merge.added()} end as usage_rest from usage_placed),
usage_read as (
    select
        * exclude (usage_parts, usage_problem, usage_counts, usage_more, usage_new, usage_gain, usage_way, usage_rest),
        case when usage_more is null then usage_parts else struct_update(usage_parts, {merge.parts()}) end as usage_parts,
        coalesce(usage_problem, {_problems(further, places)}) as usage_problem,
        {merge.more("unread")} as usage_unread
    from usage_added
),"""


def _count_at(path: Path) -> str:
    return f"try_cast(json_extract_string(usage_text, {literal(_pointer(path))}) as double)"


def _nothing(name: str) -> str:
    kind = {"tier": "VARCHAR", "unread": UNREAD, "units": "MAP(VARCHAR, DECIMAL(38,9))", "has_tiers": "BOOLEAN"}
    return f"cast(null as {kind.get(name, 'DOUBLE')})"


def _stated(paths: Sequence[Path], places: Mapping[Path, str]) -> dict[str, str]:
    """What the further keys of a shape say, by name: a class or a rest (also with ``tiered`` behind it), tier, units, total, unread.

    Two spellings of one thing count once, the larger one; two tiers are two things.
    """
    read: dict[Reading, list[str]] = {}
    for path in paths:
        read.setdefault(reading_of(path), []).append(places[path])
    found: dict[str, str] = {}
    tiered: dict[str, list[str]] = {}
    tiers: list[str] = []
    units: list[str] = []
    for reading, counts in read.items():
        largest = counts[0] if len(counts) == 1 else f"greatest({', '.join(counts)})"
        if reading.tier:
            tiers.append(f"case when {largest} > 0 then {literal(reading.tier)} end")
        if reading.kind in ("class", "rest"):
            name = reading.name if reading.kind == "class" else f"rest {reading.name}"
            if reading.tier:
                tiered.setdefault(name, []).append(largest)
            else:
                found[name] = largest
        elif reading.kind == "unit":
            units.append(f"{{'unit': {literal(reading.name)}, 'quantity': try_cast({largest} as decimal(38, 9))}}")
        elif reading.kind == "total":
            found["total"] = largest
    for name, each in tiered.items():
        some = " or ".join(f"{count} is not null" for count in each)
        whole = " + ".join(f"coalesce({count}, 0)" for count in each)
        found[f"{name} tiered"] = each[0] if len(each) == 1 else f"case when {some} then {whole} end"
    if tiers:
        found["tier"] = f"coalesce({', '.join(tiers)})"
        found["has_tiers"] = (
            f"len(list_distinct(list_filter([{', '.join(tiers)}], lambda usage_tier: usage_tier is not null))) > 1"
        )
    if units:
        found["units"] = (
            f"map_from_entries(list_filter([{', '.join(units)}], lambda usage_entry: usage_entry.quantity > 0))"
        )
    unknown = [
        f"{{'name': {literal('.'.join(path)[:_LONGEST_NAME])}, 'count': {places[path]}}}"
        for path in paths
        if reading_of(path).kind == "unknown"
    ]
    if unknown:
        positive = (
            f"list_filter([{', '.join(unknown)}], lambda usage_entry: usage_entry.count between 1 and {LARGEST_COUNT} "
            "and usage_entry.count = floor(usage_entry.count))"
        )
        found["unread"] = f"try_cast(nullif(map_from_entries({positive}), map_from_entries([])) as {UNREAD})"
    return found


def _problems(further: Further, places: Mapping[Path, str]) -> str:
    """What is wrong with a number that is read. What is no number, such as a list, is no count of ours."""
    paths = {path for of in further.values() for path in of if reading_of(path).kind != "unknown"}
    found = [
        f"case when {places[path]} < 0 or {places[path]} > {LARGEST_COUNT} or {places[path]} <> floor({places[path]}) "
        "then usage_count_problem("
        f"{literal('.'.join(('usage', *path)))}, json_extract(usage_text, {literal(_pointer(path))})) end"
        for path in sorted(paths)
    ]
    return f"case when usage_more is not null then coalesce({', '.join([*found, 'null'])}) end"


class _Merge:
    """The expressions that bring what further keys say into the parts of a shape.

    Where the stated input or output holds its details, they are taken out of it; the total may show that they stand beside it.
    """

    def __init__(self, names: Sequence[str], shapes: Sequence[str]) -> None:
        self._names = set(names)
        self._classes = [of for of in TOKEN_CLASSES if {of.name, f"{of.name} tiered"} & self._names]
        known = usage_shapes()
        # Disjoint counts are added; the output of providers holds its details all the same.
        self._adding = {
            "input": [name for name in shapes if known[name].basis == "disjoint"],
            "output": [name for name in shapes if known[name].basis == "disjoint" and known[name].on_request],
        }

    def more(self, name: str) -> str:
        return f'usage_more."{name}"' if name in self._names else _nothing(name)

    def spelled(self) -> str:
        """The classes with their other spellings and tiers."""
        return _struct({of.name: self._all_of(of.name, f"usage_parts.{of.tokens}") for of in self._classes})

    def _all_of(self, name: str, known: str) -> str:
        """A count with its other spellings and those at a tier: one that says the same again is the same."""
        plain, tiered = self.more(name), self.more(f"{name} tiered")
        largest = f"greatest({known}, {plain})"
        return (
            f"case when {tiered} is null or {largest} = {tiered} then {largest} "
            f"else coalesce({largest}, 0) + {tiered} end"
        )

    def gained(self) -> str:
        """Tokens that came in by direction, what is left of the sums that they are parts of, the sum before and the total."""
        values = {name: self._gain(name) for name in _DIRECTIONS}
        for whole in ("cache_read", "cache_write"):
            parts = [of.name for of in self._classes if of.type == whole and of.name != whole]
            held = _sum(_gain_of(name) for name in parts)
            own = f"usage_new.{whole}" if whole in [of.name for of in self._classes] else f"usage_parts.{whole}_tokens"
            # Lifetimes are parts of the writes everywhere, modalities of the reads where details are.
            is_part = "true" if whole == "cache_write" else f"not {self._adds('input')}"
            values[f"{whole} held"] = f"case when {held} > 0 and {own} >= {held} and {is_part} then {held} else 0 end"
        values["sum"] = _sum(f"coalesce(usage_parts.{of.tokens}, 0)" for of in TOKEN_CLASSES)
        values["total"] = f"coalesce(usage_parts.provider_total_tokens, {self.more('total')})"
        values |= {f"rest {name}": self._all_of(f"rest {name}", "cast(null as double)") for name in _DIRECTIONS}
        return _struct(values)

    def _gain(self, direction: str) -> str:
        return _sum(_gain_of(of.name) for of in self._classes if (of.type == "output") == (direction == "output"))

    def _adds(self, direction: str) -> str:
        return f"usage_shape in ({', '.join(map(literal, self._adding[direction])) or 'null'})"

    def placed(self) -> str:
        """Where the tokens that came in stood: ``part`` of the stated sum, ``beside`` it, or in another class (``overlap``)."""
        values = {}
        whole = 'usage_gain.sum + usage_gain.input + usage_gain.output - usage_gain."cache_read held" - usage_gain."cache_write held"'
        for name in _DIRECTIONS:
            rest = f"usage_parts.{default_class(name)}_tokens"
            values[name] = f"""case
                when {self._adds(name)} or usage_gain.total = {whole} then 'beside'
                when {rest} >= {_net(name)} then 'part'
                when usage_gain.total < {whole} then 'overlap'
                else 'beside'
            end"""
        return _struct(values)

    def added(self) -> str:
        """Tokens of further keys for a whole direction that are not in it yet."""
        beside = _sum(f"if(usage_way.{name} = 'beside', {_net(name)}, 0)" for name in _DIRECTIONS)
        base, total = f"(usage_gain.sum + {beside})", "usage_gain.total"
        values = {}
        for name, other in (_DIRECTIONS, _DIRECTIONS[::-1]):
            own, others = f'usage_gain."rest {name}"', f'coalesce(usage_gain."rest {other}", 0)'
            rest = f"coalesce(usage_parts.{default_class(name)}_tokens, 0)"
            held = _sum(
                [
                    *(f"coalesce(usage_parts.{of.tokens}, 0)" for of in TOKEN_CLASSES if _direction(of.type) == name),
                    f"if(usage_way.{name} = 'beside', {_net(name)}, 0)",
                ]
            )
            values[name] = f"""case
                when {own} is null then 0
                when {total} in ({base} + {own} + {others}, {base} + {own}) then {own}
                when {total} in ({base} + {others}, {base}) then 0
                when {self._adds(name)} then if({rest} >= {own}, 0, {own})
                when {held} = 0 then {own}
                else 0
            end"""
        return _struct(values)

    def parts(self) -> str:
        """The parts of the shape that change, as arguments of ``struct_update``."""
        values = {}
        for of in self._classes:
            new = f"usage_new.{of.name}"
            values[of.tokens] = f"if(usage_way.{_direction(of.type)} = 'overlap', usage_parts.{of.tokens}, {new})"
        for whole in ("cache_read", "cache_write"):
            own = values.get(f"{whole}_tokens", f"usage_parts.{whole}_tokens")
            held = f'usage_gain."{whole} held"'
            # A split that holds all leaves none unstated.
            values[f"{whole}_tokens"] = (
                f"if({held} > 0 and usage_way.input <> 'overlap', nullif({own} - {held}, 0), {own})"
            )
        for name in _DIRECTIONS:
            rest = f"usage_parts.{default_class(name)}_tokens"
            left = f"{rest} - if(usage_way.{name} = 'part', {_net(name)}, 0)"
            values[f"{default_class(name)}_tokens"] = (
                f"if({rest} is null and usage_rest.{name} = 0, null, coalesce({left}, 0) + usage_rest.{name})"
            )
        into = f"if(usage_way.input = 'beside', {_net('input')}, 0) + usage_rest.input"
        context = "usage_parts.context_test_tokens"
        values["context_test_tokens"] = f"if({context} is null and {into} = 0, null, coalesce({context}, 0) + {into})"
        values["provider_total_tokens"] = "usage_gain.total"
        tier, own_tier = self.more("tier"), "lower(usage_parts.service_tier)"
        values["service_tier"] = f"if({own_tier} = 'auto', {tier}, coalesce(usage_parts.service_tier, {tier}))"
        words = " ".join(
            f"when {literal(name)} then {own_tier} in ({', '.join(map(literal, of))})"
            for name, of in SERVICE_TIERS.items()
        )
        contradicted = f"{own_tier} <> 'auto' and not (case {tier} {words} end)"
        flags = f"""[
            if(coalesce({self.more("has_tiers")}, false) or coalesce({contradicted}, false), 'inferred_tier', null),
            if({self.more("unread")} is not null, 'unclassified_key', null)
        ]"""
        values["flags"] = (
            f"nullif(list_filter(list_concat(usage_parts.flags, {flags}), lambda usage_flag: usage_flag is not null), [])"
        )
        values["is_partial"] = (
            "usage_parts.is_partial and ("
            + " or ".join(f"({values[f'{default_class(name)}_tokens']}) is null" for name in _DIRECTIONS)
            + ")"
        )
        if "units" in self._names:
            values["extra_units"] = f"map_concat({self.more('units')}, coalesce(usage_parts.extra_units, map {{}}))"
        return ", ".join(f"{name} := {of}" for name, of in values.items())


def _struct(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(name)}: {of}" for name, of in (values or {"nothing": "0"}).items()) + "}"


def _sum(terms: Iterable[str]) -> str:
    return "(" + (" + ".join(terms) or "0") + ")"


def _gain_of(name: str) -> str:
    return f"(coalesce(usage_new.{name}, 0) - coalesce(usage_parts.{name}_tokens, 0))"


def _net(direction: str) -> str:
    """Tokens that came into a direction, those apart that stood in another class of it already."""
    held = ' - usage_gain."cache_read held" - usage_gain."cache_write held"'
    return f"(usage_gain.{direction}{held if direction == 'input' else ''})"


def _direction(type_: str) -> str:
    return "output" if type_ == "output" else "input"
