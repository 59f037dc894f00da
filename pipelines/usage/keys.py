"""What the key of a usage object says by its words: which class of tokens, at which tier, or that it counts none.

Providers and tools spell one thing in many ways: ``cachedInputTokens``, ``input_priority_cache_read``,
``prompt_tokens_details.flex_cache_read``. A key is cut into words, each word is put into ours (``_SPELLINGS``), and what is left
must be a class of TOKEN_CLASSES, with a tier of SERVICE_TIERS anywhere in it. Every word has to be understood: a key with a
strange one is unknown, and a count under it is a token that no class has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pipelines.contract import SERVICE_TIERS, TOKEN_CLASSES, TOKEN_TYPES
from pipelines.usage.stated import calls_a_tool, is_read_here

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+[a-z]*")
# Words that say nothing of what is counted.
_NOISE = frozenset("token service tier count counter detail usage number num total of modality the in by".split())
# Words of amounts, times and limits: no count of tokens, whatever else the key says.
_NO_COUNT = frozenset(
    "cost price usd dollar cent tick credit spend time latency duration second ms millisecond timestamp date rate ratio percent "
    "share max limit remaining budget per throughput id version unit multiplier discount margin".split()
)
# How others say a word of ours; the longest run of words that fits counts. The numbers are Google's modalities.
_SPELLINGS: dict[tuple[str, ...], tuple[str, ...]] = {
    tuple(said.split()): tuple(means.split())
    for means, spellings in {
        "input": "prompt",
        "output": "completion; candidate; generated; generation; response",
        "cache_read": "cached content; cached; cache read; read cache; cache hit; read from cache",
        "cache_write": "cache creation; cache write; write cache; cache written; cache created; ephemeral; cache creation ephemeral; "
        "written to cache",
        "uncached": "cache miss; no cache; non cached; not cached",
        "reasoning": "thought; thinking",
        "text": "accepted prediction; rejected prediction; modality 1; modality text",
        "image": "picture; vision; modality 2",
        "audio": "voice; speech; modality 4",
        "other": "video; document; file; pdf; tool use; modality 3; modality 5",
        "input other": "tool use prompt; tool prompt",
        "5m": "5min; 5minute; 5 minute; 5 m",
        "30m": "30min; 30minute; 30 minute",
        "1h": "1hr; 1hour; 60m; 1 hour; 1 h",
        "12h": "12hr; 12hour; 12 hour",
    }.items()
    for said in spellings.split("; ")
}
# Work that is billed apiece, by the words that name it; behind it may stand what is counted.
_TOOLS = {
    ("web", "search", "preview"): "web_search_preview",
    ("web", "search"): "web_search",
    ("google", "search"): "web_search",
    ("file", "search"): "file_search",
    ("grounding",): "grounding",
}
_TIMES = frozenset("query request call use invocation server tool search".split())


@dataclass(frozen=True)
class Reading:
    """What a key says.

    kind: ``class`` (tokens of the class ``name``), ``rest`` (tokens of the direction ``name``, input or output, that no other class
    has), ``tier`` (tokens of the tier, of whatever class), ``unit`` (``name`` counted apiece), ``total``, ``none`` (no
    count), or ``unknown``. tier: the tier that its words name; null where they name none.
    """

    kind: str
    name: str = ""
    tier: str | None = None


@cache
def reading_of(path: tuple[str, ...]) -> Reading:
    """What the key at the end of a path says; the objects above it are part of its words."""
    words, tier = _without_tier([word for key in path for word in words_of(key)])
    if _NO_COUNT.intersection(words) or is_read_here(path):
        return Reading("none")
    if unit := _unit_of(words):
        return Reading("unit", unit)
    if [word for word in words if word not in ("token", "count", "usage", "detail")] == ["total"]:
        return Reading("total")
    if len(path) == 1 and "token" in words and set(words) <= {"token", "count", "number", "num", "used"}:
        return Reading("total")
    # tokens_in, out_tokens: the words alone say nothing.
    if len(path) == 1 and "token" in words and len(words) == 2 and {"in", "out"}.intersection(words):
        return Reading("rest", "input" if "in" in words else "output", tier)
    meant = [word for word in _meant(words) if word not in _NOISE]
    if not meant:
        return Reading("tier", tier=tier) if tier else Reading("unknown")
    types, rest = _types_of(meant)
    if len(types) != 1:
        return Reading("unknown")
    [type_] = types
    found = _class_of(type_, frozenset(rest))
    if found is None:
        return Reading("unknown")
    if found == default_class("input") or found == default_class("output"):
        return Reading("rest", type_, tier)
    return Reading("class", found, tier)


# Outside of a usage object these make of a count of tokens a guess, or what was not sent.
_NOT_USED = frozenset("estimate estimated expected allowed available saved dropped truncated trimmed window".split())


def counts_beside(name: str) -> bool:
    """Whether a field of a record, outside of any usage object, names itself a count of tokens or of tools' calls."""
    reading, words = reading_of((name,)), words_of(name)
    if _NOT_USED.intersection(words):
        return False
    is_cache = reading.kind == "class" and "cache" in words
    return calls_a_tool(name) or reading.kind == "unit" or is_cache or (reading.kind != "none" and "token" in words)


def words_of(key: str) -> list[str]:
    """The words of a key in lower case and in the singular: ``webSearchQueries`` is web, search, query."""
    return [_singular(word.lower()) for word in _WORD.findall(key)]


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _unit_of(words: Sequence[str]) -> str | None:
    for tool, unit in _TOOLS.items():
        for start in range(len(words) - len(tool) + 1):
            if tuple(words[start : start + len(tool)]) == tool:
                others = [*words[:start], *words[start + len(tool) :]]
                if set(others) <= _TIMES | _NOISE | {"input", "prompt", "completion", "output"} - {"token"}:
                    return unit
    return None


@cache
def _tier_words() -> dict[tuple[str, ...], str]:
    return {tuple(words_of(word)): tier for tier, words in SERVICE_TIERS.items() for word in words if word}


def _without_tier(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without those of a tier, the longest name first."""
    for said, tier in sorted(_tier_words().items(), key=lambda entry: -len(entry[0])):
        for start in range(len(words) - len(said) + 1):
            if tuple(words[start : start + len(said)]) == said:
                return [*words[:start], *words[start + len(said) :]], tier
    return list(words), None


def _meant(words: Sequence[str]) -> list[str]:
    """The words in ours."""
    found: list[str] = []
    place = 0
    while place < len(words):
        for length in range(min(3, len(words) - place), 0, -1):
            run = tuple(words[place : place + length])
            if run in _SPELLINGS:
                found += _SPELLINGS[run]
                place += length
                break
        else:
            found.append(words[place])
            place += 1
    return found


def _types_of(words: Sequence[str]) -> tuple[set[str], list[str]]:
    """The token types that the words name, and the others. What was read from or written to the cache is input."""
    types = {word for word in words if word in TOKEN_TYPES}
    rest = list(dict.fromkeys(word for word in words if word not in TOKEN_TYPES))
    if len(types) > 1:
        types.discard("input")
    if not types:
        # A word that one type alone has names it.
        types = {type_ for type_ in TOKEN_TYPES for word in rest if _types_with(word) == {type_}}
    return types, rest


@cache
def _types_with(word: str) -> set[str]:
    return {of.type for of in TOKEN_CLASSES if word in _qualifiers(of.name, of.type)}


def _qualifiers(name: str, type_: str) -> frozenset[str]:
    return frozenset(name.removeprefix(type_).split("_")) - {""}


@cache
def default_class(type_: str) -> str:
    """The class of a type whose tokens are told no further: that without another word, else the first of the type."""
    names = [of.name for of in TOKEN_CLASSES if of.type == type_]
    return type_ if type_ in names else names[0]


@cache
def _class_of(type_: str, qualifiers: frozenset[str]) -> str | None:
    known = {_qualifiers(of.name, of.type): of.name for of in TOKEN_CLASSES if of.type == type_}
    # Text is what is not said to be anything else.
    for said in (qualifiers, qualifiers - {"text"}):
        if said in known:
            return known[said]
    return default_class(type_) if qualifiers <= {"text"} else None
