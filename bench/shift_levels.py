#!/usr/bin/env python3
"""Multiplies the validation rows of a series, flow by flow, by factors that training has not seen.

    shift_levels.py IN.npy OUT.npy [SEED]

OUT.npy gets the rows of IN.npy ([T,N,N], '<f4', kbit/s); from one day (288 slots of 5 minutes) after the first
validation row on (70 % of the rows), flow f is multiplied by exp(0.15 + 0.35 n_f), n_f standard normal.  Training rows
stay as they are, so a run trained on IN.npy can be scored on them: lead eval --split val --data OUT.npy.  Copy times.npy
beside OUT.npy.  Wants numpy.
"""
import sys

import numpy as np

if len(sys.argv) not in (3, 4):
    sys.exit(__doc__)
x = np.load(sys.argv[1])
seed = int(sys.argv[3]) if len(sys.argv) == 4 else 5
factor = np.exp(np.random.default_rng(seed).normal(0.15, 0.35, size=x.shape[1:]))
y = x.copy()
y[len(x) * 7 // 10 + 288:] = y[len(x) * 7 // 10 + 288:] * factor
np.save(sys.argv[2], y)
