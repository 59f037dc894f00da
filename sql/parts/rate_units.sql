{# The prices of units that are not tokens, by every word that a call may have for them, for ledger_rates: `other_units`. #}
{% from "macros/units.sql" import listed, search_words, seconds_in, seconds_of with context %}
-- What a request calls its units, beside the book's own word. Where a list charges each grounded prompt, searches are of that.
unit_words as (
{% for word in search_words %}
    select 'web_search' as unit, '{{ word }}' as word
    union all
{% endfor %}
{% for word in ["web_search"] + search_words %}
    select 'grounded_prompt' as unit, '{{ word }}' as word
    union all
{% endfor %}
{% for word, unit in (
    ("file_searches", "file_search"), ("requests", "request"), ("pages", "page"), ("characters", "character"),
) %}
    {% if not loop.first %}
    union all
    {% endif %}
    select '{{ unit }}' as unit, '{{ word }}' as word
{% endfor %}
),

other_units as (
    select p.key_number, p.rate_from_at, p.ctx_min_tokens, p.unit as word, p.list_rate, p.contracted_rate
    from contracted as p
    where p.unit not in ({{ units_of_tokens }})
        -- A price for each search, such as a user's own, goes before that of a grounded prompt.
        and (
            p.unit <> 'grounded_prompt'
            or not exists (
                select 1
                from contracted as own
                where own.key_number = p.key_number
                    and own.rate_from_at = p.rate_from_at
                    and own.ctx_min_tokens = p.ctx_min_tokens
                    and own.unit = 'web_search'
            )
        )
    union all
    select p.key_number, p.rate_from_at, p.ctx_min_tokens, s.word, p.list_rate, p.contracted_rate
    from contracted as p
    inner join unit_words as s
        on s.unit = p.unit
    where not exists (
        select 1
        from contracted as own
        where own.key_number = p.key_number
            and own.rate_from_at = p.rate_from_at
            and own.ctx_min_tokens = p.ctx_min_tokens
            and (own.unit = s.word or (own.unit = 'web_search' and s.unit = 'grounded_prompt'))
    )
    union all
    -- A list by the second or minute says what an hour costs, exactly; the other way round it would be rounded.
    select p.key_number, p.rate_from_at, p.ctx_min_tokens, 'audio_hour' as word, p.list_rate, p.contracted_rate
    from (
        select
            key_number,
            rate_from_at,
            ctx_min_tokens,
            unit,
            cast(list_rate * (3600 // {{ seconds_of("unit") }}) as decimal(28, 9)) as list_rate,
            cast(contracted_rate * (3600 // {{ seconds_of("unit") }}) as decimal(28, 9)) as contracted_rate,
        from contracted
        where unit in ({{ listed(seconds_in) }})
        qualify row_number() over (
            partition by key_number, rate_from_at, ctx_min_tokens order by unit <> 'audio_hour', unit
        ) = 1
    ) as p
    where p.unit <> 'audio_hour'
),
