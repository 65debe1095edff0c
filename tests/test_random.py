"""Random numbers: known answers, independence of position and length, and their distributions."""

import math

import numpy as np
import pytest
import reference_random

from fastnn._core import kernels

DTYPES = ["float32", "float64"]
KEYS = [(0, 0), (1, 2), (2**64 - 1, 2**60 + 3), (0x123456789ABCDEF0, 7)]


def test_reference_by_the_published_answers():
    """kat_vectors of the authors' Random123: philox4x32, 10 rounds."""
    ones = 0xFFFFFFFF
    pi = 0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344
    assert reference_random.philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert reference_random.philox((ones,) * 4, (ones,) * 2) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    assert reference_random.philox(pi, (0xA4093822, 0x299F31D0)) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("seed", "stream"), KEYS)
@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 65, 200])
def test_uniform_is_the_reference(dtype, seed, stream, n):
    got = kernels.random_uniform((n,), 0.0, 1.0, seed, stream, dtype)
    assert np.array_equal(got, reference_random.uniform(seed, stream, n, dtype).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draw", [kernels.random_uniform, kernels.random_normal])
def test_a_value_depends_on_its_position_alone(draw, dtype):
    long = draw((1000,), -1.0, 2.0, 5, 6, dtype)
    for n in (1, 2, 7, 63, 64, 65, 999):
        assert np.array_equal(draw((n,), -1.0, 2.0, 5, 6, dtype), long[:n])
    assert np.array_equal(draw((10, 100), -1.0, 2.0, 5, 6, dtype), long.reshape(10, 100))
    assert not np.array_equal(draw((1000,), -1.0, 2.0, 5, 7, dtype), long)
    assert not np.array_equal(draw((1000,), -1.0, 2.0, 4, 6, dtype), long)


def kolmogorov_distance(sample, distribution):
    """Largest distance between the sample's distribution function and the given one."""
    ordered = np.sort(sample.astype(np.float64))
    expected = distribution(ordered)
    n = len(ordered)
    return max(np.abs(np.arange(1, n + 1) / n - expected).max(), np.abs(np.arange(n) / n - expected).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stream", [0, 1, 1 << 60])
def test_uniform_distribution(dtype, stream):
    """Kolmogorov and Smirnov: sqrt(n) D is above 1.95 once in a thousand. Neighbours are uncorrelated."""
    n = 1_000_000
    u = kernels.random_uniform((n,), -2.0, 3.0, 11, stream, dtype)
    assert u.min() >= -2 and u.max() < 3
    assert math.sqrt(n) * kolmogorov_distance(u, lambda x: (x + 2) / 5) < 1.95
    for lag in (1, 2, 16, 32, 64):
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 4 / math.sqrt(n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stream", [0, 1, 1 << 60])
def test_normal_distribution(dtype, stream):
    n = 1_000_000
    z = kernels.random_normal((n,), 1.0, 3.0, 11, stream, dtype)
    erf = np.vectorize(math.erf)
    assert np.isfinite(z).all()
    assert math.sqrt(n) * kolmogorov_distance(z, lambda x: 0.5 * (1 + erf((x - 1) / 3 / math.sqrt(2)))) < 1.95
    standard = (z.astype(np.float64) - 1) / 3
    # each moment within 4 of its standard deviations; 6.3e-5 of all values lie beyond 4
    assert abs((standard**3).mean()) < 4 * math.sqrt(15 / n)
    assert abs((standard**4).mean() - 3) < 4 * math.sqrt(96 / n)
    assert abs((np.abs(standard) > 4).mean() - 6.334e-5) < 4 * math.sqrt(6.334e-5 / n)
    for lag in (1, 16, 32, 64):
        assert abs((standard[:-lag] * standard[lag:]).mean()) < 4 / math.sqrt(n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_never_reaches_its_end(dtype):
    """Where low and range round, the highest number could come out as `high`; it must not."""
    u = kernels.random_uniform((1_000_000,), 1.0, np.nextafter(np.float32(1), np.float32(2)), 3, 4, dtype)
    assert u.max() < np.nextafter(np.float32(1), np.float32(2))
    assert u.min() >= 1


def test_permutation():
    for n in (1, 2, 3, 10, 1000):
        assert np.array_equal(np.sort(kernels.permutation(n, 1, 2)), np.arange(n))
    assert np.array_equal(kernels.permutation(50, 1, 2), kernels.permutation(50, 1, 2))
    assert not np.array_equal(kernels.permutation(50, 1, 2), kernels.permutation(50, 1, 3))
    # every element is everywhere equally often: chi-square of a 6 x 6 table over 6000 draws, 25 degrees of freedom;
    # 52.6 is exceeded once in a thousand
    counts = np.zeros((6, 6))
    for stream in range(6000):
        counts[np.arange(6), kernels.permutation(6, 9, stream)] += 1
    assert ((counts - 1000) ** 2 / 1000).sum() < 52.6
