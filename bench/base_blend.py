#!/usr/bin/env python3
"""What a base that gives way to a moving average brings (src/lead/blend.h), without a network.

bench/base_blend.py DATA.npy ROWS_A_DAY [ORIGIN ..]      origins in per cent of the rows [40 50 60 70]

DATA is [T,N,N].  For each origin a ridge with the inputs of src/traffic/ridge.h is fitted on the rows before it (every
fourth of long series) and scored on the next 15 %, each flow divided by its maximum before the origin.  Prints, 1, 5 and
20 steps ahead, RMSE of the ridge and, over it, of the moving average (half-life 1 h) and of the blend of the two.
Gaps are ignored, and rows of more than 100 times the usual total repeat the row before.  Wants numpy.
"""
import sys

import numpy as np

ERROR_HOURS, LEVEL_HOURS, RATIO, LAGS = 6, 1, 2, 12


def average(x, half_life):
    y, keep = np.empty_like(x), 0.5 ** (1 / half_life)
    now = x[0].copy()
    for t in range(len(x)):
        now = keep * now + (1 - keep) * x[t]
        y[t] = now
    return y


def inputs(u, rows, step, day):
    season = (step - day - 1, step - day, step - day + 1, step - 7 * day)
    columns = [u[rows - i] for i in range(LAGS)] + [u[rows + i] for i in season] + [np.ones((len(rows), u.shape[1]))]
    return np.stack(columns, 2).transpose(1, 0, 2)   # [F,rows,17]


def in_pieces(rows):
    return (rows[i:i + 1000] for i in range(0, len(rows), 1000))


def ridge(u, end, step, day):
    n = LAGS + 5
    gram, right = np.zeros((u.shape[1], n, n)), np.zeros((u.shape[1], n, 1))
    for rows in in_pieces(np.arange(7 * day + 1, end - step, 4 if end > 15000 else 1)):
        x = inputs(u, rows, step, day)
        gram += x.transpose(0, 2, 1) @ x
        right += x.transpose(0, 2, 1) @ u[rows + step].T[..., None]
    penalty = np.eye(n)
    penalty[-1, -1] = 0   # not the intercept
    return np.linalg.solve(gram + penalty, right)


def origin(x, percent, day):
    end, last = len(x) * percent // 100, len(x) * (percent + 15) // 100
    most = x[:end].max(0)
    u = (x[:last] / np.where(most > 0, most, 1)).astype(np.float64)
    level = average(u, LEVEL_HOURS * day / 24)
    for step in (1, 5, 20):
        coef = ridge(u, end, step, day)
        rows = np.arange(max(7 * day + 1, end - 7 * day), last - step)
        base = np.concatenate([np.maximum(0, inputs(u, p, step, day) @ coef)[..., 0].T for p in in_pieces(rows)])
        truth, usual = u[rows + step], level[rows]
        # what is known at a row: the errors of forecasts of rows up to it
        known = [np.roll(average((f - truth) ** 2, ERROR_HOURS * day / 24), step, 0) for f in (base, usual)]
        for k in known:
            k[:step] = 1
        weight = 1 / (1 + (RATIO * (known[1] + 1e-12) / (known[0] + 1e-12)) ** 2)
        blend = base + weight * (usual - base)
        scored = slice(end - rows[0], None)
        rmse = [np.sqrt(((f - truth)[scored] ** 2).mean()) for f in (base, usual, blend)]
        print(f"{percent}\t{step}\t{rmse[0]:.4f}\t{rmse[1] / rmse[0]:.3f}\t{rmse[2] / rmse[0]:.3f}", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    x = np.nan_to_num(np.load(sys.argv[1]).astype(np.float32))
    x = x.reshape(len(x), -1)
    total = x.sum(1)
    for t in np.flatnonzero(total > 100 * np.median(total)):
        x[t] = x[t - 1]
    print("origin\tstep\tridge\taverage\tblend")
    for percent in [int(v) for v in sys.argv[3:]] or (40, 50, 60, 70):
        origin(x, percent, int(sys.argv[2]))


if __name__ == "__main__":
    main()
