"""The memory plan: where every buffer of a program lives in one arena, from when it is first and last used.

Greedy by size over usage records, as in Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference"
(2020): the largest buffer first, each into the smallest gap between the buffers that live at the same time.
Knows nothing of ops or arrays.
"""

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def aligned(size: int) -> int:
    """`size` rounded up to the alignment."""
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def plan(records) -> tuple[list[int], int]:
    """Offsets for `records` of (bytes, first use, last use), and the size of the arena.

    Buffers whose uses overlap in time, ends included, never overlap in space.

    >>> plan([(64, 0, 1), (64, 2, 3), (100, 1, 2)])
    ([128, 128, 0], 192)
    """
    offsets = [0] * len(records)
    placed: list[int] = []
    total = 0
    for i in sorted(range(len(records)), key=lambda i: -records[i][0]):
        size, first, last = records[i]
        together = (j for j in placed if records[j][1] <= last and first <= records[j][2])
        alive = sorted((offsets[j], offsets[j] + aligned(records[j][0])) for j in together)
        offsets[i] = _smallest_gap(alive, aligned(size))
        placed.append(i)
        total = max(total, offsets[i] + aligned(size))
    return offsets, total


def _smallest_gap(occupied, size: int) -> int:
    """Start of the smallest gap between (start, end) stretches that holds `size`; the end of all where none does."""
    best, best_room, end = None, None, 0
    for start, stop in occupied:
        room = start - end
        if room >= size and (best is None or room < best_room):
            best, best_room = end, room
        end = max(end, stop)
    return end if best is None else best
