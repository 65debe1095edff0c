"""Markdown tables from a file of results, into the places that are marked for them.

    python benchmarks/tables.py [RESULTS.json]            writes README.md and benchmarks/results/tables.md
    python benchmarks/tables.py RESULTS.json --print      prints all of it and writes nothing

README.md has the short tables, between <!-- benchmark:NAME --> and <!-- /benchmark -->; tables.md has all figures,
with the spread, the threads, the settings that were chosen, and the losses side by side.
"""

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import gemm  # noqa: E402
import results  # noqa: E402
import rungs  # noqa: E402
from results import best_peer, figures, peak, rung_of  # noqa: E402

SHORT = {"PyTorch eager": "PyTorch", "PyTorch compile": "PyTorch compiled"}
BY_EPOCH = "JAX by epoch"


def duration(seconds):
    """Three digits with a fitting unit."""
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds:#.3g}".rstrip(".") + " s"


def ratio(value):
    if value >= 99.5:
        return f"{float(f'{value:.3g}'):,.0f}x"
    return f"{value:.1f}x" if value >= 9.95 else f"{value:.2f}x"


def markdown(head, rows):
    """A table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def columns(found, chosen):
    """Names of those measured in some rungs, {rung: {peer: entry}}, in the order of the peers."""
    present = {name for entries in chosen.values() for name in figures(entries)}
    return [name for name in found["versions"] if name in present]


def ladder(rung_results, names, against):
    """Cells of one row: each one's time, and the ratio of the best peer to each name in `against`."""
    made = figures(rung_results)
    cells = [duration(made[name].median) if name in made else "-" for name in names]
    best = best_peer(made)
    for name in against:
        if best and name in made:
            cells.append(f"{ratio(best[1].median / made[name].median)} ({SHORT.get(best[0], best[0])})")
        else:
            cells.append("-")
    return cells


def train(found):
    """Time of a training step."""
    names = [name for name in columns(found, found["train"]) if name != "pure Python"]
    own = [name for name in names if name.startswith("fastnn")]
    head = ["network [batch]", *(SHORT.get(name, name) for name in names), *(f"{n} against the best peer" for n in own)]
    lines = [[name, *ladder(entries, names, own)] for name, entries in found["train"].items()]
    if BY_EPOCH in names:  # never the best peer, and yet what many a training loop comes to
        head.append(f"fastnn against {BY_EPOCH}")
        for line, entries in zip(lines, map(figures, found["train"].values()), strict=True):
            both = BY_EPOCH in entries and "fastnn" in entries
            line.append(ratio(entries[BY_EPOCH].median / entries["fastnn"].median) if both else "-")
    return markdown(head, lines)


def latency(found):
    """Time of predicting one row."""
    chosen = {name: entries for name, entries in found["predict"].items() if rung_of("predict", name).rows == 1}
    names = columns(found, chosen)
    own = [name for name in names if name.startswith("fastnn")]
    head = ["one row", *(SHORT.get(name, name) for name in names), *(f"{n} against the best peer" for n in own)]
    return markdown(head, [[rung_of("predict", n).network, *ladder(e, names, own)] for n, e in chosen.items()])


def rows(found):
    """Rows predicted in a second."""
    chosen = {name: entries for name, entries in found["predict"].items() if rung_of("predict", name).rows > 1}
    names = columns(found, chosen)
    lines = []
    for name, entries in chosen.items():
        rung, made = rung_of("predict", name), figures(entries)
        cells = [f"{rung.rows / made[peer].median / 1e6:.3g} M" if peer in made else "-" for peer in names]
        lines.append([f"{rung.network}, {rung.rows:,} rows", *cells, ladder(entries, [], ["fastnn"])[0]])
    return markdown(
        ["rows per second", *(SHORT.get(name, name) for name in names), "fastnn against the best peer"], lines
    )


def architectures(found):
    """Training step, one row and a batch of the networks beyond dense layers, with the best peer and the lead."""
    lines = []
    for name, entries in found["architectures"].items():
        rung = rung_of("architectures", name)
        cells = [name]
        answers = [found.get("answers", {}).get(answer.name, {}) for answer in rungs.ANSWERS if answer.of is rung]
        for task in (entries, *answers):
            made = figures(task)
            best = best_peer(made)
            own = min((made[n].median for n in made if n in ("fastnn", "fastnn predictor()")), default=None)
            if not own or not best:
                cells += ["-", "-", "-"]
                continue
            peer = f"{duration(best[1].median)} ({SHORT.get(best[0], best[0])})"
            cells += [duration(own), peer, ratio(best[1].median / own)]
        used = found.get("memory", {}).get(name, {})
        cells.append(" / ".join(f"{used[n] / 1e6:.0f}" if n in used else "-" for n in ("fastnn", "PyTorch eager")))
        lines.append(cells)
    head = ["network [batch]", "a training step", "best peer", "lead", "one row", "best peer", "lead", "the batch"]
    return markdown([*head, "best peer", "lead", "MB a step, fastnn / PyTorch"], lines)


def share(found):
    """What part of the machine's multiply-add peak a training step uses, all of its work counted in the time."""
    names = [name for name in columns(found, found["train"]) if name not in (*results.REDUCED, "pure Python", BY_EPOCH)]
    lines = []
    for name, entries in found["train"].items():
        rung, made = rung_of("train", name), figures(entries)
        cells = []
        for peer in names:
            limit = peak(found, made[peer].threads) if peer in made else None
            cells.append(f"{rung.flops / made[peer].median / limit:.1%} ({made[peer].threads})" if limit else "-")
        lines.append([name, f"{rung.flops / 1e6:.3g} M", *cells])
    return markdown(["network [batch]", "operations a step", *(SHORT.get(name, name) for name in names)], lines)


def python(found):
    """Speed against the same training in pure Python."""
    lines = []
    for name, entries in found["train"].items():
        made = figures(entries)
        if "pure Python" in made and "fastnn" in made:
            slow, fast = made["pure Python"].median, made["fastnn"].median
            part = entries["pure Python"]["steps"] / rung_of("train", name).steps
            lines.append([name, duration(slow), duration(fast), ratio(slow / fast), f"{part:.0%} of an epoch a round"])
    return markdown(["network [batch]", "a step in pure Python", "fastnn", "faster", "pure Python measured on"], lines)


def squares(found):
    """Products of square matrices: share of the peak, and the best peer."""
    lines, made = [], [row for row in gemm.rows(found) if row.product.square]
    for size in dict.fromkeys(row.product.batch for row in made):
        cells = [f"{size}"]
        for threads in sorted({row.threads for row in made}):
            of_size = [row for row in made if row.product.batch == size and row.threads == threads]
            shares = [f"{row.share:.0%}" if row.share is not None else "-" for row in of_size]
            worst = min((row.less_call or row.called for row in of_size if row.called), default=None)
            cells += [" / ".join(shares), f"{ratio(worst[0])} ({SHORT.get(worst[1], worst[1])})" if worst else "-"]
        lines.append(cells)
    head = ["size"]
    for threads in sorted({row.threads for row in made}):
        word = "1 thread" if threads == 1 else f"{threads} threads"
        head += [
            f"{' / '.join(f'`{kind}`' for kind in rungs.Product.KINDS)}, of the peak of {word}",
            "least lead on the best peer",
        ]
    return markdown(head, lines)


def thin(found):
    """Products of thin layers, one thread: the least lead of the three on the best peer, as called (less the call)."""
    made = [row for row in gemm.rows(found) if not row.product.square and row.threads == 1]
    batches = sorted({row.product.batch for row in made})
    lines = []
    for inputs, units in dict.fromkeys((row.product.inputs, row.product.units) for row in made):
        cells = []
        for batch in batches:
            here = [
                row
                for row in made
                if (row.product.inputs, row.product.units, row.product.batch) == (inputs, units, batch)
            ]
            called = min((row.called[0] for row in here if row.called), default=None)
            less = min((row.less_call[0] for row in here if row.less_call), default=None)
            cells.append(f"{ratio(called)} ({ratio(less) if less else 'all call'})" if called else "-")
        lines.append([f"{inputs} to {units}", *cells])
    return markdown(["layer", *(f"batch {batch}" for batch in batches)], lines)


def package(found):
    """Import time and wheel."""
    lines = []
    if times := found.get("import"):
        lines.append(
            [
                "`import fastnn` beyond `import numpy`",
                duration(times["beyond"]),
                f"numpy itself {duration(times['numpy'])}",
            ]
        )
    if wheel := found.get("wheel"):
        lines.append(["wheel", f"{wheel['bytes'] / 2**20:.2f} MB", wheel["name"]])
    return markdown(["package", "measured", ""], lines)


def machine(found):
    """What was measured on."""
    where, limit = found["machine"], found.get("peak") or {}
    rates = " and ".join(f"{rate / 1e9:.0f} GFLOP/s on {n} thread{'s' * (n != '1')}" for n, rate in limit.items())
    versions = ", ".join(
        f"{SHORT.get(name, name)} {v}" for name, v in found["versions"].items() if results.is_peer(name)
    )
    text = f"{found['date']}, commit {found['commit']}: "
    text += f"{where['cpu']}, {where['cores']} cores, {where['memory_gib']:.0f} GiB"
    text += f"; multiply-add peak {rates}" if rates else ""
    text += f". fastnn {found['versions'].get('fastnn', '-')}; {versions}."
    if found["missing"]:
        text += " Not measured: " + "; ".join(f"{name} ({why})" for name, why in found["missing"].items()) + "."
    return text


# name: (what makes it, the part of the results that it needs)
TABLES = {
    "machine": (machine, None),
    "train": (train, "train"),
    "latency": (latency, "predict"),
    "rows": (rows, "predict"),
    "architectures": (architectures, "architectures"),
    "peak": (share, "train"),
    "python": (python, "train"),
    "gemm": (squares, "gemm"),
    "products": (thin, "gemm"),
    "package": (package, None),
}


def tables(found):
    """{name: Markdown} of all that the results allow."""
    made = {name: make(found) for name, (make, part) in TABLES.items() if part is None or found.get(part)}
    return {name: text for name, text in made.items() if text}


def fill(document, made):
    """The document with each marked place filled, the marks without a table, and the tables without a mark."""
    seen = []

    def replace(match):
        seen.append(match[1])
        return f"<!-- benchmark:{match[1]} -->\n{made[match[1]]}\n<!-- /benchmark -->" if match[1] in made else match[0]

    filled = re.sub(r"<!-- benchmark:(\w+) -->\n.*?<!-- /benchmark -->", replace, document, flags=re.DOTALL)
    return filled, [name for name in seen if name not in made], [name for name in made if name not in seen]


def details(found):
    """Every figure, with spread, threads and setting; losses and errors side by side."""
    parts = []
    checks = ("train", "loss"), ("predict", "error"), ("architectures", "loss"), ("answers", "loss")
    for task, checked in checks:
        for name, entries in found.get(task, {}).items():
            lines = []
            for peer, entry in entries.items():
                for threads, times in entry["times"].items():
                    one = results.Figure.of(times, threads)
                    lines.append([peer, threads, duration(one.median), f"{duration(one.low)} to {duration(one.high)}",
                                  entry["setting"][threads] or "-", f"{entry[checked]:.7g}"])  # fmt: skip
            word = {
                "train": f"mean loss of the first {rungs.CHECKED_STEPS} steps",
                "architectures": f"mean loss of the first {rungs.CHECKED_STEPS} steps",
                "predict": "largest error against float64",
                "answers": "mean cross entropy",
            }[task]
            head = ["peer", "threads", "median", "middle half", "setting", word]
            parts.append(f"### {task}: {name}\n\n" + markdown(head, lines))
    if found.get("gemm"):
        parts.append("### products\n\n```text\n" + "\n".join(gemm.table(gemm.rows(found))) + "\n```")
    return parts


def document(found):
    """tables.md: the short tables, then all figures."""
    parts = (
        ["# Benchmark results"] + [f"<!-- {name} -->\n{text}" for name, text in tables(found).items()] + details(found)
    )
    return "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=HERE / "results" / "latest.json")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    parser.add_argument("--print", action="store_true")
    args = parser.parse_args()
    found = results.read(args.results)
    if args.print:
        print(document(found))
        return
    filled, empty, unmarked = fill(args.readme.read_text(encoding="utf-8"), tables(found))
    args.readme.write_text(filled, encoding="utf-8")
    all_figures = HERE / "results" / "tables.md"
    all_figures.parent.mkdir(exist_ok=True)
    all_figures.write_text(document(found), encoding="utf-8")
    print(f"written: {args.readme}, {all_figures}")
    if empty:
        print(f"left as they were, since these results have nothing for them: {', '.join(empty)}")
    if unmarked:
        print(f"without a place in {args.readme.name}: {', '.join(unmarked)}")


if __name__ == "__main__":
    main()
