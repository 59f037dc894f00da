-- An attribute's value as text. MLflow writes each value as JSON.
create or replace temp macro attribute_text(attribute) as case
    when starts_with(attribute.key, 'mlflow.') and starts_with(attribute.value.stringValue, '"')
        then coalesce(try_cast(attribute.value.stringValue as json) ->> '$', attribute.value.stringValue)
    else coalesce(
        attribute.value.stringValue, attribute.value.intValue, attribute.value.doubleValue, attribute.value.boolValue,
        cast(attribute.value.arrayValue as varchar)
    )
end;

create or replace temp macro attributes_in(document) as from_json(
    document,
    '[{"key":"VARCHAR","value":{"stringValue":"VARCHAR","intValue":"VARCHAR","doubleValue":"VARCHAR","boolValue":"VARCHAR","arrayValue":"JSON"}}]'
);

-- Attributes that may hold a prompt are long, and none of those that are looked up is; but for a few that are objects.
create or replace temp macro attributes_of(attributes) as list_reverse(list_filter(
    coalesce(attributes, []),
    lambda attribute: attribute.key is not null and (
        length(coalesce(attribute.value.stringValue, '')) <= 1000
        or list_contains(['metadata', 'llm.invocation_parameters', 'ai.response.providerMetadata', 'mlflow.chat.tokenUsage'], attribute.key)
    )
));
create or replace temp macro attribute_names(attributes) as list_transform(attributes, lambda attribute: metadata_name(attribute.key));
create or replace temp macro attribute_texts(attributes) as list_transform(attributes, lambda attribute: attribute_text(attribute));

-- Counts of one dialect as the text of an object; of a key that is there twice the last one wins.
create or replace temp macro counts_of(attributes, prefix) as list_filter(
    attributes,
    lambda attribute: regexp_matches(attribute.key, prefix)
        and coalesce(attribute.value.stringValue, attribute.value.intValue, attribute.value.doubleValue) is not null
        and not regexp_matches(attribute.key, 'cost')
);
create or replace temp macro counts_text(attributes, prefix) as '{' || array_to_string(list_transform(
    attributes,
    lambda attribute: to_json(replace(regexp_replace(attribute.key, prefix, ''), '.', '_')) || ':'
        || to_json(coalesce(attribute.value.stringValue, attribute.value.intValue, attribute.value.doubleValue))
), ',') || '}';
create or replace temp macro raw_text(attributes) as '{' || array_to_string(list_transform(
    list_reverse(attributes),
    lambda attribute: to_json(attribute.key) || ':'
        || coalesce(attribute.value.intValue, attribute.value.doubleValue, to_json(attribute.value.stringValue))
), ',') || '}';

-- Nanoseconds since 1970 as an instant; whole numbers all the way, which a double does not hold.
create or replace temp macro instant_of(nanoseconds) as case
    when whole(nanoseconds) > 0 then make_timestamptz(whole(nanoseconds) // 1000)
end;
create or replace temp macro wrong_nanoseconds(field, text) as case
    when text is not null and coalesce(whole(text) < 0, true)
        then field || ' is ' || left(text, 40) || ', expected nanoseconds since 1970'
end;
create or replace temp macro wrong_hex(field, text) as case
    when not regexp_full_match(text, '[0-9a-fA-F]+') then field || ' is ' || left(text, 40) || ', expected hexadecimal digits'
end;
-- Seconds or milliseconds after the start.
create or replace temp macro later_by(instant, amount, microseconds) as
    instant + to_microseconds(cast(round(try_cast(amount as decimal(18, 6)) * microseconds) as bigint));

-- Whether attributes, whatever their names, count tokens that were used; not limits of them.
create or replace temp macro bears_tokens(attributes) as len(list_filter(
    attributes,
    lambda attribute: regexp_matches(lower(attribute.key), 'tokens?([._]?(count|usage|used))?$|token_(count|usage)[.]')
        and not regexp_matches(lower(attribute.key), 'max|limit|window|budget|threshold')
        and whole(attribute_text(attribute)) > 0
)) > 0;
-- Coding agents write a log for each call: claude_code.api_request, codex.sse_event, gemini_cli.api_response. What a log is to us:
-- call, error, restated (it counts again what another log counts), unknown, or null where it has nothing to do with tokens.
create or replace temp macro log_kind(event, named, attributes) as case
    when regexp_matches(event, '^(claude_code[.])?api_request$') and value_named(named, 'model') is not null then 'call'
    when regexp_matches(event, '^(codex[.](sse|websocket)_event|[a-z]+[_-](cli|code)[.]api_response)$')
        and value_named(named, 'input_token_count') is not null then 'call'
    when regexp_matches(event, '^(([a-z]+[_-](cli|code))[.])?api_error$') and value_named(named, 'model') is not null then 'error'
    when not bears_tokens(attributes) then null
    when regexp_matches(event, '^(codex|[a-z]+[_-](cli|code))[.]')
        or regexp_matches(value_named(named, 'service.name'), '^(codex|[a-z]+[_-](cli|code)$)') then 'restated'
    when event = 'gen_ai.client.inference.operation.details' then 'call'
    else 'unknown'
end;
