"""`python -m fastnn bench`: this machine's fastnn beside pure Python and NumPy, and the peers that are installed.

Training steps of two small networks, timed side by side in one run. The networks written in pure Python and in NumPy
are here too, to be read.
"""

import argparse
import sys


def main(argv=None, workloads=None) -> int:
    """Run the comparison and print a table for each network; `workloads` replaces the usual ones."""
    parser = argparse.ArgumentParser(prog="python -m fastnn bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each contender and network (default: 1)")
    arguments = parser.parse_args(argv)
    if not arguments.seconds > 0:
        parser.error("--seconds: expected a number above 0")

    from .contenders import CONTENDERS
    from .report import machine, table
    from .timing import race
    from .workloads import WORKLOADS

    installed = [contender for contender in CONTENDERS if contender.installed()]
    print(machine())
    for missing in CONTENDERS:
        if missing not in installed:
            print(f"{missing.name} is not installed and left out.")
    for workload in workloads or WORKLOADS:
        results = race([contender(workload) for contender in installed], arguments.seconds)
        print("\n" + table(workload, results), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
