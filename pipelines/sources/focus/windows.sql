-- A file replaces the billing periods of the accounts that it holds.
from days_of_bill('records')
union all by name
from named_files('manifests')
