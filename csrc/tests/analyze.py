#!/usr/bin/env python3
"""What GCC's static analyzer says of csrc: `make -C csrc analyze`, a few minutes of one core and 2 GB.

The analyzer follows paths into every call, once more for each way that leads there: a whole target, or a single
family of kernels, is too much for it. So each file of kernels is a unit, in both precisions, in which the functions of
the other files are declared and not defined, and nothing is inlined. Every function of the unit is followed by itself
as well as from its callers, so none is left out. A report counts once, and by its place; the exit code is 1 where there
are any.

What that gives up: mistakes that only show across two files (a NULL that one hands to another), and through a pointer
to a function, which fnn_parallel calls in another file. A place that is reached in more than STATES different states is
left with those that came first; how many such places there are stands beside each unit. GCC 12 does not know the
lengths of arrays (the sanitizers do), and merges states: what is set on one of two ways alone may count as set.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import CSRC, FLAGS, TARGETS, instance

STATES = 8
ANALYZER = [
    "-fanalyzer",
    "-fno-inline",
    "-fkeep-static-functions",  # and what no kernel of the unit calls
    "-fkeep-inline-functions",
    f"--param=analyzer-max-enodes-per-program-point={STATES}",
    "--param=analyzer-bb-explosion-factor=100000",  # else it stops before it has seen every function
    "-Wanalyzer-too-complex",
    "-Wno-analyzer-shift-count-overflow",  # it takes the lanes of a vector for its bits
]
# A tile is written once and made in some fifty sizes, whose loops over constants it follows one by one, through 6 GB
# and more: GCC's own limit for this file.
LIMITED = {"gemm_tile.h": ["--param=analyzer-bb-explosion-factor=5"]}
# Read, and not so: what matches "unit place text", and why.
KNOWN = {
    r"batch_norm.h .* use of NULL where non-null expected .*": "NULL is where only its size is asked for",
    r"batch_norm.h .* dereference of NULL ‘0’ .*": "NULL is where only its size is asked for",
    r"conv_winograd.h .* use of uninitialized value ‘(v\[.*\]|\*[bcd])’ .*": "loops over all of v write it by v + i, "
    "which it forgets from the second round on",
    r".* vocabulary.h use of uninitialized value ‘(all|exps|t_sum|sum|magnitudes)’ .*": "each begins as wide_zero(): "
    "in double it loses a structure of one vector that a function returns",
}
REPORT = re.compile(r"^(\S+?):(\d+):\d+: warning: (.*) \[-Wanalyzer-(?!too-complex)", re.M)
# A function as csrc writes it: it begins at the margin and ends there, or with its line.
DEFINITION = re.compile(
    r"^(?:static|ALWAYS_INLINE)\b(?: inline\b)?((?:[^;{}=\n]|\n(?=[ \t]))*\))(?:\n\{\n.*?\n\}| \{[^\n]*\})$",
    re.M | re.S,
)


def declaration(definition):
    """Without a pointer a function has no effect but its value, which the analyzer is told."""
    signature = definition[1].replace("MAYBE_UNUSED", "").strip()
    return signature + (";" if "*" in signature else " __attribute__((const));")


def declare_all_but(root, name):
    """In the copy of csrc at `root`, leaves the functions of one file and of the vector operations."""
    vocabulary = root / "simd/vocabulary.h"
    text = vocabulary.read_text()
    assert "__attribute__((always_inline))" in text
    vocabulary.write_text(text.replace("__attribute__((always_inline))", "__attribute__((unused))"))
    for path in [*(root / "kernels").glob("*.h"), root / "simd/math.h"]:
        if path.name != name:
            path.write_text(DEFINITION.sub(declaration, path.read_text()))


def units(folder, target):
    """(name, source, flags, root) of the common files, and of every file of kernels in both precisions."""
    for path in sorted(CSRC.glob("*.c")):
        yield path.name, path, [], CSRC
    for path in sorted([*(CSRC / "kernels").glob("*.h"), CSRC / "simd/math.h"]):
        for bits in (32, 64):
            root = Path(folder) / f"{path.stem}{bits}"
            shutil.copytree(CSRC, root, ignore=shutil.ignore_patterns("build", "tests"))
            declare_all_but(root, path.name)
            source = root / "unit.c"
            source.write_text(instance(target, bits))
            yield f"{path.name} f{bits}", source, [*TARGETS[target][1], *LIMITED.get(path.name, [])], root


def is_known(unit, file, text):
    return any(re.fullmatch(pattern, f"{unit} {file} {text}") for pattern in KNOWN)


def analyze(compiler, source, flags, root):
    """(reports, how far it went) of a unit."""
    command = [compiler, *FLAGS, *ANALYZER, *flags, "-I", root, "-c", source, "-o", "/dev/null"]
    command.remove("-w")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=root)
    # GCC 12 fails on some vectors of doubles in a later pass, when its reports are out.
    assert done.returncode == 0 or "internal compiler error" in done.stderr, done.stderr
    found = {(Path(file).name, int(line), text) for file, line, text in REPORT.findall(done.stderr)}
    places = set(re.findall(r"^(\S+?:\d+:\d+): warning: terminating analysis", done.stderr, re.M))
    return found, f"states left at {len(places)} places" + "; stopped early" * ("bailed out early" in done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, default="baseline")
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""], help="units whose name begins so")
    options = parser.parse_args()
    found = set()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        wanted = [unit for unit in units(folder, options.target) if unit[0].startswith(tuple(options.only))]
        results = pool.map(lambda unit: analyze(options.compiler, *unit[1:]), wanted)
        for (name, *_), (new, reach) in zip(wanted, results, strict=True):
            new = {report for report in new if not is_known(name.split()[0], report[0], report[2])}
            print(f"{name}: {len(new)} reports; {reach}", flush=True)
            for file, line, text in sorted(new - found):
                print(f"    {file}:{line}: {text}", flush=True)
            found |= new
    print(f"{len(found)} places")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
