"""Parquet by polars and by pandas: the same table as the same CSV; a clear word where neither is installed."""

import sys
import types

import numpy as np
import pytest

from fastnn._table.csv_file import read_table
from fastnn._table.dialect import Options
from fastnn.errors import TableError

DATA = {
    "i": [1, 2, None, 4],
    "f": [0.5, None, -2.0, 1e300],
    "text": ["a", None, "NA", "b c"],
    "flag": [True, False, True, True],
}
CSV = "i,f,text,flag\n1,0.5,a,True\n2,,,False\n,-2.0,NA,True\n4,1e300,b c,True\n"


def written_by_polars(path):
    pytest.importorskip("polars").DataFrame(DATA).write_parquet(path)


def written_by_pandas(path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas").DataFrame(DATA).convert_dtypes().to_parquet(path)


@pytest.mark.parametrize("write", [written_by_polars, written_by_pandas])
@pytest.mark.parametrize("reader", ["polars", "pandas"])
def test_parquet_is_the_table_that_csv_is(write, reader, tmp_path, monkeypatch):
    pytest.importorskip(reader)
    write(tmp_path / "a.parquet")
    for other in {"polars", "pandas"} - {reader}:
        monkeypatch.setitem(sys.modules, other, None)
    (tmp_path / "a.csv").write_text(CSV)
    found = read_table(str(tmp_path / "a.parquet"), Options())
    expected = read_table(str(tmp_path / "a.csv"), Options())
    assert found.names == expected.names
    for name, column in expected.columns.items():
        other = found.columns[name]
        if column.numbers is not None:
            np.testing.assert_array_equal(other.numbers, column.numbers)
        else:
            assert (other.codes == column.codes).all() and other.levels == column.levels


@pytest.mark.parametrize("reader", ["polars", "pandas"])
def test_what_is_wrong_with_a_file(reader, tmp_path, monkeypatch):
    library = pytest.importorskip(reader)
    for other in {"polars", "pandas"} - {reader}:
        monkeypatch.setitem(sys.modules, other, None)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(TableError, match=r"a.parquet cannot be read as Parquet: "):
        read_table(str(path), Options())
    frame = library.DataFrame({"a": [1.0, float("inf")], "b": ["x", "y"]})
    frame.write_parquet(path) if reader == "polars" else frame.to_parquet(path)
    with pytest.raises(TableError, match=r"a.parquet, row 2, column 'a': expected a number, got infinity"):
        read_table(str(path), Options())
    table = read_table(str(path), Options(), only={"b"})
    assert table.names == ["a", "b"] and list(table.columns) == ["b"]
    with pytest.raises(TableError, match=r"a.parquet, row 1, column 'b': expected a number, got 'x'"):
        table.numeric("b")


class Panic(BaseException):
    """As pyo3's PanicException, which polars raises for some damaged files, no Exception."""


@pytest.mark.parametrize("raised, seen", [(Panic, TableError), (MemoryError, MemoryError)])
def test_a_reader_that_panics(raised, seen, tmp_path, monkeypatch):
    def read_parquet(stream):
        raise raised("assertion failed")

    monkeypatch.setitem(sys.modules, "polars", types.SimpleNamespace(read_parquet=read_parquet))
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(seen, match="assertion failed"):
        read_table(str(tmp_path / "a.parquet"), Options())


def test_without_a_reader_it_says_what_to_install(tmp_path, monkeypatch):
    for name in ("polars", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match=r"needs polars or pandas: pip install polars"):
        read_table(str(tmp_path / "a.parquet"), Options())
