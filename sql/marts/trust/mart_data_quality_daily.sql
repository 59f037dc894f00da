/*
about: >-
  What was read, day by day and source by source: records by fate, and how many booked calls have no price. One row per UTC day
  and source.
grain: [usage_date, source]
partition: day
leads: [ledger_record_fates]
columns:
  usage_date: DATE; UTC day of the records; for a refused one without an instant the day of its file's first record or pull
  source: VARCHAR; folder of landing/ that the records came from
  records: BIGINT; records of files that count
  booked: BIGINT; records that are in the books
  duplicate: BIGINT; records of which another version, copy or pull counts
  not_billable: BIGINT; records that carry no cost of their own
  quarantined: BIGINT; records that were refused
  quarantined_share: DECIMAL(18,9); quarantined over records
  requests: BIGINT; booked calls that can cost money
  unpriced_requests: BIGINT; of these, calls without a cost
  total_tokens: BIGINT; tokens of these calls
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  unpriced_share: DECIMAL(18,9); tokens without a price or unread, over all tokens with the unread ones; null without tokens
  unread_tokens: BIGINT; tokens that usage objects state and no class has, in no other figure: on top of total_tokens
  unread_keys: STRUCT(usage_key VARCHAR, requests BIGINT, unread_tokens BIGINT, stake_usd DECIMAL(38,15))[]; the keys that they stand under, the total for those under none; stake_usd at the call's own price of a token; null where there are none
  list_cost_usd: DECIMAL(38,15); cost at list prices of the priced calls; null where none is priced
  assumed_list_cost_usd: DECIMAL(38,15); of this, calls whose cost is assumed (ledger_costs, cost_status); null where there are none
  unpriced_estimate_usd: DECIMAL(38,15); what unpriced calls would cost where a part or a standard price is known; null where nothing is
  flagged_requests: BIGINT; calls whose usage raised a doubt
  ambiguous_requests: BIGINT; calls whose counts can be read in two ways: with cached and reasoning tokens inside of input and output, or beside them
  ambiguous_spread_usd: DECIMAL(38,15); what these calls would cost less in the other reading; null where none is priced
  faulty_cost_requests: BIGINT; calls whose stated cost cannot be right (mart_cost_faults_daily names the faults)
  faulty_cost_usd: DECIMAL(38,15); dollars at stake in these: stated cost against ours; null where there are none
  not_given: VARCHAR; facts that no booked call of the day has, by name; calls where the source gives none (a bill, scores); empty where all are there
  verdict: VARCHAR; judgement in one word: ok, warn or fail
checks:
  - one_of: [verdict, ok, warn, fail]
  - rule: records = booked + duplicate + not_billable + quarantined
    text: every record has one fate
  - rule: verdict <> 'fail'
    severity: warning
    text: no day has more than unpriced_fail_share of its tokens without a price
  - between: [quarantined_share, 0, 1]
  - between: [unpriced_share, 0, 1]
question: On which days were records refused or calls left without a price?
answer: >-
  select usage_date, source, quarantined, unpriced_requests, unpriced_tokens, verdict
  from mart_data_quality_daily where verdict <> 'ok' order by usage_date, source
*/
{% from "macros/days.sql" import utc_date %}
{% from "macros/tokens.sql" import unread_tokens with context %}
with fates as (
    select
        usage_date,
        source,
        cast(sum(records) as bigint) as records,
        cast(sum(case when fate = 'booked' then records else 0 end) as bigint) as booked,
        cast(sum(case when fate = 'duplicate' then records else 0 end) as bigint) as duplicate,
        cast(sum(case when fate = 'not_billable' then records else 0 end) as bigint) as not_billable,
        cast(sum(case when fate = 'quarantined' then records else 0 end) as bigint) as quarantined,
    from ledger_record_fates
    group by usage_date, source
),

calls as (
    select
        {{ utc_date("r.started_at") }} as usage_date,
        r.source,
        count(*) as requests,
        count(case when c.effective_cost_usd is null then 1 end) as unpriced_requests,
        cast(coalesce(sum(r.total_tokens), 0) as bigint) as total_tokens,
        cast(coalesce(sum(case when c.effective_cost_usd is null then r.total_tokens end), 0) as bigint) as unpriced_tokens,
        cast(coalesce(sum({{ unread_tokens("r") }}), 0) as bigint) as unread_tokens,
        cast(sum(c.list_cost_usd) as decimal(38, 15)) as list_cost_usd,
        cast(sum(case when c.cost_status = 'assumed' then c.list_cost_usd end) as decimal(38, 15)) as assumed_list_cost_usd,
        cast(sum(case when c.effective_cost_usd is null then c.cost_estimate_usd end) as decimal(38, 15)) as unpriced_estimate_usd,
        count(case when array_length(r.usage_flags) > 0 then 1 end) as flagged_requests,
        count(case when r.usage_basis = 'ambiguous' then 1 end) as ambiguous_requests,
        cast(sum(case when r.usage_basis = 'ambiguous' then
            cast(coalesce(cast(c.input_uncached_cost_usd as double) / nullif(r.input_uncached_tokens, 0)
                * least(coalesce(r.cache_read_total_tokens, 0) + coalesce(r.cache_write_total_tokens, 0), r.input_uncached_tokens), 0)
            as decimal(38, 12))
            + cast(coalesce(cast(c.output_text_cost_usd as double) / nullif(r.output_text_tokens, 0)
                * least(
                    case when list_contains(r.usage_flags, 'output_is_total') then coalesce(r.input_total_tokens, 0)
                        else coalesce(r.output_reasoning_tokens, 0) end,
                    r.output_text_tokens
                ), 0)
            as decimal(38, 12))
        end) as decimal(38, 15)) as ambiguous_spread_usd,
        -- What a source cannot give, or was not asked to: its README says which of the two.
        concat_ws(
            ', ',
            case when count(r.total_tokens) = 0 then 'total_tokens' end,
            case when count(r.cache_read_tokens) = 0 then 'cache_read_tokens' end,
            case when count(r.output_reasoning_tokens) = 0 then 'output_reasoning_tokens' end,
            case when count(r.provider_response_id) = 0 then 'provider_response_id' end,
            case when count(r.duration_ms) = 0 then 'duration_ms' end,
            case when count(r.ttft_ms) = 0 then 'ttft_ms' end,
            case when count(r.trace_id) = 0 then 'trace_id' end,
            case when count(r.session_id) = 0 then 'session_id' end,
            case when count(r.task_id) = 0 then 'task_id' end,
            case when count(r.user_id) = 0 then 'user_id' end,
            case when count(nullif(r.feature, 'unattributed')) = 0 then 'feature' end,
            case when count(nullif(r.team, 'unattributed')) = 0 then 'team' end
        ) as not_given,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    group by {{ utc_date("r.started_at") }}, r.source
),

-- Few calls have such keys: they are looked at again, a row a key.
unread as (
    select
        {{ utc_date("r.started_at") }} as usage_date,
        r.source,
        unnest(coalesce(map_entries(r.unread_usage), [{'key': 'total', 'value': {{ unread_tokens("r") }}}])) as entry,
        cast(c.input_uncached_list_cost_usd as double) / nullif(r.input_uncached_tokens, 0) as input_usd,
        cast(c.output_text_list_cost_usd as double) / nullif(r.output_text_tokens, 0) as output_usd,
        cast(c.list_cost_usd as double) / nullif(r.total_tokens, 0) as token_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.unread_usage is not null or r.provider_total_tokens > coalesce(r.total_tokens, 0)
),

-- Output at the price of output, anything else at that of input, where the call has one; else at that of its tokens together.
unread_counts as (
    select
        usage_date,
        source,
        entry.key as usage_key,
        entry.value as tokens,
        coalesce(
            if(regexp_matches(entry.key, '(?i)output|completion|candidate|reasoning|thought'), output_usd, input_usd), token_usd
        ) * entry.value as stake,
    from unread
),

unread_of_day as (
    select
        usage_date,
        source,
        list_sort(list({
            'usage_key': usage_key, 'requests': requests, 'unread_tokens': unread_tokens, 'stake_usd': stake_usd
        })) as unread_keys,
    from (
        select
            usage_date,
            source,
            usage_key,
            count(*) as requests,
            cast(sum(tokens) as bigint) as unread_tokens,
            cast(sum(cast(stake as decimal(38, 12))) as decimal(38, 15)) as stake_usd,
        from unread_counts
        group by usage_date, source, usage_key
    )
    group by usage_date, source
),

cost_faults as (
    select
        usage_date,
        source,
        cast(sum(faulty_requests) as bigint) as faulty_cost_requests,
        cast(sum(fault_usd) as decimal(38, 15)) as faulty_cost_usd,
    from mart_cost_faults_daily
    group by usage_date, source
),

limits as (
    select
        d.usage_date,
        max(case when l.limit_name = 'unpriced_warn_share' then l.threshold_number end) as unpriced_warn_share,
        max(case when l.limit_name = 'unpriced_fail_share' then l.threshold_number end) as unpriced_fail_share,
        max(case when l.limit_name = 'quarantine_warn_share' then l.threshold_number end) as quarantine_warn_share,
    from (select distinct usage_date from fates) as d
    left join ref_limits as l on l.scope_kind = '' and d.usage_date >= l.valid_from_date and d.usage_date < l.valid_to_date
    group by d.usage_date
)

select
    f.usage_date,
    f.source,
    f.records,
    f.booked,
    f.duplicate,
    f.not_billable,
    f.quarantined,
    cast(cast(f.quarantined as double) / nullif(f.records, 0) as decimal(18, 9)) as quarantined_share,
    coalesce(c.requests, 0) as requests,
    coalesce(c.unpriced_requests, 0) as unpriced_requests,
    coalesce(c.total_tokens, 0) as total_tokens,
    coalesce(c.unpriced_tokens, 0) as unpriced_tokens,
    cast(cast(c.unpriced_tokens + c.unread_tokens as double) / nullif(c.total_tokens + c.unread_tokens, 0) as decimal(18, 9))
        as unpriced_share,
    coalesce(c.unread_tokens, 0) as unread_tokens,
    k.unread_keys,
    c.list_cost_usd,
    c.assumed_list_cost_usd,
    c.unpriced_estimate_usd,
    coalesce(c.flagged_requests, 0) as flagged_requests,
    coalesce(c.ambiguous_requests, 0) as ambiguous_requests,
    c.ambiguous_spread_usd,
    coalesce(w.faulty_cost_requests, 0) as faulty_cost_requests,
    w.faulty_cost_usd,
    coalesce(c.not_given, 'calls') as not_given,
    case
        when c.unpriced_tokens + c.unread_tokens > (c.total_tokens + c.unread_tokens) * l.unpriced_fail_share then 'fail'
        when c.unpriced_tokens + c.unread_tokens > (c.total_tokens + c.unread_tokens) * l.unpriced_warn_share
            or f.quarantined > f.records * l.quarantine_warn_share
            or w.faulty_cost_requests > 0 then 'warn'
        else 'ok'
    end as verdict,
from fates as f
inner join limits as l on f.usage_date = l.usage_date
left join calls as c on f.usage_date = c.usage_date and f.source = c.source
left join unread_of_day as k on f.usage_date = k.usage_date and f.source = k.source
left join cost_faults as w on f.usage_date = w.usage_date and f.source = w.source
