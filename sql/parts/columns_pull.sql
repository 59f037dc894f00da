{# Columns of a header: the pull that a row of a provider comes from, and whose it is. #}
  billing_account_id: VARCHAR; account that is billed
  pulled_at: TIMESTAMP WITH TIME ZONE; when the file was pulled from the provider
  endpoint: VARCHAR; which report of the source the row comes from
  pull_grain: VARCHAR[]; dimensions that the pull was grouped by; null where it shows none
  dims_null_means: VARCHAR; not_grouped or default: what a null dimension means in this pull
  is_final: BOOLEAN; true where the source says the figure is final; null where it never says
  provider: VARCHAR; the seller
  model_maker: VARCHAR; who made the model, where that is not the seller
  host_provider: VARCHAR; upstream behind a router
