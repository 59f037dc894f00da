-- Iterations of an Anthropic answer that the counts at its top leave out and that name a model of their own, such as an advisor's: each is a
-- call of its own. Those of compaction name none: they stay, and the row is flagged (anthropic.messages). Null where there is none.
create or replace temp macro iterations_of(usage) as case
    when json_type(json_extract(usage, '$.iterations')) = 'ARRAY' then json_extract(usage, '$.iterations[*]') else []
end;
create or replace temp macro tokens_in(counts) as coalesce(whole(counts ->> '$.input_tokens'), 0) + coalesce(whole(counts ->> '$.output_tokens'), 0)
    + coalesce(whole(counts ->> '$.cache_read_input_tokens'), 0) + coalesce(whole(counts ->> '$.cache_creation_input_tokens'), 0);
create or replace temp macro models_apart(usage, model) as case when contains(cast(usage as varchar), '"iterations"') then list_filter(
    iterations_of(usage),
    lambda step: step ->> '$.model' is not null
        and (step ->> '$.type' <> 'message' or step ->> '$.model' <> model)
        and tokens_in(step) > 0
        -- Where the top holds all of them, none is left out.
        and tokens_in(usage) < list_sum(list_transform(iterations_of(usage), lambda each_step: tokens_in(each_step)))
) end;
-- The answer's own counts.
create or replace temp macro usage_without(usage, apart) as case
    when coalesce(len(apart), 0) = 0 then usage
    else json_merge_patch(
        usage, json_object('iterations', list_filter(iterations_of(usage), lambda step: not list_contains(apart, step)))
    )
end;
