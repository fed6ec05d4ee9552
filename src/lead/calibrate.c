#include "lead/calibrate.h"

#include <math.h>
#include <string.h>

enum { FACTORS = 17, BATCH = 8 };
static double factor(int i) { return 0.8 + 0.05 * i; }   // 0.8 .. 1.6

// Sum over flows of the CRPS of step k, in scale s, of S sample paths [S][K][F] in kbit/s.
static double step_crps(const LeadRun *r, const float *samples, const float *truth, int k, float *z)
{
    const int S = r->cfg.samples, K = r->stats.Kt, F = r->stats.F;
    double sum = 0;
    for (int f = 0; f < F; f++) {
        double within = 0;
        for (int i = 0; i < S; i++)
            z[i] = scale_forward_flow(&r->stats.scale, f, samples[((int64_t)i * K + k) * F + f]);
        for (int i = 0; i + 1 < S; i += 2) within += fabs((double)z[i] - (double)z[i + 1]);
        forecast_sort(z, S);
        const float y = scale_forward_flow(&r->stats.scale, f, truth[f]);
        sum += metric_terms(y, y, z, S, lead_dist(&r->cfg), within).crps;
    }
    return sum;
}

// Adds the CRPS of n windows under each factor to crps [FACTORS][K].
static void add_windows(LeadRun *r, const int64_t *t, int n, double *crps, float *samples)
{
    Tape *tape = &r->tape;
    const int S = r->cfg.samples, K = r->stats.Kt, F = r->stats.F;
    tape_reset(tape);
    LeadBatch b = lead_data_batch(tape, &r->data, lead_data_rows(&r->data, tape->step, t, n), NULL, false);
    b.moments = lead_moments(tape, &r->model, &b);
    Tensor *drawn = lead_sample(tape, &r->model, &b, n, S, t, NULL);
    Tensor *spread = tape_tensor(tape, SHAPE(K));
    r->data.spread = spread;
    for (int a = 0; a < FACTORS; a++) {
        const size_t mark = arena_mark(tape->step);
        tensor_fill(spread, factor(a));
        Tensor *x = lead_data_decode(tape, &r->data, &b, lead_data_spread(tape, &r->data, drawn, S));
        tensor_get_f32(x, samples, numel(x));
        arena_rewind(tape->step, mark);
#pragma omp parallel for schedule(static)
        for (int k = 0; k < K; k++) {
            float z[4096];   // the most samples that the configuration allows
            for (int i = 0; i < n; i++) {
                const float *truth = r->series->x + (t[i] + 1 + k) * F;
                crps[a * K + k] += step_crps(r, samples + (int64_t)i * S * K * F, truth, k, z);
            }
        }
    }
    r->data.spread = NULL;
}

// The factor of least CRPS of step k, taken together with its neighbours.
static int best_factor(const double *crps, int K, int k)
{
    int best = 0;
    double least = INFINITY;
    for (int a = 0; a < FACTORS; a++) {
        double sum = 0;
        for (int j = k - 2; j <= k + 2; j++)
            if (j >= 0 && j < K) sum += crps[a * K + j];
        if (sum < least) least = sum, best = a;
    }
    return best;
}

Status lead_calibrate(LeadRun *r, TrafficRange val, Calibration *out)
{
    *out = (Calibration){0};
    const int K = r->stats.Kt, F = r->stats.F, S = r->cfg.samples, H = r->cfg.history;
    for (int k = 0; k < K; k++) r->stats.spread[k] = 1;
    r->data.spread = NULL;
    if (r->cfg.target != TARGET_RESIDUAL || r->cfg.horizons != HORIZON_DIRECT || S < 2) return OK;
    const size_t mark = arena_mark(r->perm);
    int64_t *start, at[BATCH];
    const int64_t n = traffic_windows(r->series, r->perm, val, H, K, 1, &start);
    const int windows = n < CALIBRATE_WINDOWS ? (int)n : CALIBRATE_WINDOWS;
    if (windows < CALIBRATE_LEAST) return OK;
    double *crps = arena_zalloc(r->perm, (size_t)(FACTORS * K) * sizeof *crps);
    float *samples = arena_alloc(r->perm, (size_t)BATCH * (size_t)S * (size_t)K * (size_t)F * sizeof *samples);
    for (int i = 0; i < windows; i += BATCH) {
        const int more = windows - i < BATCH ? windows - i : BATCH;
        for (int j = 0; j < more; j++) at[j] = start[(i + j) * n / windows] + H - 1;
        add_windows(r, at, more, crps, samples);
    }
    *out = (Calibration){.windows = windows, .least = INFINITY};
    for (int k = 0; k < K; k++) {
        const int a = best_factor(crps, K, k);
        r->stats.spread[k] = (float)factor(a);
        out->least = fmin(out->least, factor(a));
        out->most = fmax(out->most, factor(a));
        out->before += crps[(int)((1 - 0.8) / 0.05 + 0.5) * K + k] / ((double)windows * K * F);
        out->after += crps[a * K + k] / ((double)windows * K * F);
    }
    arena_rewind(r->perm, mark);
    lead_data_set_spread(&r->data, &r->tape, r->perm);
    return OK;
}
