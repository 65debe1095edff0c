"""The memory plan: what lives at the same time lies apart, and the arena is no larger than it must be."""

import random

import pytest

from fastnn._memory import ALIGNMENT, aligned, plan


def live_bytes(records):
    """The most bytes alive at any time: no arena can be smaller."""
    times = {t for _, first, last in records for t in (first, last)}
    return max((sum(aligned(size) for size, first, last in records if first <= t <= last) for t in times), default=0)


def assert_sound(records):
    offsets, total = plan(records)
    assert len(offsets) == len(records)
    placed = [(o, o + aligned(size), first, last) for o, (size, first, last) in zip(offsets, records, strict=True)]
    for i, (start, stop, first, last) in enumerate(placed):
        assert start % ALIGNMENT == 0 and start >= 0 and stop <= total
        for other_start, other_stop, other_first, other_last in placed[:i]:
            apart_in_time = last < other_first or other_last < first
            assert apart_in_time or stop <= other_start or other_stop <= start
    assert total >= live_bytes(records)
    assert total <= sum(aligned(size) for size, _, _ in records)
    return total


@pytest.mark.parametrize("seed", range(200))
def test_buffers_that_live_together_lie_apart(seed):
    rng = random.Random(seed)
    records = []
    for _ in range(rng.randrange(1, 60)):
        first = rng.randrange(30)
        records.append((rng.choice([0, 1, 63, 64, 65, 4096, rng.randrange(10_000)]), first, first + rng.randrange(12)))
    assert_sound(records)


def test_nothing_needs_nothing():
    assert plan([]) == ([], 0)


@pytest.mark.parametrize("length", [2, 3, 10, 51])
def test_a_chain_takes_two_buffers(length):
    """What a prediction is: each value is read by the next op alone."""
    assert assert_sound([(1000, t, t + 1) for t in range(length)]) == 2 * aligned(1000)


def test_a_chain_of_falling_sizes_takes_the_two_largest():
    assert assert_sound([(1000 - 100 * t, t, t + 1) for t in range(8)]) == aligned(1000) + aligned(900)


def test_values_that_are_kept_share_nothing():
    """What training is: every value waits for the backward pass, which runs in the other direction."""
    records = [(640, t, 20 - t) for t in range(10)]
    assert assert_sound(records) == 10 * 640


def test_touching_at_one_moment_is_living_together():
    offsets, total = plan([(64, 0, 5), (64, 5, 9)])
    assert total == 128 and offsets[0] != offsets[1]


def test_the_smallest_gap_that_fits_is_taken():
    """The fifth buffer finds gaps of 256 and of 128 bytes and takes the one that it fills."""
    records = [(1024, 0, 9), (512, 5, 9), (256, 0, 4), (128, 0, 9), (128, 5, 9)]
    offsets, total = plan(records)
    assert_sound(records)
    assert total == live_bytes(records)


@pytest.mark.parametrize("size,expected", [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_sizes_are_rounded_to_cache_lines(size, expected):
    assert aligned(size) == expected
