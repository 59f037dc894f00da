{# Columns of a header: a month and the rows that count tokens alike. #}
  month_start_date: DATE; first day of the month of the calls, UTC
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
  usage_group: VARCHAR; rows that count alike (model and SDK, or scope and version), as their source names them
  provider: VARCHAR; the seller
