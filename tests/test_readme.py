"""The README's example runs and prints what the README says; its commands are those that CI runs."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def block(marker):
    """The fenced block under a comment <!-- marker -->."""
    found = re.search(rf"<!-- {re.escape(marker)} -->\n```\w*\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"no block {marker!r}"
    return found.group(1)


def test_example_prints_what_is_shown(tmp_path):
    code = block("example")
    assert 15 <= len(code.splitlines()) <= 25
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout == block("output")


def test_commands_are_one_line_each():
    for name in ("demo", "test"):
        assert len(block(f"command: {name}").strip().splitlines()) == 1
