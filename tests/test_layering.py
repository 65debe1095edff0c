"""Imports go downward only, and csrc knows nothing of Python.

Every module has a place on a shelf; it may use what stands below and beside it, and nobody imports in a circle.
"""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

# From the bottom up. A name stands for the module and all that is in it.
SHELVES = [
    {"fastnn.errors", "fastnn._locks", "fastnn._later"},
    {"fastnn._core.binding"},
    {"fastnn._core.f32", "fastnn._core.f64"},
    {"fastnn._core.kernels"},
    {"fastnn._arrays", "fastnn._data", "fastnn._config", "fastnn._metadata", "fastnn._threads"},
    {"fastnn._memory", "fastnn._graph", "fastnn._reading", "fastnn._vectors", "fastnn._rule"},
    {"fastnn._statistics"},
    {"fastnn._parts", "fastnn._fold", "fastnn._plan", "fastnn._compile"},
    {"fastnn.initializers", "fastnn.layers", "fastnn.losses", "fastnn.metrics", "fastnn.schedules"},
    {"fastnn.optimizers", "fastnn.solvers"},
    {"fastnn._svg", "fastnn._terminal", "fastnn.plot", "fastnn.datasets"},
    {"fastnn._samples", "fastnn._summary", "fastnn._progress", "fastnn._structure"},
    {"fastnn._adapt"},
    {"fastnn._programs"},
    {"fastnn._threadpoolctl"},
    {"fastnn.callbacks", "fastnn.history"},
    {"fastnn._figures", "fastnn._predict", "fastnn._predictor", "fastnn._stream"},
    {"fastnn._problem"},
    {"fastnn._loops", "fastnn._batches"},
    {"fastnn._fit", "fastnn._lr_find"},
    {"fastnn._inspect", "fastnn._gradient_check", "fastnn._picture", "fastnn._uncertainty"},
    {"fastnn._inspection", "fastnn._prediction", "fastnn._weights"},
    {"fastnn.network", "fastnn.serialize", "fastnn._typing"},
    {"fastnn.convert", "fastnn.displays"},
    {"fastnn", "fastnn._config_report"},
    {"fastnn.benchmark", "fastnn.demo", "fastnn.sklearn", "fastnn.selftest", "fastnn._table"},
    {"fastnn.cli"},
    {"fastnn.__main__"},
]


def modules():
    """{name: path} of all Python and Cython sources that are modules."""
    found = {}
    for path in [*SOURCE.glob("fastnn/**/*.py"), *SOURCE.glob("fastnn/**/*.pyx")]:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def shelf(name):
    """The number of the shelf of a module, by the longest name that stands on one."""
    places = {one: i for i, names in enumerate(SHELVES) for one in names}
    while name not in places:
        name, _, _ = name.rpartition(".")
    return places[name]


def imports(name, path, *, everywhere=True):
    """Modules of fastnn that a module imports; with everywhere=False those alone that it imports at once."""
    if path.suffix == ".pyx":
        return {f for f in re.findall(r"^from\s+(\S+)\s+c?import", path.read_text(), re.M) if f.startswith("fastnn")}
    tree = ast.parse(path.read_text())
    for node in [*ast.walk(tree)]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # for type checkers alone: it imports nothing
    nodes = ast.walk(tree) if everywhere else tree.body
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.split(".")[0] == "fastnn")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base.split(".")[0] == "fastnn":
                found.update(f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in node.names)
    return found - {name}


def test_every_name_on_a_shelf_is_a_module():
    assert {name for names in SHELVES for name in names} <= set(MODULES)


def test_every_module_stands_on_a_shelf():
    on_shelves = {name for names in SHELVES for name in names} - {"fastnn"}
    for name in set(MODULES) - {"fastnn", "fastnn._core"}:
        assert any(name == one or name.startswith(one + ".") for one in on_shelves), name


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_downward(name):
    for other in imports(name, MODULES[name]):
        assert shelf(other) <= shelf(name), f"{name} imports {other}, which stands above it"


def test_nobody_imports_in_a_circle():
    graph = {name: imports(name, path, everywhere=False) for name, path in MODULES.items()}
    graph["fastnn"] = set()  # a package is initialized by whoever imports a part of it
    TopologicalSorter({name: needs - {"fastnn"} for name, needs in graph.items()}).prepare()


ENGINE = [path for path in sorted(SOURCE.glob("fastnn/_core/**/*.p*")) if path.suffix in (".pyx", ".pxd", ".pxi")]


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_the_engine_knows_csrc_and_numpy_alone(path):
    """No Cython source imports Python modules of fastnn, nor the C interface of NumPy."""
    for line in path.read_text().splitlines():
        if match := re.match(r"\s*(?:from\s+(\S+)\s+)?(c?import)\s+(\S+)", line):
            source, how, what = match.groups()
            module = source or what
            if how == "cimport":
                assert module.startswith(("libc.", "cpython.", "fastnn._core.binding")), f"{path.name}: {line}"
            else:
                assert module == "numpy" or module.split(".")[0] in sys.stdlib_module_names, f"{path.name}: {line}"
        if match := re.match(r'\s*cdef extern from "<?([^">]+)', line):
            assert match[1] in ("fastnn.h", "precision.h", "time.h"), f"{path.name}: {line}"


@pytest.mark.parametrize(
    "path", sorted(p for p in (ROOT / "csrc").rglob("*.*") if p.suffix in (".c", ".h", ".def")), ids=lambda p: p.name
)
def test_csrc_is_free_of_python(path):
    assert not re.search(r"#\s*include\s*[<\"](Python|numpy/|cpython/)|\bPy[A-Z]\w+\(|\bPyObject\b", path.read_text())


def test_numpy_is_all_that_an_import_needs():
    """Modules beside NumPy and the standard library are imported where they are used, and only there."""
    code = "import sys, numpy; before = set(sys.modules); import fastnn; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name.split(".")[0] for name in done.stdout.split()} - {"fastnn"} - set(sys.stdlib_module_names)
    assert not {name for name in foreign if not name.startswith(("numpy", "_cython", "cython"))}
