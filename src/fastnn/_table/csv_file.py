"""Text files read into columns.

A column is taken for numbers until a cell is none. Its cells before that one are then read a second time as texts, so
that a table of numbers never costs the memory of its texts, and "007" stays what it is in a column that has "A1" too.
Where all columns are numbers NumPy's own reader takes a third of the time of Python's csv and float; it goes
first.
"""

import io
import warnings
from collections import defaultdict
from itertools import count, islice

import numpy as np

from ..errors import TableError
from .columns import Column, Table
from .dialect import guess
from .parquet import read_parquet
from .source import Source

_BLOCK = 1000  # records at a time: few enough to stay in cache between csv, transposing and float


def read_table(path, options, *, texts=(), only=None) -> Table:
    """The table in a file: CSV in any dialect, gzip or not, or Parquet.

    path: of the file; "-" is standard input. texts: columns to be kept as they are written; others that are numbers
    become numbers. only: the columns that are wanted, None for all. Names that are not in the file do not matter here.

    Raises TableError where the file is no table, OSError where it cannot be read.
    """
    source = Source(path)
    if source.is_parquet:
        return read_parquet(source, options, only)
    return _File(source, guess(source, options, only or ())).table(frozenset(texts), only)


class _File:
    """A text file whose dialect is known."""

    def __init__(self, source, dialect):
        self.source, self.dialect = source, dialect

    def table(self, texts, only):
        dialect = self.dialect
        wanted = [name for name in dialect.names if only is None or name in only]
        with self.source.errors():
            columns = None if texts.intersection(wanted) else self._all_numbers(wanted)
            if columns is None:
                columns = self._columns(wanted, texts)
        table = Table(self.source.name, columns, dialect.names, dialect.number, self.place)
        if wanted and not len(table):
            raise TableError(f"{self.source.name} has a header and no rows")
        return table

    def place(self, row):
        """The line at which a record begins, found by reading up to it."""
        with self.source.open() as stream:
            reader = self.dialect.rows(stream)
            left, begin = row + int(self.dialect.header), 0
            for record in reader:
                if record and not left:
                    return f"line {begin + 1}"
                left -= bool(record)
                begin = reader.line_num
        return f"row {row + 1}"  # of a file that has become shorter meanwhile

    @staticmethod
    def _records(reader):
        return filter(None, reader)  # csv gives an empty line as an empty list

    def _all_numbers(self, wanted):
        """The columns by NumPy's reader, which takes numbers alone; None where it finds something else."""
        dialect = self.dialect
        if dialect.decimal != "." or len(dialect.names) < 2:  # in one column NumPy would pass over empty cells
            return None
        with self.source.open() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about no rows, which is said elsewhere
            lines = io.TextIOWrapper(stream, encoding=dialect.encoding)
            if dialect.header:
                next(line for line in lines if line != "\n")
            try:
                matrix = np.loadtxt(lines, delimiter=dialect.delimiter, comments=None, ndmin=2)
            except ValueError:
                return None
        if matrix.shape[1] != len(dialect.names) or not len(matrix) or np.isinf(matrix).any():
            return None
        return [Column(name, matrix[:, place].copy()) for name, place in zip(wanted, self._places(wanted), strict=True)]

    def _places(self, wanted):
        places = {name: place for place, name in enumerate(self.dialect.names)}
        return [places[name] for name in wanted]

    def _columns(self, wanted, texts):
        """The columns by Python's csv; those that turned out to be texts are read a second time."""
        builders = [_Builder(name, name in texts, self.dialect) for name in wanted]
        self._feed(builders)
        late = {builder.name for builder in builders if builder.is_late}
        if late:
            again = [_Builder(builder.name, True, self.dialect) for builder in builders if builder.is_late]
            self._feed(again)
            fresh = {builder.name: builder for builder in again}
            builders = [fresh.get(builder.name, builder) for builder in builders]
        return [builder.column() for builder in builders]

    def _feed(self, builders):
        """Every block of records, column by column, to the builders."""
        places = self._places(builder.name for builder in builders)
        with self.source.open() as stream:
            records = self._records(self.dialect.rows(stream))
            if self.dialect.header:
                next(records)
            begin = 0
            while block := list(islice(records, _BLOCK)):
                self._check_widths(block, begin)
                cells = list(zip(*block, strict=True))
                for builder, place in zip(builders, places, strict=True):
                    builder.add(cells[place])
                begin += len(block)

    def _check_widths(self, block, begin):
        widths = list(map(len, block))
        expected = len(self.dialect.names)
        if widths.count(expected) != len(widths):
            row = next(i for i, width in enumerate(widths) if width != expected)
            first = "the header" if self.dialect.header else "the first line"
            raise TableError(
                f"{self.source.name}, {self.place(begin + row)}: expected {expected} cells as in {first}, "
                f"got {widths[row]}"
            )


class _Builder:
    """One column in the making. is_late: it became text after blocks of numbers, whose texts are gone."""

    def __init__(self, name, is_text, dialect):
        self.name, self.is_text, self.is_late, self._dialect = name, is_text, False, dialect
        self._blocks = []
        self._index = defaultdict(count().__next__)  # a level's number is the order in which it came

    def add(self, cells):
        if self.is_late:
            return
        if not self.is_text:
            numbers = self._dialect.numbers(cells)
            if numbers is not None:
                self._blocks.append(numbers)
                return
            self.is_text, self.is_late = True, bool(self._blocks)
        if not self.is_late:
            self._blocks.append(np.fromiter(map(self._index.__getitem__, cells), np.int32, len(cells)))

    def column(self):
        if not self.is_text:
            return Column(self.name, np.concatenate([np.empty(0), *self._blocks]))
        codes = np.concatenate([np.empty(0, dtype=np.int32), *self._blocks])
        # Spellings that differ by blanks around them are one level, and those that mean a missing value are none.
        levels, numbers = {}, []
        for cell in self._index:
            text = cell.strip()
            numbers.append(-1 if text in self._dialect.missing else levels.setdefault(text, len(levels)))
        return Column(self.name, codes=np.array(numbers, dtype=np.int32)[codes], levels=list(levels))
