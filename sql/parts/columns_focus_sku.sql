{# Columns of a header of FOCUS: what was bought, and for which project. #}
  ServiceSubcategory: VARCHAR; Generative AI
  SkuId: VARCHAR; seller, model and token type; null for what is neither use nor purchase
  SkuMeter: VARCHAR; Input Tokens, Cache Read Tokens ...; null for what is neither use nor purchase
  SkuPriceDetails: VARCHAR; JSON of model, token direction, cache action, tier and context; null for what is neither use nor purchase
  SkuPriceId: VARCHAR; SkuId with tier, lifetime, modality, context and region; null for what is neither use nor purchase
  SubAccountId: VARCHAR; project or workspace; null where the bill names none, or several for charges that are alike
  SubAccountName: VARCHAR; what its owner calls it, else its id
