-- From the first to the last day of use of each invoice month in the file.
from days_of_bill('bill_records')
