{# Units that are not tokens: what calls and price lists name alike though they count it otherwise. #}
{# Seconds in one of a unit of time. #}
{% set seconds_in = {
    "second": 1, "seconds": 1, "audio_second": 1, "audio_seconds": 1,
    "minute": 60, "minutes": 60, "audio_minute": 60, "audio_minutes": 60,
    "hour": 3600, "hours": 3600, "audio_hour": 3600, "audio_hours": 3600,
} %}
{# Sellers that bill no call for less than so many seconds (groq.com/pricing: "minimum of 10 seconds per request"). #}
{% set least_seconds = {"groq": 10} %}
{# What calls name searches, beside the book's own word. #}
{% set search_words = ["web_searches", "web_search_requests", "web_search_queries", "grounding", "grounding_queries"] %}
{# Words as a list of texts in SQL. #}
{% macro listed(words) %}{% for word in words %}'{{ word }}'{{ ", " if not loop.last }}{% endfor %}{% endmacro %}
{# Seconds in one of the unit that an expression names. #}
{% macro seconds_of(unit) %}
case
{% for seconds in (1, 60, 3600) %}
                when {{ unit }} in ({% set words = [] %}{% for word, size in seconds_in.items() if size == seconds %}{% set _ = words.append(word) %}{% endfor %}{{ listed(words) }}) then {{ seconds }}
{% endfor %}
            end
{%- endmacro %}
{# The least time that a seller bills a call for. #}
{% macro least_seconds_of(seller) %}
case {{ seller }}{% for name, seconds in least_seconds.items() %} when '{{ name }}' then {{ seconds }}{% endfor %} else 0 end
{%- endmacro %}
