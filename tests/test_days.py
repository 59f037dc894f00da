"""Days of instants are counted in SQL: they are the calendar's own, to the microsecond, in every zone, before 1970 too."""

from __future__ import annotations

import duckdb
import pytest

from pipelines import paths
from pipelines.models import _templates

days = _templates(paths.SQL).get_template("macros/days.sql").module
# Midnights of a leap year, two changes of the clock among them, and of 1969, with what lies a microsecond and a second before them.
INSTANTS = """
    select midnight - to_microseconds(back) as instant
    from (
        select unnest(range(timestamptz '2027-12-25', timestamptz '2029-01-06', interval 1 day)) as midnight
        union all
        select unnest(range(timestamptz '1969-12-25', timestamptz '1970-01-06', interval 1 day)) as midnight
    ) as m
    cross join (select unnest([0, 1, 1000000, 7200000000]) as back) as b
"""


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


def test_a_day_is_that_of_the_calendar(con):
    query = f"select count(*), count(case when {days.utc_date('instant')} = cast(instant as date) then 1 end) from ({INSTANTS})"

    assert con.execute(query).fetchall() == [(4 * (378 + 12), 4 * (378 + 12))]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"])
def test_a_day_and_a_week_of_a_zone_are_those_of_its_calendar(con, zone):
    query = f"""
        select count(*)
        from ({INSTANTS}) cross join (select '{zone}' as reporting_time_zone) as z
        where {days.local_date("instant")} = cast(instant at time zone '{zone}' as date)
            and {days.local_week("instant")} = cast(date_trunc('week', instant at time zone '{zone}') as date)
    """

    assert con.execute(query).fetchall() == [(4 * (378 + 12),)]
