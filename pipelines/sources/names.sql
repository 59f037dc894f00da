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
