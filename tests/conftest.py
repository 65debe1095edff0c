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


@pytest.fixture(autouse=True)
def one_thread_of_torch(request):
    """Beside PyTorch: bitwise repeatable, and out of the way of other tests."""
    if request.node.get_closest_marker("torch") is not None:
        pytest.importorskip("torch").set_num_threads(1)


@pytest.fixture
def interrupts():
    """SIGINT raises KeyboardInterrupt: a shell that runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
