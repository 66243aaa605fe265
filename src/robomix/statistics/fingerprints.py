"""What statistics are known by, where they are compared and not looked at."""

import hashlib
from collections.abc import Mapping

import numpy as np

from robomix.statistics.compute import Stats


def stats_fingerprints(stats: Mapping[str, Stats]) -> dict[str, dict[str, str]]:
    """Hex digests of the statistics of each group: group to feature to digest.

    They are of float32 numbers, with which a policy is normalized: the last bits of float64 sums differ between
    processors.
    """
    return {group: {key: _digest(of_key) for key, of_key in of_group.items()} for group, of_group in stats.items()}


def _digest(stats: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(stats):
        digest.update(f"{name}\0".encode() + stats[name].astype("<f4").tobytes())
    return digest.hexdigest()
