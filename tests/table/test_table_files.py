"""Text files of every dialect become the table that they mean, and a mistake is answered with its place."""

import gzip
import io
import os
import sys
import time
from threading import Thread
from unittest import mock

import numpy as np
import pytest

from fastnn._table.csv_file import read_table
from fastnn._table.dialect import MISSING, Options
from fastnn.errors import TableError


@pytest.fixture
def read(tmp_path):
    """A function that reads a table from text or bytes, with Options by name."""

    def reader(content, *, texts=(), only=None, name="data.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(str(path), Options(**options), texts=texts, only=only)

    return reader


def cells(column):
    """Numbers, or texts with None for missing ones."""
    if column.numbers is not None:
        return [None if value != value else value for value in column.numbers.tolist()]
    return [None if code < 0 else column.levels[code] for code in column.codes.tolist()]


def content(table):
    return {name: cells(column) for name, column in table.columns.items()}


EXPECTED = {"a": [1.0, -2.5], "b": ["x", "y z"]}


@pytest.mark.parametrize("text, options", [
    ("a,b\n1,x\n-2.5,y z\n", {}),
    ("a;b\n1;x\n-2.5;y z\n", {}),
    ("a\tb\n1\tx\n-2.5\ty z", {}),
    ("a|b\n1|x\n-2.5|y z\n", {}),
    ("a:b\n1:x\n-2.5:y z\n", {"delimiter": ":"}),
    ("a,b\r\n1,x\r\n-2.5,y z\r\n", {}),
    ("a,b\r1,x\r-2.5,y z\r", {}),
    ("\n\na,b\n\n1,x\n\n\n-2.5,y z\n\n", {}),
    ('"a", "b"\n "1" , x\n-2.5, "y z"\n', {}),
    ("a;b\n1;x\n-2,5;y z\n", {}),
    ("a;b\n1;x\n-2,5;y z\n", {"decimal": ",", "delimiter": ";"}),
    (" a , b \n1 ,x \n -2.5,  y z\n", {}),
])  # fmt: skip
def test_dialects(read, text, options):
    assert content(read(text, **options)) == EXPECTED


@pytest.mark.parametrize("encode", [
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.encode("utf-16"),
    lambda text: gzip.compress(text.encode()),
    lambda text: gzip.compress(b"\xef\xbb\xbf" + text.encode()),
], ids=["byte order mark", "utf-16", "gzip", "gzip with mark"])  # fmt: skip
def test_encodings(read, encode):
    assert content(read(encode("größe,b\n1,x\n-2.5,ñ\n"))) == {"größe": [1.0, -2.5], "b": ["x", "ñ"]}
    assert content(read(encode("1,2\n3,4\n"))) == {"1": [1.0, 3.0], "2": [2.0, 4.0]}


def test_latin_1_is_asked_for(read):
    data = "a,b\n1,grün\n2,ß\n".encode("latin-1")
    with pytest.raises(TableError, match=r"data.csv: byte 0xfc is not utf-8: say --encoding"):
        read(data)
    assert content(read(data, encoding="latin-1"))["b"] == ["grün", "ß"]


def test_quoted_cells(read):
    text = 'a,b\n"1","say ""hi"", twice"\n2,"two\nlines"\n'
    assert content(read(text)) == {"a": [1.0, 2.0], "b": ['say "hi", twice', "two\nlines"]}


@pytest.mark.parametrize("text, header, names", [
    ("a,b\n1,2\n", None, ["a", "b"]),
    ("1,2\n3,4\n", None, ["1", "2"]),
    ("x,2\ny,4\n", None, ["1", "2"]),
    ("x,y\nz,w\n", None, ["x", "y"]),
    ("x,y\nz,w\n", False, ["1", "2"]),
    ("2019,2020\n3,4\n", True, ["2019", "2020"]),
    (",b\n0,2\n", None, ["column 1", "b"]),
    ("NA,b\n0,2\n", None, ["NA", "b"]),
])  # fmt: skip
def test_headers(read, text, header, names):
    table = read(text, header=header)
    assert table.names == names
    assert len(table) == (1 if names[0] not in ("1",) else 2)


@pytest.mark.parametrize("text", ["\n2019,2020\n3,4\n", "\r\n\r\n2019,2020\r\n\r\n3,4\r\n"])
def test_a_header_of_numbers_behind_empty_lines(read, text):
    assert content(read(text, header=True)) == {"2019": [3.0], "2020": [4.0]}


@pytest.mark.parametrize("encoding, words", [
    ("utf-16", "data.csv cannot be decoded: UTF-16 stream does not start with BOM; say another --encoding"),
    ("undefined", "data.csv cannot be decoded: undefined encoding; say another --encoding"),
    ("ascii", "data.csv: byte 0xc3 is not ascii: say --encoding"),
])  # fmt: skip
def test_another_encoding_than_the_files(read, encoding, words):
    with pytest.raises(TableError) as caught:
        read("größe,b\n1,x\n", encoding=encoding)
    assert words in str(caught.value)


def test_lines_longer_than_a_sample(read):
    names = [f"{i} {'x' * 100}" for i in range(2000)]
    table = read(";".join(names) + "\n" + ";".join(map(str, range(2000))) + "\n")
    assert table.names == names and [column.numbers[0] for column in table.columns.values()] == list(range(2000))


def test_wide_tables_take_no_longer_for_each_column():
    """Names are found by a table of places: 40,000 columns took 10 s where each was looked for in all names."""
    source = io.BytesIO(b",".join(b"%d" % i for i in range(40_000)) + b"\n" + b"x," * 39_999 + b"7\n")
    begin = time.process_time()
    with mock.patch.object(sys, "stdin", source):
        table = read_table("-", Options(header=True))
    assert time.process_time() - begin < 3.0
    assert table.columns["39998"].levels == ["x"] and table.columns["39999"].numbers.tolist() == [7.0]


@pytest.mark.parametrize("size", [200_000, 5_000_000])
def test_too_many_columns(read, size):
    """The error comes at once, also where the line is longer than any sample."""
    begin = time.process_time()
    with pytest.raises(TableError, match=r"data.csv has [\d,]+ columns by the delimiter ',', more than 100,000; is it"):
        read("1," * size)
    assert time.process_time() - begin < 3.0


def test_known_columns_make_a_header_of_numbers(read):
    assert read("2019,2020\n3,4\n", only={"2019"}).names == ["2019", "2020"]
    assert read("3,1\n2,4\n", only={"1", "2", "3"}).names == ["1", "2"]  # of a model of a table without a header


@pytest.mark.parametrize("cell", sorted(MISSING))
def test_missing_cells(read, cell):
    table = read(f"a,b\n1,x\n{cell},{cell}\n3,y\n")
    assert content(table) == {"a": [1.0, None, 3.0], "b": ["x", None, "y"]}


def test_further_missing_cells(read):
    text = "a,b\n1,x\n?,none\n3,?\n"
    assert content(read(text, missing=("?", "none"))) == {"a": [1.0, None, 3.0], "b": ["x", None, None]}
    assert content(read(text))["a"] == ["1", "?", "3"]


@pytest.mark.parametrize("cell", ["1_000", "inf", "-Infinity", "1e999", "12x", "1.2.3", "0x10", "--1"])
def test_what_is_no_number(read, cell):
    """Alone in a file of numbers, and in one with texts, which is read another way."""
    for text in (f"a,b\n1,2\n{cell},3\n", f"a,b\n1,x\n{cell},y\n"):
        assert cells(read(text).columns["a"]) == ["1", cell]
        with pytest.raises(TableError, match=rf"data.csv, line 3, column 'a': expected a number, got '{cell}'"):
            read(text).numeric("a")


def test_points_are_no_decimal_sign_beside_commas(read):
    assert content(read("a;b\n1,5;x\n1.234;y\n", decimal=","))["a"] == ["1,5", "1.234"]


@pytest.mark.parametrize("rows", [1, 999, 1000, 1001, 2500])
def test_a_column_that_becomes_text_late_is_text_from_its_beginning(read, rows):
    text = "code,n\n" + "".join(f"{i:04},{i}\n" for i in range(rows)) + "A1,7\n"
    table = read(text)
    assert content(table) == {"code": [*(f"{i:04}" for i in range(rows)), "A1"], "n": [*range(rows), 7]}


def test_columns_that_are_asked_for_as_texts_keep_their_spelling(read):
    assert content(read("a,b\n007,1\n7.0,2\n", texts={"a", "other"})) == {"a": ["007", "7.0"], "b": [1.0, 2.0]}


def test_only_what_is_wanted(read):
    table = read("a,b,c\n1,x,2\n", only={"c", "a", "other"})
    assert content(table) == {"a": [1.0], "c": [2.0]} and table.names == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(3))
def test_both_readers_agree_to_the_bit(read, seed):
    """NumPy's reader, which takes tables of numbers, and Python's csv, which a single text calls for."""
    values = np.random.default_rng(seed).normal(size=(1500, 3)) * 10.0 ** np.arange(-300, 300, 200)
    lines = [",".join(map(repr, row)) for row in values.tolist()]
    plain = read("a,b,c\n" + "\n".join(lines))
    mixed = read("a,b,c,d\n" + "\n".join(line + ",x" for line in lines))
    for i, name in enumerate("abc"):
        assert (plain.columns[name].numbers == values[:, i]).all()
        assert (mixed.columns[name].numbers == values[:, i]).all()


@pytest.mark.parametrize("data, words", [
    (b"", "data.csv is empty"),
    (b"\n\n", "data.csv is empty"),
    (b"a,b\n", "data.csv has a header and no rows"),
    (b"a,b\n1,2\n3\n", "data.csv, line 3: expected 2 cells as in the header, got 1"),
    (b"a,b\n1,2\n\n\n3,4,5\n", "data.csv, line 5: expected 2 cells as in the header, got 3"),
    (b'a,b\n1,"x\ny"\n3\n', "data.csv, line 4: expected 2 cells as in the header, got 1"),
    (b"1,2\n3,4,5\n", "data.csv, line 2: expected 2 cells as in the first line, got 3"),
    (b"a,b,a\n1,2,3\n", "the header has 'a' twice"),
    (b"a,b\n\x00\x01,2\n", "data.csv is not a text file"),
    (gzip.compress(b"a,b\n" + bytes(range(48, 58)) * 99)[:30], "its gzip data is damaged or cut short"),
    (b"a,b\n1,2\n" + b'3,"' + b"x" * 140_000, "data.csv has a cell without end; is a quote not closed?"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_is_no_table(read, data, words):
    with pytest.raises(TableError) as caught:
        read(data)
    assert words in str(caught.value)


def test_damage_far_inside_is_found_as_well(read):
    rows = "".join(f"{i},{i}\n" for i in range(20_000))
    with pytest.raises(TableError, match=r"line 20002: expected 2 cells as in the header, got 1"):
        read("a,b\n" + rows + "7\n")
    packed = gzip.compress(("a,b\n" + rows).encode())
    with pytest.raises(TableError, match="gzip data is damaged"):
        read(packed[: len(packed) // 2])


def test_standard_input_is_read_more_than_once(monkeypatch):
    text = "a,b\n" + "1,2\n" * 1500 + "x,3\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    table = read_table("-", Options())
    assert table.name == "standard input" and cells(table.columns["a"]) == [*["1"] * 1500, "x"]


def test_a_pipe_is_read_more_than_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    text = "a,b\n" + "1,2\n" * 1500 + "x,3\n"
    writer = Thread(target=path.write_text, args=(text,))
    writer.start()
    table = read_table(str(path), Options())
    writer.join()
    assert len(table) == 1501 and cells(table.columns["a"])[-1] == "x"


def test_files_that_cannot_be_read_are_the_systems_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(str(tmp_path / "none.csv"), Options())
    with pytest.raises(IsADirectoryError):
        read_table(str(tmp_path), Options())
