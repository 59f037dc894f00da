/*
about: >-
  The books' own now: the newest instant of any record that was read. Weeks are whole and months final by it, never by a
  machine's clock. One row.
grain: [clock]
columns:
  clock: VARCHAR; always 'books'
  now_at: TIMESTAMP WITH TIME ZONE; newest instant of any record; null before the first
*/
select
    'books' as clock,
    max(last_record_at) as now_at,
from staged_files
where state = 'current'
