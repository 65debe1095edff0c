"""Columns chosen, encoded and decoded: by hand-made figures, and by what forged metadata must not do."""

import copy
import json

import numpy as np
import pytest

import fastnn as fnn
from fastnn._table.choice import choose, is_classes
from fastnn._table.columns import Column, Table
from fastnn._table.dialect import Dialect
from fastnn._table.encoding import Encoding
from fastnn._table.features import MOST_CATEGORIES, Category, Number, center_and_scale
from fastnn._table.split import split
from fastnn._table.targets import Amount, Classes
from fastnn.errors import ModelFileError, TableError

DIALECT = Dialect(",", True, ".", "utf-8", ())


def column(name, values):
    """A column of numbers, None for missing, or of texts."""
    if any(isinstance(value, str) for value in values):
        levels = list(dict.fromkeys(value for value in values if value is not None))
        codes = [-1 if value is None else levels.index(value) for value in values]
        return Column(name, codes=np.array(codes, dtype=np.int32), levels=levels)
    return Column(name, np.array([np.nan if value is None else value for value in values], dtype=float))


def table(**columns):
    made = [column(name, values) for name, values in columns.items()]
    return Table("made.csv", made, columns, DIALECT.number, lambda row: f"line {row + 2}")


def encoded(feature, values):
    """What a feature makes of cells, and what it says about them."""
    out, notes = np.full((len(values), feature.width), 7, dtype=np.float32), []
    feature.encode(column(feature.name, values), out, notes)
    return out.tolist(), notes


# ---- choice -----------------------------------------------------------------------------------------------------

N = 60
WHOLE = list(range(N))


@pytest.mark.parametrize("name, values, expected", [
    ("x", [i * 0.5 for i in WHOLE], "number"),
    ("x", [i % 3 for i in WHOLE], "number"),
    ("x", ["a", "b", "c"] * 20, "category"),
    ("x", ["a", None, "a"] * 20, "category"),
    ("x", [1, None, 1] * 20, "number"),
    ("x", [7] * N, "it has one value"),
    ("x", ["a"] * N, "it has one value"),
    ("x", [None] * N, "it is empty"),
    ("x", WHOLE, "it counts the rows"),
    ("x", [i + 1 for i in WHOLE], "it counts the rows"),
    ("year", [i + 1960 for i in WHOLE], "number"),
    ("customer_id", [i * 37 % 1009 for i in WHOLE], "it is an id: no value stands twice"),
    ("customer_id", [i % 30 for i in WHOLE], "number"),
    ("width", [i * 37 % 1009 for i in WHOLE], "number"),
    ("x", [f"name {i}" for i in WHOLE], "it has 60 different texts in 60 rows"),
    ("x", [f"name {i % 30}" for i in WHOLE], "category"),
    ("floor", [*map(str, range(1, 16)), "G"] * 3 + ["1"] * 12, "category"),
])  # fmt: skip
def test_choice(name, values, expected):
    made = table(**{name: values, "y": WHOLE})
    choice = choose(made, "y")
    assert choice.kinds.get(name, choice.left_out.get(name)) == expected
    assert len(choice.kinds) + len(choice.left_out) == 1


def test_the_callers_word_goes_before_the_guess():
    made = table(count=WHOLE, name=[f"n{i}" for i in WHOLE], few=[1, 2] * 30, y=WHOLE)
    choice = choose(made, "y", drop=["few"], numbers=["count"], categories=["name"])
    assert choice.kinds == {"count": "number", "name": "category"} and choice.left_out == {"few": "as asked"}
    assert choose(made, "y", categories=["few"]).kinds["few"] == "category"


def test_a_few_texts_among_many_numbers_are_a_mistake():
    made = table(x=[*map(str, WHOLE[1:]), "12,5"], y=WHOLE)
    with pytest.raises(TableError) as caught:
        choose(made, "y")
    assert str(caught.value) == (
        "made.csv, line 61, column 'x': expected a number, got '12,5', as nearly all other cells are; "
        "correct it, or say --missing '12,5' or --categorical 'x'"
    )


@pytest.mark.parametrize("values, expected", [
    (["a", "b"] * 30, True),
    ([0, 1] * 30, True),
    ([0.5, 1.5] * 30, False),
    ([0, 1, 2] * 20, True),
    (list(range(6)) * 10, True),
    (list(range(7)) * 9, False),
    (list(range(20)) * 10, True),
    (list(range(21)) * 11, False),
    ([None, 1, 0] * 20, True),
])  # fmt: skip
def test_classes_or_an_amount(values, expected):
    assert is_classes(column("y", values)) is expected


# ---- features ---------------------------------------------------------------------------------------------------


def test_numbers_are_standardized_and_missing_ones_marked():
    feature = Number.learn(column("x", [1, 3, None, 5]))
    scale = (8 / 3) ** 0.5
    assert feature == Number("x", 3.0, pytest.approx(scale), True)
    assert encoded(feature, [3, None, 3 + 2 * scale]) == ([[0, 0], [0, 1], [2, 0]], [])
    plain = Number("x", 3.0, 2.0, False)
    assert encoded(plain, [5, None]) == ([[1], [0]], ["x: 1 missing, unlike in training, taken as the mean"])
    far, notes = encoded(plain, [1e308, -1e308])
    assert far == [[1e6], [-1e6]] and notes == ["x: 2 more than 1,000,000 standard deviations from the mean"]


@pytest.mark.parametrize("factor", [1e-300, 1.0, 1e300])
def test_the_scale_neither_overflows_nor_vanishes(factor):
    values = np.array([1.0, 2.0, 3.0, 4.0])
    mean, scale = center_and_scale(values * factor)
    np.testing.assert_allclose([mean / factor, scale / factor], [2.5, 1.25**0.5], rtol=1e-14)
    assert center_and_scale(np.array([0.0, 0.0])) == (0.0, 1.0)
    out, _ = encoded(Number("x", mean, scale, False), values * factor)
    np.testing.assert_allclose(np.ravel(out), (values - 2.5) / 1.25**0.5, rtol=1e-6)


def test_categories_have_a_column_each():
    feature = Category.learn(column("c", ["b", "a", "b"]))
    assert feature == Category("c", ["a", "b"], False)
    found, notes = encoded(feature, ["a", "x", None, "b", "x"])
    assert found == [[1, 0], [0, 0], [0, 0], [0, 1], [0, 0]]
    assert notes == [
        "c: 2 of categories unseen in training, such as 'x'", "c: 1 missing, unlike in training",
    ]  # fmt: skip
    feature = Category.learn(column("c", ["b", None, "a"]))
    assert feature == Category("c", ["a", "b"], True)
    found, notes = encoded(feature, ["a", "x", None])
    assert found == [[1, 0, 0], [0, 0, 1], [0, 0, 1]] and len(notes) == 1


def test_rare_categories_are_one():
    values = [f"v{i:03}" for i in range(MOST_CATEGORIES + 10)]
    feature = Category.learn(column("c", values + values[10:]))
    assert feature.values == values[10:] and feature.other and feature.width == MOST_CATEGORIES + 1
    found, notes = encoded(feature, [values[0], values[10], "new"])
    assert [np.argmax(row) for row in found] == [MOST_CATEGORIES, 0, MOST_CATEGORIES] and notes == []


def test_categories_of_numbers_are_found_in_any_spelling():
    feature = Category.learn(column("c", [1, 2, 2.5]))
    assert feature.values == ["1", "2", "2.5"]
    assert encoded(feature, ["2.0", "02", "1", "2.50"])[0] == [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


# ---- targets ----------------------------------------------------------------------------------------------------


def test_two_classes_are_one_output():
    made = table(y=["no", "yes", "no"])
    target = Classes.learn(made, "y")
    assert (target.values, target.outputs, target.activation) == (["no", "yes"], 1, "sigmoid")
    assert target.encode(made).tolist() == [0, 1, 0]
    outputs = np.array([[0.25], [0.75], [0.5]])
    assert target.predicted(outputs) == ["no", "yes", "no"]
    assert target.probabilities(outputs).tolist() == [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    assert target.figures(np.array([0, 1, 1]), outputs) == {
        "accuracy": pytest.approx(2 / 3), "f1 (yes)": pytest.approx(2 / 3), "auc": 1.0,
    }  # fmt: skip
    assert target.constant(np.array([0, 1, 0, 0])).tolist() == [0.25]


def test_more_classes_have_an_output_each_in_the_order_of_numbers():
    made = table(y=[10, 9, 1, 9, 10, 1])
    target = Classes.learn(made, "y")
    assert (target.values, target.outputs, target.activation) == (["1", "9", "10"], 3, "softmax")
    assert target.encode(table(y=["1.0", None, "10"])).tolist() == [0, -1, 2]
    assert target.predicted(np.eye(3)[[2, 0]]) == ["10", "1"]
    assert target.figures(np.array([0, 1]), np.eye(3)[[0, 2]])["accuracy"] == 0.5
    with pytest.raises(TableError, match=r"made.csv, line 3, column 'y': 'x' is none of the classes of training"):
        target.encode(table(y=["1", "x"]))


@pytest.mark.parametrize("values, words", [
    (["a"] * 4, "all rows are of class 'a', nothing to tell apart"),
    (["a", "b", "c", "d", "e"], "5 classes in 5 rows are too many; is it the right column?"),
    ([1, 2, 3, 4, 5], "5 classes in 5 rows are too many; say --task regression"),
])  # fmt: skip
def test_what_is_no_class(values, words):
    with pytest.raises(TableError, match=f"column 'y': {words}".replace("?", r"\?")):
        Classes.learn(table(y=values), "y")


def test_amounts_come_back_in_their_units():
    made = table(y=[10, 20, 30, 40])
    target = Amount.learn(made, "y")
    scale = 125**0.5
    assert target == Amount("y", 25.0, pytest.approx(scale))
    np.testing.assert_allclose(target.fitted(target.encode(made)), np.array([-15, -5, 5, 15]) / scale)
    outputs = np.array([[0.0], [1.0]], dtype=np.float32)
    assert target.predicted(outputs) == [25.0, round(25 + scale, 5)]
    assert target.figures(np.array([25.0, 25.0]), outputs) == {
        "r2": 0.0, "mae": pytest.approx(scale / 2), "rmse": pytest.approx(scale / 2**0.5),
    }  # fmt: skip
    with pytest.raises(TableError, match="all rows have 3, nothing to tell apart"):
        Amount.learn(table(y=[3, 3]), "y")
    with pytest.raises(TableError, match=r"line 3, column 'y': expected a number, got 'b'; say --task classification"):
        Amount.learn(table(y=["1", "b"]), "y")


# ---- the split --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_the_split_keeps_proportions(share, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [100, 40, 60]))
    train, aside = split(classes, [], share, seed)
    assert sorted([*train, *aside]) == list(range(200))
    assert abs(len(aside) - 200 * share) <= 1
    for one, count in enumerate((100, 40, 60)):
        assert abs((classes[aside] == one).sum() - count * share) <= 1
    again = split(classes, [], share, seed)
    assert (again[0] == train).all() and (split(classes, [], share, seed + 1)[0] != train).any()


def test_each_class_is_in_training():
    target = Classes("y", ["a", "b", "c"])
    y = np.array([0, 0, 0, 0, 1, 2, 0, 0])
    for seed in range(20):
        train, aside = split(*target.order(y), 0.5, seed)
        assert set(y[train]) == {0, 1, 2} and len(aside) >= 2


# ---- the whole, and its metadata --------------------------------------------------------------------------------


def learned():
    """An encoding of every kind of column, a table of it, and a network that carries it."""
    made = table(size=[1, 2, None, 5], kind=["a", "b", None, "a"], y=["n", "y", "y", "n"])
    kinds = {"size": "number", "kind": "category"}
    encoding = Encoding.learn(made, kinds, Classes.learn(made, "y"), ("?",))
    net = fnn.Network([fnn.Dense(1, "sigmoid")], input_shape=encoding.width, seed=0)
    net.metadata = encoding.metadata()
    return encoding, made, net


def test_metadata_say_everything(tmp_path):
    encoding, made, net = learned()
    net.save(tmp_path / "a")
    again = Encoding.of(fnn.load(tmp_path / "a"))
    assert again.features == encoding.features and again.target == encoding.target and again.missing == ("?",)
    X = encoding.matrix(made, lambda line: pytest.fail(line))
    assert X.shape == (4, 5) and X.dtype == np.float32
    assert X[:, 1:].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0]]
    assert (again.matrix(made, print) == X).all()
    assert Encoding.of(fnn.Network([fnn.Dense(1)])) is None


def test_columns_are_found_by_name():
    encoding, _, _ = learned()
    other = table(more=[1], kind=["b"], size=[2])
    assert encoding.matrix(other, print)[0, 1:].tolist() == [0, 0, 1, 0]
    with pytest.raises(TableError, match=r"made.csv lacks 'size', 'kind', which the model was trained on; it has 'x'"):
        encoding.matrix(table(x=[1]), print)
    with pytest.raises(TableError, match=r"made.csv, line 2, column 'size': expected a number, got 'big'"):
        encoding.matrix(table(kind=["b"], size=["big"]), print)


@pytest.mark.parametrize("path, value, words", [
    ((), 3, "its table is not what this fastnn knows"),
    (("version",), 2, "its table has version 2; a later fastnn may read it"),
    (("more",), 2, "its table is not what this fastnn knows"),
    (("features",), [], "its table has no columns"),
    (("features",), {}, "its table has no columns"),
    (("features", 0), 3, "a column of an unknown kind"),
    (("features", 0, "kind"), "pickle", "a column of an unknown kind"),
    (("features", 0, "kind"), ["number"], "a column of an unknown kind"),
    (("features", 0, "mean"), "3", "expects float as mean of Number"),
    (("features", 0, "mean"), True, "expects float as mean of Number"),
    (("features", 0, "scale"), 0.0, "expects a scale above 0"),
    (("features", 0, "scale"), -1, "expects a scale above 0"),
    (("features", 0, "indicator"), 1, "expects bool as indicator of Number"),
    (("features", 0, "name"), None, "expects str as name of Number"),
    (("features", 0, "name"), "kind", "its table has a column twice"),
    (("features", 0, "width"), 3, "expects name, mean, scale, indicator for Number"),
    (("features", 1, "values"), "ab", r"expects list\[str\] as values of Category"),
    (("features", 1, "values"), [1], r"expects list\[str\] as values of Category"),
    (("features", 1, "values"), ["a"], "its table makes 4 features of a row"),
    (("target",), None, "a target of an unknown kind"),
    (("target", "kind"), "x", "a target of an unknown kind"),
    (("target", "values"), ["n", "n"], "its table has fewer than two classes"),
    (("target", "values"), ["a", "b", "c"], "its network expects others"),
    (("missing",), [1], "expects texts for missing values"),
])  # fmt: skip
def test_forged_metadata_are_refused(path, value, words):
    _, _, net = learned()
    metadata = copy.deepcopy(net.metadata)
    place = metadata
    *above, last = ("table", *path)
    for key in above:
        place = place[key]
    place[last] = value
    net.metadata = json.loads(json.dumps(metadata))
    with pytest.raises(ModelFileError, match=words):
        Encoding.of(net)


def test_a_table_without_weights_is_refused():
    _, _, net = learned()
    bare = fnn.Network([fnn.Dense(1, "sigmoid")])
    bare.metadata = net.metadata
    with pytest.raises(ModelFileError, match="it has a table and no weights"):
        Encoding.of(bare)
