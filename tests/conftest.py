"""Shared by all tests. Being here, it also puts this folder on the path, so that tests/ops can import reference.py."""

import os

import pytest

from fastnn._core import binding


def pytest_report_header(config):
    return f"fastnn kernels: {binding.target_name()}, of {', '.join(binding.targets())}"


@pytest.fixture(scope="session")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")
