"""Measures what `import fastnn` costs beyond `import numpy`, and fails above the promised 15 ms.

New interpreters import one or the other in turn, so that both see the same machine. Processor time is measured and the
least of each is compared: what else the machine does only ever adds to it.
"""

import subprocess
import sys

LIMIT = 15.0  # milliseconds
ROUNDS = 25


def import_milliseconds(module: str) -> float:
    code = f"import time; t = time.process_time(); import {module}; print((time.process_time() - t) * 1e3)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> int:
    times = {"numpy": [], "fastnn": []}
    for _ in range(ROUNDS):
        for module, measured in times.items():
            measured.append(import_milliseconds(module))
    least = {module: min(measured) for module, measured in times.items()}
    cost = least["fastnn"] - least["numpy"]
    print(f"import numpy {least['numpy']:.1f} ms, import fastnn {least['fastnn']:.1f} ms")
    print(f"fastnn costs {cost:.1f} ms beyond numpy; the limit is {LIMIT:.0f} ms")
    return 0 if cost <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
