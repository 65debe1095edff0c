"""Objects that are their arguments, the tables they enter by being defined, and the errors that name what is near."""

import pytest

import fastnn as fnn
from fastnn._config import Configured
from fastnn.errors import FastnnError, ModelFileError, NotFittedError, ShapeError, unknown_name


class Tool(Configured, family="tool"):
    """A family of its own, so that no table of the package is touched."""


class Hammer(Tool):
    name = "hammer"

    def __init__(self, weight=1.0, *, handle="wood"):
        self.weight, self.handle = weight, handle


class Sledge(Hammer):
    name = "sledge"

    def __init__(self, weight=5.0):
        super().__init__(weight)


class Box(Tool):
    name = "box"

    def __init__(self, *tools, locked=False):
        self.tools, self.locked = list(tools), locked


class Unnamed(Tool):
    pass


def test_a_class_enters_its_familys_table_by_being_defined():
    assert Tool.known == {"hammer": Hammer, "sledge": Sledge, "box": Box}
    assert Tool.family == Hammer.family == "tool"
    assert "hammer" not in fnn.Layer.known and "dense" in fnn.Layer.known


@pytest.mark.parametrize("spec", ["hammer", Hammer, Hammer(), Hammer(1.0)])
def test_get_takes_names_classes_and_instances(spec):
    assert Tool.get(spec) == Hammer()


def test_get_hands_an_instance_through():
    hammer = Hammer(2.0)
    assert Tool.get(hammer) is hammer


@pytest.mark.parametrize(
    "spec,error,message",
    [
        ("hamer", ValueError, "unknown tool 'hamer'; did you mean 'hammer'? Known: box, hammer, sledge"),
        ("Sledge", ValueError, "unknown tool 'Sledge'; did you mean 'sledge'? Known: box, hammer, sledge"),
        ("xyz", ValueError, "unknown tool 'xyz'. Known: box, hammer, sledge"),
        ("", ValueError, "unknown tool ''. Known: box, hammer, sledge"),
        (3, TypeError, "tool: expected a name or a Tool, got int"),
        (None, TypeError, "tool: expected a name or a Tool, got NoneType"),
        (fnn.Dense, TypeError, "tool: expected a name or a Tool, got type"),
    ],
)
def test_get_of_what_is_not_known(spec, error, message):
    with pytest.raises(error) as caught:
        Tool.get(spec)
    assert str(caught.value) == message


def test_config_is_the_arguments_as_they_are_now():
    hammer = Hammer(handle="steel")
    assert hammer.config() == {"weight": 1.0, "handle": "steel"}
    hammer.weight = 3.0
    assert Hammer(**hammer.config()) == hammer == Hammer.from_config(hammer.config())
    assert Sledge().config() == {"weight": 5.0}  # its own arguments, not those of its base
    assert Unnamed().config() == {}


def test_arguments_by_position_are_rebuilt_by_position():
    box = Box(Hammer(), Sledge(), locked=True)
    assert box.config() == {"tools": [Hammer(), Sledge()], "locked": True}
    assert Box.from_config(box.config()) == box
    with pytest.raises(ValueError, match="at least one layer"):  # by the constructor, as without arguments
        fnn.Residual.from_config({})


def test_equal_is_same_class_and_same_arguments():
    assert Hammer(1) == Hammer(1.0) != Hammer(2.0)
    assert Sledge(1.0) != Hammer(1.0)
    assert Box(Hammer()) == Box(Hammer()) != Box(Sledge())
    assert Hammer() != "hammer"


def test_objects_that_are_equal_are_still_told_apart_in_tables():
    one, other = Hammer(), Hammer()
    assert one == other and len({one: 1, other: 2}) == 2


def test_repr_can_be_read_back():
    for thing in (Hammer(2.5, handle="steel"), Sledge(), Unnamed()):
        assert eval(repr(thing)) == thing
    assert repr(Box(Hammer())) == "Box(tools=[Hammer(weight=1.0, handle='wood')], locked=False)"


FAMILIES = [fnn.Loss, fnn.Optimizer, fnn.Layer, fnn.Metric, fnn.initializers.Initializer]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_names_of_a_family_are_those_of_its_classes(family):
    assert len(family.known) > 3
    for name, cls in family.known.items():
        assert issubclass(cls, family) and cls.name == name


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ShapeError, NotFittedError, ModelFileError])
def test_own_errors_are_caught_as_users_expect(error):
    assert issubclass(error, FastnnError) and issubclass(error, ValueError)
    assert getattr(fnn, error.__name__) is error


def test_what_is_not_fitted_lacks_an_attribute():
    """`hasattr(net, "params")` is False before the parameters are there, as scikit-learn's users expect."""
    net = fnn.Network([fnn.Dense(1)])
    assert issubclass(NotFittedError, AttributeError) and not hasattr(net, "params")
    assert hasattr(net.build(2), "params")


@pytest.mark.parametrize(
    "name,near", [("rleu", "relu"), ("RELU", "relu"), ("sigmod", "sigmoid"), ("tan", "tanh"), ("q", None), (7, None)]
)
def test_unknown_names_are_answered_with_the_nearest(name, near):
    text = str(unknown_name("activation", name, {"relu": 1, "tanh": 2, "sigmoid": 3}))
    assert text.startswith(f"unknown activation {name!r}")
    assert text.endswith("Known: relu, sigmoid, tanh")
    assert (f"did you mean {near!r}?" in text) if near else ("did you mean" not in text)
