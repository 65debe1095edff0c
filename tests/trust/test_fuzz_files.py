"""Fuzzing of the files that the command line reads: tables, packed by gzip or not, and models, whoever wrote them.

    python tests/trust/test_fuzz_files.py --count 20000

Whatever a file holds, `train`, `predict` and `info` end within a second, in bounded memory, with 0 and all that was
asked for, or with 1 or 2, a message that a person can read and no file written or changed. Tables are those of a person
with a few things wrong; models are those that `train` saved, changed in the description of their table more than
elsewhere.
"""

import contextlib
import csv
import gzip
import io
import os
import random
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import command

from fastnn import cli
from fastnn._table.csv_file import read_table
from fastnn._table.dialect import Options
from fastnn.errors import TableError

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS), str(TESTS / "serialize")]
import forge  # noqa: E402
import mutate  # noqa: E402
from cli_tools import flowers, houses, write_table  # noqa: E402

SECONDS = 1.0
SPARE, TIMES = 16 << 20, 300  # bytes, and bytes for each of a table: a category of 3 bytes may be 257 floats
LONGEST_LINE = 2000
BEFORE = b"what was there before"
CELLS = (
    "", " ", "NA", "nan", "NaN", "null", "inf", "-inf", "1e999", "1e308", "-1e308", "5e-324", "-0", "+1", "1_000",
    "0x10", "1,5", "1.5", ".", "-", "1e", "True", "None", "0", "00", "007", "1.0", "9" * 400, "x", "x" * 3000, "ß",
    "\u0662", "\ufeff", "\u2028", "\x1b[2J", "\x00", "\x0b", "\x1c", "\x85", "\u00a0", '"', '""', "'", "a\nb", "a\r\nb",
    "\U0001f600", "=1+1", "#", "y",
)  # fmt: skip
VALUES = (*CELLS, "x" * 10**5, 1e308, 5e-324, -1e308, ["ß", "\ud800"], [str(i) for i in range(5000)])  # in models
BYTES = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"PAR1", b'"', b"\r", b"\n\n", b"\xed\xa0\x80",
    b"," * 99, b"\n" * 99,
)  # fmt: skip
CODECS = ("utf-8", "latin-1", "utf-16", "utf-16-le", "utf-32", "utf-7", "ascii", "idna", "cp037", "punycode",
          "unicode_escape", "rot13", "hex", "undefined", "none")  # fmt: skip
NAMES = ("area", "rooms", "district", "price", "length", "kind", "1", "3", "none", "", "\x1b", "\udcff", "x" * 3000)
OPTIONS = (
    lambda rng: ("--delimiter", rng.choice([",", ";", "tab", " ", "x", "1", ".", "-", "\\", "'", "\0", "ß"])),
    lambda rng: (rng.choice(["--header", "--no-header"]),),
    lambda rng: ("--decimal", rng.choice([".", ","])),
    lambda rng: ("--encoding", rng.choice(CODECS)),
    lambda rng: ("--missing", rng.choice(CELLS)),
)  # fmt: skip
TRAIN_OPTIONS = (
    *OPTIONS,
    lambda rng: (rng.choice(["--drop", "--numeric", "--categorical"]), rng.choice(NAMES)),
    lambda rng: ("--task", rng.choice(["classification", "regression"])),
    lambda rng: ("--validation", rng.choice(["0", "0.5", "0.99"])),
    lambda rng: ("--learning-rate", rng.choice(["1e-300", "1", "1e30"])),
)
ENCODINGS = ("utf-8", "utf-8", "ascii", "cp1252")  # of standard output
tally = Counter()
peaks = []  # bytes that the commands of one check took at most, where memory is traced


# ---- tables ------------------------------------------------------------------------------------------------------


def odd_rows(rng, rows):
    """The records of a table, some of them wrong."""
    rows, width = [[*row] for row in rows], len(rows[0])
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 5])):
        row, column, action = rng.choice(rows), rng.randrange(width), rng.randrange(16)
        if action < 8 and column < len(row):
            row[column] = rng.choice(CELLS)
        elif action == 8:
            del row[column:]
        elif action == 9:
            row.append(rng.choice(CELLS))
        elif action == 10:
            del rows[rng.randint(1, len(rows)) :]
        elif action < 13:
            rows.insert(rng.randrange(len(rows)), rng.choice([[], [""], rows[0], [rng.choice(CELLS)]]))
        else:  # all of a column, with its name or without
            cells = rng.choices(CELLS, k=rng.choice([1, 2, 5]))
            for one in rows[rng.choice([0, 1, 1]) :]:
                if column < len(one):
                    one[column] = rng.choice(cells)
    return rows


def written(rng, rows):
    """The bytes of a text file with these records, in one of the ways to write them."""
    text = io.StringIO()
    delimiter, decimal_comma = rng.choice(",,,;\t|"), rng.random() < 0.05
    if decimal_comma:
        rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    end = rng.choice(["\n", "\n", "\r\n", "\r"])
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
    return text.getvalue().encode(rng.choice(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "latin-1", "utf-32"]), "replace")


def odd_bytes(rng, data):
    """The same file with a few bytes changed, cut, put in or put elsewhere."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 3])):
        at, action = rng.randrange(len(data) + 1), rng.randrange(5)
        if action == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            del data[at:]
        elif action == 2:
            data[at:at] = rng.choice(BYTES)
        elif action == 3:
            data[at:at] = data[: rng.choice([1, 10, 1000])]
        else:
            data[:0] = rng.choice(BYTES)
    return bytes(data)


def odd_table(rng, table):
    """(bytes of a file, its bytes when unpacked)."""
    header, rows = table
    rows = [header, *rng.choices(rows, k=rng.choice([1, 3, 12, 40]))]
    rows = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if rng.random() < 0.1:
        del rows[0]
    data = written(rng, odd_rows(rng, rows))
    if rng.random() < 0.1:
        data = odd_bytes(rng, data)
    size = len(data)
    if rng.random() < 0.2:
        data = gzip.compress(data, rng.choice([0, 9]))
        data = rng.choice([data, data * 2, odd_bytes(rng, data)])
        size *= 2
    return data, size


def readers_agree(path, options):
    """NumPy's reader of numbers and Python's of anything make the same table of a file."""
    try:
        table = read_table(path, options)
    except (TableError, OSError):
        return
    if all(column.numbers is not None for column in table.columns.values()):
        again = read_table(path, options, texts=table.names[:1])
        for name, column in table.columns.items():
            assert column.numbers.tobytes() == again.numeric(name).numbers.tobytes(), f"column {name!r} of two readers"


# ---- models ------------------------------------------------------------------------------------------------------


TABLES = (
    (houses(40), "price"), (flowers(40), "kind"), (flowers(40, classes=("no", "yes")), "kind"),
    ((["1", "2"], [[i * 0.5, i % 3 / 7] for i in range(40)]), "2"),
)  # fmt: skip


@cache
def models():
    """The bytes of a model of each of TABLES."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for table, target in TABLES:
            path = write_table(Path(folder) / "a.csv", *table)
            arguments = ["train", path, "--target", target, "--layers", "3", "--epochs", "2", "--quiet"]
            assert run(arguments) == (0, "", "")
            found.append((Path(folder) / "a.model.safetensors").read_bytes())
    return found


def odd_model(rng, data):
    """A file near that of a model, in most cases with a checksum that fits."""
    if rng.random() < 0.3:
        return mutate.mutant(data, rng)
    header, network, tensors = forge.parts(data)
    for _ in range(rng.choice([0, 1, 1, 2])):
        metadata = network.get("metadata")
        inner = metadata.get("table") if isinstance(metadata, dict) else None
        changed = rng.choice([metadata, inner, inner])
        found = mutate.places(changed, [])
        if found and rng.random() < 0.3:
            container, key = rng.choice(found)
            container[key] = rng.choice(VALUES)
        else:
            mutate.change(changed if found else network, rng)
    return forge.joined(header, network, tensors)


# ---- commands ----------------------------------------------------------------------------------------------------


class Streams:
    """Standard output and error as a process has them: in an encoding, strict the one, with escapes the other."""

    def __init__(self, encoding):
        self._encoding = encoding

    def __enter__(self):
        self._before = sys.stdout, sys.stderr
        self._bytes = io.BytesIO(), io.BytesIO()
        sys.stdout, sys.stderr = self._own = [
            io.TextIOWrapper(raw, self._encoding, errors, write_through=True)
            for raw, errors in zip(self._bytes, ("strict", "backslashreplace"), strict=True)
        ]
        return self

    def __exit__(self, *_):
        sys.stdout, sys.stderr = self._before

    def texts(self):
        return [raw.getvalue().decode(self._encoding) for raw in self._bytes]


def run(arguments, encoding="utf-8"):
    """(exit code, stdout, stderr) of a command; an AssertionError where it warns, or takes too long."""
    begin, held = time.process_time(), tracemalloc.get_traced_memory()[0]
    if tracemalloc.is_tracing():
        tracemalloc.reset_peak()
    with Streams(encoding) as streams, warnings.catch_warnings():
        warnings.simplefilter("error")  # a person should see none of Python's
        try:
            code = cli.main(arguments)
        except SystemExit as exit:
            code = exit.code
    seconds = time.process_time() - begin
    peaks.append(tracemalloc.get_traced_memory()[1] - held)
    assert tracemalloc.is_tracing() or seconds < SECONDS, f"{seconds:.1f} s"
    return code, *streams.texts()


def check_told(code, out, err):
    """That what a person reads is fit for one."""
    assert code in (0, 1, 2), f"exit code {code}"
    assert "Traceback" not in err
    assert all(line.isprintable() and len(line) <= LONGEST_LINE for line in err.splitlines()), f"{len(err)}: {err:.200}"
    last = (err.splitlines() or [""])[-1]
    assert code != 1 or (last.startswith("fastnn: ") and len(last) > 20), f"exit code 1 with {last!r}"
    assert code != 2 or " error: " in last, f"exit code 2 with {last!r}"


def train(rng, folder, table, target, model):
    data, size = odd_table(rng, table)
    (folder / "a.csv").write_bytes(data)
    options = [word for option in rng.sample(TRAIN_OPTIONS, rng.choice([0, 0, 0, 1, 2])) for word in option(rng)]
    size_options = ["--epochs", "1", "--layers", rng.choice(["none", "2"])]
    result = run(["train", str(folder / "a.csv"), "--target", target, *size_options, *options])
    assert (folder / "a.model.safetensors").exists() == (result[0] == 0)
    if result[0] == 0:
        assert run(["info", str(folder / "a.model.safetensors")])[0] == 0
    readers_agree(str(folder / "a.csv"), Options(header=rng.choice([None, True, False])))
    return size, result


def predict(rng, folder, table, target, model):
    data, size = odd_table(rng, table)
    (folder / "a.csv").write_bytes(data)
    (folder / "a.model").write_bytes(odd_model(rng, model) if rng.random() < 0.3 else model)
    (folder / "out").write_bytes(BEFORE)
    options = [word for option in rng.sample(OPTIONS, rng.choice([0, 0, 0, 1])) for word in option(rng)]
    options += rng.choice([[], [], ["--proba"], ["--quiet"]])
    to_file = rng.random() < 0.5
    options += ["--output", str(folder / "out")] if to_file else []
    code, out, err = run(["predict", str(folder / "a.model"), str(folder / "a.csv"), *options], rng.choice(ENCODINGS))
    file = (folder / "out").read_bytes()
    assert to_file and code == 0 or file == BEFORE, "its output was touched"
    assert not out or code == 0 and not to_file, "predictions, and an error"
    if code == 0:
        rows = list(csv.reader(io.StringIO(file.decode() if to_file else out, newline="")))
        assert len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows), "no table of predictions"
    return size, (code, out, err)


def info(rng, folder, table, target, model):
    (folder / "a.model").write_bytes(odd_model(rng, model))
    code, out, err = run(["info", str(folder / "a.model")], rng.choice(ENCODINGS))
    assert all(line.isprintable() and len(line) <= LONGEST_LINE for line in out.splitlines())
    return 0, (code, out, err)


def check(seed):
    """One command on one set of files."""
    rng = random.Random(seed)
    table, target = TABLES[which := rng.randrange(len(TABLES))]
    work, model = rng.choice([train, predict, predict, info]), models()[which]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        if seed % 16 == 0:
            tracemalloc.start()
            stack.callback(tracemalloc.stop)
        peaks.clear()
        size, result = work(rng, Path(name), table, target, model)
        files = sum(path.stat().st_size for path in Path(name).iterdir())
        assert max(peaks) <= SPARE + files + TIMES * size, f"{max(peaks)} bytes of memory"
        check_told(*result)
        expected = {"a.csv", "a.model", "out", "a.model.safetensors"}
        assert set(os.listdir(name)) <= expected, "litter"
    tally[work.__name__, result[0]] += 1


def told():
    print(", ".join(f"{work} {code}: {times}" for (work, code), times in sorted(tally.items())))


def test_fuzz_of_files():
    for seed in range(240):
        check(seed)
    for work in (train, predict, info):  # neither all good nor all bad, or it would show little
        assert min(tally[work.__name__, code] for code in (0, 1)) >= 5, tally


if __name__ == "__main__":
    command.main(__doc__, check, count=20_000, end=told)
