"""A table in memory: columns of numbers, and columns of texts that are kept as the number of one of few levels."""

from collections.abc import Callable

import numpy as np

from ..errors import TableError, unknown_name

MOST_COLUMNS = 100_000  # of a table: far more than a network on it could be described with


class Column:
    """One column: `numbers`, float64 with NaN for missing cells, or `codes` into `levels`, -1 for missing cells."""

    __slots__ = ("name", "numbers", "codes", "levels")

    def __init__(self, name, numbers=None, codes=None, levels=None):
        self.name, self.numbers, self.codes, self.levels = name, numbers, codes, levels

    def __len__(self):
        return len(self.codes if self.numbers is None else self.numbers)

    @property
    def missing(self):
        """Which cells have no value, (n,) of bool."""
        return self.codes < 0 if self.numbers is None else np.isnan(self.numbers)

    def texts(self):
        """(codes, levels) of the cells as texts; whole numbers are written without a point.

        >>> Column("a", np.array([2.0, np.nan, 0.5, 2.0])).texts()
        (array([ 1, -1,  0,  1]), ['0.5', '2'])
        """
        if self.numbers is None:
            return self.codes, self.levels
        values, codes = np.unique(self.numbers, return_inverse=True)  # NaN is one value, and the last
        codes = np.where(np.isnan(self.numbers), -1, codes)
        return codes, [written(value) for value in values.tolist() if value == value]

    def taken(self, rows):
        """The column of these rows alone."""
        if self.numbers is None:
            return Column(self.name, codes=self.codes[rows], levels=self.levels)
        return Column(self.name, self.numbers[rows])


def written(value):
    """A number as a person writes it.

    >>> written(3.0), written(-0.25)
    ('3', '-0.25')
    """
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


class Table:
    """Columns by name, in the order of the file.

    name: what messages call it. names: of all columns of the file, wanted or not. number: what a cell is as a number,
    NaN if missing, None if it is none. place: of a row, "line 17" or "row 16".
    """

    def __init__(self, name, columns, names, number: Callable[[str], float | None], place: Callable[[int], str]):
        self.name, self.names, self.columns = name, list(names), {column.name: column for column in columns}
        self.number, self._place = number, place

    def __len__(self):
        return len(next(iter(self.columns.values()), ()))

    def column(self, name, option) -> Column:
        """The column of that name; TableError, with the nearest one, where there is none."""
        if name not in self.columns:
            raise TableError(f"{self.name}: {option}: {unknown_name('column', name, self.columns)}")
        return self.columns[name]

    def numeric(self, name, hint="") -> Column:
        """The column as numbers; TableError with the place of the first cell that is none."""
        column = self.columns[name]
        if column.numbers is not None:
            return column
        values = [self.number(level) for level in column.levels]
        for code, value in enumerate(values):
            if value is None:
                row = int(np.argmax(column.codes == code))
                raise self.cell_error(row, name, f"expected a number, got {column.levels[code]!r:.60}{hint}")
        return Column(name, np.array([*values, np.nan], dtype=np.float64)[column.codes])

    def cell_error(self, row, name, message) -> TableError:
        """An error about the cell in a row, counted from 0."""
        return TableError(f"{self.name}, {self._place(row)}, column {name!r}: {message}")

    def taken(self, rows) -> "Table":
        """The table of these rows alone, (k,) of int."""
        columns = [column.taken(rows) for column in self.columns.values()]
        return Table(self.name, columns, self.names, self.number, lambda row: self._place(int(rows[row])))
