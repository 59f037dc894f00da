/*
about: >-
  What `tokenbooks whatif SCENARIO --export` keeps, as `exports/whatif/<scenario>.parquet`: what the calls of a window cost, and what they would have
  cost otherwise. No run builds it; the answer to the same question takes the place of the one before. One row per scenario, feature and customer tier.
grain: [scenario, feature, customer_tier]
columns:
  scenario: VARCHAR; the scenario as in scenarios.csv, several joined by + in the order in which their levers were applied
  first_date: DATE; first UTC day of the window
  end_date: DATE; UTC day on which the window is over, itself left out
  feature: VARCHAR; product feature, 'unattributed' where none is known, '(all)' where the answer is not told apart by it (own GPUs, a price for use)
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known, '(all)' where the answer is not told apart by it
  requests: BIGINT; calls, failed ones included
  covered_requests: BIGINT; of these, calls that the levers could change
  changed_requests: BIGINT; of these, calls that they did change
  unpriced_requests: BIGINT; calls without a cost, which are in no sum of money
  unreplayed_requests: BIGINT; calls left at their cost, because a price is missing where they would have gone
  actual_usd: DECIMAL(38,15); what the calls cost, as ledger_costs has it; null where none has a cost
  covered_usd: DECIMAL(38,15); of this, the cost of the covered calls
  cost_low_usd: DECIMAL(38,15); what they would have cost at the cheapest setting of each assumption; null as actual_usd
  cost_mid_usd: DECIMAL(38,15); the same at the middle setting
  cost_high_usd: DECIMAL(38,15); the same at the dearest setting
  saving_low_usd: DECIMAL(38,15); actual_usd less cost_high_usd, below 0 where the scenario costs more
  saving_mid_usd: DECIMAL(38,15); actual_usd less cost_mid_usd
  saving_high_usd: DECIMAL(38,15); actual_usd less cost_low_usd
  revenue_usd: DECIMAL(38,15); what the users of the covered calls would pay at the flat base alone; null where the scenario sets no price for them
  revenue_low_usd: DECIMAL(38,15); what they would pay at the price for use where cost_low_usd is what they cost; null as revenue_usd
  revenue_mid_usd: DECIMAL(38,15); the same beside cost_mid_usd
  revenue_high_usd: DECIMAL(38,15); the same beside cost_high_usd
  feature_clusters: BIGINT; independent users of the feature in all its tiers, or what stands for users; null where not_asked
  feature_verdict: VARCHAR; ok, insufficient (too few users of the feature for an interval) or not_asked (the answer is not one of single users)
  feature_saving_low_share: DECIMAL(18,4); of the feature in all its tiers, lower end of what other users like these would have saved of their spend at the middle setting (95 %); null where not ok
  feature_saving_high_share: DECIMAL(18,4); upper end of the same
  assumed: VARCHAR; every setting that was used, as --set takes it, set apart by semicolons; three figures are the cheapest, the middle and the dearest assumption
  held: VARCHAR; what the answer holds constant, in words
  not_priced: VARCHAR; what the saving does not price, such as quality and latency, in words
checks:
  - not_null: [scenario, first_date, end_date, feature, customer_tier, assumed, held, not_priced]
  - one_of: [feature_verdict, ok, insufficient, not_asked]
  - rule: end_date > first_date
  - rule: requests >= covered_requests and covered_requests >= changed_requests and requests >= unpriced_requests
  - rule: (actual_usd is null) = (requests = unpriced_requests)
    text: a cost is unknown exactly where no call has one
  - rule: saving_low_usd = actual_usd - cost_high_usd and saving_mid_usd = actual_usd - cost_mid_usd and saving_high_usd = actual_usd - cost_low_usd
    text: what is saved and what is left to pay add up to what was paid
  - rule: covered_requests > 0 or coalesce(saving_mid_usd, 0) = 0
    text: where no call is covered, nothing is saved
  - rule: (feature_verdict <> 'ok') = (feature_saving_low_share is null)
    text: an interval stands exactly where the users suffice for one
  - rule: feature_saving_low_share <= feature_saving_high_share or feature_saving_low_share is null
notes:
  - tokenbooks.duckdb has a view of all that is kept from the next run on; the page of a week has the answers about calls up to it or to one of the three weeks before.
  - What the assumptions separate (low to high) and what chance separates (the shares of the feature) are two things; neither holds the other.
*/
select
    scenario,
    first_date,
    end_date,
    feature,
    customer_tier,
    requests,
    covered_requests,
    changed_requests,
    unpriced_requests,
    unreplayed_requests,
    actual_usd,
    covered_usd,
    cost_low_usd,
    cost_mid_usd,
    cost_high_usd,
    saving_low_usd,
    saving_mid_usd,
    saving_high_usd,
    revenue_usd,
    revenue_low_usd,
    revenue_mid_usd,
    revenue_high_usd,
    feature_clusters,
    feature_verdict,
    feature_saving_low_share,
    feature_saving_high_share,
    assumed,
    held,
    not_priced,
from whatif_answer_rows
