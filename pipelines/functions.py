"""Scalar functions that SQL lacks. Each works on whole Arrow columns, never row by row."""

from __future__ import annotations

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import DOUBLE


def student_t_two_sided(t: pa.ChunkedArray, df: pa.ChunkedArray) -> pa.Array:
    """p-value of a two-sided Student t test; null where either argument is null (METHODS: shared statistics)."""
    import pyarrow.compute as pc
    from scipy import special

    known = pc.and_(pc.is_valid(t), pc.is_valid(df))
    values = special.stdtr(_numbers(df, 1.0), -abs(_numbers(t, 0.0))) * 2
    return pc.if_else(known, pa.array(values), pa.scalar(None, pa.float64()))


def student_t_quantile(p: pa.ChunkedArray, df: pa.ChunkedArray) -> pa.Array:
    """Quantile of Student's t distribution; null where either argument is null."""
    import pyarrow.compute as pc
    from scipy import special

    known = pc.and_(pc.is_valid(p), pc.is_valid(df))
    values = special.stdtrit(_numbers(df, 1.0), _numbers(p, 0.5))
    return pc.if_else(known, pa.array(values), pa.scalar(None, pa.float64()))


def _numbers(column: pa.ChunkedArray, instead: float):  # type: ignore[no-untyped-def]
    import pyarrow.compute as pc

    return pc.fill_null(column, instead).to_numpy(zero_copy_only=False)


def register_functions(con: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection."""
    for name, function in (("student_t_two_sided", student_t_two_sided), ("student_t_quantile", student_t_quantile)):
        con.create_function(
            name,
            function,
            [DOUBLE, DOUBLE],
            DOUBLE,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
