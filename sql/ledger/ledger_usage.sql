/*
about: >-
  What the providers say was used: the rows of the pull that counts for each window (ledger_pulls). One row per bucket and
  dimension tuple.
grain: [usage_key]
order_by: [bucket_start_at, usage_key]
partition: day
partition_column: bucket_start_at
leads: [staged_usage]
columns:
  usage_key: VARCHAR; md5 of source, account, endpoint, bucket, dimensions and duplicate ordinal
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
{% include "parts/columns_pull.sql" %}
  bucket_start_at: TIMESTAMP WITH TIME ZONE; first instant that the bucket covers, UTC
  bucket_end_at: TIMESTAMP WITH TIME ZONE; end of the bucket, exclusive
  org_id: VARCHAR; organisation at the provider
  project_id: VARCHAR; project or workspace at the provider
  project_name: VARCHAR; what its owner calls the project or workspace
  api_key_id: VARCHAR; key that the provider counted the calls under
  api_key_name: VARCHAR; what its owner calls the key
  user_id: VARCHAR; user at the provider
  principal: VARCHAR; cloud identity that called
  workload_ref: VARCHAR; agent, session, deployment, vector store or inference profile
  tags: MAP(VARCHAR, VARCHAR); labels of the row
  model_raw: VARCHAR; model, verbatim
  model_canonical: VARCHAR; model as the price book names it; null where no alias maps it
  operation: VARCHAR; completion, embedding, moderation, image, tts, stt, vector_store, code_interpreter, file_search, web_search, decision or other
  service_tier: VARCHAR; tier, as the source names it
  is_batch: BOOLEAN; true where the provider's discounted batch service did the work
  context_tier: VARCHAR; context bucket, as the source names it
  region: VARCHAR; region, as the source names it
  speed: VARCHAR; speed mode, as the source names it
  modality: VARCHAR; modality, as the source names it
  variant: VARCHAR; image size, source or search context level
  requests: BIGINT; calls in the bucket; null where unknown
{% for class in token_classes %}
  {{ class.tokens }}: BIGINT; {{ class.meaning }}
{% endfor %}
  input_total_tokens: BIGINT; all input, cached included; null where no class of it is known
  output_total_tokens: BIGINT; all output; null where no class of it is known
  quantity: DECIMAL(38,9); meter that is not tokens
  quantity_unit: VARCHAR; what is counted (1000_tokens, images, seconds ...), as the source names it
  raw: JSON; the record as received
checks:
  - not_null: [source, source_account, provider, billing_account_id, bucket_start_at, bucket_end_at, operation]
  - rule: bucket_end_at > bucket_start_at
question: How many tokens does each provider say were used, by day and model?
answer: >-
  select cast(bucket_start_at as date) as usage_date, provider, coalesce(model_canonical, model_raw) as model,
  sum(input_total_tokens) as input_tokens, sum(output_total_tokens) as output_tokens
  from ledger_usage group by usage_date, provider, model order by usage_date, input_tokens desc
*/
{% from "macros/sellers.sql" import join_named_sellers, named_sellers with context %}
{% from "macros/tokens.sql" import input_classes, output_classes, total_of with context %}
with {{ named_sellers("staged_usage", "bucket_start_at") }}

select
    u.usage_key,
    u.source,
    u.source_account,
    coalesce(n.seller_account_id, u.billing_account_id) as billing_account_id,
    u.pulled_at,
    u.endpoint,
    u.pull_grain,
    u.dims_null_means,
    u.is_final,
    coalesce(n.seller, u.provider) as provider,
    u.model_maker,
    u.host_provider,
    u.bucket_start_at,
    u.bucket_end_at,
    u.org_id,
    u.project_id,
    u.project_name,
    u.api_key_id,
    u.api_key_name,
    u.user_id,
    u.principal,
    u.workload_ref,
    u.tags,
    u.model_raw,
    m.model_canonical,
    u.operation,
    u.service_tier,
    u.is_batch,
    u.context_tier,
    u.region,
    u.speed,
    u.modality,
    u.variant,
    u.requests,
{% for class in token_classes %}
    u.{{ class.tokens }},
{% endfor %}
    {{ total_of(input_classes, "u") }} as input_total_tokens,
    {{ total_of(output_classes, "u") }} as output_total_tokens,
    u.quantity,
    u.quantity_unit,
    u.raw,
from staged_usage as u
inner join ledger_pulls as p
    on u.source = p.source
    and u.source_account = p.source_account
    and u.source_file_sha256 = p.source_file_sha256
    and u.endpoint = p.endpoint
    and u.bucket_start_at >= p.window_start_at
    and u.bucket_start_at < p.window_end_at
    and p.counts
{{ join_named_sellers("u", "bucket_start_at") }}
left join ledger_models as m
    on cast(u.bucket_start_at as date) = m.usage_date and coalesce(n.seller, u.provider) = m.provider and u.model_raw = m.model_raw
