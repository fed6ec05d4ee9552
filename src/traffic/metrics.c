#include "traffic/metrics.h"

#include <math.h>

// Position from 0 of quantile q of S/2 mirrored pairs: the lower half has the levels k/(S+2), k = 1 .. S/2, the upper
// half mirrors them, and between the two halves it is a straight line through the middle.
static double pairs_position(double q, int S)
{
    const double k = q * (S + 2), half = S / 2;
    return k <= half ? k - 1 : k >= half + 2 ? S - (1 - q) * (S + 2) : half - 1 + (k - half) / 2;
}

double metric_quantile(const float *z, int S, double q, int type)
{
    double at = type == 6 ? q * (S + 1) - 1 : q * (S - 1);
    if (type == QUANTILE_PAIRS) at = pairs_position(q, S);
    if (at <= 0) return (double)z[0];
    if (at >= S - 1) return (double)z[S - 1];
    int i = (int)at;
    double t = at - i;
    return t > 0 ? (double)z[i] + t * ((double)z[i + 1] - (double)z[i]) : (double)z[i];
}

int metric_quantile_type(DistKind kind) { return kind == DIST_PAIRS ? QUANTILE_PAIRS : 6; }

// 1/(S(S-1)) spread, or over the differences between pairs alone; NaN where there is none.
static double fair_spread(double spread, double within, int S, bool pairs)
{
    if (S < (pairs ? 4 : 2)) return NAN;
    return pairs ? (spread - within) / ((double)S * (S - 2)) : spread / ((double)S * (S - 1));
}

MetricTerms metric_terms(float y_, float p, const float *z, int S, DistKind kind, double within)
{
    double y = (double)y_;
    MetricTerms v = {.y = y, .error = (double)p - y};
    if (kind == DIST_NONE) return v;
    double distance = 0, spread = 0, n = S;   // spread = sum_{i<j} (z_j - z_i)
    for (int i = 0; i < S; i++) {
        distance += fabs((double)z[i] - y);
        spread += (2 * i - S + 1) * (double)z[i];
    }
    distance /= n;
    if (kind == DIST_LEVELS) v.crps = v.crps_ensemble = distance - spread / (n * (n + 1));
    else {
        v.crps = distance - fair_spread(spread, within, S, kind == DIST_PAIRS);
        v.crps_ensemble = distance - spread / (n * n);
    }
    const int type = kind == DIST_LEVELS ? 6 : 7, cover = metric_quantile_type(kind);
    for (int i = 1; i <= METRIC_QUANTILES; i++) {
        double q = i / (METRIC_QUANTILES + 1.0), zq = metric_quantile(z, S, q, type);
        v.ql += 2 * fabs((zq - y) * ((y <= zq) - q)) / METRIC_QUANTILES;
    }
    v.median_error = metric_quantile(z, S, 0.5, cover) - y;
    v.in50 = metric_quantile(z, S, 0.25, cover) <= y && y <= metric_quantile(z, S, 0.75, cover);
    v.in90 = metric_quantile(z, S, 0.05, cover) <= y && y <= metric_quantile(z, S, 0.95, cover);
    return v;
}

void metric_sums_add(MetricSums *m, const MetricTerms *v, double unit, double mape_above, DistKind kind)
{
    double y = v->y * unit, e = v->error * unit;
    m->values++;
    m->se += e * e;
    m->ae += fabs(e);
    m->y += y;
    m->y_abs += fabs(y);
    m->y2 += y * y;
    if (y > mape_above) {
        m->ape += fabs(e) / y;
        m->ape_values++;
    }
    if (kind == DIST_NONE) return;
    m->dist_values++;
    m->ae_median += fabs(v->median_error) * unit;
    m->crps += v->crps * unit;
    m->crps_ensemble += v->crps_ensemble * unit;
    m->ql += v->ql * unit;
    m->in50 += v->in50;
    m->in90 += v->in90;
}

void metric_sums_merge(MetricSums *into, const MetricSums *from)
{
    into->values += from->values;
    into->windows += from->windows;
    into->ape_values += from->ape_values;
    into->dist_values += from->dist_values;
    into->energy_windows += from->energy_windows;
    into->se += from->se;
    into->ae += from->ae;
    into->ae_median += from->ae_median;
    into->ape += from->ape;
    into->y += from->y;
    into->y_abs += from->y_abs;
    into->y2 += from->y2;
    into->crps += from->crps;
    into->crps_ensemble += from->crps_ensemble;
    into->ql += from->ql;
    into->in50 += from->in50;
    into->in90 += from->in90;
    into->energy += from->energy;
}

static double norm_of_difference(const float *a, const float *b, int F)
{
    double sum = 0;
    for (int f = 0; f < F; f++) {
        double d = (double)a[f] - (double)b[f];
        sum += d * d;
    }
    return sqrt(sum);
}

double metric_energy(const float *y, const float *z, int S, int64_t stride, int F, bool pairs)
{
    double distance = 0, spread = 0;
    for (int i = 0; i < S; i++) {
        distance += norm_of_difference(z + i * stride, y, F);
        const int before = pairs ? i & ~1 : i;
        for (int j = 0; j < before; j++) spread += norm_of_difference(z + i * stride, z + j * stride, F);
    }
    return distance / S - fair_spread(spread, 0, S, pairs);
}

MetricResult metric_sums_result(const MetricSums *m)
{
    double n = m->values ? (double)m->values : NAN, d = m->dist_values ? (double)m->dist_values : NAN;
    double a = m->ape_values ? (double)m->ape_values : NAN, w = m->energy_windows ? (double)m->energy_windows : NAN;
    double mean = m->y / n, rmse = sqrt(m->se / n), variation = m->y2 - n * mean * mean;
    return (MetricResult){
        .windows = m->windows, .values = m->values, .mse = m->se / n, .rmse = rmse, .mae = m->ae / n,
        .mae_median = m->ae_median / d, .mape = 100 * m->ape / a, .nrmse = rmse / (m->y_abs / n),
        .r2 = variation > 0 ? 1 - m->se / variation : NAN, .crps = m->crps / d, .crps_ensemble = m->crps_ensemble / d,
        .crps_quantile = m->dist_values ? m->ql / m->y_abs : NAN, .cover50 = m->in50 / d, .cover90 = m->in90 / d,
        .energy = m->energy / w,
    };
}
