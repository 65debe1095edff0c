#!/usr/bin/env python3
"""Which lines of csrc the tests run: `make -C csrc coverage` builds and runs them, then this reads what gcov counted.

A line that is compiled for several targets and precisions counts as run where any of them runs it. Prints a row for
each file and every line that nothing runs; the exit code is 1 below 95 %.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

CSRC = Path(__file__).resolve().parent.parent
WANTED = 0.95


def counts(folder):
    """{file: {line: how often it ran}} over every object of the library; the tests themselves are left out."""
    data = [path.resolve() for path in Path(folder).rglob("*.gcda") if "tests" not in path.parts]
    found = defaultdict(lambda: defaultdict(int))
    with tempfile.TemporaryDirectory() as work:
        for path in data:
            subprocess.run(["gcov", "--json-format", path], cwd=work, check=True, capture_output=True)
            for out in Path(work).glob("*.gcov.json.gz"):
                read(json.loads(gzip.decompress(out.read_bytes())), found)
                out.unlink()
    return found


def read(report, found):
    root = Path(report["current_working_directory"])
    for file in report["files"]:
        path = (root / file["file"]).resolve()
        path = path if path.exists() else (CSRC / file["file"]).resolve()
        if CSRC in path.parents and "tests" not in path.relative_to(CSRC).parts:
            for line in file["lines"]:
                found[path][line["line_number"]] += line["count"]


def main(folder):
    found, run, total = counts(folder), 0, 0
    for path in sorted(found):
        lines = found[path]
        missed = sorted(number for number, count in lines.items() if not count)
        run, total = run + len(lines) - len(missed), total + len(lines)
        print(f"{path.relative_to(CSRC)!s:32}{len(lines) - len(missed):5} of {len(lines):4}")
        text = path.read_text().split("\n")
        for number in missed:
            print(f"    {number:4}  {text[number - 1].strip()}")
    share = run / total if total else 0.0
    print(f"{run} of {total} lines: {share:.1%}")
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
