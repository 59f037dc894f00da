{# Columns of a header: how many calls there are, what became of them, and their tokens. #}
  requests: BIGINT; calls
  tasks: BIGINT; tasks whose first call is among them
  successes: BIGINT; of these tasks, those with the outcome success
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of these calls
  input_total_tokens: BIGINT; all input, cached included
  output_total_tokens: BIGINT; all output, reasoning included
  cache_read_total_tokens: BIGINT; input read from the prompt cache
  cache_write_total_tokens: BIGINT; input written to the prompt cache
  output_reasoning_tokens: BIGINT; reasoning output, where split
