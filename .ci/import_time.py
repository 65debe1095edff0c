"""Reports what `import fastnn` costs beyond `import numpy`; the promise is 15 ms.

Each measurement is a new interpreter that imports numpy first. Processor time counts, and the least of all: what else
the machine does only ever adds to it. A figure, not a test: a busy machine is no fault of the package.
"""

import subprocess
import sys

PROMISE = 15.0  # milliseconds
ROUNDS = 40
CODE = """
import time, numpy
begin = time.process_time()
import fastnn
print((time.process_time() - begin) * 1e3)
"""


def measured() -> float:
    """Return the milliseconds of one import."""
    return float(subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True).stdout)


def main():
    cost = min(measured() for _ in range(ROUNDS))
    print(f"import fastnn costs {cost:.1f} ms beyond import numpy; the promise is {PROMISE:.0f} ms")


if __name__ == "__main__":
    main()
