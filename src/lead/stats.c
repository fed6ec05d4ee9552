#include "lead/stats.h"

#include <math.h>
#include <string.h>

#include "lead/rival.h"

enum { FIT_WINDOWS = 4096 };   // evenly spaced training windows that the target statistics are taken from
static const double LEAST_UNIT = 1e-6;   // traffic that never changes must not divide by 0; in scale s

static int image_channels(const LeadConfig *cfg) { return cfg->encoding == ENCODING_RGB ? 3 : 1; }

static int target_steps(const LeadConfig *cfg) { return cfg->horizons == HORIZON_ROLLOUT ? 1 : cfg->horizon; }

int lead_error_steps(int Kt, int steps[ERROR_STEPS])
{
    const int want[ERROR_STEPS] = {1, (Kt + 3) / 4, Kt};
    int n = 0;
    for (int i = 0; i < ERROR_STEPS; i++)
        if (n == 0 || want[i] > steps[n - 1]) steps[n++] = want[i];
    return n;
}

static int context_channels(const LeadStats *st, const LeadConfig *cfg)
{
    int steps[ERROR_STEPS];
    if (!cfg->pixel_condition) return 0;
    if (!cfg->flow_context) return cfg->history + 3 * st->Kt;
    const int news = 2 * ERROR_AVERAGES * lead_error_steps(st->Kt, steps) + 6;
    const int statistics = cfg->flow_identity == IDENTITY_STATISTICS ? FLOW_STATISTICS : 0;
    return cfg->history + 2 * EWMA_MAX + 6 + 4 * st->Kt + news + statistics;
}

void lead_flow_statistics(const LeadStats *st, float *out)
{
    const int64_t last = (int64_t)(st->Kt - 1) * st->F;
    for (int f = 0; f < st->F; f++, out += FLOW_STATISTICS) {
        const float *sigma = st->sigma + f, *gamma = st->gamma + f;
        const float v[FLOW_STATISTICS] = {asinhf(st->mean[f] / st->std[f]), logf(sigma[0] / st->std[f]),
                                          logf(sigma[last] / sigma[0]), logf(gamma[0]), logf(gamma[last]),
                                          logf((float)st->slot_seconds / 300)};
        for (int i = 0; i < FLOW_STATISTICS; i++) out[i] = fmaxf(-6, fminf(6, v[i]));
    }
}

LeadShape lead_stats_shape(const LeadStats *st, const LeadConfig *cfg)
{
    const int per_step = cfg->target == TARGET_LEVEL ? image_channels(cfg) : 1;
    return (LeadShape){.N = st->N, .slots_per_day = st->per_day, .image_channels = image_channels(cfg),
                       .target_channels = st->Kt * per_step,
                       .context_channels = context_channels(st, cfg)};
}

static const float *row_x(const TrafficSeries *s, int64_t row) { return s->x + row * (int64_t)s->N * s->N; }

// ---- statistics

typedef struct Moments1 { double sum, sum2, n; } Moments1;

static void fit_level(LeadStats *st, const TrafficSeries *s, TrafficRange rows, Arena *a)
{
    Moments1 *acc = arena_zalloc(a, (size_t)st->F * sizeof *acc);
    float *u = arena_alloc(a, (size_t)st->F * sizeof *u);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (!s->valid[t]) continue;
        scale_forward(&st->scale, row_x(s, t), u);
        for (int f = 0; f < st->F; f++) {
            if (!traffic_seen(s, t, f)) continue;
            acc[f].sum += (double)u[f];
            acc[f].sum2 += (double)u[f] * (double)u[f];
            acc[f].n++;
        }
    }
    double all = 0;
    for (int f = 0; f < st->F; f++) {
        const double n = acc[f].n > 0 ? acc[f].n : 1;     // none: a flow that was never measured
        const double mean = acc[f].sum / n, var = acc[f].sum2 / n - mean * mean;
        st->mean[f] = (float)mean;
        st->std[f] = (float)sqrt(var > 0 ? var : 0);
        all += sqrt(var > 0 ? var : 0) / st->F;
    }
    const float least = fmaxf(0.01f * (float)all, (float)LEAST_UNIT);
    for (int f = 0; f < st->F; f++)     // a silent flow divides by a hundredth of the usual spread, not by 0
        if (!(st->std[f] > least)) st->std[f] = least;
}

// s(X_{t+k}) - s(base_k) of one training window -> d [Kt][F], NaN where X was not measured.  online: the daily fits,
// or NULL.
static void window_residual(const LeadStats *st, const RidgeOnline *online, const TrafficSeries *s, int64_t t,
                            float *base, float *u, float *d)
{
    const RidgeModel ridge = online ? ridge_online_at(online, t) : st->ridge;
    if (ridge.coef) ridge_predict(&ridge, s, t, base);
    for (int k = 0; k < st->Kt && !ridge.coef; k++)
        memcpy(base + (int64_t)k * st->F, row_x(s, t), (size_t)st->F * sizeof *base);
    for (int k = 0; k < st->Kt; k++) {
        float *dk = d + (int64_t)k * st->F;
        scale_forward(&st->scale, row_x(s, t + 1 + k), dk);
        scale_forward(&st->scale, base + (int64_t)k * st->F, u);
        for (int f = 0; f < st->F; f++) dk[f] = traffic_seen(s, t + 1 + k, f) ? dk[f] - u[f] : NAN;
    }
}

static void fit_residual(LeadStats *st, const LeadConfig *cfg, const RidgeOnline *online, const TrafficSeries *s,
                         const int64_t *starts, int64_t n, Arena *a)
{
    const int64_t KF = (int64_t)st->Kt * st->F, stride = (n + FIT_WINDOWS - 1) / FIT_WINDOWS;
    float *base = arena_alloc(a, (size_t)KF * sizeof *base), *u = arena_alloc(a, (size_t)st->F * sizeof *u);
    float *d = arena_alloc(a, (size_t)KF * sizeof *d);
    double *abs_sum = arena_zalloc(a, 2 * (size_t)KF * sizeof *abs_sum), *count = abs_sum + KF, all = 0;
    for (int64_t i = 0; i < n; i += stride) {
        window_residual(st, online, s, starts[i] + cfg->history - 1, base, u, d);
        for (int64_t j = 0; j < KF; j++) {
            if (isnan(d[j])) continue;
            abs_sum[j] += fabs((double)d[j]);
            count[j]++;
        }
    }
    for (int64_t j = 0; j < KF; j++) {
        if (count[j] == 0) count[j] = 1;                  // never measured
        all += abs_sum[j] / count[j] / (double)KF;
    }
    for (int64_t j = 0; j < KF; j++) {
        const double sigma = abs_sum[j] / count[j];
        st->sigma[j] = (float)fmax(sigma, fmax(0.01 * all, LEAST_UNIT));
    }
    Moments1 *acc = arena_zalloc(a, (size_t)KF * sizeof *acc);
    memset(st->low, 0, (size_t)KF * sizeof(float));
    memset(st->high, 0, (size_t)KF * sizeof(float));
    for (int64_t i = 0; i < n; i += stride) {
        window_residual(st, online, s, starts[i] + cfg->history - 1, base, u, d);
        for (int64_t j = 0; j < KF; j++) {
            if (isnan(d[j])) continue;
            const float y = asinhf(d[j] / st->sigma[j]);
            acc[j].sum += (double)y;
            acc[j].sum2 += (double)y * (double)y;
            if (y < st->low[j]) st->low[j] = y;
            if (y > st->high[j]) st->high[j] = y;
        }
    }
    for (int64_t j = 0; j < KF; j++) {   // about 0: the mean is part of what the network draws
        const float g = lead_has_heads(cfg) ? 1 : (float)sqrt(acc[j].sum2 / count[j]);   // heads see to unit variance
        st->gamma[j] = g > 0.05f ? g : 0.05f;
        st->low[j] *= 1.1f / st->gamma[j];
        st->high[j] *= 1.1f / st->gamma[j];
    }
}

// Mean |change| between consecutive rows of the sums over rows, over columns, and of all.
static float *node_unit_fit(const TrafficSeries *s, TrafficRange rows, Arena *a)
{
    const int N = s->N, V = 2 * N + 1;
    double *sum = arena_zalloc(a, 2 * (size_t)V * sizeof *sum), *change = sum + V, n = 0;
    for (int64_t t = rows.begin + 1; t < rows.end; t++) {
        if (!s->valid[t] || traffic_row_at(s, t, -1) != t - 1) continue;
        memset(change, 0, (size_t)V * sizeof *change);
        for (int f = 0; f < N * N; f++) {
            if (!traffic_seen(s, t, f) || !traffic_seen(s, t - 1, f)) continue;
            const double d = (double)row_x(s, t)[f] - (double)row_x(s, t - 1)[f];
            change[f / N] += d, change[N + f % N] += d, change[2 * N] += d;
        }
        for (int v = 0; v < V; v++) sum[v] += fabs(change[v]);
        n++;
    }
    float *unit = arena_alloc(a, (size_t)V * sizeof *unit);
    for (int v = 0; v < V; v++) unit[v] = n > 0 && sum[v] > 0 ? (float)(sum[v] / n) : 1;   // 1: it never changes
    return unit;
}

// 0 for the flows that are silent in most of the rows, whose residuals say nothing about the rest; else 1.
static float *trust_fit(const TrafficSeries *s, TrafficRange rows, int F, int Kt, Arena *a)
{
    float *trust = arena_zalloc(a, (size_t)Kt * (size_t)F * sizeof *trust);
    for (int f = 0; f < F; f++) {
        int64_t live = 0, n = 0;
        for (int64_t t = rows.begin; t < rows.end; t++) {
            const bool known = s->valid[t] && traffic_seen(s, t, f);
            n += known;
            live += known && row_x(s, t)[f] > 0;
        }
        for (int k = 0; k < Kt && n > 0 && 2 * live >= n; k++) trust[f * Kt + k] = 1;
    }
    return trust;
}

void lead_ridge_online(RidgeOnline *m, Arena *a, const TrafficSeries *s, TrafficRange wanted, const LeadStats *st,
                       const LeadConfig *cfg)
{
    ridge_online_fit(m, a, s, wanted, &st->ridge, st->Kt, cfg->ridge_half_life, RIDGE_LAMBDA);
}

static void stats_alloc(LeadStats *st, Arena *a, const LeadConfig *cfg)
{
    const size_t F = (size_t)st->F, KF = (size_t)st->Kt * F;
    st->mean = arena_zalloc(a, F * sizeof(float));
    st->std = arena_zalloc(a, F * sizeof(float));
    st->sigma = arena_zalloc(a, KF * sizeof(float));
    st->gamma = arena_zalloc(a, KF * sizeof(float));
    st->low = arena_zalloc(a, KF * sizeof(float));
    st->high = arena_zalloc(a, KF * sizeof(float));
    st->spread = arena_alloc(a, (size_t)st->Kt * sizeof(float));
    st->fallback = arena_zalloc(a, sizeof(float));
    st->head_weight = arena_alloc(a, (size_t)st->Kt * sizeof(float));
    for (int k = 0; k < st->Kt; k++) st->spread[k] = st->head_weight[k] = 1;
    if (cfg->model) st->rival = arena_zalloc(a, (size_t)lead_rival_stats_size(st) * sizeof(float));
}

Status lead_stats_fit(LeadStats *st, Arena *a, const TrafficSeries *s, TrafficRange train, const LeadConfig *cfg)
{
    *st = (LeadStats){.N = s->N,
                      .F = s->N * s->N,
                      .per_day = (int)traffic_slots_per_day(s),
                      .slot_seconds = s->slot_seconds,
                      .Kt = target_steps(cfg)};
    TRY(scale_fit(&st->scale, a, s, train, (ScaleKind)cfg->scale));
    slot_means_fit(&st->means, a, s, train, &st->scale);
    if (cfg->flow_context) {
        st->part_means = part_means_fit(a, s, train, &st->scale);
        st->node_unit = node_unit_fit(s, train, a);
    }
    st->gains = encode_gains_fit(a, s, train, &st->scale, &st->means);
    stats_alloc(st, a, cfg);
    if (lead_has_heads(cfg)) st->trust = trust_fit(s, train, st->F, st->Kt, a);
    if (lead_uses_ridge(cfg)) TRY(ridge_fit(&st->ridge, a, s, train, st->Kt, RIDGE_LAMBDA));
    const size_t mark = arena_mark(a);
    int64_t *starts;
    const int64_t n = traffic_windows(s, a, train, cfg->history, st->Kt, 1, &starts);
    if (n < 1)
        return ERROR("training rows %lld..%lld: want a window of %d + %d valid consecutive snapshots, found none",
                     (long long)train.begin, (long long)train.end - 1, cfg->history, st->Kt);
    fit_level(st, s, train, a);
    RidgeOnline online;
    if (lead_refits_ridge(cfg)) lead_ridge_online(&online, a, s, train, st, cfg);
    fit_residual(st, cfg, lead_refits_ridge(cfg) ? &online : NULL, s, starts, n, a);
    arena_rewind(a, mark);
    return OK;
}

// ---- checkpoint arrays

static const double *widen(Arena *a, const float *x, int64_t n)
{
    double *y = arena_alloc(a, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

typedef struct FlatArray { const char *name; size_t offset; bool per_step; } FlatArray;
static const FlatArray flat[] = {
    {"mean", offsetof(LeadStats, mean), false}, {"std", offsetof(LeadStats, std), false},
    {"sigma", offsetof(LeadStats, sigma), true}, {"gamma", offsetof(LeadStats, gamma), true},
    {"low", offsetof(LeadStats, low), true}, {"high", offsetof(LeadStats, high), true},
};
enum { N_FLAT = (int)(sizeof flat / sizeof *flat), N_HEADER = 7 };

int lead_stats_pack(const LeadStats *st, Arena *a, StatArray out[STATS_MAX_ARRAYS])
{
    int n = 0;
    const float head[N_HEADER] = {(float)st->N,  (float)st->per_day, (float)st->slot_seconds,        (float)st->Kt,
                                  st->gains.k_g, st->gains.k_b,      (float)(st->ridge.coef != NULL)};
    out[n++] = (StatArray){"head", N_HEADER, widen(a, head, N_HEADER)};
    for (int i = 0; i < N_FLAT; i++) {
        const int64_t len = (int64_t)st->F * (flat[i].per_step ? st->Kt : 1);
        out[n++] = (StatArray){flat[i].name, len, widen(a, *(float *const *)((const char *)st + flat[i].offset), len)};
    }
    float *buf = arena_alloc(a, (size_t)scale_pack_size(&st->scale) * sizeof *buf);
    scale_pack(&st->scale, buf);
    out[n++] = (StatArray){"scale", scale_pack_size(&st->scale), widen(a, buf, scale_pack_size(&st->scale))};
    buf = arena_alloc(a, (size_t)slot_means_pack_size(&st->means) * sizeof *buf);
    slot_means_pack(&st->means, buf);
    out[n++] = (StatArray){"slot_means", slot_means_pack_size(&st->means),
                           widen(a, buf, slot_means_pack_size(&st->means))};
    const int64_t parts = 2 * (int64_t)st->per_day * st->F;
    if (st->part_means) out[n++] = (StatArray){"part_means", parts, widen(a, st->part_means, parts)};
    const int64_t V = 2 * (int64_t)st->N + 1;
    if (st->node_unit) out[n++] = (StatArray){"node_unit", V, widen(a, st->node_unit, V)};
    const int64_t FK = (int64_t)st->F * st->Kt;
    if (st->trust) out[n++] = (StatArray){"trust", FK, widen(a, st->trust, FK)};
    out[n++] = (StatArray){"calibration.spread", st->Kt, widen(a, st->spread, st->Kt)};
    out[n++] = (StatArray){"calibration.fallback", 1, widen(a, st->fallback, 1)};
    out[n++] = (StatArray){"calibration.head_weight", st->Kt, widen(a, st->head_weight, st->Kt)};
    if (st->rival)
        out[n++] = (StatArray){"rival", lead_rival_stats_size(st), widen(a, st->rival, lead_rival_stats_size(st))};
    if (st->ridge.coef) {
        buf = arena_alloc(a, (size_t)ridge_pack_size(&st->ridge) * sizeof *buf);
        ridge_pack(&st->ridge, buf);
        out[n++] = (StatArray){"ridge", ridge_pack_size(&st->ridge), widen(a, buf, ridge_pack_size(&st->ridge))};
    }
    return n;
}

static Status narrow_stat(const SafeFile *f, const char *name, Arena *a, int64_t want, float **out, int64_t *n)
{
    const double *x;
    TRY(checkpoint_stat(f, name, a, &x, n));
    if (want >= 0 && *n != want)
        return ERROR("stat.%s: want %lld values, got %lld in %s", name, (long long)want, (long long)*n, f->path);
    *out = arena_alloc(a, (size_t)*n * sizeof **out);
    for (int64_t i = 0; i < *n; i++) {
        (*out)[i] = (float)x[i];
        if (!isfinite((*out)[i]))
            return ERROR("stat.%s: value %lld is not finite in %s", name, (long long)i, f->path);
    }
    return OK;
}

Status lead_stats_unpack(LeadStats *st, Arena *a, const SafeFile *f, const LeadConfig *cfg)
{
    float *h;
    int64_t n;
    TRY(narrow_stat(f, "head", a, N_HEADER, &h, &n));
    if (!(h[0] >= 2 && h[0] <= 1024 && h[1] >= 1 && h[1] <= 86400 && h[2] >= 1 && h[2] <= 86400))
        return ERROR("stat.head: want nodes, slots a day and seconds a slot, got %g, %g, %g in %s", (double)h[0],
                     (double)h[1], (double)h[2], f->path);
    *st = (LeadStats){.N = (int)h[0], .F = (int)h[0] * (int)h[0], .per_day = (int)h[1], .slot_seconds = (int)h[2],
                      .Kt = target_steps(cfg), .gains = {h[4], h[5]}};
    if (h[3] != (float)st->Kt) return ERROR("stat.head: want %d steps, got %g in %s", st->Kt, (double)h[3], f->path);
    for (int i = 0; i < 3; i++)
        if (h[i] != floorf(h[i])) return ERROR("stat.head: want whole numbers, got %g in %s", (double)h[i], f->path);
    for (int i = 0; i < N_FLAT; i++)
        TRY(narrow_stat(f, flat[i].name, a, (int64_t)st->F * (flat[i].per_step ? st->Kt : 1),
                        (float **)((char *)st + flat[i].offset), &n));
    float *x;
    TRY(narrow_stat(f, "scale", a, -1, &x, &n));
    TRY(scale_unpack(&st->scale, a, x, n, f->path));
    TRY(narrow_stat(f, "slot_means", a, -1, &x, &n));
    TRY(slot_means_unpack(&st->means, a, x, n, f->path));
    if (cfg->flow_context) {
        TRY(narrow_stat(f, "part_means", a, 2 * (int64_t)st->per_day * st->F, &st->part_means, &n));
        TRY(narrow_stat(f, "node_unit", a, 2 * (int64_t)st->N + 1, &st->node_unit, &n));
    }
    if (lead_has_heads(cfg)) TRY(narrow_stat(f, "trust", a, (int64_t)st->F * st->Kt, &st->trust, &n));
    TRY(narrow_stat(f, "calibration.spread", a, st->Kt, &st->spread, &n));
    TRY(narrow_stat(f, "calibration.fallback", a, 1, &st->fallback, &n));
    TRY(narrow_stat(f, "calibration.head_weight", a, st->Kt, &st->head_weight, &n));
    if (cfg->model) TRY(narrow_stat(f, "rival", a, lead_rival_stats_size(st), &st->rival, &n));
    if (h[6] != 0) {
        TRY(narrow_stat(f, "ridge", a, -1, &x, &n));
        TRY(ridge_unpack(&st->ridge, a, x, n, f->path));
    }
    if (lead_uses_ridge(cfg) && !st->ridge.coef) return ERROR("%s: want the array stat.ridge, found none", f->path);
    if (st->scale.F != st->F || st->means.F != st->F || (h[6] != 0 && (st->ridge.F != st->F || st->ridge.K != st->Kt)))
        return ERROR("%s: statistics of %d flows and %d steps wanted, others found", f->path, st->F, st->Kt);
    return lead_stats_check(st, cfg, f->path);
}
