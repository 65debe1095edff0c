"""The extension modules need libc, libm and libpthread of the system and nothing else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastnn

ALLOWED = re.compile(r"(libc|libm|libpthread)\.(so(\.\d+)?|musl-\w+\.so\.1)|ld-linux[-\w]*\.so\.\d+")


@pytest.mark.skipif(shutil.which("readelf") is None, reason="reads ELF files by readelf")
def test_needed_libraries():
    modules = [*(Path(fastnn.__file__).parent / "_core").glob("*.so")]
    assert len(modules) == 3
    for module in modules:
        header = subprocess.run(["readelf", "-d", module], capture_output=True, text=True, check=True).stdout
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", header)
        assert needed and [name for name in needed if not ALLOWED.fullmatch(name)] == []
