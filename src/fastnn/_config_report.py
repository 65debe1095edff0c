"""What this installation runs on: the answer to "which target, how many threads?"."""

import platform
import sys
from typing import Any


def show_config() -> dict[str, Any]:
    """Prints target, features, threads, precision and versions, and returns them as a dict."""
    import numpy as np

    from . import __version__
    from ._core import binding
    from ._threads import thread_count

    tiles = binding.tiles()
    config = {
        "fastnn": __version__,
        "target": binding.target_name(),
        "features": binding.target_features(),
        "targets": binding.targets(),
        "threads": thread_count(None),
        "cpus": binding.cpu_count(),
        "caches": {f"L{level}": binding.cache_size(level) for level in (1, 2, 3)},
        "precision": {
            "highest": "float32",
            "high": "sums of bfloat16 products" if tiles else "float32",
            "medium": "bfloat16 products" if tiles else "float32",
        },
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
    }
    for name, value in config.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(value)
        print(f"{name:10} {value}")
    return config
