#!/usr/bin/env python3
"""Cuts rows out of a series: as if a network had been measured from then on, for so long.

bench/cut_rows.py IN.npy OUT.npy BEGIN END      rows BEGIN .. END - 1; those of times.npy beside IN too

Wants numpy.  (docs/measured.md, "A new network")
"""
import os
import sys

import numpy as np

source, target, begin, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
x = np.load(source, mmap_mode="r")
if not 0 <= begin < end <= len(x):
    sys.exit(f"{source}: want rows of 0 .. {len(x)}, got {begin} .. {end}")
folder = os.path.dirname(os.path.abspath(target))
os.makedirs(folder, exist_ok=True)
np.save(target, x[begin:end])
times = os.path.join(os.path.dirname(os.path.abspath(source)), "times.npy")
if os.path.exists(times):
    np.save(os.path.join(folder, "times.npy"), np.load(times)[begin:end])
