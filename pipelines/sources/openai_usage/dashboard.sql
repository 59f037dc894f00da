-- Lines of the dashboard's CSV files -> results as the API writes them: the columns go by the names of its fields.
select
    file_no,
    source_row,
    problem,
    instant_of(coalesce(plain(start_time), plain(start_time_iso))) as bucket_start_at,
    instant_of(coalesce(plain(end_time), plain(end_time_iso))) as bucket_end_at,
    -- A line that has its times alone is a bucket without results.
    case when problem is null and has_anything then json_merge_patch(
        '{}',
        json_object(
            'object', case when is_cost then 'organization.costs.result' else 'organization.usage.completions.result' end,
            'amount', case when is_cost then json_object('value', money(amount_value), 'currency', plain(amount_currency)) end,
            'quantity', plain(quantity), 'quantity_unit', plain(quantity_unit), 'line_item', plain(line_item), 'user_id', plain(user_id),
            'user_email', plain(user_email), 'api_key_id', plain(api_key_id), 'api_key_name', plain(api_key_name), 'project_id', plain(project_id),
            'organization_id', plain(organization_id), 'project_name', plain(project_name), 'organization_name', plain(organization_name),
            'api_source', plain(api_source), 'model', plain(model), 'batch', plain(batch), 'service_tier', plain(service_tier),
            'num_model_requests', plain(num_model_requests), 'input_tokens', plain(input_tokens),
            'input_cached_tokens', plain(input_cached_tokens), 'input_cache_write_tokens', plain(input_cache_write_tokens),
            'input_cache_write_30m_tokens', plain(input_cache_write_30m_tokens),
            'input_cache_write_12h_tokens', plain(input_cache_write_12h_tokens), 'input_uncached_tokens', plain(input_uncached_tokens),
            'input_text_tokens', plain(input_text_tokens), 'input_audio_tokens', plain(input_audio_tokens),
            'input_image_tokens', plain(input_image_tokens), 'input_cached_text_tokens', plain(input_cached_text_tokens),
            'input_cached_audio_tokens', plain(input_cached_audio_tokens), 'input_cached_image_tokens', plain(input_cached_image_tokens),
            'output_tokens', plain(output_tokens), 'output_text_tokens', plain(output_text_tokens),
            'output_audio_tokens', plain(output_audio_tokens), 'output_image_tokens', plain(output_image_tokens)
        )
    ) end as raw,
from (
    select *, has_amount_value as is_cost, has_amount_value or has_input_tokens or has_num_model_requests as has_anything
    from dashboard_rows
)
