"""Fills in what the README shows as printed: the output of its example and, with `--bench`, of the benchmark.

`python docs/update_readme.py [--bench]`, in an environment where the package is installed. Run the
benchmark on a machine that does nothing else.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def printed_by(*arguments: str) -> str:
    """Return what a Python process prints."""
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, encoding="utf-8").stdout


def block(text: str, marker: str) -> re.Match:
    """Find the fenced block under the comment `marker`."""
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no block {marker!r}")
    return found


def filled(text: str, marker: str, content: str) -> str:
    """Return the text with another content of a block."""
    found = block(text, marker)
    return text[: found.start(1)] + content + text[found.end(1) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", action="store_true", help="run the benchmark too")
    text = README.read_text(encoding="utf-8")
    text = filled(text, "output", printed_by("-c", block(text, "example").group(1)))
    if parser.parse_args().bench:
        text = filled(text, "bench", printed_by("-m", "fastnn", "bench"))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
