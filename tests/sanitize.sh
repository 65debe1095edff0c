#!/usr/bin/env bash
# The Python tests on extensions built with the address and undefined behaviour sanitizers of GCC:
#
#   tests/sanitize.sh tests/ops tests/test_cases.py        arguments are pytest's
#
# Without arguments all of them, but those below that a sanitizer's own memory and libraries stand in the way of.
# PYTHON (default: python3) needs NumPy, Cython, setuptools and pytest; what is built lies under BUILD (default:
# build/sanitize) and is built again only where it changed. Leaks are not looked for: the interpreter frees little at its
# end. tests/test_out_of_memory.py counts what fastnn leaves behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
build=${BUILD:-build/sanitize}
mkdir -p "$build"
build=$(cd "$build" && pwd)

FASTNN_SANITIZE=1 "$python" setup.py --quiet build_clib --build-temp "$build/temp" --build-clib "$build/clib" \
    build_ext --build-temp "$build/temp" --build-lib "$build/lib"
"$python" - "$build/lib/fastnn" <<'PYTHON'
import shutil
import sys

shutil.copytree("src/fastnn", sys.argv[1], ignore=shutil.ignore_patterns("*.so", "__pycache__"), dirs_exist_ok=True)
PYTHON

if [ $# = 0 ]; then
    # They refuse memory, preload an allocator of their own, measure memory, or look at what is linked and installed.
    set -- tests --ignore=tests/test_out_of_memory.py --ignore=tests/trust/test_sizes.py \
        --ignore=tests/trust/test_soak.py --ignore=tests/trust/test_extensions.py --ignore=tests/test_readme.py \
        --ignore=tests/test_cross_compile.py
fi

# libstdc++ has to be there before the address sanitizer looks for the exceptions that NumPy's C++ throws.
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so) $(gcc -print-file-name=libstdc++.so)"
LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH="$build/lib" \
    "$python" -m pytest -p no:cacheprovider "$@"
