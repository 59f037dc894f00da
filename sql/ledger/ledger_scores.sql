/*
about: >-
  Outcomes and quality values of traces, calls, sessions and tasks, the newest version of each. One row per score.
grain: [score_key]
order_by: [scored_at, score_key]
partition: day
partition_column: scored_at
leads: [staged_scores]
columns:
  score_key: VARCHAR; md5 of source, account and score id
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
  target_kind: VARCHAR; trace, request, session, task or dataset_run
  target_id: VARCHAR; what was scored, as its source names it
  name: VARCHAR; name of the score
  data_type: VARCHAR; NUMERIC, BOOLEAN or CATEGORICAL
  value_num: DOUBLE; numeric value; BOOLEAN gives 1 or 0
  value_text: VARCHAR; text value; CATEGORICAL gives the label
  score_source: VARCHAR; who scored (API, EVAL, ANNOTATION ...)
  scored_at: TIMESTAMP WITH TIME ZONE; when it was scored, the latest wins
  quantity: DECIMAL(38,9); business units of the outcome
  quantity_unit: VARCHAR; name of the business unit
checks:
  - one_of: [target_kind, trace, request, session, task, dataset_run]
question: Which scores are there, and how many calls, traces and sessions have one?
answer: >-
  select name, data_type, target_kind, count(*) as scores, avg(value_num) as mean_value
  from ledger_scores group by name, data_type, target_kind order by scores desc
*/
select
    s.score_key,
    s.source,
    s.source_account,
    s.target_kind,
    s.target_id,
    s.name,
    s.data_type,
    s.value_num,
    s.value_text,
    s.score_source,
    s.scored_at,
    s.quantity,
    s.quantity_unit,
from staged_scores as s
anti join ledger_superseded_scores as d
    on s.source_file_sha256 = d.source_file_sha256
    and s.source_row = d.source_row
    and s.source_account = d.source_account
    and s.source = d.source
