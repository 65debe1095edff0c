"""What is imported when it is first asked for: found by every way of asking, and left alone until then."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ["fastnn", "fastnn.layers", "fastnn.callbacks"]


def seen_by_type_checkers(package):
    """{name: module} of the imports under TYPE_CHECKING."""
    tree = ast.parse(Path(package.__file__).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def fresh(code):
    """What a new process prints that runs `code` after `import fastnn`."""
    code = f"import sys, fastnn as fnn; {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_names_that_are_imported_later(name):
    package = importlib.import_module(name)
    promised = seen_by_type_checkers(package)
    for one, module in promised.items():
        place = importlib.import_module(f"{name}.{module or one}")
        assert getattr(package, one) is (getattr(place, one) if module else place)
    assert set(package.__all__) <= set(dir(package))
    assert {one for one in package.__all__ if not hasattr(package, one)} == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_there_at_the_first_glance(name):
    """In a new process, where nothing has been asked for: `dir`, a star import, and names one by one."""
    code = f"import {name} as p; missing = [n for n in p.__all__ if n not in dir(p)]; from {name} import *"
    assert fresh(f"{code}; print(*missing, *[n for n in p.__all__ if n not in globals()])") == []


def test_unknown_names_are_attribute_errors():
    for name in PACKAGES:
        package = importlib.import_module(name)
        with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Dens'"):
            package.Dens  # noqa: B018


def test_what_a_dense_network_does_not_need_is_not_imported():
    code = "net = fnn.Network([fnn.Dense(1)]); net.fit([[1.0]], [2.0]); net.predict([[1.0]])"
    loaded = set(fresh(f"{code}; print(*[name for name in sys.modules if name.startswith('fastnn')])"))
    later = {"_core.f64", "datasets", "metrics", "solvers", "serialize", "convert", "displays", "layers.conv",
             "layers.recurrent", "layers.attention", "callbacks.recording", "callbacks.averaging"}  # fmt: skip
    assert not {f"fastnn.{name}" for name in later} & loaded


@pytest.mark.parametrize(
    "code, printed",
    [
        ("print(len(fnn.Layer.known) > 25, 'conv2_d' in fnn.Layer.known)", ["True", "True"]),
        ("print('lbfgs' in fnn.Optimizer.defined, type(fnn.Optimizer.get('lbfgs')).__name__)", ["False", "LBFGS"]),
        ("print(type(fnn.Network([fnn.Dense(1)], optimizer='lbfgs').optimizer).__name__)", ["LBFGS"]),
        ("print(fnn.Network([fnn.Dense(1)], metrics='mae').metrics[0].name)", ["mae"]),
        ("print(fnn.Network([fnn.Dense(1)], dtype='float64').fit([[1.0]], [2.0])['loss'][0] >= 0)", ["True"]),
    ],
)
def test_names_of_a_family_reach_what_is_elsewhere(code, printed):
    assert fresh(code) == printed


def test_a_saved_network_finds_its_layers_and_metrics(tmp_path):
    path = tmp_path / "net"
    make = "fnn.Network([fnn.Conv1D(2, 3), fnn.Flatten(), fnn.Dense(1)], metrics=['r2'], input_shape=(5, 1))"
    fresh(f"{make}.build().save({str(path)!r})")
    found = fresh(f"print(*[type(one).__name__ for one in fnn.load({str(path)!r}).layers])")
    assert found == ["Conv1D", "Flatten", "Dense"]
