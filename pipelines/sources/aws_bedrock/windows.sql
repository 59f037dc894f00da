-- A report replaces the billing periods of the payer accounts that it holds.
from days_of_bill('bill_records')
union all by name
from named_files('manifests')
