-- What a line of a cloud's bill says of a model, read off its text by grammar. A grammar gives one and the same struct, so
-- that a FOCUS file is read like the cloud's own export:
--   model, token_type, service_tier, is_batch, context_tier, region_scope, cache_ttl, modality, unit, tokens_per_unit
-- model is spelled as the seller's API spells it, where it follows a rule; token_type is null where the text is not understood:
-- such a line keeps its text and its money. unit and tokens_per_unit stand where the text fixes the unit of the quantity.

-- An instant as bills write it: what instant_of reads, 11/18/2026 13:00 (month first), 20261118. Naive is UTC.
create or replace temp macro bill_instant(text) as coalesce(
    instant_of(text),
    case when regexp_matches(text, '^\d{1,2}/\d{1,2}/\d{4} ') then timezone('UTC', try_strptime(text, ['%m/%d/%Y %H:%M:%S', '%m/%d/%Y %H:%M'])) end,
    case when regexp_matches(text, '^20\d{6}$') then timezone('UTC', try_strptime(text, '%Y%m%d')) end
);
create or replace temp macro wrong_bill_instant(field, text) as case
    when text is not null and not coalesce(isfinite(bill_instant(text)), false)
        then field || ' is ' || left(text, 40) || ', expected an instant such as 2026-11-18T12:00:00Z or a date such as 11/18/2026'
end;

-- Tags as an object: {"k": "v"}, the same without its braces (Azure), a list of keys and values (BigQuery). null for other text.
create or replace temp macro tags_of(text) as case
    when json_type(try_cast(text as json)) = 'OBJECT' then cast(text as json)
    when json_type(try_cast(text as json)) = 'ARRAY' then to_json(map_from_entries(list_distinct(list_transform(
        list_filter(from_json(cast(text as json), '[{"key":"VARCHAR","value":"VARCHAR"}]'), lambda tag_entry: tag_entry.key is not null),
        lambda tag_entry: {'key': tag_entry.key, 'value': tag_entry.value}))))
    when json_type(try_cast('{' || text || '}' as json)) = 'OBJECT' then cast('{' || text || '}' as json)
end;

-- Tags under the names that a person gave them: resourceTags/user:team, iamPrincipal/team and user_team are team.
create or replace temp macro plain_tags(document) as cast(
    '{' || array_to_string(list_transform(
        coalesce(json_keys(document), []),
        lambda tag_key: cast(to_json(regexp_replace(tag_key, '^(resourceTags/|iamPrincipal/|accountTag/|costCategory/)?(user[:_])?', '')) as varchar)
            || ':' || cast(json_extract(document, '$.' || cast(to_json(tag_key) as varchar)) as varchar)
    ), ',') || '}' as json
);

-- Who made a model, from the seller's name of it.
create or replace temp macro maker_of(model) as case
    when regexp_matches(lower(model), '(^|[./])claude') then 'anthropic'
    when regexp_matches(lower(model), '(^|[./])(nova|titan)') then 'amazon'
    when regexp_matches(lower(model), '(^|[./])(gpt|o[1-9]([-.]|$)|text-embedding|dall-e|whisper|tts)') then 'openai'
    when regexp_matches(lower(model), '(^|[./])gem(ini|ma)') then 'google'
    when regexp_matches(lower(model), '(^|[./])phi-') then 'microsoft'
    when regexp_matches(lower(model), '^(?:(?:us-gov|us|eu|apac|au|jp|ca|sa|in|global)\.)?[a-z0-9]+\.[a-z]')
        then regexp_extract(lower(model), '^(?:(?:us-gov|us|eu|apac|au|jp|ca|sa|in|global)\.)?([a-z0-9]+)\.[a-z]', 1)
end;

-- Files of one delivery differ by a number of five digits or more that starts with 0, or by part_<n>, or, in the folder of a billing
-- period (20261001-20261101/) of an older report of AWS, by any number; null for a file of its own.
create or replace temp macro is_numbered_report(path) as regexp_matches(path, '/20\d{6}-20\d{6}/.*-\d{1,4}\.csv[^/]*$');
create or replace temp macro part_of(path) as coalesce(
    nullif(regexp_extract(path, '([-_.]0\d{4,}|part[-_]?\d+(_\d+)?)[^/]*$', 1), ''),
    case when is_numbered_report(path) then regexp_extract(path, '(-\d{1,4})\.csv[^/]*$', 1) end
);
create or replace temp macro delivery_of(path) as case
    when not regexp_matches(path, '([-_.]0\d{4,}|part[-_]?\d+(_\d+)?)[^/]*$') and is_numbered_report(path)
        then regexp_replace(path, '-\d{1,4}(\.csv[^/]*)$', '\1')
    when part_of(path) is not null
        then regexp_replace(path, '([-_.]0\d{4,}|part[-_]?\d+(?:_\d+)?)([^/]*)$', '\2')
end;

-- The days that a pull of a bill covers, of (file_no, endpoint, pull_grain, period_start_at, period_end_at, charge_start_at): all of the
-- billing period, as far as the pull could know it, and what it has outside of it.
create or replace temp macro days_of_bill(lines) as table
select
    file_no,
    0 as source_row,
    cast(null as varchar) as refusal,
    endpoint,
    pull_grain,
    delivery_of(source_file) as delivery,
    false as is_stated,
    cast(day as timestamptz) as window_start_at,
    cast(day as timestamptz) + interval 1 day as window_end_at,
from (
    select
        l.file_no,
        l.endpoint,
        l.pull_grain,
        any_value(f.source_file) as source_file,
        unnest(generate_series(
            cast(least(min(l.period_start_at), min(l.charge_start_at)) as date),
            greatest(
                least(cast(max(l.period_end_at) as date) - 1, cast(any_value(f.pulled_at) as date), any_value(f.last_day)),
                cast(max(l.charge_start_at) as date)
            ),
            interval 1 day
        )) as day,
    from query_table(lines) as l
    inner join landing_files as f on l.file_no = f.file_no
    where l.charge_start_at >= timestamptz '2000-01-01 00:00:00+00'
        and cast(l.charge_start_at as date) <= f.last_day
        and l.charge_start_at >= l.period_start_at - interval 3 year
    group by l.file_no, l.endpoint, l.pull_grain
);

-- What a manifest names, of (file_no, report, period_start_date, named_files), on the first day of its billing period. The newest of a report counts.
create or replace temp macro named_files(manifests) as table
select
    file_no,
    0 as source_row,
    cast(null as varchar) as refusal,
    'manifest/' || report as endpoint,
    cast(null as varchar[]) as pull_grain,
    false as is_stated,
    cast(period_start_date as timestamptz) as window_start_at,
    cast(period_start_date as timestamptz) + interval 1 day as window_end_at,
    named_files as next_page,
from query_table(manifests);

-- How many tokens a unit of a bill is: Tokens, 1K, 10K, 1M, 1000 Tokens, 1M tokens. null where it is none of tokens.
create or replace temp macro tokens_in_unit(unit) as case
    when regexp_matches(lower(unit), '^\d* ?(k|m|b|thousand|million)? ?tokens?$') or regexp_matches(lower(unit), '^\d+ ?(k|m|b)?$')
        then cast(coalesce(nullif(regexp_extract(unit, '^(\d+)', 1), ''), '1') as bigint)
            * case regexp_extract(lower(unit), '^\d* ?(k|m|b|thousand|million)', 1)
                when 'k' then 1000 when 'thousand' then 1000 when 'm' then 1000000 when 'million' then 1000000 when 'b' then 1000000000 else 1
            end
end;

create or replace temp macro tokens_of(quantity, per_unit) as
    case when per_unit = 1 then quantity else cast(try_cast(quantity as decimal(19, 9)) * cast(per_unit as bigint) as decimal(38, 9)) end;

create or replace temp macro no_meter() as {
    'model': cast(null as varchar), 'token_type': cast(null as varchar), 'service_tier': cast(null as varchar),
    'is_batch': cast(null as boolean), 'context_tier': cast(null as varchar), 'region_scope': cast(null as varchar),
    'cache_ttl': cast(null as varchar), 'modality': cast(null as varchar), 'unit': cast(null as varchar),
    'tokens_per_unit': cast(null as bigint)
};

-- ---- Bedrock: usage types. Three grammars: USE1-Claude4.6Sonnet-input-tokens-batch; USE1-xai.grok-4.3-mantle-input-tokens-batch;
-- USW2-MP:USW2_InputTokenCount_Global-Units (AWS Marketplace: the unit is a million tokens, the model stands elsewhere).
create or replace temp macro bedrock_spelling(usage_type) as rtrim(replace(regexp_replace(regexp_replace(regexp_replace(
    replace(lower(regexp_replace(regexp_replace(usage_type, '^([A-Z]{2,4}[0-9]?-)?(MP:([A-Z]{2,4}[0-9]?_)?)?', ''), '-Units$', '')), '_', '-'),
    'cache-?write(5m|30m|1h|12h)?inputtokencount', 'cache-write-input-token-count-\1'),
    'cache-?readinputtokencount', 'cache-read-input-token-count'),
    '(input|output)tokencount', '\1-token-count'),
    '--', '-'), '-');
-- LatencyOptimized stands before or behind what is counted; it is put last.
create or replace temp macro bedrock_words(usage_type) as case when regexp_matches(bedrock_spelling(usage_type), 'latency-?optimized')
    then trim(regexp_replace(bedrock_spelling(usage_type), '-?latency-?optimized', ''), '-') || '-latency-optimized'
    else bedrock_spelling(usage_type) end;
-- Cache is looked for before input: cache-read-input-token-count holds both words.
create or replace temp macro bedrock_parts(words) as regexp_extract(
    words,
    '^(?:(.+?)-)??(?:mantle-)?(?:(speech|audio|image|video|text)-)?(cache-read|cache-write|input|output)(?:-(5m|30m|1h|12h))?(?:-input)?-tokens?(?:-count)?((?:-(?:flex|batch|priority|standard|latency-optimized|custom-model|long-context|long-ctx|cross-region-global|cross-region-geo|cross-region|global|geo|regional|5m|30m|1h|12h))*)$',
    ['model', 'modality', 'word', 'ttl', 'tail']
);
-- Claude4.6Sonnet -> claude-sonnet-4-6, Claude3.5Sonnet -> claude-3-5-sonnet, Nova2.0Lite -> amazon.nova-2-lite; others as they stand.
create or replace temp macro bedrock_model(model) as case
    when regexp_matches(model, '^claude-?[4-9](\.\d)?(sonnet|opus|haiku|fable|mythos)$')
        then rtrim(replace(regexp_replace(model, '^claude-?(\d)(\.\d)?(\w+)$', 'claude-\3-\1\2'), '.', '-'), '-')
    when regexp_matches(model, '^claude-?[1-3](\.\d)?(sonnet|opus|haiku)$')
        then replace(regexp_replace(model, '^claude-?(\d)(\.\d)?(\w+)$', 'claude-\1\2-\3'), '.', '-')
    when regexp_matches(model, '^nova(\d(\.\d)?)?(pro|lite|micro|premier|sonic|canvas|reel|omni)$')
        then replace(replace(regexp_replace(model, '^nova(\d(?:\.\d)?)?(\w+)$', 'amazon.nova-\1-\2'), '.0', ''), '--', '-')
    else nullif(regexp_extract(model, '.*[a-z].*'), '')
end;
-- Claude 3.5 Sonnet (Amazon Bedrock Edition) -> claude-3-5-sonnet, Cohere Rerank v3.5 -> cohere.rerank-v3-5
create or replace temp macro bedrock_product(product) as case when product ilike '%(Amazon Bedrock Edition)%'
    then regexp_replace(
        regexp_replace(lower(trim(regexp_replace(product, '\(Amazon Bedrock Edition\).*$', '', 'i'))), '[ .]+', '-', 'g'), '^(cohere)-', '\1.'
    ) end;
-- The model of a resource: a foundation model or a system's inference profile; an application's own profile names none.
create or replace temp macro bedrock_resource(resource) as
    nullif(regexp_extract(resource, '^arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(.+)$', 1), '');
create or replace temp macro bedrock_tail(words) as bedrock_parts(words).tail || '-';
create or replace temp macro bedrock_meter_of(words, is_marketplace) as case
    when bedrock_parts(words).word <> '' then {
        'model': bedrock_model(bedrock_parts(words).model),
        'token_type': replace(bedrock_parts(words).word, '-', '_'),
        'service_tier': nullif(regexp_extract(bedrock_tail(words), '-(flex|priority|standard|latency-optimized|custom-model)-', 1), ''),
        'is_batch': case when contains(bedrock_tail(words), '-batch-') then true end,
        'context_tier': case when regexp_matches(bedrock_tail(words), '-long-(context|ctx)-') then 'long context' end,
        'region_scope': nullif(regexp_extract(bedrock_tail(words), '-(global|geo|regional)-', 1), ''),
        'cache_ttl': coalesce(nullif(bedrock_parts(words).ttl, ''), nullif(regexp_extract(bedrock_tail(words), '-(5m|30m|1h|12h)-', 1), '')),
        'modality': nullif(bedrock_parts(words).modality, ''),
        'unit': cast(null as varchar),
        'tokens_per_unit': cast(case when is_marketplace then 1000000 end as bigint)
    }
    -- Reserved capacity: a million tokens a minute for an hour, no tokens.
    when regexp_matches(words, 'reserved.*(input|output)-?tpm') then {
        'model': cast(null as varchar), 'token_type': 'other', 'service_tier': 'reserved', 'is_batch': cast(null as boolean),
        'context_tier': cast(null as varchar), 'region_scope': nullif(regexp_extract(words || '-', '-(global|geo|regional)-', 1), ''),
        'cache_ttl': cast(null as varchar), 'modality': cast(null as varchar), 'unit': 'tpm_hours', 'tokens_per_unit': cast(null as bigint)
    }
    -- Reranking is paid by the search.
    when regexp_matches(words, '(^|-)search-?units?(-|$)') then {
        'model': bedrock_model(regexp_extract(words, '^(.+?)-search-?units?(?:-|$)', 1)), 'token_type': 'other',
        'service_tier': cast(null as varchar), 'is_batch': cast(null as boolean), 'context_tier': cast(null as varchar),
        'region_scope': nullif(regexp_extract(words || '-', '-(global|geo|regional)-', 1), ''),
        'cache_ttl': cast(null as varchar), 'modality': cast(null as varchar), 'unit': 'search_units', 'tokens_per_unit': cast(null as bigint)
    }
    else no_meter()
end;
create or replace temp macro bedrock_meter(usage_type) as bedrock_meter_of(bedrock_words(usage_type), contains(usage_type, 'MP:'));

-- ---- Azure: names of meters. gpt-4o-0806-Inp-glbl Tokens; 5.4 mini cd Inp Gl 1M Tokens (the family stands in the subcategory).
-- Blanks are doubled, so that words can be taken out that stand beside each other.
create or replace temp macro azure_words(meter) as '  ' || replace(trim(replace(regexp_replace(
    regexp_replace(lower(meter), '[-_ ]+', ' ', 'g'), ' (\d+ ?[km] )?tokens?$', ''), 'data zone', 'dzone')), ' ', '  ') || '  ';
create or replace temp macro azure_has(words, pattern) as regexp_matches(words, ' (' || pattern || ') ');
create or replace temp macro azure_rest(words) as replace(trim(regexp_replace(regexp_replace(
    words,
    ' (inp|input|in|outp|opt|output|out|cached|cchd|ccchd|cd|wr|write|glbl|gl|global|regnl|rgnl|rg|regional|dzone|datazone|dz|pp|priority|batch|flex|std|shortco|longco|aud|audio|img|txt) ',
    '', 'g'), ' +', ' ', 'g')), ' ', '-');
create or replace temp macro azure_model(words, family) as case
    when regexp_matches(words, '^ *\d') and regexp_matches(lower(family), 'gpt')
        then 'gpt-' || azure_rest(words)
    when regexp_matches(words, '^ *(image|realtime|oss) ') then 'gpt-' || azure_rest(words)
    else nullif(azure_rest(words), '')
end;
create or replace temp macro azure_meter_of(words, meter, family) as case
    when regexp_matches(lower(meter), 'provisioned|\bptu\b') then {
        'model': cast(null as varchar), 'token_type': 'other', 'service_tier': 'provisioned', 'is_batch': cast(null as boolean),
        'context_tier': cast(null as varchar),
        'region_scope': case when azure_has(words, 'glbl|gl|global') then 'global' when azure_has(words, 'dzone|datazone|dz') then 'data zone'
            when azure_has(words, 'regnl|rgnl|rg|regional') then 'regional' end,
        'cache_ttl': cast(null as varchar), 'modality': cast(null as varchar), 'unit': 'ptu_hours', 'tokens_per_unit': cast(null as bigint)
    }
    when regexp_matches(lower(meter), 'tokens?$') and (azure_has(words, 'inp|input|in|outp|opt|output|out|cached|cchd|ccchd|cd') or contains(words, 'embedding')) then {
        'model': azure_model(words, family),
        'token_type': case
            when azure_has(words, 'cached|cchd|ccchd|cd') and azure_has(words, 'wr|write') then 'cache_write'
            when azure_has(words, 'cached|cchd|ccchd|cd') then 'cache_read'
            when azure_has(words, 'outp|opt|output|out') then 'output'
            else 'input'
        end,
        'service_tier': case when azure_has(words, 'pp|priority') then 'priority' when azure_has(words, 'flex') then 'flex'
            when azure_has(words, 'std') then 'standard' end,
        'is_batch': case when azure_has(words, 'batch') then true end,
        'context_tier': case when azure_has(words, 'longco') then 'long context' when azure_has(words, 'shortco') then 'short context' end,
        'region_scope': case when azure_has(words, 'glbl|gl|global') then 'global' when azure_has(words, 'dzone|datazone|dz') then 'data zone'
            when azure_has(words, 'regnl|rgnl|rg|regional') then 'regional' end,
        'cache_ttl': cast(null as varchar),
        'modality': case when azure_has(words, 'aud|audio') then 'audio' when azure_has(words, 'img') then 'image'
            when azure_has(words, 'txt') then 'text' end,
        'unit': cast(null as varchar), 'tokens_per_unit': cast(null as bigint)
    }
    else no_meter()
end;
create or replace temp macro azure_meter(meter, family) as azure_meter_of(azure_words(meter), meter, family);
-- The unit that a meter's name ends with, to be held against the unit of measure: ... 1M Tokens.
create or replace temp macro azure_unit_in_name(meter) as tokens_in_unit(nullif(regexp_extract(meter, '(\d+ ?[KkMm]) Tokens?$', 1), ''));

-- ---- Google: descriptions of SKUs. Gemini 2.5 Flash GA Text Output (Thinking On) - Predictions
create or replace temp macro described_model(words) as case
    -- Image before input is what went in, else it is a part of the model's name. From 3 on a model has no .0.
    when regexp_matches(words, 'gemini \d+(\.\d+)? (flash[ -]lite|flash|pro|ultra)') then 'gemini-' || replace(
        regexp_extract(
            regexp_replace(regexp_replace(words, ' image ((?:cached |content |context )*(?:input|cach))', ' \1'), 'gemini ([3-9])\.0 ', 'gemini \1 '),
            'gemini (\d+(?:\.\d+)? (?:flash[ -]lite|flash|pro|ultra)(?: image| live| tts)?)(?: |$)', 1
        ), ' ', '-')
    when regexp_matches(words, 'gemini embedding') then 'gemini-embedding-001'
    when regexp_matches(words, 'claude [a-z]+ \d') then 'claude-' || replace(replace(regexp_extract(words, 'claude ([a-z]+ \d+(?:\.\d+)?)', 1), ' ', '-'), '.', '-')
    when regexp_matches(words, 'claude \d(\.\d)? [a-z]+') then 'claude-' || replace(replace(regexp_extract(words, 'claude (\d(?:\.\d)? [a-z]+(?: v2)?)', 1), ' ', '-'), '.', '-')
end;
-- Machines of Vertex AI, which are no models that are paid by use.
create or replace temp macro is_machine(words) as regexp_matches(
    words, 'instance|\bcore\b|\bram\b|\bcpu\b|vcpu|\bgpu\b|\btpu\b|training|pipeline|workbench|notebook|colab|feature ?store|matching engine|vector search|\bdisk\b|\bnode\b'
);
create or replace temp macro google_meter_of(words) as case
    when not regexp_matches(words, '\b(input|output|cach\w*)\b') or regexp_matches(words, 'character') then no_meter()
    else {
        'model': described_model(words),
        'token_type': case
            when regexp_matches(words, 'cach') and regexp_matches(words, 'storage') then 'other'
            when regexp_matches(words, 'cach') and regexp_matches(words, '\bwrit') then 'cache_write'
            when regexp_matches(words, 'cach') then 'cache_read'
            when regexp_matches(words, '\boutput\b') then 'output'
            else 'input'
        end,
        'service_tier': nullif(regexp_extract(words, '\b(priority|flex|provisioned)\b', 1), ''),
        'is_batch': case when regexp_matches(words, '\bbatch\b') then true end,
        'context_tier': case when regexp_matches(words, '\blong\b') then 'long context' end,
        'region_scope': nullif(regexp_extract(words, '\b(global|regional)\b', 1), ''),
        'cache_ttl': nullif(regexp_extract(words, '\b(5m|1h)\b', 1), ''),
        'modality': nullif(regexp_extract(words, '\b(audio|image|video|text)\b (?:cached |input |output |content )*(?:input|output|cach)', 1), ''),
        'unit': case when regexp_matches(words, 'storage') then 'token_hours' end,
        'tokens_per_unit': cast(null as bigint)
    }
end;
create or replace temp macro google_meter(sku) as google_meter_of(regexp_replace(lower(trim(sku)), '\s+', ' ', 'g'));
