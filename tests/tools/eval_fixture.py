#!/usr/bin/env python3
"""The evaluation protocol (docs/math.md, E9) a second time, in numpy: splits, windows, ridge, scores.

Writes tests/eval_fixture.tsv, with which `make test AREA=protocol` compares what `lead eval` prints:

    tests/tools/eval_fixture.py > tests/eval_fixture.tsv

It reads nothing: traffic and forecasts are whole numbers made by a hash, which the test makes again.  With --files DIR
it writes them as traffic.npy, times.txt, a.npy, b.npy, c.npy too, to look at.
"""
import sys

import numpy as np

N, D, SECONDS, HISTORY, K, LAGS = 3, 16, 5400, 16, 20, 12   # K is more than a day
F, ROWS, SAMPLES, STRIDE = N * N, 60 * D, 6, 3
LEVELS = 99
HOLE, WIDTH = 500, 30          # rows from HOLE on come WIDTH slots later
INVALID = [200, 201, 905]
MONDAY = 1700438400


def mix(*key):
    """0 .. 2^32-1"""
    h = 0
    for k in key:
        h = ((h ^ int(k)) * 2654435761 + 974711) & 0xffffffff
        h ^= h >> 15
    return h


def traffic(t, f):
    """kbit/s: a daily wave, a level that wanders, noise.  Flow 5 climbs and falls, 8 is silent in two of three rows,
    7 from row 700 on, 6 before 680."""
    hour, wander = t % D, mix(1, t // 7, f) % 60
    if f == 8 and t % 3 or f == 7 and t >= 700 or f == 6 and t < 680:
        return 0
    if f == 5:
        return 900 + 24 * abs(t % 100 - 50) + mix(2, t, f) % 4
    return 3 * (40 + 30 * f + (12 - abs(hour - 9)) * (8 + f) + wander * (1 + f % 3) + mix(2, t, f) % 40)


def forecast(name, window, s, h, f, truth):
    """A forecast that strays more the further it looks; sample s of model `name`."""
    away = mix(name, window, h, f) % 41 - 20 + mix(name, window, s, h, f) % (21 + 4 * h) - 2 * h
    return max(0, int(truth) + 3 * away)


x = np.array([[traffic(t, f) for f in range(F)] for t in range(ROWS)], dtype=float)
slot = np.arange(ROWS) + WIDTH * (np.arange(ROWS) >= HOLE)
valid = np.ones(ROWS, bool)
valid[INVALID] = False
row_at = {int(slot[t]): t for t in range(ROWS) if valid[t]}
train, val, test = range(0, ROWS * 7 // 10), range(ROWS * 7 // 10, ROWS * 85 // 100), range(ROWS * 85 // 100, ROWS)
NAIVE = ('persistence', 'yesterday', 'lastweek', 'average', 'mean', 'ets', 'ridge')


def windows(rows, history, horizon, stride):
    """Last history rows of the windows that lie wholly in rows, are valid and in one run."""
    last = []
    for t in rows:
        begin, end = t - history + 1, t + horizon
        if begin < rows[0] or end > rows[-1]:
            continue
        if valid[begin:end + 1].all() and slot[end] - slot[begin] == end - begin:
            last.append(t)
    return last[::stride]


def season(t, h):
    """Rows of the same time on the latest day that is known, with its neighbours, and last week."""
    back = next(b for b in range(D, 9 * D, D) if h - b + 1 <= 0)
    day = [row_at.get(int(slot[t]) + h - back + i, -1) for i in (-1, 0, 1)]
    return day, row_at.get(int(slot[t]) + h - 7 * D, -1)


def yesterday(t, h):
    """The row of the same time on the latest day that is known; a neighbour is not asked for."""
    return row_at.get(int(slot[t]) + h - (D if h <= D else 2 * D), -1)


def inputs(t, h, fit):
    """The rows that a forecast of t+h reads; None where one is missing."""
    day, week = season(t, h)
    rows = [t - i for i in range(LAGS)] + day[:3 if fit < 2 else 0] + ([week] if fit == 0 else [])
    return None if min(rows) < 0 else rows


def ridge_fit():
    """coef[fit][h][f]; fit 0: yesterday and last week, 1: yesterday, 2: lags alone"""
    most = np.where(x[train][valid[train]].max(0) > 0, x[train][valid[train]].max(0), 1)
    u, coef = x / most, [None] * 3
    all_windows = windows(train, LAGS, K, 1)
    for fit in (2, 1, 0):
        have = [t for t in all_windows if all(inputs(t, h, fit) for h in range(1, K + 1))]
        if fit < 2 and len(have) < 320:
            coef[fit] = None
            continue
        coef[fit] = {}
        for h in range(1, K + 1):
            rows = np.array([inputs(t, h, fit) for t in have])
            for f in range(F):
                A = np.concatenate([u[rows, f], np.ones((len(have), 1))], 1)
                penalty = np.eye(A.shape[1])
                penalty[-1, -1] = 0
                y = u[np.array(have) + h, f]
                w = np.linalg.solve(A.T @ A + penalty, A.T @ y)
                w[-1] *= most[f]
                coef[fit][h, f] = w
    return coef


def ridge(coef, t, h):
    day, week = season(t, h)
    fit = 2 if min(day) < 0 else 1 if week < 0 else 0
    while coef[fit] is None:
        fit += 1
    rows = inputs(t, h, fit)
    return np.array([max(0, coef[fit][h, f] @ np.append(x[rows, f], 1)) for f in range(F)])


def best_average():
    """Values to average, by the squared error on validation, flows divided by their largest training value."""
    most = x[train][valid[train]].max(0)
    most[most == 0] = 1

    def error(w):
        return sum((((x[t + 1:t + K + 1] - x[t - w + 1:t + 1].mean(0)) / most) ** 2).sum()
                   for t in windows(val, HISTORY, K, 1))
    return min((2, 3, 4, 6, 8, 12, 16), key=error)


def clock(t, h=0):
    """Slot of the day, and whether a weekend, h slots after row t; the first row is a Monday's midnight."""
    at = int(slot[t]) + h
    return at % D, at // D % 7 >= 5


def calendar_means():
    """Mean of the training rows of a slot, of working days or weekends."""
    rows = {}
    for t in train:
        if valid[t]:
            rows.setdefault(clock(t), []).append(t)
    return {key: x[r].mean(0) for key, r in rows.items()}


class Ets:
    """Damped trend and daily season, of one flow: alpha, beta, gamma, phi from a grid, one after another."""
    GRID = ((.02, .05, .1, .2, .35, .5, .7, .85, .99), (0, .01, .03, .1, .2, .4), (0, .005, .01, .03, .1, .2, .4),
            (.8, .9, .95, .98))

    def __init__(self, f):
        self.f = f
        hours = [[x[t, f] for t in train if valid[t] and clock(t)[0] == h] for h in range(D)]
        self.first = np.array([np.mean(h) for h in hours])
        self.first -= self.first.mean()
        best, at = None, [.5, 0, .01, .9]
        for turn in range(4):
            before = list(at)
            for i, grid in enumerate(self.GRID):
                for v in grid:
                    p = at[:i] + [v] + at[i + 1:]
                    if best is None:
                        best = self.go(at, train)[0]
                    error = self.go(p, train)[0]
                    if error < best:
                        best, at = error, p
            if at == before:
                break
        self.p = at

    def go(self, p, rows):
        """Sum of squared errors, and the state after the last row: level, trend, season."""
        alpha, beta, gamma, phi = p
        season, last, total = self.first.copy(), None, 0.
        for t in rows:
            if not valid[t]:
                continue
            hour = clock(t)[0]
            if last is None:
                level, trend = x[t, self.f] - season[hour], 0.
            else:
                for _ in range(slot[t] - slot[last]):   # one step for each slot, observed or not
                    trend *= phi
                    level += trend
                e = x[t, self.f] - level - season[hour]
                level += alpha * e
                trend += alpha * beta * e
                season[hour] += gamma * e
                total += e * e
            last = t
        return total, level, trend, season

    def forecast(self, t):
        _, level, trend, season = self.go(self.p, range(t + 1))
        out = []
        for h in range(1, K + 1):
            trend *= self.p[3]
            level += trend
            out.append(max(0, level + season[clock(t, h)[0]]))
        return out


def naive_points(t, coef, average):
    """Point forecasts [K][F] after row t; a value that is missing is taken from the next simpler forecast."""
    p = {name: np.zeros((K, F)) for name in NAIVE}
    for h in range(1, K + 1):
        week = season(t, h)[1]
        p['persistence'][h - 1] = x[t]
        p['yesterday'][h - 1] = x[yesterday(t, h) if yesterday(t, h) >= 0 else t]
        p['lastweek'][h - 1] = x[week] if week >= 0 else p['yesterday'][h - 1]
        p['average'][h - 1] = x[t - average + 1:t + 1].mean(0)
        p['mean'][h - 1] = MEANS[clock(t, h)]
        p['ridge'][h - 1] = ridge(coef, t, h)
    p['ets'] = np.array([e.forecast(t) for e in ETS]).T
    return p


def quantile6(z, q):
    """Position q (S + 1) of the ascending values, from 1, held inside."""
    at = min(max(q * (len(z) + 1) - 1, 0), len(z) - 1)
    i = min(int(at), len(z) - 2)
    return z[i] + (at - i) * (z[i + 1] - z[i])


MEANS, ETS = calendar_means(), [Ets(f) for f in range(F)]


class Scores:
    def __init__(self):
        self.e, self.y, self.crps, self.ens, self.ql, self.in50, self.in90, self.median, self.energy = \
            [], [], [], [], [], [], [], [], []

    def add(self, y, p, z, unit=1):
        """z: samples; LEVELS of them are quantiles at i/100.  In units of `unit`; coverage where values are whole."""
        if z is not None:
            z = np.sort(z)
            self.in50.append(quantile6(z, .25) <= y <= quantile6(z, .75))
            self.in90.append(quantile6(z, .05) <= y <= quantile6(z, .95))
            z = z / unit
        y, p = y / unit, p / unit
        self.e.append(p - y)
        self.y.append(y)
        if z is None:
            return
        S = len(z)
        pinball = lambda v, level: 2 * np.abs((v - y) * ((y <= v) - level))
        q = np.arange(1, 20) / 20
        if S == LEVELS:
            self.crps.append(pinball(z, np.arange(1, S + 1) / (S + 1)).mean())
            self.ens.append(self.crps[-1])
            self.ql.append(pinball(z[np.arange(5, 100, 5) - 1], q).mean())
            self.median.append(abs(z[49] - y))
            return
        away, apart = np.abs(z - y).mean(), np.abs(z[:, None] - z[None]).sum() / 2
        self.crps.append(away - apart / (S * (S - 1)))
        self.ens.append(away - apart / (S * S))
        self.ql.append(pinball(np.quantile(z, q), q).mean())
        self.median.append(abs(np.median(z) - y))

    def results(self, mape_above):
        e, y = np.array(self.e), np.array(self.y)
        large = y > mape_above
        r = {'mse': np.mean(e ** 2), 'rmse': np.sqrt(np.mean(e ** 2)), 'mae': np.mean(np.abs(e)),
             'nrmse': np.sqrt(np.mean(e ** 2)) / np.mean(np.abs(y)),
             'r2': 1 - np.sum(e ** 2) / np.sum((y - y.mean()) ** 2)}
        if large.any():
            r['mape'] = 100 * np.mean(np.abs(e[large]) / y[large])
        if self.crps:
            r.update(crps=np.mean(self.crps), crps_ensemble=np.mean(self.ens), mae_median=np.mean(self.median),
                     crps_quantile=np.sum(self.ql) / np.sum(np.abs(y)), cover50=np.mean(self.in50),
                     cover90=np.mean(self.in90))
        if self.energy:
            r['energy'] = np.mean(self.energy)
        return r


def energy(y, z):
    S = len(z)
    apart = sum(np.linalg.norm(z[i] - z[j]) for i in range(S) for j in range(i))
    return np.mean(np.linalg.norm(z - y, axis=1)) - apart / (S * (S - 1))


def sums(v, space):
    m = v.reshape(v.shape[:-1] + (N, N))
    return m.sum(-1) if space == 'origins' else m.sum(-2) if space == 'destinations' else m.sum((-1, -2))[..., None]


class Forecasts:
    """points[name, w, h] [F] and paths[name, w, h] [S][F] of every model after the last rows of the windows"""
    def __init__(self, last, coef, average, spread):
        self.last, self.points, self.paths = last, {}, {}
        for w, t in enumerate(last):
            p = naive_points(t, coef, average)
            for h in range(1, K + 1):
                for naive in NAIVE:
                    self.points[naive, w, h] = p[naive][h - 1]
                    self.paths[naive, w, h] = np.maximum(0, p[naive][h - 1] + spread[naive][:, h - 1])
                for name, code in (('a', 11), ('b', 12)):
                    z = np.array([[forecast(code, w, s, h, f, x[t + h, f]) for f in range(F)] for s in range(SAMPLES)])
                    self.paths[name, w, h], self.points[name, w, h] = z.astype(float), z.mean(0)
                self.points['c', w, h] = np.array([forecast(13, w, 0, h, f, x[t + h, f]) for f in range(F)], float)

    def score(self, name, steps, flowmax):
        """Scores of all spaces, of each flow in units of its maximum, and the clipped errors."""
        space = {s: Scores() for s in ('kbps', 'scaled', 'origins', 'destinations', 'total')}
        flow, clipped = [Scores() for _ in range(F)], []
        for h in steps:
            for w, t in enumerate(self.last):
                y, p, z = x[t + h], self.points[name, w, h], self.paths.get((name, w, h))
                for f in range(F):
                    zf = None if z is None else z[:, f]
                    space['kbps'].add(y[f], p[f], zf)
                    space['scaled'].add(y[f], p[f], zf, flowmax[f])
                    flow[f].add(y[f], p[f], zf, flowmax[f])
                    clipped.append(min(abs(p[f] - y[f]) / flowmax[f], .2) ** 2)
                if name in NAIVE:   # quantiles of single flows are no paths, whose sums have quantiles
                    z = None
                if z is not None:
                    space['kbps'].energy.append(energy(y, z))
                    space['scaled'].energy.append(energy(y / flowmax, z / flowmax))
                for sum_of in ('origins', 'destinations', 'total'):
                    for i, (ys, ps) in enumerate(zip(sums(y, sum_of), sums(p, sum_of))):
                        space[sum_of].add(ys, ps, None if z is None else sums(z, sum_of)[:, i])
        return space, flow, np.sqrt(np.mean(clipped))


def say(split, name, space, h, metric, value):
    print(split, name, space, h or 'all', metric, '%.9g' % value, sep='\t')


def say_scores(split, rows, forecasts, flowmax):
    """Of every model: whole table at some horizons; of validation windows one horizon."""
    live = [f for f in range(F) if (x[list(rows), f][valid[list(rows)]] > 0).sum() * 2 >= valid[list(rows)].sum()
            and (x[list(train), f] > 0).any()]
    for h in (0, 1, 20) if split == 'test' else (1,):
        steps = [h] if h else range(1, K + 1)
        of_ridge = [np.sqrt(np.mean(np.square(f.e))) for f in forecasts.score('ridge', steps, flowmax)[1]]
        for name in ('a', 'b', 'c') + NAIVE:
            space, flow, clipped = forecasts.score(name, steps, flowmax)
            say(split, name, 'scaled', h, 'windows', len(forecasts.last))
            for s, score in space.items():
                for metric, value in score.results(.01 if s == 'scaled' else 1000).items():
                    say(split, name, s, h, metric, value)
            rmse = [np.sqrt(np.mean(np.square(f.e))) for f in flow]
            both = [f for f in live if rmse[f] > 0 and of_ridge[f] > 0]
            say(split, name, 'scaled', h, 'rmse_clipped', clipped)
            say(split, name, 'scaled', h, 'ratio_ridge', np.exp(np.mean([np.log(rmse[f] / of_ridge[f]) for f in both])))
            say(split, name, 'scaled', h, 'improved', np.mean([rmse[f] < of_ridge[f] for f in live]))
            if flow[0].in50:
                say(split, name, 'scaled', h, 'cover50_live', np.mean([v for f in live for v in flow[f].in50]))
                say(split, name, 'scaled', h, 'cover90_live', np.mean([v for f in live for v in flow[f].in90]))


def write_files(where, forecasts):
    np.save(where + '/traffic.npy', x.reshape(ROWS, N, N).astype('<f4'))
    with open(where + '/times.txt', 'w') as f:
        f.writelines('%d\n' % (MONDAY + SECONDS * s) for s in slot)
    for name, of in ('a', forecasts.paths), ('b', forecasts.paths), ('c', forecasts.points):
        v = np.array([[of[name, w, h] for h in range(1, K + 1)] for w in range(len(forecasts.last))])
        v = v if name == 'c' else v.swapaxes(1, 2)
        np.save('%s/%s.npy' % (where, name), v.reshape(v.shape[:-1] + (N, N)).astype('<f4'))


def main():
    flowmax = x[train][valid[train]].max(0)
    flowmax[flowmax == 0] = np.sort(flowmax[flowmax > 0])[np.sum(flowmax > 0) // 2]   # the median of the others
    coef, average = ridge_fit(), best_average()
    fitted = windows(train, HISTORY, K, 1)
    made = [naive_points(t, coef, average) for t in fitted]
    spread = {}
    for naive in NAIVE:   # quantiles i/100 of the residuals of the training windows, [LEVELS][K][F]
        away = np.sort([x[t + 1:t + K + 1] - p[naive] for t, p in zip(fitted, made)], 0)
        spread[naive] = np.array([quantile6(away, i / 100) for i in range(1, LEVELS + 1)])
    print('# Made by tests/tools/eval_fixture.py; do not edit.  split, model, space, horizon, metric, value')
    for split, rows in ('test', test), ('val', val):
        forecasts = Forecasts(windows(rows, HISTORY, K, STRIDE), coef, average, spread)
        say_scores(split, rows, forecasts, flowmax)
        if sys.argv[1:2] == ['--files'] and split == 'test':
            write_files(sys.argv[2], forecasts)


main()
