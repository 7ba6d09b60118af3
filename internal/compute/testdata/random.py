"""Writes random.json: initial values, computed from their definition.

Philox4x32-10 follows Salmon et al. 2011, section 3.3, and is first checked
against the known answers of Random123 1.14 (kat_vectors). Run: python random.py
"""

import json
import math
import pathlib

M32 = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        hi0, lo0 = divmod(0xD2511F53 * c[0], 1 << 32)
        hi1, lo1 = divmod(0xCD9E8D57 * c[2], 1 << 32)
        c = [hi1 ^ c[1] ^ k[0], lo1, hi0 ^ c[3] ^ k[1], lo0]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([M32] * 4, [M32] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def fnv1a(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % (1 << 64)
    return h


def units(n, seed, name):
    """n numbers in [0, 1), from the upper 24 bits of each word."""
    words, h = [], fnv1a(name)
    for block in range((n + 3) // 4):
        words += philox([block, h & M32, h >> 32, M32], [seed & M32, seed >> 32])
    return [(w >> 8) / 2**24 for w in words]


def uniform(n, seed, name, bound):
    return [(2 * u - 1) * bound for u in units(n, seed, name)[:n]]


def normal(n, seed, name, std):
    out, u = [], units(n + 1, seed, name)
    for i in range(0, n, 2):
        radius, angle = std * math.sqrt(-2 * math.log(1 - u[i])), 2 * math.pi * u[i + 1]
        out += [radius * math.cos(angle), radius * math.sin(angle)]
    return out[:n]


cases = []
for seed, name, n, scale in [
    (1, "layer.0.lora_A.weight", 9, 0.25),
    (42, "classifier.weight", 6, 0.02),
    (2**63 + 5, "é", 5, 1.0),
]:
    cases.append({
        "seed": seed, "name": name, "scale": scale,
        "uniform": uniform(n, seed, name, scale), "normal": normal(n, seed, name, scale),
    })
path = pathlib.Path(__file__).with_name("random.json")
path.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")
