"""Keyed permutations: a shuffled order that needs no list, no state and no random number generator.

`permute` maps position to element by an alternating Feistel network on the smallest power of two that holds the
domain; an image outside the domain is mapped again until it falls inside (cycle walking, at most about two
applications on average), which makes the map a bijection of range(n). All arithmetic is on unsigned 64-bit integers
with the finalizer of SplitMix64 (Steele, Lea, Flood 2014), so the order is the same for every version of numpy and
on every machine. Golden vectors in the tests pin it; any change here needs a new `schedule.VERSION`.
"""

import hashlib

import numpy as np

ROUNDS = 16
"""Enough that every element is equally likely at every position, down to domains of two elements (tested)."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = tuple(np.array(n, dtype=np.uint64) for n in (30, 27, 31))
_FACTORS = tuple(np.array(n, dtype=np.uint64) for n in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def key_of(*parts: object) -> int:
    """A 64-bit key from the texts of `parts`; distinct sequences of parts give unrelated keys."""
    text = "".join(f"{len(str(part))}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix64(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer, elementwise on uint64: every input bit reaches every output bit."""
    x = x ^ (x >> _SHIFTS[0])
    x *= _FACTORS[0]
    x ^= x >> _SHIFTS[1]
    x *= _FACTORS[1]
    x ^= x >> _SHIFTS[2]
    return x


def subkeys(key: np.ndarray | int, counter: np.ndarray | int) -> np.ndarray:
    """The `counter`-th keys derived from `key`, elementwise, uint64; at least one-dimensional."""
    key, counter = np.atleast_1d(np.asarray(key, dtype=np.uint64)), np.atleast_1d(counter).astype(np.uint64)
    return mix64(key + (counter + np.uint64(1)) * _GOLDEN)


def permute(position: np.ndarray, n: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Element at `position` of the permutation of range(n) named by `key`; all three (m,) and elementwise.

    Returns (m,) int64. For fixed n and key, the positions 0..n-1 give each of 0..n-1 once.
    """
    position, n, key = (np.asarray(a).astype(np.uint64) for a in (position, n, key))
    bits = _bit_length(n - np.uint64(1))
    low_bits = bits - bits // np.uint64(2)
    high_bits = bits - low_bits
    rounds = np.stack([subkeys(key, i) for i in range(ROUNDS)])
    result = _feistel(position, low_bits, high_bits, rounds)
    outside = np.flatnonzero(result >= n)
    while len(outside):
        again = _feistel(result[outside], low_bits[outside], high_bits[outside], rounds[:, outside])
        result[outside] = again
        outside = outside[again >= n[outside]]
    return result.astype(np.int64)


def shuffled(n: int, key: int) -> np.ndarray:
    """The numbers 0..n-1 in an order named by `key`, (n,) int64; for small n that fit in memory."""
    return np.argsort(subkeys(key, np.arange(n)), kind="stable")


def _feistel(x: np.ndarray, low_bits: np.ndarray, high_bits: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """One application to x (m,), with the keys `rounds` (ROUNDS, m)."""
    one = np.uint64(1)
    low_mask, high_mask = (one << low_bits) - one, (one << high_bits) - one
    low, high = x & low_mask, x >> low_bits
    for i in range(0, ROUNDS, 2):
        high ^= mix64(rounds[i] ^ low) & high_mask
        low ^= mix64(rounds[i + 1] ^ high) & low_mask
    high <<= low_bits
    return high | low


def _bit_length(x: np.ndarray) -> np.ndarray:
    """Number of bits of each x, 0 for 0. Exact below 2^53, far above any number of frames."""
    return np.frexp(x.astype(np.float64))[1].astype(np.uint64)
