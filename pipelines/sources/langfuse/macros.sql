-- The elements of a list in a document; none where there is no list.
create or replace temp macro parts_at(element, path) as case
    when json_type(element, path) = 'ARRAY' then from_json(json_extract(element, path), '["JSON"]')
    else cast([] as json[])
end;
