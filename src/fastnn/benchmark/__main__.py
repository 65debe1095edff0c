"""One network, all contenders: what `python -m fastnn bench` runs in a process of its own.

python -m fastnn.benchmark 64-32-10 32 1.0            the table
python -m fastnn.benchmark 64-32-10 32 1.0 --probe    NumPy's seconds a step alone
"""

import sys

from .contenders import CONTENDERS, NumPy
from .report import table
from .timing import race
from .workloads import Workload

sizes, batch_size, seconds, *options = sys.argv[1:]
workload = Workload(tuple(map(int, sizes.split("-"))), int(batch_size))
chosen = [NumPy] if "--probe" in options else [contender for contender in CONTENDERS if contender.installed()]
results = race([contender(workload) for contender in chosen], float(seconds))
print(results[0].step if "--probe" in options else table(workload, results))
