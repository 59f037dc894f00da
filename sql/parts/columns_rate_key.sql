{# Columns of a header: what of a call decides its rates, beside seller, model, day and length of context. #}
  service_tier: VARCHAR; tier as the calls state it; empty where they state none
  is_batch: BOOLEAN; true for calls of a batch
  speed: VARCHAR; speed mode as the calls state it; empty where they state none
  region: VARCHAR; region as the calls state it; empty where they state none
  region_class: VARCHAR; geography that the model name carries; empty where it carries none
  billing_account_scope: VARCHAR; billing account of the calls if an override names it, else empty
  project_scope: VARCHAR; project of the calls (their attribute project_id) if an override names it, else empty
  feature_scope: VARCHAR; feature of the calls if an override names it, else empty
  customer_scope: VARCHAR; customer of the calls if an override names it, else empty
