"""The specification of random numbers: Philox4x32-10 (Salmon et al. 2011) with Python integers, and its use.

Checked against the known answers that its authors publish (tests/test_random.py).
"""

import numpy as np

LANES = 16  # blocks that make one tile
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Four 32-bit words from a counter of four and a key of two."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = x0 * 0xD2511F53, x2 * 0xCD9E8D57
        x0, x1, x2, x3 = (b >> 32) ^ x1 ^ k0, b & MASK, (a >> 32) ^ x3 ^ k1, a & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return x0, x1, x2, x3


def words(seed, stream, tile):
    """The words of a tile: four rows, word w of each of its blocks."""
    key = seed & MASK, seed >> 32
    blocks = []
    for block in range(tile * LANES, (tile + 1) * LANES):
        blocks.append(philox((block & MASK, block >> 32, stream & MASK, stream >> 32), key))
    return np.array(blocks, dtype=np.uint64).T


def tiles(make, n):
    """The first n values of the tiles make(0), make(1), ..."""
    made = [make(0).ravel()]
    while len(made) * made[0].size < n:
        made.append(make(len(made)).ravel())
    return np.concatenate(made)[:n]


def uniform(seed, stream, n, dtype):
    """n numbers in [0, 1): 24 bits for float32, 53 for float64."""

    def make(tile):
        w = words(seed, stream, tile)
        if np.dtype(dtype) == np.float32:
            return (w >> 8) * 2.0**-24
        return ((w[0::2] >> 5) * 2.0**26 + (w[1::2] >> 6)) * 2.0**-53

    return tiles(make, n)


def dropout_mask(seed, stream, n, rate):
    """Where values are kept: 32 bits, as a fraction, are at least the rate."""
    return tiles(lambda tile: words(seed, stream, tile), n) * 2.0**-32 >= rate
