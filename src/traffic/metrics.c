#include "traffic/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/philox.h"

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

double metric_within_pairs(const float *z, int S)
{
    double sum = 0;
    for (int i = 0; i + 1 < S; i += 2) sum += fabs((double)z[i] - (double)z[i + 1]);
    return sum;
}

// 1/(S(S-1)) spread, or over the differences between pairs alone; NaN where there is none.
static double fair_spread(double spread, double within, int S, bool pairs)
{
    if (S < (pairs ? 4 : 2)) return NAN;
    return pairs ? (spread - within) / ((double)S * (S - 2)) : spread / ((double)S * (S - 1));
}

// distance = 1/S sum |z_i - y|, spread = sum_{i<j} (z_j - z_i)
typedef struct Distances { double distance, spread; } Distances;

static Distances distances(double y, const float *z, int S)
{
    Distances d = {0, 0};
    for (int i = 0; i < S; i++) {
        d.distance += fabs((double)z[i] - y);
        d.spread += (2 * i - S + 1) * (double)z[i];
    }
    d.distance /= S;
    return d;
}

static double crps_of(Distances d, int S, DistKind kind, double within)
{
    const double n = S;
    return kind == DIST_LEVELS ? d.distance - d.spread / (n * (n + 1))
                               : d.distance - fair_spread(d.spread, within, S, kind == DIST_PAIRS);
}

double metric_crps(float y, const float *z, int S, DistKind kind, double within)
{
    return crps_of(distances((double)y, z, S), S, kind, within);
}

MetricTerms metric_terms(float y_, float p, const float *z, int S, DistKind kind, double within)
{
    double y = (double)y_;
    MetricTerms v = {.y = y, .error = (double)p - y};
    if (kind == DIST_NONE) return v;
    const Distances d = distances(y, z, S);
    v.crps = crps_of(d, S, kind, within);
    v.crps_ensemble = kind == DIST_LEVELS ? v.crps : d.distance - d.spread / ((double)S * S);
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

// ---- beside RMSE and CRPS ------------------------------------------------------------------------------------------

void metric_flow_add(MetricFlow *m, const MetricTerms *v, double unit)
{
    const double e = fabs(v->error * unit), clipped = e > METRIC_CLIP ? METRIC_CLIP : e;   // NaN stays NaN
    m->n++;
    m->se += e * e;
    m->se_clipped += clipped * clipped;
    m->crps += v->crps * unit;
    m->in50 += v->in50;
    m->in90 += v->in90;
}

void metric_flow_merge(MetricFlow *into, const MetricFlow *from)
{
    into->n += from->n;
    into->se += from->se;
    into->se_clipped += from->se_clipped;
    into->crps += from->crps;
    into->in50 += from->in50;
    into->in90 += from->in90;
}

MetricBeside metric_beside(const MetricFlow *m, const MetricFlow *ref, const uint8_t *live, int F, bool distribution)
{
    double clipped = 0, logs = 0, ratios = 0, better = 0, flows = 0, in50 = 0, in90 = 0, values = 0, of_live = 0;
    for (int f = 0; f < F; f++) {
        clipped += m[f].se_clipped;
        values += (double)m[f].n;
        if (!live[f]) continue;
        flows++;
        of_live += (double)m[f].n;
        in50 += (double)m[f].in50;
        in90 += (double)m[f].in90;
        if (!ref) continue;
        better += m[f].se < ref[f].se;
        if (m[f].se == 0 || ref[f].se == 0) continue;
        logs += 0.5 * log(m[f].se / ref[f].se);
        ratios++;
    }
    const double covered = of_live > 0 && distribution ? of_live : NAN;
    return (MetricBeside){
        .rmse_clipped = sqrt(clipped / values), .ratio = ratios > 0 ? exp(logs / ratios) : NAN,
        .improved = ref && flows > 0 ? better / flows : NAN, .cover50_live = in50 / covered,
        .cover90_live = in90 / covered, .rmse = {NAN, NAN, NAN}, .crps = {NAN, NAN, NAN},
    };
}

void metric_draw_days(uint16_t *draws, int n)
{
    memset(draws, 0, (size_t)METRIC_RESAMPLES * (size_t)n * sizeof *draws);
    for (int r = 0; r < METRIC_RESAMPLES; r++)
        for (int i = 0; i < n; i++) {
            const uint64_t u = philox_u32(0, philox_subsequence(SITE_BOOTSTRAP, (uint32_t)r), (uint64_t)i);
            draws[(int64_t)r * n + (int64_t)(u * (uint64_t)n >> 32)]++;
        }
}

static int compare_double(const void *p, const void *q)
{
    const double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

// The value over all days, and the ends of the middle 95 % of the resamples, which are sorted in place.
static MetricGain gain_of(double value, double *resample, int days)
{
    enum { TAIL = METRIC_RESAMPLES / 40 };
    if (days < 2 || !isfinite(value)) return (MetricGain){value, NAN, NAN};
    qsort(resample, METRIC_RESAMPLES, sizeof *resample, compare_double);
    return (MetricGain){value, resample[TAIL - 1], resample[METRIC_RESAMPLES - TAIL]};
}

// Sums over the days, each counted as often as `draws` says (NULL: once).
static MetricDay sum_days(const MetricDay *day, const uint16_t *draws, int n)
{
    MetricDay sum = {0, 0};
    for (int d = 0; d < n; d++) {
        const double times = draws ? (double)draws[d] : 1;
        sum.se += times * day[d].se;
        sum.crps += times * day[d].crps;
    }
    return sum;
}

static double gain(double m, double ref) { return ref > 0 ? 100 * (1 - m / ref) : NAN; }

void metric_gains(MetricBeside *out, const MetricDay *m, const MetricDay *ref, const uint16_t *draws, int n,
                  bool distribution)
{
    double rmse[METRIC_RESAMPLES], crps[METRIC_RESAMPLES];
    for (int r = 0; r < METRIC_RESAMPLES; r++) {
        const MetricDay a = sum_days(m, draws + (int64_t)r * n, n), b = sum_days(ref, draws + (int64_t)r * n, n);
        rmse[r] = gain(sqrt(a.se), sqrt(b.se));
        crps[r] = gain(a.crps, b.crps);
    }
    const MetricDay a = sum_days(m, NULL, n), b = sum_days(ref, NULL, n);
    out->rmse = gain_of(gain(sqrt(a.se), sqrt(b.se)), rmse, n);
    out->crps = distribution ? gain_of(gain(a.crps, b.crps), crps, n) : (MetricGain){NAN, NAN, NAN};
}
