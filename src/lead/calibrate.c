#include "lead/calibrate.h"

#include <math.h>
#include <string.h>

#include "lead/memory.h"
#include "lead/rival.h"

enum { FACTORS = 17, BATCH = 8 };
enum { UNCHANGED = 4 };
static double factor(int i) { return 1 + 0.05 * (i - UNCHANGED); }   // 0.8 .. 1.6

// Sum over the flows measured in row t of the CRPS of step k, in scale s, of S sample paths [S][K][F] in kbit/s.
static double step_crps(const LeadRun *r, const float *samples, int64_t t, int k, float *z)
{
    const float *truth = r->series->x + t * r->stats.F;
    const int S = r->cfg.samples, K = r->stats.Kt, F = r->stats.F;
    double sum = 0;
    for (int f = 0; f < F; f++) {
        double within = 0;
        if (!traffic_seen(r->series, t, f)) continue;
        for (int i = 0; i < S; i++)
            z[i] = scale_forward_flow(&r->stats.scale, f, samples[((int64_t)i * K + k) * F + f]);
        for (int i = 0; i + 1 < S; i += 2) within += fabs((double)z[i] - (double)z[i + 1]);
        forecast_sort(z, S);
        const float y = scale_forward_flow(&r->stats.scale, f, truth[f]);
        sum += metric_crps(y, z, S, lead_dist(r), within);
    }
    return sum;
}

// Sums over validation windows and flows, [K] each but crps [FACTORS][K].
// every: of the factors every so many are tried, UNCHANGED among them.
typedef struct Sums { double *crps, *head_truth, *head_head; int every; } Sums;

// With h the mean head's and y the true distance from the base, in scale s: adds h y and h^2 of n windows.
static void add_head(LeadRun *r, LeadBatch *b, const int64_t *t, int n, Sums *sums, float *buf)
{
    Tape *tape = &r->tape;
    const int K = r->stats.Kt, F = r->stats.F;
    float *head = buf, *base = buf + (int64_t)n * K * F;
    const ResidualMoments moments = b->moments;
    tensor_get_f32(lead_data_head(tape, &r->data, b), head, (int64_t)n * K * F);
    b->moments.location = tape_zeros(tape, moments.location->shape);
    tensor_get_f32(lead_data_head(tape, &r->data, b), base, (int64_t)n * K * F);
    b->moments = moments;
    for (int64_t i = 0; i < (int64_t)n * K * F; i++) {
        const int f = (int)(i % F), k = (int)(i / F % K);
        const TrafficScale *s = &r->stats.scale;
        const int64_t row = t[i / F / K] + 1 + k;
        if (!traffic_seen(r->series, row, f)) continue;
        const double from = (double)scale_forward_flow(s, f, base[i]);
        const double h = (double)scale_forward_flow(s, f, head[i]) - from;
        const float truth = r->series->x[row * F + f];
        sums->head_truth[k] += h * ((double)scale_forward_flow(s, f, truth) - from);
        sums->head_head[k] += h * h;
    }
}

// Adds n windows to the sums.
static void add_windows(LeadRun *r, const int64_t *t, int n, Sums *sums, float *samples)
{
    Tape *tape = &r->tape;
    const int S = r->cfg.samples, K = r->stats.Kt, F = r->stats.F;
    tape_reset(tape);
    LeadBatch b = lead_data_batch(tape, &r->data, lead_data_rows(&r->data, tape->step, t, n), NULL, false);
    b.moments = lead_moments(tape, &r->model, &b);
    if (b.moments.location) add_head(r, &b, t, n, sums, samples);
    Tensor *drawn = lead_sample(tape, &r->model, &b, n, S, t, NULL);
    Tensor *spread = tape_tensor(tape, SHAPE(K));
    r->data.spread = spread;
    for (int a = 0; a < FACTORS; a += sums->every) {
        const size_t mark = arena_mark(tape->step);
        tensor_fill(spread, factor(a));
        Tensor *x = lead_data_decode(tape, &r->data, &b, lead_data_spread(tape, &r->data, drawn, S));
        tensor_get_f32(x, samples, numel(x));
        arena_rewind(tape->step, mark);
#pragma omp parallel for schedule(static)
        for (int k = 0; k < K; k++) {
            float z[4096];   // the most samples that the configuration allows
            for (int i = 0; i < n; i++)
                sums->crps[a * K + k] += step_crps(r, samples + (int64_t)i * S * K * F, t[i] + 1 + k, k, z);
        }
    }
    r->data.spread = NULL;
}

enum { BESIDE = 2 };   // a step is taken together with so many on each side

// The factor of least CRPS of step k.
static int best_factor(const Sums *sums, int K, int k)
{
    double sum[FACTORS] = {0};
    int best = UNCHANGED;   // unless another is better
    for (int a = 0; a < FACTORS; a++)
        for (int j = k - BESIDE; j <= k + BESIDE; j++)
            if (j >= 0 && j < K) sum[a] += sums->crps[a * K + j];
    for (int a = 0; a < FACTORS; a += sums->every)
        if (sum[a] < sum[best]) best = a;
    return best;
}

// The weight of least squared error of step k, in 0 .. 1.
static float best_weight(const Sums *sums, int K, int k)
{
    double hy = 0, hh = 0;
    for (int j = k - BESIDE; j <= k + BESIDE; j++)
        if (j >= 0 && j < K) hy += sums->head_truth[j], hh += sums->head_head[j];
    return hh > 0 ? (float)fmax(0, fmin(1, hy / hh)) : 1;
}

// The windows that are drawn: the starts of all n, and how many of them, evenly spaced; 0 when the run is not
// calibrated.
static int find_windows(const LeadRun *r, TrafficRange val, int most, int64_t **start, int64_t *n)
{
    if (!r->cfg.calibrate || r->cfg.target != TARGET_RESIDUAL || r->cfg.horizons != HORIZON_DIRECT) return 0;
    // samples stretched about their own mean score fairly in pairs, or where they are many; else too wide a factor wins
    if (!lead_antithetic(&r->cfg) ? r->cfg.samples < 32 : r->cfg.samples < 4) return 0;
    *n = traffic_windows(r->series, r->perm, val, r->cfg.history, r->stats.Kt, 1, start);
    const int windows = *n < most ? (int)*n : most;
    return windows < CALIBRATE_LEAST ? 0 : windows;
}

static Sums sums_new(const LeadRun *r)
{
    const size_t K = (size_t)r->stats.Kt;
    double *crps = arena_zalloc(r->perm, (FACTORS + 2) * K * sizeof *crps);
    return (Sums){crps, crps + FACTORS * K, crps + (FACTORS + 1) * K, 1};
}

static float *samples_new(const LeadRun *r, int n)
{
    const size_t each = (size_t)r->cfg.samples * (size_t)r->stats.Kt * (size_t)r->stats.F;
    return arena_alloc(r->perm, (size_t)n * each * sizeof(float));
}

static void draw_windows(LeadRun *r, void *arg, const int64_t *t, int n)
{
    (void)arg;
    Sums sums = sums_new(r);
    add_windows(r, t, n, &sums, samples_new(r, n));
}

// How many windows are drawn at once, within r->memory.  What a forecast takes is another matter.
static Status choose_batch(LeadRun *r, int64_t t, int *batch)
{
    *batch = BATCH;
    if (!r->memory) return OK;
    TRY(lead_memory_fit(r, t, BATCH, draw_windows, NULL));
    *batch = r->fit.windows;
    r->fit = (MemoryFit){0};
    return OK;
}

double lead_calibrate_rehearse(LeadRun *r, TrafficRange val, int most)
{
    if (r->model.rival) return lead_rival_rehearse(r, val);
    const size_t mark = arena_mark(r->perm);
    int64_t *start, n;
    const int windows = find_windows(r, val, most, &start, &n), few = windows < BATCH ? windows : BATCH;
    for (int i = 0; i < few; i++) start[i] += r->cfg.history - 1;
    Sums sums = sums_new(r);
    if (windows) add_windows(r, start, few, &sums, samples_new(r, BATCH));
    arena_rewind(r->perm, mark);
    return windows ? (double)few / windows : 0;
}

// Measured values in the targets of the forecasts after the rows at[0 .. n).
static double count_values(const LeadRun *r, const int64_t *at, int n)
{
    const int64_t K = r->stats.Kt;
    int64_t missing = 0;
    for (int i = 0; i < n; i++) missing += traffic_missing_count(r->series, (TrafficRange){at[i] + 1, at[i] + 1 + K});
    return (double)(n * K * r->stats.F - missing);
}

// CRPS in scale s of a naive forecast after the rows at[0 .. n), mean over flows and steps.
static double naive_crps(const LeadRun *r, NaiveModel *m, const int64_t *at, int n)
{
    const int K = m->K, F = m->F;
    const int64_t KF = (int64_t)K * F;
    const size_t mark = arena_mark(r->perm);
    float *point = arena_alloc(r->perm, (size_t)((1 + NAIVE_LEVELS) * KF) * sizeof *point), *levels = point + KF;
    const double values = count_values(r, at, n);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        naive_predict(m, r->series, at[i], point);
        naive_spread(m, r->series, at[i], point, levels);
        for (int64_t j = 0; j < KF; j++) {
            const int f = (int)(j % F);
            float z[NAIVE_LEVELS];
            if (!traffic_seen(r->series, at[i] + 1, j)) continue;
            for (int q = 0; q < NAIVE_LEVELS; q++)
                z[q] = scale_forward_flow(&r->stats.scale, f, levels[q * KF + j]);
            const float y = scale_forward_flow(&r->stats.scale, f, r->series->x[(at[i] + 1 + j / F) * F + f]);
            sum += metric_crps(y, z, NAIVE_LEVELS, DIST_LEVELS, 0) / values;
        }
    }
    arena_rewind(r->perm, mark);
    return sum;
}

static const double WORTH = 0.99;   // a naive forecast must be better by so much

// Compares the network with the naive forecasts on the rows at[0 .. n).
static void try_naive(LeadRun *r, TrafficRange val, const int64_t *at, int n, bool quick, Calibration *out)
{
    out->naive_crps = INFINITY;
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        const size_t mark = arena_mark(r->perm);
        NaiveModel m;
        const Status fit = (quick ? naive_fit_quick : naive_fit)(
            &m, r->perm, (NaiveKind)kind, r->series, r->train, val, r->cfg.history, r->stats.Kt,
            r->stats.ridge.coef ? &r->stats.ridge : NULL);
        // one that cannot be made of this history or of so few rows is no rival
        const double crps = fit.code ? INFINITY : naive_crps(r, &m, at, n);
        arena_rewind(r->perm, mark);
        if (!(crps < out->naive_crps)) continue;
        out->naive = naive_names[kind];
        out->naive_crps = crps;
        *r->stats.fallback = (float)(1 + kind);
    }
    out->fallback = out->naive_crps < WORTH * out->after;
    if (!out->fallback) *r->stats.fallback = 0;
}

// The errors of another model, in place of all that.  The CRPS is on rows that the distribution was fitted on.
static Status calibrate_rival(LeadRun *r, TrafficRange val, int most, Calibration *out)
{
    const int K = r->stats.Kt, S = r->cfg.samples;
    const size_t mark = arena_mark(r->perm);
    int64_t at[CALIBRATE_WINDOWS];
    const int windows = lead_rival_windows(r, val, at, most);
    *out = (Calibration){.rival = true, .windows = windows, .least = 1, .most = 1};
    TRY(lead_rival_calibrate(r, val));
    lead_rival_attach(r);
    const double values = count_values(r, at, windows);
    float *samples = samples_new(r, 1);
    double *crps = arena_zalloc(r->perm, (size_t)K * sizeof *crps);
    for (int i = 0; i < windows; i++) {
        TRY(lead_rival_forecast(r, at + i, 1, samples, NULL));
#pragma omp parallel for schedule(static)
        for (int k = 0; k < K; k++) {
            float z[4096];
            CHECK(S <= 4096, "calibrate: %d samples", S);
            crps[k] += step_crps(r, samples, at[i] + 1 + k, k, z);
        }
    }
    for (int k = 0; k < K; k++) out->after += crps[k] / values;
    out->before = out->after;
    try_naive(r, val, at, windows, false, out);
    *r->stats.fallback = 0;   // its row is its own
    out->fallback = false;
    r->rival_scale = NULL;   // it lay here
    arena_rewind(r->perm, mark);
    return OK;
}

Status lead_calibrate(LeadRun *r, TrafficRange val, int most, Calibration *out)
{
    if (r->model.rival) return calibrate_rival(r, val, most, out);
    *out = (Calibration){0};
    const int K = r->stats.Kt, H = r->cfg.history;
    for (int k = 0; k < K; k++) r->stats.spread[k] = r->stats.head_weight[k] = 1;
    r->data.spread = r->data.head_weight = NULL;
    *r->stats.fallback = 0;
    const size_t mark = arena_mark(r->perm);
    int64_t *start, n, at[CALIBRATE_WINDOWS];
    const int windows = find_windows(r, val, most, &start, &n);
    if (!windows) {
        arena_rewind(r->perm, mark);
        return OK;
    }
    for (int i = 0; i < windows; i++) at[i] = start[i * n / windows] + H - 1;
    int batch;
    TRY(choose_batch(r, at[0], &batch));
    const bool quick = most <= CALIBRATE_QUICK;
    Sums sums = sums_new(r);
    if (quick) sums.every = 2;
    float *samples = samples_new(r, batch);
    for (int i = 0; i < windows; i += batch) {
        const int more = windows - i < batch ? windows - i : batch;
        add_windows(r, at + i, more, &sums, samples);
    }
    const double values = count_values(r, at, windows);
    *out = (Calibration){.windows = windows, .least = INFINITY, .least_weight = 1};
    for (int k = 0; k < K; k++) {
        const int a = best_factor(&sums, K, k);
        r->stats.spread[k] = (float)factor(a);
        r->stats.head_weight[k] = best_weight(&sums, K, k);
        out->least_weight = fmin(out->least_weight, (double)r->stats.head_weight[k]);
        out->most_weight = fmax(out->most_weight, (double)r->stats.head_weight[k]);
        out->least = fmin(out->least, factor(a));
        out->most = fmax(out->most, factor(a));
        out->before += sums.crps[UNCHANGED * K + k] / values;
        out->after += sums.crps[a * K + k] / values;
    }
    try_naive(r, val, at, windows, quick, out);
    arena_rewind(r->perm, mark);
    lead_data_set_calibration(&r->data, &r->tape, r->perm);
    return OK;
}
