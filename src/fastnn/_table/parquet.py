"""Parquet files, by polars or pandas, whichever is installed; neither is needed otherwise."""

import importlib

import numpy as np

from ..errors import TableError
from .columns import Column, Table
from .dialect import MISSING, Dialect


def read_parquet(source, options, only) -> Table:
    """The table in a Parquet source; `only` are the columns that are wanted, None for all.

    Raises TableError where neither library is there, or it cannot read the file.
    """
    read = next(filter(None, map(_reader, ("polars", "pandas"))), None)
    if read is None:
        raise TableError(f"{source.name} is a Parquet file, which needs polars or pandas: pip install polars")
    with source.open() as stream:
        try:
            found = read(stream)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # each library has errors of its own kind; a panic in polars is no Exception
            raise TableError(f"{source.name} cannot be read as Parquet: {error!s:.300}") from error
    missing = MISSING.union(options.missing)
    dialect = Dialect(",", True, ".", "utf-8", tuple(found), missing)
    columns = [_column(name, values, missing) for name, values in found.items() if only is None or name in only]
    table = Table(source.name, columns, found, dialect.number, lambda row: f"row {row + 1}")
    for name, column in table.columns.items():
        if column.numbers is not None and np.isinf(column.numbers).any():
            raise table.cell_error(int(np.isinf(column.numbers).argmax()), name, "expected a number, got infinity")
    if table.columns and not len(table):
        raise TableError(f"{source.name} has no rows")
    return table


def _column(name, values, missing):
    if isinstance(values, np.ndarray):
        return Column(name, values)
    levels = {}
    texts = ("" if value is None else str(value).strip() for value in values)
    codes = [-1 if text in missing else levels.setdefault(text, len(levels)) for text in texts]
    return Column(name, codes=np.array(codes, dtype=np.int32), levels=list(levels))


def _reader(name):
    """A function of a stream by that library, which returns {name: float64 array or list}."""
    try:
        library = importlib.import_module(name)
    except ImportError:
        return None
    return {"polars": _by_polars, "pandas": _by_pandas}[name](library)


def _by_polars(polars):
    def read(stream):
        frame = polars.read_parquet(stream)
        return {
            series.name: series.cast(polars.Float64).fill_null(np.nan).to_numpy()
            if series.dtype.is_numeric()
            else [None if value is None else str(value) for value in series.to_list()]
            for series in frame
        }

    return read


def _by_pandas(pandas):
    def read(stream):
        frame = pandas.read_parquet(stream)
        found = {}
        for name in frame.columns:
            series, is_number = frame[name], pandas.api.types.is_numeric_dtype(frame[name])
            if is_number and not pandas.api.types.is_bool_dtype(series):
                found[str(name)] = series.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                cells = zip(series, series.isna(), strict=True)
                found[str(name)] = [None if gone else str(value) for value, gone in cells]
        return found

    return read
