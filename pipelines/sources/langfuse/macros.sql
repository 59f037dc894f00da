-- A value of metadata as text. The blob export writes some texts as JSON inside of a text.
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

create or replace temp macro parts_at(element, path) as case
    when json_type(element, path) = 'ARRAY' then from_json(json_extract(element, path), '["JSON"]')
    else cast([] as json[])
end;

-- The same key goes by attributes.x where metadata is flattened, and by x inside of attributes where it is not.
create or replace temp macro metadata_name(written) as
    lower(regexp_replace(written, '^(attributes|resourceAttributes|langfuse\.(trace|observation)\.metadata)\.', ''));

-- The last of equal keys wins, so that the entries are turned round.
create or replace temp macro names_in(document) as
    list_reverse(list_transform(coalesce(json_keys(document), []), lambda written: metadata_name(written)));
create or replace temp macro texts_in(document) as
    list_reverse(list_transform(coalesce(json_extract(document, '$.*'), []), lambda found: metadata_text(found)));
