/*
about: >-
  What caches are worth: of the provider's prompt cache the hit rates, what reads saved and writes cost extra, and drops of the rate with
  what they cost; beside it, never added, what a gateway's own cache of answers saved. One row per week, feature and model.
grain: [week_start_date, feature, provider, model_canonical]
partition: week
reads_back: 4 weeks
clock_stops: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  is_closed: BOOLEAN; true once the week is over by the books' own now
  verdict: VARCHAR; judgement of the hit rate in one word: insufficient, red (from cache_hit_base_rate or more to below cache_hit_red_rate), amber (down by cache_drop_amber_points or more, and not by chance) or stable
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: week_not_over, few_requests or few_base_requests that tell of the cache; else null
  sentence: VARCHAR; what the cache saved and whether its rate fell, in words
  requests: BIGINT; calls, failed ones included, without answers of a gateway's own cache
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: dollars are then too small
  input_total_tokens: BIGINT; all input, cached included
  cache_known_requests: BIGINT; calls that tell what they read from the prompt cache, be it none: the others are left out of both rates
  cache_known_share: DECIMAL(18,9); these calls over all
  cache_known_input_tokens: BIGINT; input of the calls that tell what they read from the prompt cache
  cache_read_total_tokens: BIGINT; input read from the prompt cache
  cache_hit_rate: DECIMAL(18,9); input read from the cache over input, of the calls that tell; null without any
  cache_hit_requests: BIGINT; calls that read anything from the prompt cache
  cache_hit_request_rate: DECIMAL(18,9); these over the calls that tell; it flatters, as a shared first block makes every call a hit
  base_cache_known_requests: BIGINT; calls of the four weeks before that tell what they read from the cache
  base_cache_hit_rate: DECIMAL(18,9); hit rate by tokens in the four weeks before; null without a call that tells
  cache_hit_rate_delta: DECIMAL(18,9); the rate less that of the four weeks before
  p_value: DOUBLE; two-sided p of no change of the rate, by leaving out one user after the other; null where that is no test, or the rate moved by less than a point
  clusters: BIGINT; users (or what stands for them) in either period; null where that was not tested
  cost_impact_usd: DECIMAL(38,10); what a fall of the rate cost in the week: the tokens that were no longer read, at uncached less cached price; 0 without a fall, null where prices are not known
  input_cost_usd: DECIMAL(38,15); cost of all input, cache reads and writes included, where rates made it; null where none did
  uncached_input_cost_usd: DECIMAL(38,15); what that input would have cost without a cache
  rated_cache_tokens: BIGINT; cached tokens, read or written, whose saving is known: saving and premium are of these
  cached_tokens: BIGINT; cached tokens, read or written
  read_saving_usd: DECIMAL(38,15); tokens read, at uncached less cached price; null where no rate is known or no call tells
{% for class in token_classes if class.type == "cache_write" %}
  {{ class.name }}_premium_usd: DECIMAL(38,15); {{ class.meaning }}: their price less that of uncached input; null where no rate is known
{% endfor %}
  write_premium_usd: DECIMAL(38,15); all writes at their price less that of uncached input; null where no rate is known
  cache_storage_cost_usd: DECIMAL(38,15); cost of keeping caches by the hour, where calls tell it; null where none does
  net_saving_usd: DECIMAL(38,15); read saving less write premium and known storage
  cache_roi_ratio: DOUBLE; net saving over write premium; null without a premium
  break_even_reads: DOUBLE; how often a written token must be read to pay for its premium; null without writes
  response_cache_hits: BIGINT; answers of a gateway's own cache: they cost nothing and are no requests
  response_cache_lookups: BIGINT; these and the requests of the feature and model; 0 where no answer came from such a cache
  response_cache_hit_rate: DECIMAL(18,9); hits over lookups; null without lookups
  valued_response_cache_hits: BIGINT; hits of request types whose calls have a cost in the week: the saving is of these
  response_cache_saving_usd: DECIMAL(38,10); what these would have cost, at the mean cost of a call of their request type; null where none is known
  response_cache_lookup_cost_usd: DECIMAL(38,10); what looking into the gateway's index costs, at response_cache_lookup_usd each
  response_cache_net_usd: DECIMAL(38,10); saving less the cost of lookups
checks:
  - one_of: [verdict, insufficient, red, amber, stable]
  - one_of: [verdict_reason, week_not_over, few_requests, few_base_requests]
  - rule: (verdict = 'insufficient') = (verdict_reason is not null)
    text: what is not judged has a reason
  - between: [cache_known_share, 0, 1]
  - between: [cache_hit_rate, 0, 1]
  - between: [cache_hit_request_rate, 0, 1]
  - between: [base_cache_hit_rate, 0, 1]
  - between: [response_cache_hit_rate, 0, 1]
  - rule: uncached_input_cost_usd - input_cost_usd = read_saving_usd - write_premium_usd
    null_passes: true
    text: the saving less the premium is what the cache changed of the cost of input
  - rule: >-
      write_premium_usd = 0
{% for class in token_classes if class.type == "cache_write" %}
      + {{ class.name }}_premium_usd
{% endfor %}
    null_passes: true
    text: the premiums of the lifetimes make the premium
question: What does caching save, and where did the hit rate fall?
answer: >-
  select week_start_date, feature, model_canonical, verdict, base_cache_hit_rate, cache_hit_rate, net_saving_usd, cache_roi_ratio, cost_impact_usd
  from mart_cache_economics_weekly
  order by verdict in ('red', 'amber') desc, week_start_date desc, net_saving_usd desc nulls last limit 20
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/tokens.sql" import cached_classes, input_classes, sum_of, uncached with context %}
{% set key = ["feature", "provider", "model_canonical"] %}
{% macro keys(alias) %}{% for name in key %}{{ alias }}.{{ name }}{{ ", " if not loop.last }}{% endfor %}{% endmacro %}
{% macro same(one, other) %}{% for name in key %} and {{ one }}.{{ name }} = {{ other }}.{{ name }}{% endfor %}{% endmacro %}
{# Tokens of a class times the difference of two rates of the cell; 0 without tokens, null where a rate is not known. #}
{% macro at_difference(class, more, less) %}
case
            when c.{{ class.tokens }} = 0 then 0
            else cast(c.{{ class.tokens }} * (c.{{ more }}_usd_per_mtok - c.{{ less }}_usd_per_mtok) * 0.000001 as decimal(38, 15))
        end
{%- endmacro %}
with
{% include "parts/weeks_with_end.sql" %}

rated as (
    select
        c.*,
        {{ sum_of(cached_classes, "c", "_tokens") }} as cached_tokens,
        (
            c.cost_basis = 'rates'
{% for class in cached_classes %}
            and (c.{{ class.tokens }} = 0 or c.{{ class.name }}_usd_per_mtok - c.{{ uncached(class) }}_usd_per_mtok is not null)
{% endfor %}
        ) as has_saving,
        {{ sum_of(input_classes, "c", "_cost_usd") }} as all_input_cost_usd,
        {{ sum_of(input_classes | rejectattr("name", "in", cached_classes | map(attribute="name") | list) | list, "c", "_cost_usd") }}
{% for class in cached_classes %}
            + case when c.{{ class.tokens }} = 0 then 0 else cast(c.{{ class.tokens }} * c.{{ uncached(class) }}_usd_per_mtok * 0.000001 as decimal(38, 15)) end
{% endfor %}
            as all_uncached_cost_usd,
{% for class in cached_classes %}
    {% if class.type == "cache_read" %}
        {{ at_difference(class, uncached(class), class.name) }} as {{ class.name }}_saving_usd,
    {% else %}
        {{ at_difference(class, class.name, uncached(class)) }} as {{ class.name }}_premium_usd,
        -- What a read of as many tokens would save.
        c.{{ class.tokens }} * (c.input_uncached_usd_per_mtok - c.cache_read_usd_per_mtok) * 0.000001 as {{ class.name }}_readable_usd,
    {% endif %}
{% endfor %}
        c.input_uncached_usd_per_mtok - c.cache_read_usd_per_mtok as read_gain_usd_per_mtok,
    from stat_rate_cells_weekly as c
    where c.cost_basis <> 'gateway_cache'
),

calls as (
    select
        c.week_start_date,
        c.feature,
        c.provider,
        case when c.model_canonical = '' then 'unknown_model' else c.model_canonical end as model_canonical,
        cast(sum(c.requests) as bigint) as requests,
        cast(sum(c.total_tokens) as bigint) as total_tokens,
        cast(sum(case when c.cost_basis = 'unpriced' then c.requests else 0 end) as bigint) as unpriced_requests,
        cast(sum(case when c.cost_basis = 'unpriced' then c.total_tokens else 0 end) as bigint) as unpriced_tokens,
        cast(sum(c.input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(c.cache_known_requests) as bigint) as cache_known_requests,
        cast(sum(c.cache_known_input_tokens) as bigint) as cache_known_input_tokens,
        cast(sum(c.cache_read_total_tokens) as bigint) as cache_read_total_tokens,
        cast(sum(c.cache_hit_requests) as bigint) as cache_hit_requests,
        cast(sum(c.cached_tokens) as bigint) as cached_tokens,
        cast(sum(case when c.has_saving then c.cached_tokens else 0 end) as bigint) as rated_cache_tokens,
        cast(sum(case when c.has_saving then c.all_input_cost_usd end) as decimal(38, 15)) as input_cost_usd,
        cast(sum(case when c.has_saving then c.all_uncached_cost_usd end) as decimal(38, 15)) as uncached_input_cost_usd,
        cast(
            sum(
                case
                    when c.has_saving
                        then 0{% for class in cached_classes if class.type == "cache_read" %} + c.{{ class.name }}_saving_usd{% endfor %}

                end
            ) as decimal(38, 15)
        ) as read_saving_usd,
{% for class in cached_classes if class.type == "cache_write" %}
        cast(sum(case when c.has_saving then c.{{ class.name }}_premium_usd end) as decimal(38, 15)) as {{ class.name }}_premium_usd,
{% endfor %}
        cast(
            sum(
                case
                    when c.has_saving
                        then 0{% for class in cached_classes if class.type == "cache_write" %} + c.{{ class.name }}_premium_usd{% endfor %}

                end
            ) as decimal(38, 15)
        ) as write_premium_usd,
        cast(
            sum(
                case
                    when c.has_saving
                        then 0{% for class in cached_classes if class.type == "cache_write" %} + c.{{ class.name }}_readable_usd{% endfor %}

                end
            ) as decimal(38, 15)
        ) as readable_usd,
        cast(sum(c.cache_storage_cost_usd) as decimal(38, 15)) as cache_storage_cost_usd,
        -- What a token gains that is read from the cache, over all input whose prices are known.
        sum(case when c.read_gain_usd_per_mtok is not null then c.input_total_tokens * c.read_gain_usd_per_mtok end) as gain_of_input,
        sum(case when c.read_gain_usd_per_mtok is not null then c.input_total_tokens else 0 end) as input_with_gain,
    from rated as c
    group by c.week_start_date, c.feature, c.provider, case when c.model_canonical = '' then 'unknown_model' else c.model_canonical end
),

baselines as (
    select
        w.week_start_date,
        {{ keys("c") }},
        cast(sum(c.cache_known_requests) as bigint) as cache_known_requests,
        cast(sum(c.cache_known_input_tokens) as bigint) as cache_known_input_tokens,
        cast(sum(c.cache_read_total_tokens) as bigint) as cache_read_total_tokens,
    from calls as c
    cross join (select unnest(range(1, 5)) as weeks_later) as o
    inner join weeks as w on w.week_start_date = c.week_start_date + 7 * cast(o.weeks_later as integer)
    group by w.week_start_date, {{ keys("c") }}
),

type_costs as (
    select
        week_start_date,
        feature,
        workflow_step,
        prompt_name,
        cast(cast(sum(effective_cost_usd) as double) / nullif(sum(requests - unpriced_requests), 0) as decimal(38, 15)) as mean_cost_usd,
    from stat_usage_cells_weekly
    group by week_start_date, feature, workflow_step, prompt_name
),

hits as (
    select
        h.week_start_date,
        {{ keys("h") }},
        cast(sum(h.response_cache_hits) as bigint) as response_cache_hits,
        cast(sum(case when t.mean_cost_usd is not null then h.response_cache_hits else 0 end) as bigint) as valued_response_cache_hits,
        cast(sum(h.response_cache_hits * t.mean_cost_usd) as decimal(38, 10)) as response_cache_saving_usd,
    from stat_response_cache_hits_weekly as h
    left join type_costs as t
        on h.week_start_date = t.week_start_date
        and h.feature = t.feature
        and h.workflow_step = t.workflow_step
        and h.prompt_name = t.prompt_name
    group by h.week_start_date, {{ keys("h") }}
),

owners as (
    select week_start_date, {{ key | join(", ") }} from calls
    union
    select week_start_date, {{ key | join(", ") }} from hits
),

{{ limits_of_rows({
    "cache_hit_base_rate": "base_rate",
    "cache_hit_red_rate": "red_rate",
    "cache_drop_amber_points": "amber_points",
    "cache_drop_p": "amber_p",
    "min_cache_requests": "min_requests",
    "unpriced_warn_share": "unpriced_warn",
    "response_cache_lookup_usd": "lookup_usd",
}, "owners") }},

compared as (
    select
        r.week_start_date,
        {{ keys("r") }},
        coalesce(w.is_closed, k.now_at at time zone z.reporting_time_zone >= r.week_start_date + 7, false) as is_closed,
        coalesce(c.requests, 0) as requests,
        coalesce(c.total_tokens, 0) as total_tokens,
        coalesce(c.unpriced_requests, 0) as unpriced_requests,
        coalesce(c.unpriced_tokens, 0) as unpriced_tokens,
        coalesce(c.unpriced_tokens > c.total_tokens * l.unpriced_warn, false) as is_incomplete,
        coalesce(c.input_total_tokens, 0) as input_total_tokens,
        coalesce(c.cache_known_requests, 0) as cache_known_requests,
        coalesce(c.cache_known_input_tokens, 0) as cache_known_input_tokens,
        coalesce(c.cache_read_total_tokens, 0) as cache_read_total_tokens,
        coalesce(c.cache_hit_requests, 0) as cache_hit_requests,
        cast(cast(c.cache_read_total_tokens as double) / nullif(c.cache_known_input_tokens, 0) as decimal(18, 9)) as cache_hit_rate,
        coalesce(b.cache_known_requests, 0) as base_cache_known_requests,
        cast(cast(b.cache_read_total_tokens as double) / nullif(b.cache_known_input_tokens, 0) as decimal(18, 9)) as base_cache_hit_rate,
        j.p_value,
        j.clusters,
        coalesce(c.rated_cache_tokens, 0) as rated_cache_tokens,
        coalesce(c.cached_tokens, 0) as cached_tokens,
        c.input_cost_usd,
        case when c.cache_known_requests > 0 then c.uncached_input_cost_usd end as uncached_input_cost_usd,
        case when c.cache_known_requests > 0 then c.read_saving_usd end as read_saving_usd,
{% for class in cached_classes if class.type == "cache_write" %}
        case when c.cache_known_requests > 0 then c.{{ class.name }}_premium_usd end as {{ class.name }}_premium_usd,
{% endfor %}
        case when c.cache_known_requests > 0 then c.write_premium_usd end as write_premium_usd,
        case when c.cache_known_requests > 0 then c.readable_usd end as readable_usd,
        c.cache_storage_cost_usd,
        cast(c.gain_of_input as double) / nullif(c.input_with_gain, 0) as mean_read_gain,
        coalesce(h.response_cache_hits, 0) as response_cache_hits,
        case when h.response_cache_hits > 0 then h.response_cache_hits + coalesce(c.requests, 0) else 0 end as response_cache_lookups,
        coalesce(h.valued_response_cache_hits, 0) as valued_response_cache_hits,
        h.response_cache_saving_usd,
        l.base_rate,
        l.red_rate,
        l.amber_points,
        l.amber_p,
        l.min_requests,
        l.lookup_usd,
    from owners as r
    cross join ref_reporting as z
    cross join ledger_clock as k
    inner join limit_rows as l on r.week_start_date = l.week_start_date and r.feature = l.feature
    left join weeks as w on r.week_start_date = w.week_start_date
    left join calls as c on r.week_start_date = c.week_start_date{{ same("r", "c") }}
    left join baselines as b on r.week_start_date = b.week_start_date{{ same("r", "b") }}
    left join hits as h on r.week_start_date = h.week_start_date{{ same("r", "h") }}
    left join stat_jackknife_weekly as j
        on j.statistic = 'cache_hit_rate_change'
        and r.week_start_date = j.week_start_date{{ same("r", "j") }}
),

reasoned as (
    select
        *,
        case
            when not is_closed then 'week_not_over'
            when cache_known_requests < min_requests then 'few_requests'
            when base_cache_known_requests < min_requests then 'few_base_requests'
        end as verdict_reason,
        base_cache_hit_rate - cache_hit_rate as fall,
    from compared
),

judged as (
    select
        *,
        case
            when verdict_reason is not null then 'insufficient'
            when base_cache_hit_rate >= base_rate and cache_hit_rate < red_rate then 'red'
            when fall >= amber_points and p_value < amber_p then 'amber'
            else 'stable'
        end as verdict,
        case
            when cache_hit_rate is null or base_cache_hit_rate is null then null
            when fall <= 0 then cast(0 as decimal(38, 10))
            else cast(cast(fall as double) * cache_known_input_tokens * mean_read_gain / 1000000 as decimal(38, 10))
        end as cost_impact_usd,
        cast(read_saving_usd - write_premium_usd - coalesce(cache_storage_cost_usd, 0) as decimal(38, 15)) as net_saving_usd,
        cast(response_cache_lookups * lookup_usd as decimal(38, 10)) as response_cache_lookup_cost_usd,
    from reasoned
)

select
    week_start_date,
    feature,
    provider,
    model_canonical,
    is_closed,
    verdict,
    verdict_reason,
    concat(
        case
            when cache_known_requests = 0 then 'What the prompt cache did is not told by these calls.'
            when cached_tokens = 0 then 'Nothing was read from or written to the prompt cache.'
            when net_saving_usd is null then 'What caching saved is not known, as prices are missing.'
            when write_premium_usd > 0
                then concat(
                    'Caching ', case when net_saving_usd < 0 then 'lost $' else 'saved $' end,
                    cast(cast(abs(net_saving_usd) as decimal(38, 2)) as varchar), ' for $', cast(cast(write_premium_usd as decimal(38, 2)) as varchar),
                    ' of write premium.'
                )
            else concat('Caching saved $', cast(cast(net_saving_usd as decimal(38, 2)) as varchar), '.')
        end,
        case
            when verdict in ('red', 'amber')
                then concat(
                    ' The hit rate fell from ', cast(cast(base_cache_hit_rate * 100 as integer) as varchar), ' to ',
                    cast(cast(cache_hit_rate * 100 as integer) as varchar), ' % of the input',
                    case when cost_impact_usd is not null then concat(': $', cast(cast(cost_impact_usd as decimal(38, 2)) as varchar), ' in the week') end,
                    '.'
                )
        end
    ) as sentence,
    requests,
    total_tokens,
    unpriced_requests,
    unpriced_tokens,
    is_incomplete,
    input_total_tokens,
    cache_known_requests,
    cast(cast(cache_known_requests as double) / nullif(requests, 0) as decimal(18, 9)) as cache_known_share,
    cache_known_input_tokens,
    cache_read_total_tokens,
    cache_hit_rate,
    cache_hit_requests,
    cast(cast(cache_hit_requests as double) / nullif(cache_known_requests, 0) as decimal(18, 9)) as cache_hit_request_rate,
    base_cache_known_requests,
    base_cache_hit_rate,
    cast(-fall as decimal(18, 9)) as cache_hit_rate_delta,
    p_value,
    clusters,
    cost_impact_usd,
    input_cost_usd,
    uncached_input_cost_usd,
    rated_cache_tokens,
    cached_tokens,
    read_saving_usd,
{% for class in cached_classes if class.type == "cache_write" %}
    {{ class.name }}_premium_usd,
{% endfor %}
    write_premium_usd,
    cache_storage_cost_usd,
    net_saving_usd,
    cast(net_saving_usd as double) / nullif(cast(write_premium_usd as double), 0) as cache_roi_ratio,
    cast(write_premium_usd as double) / nullif(cast(readable_usd as double), 0) as break_even_reads,
    response_cache_hits,
    response_cache_lookups,
    cast(cast(response_cache_hits as double) / nullif(response_cache_lookups, 0) as decimal(18, 9)) as response_cache_hit_rate,
    valued_response_cache_hits,
    response_cache_saving_usd,
    response_cache_lookup_cost_usd,
    cast(response_cache_saving_usd - response_cache_lookup_cost_usd as decimal(38, 10)) as response_cache_net_usd,
from judged
