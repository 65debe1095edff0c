#!/usr/bin/env python3
"""What GCC's static analyzer says of csrc: `make -C csrc analyze`.

The analyzer follows paths through a whole translation unit, and a target with all of its kernels is too much for it:
each suite's kernels are a unit here, in both precisions. A report counts once, whatever the number of units, and by
its place; the exit code is 1 where there are any.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import CSRC, FLAGS, TARGETS, Bench

# It takes the lanes of a vector for its bits.
FALSE = ["-Wno-analyzer-shift-count-overflow"]
# Read, and not so.
KNOWN = {
    ("batch_norm.h", "use of NULL where non-null expected [CWE-476]"): "NULL is where only its size is asked for",
    ("batch_norm.h", "dereference of NULL ‘0’ [CWE-476]"): "NULL is where only its size is asked for",
    ("loop.h", "use of uninitialized value ‘partial[0]’ [CWE-457]"): "the body writes it: it is called by its address",
}
REPORT = re.compile(r"^(\S+?):(\d+):\d+: warning: (.*) \[(?:-Wanalyzer-|\[)", re.M)


def reports(compiler, source, flags, root):
    command = [compiler, *FLAGS, *flags, "-fanalyzer", *FALSE, "-I", root, "-c", source, "-o", "/dev/null"]
    command.remove("-w")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=root)
    # GCC 12 fails on some vectors of doubles in a later pass, when its reports are out.
    assert done.returncode == 0 or "internal compiler error" in done.stderr, done.stderr
    return {(Path(file).name, int(line), text) for file, line, text in REPORT.findall(done.stderr)}


def units(folder, target):
    """(name, source, flags, folder) of the common files and of every suite's kernels."""
    for path in sorted(CSRC.glob("*.c")):
        yield path.name, path, [], CSRC
    for suite in sorted(path.stem.removeprefix("test_") for path in (CSRC / "tests").glob("test_*.c")):
        for bits in (32, 64):
            bench = Bench(Path(folder) / f"{suite}{bits}", target, "", False)
            if bench.kernels_of(suite):
                yield f"{suite} f{bits}", bench.write_kernels(suite, bits), TARGETS[target][1], bench.root


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
        results = pool.map(lambda unit: reports(options.compiler, *unit[1:]), wanted)
        for (name, *_), new in zip(wanted, results, strict=True):
            new = {report for report in new if (report[0], report[2]) not in KNOWN}
            print(f"{name}: {len(new)} reports", flush=True)
            for file, line, text in sorted(new - found):
                print(f"    {file}:{line}: {text}", flush=True)
            found |= new
    print(f"{len(found)} places")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
