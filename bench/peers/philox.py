"""Philox4x32-10 (Salmon et al., SC 2011) and what docs/math.md draws from it, in NumPy.

Counter words: (quad low, quad high, subsequence low, subsequence high); subsequence = site << 32 | step.
"""
import numpy as np

SITE_TIMESTEP, SITE_NOISE, SITE_DROPOUT, SITE_COND_DROP = 2, 3, 4, 5
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def draws(seed, site, step, offset, n):
    """n 32-bit draws from `offset` on, as uint32."""
    first = offset // 4
    quads = (offset + n + 3) // 4 - first
    quad = np.uint64(first) + np.arange(quads, dtype=np.uint64)
    c = [quad & _LOW, quad >> _32, np.full(quads, step, np.uint64), np.full(quads, site, np.uint64)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> _32) ^ c[1] ^ np.uint64(k0), p1 & _LOW, (p0 >> _32) ^ c[3] ^ np.uint64(k1), p0 & _LOW]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    flat = np.stack(c, axis=1).reshape(-1).astype(np.uint32)
    return flat[offset - 4 * first:][:n]


def unit(d):
    """(0,1): (k + 1/2) / 2^24 of the upper 24 bits, rounded to float."""
    return ((d >> np.uint32(8)).astype(np.float64) * 2.0**-24 + 2.0**-25).astype(np.float32).astype(np.float64)


def normals(seed, site, step, rows, length):
    """[rows, length] standard normals by Box-Muller; every row begins at a quad of its own."""
    padded = (length + 3) // 4 * 4
    d = draws(seed, site, step, 0, rows * padded).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log(unit(d[:, 0])))
    angle = 2 * np.pi * (d[:, 1] >> np.uint32(8)).astype(np.float64) * 2.0**-24
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return z.reshape(rows, padded)[:, :length]
