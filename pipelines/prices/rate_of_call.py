"""Which row of ledger_rates priced a call: the join of ledger_costs, for looks at single calls."""

# Conditions over ``q``, a row of ledger_requests, and ``r``, a row of ledger_rates. Several contracts may fit: take the first by
# NARROWEST_FIRST.
RATE_OF_CALL = """r.usage_date = cast(q.started_at as date)
            and r.provider = q.provider
            and r.model_canonical = coalesce(q.model_canonical, '')
            and r.service_tier = coalesce(q.service_tier, '')
            and r.is_batch = coalesce(q.is_batch, false)
            and r.speed = coalesce(q.speed, '')
            and r.region = coalesce(q.region, '')
            and r.region_class = coalesce(q.region_class, '')
            and r.billing_account_scope in ('', coalesce(q.billing_account_id, ''))
            and r.project_scope in ('', coalesce(q.attributes['project_id'], ''))
            and r.feature_scope in ('', coalesce(q.feature, ''))
            and r.customer_scope in ('', coalesce(q.customer_id, ''))
            and r.rate_from_at <= q.started_at
            and r.rate_to_at > q.started_at
            and r.ctx_min_tokens <= case
                when list_contains(q.usage_flags, 'context_tier_unknown') then 0
                else coalesce(q.context_test_tokens, q.input_total_tokens, 0)
            end
            and r.ctx_max_tokens > case
                when list_contains(q.usage_flags, 'context_tier_unknown') then 0
                else coalesce(q.context_test_tokens, q.input_total_tokens, 0)
            end"""
NARROWEST_FIRST = "r.billing_account_scope desc, r.project_scope desc, r.feature_scope desc, r.customer_scope desc"
