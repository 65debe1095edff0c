"""How a text file writes a table: its delimiter, its header, its decimal sign, what stands for a missing value.

All of it is guessed from the first lines, 64 KB at least; whatever the caller says goes before the guess.
"""

import codecs
import csv
import io
import math
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ..errors import TableError
from .columns import MOST_COLUMNS

# The more telling first: a comma may be a decimal sign in a file of semicolons, and stands in texts.
DELIMITERS = ("\t", ";", "|", ",")
# Cells that are no value in R, pandas, Excel and SQL. "None" is not one: too often it is an answer.
MISSING = frozenset({"", "NA", "N/A", "n/a", "na", "<NA>", "#N/A", "NaN", "nan", "NULL", "null"})
_SAMPLE, _LONGEST_SAMPLE = 1 << 16, 1 << 22  # the longest holds the names of MOST_COLUMNS
_DECIMAL_COMMA = {ord(","): ".", ord("."): "x"}  # a point is no decimal sign where the comma is one
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig"))


@dataclass(frozen=True)
class Options:
    """What the caller knows of a file; None is guessed. `missing` are further cells that are no value."""

    delimiter: str | None = None
    header: bool | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """How a file is written; `names` are those of its columns, "1", "2", ... where it has no header."""

    delimiter: str
    header: bool
    decimal: str
    encoding: str
    names: tuple[str, ...]
    missing: frozenset[str] = field(default=MISSING)

    def rows(self, stream):
        """The records of a binary stream as csv.reader gives them, with the header."""
        text = io.TextIOWrapper(stream, encoding=self.encoding, newline="")
        return csv.reader(text, delimiter=self.delimiter, skipinitialspace=True)

    def number(self, cell):
        """The number in a cell; NaN where a value is missing, None where it is no finite number."""
        cell = cell.strip()
        if cell in self.missing:
            return math.nan
        try:
            value = float(cell.translate(_DECIMAL_COMMA) if self.decimal == "," else cell)
        except ValueError:
            return None
        return None if math.isinf(value) or "_" in cell else value

    def numbers(self, cells):
        """All cells as float64, NaN for missing ones; None where one of them is no number."""
        try:
            if self.decimal == ",":
                values = [float(cell.translate(_DECIMAL_COMMA)) for cell in cells]
            else:
                values = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            values = [self.number(cell) for cell in cells]
            return None if None in values else np.array(values, dtype=np.float64)
        values = np.asarray(values)
        # float() reads 1_000 and infinity as numbers; nobody's table means them so.
        return None if np.isinf(values).any() or "_" in "".join(cells) else values


def guess(source, options, known=()) -> Dialect:
    """The dialect of a source; a first line that has a name out of `known` is a header.

    Raises TableError where it holds no table, or a header that names no columns or one twice.
    """
    with source.errors(), source.open() as stream:
        head, is_whole = _first_lines(stream)
        encoding = options.encoding or next(name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark))
        text = _decoded(head, encoding)
        if "\0" in text:
            raise TableError(f"{source.name} is not a text file")
        marks = [options.delimiter] if options.delimiter else DELIMITERS
        rows = {mark: _sample_rows(text, mark, is_whole) for mark in marks}
    delimiter = max(rows, key=lambda mark: _regularity(rows[mark]))
    rows = rows[delimiter]
    if not rows:
        fault = "has a cell without end; is a quote not closed?" if text.strip() else "is empty"
        raise TableError(f"{source.name} {fault}")
    if len(rows[0]) > MOST_COLUMNS:
        message = f"{len(rows[0]):,} columns by the delimiter {delimiter!r}, more than {MOST_COLUMNS:,}"
        raise TableError(f"{source.name} has {message}; is it another, or are its lines not ended?")
    missing = MISSING.union(options.missing)
    decimal = options.decimal or _decimal(rows, delimiter)
    dialect = Dialect(delimiter, False, decimal, encoding, (), missing)
    header = options.header
    if header is None:
        first = [cell.strip() for cell in rows[0]]
        filled = (cell for cell in first if cell not in missing)
        # Names such as "2" are those of columns without a header, and cells of numbers may well be equal to them.
        telling = set(known).difference(map(str, range(len(known) + len(first) + 1)))
        header = not telling.isdisjoint(first) or all(dialect.number(cell) is None for cell in filled)
    names = _names(rows[0], source) if header else tuple(str(i + 1) for i in range(len(rows[0])))
    return Dialect(delimiter, header, decimal, encoding, names, missing)


def _first_lines(stream):
    """The first bytes, with a few lines in them however long those are, and whether they are the whole file."""
    blocks, ends, size = [], 0, 0
    while block := stream.read(_SAMPLE):
        blocks.append(block)
        ends += block.count(b"\n") + block.count(b"\r")
        size += len(block)
        if ends >= 6 or size >= _LONGEST_SAMPLE:
            return b"".join(blocks), not stream.read(1)
    return b"".join(blocks), True


def _decoded(head, encoding):
    # The sample may end amid a character, which an incremental decoder holds back.
    return io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), False).decode(head)


def _sample_rows(text, delimiter, is_whole):
    """The records of a sample; without the last one, which may be cut, where the sample is not the whole file."""
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True) if row
        ]
    except csv.Error:
        return []
    return rows if is_whole or len(rows) == 1 else rows[:-1]


def _regularity(rows):
    """The share of records that have the most frequent number of cells, 0 where that is one cell."""
    if not rows:
        return 0.0
    width, count = Counter(map(len, rows)).most_common(1)[0]
    return count / len(rows) if width > 1 else 0.0


def _decimal(rows, delimiter):
    """The decimal sign: a comma where cells are numbers with one, and none is with a point."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = any(re.fullmatch(r"[+-]?\d*,\d+", cell) for cell in cells)
    points = any(re.fullmatch(r"[+-]?\d*\.\d+", cell) for cell in cells)
    return "," if commas and not points else "."


def _names(row, source):
    names = tuple(cell.strip() or f"column {i + 1}" for i, cell in enumerate(row))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(f"{source.name}: the header has {twice[0]!r} twice; say --no-header if it is none")
    return names
