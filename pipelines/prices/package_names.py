"""Names and patterns of models as the genai-prices package gives them, each held to what it may mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from genai_prices import types as package_types

# A bare 'gpt-4' answered by Azure may be any of the gpt-4 models, turbo at a third of the price (litellm#7004).
AMBIGUOUS_NAMES = frozenset({("azure", "gpt-4")})


class Name(NamedTuple):
    """A name or pattern that means a model of a seller. Names are compared in lower case."""

    provider: str
    pattern_kind: str
    pattern: str
    model_id: str
    priority: int
    valid_from_date: date | None
    valid_to_date: date | None
    region_class: str | None
    source_ref: str


# What may follow a name that the package gives as a prefix: a dated snapshot, a version or a moving label, never a word
# that could be another member of the family.
_SUFFIX = r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{3,4}|latest|default))?"
_BEDROCK_SUFFIX = r"(?:-\d{8})?(?:-v\d+)?(?::\d+)?(?::\d+k)?"
_GEOGRAPHY = re.compile(r"^(?:us-gov|us|eu|apac|au|jp|ca|sa|in|global|regional)\.")


def names_of(seller: str, model: package_types.ModelInfo, model_id: str, installed: str) -> Iterator[Name]:
    def name(kind: str, pattern: str, priority: int) -> Name:
        return Name(seller, kind, pattern, model_id, priority, None, None, None, f"genai-prices {installed}")

    for clause in _clauses(model.match):
        match clause:
            case package_types.ClauseEquals(equals=text):
                yield name("exact", _plain(seller, text), 100)
            case package_types.ClauseEndsWith(ends_with=text):
                yield name("exact", _plain(seller, text), 110)
            case package_types.ClauseStartsWith(starts_with=text) | package_types.ClauseContains(contains=text):
                plain = _plain(seller, text)
                if plain.startswith("ft:"):
                    yield name("regex", "^" + _escaped(plain) + r"[0-9-]*:.*$", 200)
                elif len(plain) >= 4:
                    if plain[-1] not in "-@":
                        yield name("exact", plain, 120)
                    yield name("regex", _anchored(seller, plain), 200)
            case package_types.ClauseRegex(regex=text):
                if text.startswith("^") and text.endswith("$") and "(?" not in text:
                    yield name("regex", text, 190)
    yield name("exact", model_id.lower(), 130)


def _clauses(match: object) -> Iterator[object]:
    """Clauses that each are enough (of ``and`` only what fixes the beginning: the rest can but narrow it)."""
    if isinstance(match, package_types.ClauseOr):
        for inner in match.or_:
            yield from _clauses(inner)
    elif isinstance(match, package_types.ClauseAnd):
        yield from (inner for inner in match.and_ if isinstance(inner, package_types.ClauseStartsWith))
    else:
        yield match


def _plain(seller: str, text: str) -> str:
    """As names are compared: lower case, Bedrock's geography taken off, of a path the last part."""
    text = text.lower().lstrip("/")
    return _GEOGRAPHY.sub("", text) if seller == "bedrock" else text


def _anchored(seller: str, prefix: str) -> str:
    if seller == "bedrock":
        return "^" + _escaped(prefix) + _BEDROCK_SUFFIX + "$"
    if re.search(r"-20\d\d$", prefix):
        return "^" + _escaped(prefix) + r"(?:\d{4}|-\d{2}-\d{2})$"
    if re.search(r"-0$", prefix):
        return "^" + _escaped(prefix) + r"\d{2}$"
    if prefix[-1] in "-@":
        return "^" + _escaped(prefix[:-1]) + _SUFFIX.removesuffix("?") + "$"
    return "^" + _escaped(prefix) + _SUFFIX + "$"


def _escaped(text: str) -> str:
    return re.sub(r"([.\\+*?()\[\]{}^$|])", r"\\\1", text)


def settled_names(names: Iterable[Name]) -> list[Name]:
    """One meaning a pattern: the package's first, as it looks up itself; stated names before those of a prefix."""
    found: dict[tuple[str, str, str], Name] = {}
    for name in names:
        key = (name.provider, name.pattern_kind, name.pattern)
        if key not in found or name.priority < found[key].priority:
            found[key] = name
    return list(found.values())
