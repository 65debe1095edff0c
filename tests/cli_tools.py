"""What the tests of the command line share: tables that were made up, and a command run in this process."""

import csv

import numpy as np

from fastnn import cli


def write_table(path, header, rows, delimiter=","):
    """Writes a CSV file and returns its path as a text; None is an empty cell."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(header)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return str(path)


def houses(n=200, seed=0, gaps=True):
    """(header, rows) of a regression: a price by area, rooms and district, with ids, a constant and gaps."""
    random = np.random.default_rng(seed)
    area, rooms = random.uniform(30, 150, n).round(1), random.integers(1, 6, n)
    district = random.choice(["north", "south", "old town"], n)
    worth = np.select([district == "north", district == "south"], [2.0, 3.0], 4.5)
    price = (area * worth + 10 * rooms + random.normal(0, 5, n)).round(2)
    rows = [list(row) for row in zip(range(n), area.tolist(), rooms.tolist(), district.tolist(), ["EUR"] * n,
                                     price.tolist(), strict=True)]  # fmt: skip
    for i in range(0, n if gaps else 0, 17):
        rows[i][1 if i % 2 else 3] = None
    return ["id", "area", "rooms", "district", "currency", "price"], rows


def flowers(n=150, seed=0, classes=("alba", "rosea", "viola")):
    """(header, rows) of a classification: a kind by two measures that tell it apart, mostly."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(classes), n)
    measures = random.normal(size=(n, 2)) * 0.5 + np.array([[0, 0], [2, 0], [0, 2]])[kinds]
    rows = [[*row, classes[kind]] for row, kind in zip(measures.round(3).tolist(), kinds, strict=True)]
    return ["length", "width", "kind"], rows


def run(capsys, *arguments):
    """(exit code, stdout, stderr) of a command."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def read_rows(text):
    """The records of CSV text."""
    return list(csv.reader(text.splitlines()))
