"""What a usage object says beside its tokens, whatever its shape: dollars, calls of tools and time.

Most objects say nothing of the kind, and a look at their text tells it; only the others are read a second time.
"""

from __future__ import annotations

import re

# Dollars by the key as such; of several the first that is a number. Perplexity puts an object there.
_DOLLARS = (
    "cost",
    "cost.total_cost",
    "cost.total",
    "cost_usd",
    "costUSD",
    "total_cost",
    "total_cost_usd",
    "totalCost",
    "cost_details.total_cost",
    "cost_details.total",
    "market_cost",
)
# A key that names a part of a dollar: xAI's ticks are 1e-10 dollars, whatever else stands in the key.
_PARTS_OF_A_DOLLAR = (("tick", 10), ("pico", 12), ("nano", 9), ("micro", 6), ("milli", 3), ("cents", 2))
_UPSTREAM = (
    "cost_details.upstream_inference_cost",
    "cost_details_upstream_inference_cost",
    "upstream_inference_cost",
)
# Tools that a seller runs and bills by the call, as usage objects spell them, and the unit that the price book has.
TOOLS = {
    "web_search": "web_search",
    "web_searches": "web_search",
    "web_search_preview": "web_search_preview",
    "x_search": "x_search",
    "x_searches": "x_search",
    "file_search": "file_search",
    "file_searches": "file_search",
    "collections_search": "file_search",
    "attachment_search": "attachment_search",
    "document_search": "document_search",
    "code_interpreter": "code_interpreter",
    "code_execution": "code_interpreter",
    "mcp": "mcp",
    "view_image": "view_image",
    "view_x_video": "view_x_video",
}
_TOOL_KEY = rf"^(num_|total_|server_side_tool_)*({'|'.join(TOOLS)})(_(calls|requests|queries|count|invocations))?$"
# Within an object of tools also those that no price knows yet: they are a unit by their own name.
_CALLS = "_(calls|requests|queries|invocations)$"
_ANY_TOOL_KEY = f"{_TOOL_KEY}|{_CALLS}"
_TOOL_OBJECTS = ("server_side_tool_usage_details", "server_side_tool_usage", "tool_usage", "tool_usage_details")
# Time by its unit in seconds.
_SECONDS_IN = {"seconds": 1, "minutes": 60, "hours": 3600}
_TIMES = (
    ("seconds", "seconds"),
    ("duration_seconds", "seconds"),
    ("audio_seconds", "seconds"),
    ("audio_duration_seconds", "seconds"),
    ("input_audio_seconds", "seconds"),
    ("prompt_audio_seconds", "seconds"),
    ("prompt_tokens_details.audio_length_seconds", "seconds"),
    ("audio_duration", "seconds"),
    ("duration", "seconds"),
    ("duration_in_seconds", "seconds"),
    ("minutes", "minutes"),
    ("audio_minutes", "minutes"),
    ("duration_minutes", "minutes"),
    ("hours", "hours"),
    ("audio_hours", "hours"),
    ("duration_hours", "hours"),
)
# One of these is in the text of every object that says more than tokens.
_SIGNS = (
    "ost",
    "OST",
    "earch",
    "tool_us",
    "second",
    "minute",
    "hour",
    "duration",
    "ools_used",
    "code_",
    "sources_used",
)

_NOTHING = "cast(null as struct(usd decimal(18, 12), basis varchar, tools map(varchar, decimal(38, 9)), seconds decimal(38, 9)))"


# Said of what is read here, and billed by nobody.
_ASIDE = frozenset({"num_server_side_tools_used", "num_sources_used", "is_byok"})
_CAMEL = re.compile(r"([a-z])([A-Z])")


def _snake(key: str) -> str:
    """``webSearchCalls`` is ``web_search_calls``."""
    return _CAMEL.sub(r"\1_\2", key).lower()


def is_read_here(path: tuple[str, ...]) -> bool:
    """Whether a key of a usage object is one of those that are read here: it counts no tokens."""
    word = _snake(path[0])
    if path[0] in _TOOL_OBJECTS or word in _ASIDE or ".".join(path) in {key for key, _ in _TIMES}:
        return True
    return len(path) == 1 and calls_a_tool(path[0])


# Words of fields that name the cost of a call, and of those that name another thing by it: a limit, a part, an owner, a foreign currency.
_PRICE_WORDS = frozenset("cost spend spent charge charged fee".split())
_NOT_OF_THE_CALL = frozenset(
    "center centre code budget limit max min remaining saved saving estimate rate per unit multiplier input output prompt completion "
    "cache cached daily monthly month day week session cumulative so far type currency basis source category account "
    "eur gbp cny jpy inr".split()
)


def states_dollars(key: str) -> bool:
    """Whether a field of a record, outside of any usage object, states the dollars of its call."""
    words = set(re.findall(r"[a-z]+", _snake(key)))
    return bool(words & _PRICE_WORDS) and not words & _NOT_OF_THE_CALL


def calls_a_tool(key: str) -> bool:
    """Whether a key counts the calls of a tool that its seller bills apiece."""
    return re.search(_TOOL_KEY, _snake(key)) is not None


def _paths(keys: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'$.{key}'" for key in keys) + "]"


def _first_number(keys: tuple[str, ...], type_: str) -> str:
    """The first of these keys that holds a number of 0 or more."""
    return (
        f"list_filter(list_transform(json_extract_string(object, {_paths(keys)}), "
        f"lambda usage_said: try_cast(usage_said as {type_})), lambda usage_said: usage_said >= 0)[1]"
    )


def _said_in(key: str, value: str) -> str:
    """The value that a text gives a key, quoted once or within a quoted text."""
    return rf"""nullif(regexp_extract(text, '[^a-zA-Z_]{key}\\?"?\s*:\s*\\?"?({value})', 1), '')"""


_NUMBER = "[0-9][0-9.eE+-]*"
_WORD = "lower(regexp_replace(usage_key, '([a-z])([A-Z])', '\\1_\\2', 'g'))"
_SCALE = " ".join(
    f"when contains({_WORD}, '{word}') then cast({10**-places:.{places}f} as decimal(13, 12))"
    for word, places in _PARTS_OF_A_DOLLAR
)
_ANY_PART = "|".join(word for word, _ in _PARTS_OF_A_DOLLAR)
_ENTRIES = ", ".join(
    f"case when json_type(object, '$.{name}') = 'OBJECT' then usage_tool_entries(json_extract(object, '$.{name}'), '{_ANY_TOOL_KEY}') end"
    for name in _TOOL_OBJECTS
)
_TIME = ", ".join(
    f"nullif(try_cast(json_extract_string(object, '$.{key}') as decimal(28, 9)), 0) * {_SECONDS_IN[unit]}"
    for key, unit in _TIMES
)
_SAYS_MORE = " or ".join(f"contains(cast(object as varchar), '{sign}')" for sign in _SIGNS)
MACROS = (
    # Dollars written as a count of a small part of one: {"cost_in_usd_ticks": 189700000} is 0.01897.
    f"""
create or replace temp macro usage_small_dollars(object) as list_filter(
    list_transform(
        list_filter(
            json_keys(object),
            lambda usage_key: contains({_WORD}, 'cost') and regexp_matches({_WORD}, '{_ANY_PART}')
        ),
        lambda usage_key: try_cast(
            try_cast(json_extract_string(object, '$."' || usage_key || '"') as decimal(24, 6)) * case {_SCALE} end as decimal(18, 12)
        )
    ),
    lambda usage_said: usage_said >= 0
)[1]
""",
    # Calls of tools by the unit that prices them; a total of calls that nobody breaks down is a unit without a price.
    f"""
create or replace temp macro usage_tool_entries(object, fitting) as list_transform(
    list_filter(
        coalesce(json_keys(object), []),
        lambda usage_key: regexp_matches({_WORD}, fitting)
            and try_cast(json_extract_string(object, '$."' || usage_key || '"') as decimal(18, 0)) > 0
    ),
    lambda usage_key: {{
        'unit': coalesce(
            (map {{{", ".join(f"'{word}': '{unit}'" for word, unit in TOOLS.items())}}})[regexp_extract({_WORD}, '{_TOOL_KEY}', 2)],
            regexp_replace({_WORD}, '{_CALLS}', '')
        ),
        'calls': try_cast(json_extract_string(object, '$."' || usage_key || '"') as decimal(18, 0))
    }}
)
""",
    f"""
create or replace temp macro usage_tools(object) as list_transform(
    [list_concat(
        usage_tool_entries(object, '{_TOOL_KEY}'),
        {_ENTRIES}
    )],
    lambda usage_found: case
        when len(usage_found) > 0 then map_from_entries(list_transform(
            list_distinct(list_transform(usage_found, lambda usage_call: usage_call.unit)),
            lambda usage_unit: {{
                'key': usage_unit,
                'value': cast(list_max(list_transform(
                    list_filter(usage_found, lambda usage_call: usage_call.unit = usage_unit), lambda usage_call: usage_call.calls
                )) as decimal(38, 9))
            }}
        ))
        when try_cast(json_extract_string(object, '$.num_server_side_tools_used') as decimal(18, 0)) > 0
            then map {{'server_side_tool': try_cast(json_extract_string(object, '$.num_server_side_tools_used') as decimal(38, 9))}}
    end
)[1]
""",
    f"""
create or replace temp macro usage_seconds(object) as coalesce({_TIME})
""",
    # What was paid with the account's own key at another provider is owed to that one: `cost` is the router's fee alone.
    f"""
create or replace temp macro usage_is_own_key(object) as coalesce(
    try_cast(json_extract_string(object, '$.is_byok') as boolean),
    {_first_number(("cost",), "decimal(18, 12)")} = 0 and {_first_number(_UPSTREAM, "decimal(18, 12)")} > 0,
    false
)
""",
    f"""
create or replace temp macro usage_dollars(object) as case
    when usage_is_own_key(object) then {_first_number(_UPSTREAM, "decimal(18, 12)")}
    else coalesce(
        usage_small_dollars(object),
        {_first_number(_DOLLARS, "decimal(18, 12)")},
        try_cast(json_extract_string(object, '$.estimated_cost') as decimal(18, 12))
    )
end
""",
    f"""
create or replace temp macro usage_stated(object) as case
    when json_type(object) = 'OBJECT' and ({_SAYS_MORE}) then {{
        'usd': usage_dollars(object),
        'basis': case
            when usage_is_own_key(object) then 'own_key'
            when usage_dollars(object) is null then 'none'
            else 'provider_charge'
        end,
        'tools': usage_tools(object),
        'seconds': usage_seconds(object)
    }}
    else {_NOTHING}
end
""",
    # The same where a tool keeps the provider's object somewhere in its own metadata: its keys are enough. They are looked for once:
    # what a macro is given is written out at each place that reads it.
    f"""
create or replace temp macro usage_stated_in(text) as case
    when contains(text, 'is_byok') or regexp_matches(text, 'usd_ticks|UsdTicks|pstream') then list_transform(
        [to_json({{
            'cost': {_said_in("cost", _NUMBER)},
            'cost_in_usd_ticks': {_said_in("(?:cost_in_usd_ticks|costInUsdTicks)", _NUMBER)},
            'is_byok': {_said_in("(?:is_byok|isByok)", "true|false")},
            'upstream_inference_cost': {_said_in("(?:upstream_inference_cost|upstreamInferenceCost)", _NUMBER)}
        }})],
        lambda usage_kept: usage_stated(usage_kept)
    )[1]
    else {_NOTHING}
end
""",
)


def units_of(own: str, tokens: str) -> str:
    """Units that are not tokens: those that the shape knows, and beside them the calls of tools, or the time where no token is.

    ``own`` and ``tokens`` are expressions: the shape's map, and the sum of the object's tokens.
    """
    return f"""case
        when usage_said.tools is not null
            then map_concat(usage_said.tools, coalesce({own}, cast(map {{}} as map(varchar, decimal(38, 9)))))
        when usage_said.seconds is not null and coalesce(cardinality({own}), 0) = 0 and {tokens} = 0
            then map {{'seconds': cast(usage_said.seconds as decimal(38, 9))}}
        else {own}
    end"""
