"""What having fastnn costs: the time of its import beyond NumPy's, and the size of its wheel."""

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def import_times(rounds=15):
    """Medians in seconds of `import numpy` and of `import numpy; import fastnn`, each in new processes, by turns."""
    programs = {"numpy": "import numpy", "with fastnn": "import numpy; import fastnn"}
    times = {name: [] for name in programs}
    for round in range(rounds + 1):
        for name, statement in programs.items():
            code = f"from time import perf_counter as t; start = t(); {statement}; print(t() - start)"
            took = float(
                subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            )
            if round:  # the first one brings the files into the system's cache
                times[name].append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {**medians, "beyond": medians["with fastnn"] - medians["numpy"]}


def wheel_size():
    """Name and bytes of the newest wheel in dist/ (pip wheel . --no-deps -w dist), or None."""
    wheels = sorted((ROOT / "dist").glob("fastnn-*.whl"), key=lambda path: path.stat().st_mtime)
    return {"name": wheels[-1].name, "bytes": wheels[-1].stat().st_size} if wheels else None
