"""The start of a run of lor2c for PyTorch: initial values and the order of the examples.

Written from the definitions alone: values are Philox4x32-10 (Salmon et al. 2011, section 3.3) at a counter of position
and FNV-1a of the parameter's name, the order a Fisher-Yates shuffle by PCG-DXSM seeded with (seed, epoch).
`peer_finetune.py --start lor2c` uses it: two runs from one start differ in their dropout masks alone.
"""
import math

import numpy as np

MASK = (1 << 32) - 1


def fnv1a(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % (1 << 64)
    return h


def units(n, seed, name):
    """n numbers of [0, 1), the upper 24 bits of each word."""
    h, blocks = fnv1a(name), (n + 3) // 4
    c = [np.arange(blocks, dtype=np.uint64)] + [np.full(blocks, v, np.uint64) for v in (h & MASK, h >> 32, MASK)]
    k0, k1 = seed & MASK, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & np.uint64(MASK),
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & np.uint64(MASK)]
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return (np.stack(c, 1).reshape(-1)[:n] >> np.uint64(8)).astype(np.float64) / 2**24


def uniform(n, seed, name, bound):
    return (2 * units(n, seed, name) - 1) * bound


def normal(n, seed, name, std):
    """Normal values from pairs of uniform ones (Box and Muller 1958)."""
    u = units(n + n % 2, seed, name).reshape(-1, 2)
    radius, angle = std * np.sqrt(-2 * np.log(1 - u[:, 0])), 2 * math.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n]


def initial(name, shape, seed):
    """Values of the parameter with this key in an adapter file, or None if lor2c starts from zeros."""
    n = math.prod(shape)
    if ".lora_A." in name:
        return uniform(n, seed, name, 1 / math.sqrt(shape[1])).reshape(shape)
    if name.endswith("classifier.weight"):
        return normal(n, seed, name.removeprefix("base_model.model."), 0.02).reshape(shape)
    return None


def order(seed, epoch, n):
    """The examples of an epoch, counted from 0."""
    multiplier, increment = 0x2360ED051FC65DA44385DF649FCCF645, 0x5851F42D4C957F2D14057B7EF767814F
    cheap = 0xDA942042E4DD58B5
    state, places = seed << 64 | epoch, list(range(n))
    for i in range(n - 1, 0, -1):
        state = (state * multiplier + increment) % (1 << 128)
        hi, lo = state >> 64, state % (1 << 64) | 1
        hi ^= hi >> 32
        hi = hi * cheap % (1 << 64)
        hi ^= hi >> 48
        word = hi * lo % (1 << 64)
        j = word * (i + 1) >> 64
        places[i], places[j] = places[j], places[i]
    return places
