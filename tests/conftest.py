"""Shared by all tests. Being here, it also puts this folder on the path, so that tests/ops can import reference.py."""

import os
import signal

import pytest

from fastnn._core import binding


def pytest_report_header(config):
    return f"fastnn kernels: {binding.target_name()}, of {', '.join(binding.targets())}"


@pytest.fixture(scope="session")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


@pytest.fixture
def interrupts():
    """SIGINT raises KeyboardInterrupt: a shell that runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
