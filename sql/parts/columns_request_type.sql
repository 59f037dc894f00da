{# Columns of a header: the request type of the calls within a feature, as type_of of macros/cells.sql says it. #}
  workflow_step: VARCHAR; workflow and step of the calls, with a slash between; '(unnamed)' where neither is known
  prompt_name: VARCHAR; name of the prompt template, '(unnamed)' where none is known
