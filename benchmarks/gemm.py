"""The products of training, fastnn's kernels beside NumPy and PyTorch: what the figures mean, and the whole table.

    python benchmarks/run.py --only gemm --output gemm.json && python benchmarks/gemm.py gemm.json

fastnn's kernels are measured as training runs them, without the interpreter. Users of NumPy and PyTorch pay for a call
from Python, about a microsecond, with `out=` given. So each peer has two times: as called, and less the call, which is
what the same peer takes for a product of 1 x 1 matrices. The second is in the peers' favour, since that call does some
arithmetic too.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import results  # noqa: E402
import rungs  # noqa: E402

# Of a peer's time, what must remain beside the call for a figure: below, it is noise.
REMAINDER = 0.1


@dataclass(frozen=True)
class Row:
    """One product on a number of threads: fastnn's seconds, and {peer: (as called, less the call or None)}."""

    product: rungs.Product
    threads: int
    seconds: float
    peers: dict
    share: float | None  # of the measured peak of so many threads

    @property
    def called(self):
        """The fastest peer as called: how many times fastnn's time it takes, and its name."""
        return min(((times[0] / self.seconds, name) for name, times in self.peers.items()), default=None)

    @property
    def less_call(self):
        """The same less the call; None where some peer's time is nothing but the call."""
        if not self.peers or any(times[1] is None for times in self.peers.values()):
            return None
        return min((times[1] / self.seconds, name) for name, times in self.peers.items())


def rows(found):
    """A Row for every product and number of threads in a file of results."""
    measured = found.get("gemm", {})
    made = []
    for name, entries in measured.items():
        product = results.rung_of("gemm", name)
        if product is None or product in rungs.CALLS or "fastnn" not in entries:
            continue
        cost = measured.get(rungs.Product(1, 1, 1, product.kind).name, {})
        for threads in map(int, entries["fastnn"]["times"]):
            figures, calls = results.figures(entries, threads), results.figures(cost, threads)
            seconds, peak = figures["fastnn"].median, results.peak(found, threads)
            others = {peer: f for peer, f in figures.items() if results.is_peer(peer)}
            peers = {peer: (f.median, _less(f, calls.get(peer))) for peer, f in others.items()}
            share = product.flops / seconds / peak if peak else None
            made.append(Row(product, threads, seconds, peers, share))
    return made


def _less(figure, call):
    if call is None or figure.median - call.median < REMAINDER * figure.median:
        return None
    return figure.median - call.median


def table(made):
    """Lines with all of it, for a terminal."""
    names = sorted({name for row in made for name in row.peers})
    head = f"{'product':26}{'threads':>8}{'fastnn us':>11}{'of peak':>9}"
    head += "".join(f"{name + ' us':>20}{'less the call':>15}" for name in names) + f"{'ratio':>8}{'less call':>11}"
    lines = [head]
    for row in made:
        share = f"{row.share:9.0%}" if row.share is not None else f"{'':9}"
        line = f"{row.product.name:26}{row.threads:8}{row.seconds * 1e6:11.4g}{share}"
        for name in names:
            called, less = row.peers.get(name, (None, None))
            line += f"{called * 1e6:20.4g}" if called else f"{'':20}"
            line += f"{less * 1e6:15.4g}" if less else f"{'-':>15}"
        line += f"{row.called[0]:8.2f}" if row.called else f"{'':8}"
        line += f"{row.less_call[0]:11.2f}" if row.less_call else f"{'-':>11}"
        lines.append(line)
    for title, ratios in (
        ("as called", [row.called for row in made if row.called]),
        ("less the call", [row.less_call for row in made if row.less_call]),
    ):
        lost = sum(ratio < 1 for ratio, _ in ratios)
        lines.append(f"{title}: {lost} of {len(ratios)} slower than the best peer")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=Path(__file__).parent / "results" / "latest.json")
    print("\n".join(table(rows(results.read(parser.parse_args().results)))))


if __name__ == "__main__":
    main()
