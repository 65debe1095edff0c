"""How the long versions of these instruments are run: `python tests/trust/test_NAME.py --count N --seed S`."""

import argparse
import sys
import time


def main(doc, run, count, end=None):
    """Runs `run(seed)` for `count` seeds, printing what fails and how far it is; the exit status says whether all held.

    A failure is told with its seed and the rest goes on, so that one run finds all there is. end: called at the end.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    given = parser.parse_args()
    begin, failed = time.monotonic(), 0
    for done, seed in enumerate(range(given.seed, given.seed + given.count), 1):
        try:
            run(seed)
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {error!s:.2000}", flush=True)
        if done % max(1, given.count // 20) == 0:
            print(f"{done} of {given.count} in {time.monotonic() - begin:.0f} s, {failed} failed", flush=True)
    if end:
        end()
    sys.exit(failed > 0)
