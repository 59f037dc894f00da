-- Free metadata as names and texts, for the look-ups by name that staging makes (value_named, dimension_of, kept_of).

-- A value of metadata as text. Some exports write texts as JSON inside of a text.
create or replace temp macro metadata_text(found) as case
    when json_type(found) in ('OBJECT', 'ARRAY', 'NULL') then null
    when starts_with(found ->> '$', '"') then coalesce(try_cast(found ->> '$' as json) ->> '$', found ->> '$')
    else found ->> '$'
end;

-- An object that may be written as the text of one; null for anything else.
create or replace temp macro object_in(found) as case json_type(found)
    when 'OBJECT' then found
    when 'VARCHAR' then case when json_type(try_cast(found ->> '$' as json)) = 'OBJECT' then cast(found ->> '$' as json) end
end;

create or replace temp macro list_in(found) as case
    when json_type(found) = 'ARRAY' then from_json(found, '["VARCHAR"]')
    when json_type(try_cast(found ->> '$' as json)) = 'ARRAY' then from_json(cast(found ->> '$' as json), '["VARCHAR"]')
    else cast([] as varchar[])
end;

-- The same key goes by a prefix where metadata is flattened, and by itself where it is not.
create or replace temp macro metadata_name(written) as lower(regexp_replace(
    written,
    '^(attributes|resourceAttributes|langfuse\.(trace|observation)\.metadata|langsmith\.metadata|ai\.telemetry\.metadata'
    || '|traceloop\.association\.properties|metadata)\.',
    ''
));

-- The last of equal keys wins, so that the entries are turned round.
create or replace temp macro names_in(document) as
    list_reverse(list_transform(coalesce(json_keys(document), []), lambda written: metadata_name(written)));
create or replace temp macro texts_in(document) as
    list_reverse(list_transform(coalesce(json_extract(document, '$.*'), []), lambda found: metadata_text(found)));

-- Of an object the numbers whose names fit: {"prompt_video_tokens": 700}. A text may be a secret or a prompt.
create or replace temp macro numbers_in(object, fitting) as cast('{' || array_to_string(list_transform(
    list_filter(
        coalesce(json_keys(object), []),
        lambda field: regexp_full_match(field, '[\w.-]+') and regexp_matches(field, fitting)
            and regexp_full_match(json_extract_string(object, '$."' || field || '"'), '-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?')
    ),
    lambda field: '"' || field || '":' || json_extract_string(object, '$."' || field || '"')
), ',') || '}' as json);

-- A usage object with the further fields of its record that count tokens or calls; what it says itself counts.
create or replace temp macro with_counts(usage_object, further) as case
    when further is null or usage_object is null then usage_object
    else json_merge_patch(numbers_in(further, '^\w+$'), usage_object)
end;

-- Dollars that an object of costs has under the names of tools: {"cache_read": 0.001, "web_search": 0.02} is 0.02.
create or replace temp macro tool_fees(costs) as list_sum(list_transform(
    list_filter(
        coalesce(json_keys(costs), []),
        lambda field: regexp_matches(lower(field), 'search|tool|grounding|interpreter|session|(^|_)(fee|request|call)s?(_|$)') and not contains(field, '"')
    ),
    lambda field: try_cast(json_extract_string(costs, '$."' || field || '"') as decimal(18, 9))
));
