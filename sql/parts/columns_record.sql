{# Columns of a header: the place of a record in the landing folder. #}
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
  source_file_sha256: VARCHAR; hash of the file's bytes
  source_row: BIGINT; place of the record in its file, from 1 (the line, where the format has lines)
