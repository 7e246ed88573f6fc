"""The union of many byte ranges, by `app.domain.byteranges` and by libraries: `python -m bench.peers.union CASE COUNT WAY…`.

Prints one JSON object a way: CPU seconds, and the result as a digest with its length. Runs in the peers' environment.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from app.domain import byteranges

Pairs = list[tuple[int, int]]
LENGTH = 65_536
"""Bytes of a piece."""


def cases(name: str, count: int) -> Pairs:
    """(lo, hi), inclusive: pieces of a file with every tenth lacking, or every second byte of one, shuffled."""
    if name == "one-byte":
        pairs = [(2 * number, 2 * number) for number in range(count)]
    else:
        pairs = [
            (number * LENGTH, (number + 1) * LENGTH - 1) for number in range(count * 10 // 9 + 1) if number % 10 != 9
        ][:count]
    if name == "reversed":
        return pairs[::-1]
    if name in ("shuffled", "one-byte"):
        random.Random(1).shuffle(pairs)
    return pairs


# -- one by one, as a stream brings them: a true union after each


def ours(pairs: Pairs) -> Pairs:
    ranges: byteranges.Ranges = ()
    for lo, hi in pairs:
        ranges = byteranges.add(ranges, lo, hi)
    return list(ranges)


def portion_one_by_one(pairs: Pairs) -> Pairs:
    import portion

    union = portion.empty()
    for lo, hi in pairs:
        union = union | portion.closedopen(lo, hi + 1)
    return [(atom.lower, atom.upper - 1) for atom in union]


def intervaltree_one_by_one(pairs: Pairs) -> Pairs:
    import intervaltree

    tree = intervaltree.IntervalTree()
    for lo, hi in pairs:
        met = tree.overlap(lo - 1, hi + 2)  # half open: those that touch, too
        begin, end = min([lo, *(each.begin for each in met)]), max([hi + 1, *(each.end for each in met)])
        for each in met:
            tree.remove(each)
        tree.addi(begin, end)
    return sorted((each.begin, each.end - 1) for each in tree)


def pyroaring_one_by_one(pairs: Pairs) -> Pairs:
    import pyroaring

    bits = pyroaring.BitMap64()
    for lo, hi in pairs:
        bits.add_range(lo, hi + 1)
    return _runs_of_bitmap(bits)


def _runs_of_bitmap(bits: Any) -> Pairs:
    """Reads runs by rank: each is as long as the numbers go on."""
    found, size, at = [], len(bits), 0
    while at < size:
        lo = bits[at]
        low, high = at, size - 1  # the last place whose number is as far from lo as its place from at
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if bits[middle] - lo == middle - at else (low, middle - 1)
        found.append((lo, bits[low]))
        at = low + 1
    return found


def bitmap_one_by_one(pairs: Pairs) -> Pairs:
    """A numpy array with a byte for each byte of the file."""
    import numpy

    bits = numpy.zeros(max(hi for _, hi in pairs) + 3, dtype=numpy.int8)
    for lo, hi in pairs:
        bits[lo + 1 : hi + 2] = 1
    edges = numpy.flatnonzero(numpy.diff(bits))
    return list(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))


# -- all at once, as a batch has them


def ours_at_once(pairs: Pairs) -> Pairs:
    return list(byteranges.normalise(pairs))


def portion_at_once(pairs: Pairs) -> Pairs:
    import portion

    union = portion.Interval(*[portion.closedopen(lo, hi + 1) for lo, hi in pairs])
    return [(atom.lower, atom.upper - 1) for atom in union]


def intervaltree_at_once(pairs: Pairs) -> Pairs:
    import intervaltree

    tree = intervaltree.IntervalTree.from_tuples([(lo, hi + 1) for lo, hi in pairs])
    tree.merge_overlaps(strict=False)
    return sorted((each.begin, each.end - 1) for each in tree)


def numpy_at_once(pairs: Pairs) -> Pairs:
    """Sorted columns and a running maximum."""
    import numpy

    columns = numpy.array(pairs)
    columns = columns[columns[:, 0].argsort(kind="stable")]
    lo, reach = columns[:, 0], numpy.maximum.accumulate(columns[:, 1])
    begins = numpy.concatenate(([True], lo[1:] > reach[:-1] + 1))
    ends = numpy.concatenate((begins[1:], [True]))
    return list(zip(lo[begins].tolist(), reach[ends].tolist(), strict=True))


WAYS: dict[str, Callable[[Pairs], Pairs]] = {
    "ours": ours,
    "portion": portion_one_by_one,
    "intervaltree": intervaltree_one_by_one,
    "pyroaring": pyroaring_one_by_one,
    "bitmap": bitmap_one_by_one,
    "ours at once": ours_at_once,
    "portion at once": portion_at_once,
    "intervaltree at once": intervaltree_at_once,
    "numpy at once": numpy_at_once,
}


def main(case: str, count: int, ways: list[str]) -> None:
    pairs = cases(case, count)
    for name in ways:
        WAYS[name](pairs[:10])  # imports are no part of it
        began = time.process_time()
        found = WAYS[name](pairs)
        seconds = time.process_time() - began
        digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
        print(json.dumps({"way": name, "seconds": seconds, "ranges": len(found), "digest": digest}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
