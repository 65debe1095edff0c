"""The kernels of another architecture: built by a cross compiler, run by qemu's user mode.

The C harness checks every kernel on every target of that architecture, against long double and with guard pages, as
`make -C csrc test` does for this CPU's own.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parent.parent / "csrc"
pytestmark = pytest.mark.cross


@pytest.mark.parametrize(
    "compiler, emulator, targets", [("aarch64-linux-gnu-gcc", "qemu-aarch64", ["neon", "baseline"])]
)
def test_the_harness_passes_under_emulation(tmp_path, compiler, emulator, targets):
    for tool in (compiler, emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (on Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)")
    make = ["make", "-C", CSRC, "--silent", "--no-print-directory", "--jobs=2", f"BUILD={tmp_path}", f"CC={compiler}"]
    done = subprocess.run([*make, f"RUN={emulator}", "test"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert re.search(r"^targets: (.*)$", done.stdout, re.M)[1].split() == targets
    assert re.search(r"^(\d+) passed, 0 failed$", done.stdout, re.M)
