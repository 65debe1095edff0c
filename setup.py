"""Build logic only; everything that describes the package stands in pyproject.toml.

Each CPU target of csrc is one static library with its own compiler flags; all of them are linked into the one extension
that binds the kernels (`_core/binding`). The engine is built twice from the same source, for float and for double, and
reaches the kernels through the table that the binding exports.
FASTNN_WERROR=1 turns compiler warnings into errors; FASTNN_SANITIZE=1 builds with the address and undefined behaviour
sanitizers, for tests/sanitize.sh.
"""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib

SANITIZERS = []
if os.environ.get("FASTNN_SANITIZE") == "1":
    SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
OPTIMIZE = ["-O1", *SANITIZERS] if SANITIZERS else ["-O3"]
COMMON = [
    "-std=c11",
    *OPTIMIZE,
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-fPIC",
    "-g0",
]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"] if os.environ.get("FASTNN_WERROR") == "1" else []
# What Cython generates is not held to -Wextra: its unused parameters and comparisons are its own.
ENGINE_WARNINGS = ["-Wall", "-Werror", "-Wno-unused-function"] if WARNINGS else []

TARGETS = {"baseline": []}
machine = platform.machine().lower()
if machine in ("aarch64", "arm64"):
    # GCC would load all of a tile's operands ahead and spill accumulators; Clang is told not to mind the flag.
    TARGETS["neon"] = ["-fno-schedule-insns", "-Wno-ignored-optimization-argument"]
if machine in ("x86_64", "amd64"):
    TARGETS["avx2"] = ["-mavx2", "-mfma"]
    TARGETS["avx512"] = [
        *TARGETS["avx2"],
        *(f"-mavx512{x}" for x in ("f", "bw", "dq", "vl")),
        "-mprefer-vector-width=512",
    ]

HEADERS = sorted(glob("csrc/**/*.h", recursive=True) + ["csrc/kernels.def"])


def library(name, sources, flags=()):
    return (name, {"sources": sources, "cflags": [*COMMON, *WARNINGS, *flags], "obj_deps": {"": HEADERS}})


class ParallelBuildClib(build_clib):
    """Compiles the libraries side by side: the targets take most of the build's time."""

    def build_libraries(self, libraries):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda one: build_clib.build_libraries(self, [one]), libraries))


def engine(name, defines=()):
    return Extension(
        f"fastnn._core.{name}",
        [f"src/fastnn/_core/{name}.pyx"],
        include_dirs=["csrc", "src/fastnn/_core"],
        define_macros=list(defines),
        extra_compile_args=[
            *OPTIMIZE,
            "-ffp-contract=fast",
            "-fno-math-errno",
            "-fno-trapping-math",
            "-g0",
            *ENGINE_WARNINGS,
        ],
        extra_link_args=[*SANITIZERS, "-lpthread", "-lm"] if os.name == "posix" else [],
        depends=[*HEADERS, *sorted(glob("src/fastnn/_core/**/*.p??", recursive=True))],
    )


libraries = [library("fastnn_common", sorted(glob("csrc/*.c")))]
libraries += [library(f"fastnn_{name}", [f"csrc/targets/{name}.c"], flags) for name, flags in TARGETS.items()]

setup(
    libraries=libraries,
    ext_modules=cythonize(
        [engine("binding"), engine("f32"), engine("f64", [("FNN_F64", "1")])],
        language_level=3,
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
            "freethreading_compatible": False,
        },
    ),
    cmdclass={"build_clib": ParallelBuildClib},
)
