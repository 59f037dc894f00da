/*
about: >-
  The invoice of each provider, account, billing month and currency: the sum of its lines, rounded once, half away from zero, to
  the minor unit, and in USD. An account with calls and no bill has no row.
grain: [month_start_date, provider, billing_account_id, billing_currency]
partition: month
partition_column: month_start_date
reads_around: 1 day
leads: [ledger_bill_days]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  billing_currency: VARCHAR; ISO 4217, upper case
  bill_lines: BIGINT; lines, period charges included
  billed_amount: DECIMAL(38,10); sum of the lines in the billing currency
  invoiced_cost_billing_currency: DECIMAL(38,2); the invoice in the billing currency
  billed_usd: DECIMAL(38,10); sum of the lines in USD; null where a rate is missing
  invoiced_cost_usd: DECIMAL(38,2); the invoice in USD; null where a rate is missing
  bill_snapshot_id: VARCHAR; hash of the lines and amounts of the bill: another one when a line changes
  state: VARCHAR; final once all of the bill was pulled and the books' now is past the last line's end and the restatement lag, else provisional
  covered_to_date: DATE; last day that the pulls of the bill cover without a gap; null where they do not say what they cover
  missing_pull: VARCHAR; the file, the last day covered and what to pull where the bill was not pulled as a whole; null where it was
checks:
  - one_of: [state, provisional, final]
  - rule: state = 'provisional' or missing_pull is null
    text: a bill is final only when all of it was pulled
question: What is each invoice, to the cent?
answer: >-
  select month_start_date, provider, billing_account_id, billing_currency, invoiced_cost_billing_currency, invoiced_cost_usd, state, missing_pull
  from ledger_invoices order by all
notes:
  - Days before the first one that was pulled in a month are no gap, unless the last day of the month before was pulled.
  - A pull that does not say what it covers (FOCUS, exports of the clouds) is whole when it was made after its billing period and the restatement lag
    and all files are there that the newest manifest of its report names.
*/
with summed as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        count(distinct cost_key) as bill_lines,
        cast(sum(billed_amount) as decimal(38, 10)) as billed_amount,
        case when count(*) = count(billed_usd) then cast(sum(billed_usd) as decimal(38, 10)) end as billed_usd,
        max(charge_end_date) as last_end_date,
        substr(sha256(string_agg(concat_ws(' ', cost_key, cast(usage_date as varchar), cast(billed_amount as varchar)), ',' order by cost_key, usage_date)), 1, 12)
            as bill_snapshot_id,
    from ledger_bill_days
    group by month_start_date, provider, billing_account_id, billing_currency
),

-- The reports of the source that is the bill, and when a pull of each can have had all of the month.
{% set report = ["month_start_date", "provider", "billing_account_id", "source", "source_account", "endpoint"] %}
reports as (
    select
        {{ report | join(", ") }},
        cast(month_start_date + interval 1 month as date) as month_end_date,
        greatest(cast(month_start_date + interval 1 month as date), coalesce(max(cast(billing_period_end_at as date)), month_start_date)) as period_end_date,
    from ledger_bills
    where is_the_bill
    group by {{ report | join(", ") }}
),

-- A day was pulled when it was over.
pulled_days as (
    select
        r.*,
        p.source_file,
        p.pulled_at,
        p.is_stated,
        p.next_page,
        cast(p.window_start_at as date) as covered_date,
        coalesce(not p.is_stated, true) or p.pulled_at >= p.window_end_at as is_whole,
    from reports as r
    inner join ledger_pulls as p
        on r.source = p.source
        and r.source_account = p.source_account
        and r.endpoint = p.endpoint
        and cast(p.window_start_at as date) >= r.month_start_date - 1
        and cast(p.window_start_at as date) <= r.month_end_date
    where p.counts
),

spans as (
    select
        {{ report | join(", ") }},
        month_end_date,
        period_end_date,
        max(case when is_stated then 1 else 0 end) = 1 as is_stated,
        case
            when min(covered_date) < month_start_date then month_start_date
            else min(covered_date)
        end as first_date,
        max(pulled_at) as newest_at,
        max_by(source_file, concat_ws(' ', cast(pulled_at as varchar), source_file)) as newest_file,
    from pulled_days
    group by {{ report | join(", ") }}, month_end_date, period_end_date
),

-- A last page that says that more follows, unless another pull goes on there.
{% set same_report %}
{% for name in report %}
        {{ "and " if not loop.first }}a.{{ name }} = b.{{ name }}
{% endfor %}
{%- endset %}
open_pages as (
    select a.*
    from pulled_days as a
    left join pulled_days as b
        on {{ same_report }}
        and b.source_file <> a.source_file
        and b.pulled_at >= a.pulled_at
        and (b.covered_date = a.covered_date or b.covered_date = a.covered_date + 1)
    where a.next_page is not null and a.covered_date >= a.month_start_date and a.covered_date < a.month_end_date and b.source_file is null
),

missing_days as (
    select a.*
    from (
        select *, cast(unnest(generate_series(first_date, month_end_date - 1, interval 1 day)) as date) as missing_date
        from spans
        where is_stated
    ) as a
    left join pulled_days as b
        on {{ same_report }}
        and b.covered_date = a.missing_date
        and b.is_whole
    where b.source_file is null
),

gaps as (
    select {{ report | join(", ") }}, month_end_date, first_date, newest_file, min(missing_date) as missing_date
    from missing_days
    group by {{ report | join(", ") }}, month_end_date, first_date, newest_file
),

-- Where it goes on behind the first gap, and the file before it.
met_gaps as (
    select
        {% for name in report %}a.{{ name }}, {% endfor %}a.missing_date, a.month_end_date,
        coalesce(
            max_by(
                case when b.covered_date < a.missing_date then b.source_file end,
                case when b.covered_date < a.missing_date then concat_ws(' ', cast(b.covered_date as varchar), cast(b.pulled_at as varchar), b.source_file) end
            ),
            min(a.newest_file)
        ) as source_file,
        min(case when b.covered_date > a.missing_date and b.is_whole then b.covered_date end) as next_date,
    from gaps as a
    inner join pulled_days as b
        on {{ same_report }}
    group by {% for name in report %}a.{{ name }}, {% endfor %}a.missing_date, a.month_end_date
),

-- What the newest manifest of each report names, with the files of it that have a line.
met_files as (
    select n.*, p.source_file
    from ledger_manifest_files as n
    left join (select distinct source, source_account, source_file from ledger_pulls where not starts_with(endpoint, 'manifest/')) as p
        on n.source = p.source and n.source_account = p.source_account and regexp_matches(p.source_file, n.file_pattern)
),

missing_files as (
    select source, source_account, manifest_file, endpoint, month_start_date, min(file_key) as file_key, count(*) as files
    from ledger_manifest_files
    where not is_there
    group by source, source_account, manifest_file, endpoint, month_start_date
),

-- The bills that have lines of the other files of such a manifest.
short_bills as (
    select distinct p.month_start_date, p.provider, p.billing_account_id, m.manifest_file, m.file_key, m.files
    from missing_files as m
    inner join met_files as f
        on m.source = f.source and m.source_account = f.source_account and m.endpoint = f.endpoint and m.month_start_date = f.month_start_date
    inner join pulled_days as p
        on f.source = p.source and f.source_account = p.source_account and f.source_file = p.source_file and f.month_start_date = p.month_start_date
),

faults as (
    select
        month_start_date, provider, billing_account_id, cast(null as date) as covered_to_date, 0 as place,
        manifest_file || ' names ' || file_key || case when files > 1 then ' and ' || cast(files - 1 as varchar) || ' more' else '' end
            || ', which is not there or could not be read: copy it' as missing_pull,
    from short_bills
    union all
    select
        month_start_date, provider, billing_account_id, covered_date as covered_to_date, 1 as place,
        source_file || ' covers days to ' || cast(covered_date as varchar) || ' and says that more follows: pull '
            || case when next_page = '' then 'the next page' else 'page=' || next_page end || ' of the same query' as missing_pull,
    from open_pages
    union all
    select
        month_start_date, provider, billing_account_id, missing_date - 1 as covered_to_date, 2 as place,
        source_file || ' covers days to ' || cast(missing_date - 1 as varchar)
            || case
                when next_date >= month_end_date or next_date is null then ': pull from ' || cast(missing_date as varchar) || ' on'
                else ', the next pull from ' || cast(next_date as varchar) || ' on: pull from ' || cast(missing_date as varchar) || ' to '
                    || cast(next_date - 1 as varchar)
            end as missing_pull,
    from met_gaps
    union all
    select
        s.month_start_date, s.provider, s.billing_account_id, cast(null as date) as covered_to_date, 3 as place,
        s.newest_file || ' was pulled on ' || cast(cast(s.newest_at as date) as varchar) || ', and what it bills can change until '
            || cast(s.period_end_date + cast(coalesce(l.threshold_number, 0) as integer) as varchar) || ': pull it again from then on' as missing_pull,
    from spans as s
    left join ref_limits as l
        on l.limit_name = 'restatement_lag_days'
        and l.scope_kind = ''
        and s.period_end_date >= l.valid_from_date
        and s.period_end_date < l.valid_to_date
    where not s.is_stated and cast(s.newest_at as date) < s.period_end_date + cast(coalesce(l.threshold_number, 0) as integer)
),

lacking as (
    select month_start_date, provider, billing_account_id, covered_to_date, missing_pull,
    from faults
    qualify row_number() over (partition by month_start_date, provider, billing_account_id order by place, covered_to_date, missing_pull) = 1
),

whole as (
    select month_start_date, provider, billing_account_id, max(month_end_date) - 1 as covered_to_date
    from spans
    where is_stated
    group by month_start_date, provider, billing_account_id
)

select
    s.month_start_date,
    s.provider,
    s.billing_account_id,
    s.billing_currency,
    s.bill_lines,
    s.billed_amount,
    cast(round(s.billed_amount, 2) as decimal(38, 2)) as invoiced_cost_billing_currency,
    s.billed_usd,
    cast(round(s.billed_usd, 2) as decimal(38, 2)) as invoiced_cost_usd,
    s.bill_snapshot_id,
    case
        when m.missing_pull is null and s.last_end_date + cast(coalesce(l.threshold_number, 0) as integer) <= cast(c.now_at as date) then 'final'
        else 'provisional'
    end as state,
    case when m.missing_pull is null then w.covered_to_date else m.covered_to_date end as covered_to_date,
    m.missing_pull,
from summed as s
cross join ledger_clock as c
left join lacking as m
    on s.month_start_date = m.month_start_date and s.provider = m.provider and s.billing_account_id = m.billing_account_id
left join whole as w
    on s.month_start_date = w.month_start_date and s.provider = w.provider and s.billing_account_id = w.billing_account_id
left join ref_limits as l
    on l.limit_name = 'restatement_lag_days'
    and l.scope_kind = ''
    and s.last_end_date >= l.valid_from_date
    and s.last_end_date < l.valid_to_date
