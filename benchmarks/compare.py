"""What became faster or slower between two files of results.

    python benchmarks/compare.py OLD.json NEW.json [--all]

A figure has changed where the middle halves of its rounds lie apart and the medians differ by more than 3 %. Peers of
the same version that moved show what the machine did meanwhile: their median change is printed, and fastnn's are
corrected by it.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import results  # noqa: E402

THRESHOLD = 0.03


@dataclass(frozen=True)
class Change:
    task: str
    rung: str
    peer: str
    old: results.Figure
    new: results.Figure

    @property
    def ratio(self):
        """Above 1: faster now."""
        return self.old.median / self.new.median

    def apart(self, drift=1.0):
        """Whether it is more than the spread and the threshold, with the machine's drift taken out."""
        low, high = self.new.low * drift, self.new.high * drift
        return (high < self.old.low or low > self.old.high) and abs(self.ratio / drift - 1) > THRESHOLD


def changes(old, new):
    """A Change for every peer and rung that both files have."""
    found = []
    for task in results.TASKS:
        for rung, before in old.get(task, {}).items():
            after = results.figures(new.get(task, {}).get(rung, {}))
            for peer, figure in results.figures(before).items():
                if peer in after:
                    found.append(Change(task, rung, peer, figure, after[peer]))
    return found


def machine_drift(found, old, new):
    """How much faster the peers of unchanged version run in the new file: the median, 1.0 where there are none."""
    same = {peer for peer, version in old["versions"].items() if new["versions"].get(peer) == version}
    ratios = [change.ratio for change in found if change.peer in same and not change.peer.startswith("fastnn")]
    return statistics.median(ratios) if ratios else 1.0


def report(old, new, show_all=False):
    """The lines of the comparison."""
    found = changes(old, new)
    drift = machine_drift(found, old, new)
    lines = [
        f"old: {old['date']} {old['commit']}, {old['machine']['cpu']}",
        f"new: {new['date']} {new['commit']}, {new['machine']['cpu']}",
        f"peers of unchanged version run at {drift:.3f} times their old speed; fastnn's changes are beside that",
    ]
    own = [change for change in found if change.peer.startswith("fastnn")]
    shown = [change for change in own if show_all or change.apart(drift)]
    for change in sorted(shown, key=lambda change: change.ratio):
        ratio = change.ratio / drift
        word = "faster" if ratio > 1 else "slower"
        mark = "" if change.apart(drift) else "  (within the spread)"
        times = f"{change.old.median * 1e6:12.4g} -> {change.new.median * 1e6:10.4g} us"
        changed = f"{max(ratio, 1 / ratio):.2f}x {word}{mark}"
        lines.append(f"{change.task:8}{change.rung:36}{change.peer:20}{times}  {changed}")
    lines.append(f"{sum(change.apart(drift) for change in own)} of {len(own)} figures of fastnn changed")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--all", action="store_true", help="also what did not change")
    args = parser.parse_args()
    print("\n".join(report(results.read(args.old), results.read(args.new), args.all)))


if __name__ == "__main__":
    main()
