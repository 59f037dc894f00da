"""The API shapes, a SQL file each: what the files say, and how an object's shape is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.contract import TOKEN_CLASS_NAMES
from pipelines.headers import read_yaml

# Parts of a shape's expression that are not token classes, with their types.
OTHER_PARTS = {
    "context_test_tokens": "DOUBLE",
    "provider_total_tokens": "DOUBLE",
    "extra_units": "MAP(VARCHAR, DECIMAL(38,9))",
    "service_tier": "VARCHAR",
    "speed": "VARCHAR",
    "inference_geo": "VARCHAR",
    "flags": "VARCHAR[]",
    "is_partial": "BOOLEAN",
    "is_disjoint": "BOOLEAN",
}
PARTS = {**dict.fromkeys(TOKEN_CLASS_NAMES, "DOUBLE"), **OTHER_PARTS}
_FILE = re.compile(r"\A/\*\n(?P<header>.*?)\n\*/\n(?P<expression>\{.*\})\s*\Z", re.DOTALL)
_NAMED_PART = re.compile(r"^    '(\w+)':", re.MULTILINE)
_HEADER_KEYS = {"about", "apis", "recognised_by", "basis", "fields", "define", "on_request", "aside", "takes_over"}


class UsageShapeError(ValueError):
    """A shape file is not of the form that this module describes; the message names the file."""


@dataclass(frozen=True)
class UsageShape:
    """One API shape: everything its SQL file says."""

    name: str
    about: str
    apis: tuple[str, ...]
    recognised_by: Mapping[str, tuple[str, ...]]
    basis: str
    fields: Mapping[str, Any]
    define: Mapping[str, str]
    expression: str
    on_request: bool = False
    aside: frozenset[str] = frozenset()
    # A key that no object of some other shapes has: with it an object is of this shape, whatever API is named.
    takes_over: tuple[str, tuple[str, ...]] | None = None


@cache
def usage_shapes() -> dict[str, UsageShape]:
    """Every shape by name, in the order of their names.

    Raises UsageShapeError where a file is not of the form, or two files claim one API.
    """
    shapes = {}
    claimed: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.sql")):
        shape = _read_shape(path)
        for api in shape.apis:
            if api in claimed:
                raise UsageShapeError(
                    f"{path.name}: api {api!r} is already read by {claimed[api]}: name it in one file only"
                )
            claimed[api] = path.name
        shapes[shape.name] = shape
    return shapes


def _read_shape(path: Path) -> UsageShape:
    """The shape that a file describes."""
    match = _FILE.match(path.read_text(encoding="utf-8"))
    if match is None:
        raise UsageShapeError(f"{path.name}: expected a comment with the header and below it one expression in {{ }}")
    header = read_yaml(match["header"])
    if unknown := set(header) - _HEADER_KEYS:
        raise UsageShapeError(f"{path.name}: header has {sorted(unknown)}, known are {sorted(_HEADER_KEYS)}")
    if header.get("basis") not in ("inclusive", "disjoint"):
        raise UsageShapeError(f"{path.name}: basis is {header.get('basis')!r}, expected inclusive or disjoint")
    if unknown := set(_NAMED_PART.findall(match["expression"])) - set(PARTS):
        raise UsageShapeError(f"{path.name}: {sorted(unknown)} is neither a token class nor one of {list(OTHER_PARTS)}")
    return UsageShape(
        name=path.name.removesuffix(".sql"),
        about=header["about"],
        apis=tuple(header["apis"]),
        recognised_by={how: tuple(keys) for how, keys in header.get("recognised_by", {}).items()},
        basis=header["basis"],
        fields=header["fields"],
        define=header.get("define", {}),
        expression=match["expression"],
        on_request=bool(header.get("on_request", False)),
        aside=frozenset(header.get("aside", ())),
        takes_over=(of["key"], tuple(of["of"])) if (of := header.get("takes_over")) else None,
    )


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def lines_of(branches: list[str]) -> str:
    return "\n".join(branches)


def _fits(shape: UsageShape) -> str:
    functions = {"all": "list_has_all", "any": "list_has_any", "none": "not list_has_any"}
    return " and ".join(
        f"{functions[how]}(usage_keys, [{', '.join(map(literal, keys))}])" for how, keys in shape.recognised_by.items()
    )


def _with_takers(name: str) -> str:
    """A shape's name, or that of one that takes over what has a key of its own."""
    takers = [
        (of.name, of.takes_over[0]) for of in usage_shapes().values() if of.takes_over and name in of.takes_over[1]
    ]
    cases = " ".join(
        f"when json_type(usage_json, {literal('$.' + key)}) = 'OBJECT' then {literal(taker)}" for taker, key in takers
    )
    return f"case {cases} else {literal(name)} end" if cases else literal(name)


def shape_macro() -> str:
    shapes = usage_shapes().values()
    by_api = lines_of(
        [f"when {literal(api)} then {_with_takers(shape.name)}" for shape in shapes for api in shape.apis]
    )
    fitting = ", ".join(
        f"case when {_fits(shape)} then {literal(shape.name)} end" for shape in shapes if shape.recognised_by
    )
    return f"""
create or replace temp macro usage_shape(api_name, usage_json) as case
    when usage_json is null or cast(usage_json as varchar) = 'null' then null
    when api_name is null then list_transform(
        list_transform(
            [json_keys(usage_json)],
            lambda usage_keys: list_filter([{fitting}], lambda usage_fit: usage_fit is not null)
        ),
        lambda usage_fits: case when len(usage_fits) = 1 then usage_fits[1] else 'ambiguous' end
    )[1]
    else case api_name {by_api} else 'unknown' end
end
"""
