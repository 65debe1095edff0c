"""The graph: which values, parameters and names the layers make of themselves."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn import ShapeError
from fastnn._graph import MAX_ELEMENTS, Graph, Value


def planned(*layers, shape=(4,)):
    return fnn.Network(list(layers), input_shape=shape)._state.graph


def planned_nodes(inputs, outputs, **options):
    return fnn.Network(inputs=inputs, outputs=outputs, **options)._state.graph


# ---- names and places of parameters -------------------------------------------------------------------------------


def test_names_count_the_layers_without_parameters_too():
    g = planned(fnn.Dense(3), fnn.Dropout(0.1), fnn.Flatten(), fnn.Dense(2, use_bias=False))
    assert {name: p.shape for name, p in g.params.items()} == {
        "layers.0.weight": (4, 3), "layers.0.bias": (3,), "layers.3.weight": (3, 2),
    }  # fmt: skip


def test_names_inside_containers():
    inner = fnn.Residual(fnn.Dense(4, "tanh"), fnn.Residual(fnn.Dense(4)))
    g = planned(fnn.Dense(4), inner, fnn.Dense(1))
    assert [name for name in g.params if name.endswith("weight")] == [
        "layers.0.weight", "layers.1.layers.0.weight", "layers.1.layers.1.layers.0.weight", "layers.2.weight",
    ]  # fmt: skip


def test_parameters_fill_the_vector_without_gaps():
    g = planned(fnn.Dense(3), fnn.Residual(fnn.Dense(3)), fnn.Dense(2))
    end = 0
    for param in g.params.values():
        assert param.offset == end
        end += param.size
    assert g.size == end == 4 * 3 + 3 + 3 * 3 + 3 + 3 * 2 + 2


def test_a_parameter_is_a_view_of_the_vector():
    param = planned(fnn.Dense(3)).params["layers.0.weight"]
    vector = np.zeros(15)
    param.view(vector)[1, 2] = 5
    assert vector.tolist() == [0] * 5 + [5] + [0] * 9


def test_names_in_call_syntax_follow_the_order_of_the_computation():
    a, b = fnn.Input(3), fnn.Input(2)
    last = fnn.Dense(1)
    g = planned_nodes([a, b], last(fnn.Concat()([fnn.Dense(4)(a), fnn.Dense(5)(b)])))
    assert {name: p.shape for name, p in g.params.items() if "weight" in name} == {
        "layers.0.weight": (3, 4), "layers.1.weight": (2, 5), "layers.3.weight": (9, 1),
    }  # fmt: skip


def test_a_layer_called_twice_shares_its_parameters():
    a, b, shared = fnn.Input(3), fnn.Input(3), fnn.Dense(4, "tanh")
    g = planned_nodes([a, b], fnn.Dense(1)(fnn.Concat()([shared(a), shared(b)])))
    assert [(name, p.shape) for name, p in g.params.items() if "weight" in name] == [
        ("layers.0.weight", (3, 4)), ("layers.2.weight", (8, 1)),
    ]  # fmt: skip
    assert g.ops[0].params["weight"] is next(op for op in g.ops[1:] if op.kind == "dense").params["weight"]


def test_a_container_called_twice_shares_what_is_inside():
    x, shared = fnn.Input(4), fnn.Residual(fnn.Dense(4))
    g = planned_nodes(x, shared(shared(x)))
    assert list(g.params) == ["layers.0.layers.0.weight", "layers.0.layers.0.bias"]


def test_a_shared_layer_needs_one_shape():
    a, b, shared = fnn.Input(3), fnn.Input(2), fnn.Dense(4)
    with pytest.raises(ShapeError, match=r"layers\.0 \(Dense\) is shared: its weight has shape \(3, 4\)"):
        planned_nodes([a, b], fnn.Concat()([shared(a), shared(b)]))


def test_a_layer_twice_in_a_list_is_two_layers():
    """A list holds configurations; sharing is said by a call."""
    layer = fnn.Dense(4)
    assert len(planned(layer, layer).params) == 4


def test_layers_that_are_equal_are_two_layers_in_call_syntax():
    x = fnn.Input(4)
    assert len(planned_nodes(x, fnn.Dense(4)(fnn.Dense(4)(x))).params) == 4


# ---- shapes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers,shape,expected",
    [
        ([fnn.Dense(3)], (4,), (3,)),
        ([fnn.Dense(3)], (5, 2, 4), (5, 2, 3)),
        ([fnn.Flatten()], (5, 2), (10,)),
        ([fnn.Reshape((2, -1))], (5, 2), (2, 5)),
        ([fnn.Reshape(10)], (5, 2), (10,)),
        ([fnn.Residual(fnn.Dense(7), fnn.Dense(4))], (4,), (4,)),
        ([fnn.Dropout(0.5), fnn.Activation("relu")], (3, 4), (3, 4)),
    ],
)
def test_output_shapes(layers, shape, expected):
    assert planned(*layers, shape=shape).outputs[0].shape == expected


@pytest.mark.parametrize("axis,expected", [(-1, (2, 8)), (2, (2, 8))])
def test_concat_along_the_last_axis(axis, expected):
    a, b = fnn.Input((2, 3)), fnn.Input((2, 5))
    assert planned_nodes([a, b], fnn.Concat(axis)([a, b])).outputs[0].shape == expected


def test_concat_along_another_axis():
    a, b = fnn.Input((2, 3)), fnn.Input((4, 3))
    assert planned_nodes([a, b], fnn.Concat(1)([a, b])).outputs[0].shape == (6, 3)
    assert planned_nodes([a, b], fnn.Concat(-2)([a, b])).outputs[0].shape == (6, 3)


def test_a_reshaped_value_has_the_memory_of_its_root():
    x = Value((2, 3))
    g = Graph()
    y = g.reshape(g.reshape(x, (6,)), (3, 2))
    assert y.root is x and y.size == x.size


def test_work_is_counted_in_multiply_adds():
    g = planned(fnn.Dense(3), fnn.Activation("tanh"), fnn.Dense(2), shape=(5, 4))
    assert g.work == 5 * 4 * 3 + 5 * 3 * 2


def test_a_row_of_the_summary_counts_its_own_ops():
    rows = planned(*(fnn.Dense(2) for _ in range(12))).layers
    assert [sum(op.multiply_adds() for op in row.ops) for row in rows] == [8] + [4] * 11
    assert [row.params for row in rows] == [10] + [6] * 11


# ---- which activation an output is the result of -------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers,expected",
    [
        ([fnn.Dense(6, "softmax")], "softmax"),
        ([fnn.Dense(6), fnn.Activation("sigmoid")], "sigmoid"),
        ([fnn.Dense(6)], None),
        ([fnn.Dense(6, "sigmoid"), fnn.Reshape((2, 3))], "sigmoid"),
        ([fnn.Dense(6, "softmax"), fnn.Reshape((2, 3))], None),  # rows of 3 of 6 probabilities are none
        ([fnn.Dense(6, "softmax"), fnn.Reshape((1, 6))], "softmax"),
        ([fnn.Dense(6, "softmax"), fnn.Dropout(0.5)], None),
        ([fnn.Dense(6, (np.sin, np.cos))], None),
    ],
)
def test_last_activation(layers, expected):
    g = planned(*layers)
    found = g.last_activation(g.outputs[0])
    assert (found and found.activation) == expected


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers,shape,message",
    [
        ([fnn.Dense(2), fnn.Reshape((3, -1))], (4,),
         r"layers\.1 \(Reshape\) makes \(3, -1\), .* \(2,\) has 2 elements"),
        ([fnn.Residual(fnn.Dense(3))], (4,), r"layers\.0 \(Residual\) adds its input \(4,\) to .* \(3,\)"),
        ([fnn.Residual(fnn.Residual(fnn.Dense(3)))], (4,), r"^layers\.0\.layers\.0 \(Residual\) adds"),
        ([fnn.Residual(fnn.Residual(fnn.Dense(1, "softmax")))], (1,),
         r"^layers\.0\.layers\.0\.layers\.0 \(Dense\): softmax needs at least 2 units"),
        ([fnn.Concat()], (4,), r"layers\.0 \(Concat\) joins two or more values"),
    ],
)  # fmt: skip
def test_shape_errors_say_where(layers, shape, message):
    with pytest.raises(ShapeError, match=message):
        planned(*layers, shape=shape)


def test_values_of_other_shapes_are_not_added():
    a, b = fnn.Input(3), fnn.Input(2)
    with pytest.raises(ShapeError, match=r"layers\.0 \(Add\) adds values of one shape, got \(3,\) and \(2,\)"):
        planned_nodes([a, b], fnn.Add()([a, b]))


def test_concat_needs_the_other_axes_equal():
    a, b = fnn.Input((2, 3)), fnn.Input((4, 3))
    with pytest.raises(ShapeError, match=r"along axis 2 needs the other axes equal, got \(2, 3\) and \(4, 3\)"):
        planned_nodes([a, b], fnn.Concat()([a, b]))


def test_a_size_that_no_memory_holds_is_refused_at_once():
    with pytest.raises(MemoryError, match=r"layers\.1 \(Dense\): .* more than any memory holds"):
        planned(fnn.Dense(2**25), fnn.Dense(MAX_ELEMENTS // 2**24))


def test_the_state_of_planning_survives_an_error():
    g = Graph()
    x = g.input((4,))
    with pytest.raises(ShapeError):
        g.layer(fnn.Residual(fnn.Dense(3)), "layers.0", x)
    assert g.where() == "the network"


def test_a_layer_must_say_what_it_is():
    class Empty(fnn.Layer):
        pass

    try:
        with pytest.raises(TypeError, match=r"Empty does not define plan"):
            planned(Empty())
    finally:
        del fnn.Layer.known["empty"]


def test_layers_are_called_with_symbolic_values():
    with pytest.raises(TypeError, match=r"Dense was called with ndarray; layers are called with fnn\.Input"):
        fnn.Dense(2)(np.ones((3, 4)))
