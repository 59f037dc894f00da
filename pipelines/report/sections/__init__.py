"""The sections of a page: each asks the marts and gives what its template shows."""
