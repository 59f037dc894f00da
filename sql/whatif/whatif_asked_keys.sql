{% include "parts/keys_as_calls.sql" %}
