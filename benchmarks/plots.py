"""Plots from a file of results, as small PNG files in docs/images.

python benchmarks/plots.py [RESULTS.json] [--output FOLDER]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import matplotlib  # noqa: E402

matplotlib.use("Agg")
import gemm  # noqa: E402
import results  # noqa: E402
import rungs  # noqa: E402
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import PercentFormatter  # noqa: E402

# Colours that the colour-blind can tell apart (Okabe and Ito); fastnn is black, its variants grey.
COLOURS = {
    "fastnn": "#000000",
    "fastnn predictor()": "#777777",
    "fastnn high": "#555555",
    "fastnn medium": "#999999",
    "NumPy": "#56b4e9",
    "scikit-learn": "#009e73",
    "PyTorch eager": "#d55e00",
    "PyTorch compile": "#e69f00",
    "PyTorch medium": "#f0e442",
    "JAX": "#0072b2",
    "JAX by epoch": "#7fb8d8",
    "ONNX Runtime": "#cc79a7",
    "pure Python": "#bbbbbb",
}


def names_in(found, task, without=()):
    present = {name for entries in found[task].values() for name in results.figures(entries)}
    return [name for name in COLOURS if name in present and name not in without]


def step_times(found):
    """Time of a training step against the size of the network."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name in names_in(found, "train"):
        points = []
        for rung_name, entries in found["train"].items():
            made = results.figures(entries)
            if name in made:
                points.append((results.rung_of("train", rung_name).flops, made[name].median * 1e6))
        axes.plot(
            *zip(*sorted(points), strict=True),
            "o-",
            color=COLOURS[name],
            label=name,
            lw=2.5 if name == "fastnn" else 1.2,
            ms=4,
        )
    if limit := results.peak(found, 1):
        flops = sorted(results.rung_of("train", name).flops for name in found["train"])
        axes.plot(flops, [f / limit * 1e6 for f in flops], ":", color="#777777", label="multiply-add peak of a core")
        axes.set_ylim(bottom=0.05)
    axes.set(xscale="log", yscale="log", xlabel="operations in the products of a step", ylabel="microseconds a step")
    axes.set_title("A training step: Adam, float32, shuffled minibatches")
    axes.legend(fontsize=8)
    return figure


def bars(axes, groups, names, value, label):
    """Grouped bars: value(group, name) or None."""
    width = 0.85 / len(names)
    for i, name in enumerate(names):
        at = [(g + (i - (len(names) - 1) / 2) * width, value(group, name)) for g, group in enumerate(groups)]
        at = [(x, y) for x, y in at if y is not None]
        axes.bar([x for x, _ in at], [y for _, y in at], width, color=COLOURS[name], label=name)
    axes.set_xticks(range(len(groups)), [label(group) for group in groups])
    axes.legend(fontsize=8)


def latency(found):
    """Time of predicting one row."""
    groups = [name for name in found["predict"] if results.rung_of("predict", name).rows == 1]

    def value(group, name):
        made = results.figures(found["predict"][group])
        return made[name].median * 1e6 if name in made else None

    figure, axes = pyplot.subplots(figsize=(8, 4))
    bars(axes, groups, names_in(found, "predict"), value, lambda group: results.rung_of("predict", group).network)
    axes.set(yscale="log", ylabel="microseconds", title="One row, NumPy in, NumPy out")
    return figure


def efficiency(found):
    """Share of the measured multiply-add peak that training reaches, of as many cores as threads were used."""

    def value(group, name):
        made, rung = results.figures(found["train"][group]), results.rung_of("train", group)
        return rung.flops / made[name].median / results.peak(found, made[name].threads) if name in made else None

    figure, axes = pyplot.subplots(figsize=(8, 4))
    groups = list(found["train"])
    names = names_in(found, "train", without=(*results.REDUCED, "pure Python"))
    bars(
        axes,
        groups,
        names,
        value,
        lambda group: group.replace(" ", "\n").replace("1024-1024-1024-1024", "1024-...-1024"),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(ylabel="of the multiply-add peak", title="Training against the machine's limit")
    axes.tick_params(axis="x", labelsize=7)
    return figure


def shares(found, name, made):
    """[(product, share of the peak)] of fastnn's kernels or of a peer as called."""
    seconds = [(row, row.seconds if name == "fastnn" else row.peers.get(name, (None,))[0]) for row in made]
    return [(row.product, row.product.flops / t / results.peak(found, row.threads)) for row, t in seconds if t]


def squares(found, axes):
    rows = [row for row in gemm.rows(found) if row.product.square and row.product.orientation == "nn"]
    for name in names_in(found, "gemm", without=results.REDUCED):
        for threads, style in ((1, "-"), (2, "--")):
            points = shares(found, name, [row for row in rows if row.threads == threads])
            label = f"{name}, {threads} thread{'s' * (threads > 1)}"
            sizes, heights = [product.batch for product, _ in points], [share for _, share in points]
            axes.plot(
                sizes, heights, f"o{style}", color=COLOURS[name], label=label, ms=4, lw=2 if name == "fastnn" else 1
            )
    axes.set(xscale="log", xlabel="n of n x n by n x n", title="Square products, x @ W")
    axes.set_xticks(rungs.SQUARES, [str(size) for size in rungs.SQUARES])
    axes.minorticks_off()


def thin(found, axes):
    rows = [row for row in gemm.rows(found) if not row.product.square and row.threads == 1]
    for name in reversed(names_in(found, "gemm", without=results.REDUCED)):
        points = shares(found, name, rows)
        for kind, marker in zip(rungs.Product.KINDS, "o^s", strict=True):
            of_kind = [(product.flops, share) for product, share in points if product.kind == kind]
            label = f"{name}, {kind}" if name == "fastnn" else f"{name}, as called" if kind == "x @ W" else None
            axes.scatter(*zip(*of_kind, strict=True), s=12, marker=marker, color=COLOURS[name], alpha=0.7, label=label)
    axes.set(xscale="log", xlabel="operations in the product", title="Products of thin layers, one thread")


def products(found):
    """Share of the peak by shape: squares by size, and thin layers by their work."""
    figure, both = pyplot.subplots(1, 2, figsize=(9, 4), sharey=True)
    squares(found, both[0])
    thin(found, both[1])
    both[0].set(ylim=(0, 1.02), ylabel="of the multiply-add peak")
    both[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in both:
        axes.legend(fontsize=7)
    return figure


PLOTS = {"step_times": (step_times, "train"), "latency": (latency, "predict"), "efficiency": (efficiency, "train"),
         "gemm": (products, "gemm")}  # fmt: skip


def draw(found, folder):
    """The paths of the plots that the results allow."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, (plot, needs) in PLOTS.items():
        if not found.get(needs) or (needs == "gemm" or name == "efficiency") and not found.get("peak"):
            continue
        figure = plot(found)
        figure.tight_layout()
        path = folder / f"benchmark_{name}.png"
        figure.savefig(path, dpi=110, metadata={"Software": None})
        pyplot.close(figure)
        made.append(path)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=HERE / "results" / "latest.json")
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs" / "images")
    args = parser.parse_args()
    for path in draw(results.read(args.results), args.output):
        print(f"written: {path} ({path.stat().st_size / 1024:.0f} KB)")


if __name__ == "__main__":
    main()
