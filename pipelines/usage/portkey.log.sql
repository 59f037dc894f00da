/*
about: >-
  The units of Portkey's log, which are tokens. Whether they hold what was cached and what was thought is not said anywhere: the
  source marks its rows ambiguous.
apis: [portkey.log]
basis: disjoint
fields:
  req_units: count
  res_units: count
  total_units: count
*/
{
    'input_uncached_tokens': usage.req_units,
    'output_text_tokens': usage.res_units,
    'context_test_tokens': usage.req_units,
    'provider_total_tokens': usage.total_units,
    'is_partial': usage.req_units is null or usage.res_units is null,
}
