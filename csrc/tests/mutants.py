#!/usr/bin/env python3
"""Small mistakes put into the kernels, one at a time: do the tests notice?

    python csrc/tests/mutants.py --count 200 --seed 1        a sample, drawn evenly from all places
    python csrc/tests/mutants.py --file conv.h --count 50    of one file
    python csrc/tests/mutants.py --only conv.h:120:9:2       one again, as the report names it

A mutant changes an operator, a constant, a comparison, a vector operation, or drops a statement. It is built for one
target in one precision with the kernels of its suites alone, and is killed by a failed check, a crash or a run of
five times the usual time; what float does not kill is tried in double. A mutant whose object code is the original's
in both precisions is no change, and is not counted; nor is one that does not compile, or that equivalent_mutants.txt
lists with the reason why nothing could tell it from the original. The exit code is 0 where at least nine in ten are
killed.
"""

import argparse
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CSRC = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")
SUITES = {  # of files whose name is not their suite's
    "activation.h": ["eltwise"],
    "copy.h": ["eltwise"],
    "cross_entropy.h": ["loss"],
    "loop.h": ["eltwise", "reduce"],
    "penalty.h": ["reduce"],
    "reduce.h": ["reduce", "preprocessing"],
    "softmax.h": ["reduce"],
    "window.h": ["pooling", "conv"],
    "gemm_flip.h": ["gemm", "conv", "recurrent"],
    "vec_avx2.h": ["math", "reduce", "loss", "optim", "random", "gemm", "eltwise"],
    "vec_avx512.h": ["math", "reduce", "loss", "optim", "random", "gemm", "eltwise"],
    "vec_portable.h": ["math", "reduce", "loss", "optim", "random", "gemm", "eltwise"],
}
TARGETS = {
    "baseline": ("vec_portable.h", []),
    "avx2": ("vec_avx2.h", ["-mavx2", "-mfma"]),
    "avx512": ("vec_avx512.h", [f"-mavx512{x}" for x in ("f", "bw", "dq", "vl")] + ["-mavx2", "-mfma"]),
}
FLAGS = ["-std=c11", "-O1", "-g0", "-w", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-pthread"]
# Of the kernels: what lies beyond an array of their own is no test's to see.
BOUNDS = ["-fsanitize=bounds,object-size", "-fsanitize-undefined-trap-on-error"]
SWAPS = {
    r"(?<= )<(?= )": "<=",
    r"(?<= )<=(?= )": "<",
    r"(?<= )>(?= )": ">=",
    r"(?<= )>=(?= )": ">",
    r"(?<= )==(?= )": "!=",
    r"(?<= )!=(?= )": "==",
    r"(?<= )\+(?= )": "-",
    r"(?<= )-(?= )": "+",
    r"(?<= )\*(?= )": "/",
    r"(?<= )/(?= )": "*",
    r"(?<= )&&(?= )": "||",
    r"(?<= )\|\|(?= )": "&&",
    r"(?<= )\+=(?= )": "-=",
    r"(?<= )-=(?= )": "+=",
    r"\bv_add\b": "v_sub",
    r"\bv_sub\b": "v_add",
    r"\bv_mul\b": "v_add",
    r"\bv_fma\b": "v_fnma",
    r"\bv_fnma\b": "v_fma",
    r"\bv_max\b": "v_min",
    r"\bv_min\b": "v_max",
    r"\bv_lt\b": "v_le",
    r"\bv_le\b": "v_lt",
    r"\bm_and\b": "m_or",
    r"\bm_or\b": "m_and",
    r"\bv_zip_low\b": "v_zip_high",
    r"\bv_zip_high\b": "v_zip_low",
}
NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*(?:e-?\d+)?|\d+)(?![\w.])")
STATEMENT = re.compile(r"^\s+((?:FN\()?[a-z_]\w*\)?\(.*\)|[a-z_][\w.\->\[\] +*]* [-+*/]?= [^;]*);\s*$")
DECLARATION = re.compile(
    r"^\s*(const|static|int|int32_t|int64_t|size_t|double|real|vec|vmask|wide|unsigned|fnn_\w+|FN\(\w+\) )\b"
)


def code_lines(path):
    """(number, text) of lines with comments and directives blanked out, at the same columns."""
    text = path.read_text()
    text = re.sub(r"/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.S)
    continued = False
    for number, line in enumerate(text.split("\n"), 1):
        directive = continued or line.lstrip().startswith("#")
        constant = re.match(r"\s*#define \w+ [\d(]", line)  # the one kind of directive that holds arithmetic
        continued = directive and line.endswith("\\")
        if not directive or constant:
            yield number, re.sub(r'"[^"]*"', lambda found: " " * len(found[0]), line)


def mutants_of(path):
    """(file, line, column, what, old, new) for every change that a file has room for."""
    found = []
    for number, line in code_lines(path):
        start = len(line) - len(line.lstrip()) if "#define" not in line else line.index("#define") + 8
        for pattern, new in SWAPS.items():
            found += [(number, m.start(), m[0], new) for m in re.finditer(pattern, line)]
        for m in NUMBER.finditer(line, start):
            bigger = str(int(m[0]) + 1) if m[0].isdigit() else f"{float(m[0]) * 1.5 + 0.25!r}"
            found.append((number, m.start(), m[0], bigger))
        if STATEMENT.match(line) and not DECLARATION.match(line):
            whole = line.strip()
            found.append((number, line.index(whole), whole, ";"))
    counts, out = {}, []
    for number, column, old, new in found:
        which = counts[number, column] = counts.get((number, column), -1) + 1
        out.append((path, number, column, which, old, new))
    return out


def name_of(mutant):
    path, number, column, which, *_ = mutant
    return f"{path.name}:{number}:{column}:{which}"


def suites_of(path):
    """Those that SUITES names, or the one whose name the file's begins with: conv_patch.h belongs to conv."""
    stem = path.stem
    while not (CSRC / f"tests/test_{stem}.c").exists() and "_" in stem:
        stem = stem.rpartition("_")[0]
    return SUITES.get(path.name, [stem])


def listed_equivalents():
    """{(file, line's text, old, new): reason} from equivalent_mutants.txt."""
    out = {}
    for line in EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else ():
        if line.strip() and not line.startswith("#"):
            file, text, old, new, reason = (part.strip() for part in line.split(" | "))
            out[file, text, old, new] = reason
    return out


def instance(target, bits):
    """The source of every kernel body of a target, in one precision, for a compiler that is given csrc's folder."""
    kind, ctype = ("FLT", "float") if bits == 32 else ("DBL", "double")
    return (
        "#include <float.h>\n#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
        '#include "cpu.h"\n#include "fastnn.h"\n#include "rng.h"\n#include "simd/vocabulary.h"\n'
        f'#define TARGET {target}\n#define SIMD "../simd/{TARGETS[target][0]}"\n#define PRECISION f{bits}\n'
        f"#define REAL_BITS {bits}\n#define real {ctype}\n"
        f"#define REAL_MIN {kind}_MIN\n#define REAL_MAX {kind}_MAX\n"
        '#include "targets/instance.h"\n'
    )


def children_seconds():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


class Bench:
    """A copy of csrc in which one file is changed at a time, and what never changes, built once."""

    def __init__(self, folder, target, compiler, full):
        self.root, self.target, self.compiler = Path(folder) / "csrc", target, compiler
        self.arguments = [] if full else ["--thinned"]
        shutil.copytree(CSRC, self.root, ignore=shutil.ignore_patterns("build"))
        self.plain, self.seconds = {}, {}

    def compile(self, source, out, *flags):
        command = [self.compiler, *FLAGS, *map(str, flags), "-I", self.root, "-c", source, "-o", out]
        return subprocess.run(command, capture_output=True, cwd=self.root).returncode == 0

    def suite_objects(self, suite, bits):
        """The suite, the harness that runs it alone, and the library but for the kernels."""
        folder = self.root / "objects" / f"{suite}{bits}"
        if folder.exists():
            return sorted(folder.glob("*.o"))
        folder.mkdir(parents=True)
        other = 96 - bits
        tests = (self.root / f"tests/test_{suite}.c").read_text()
        assert f"RANDOM_PROBLEM({suite})" in tests, f"{suite} has no random problems"
        (folder / "suites.inc").write_text(f"SUITE_ROW({suite})\n")
        (folder / "problems.inc").write_text(f"PROBLEM_ROW({suite})\n")
        (folder / "stub.c").write_text(
            '#include "fastnn.h"\nextern const fnn_target mutated;\n'
            "static const fnn_target *const all[] = {&mutated};\n"
            "int fnn_targets(const fnn_target *const **list) { *list = all; return 1; }\n"
            "const fnn_target *fnn_find_target(const char *name) { (void)name; return all[0]; }\n"
            f"void suite_{suite}_f{other}(void) {{}}\n"
            f"void random_problem_{suite}_f{other}(const fnn_target *t) {{ (void)t; }}\n"
        )
        sources = [self.root / "tests/harness.c", self.root / f"tests/test_{suite}.c", folder / "stub.c"]
        sources += [path for path in sorted(self.root.glob("*.c")) if path.name not in ("dispatch.c", "mutated.c")]
        for source in sources:
            assert self.compile(source, folder / f"{source.stem}.o", f"-DREAL_BITS={bits}", f"-I{folder}"), source
        return sorted(folder.glob("*.o"))

    def kernels_of(self, suite):
        """Kernels that a suite names; the table of a mutant has no others, so only these are compiled."""
        names = re.findall(r"^KERNEL\((\w+),", (self.root / "kernels.def").read_text(), re.M)
        words = set(re.findall(r"\w+", (self.root / f"tests/test_{suite}.c").read_text()))
        return [name for name in names if name in words]

    def write_kernels(self, suite, bits):
        """The source of a target that has the kernels of a suite alone, in one precision."""
        table = ", ".join(f".{name} = FN({name})" for name in self.kernels_of(suite))
        source = self.root / "mutated.c"
        source.write_text(
            instance(self.target, bits) + f"static const fnn_kernels_f{bits} table = {{{table}}};\n"
            "static int yes(void) { return 1; }\nextern const fnn_target mutated;\n"
            f'const fnn_target mutated = {{.name = "{self.target}", .supported = yes, .f{bits} = &table, '
            f".gemm_scratch_f{bits} = FN(gemm_scratch)}};\n"
        )
        return source

    def kernel_object(self, suite, bits, out):
        return self.compile(self.write_kernels(suite, bits), out, *TARGETS[self.target][1], *BOUNDS)

    def verdict(self, suite, bits):
        """'killed', 'survived', 'same' as the original or 'no compile' of what lies in the copy now."""
        key, out = (suite, bits), self.root / "mutated.o"
        if not self.kernel_object(suite, bits, out):
            return "no compile"
        if self.plain.get(key) == out.read_bytes():
            return "same"
        program = self.root / "mutated"
        objects = [out, *self.suite_objects(suite, bits)]
        subprocess.run([self.compiler, *objects, "-pthread", "-lm", "-o", program], check=True, capture_output=True)
        limit = 5 * self.seconds[key] + 2 if key in self.plain else 600
        began = children_seconds()
        failed = subprocess.run(
            [program, "--stop", *self.arguments],
            capture_output=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 1)),
        ).returncode
        if key not in self.plain:  # the original
            assert not failed, f"{suite} fails without a mutant"
            self.plain[key], self.seconds[key] = out.read_bytes(), children_seconds() - began
        return "killed" if failed else "survived"

    def try_mutant(self, mutant):
        path, number, column, _, old, new = mutant
        suites = suites_of(path)
        for suite in suites:
            for bits in (32, 64):
                if (suite, bits) not in self.plain:
                    self.verdict(suite, bits)
        changed = self.root / path.relative_to(CSRC)
        text = changed.read_text()
        lines = text.split("\n")
        line = lines[number - 1]
        assert line[column:].startswith(old), (path, number, line)
        lines[number - 1] = line[:column] + new + line[column + len(old) :]
        changed.write_text("\n".join(lines))
        try:
            verdicts = []
            for bits in (32, 64):
                for suite in suites:
                    verdicts.append(self.verdict(suite, bits))
                    if verdicts[-1] == "killed":
                        return "killed"
        finally:
            changed.write_text(text)
        if "survived" in verdicts:
            return "survived"
        return "no compile" if "no compile" in verdicts else "same"


def sources(target, only):
    files = [*sorted((CSRC / "kernels").glob("*.h")), CSRC / "simd/math.h", CSRC / "simd" / TARGETS[target][0]]
    return [path for path in files if only is None or path.name in only]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="mutants that are tried (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, default="avx2")
    parser.add_argument("--file", action="append", help="file names, in place of all kernels")
    parser.add_argument("--only", action="append", metavar="FILE:LINE:COLUMN:WHICH")
    parser.add_argument("--full", action="store_true", help="run the suites in full; ten times as long")
    parser.add_argument("--compiler", default=os.environ.get("CC", "cc"))
    options = parser.parse_args()
    every = [mutant for path in sources(options.target, options.file) for mutant in mutants_of(path)]
    print(f"{len(every)} mutants in {options.target}")
    if options.only:
        drawn = [mutant for mutant in every if name_of(mutant) in options.only]
    else:
        drawn = random.Random(options.seed).sample(every, len(every))
    equivalent, tally = listed_equivalents(), {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, options.target, options.compiler, options.full)
        for mutant in drawn:
            if tally.get("killed", 0) + tally.get("survived", 0) >= options.count:
                break
            path, number, _, _, old, new = mutant
            line = (bench.root / path.relative_to(CSRC)).read_text().split("\n")[number - 1].strip()
            listed = (path.name, line, old, new) in equivalent
            verdict = "equivalent" if listed else bench.try_mutant(mutant)
            tally[verdict] = tally.get(verdict, 0) + 1
            print(f"{verdict:10} {name_of(mutant)}: {line} | {old} | {new}", flush=True)
    counted = tally.get("killed", 0) + tally.get("survived", 0)
    share = tally.get("killed", 0) / counted if counted else 0.0
    print(f"{tally}: {share:.1%} of {counted} killed")
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
