#!/usr/bin/env python3
"""Makes holes in measured traffic, to see what missing values cost: a series with NaN in the place of some values.

bench/punch_holes.py IN.npy OUT.npy --share 0.05 [--seed 1]      each value missing with this probability
bench/punch_holes.py IN.npy OUT.npy --dark NODE ROWS:ROWS        a node dark: all it sends and receives in these rows

Wants numpy.  times.npy beside IN is copied beside OUT.  (docs/measured.md, "Missing values")
"""
import argparse
import os
import shutil

import numpy as np


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("source")
    args.add_argument("target")
    args.add_argument("--share", type=float, default=0)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--dark", nargs=2, metavar=("NODE", "ROWS"), action="append", default=[])
    o = args.parse_args()
    x = np.load(o.source).astype(np.float32)
    if o.share > 0:
        x[np.random.default_rng(o.seed).random(x.shape) < o.share] = np.nan
    for node, rows in o.dark:
        begin, end = map(int, rows.split(":"))
        x[begin:end, int(node), :] = np.nan
        x[begin:end, :, int(node)] = np.nan
    folder = os.path.dirname(os.path.abspath(o.target))
    os.makedirs(folder, exist_ok=True)
    np.save(o.target, x)
    times = os.path.join(os.path.dirname(os.path.abspath(o.source)), "times.npy")
    if os.path.exists(times):
        shutil.copy(times, os.path.join(folder, "times.npy"))
    print(f"{o.target}: {np.isnan(x).mean():.2%} of the values missing")


main()
