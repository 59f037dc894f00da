-- An export replaces the billing periods of the accounts that it holds.
from days_of_bill('bill_records')
