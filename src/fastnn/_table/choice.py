"""What each column of a table is for training: a number, a category, or nothing to learn from.

Rules of thumb, each with its reason, and each reported; the caller's word goes before all of them.
"""

from dataclasses import dataclass, field

import numpy as np

from .columns import Table

MOST_CLASSES = 20  # whole numbers with more values than this are an amount, not classes
MOST_LEVELS = 0.5  # of the cells: a text that differs in more of them is a name or a remark, and tells rows apart only
_FEW = 0.05  # of the cells: so few that are no numbers, among many that are, are mistakes and not a kind
_ID_NAMES = ("id", "index", "row", "rowid", "uuid", "guid", "column 1", "unnamed: 0")


@dataclass
class Choice:
    """The kind of each column that is learned from, "number" or "category", and why the others are not."""

    kinds: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def choose(table: Table, target: str, *, drop=(), numbers=(), categories=()) -> Choice:
    """The choice for a table; drop, numbers and categories are what the caller has decided.

    Raises TableError for a column of numbers that has a few cells that are none.
    """
    choice = Choice()
    for name, column in table.columns.items():
        if name == target:
            continue
        reason = "as asked" if name in drop else _nothing_to_learn(column)
        if not reason and name in categories:
            choice.kinds[name] = "category"
        elif not reason and (name in numbers or column.numbers is not None):
            reason = None if name in numbers else _counts_rows(column)
            choice.kinds[name] = "number"
        elif not reason:
            refuse_mistakes(table, column, f"--categorical {column.name!r}")
            reason = _is_name(column)
            choice.kinds[name] = "category"
        if reason:
            choice.kinds.pop(name, None)
            choice.left_out[name] = reason
    return choice


def _nothing_to_learn(column):
    missing = column.missing
    if missing.all():
        return "it is empty"
    cells = column.codes if column.numbers is None else column.numbers
    cells = cells[~missing]
    # One value and gaps tell something: whether there is one.
    return "it has one value" if not missing.any() and cells.min() == cells.max() else None


def _counts_rows(column):
    """Why a column of numbers is the number of its row and no measurement; None where it is not."""
    numbers = column.numbers
    if np.isnan(numbers).any() or not (numbers == np.floor(numbers)).all():
        return None
    name = column.name.lower()
    named = name in _ID_NAMES or name.endswith(("_id", " id", "-id"))
    if numbers[0] in (0, 1) and len(numbers) > 2 and (np.diff(numbers) == 1).all():
        return "it counts the rows"
    return "it is an id: no value stands twice" if named and len(np.unique(numbers)) == len(numbers) else None


def _is_name(column):
    filled = int((column.codes >= 0).sum())
    if len(column.levels) > max(2, MOST_LEVELS * filled):
        return f"it has {len(column.levels)} different texts in {filled} rows"
    return None


def refuse_mistakes(table, column, other):
    """TableError where nearly all cells of a text column are numbers, and many different ones.

    other: what the caller would have to say for them to be taken as texts.
    """
    wrong = np.array([table.number(level) is None for level in column.levels])
    if len(wrong) <= MOST_CLASSES:
        return
    filled = column.codes[column.codes >= 0]
    if 0 < wrong[filled].mean() <= _FEW:
        odd = column.levels[int(wrong.argmax())]
        hint = f", as nearly all other cells are; correct it, or say --missing {odd!r} or {other}"
        table.numeric(column.name, hint)


def is_classes(column) -> bool:
    """Whether a target is classes: texts, or few different whole numbers."""
    if column.numbers is None:
        return True
    numbers = column.numbers[~column.missing]
    distinct = np.unique(numbers)
    whole = (distinct == np.floor(distinct)).all()
    return bool(whole and (len(distinct) <= 2 or len(distinct) <= min(MOST_CLASSES, len(numbers) / 10)))
