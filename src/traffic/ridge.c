#include "traffic/ridge.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "traffic/ridge_gram.h"

enum { LAGS = RIDGE_LAGS, INPUTS = RIDGE_INPUTS, ONE = RIDGE_ONE, PACK_HEAD = 3 };

// ---- fitting -------------------------------------------------------------------------------------------------------

static float *coef_at(const RidgeModel *m, int fit, int h, int f)
{
    return m->coef + (((int64_t)fit * m->K + h) * m->F + f) * INPUTS;
}

static void fit_flows(RidgeModel *m, Arena *a, const TrafficSeries *s, const RidgeRows *r, int fit,
                      const float *flowmax, double lambda)
{
    int threads = omp_get_max_threads();
    size_t x_size = (size_t)s->T, gram_size = (size_t)m->K * sizeof(RidgeGram) / sizeof(double),
           col_size = (size_t)RIDGE_COLS * RIDGE_BLOCK, w_size = (size_t)m->K * INPUTS,
           one = x_size + gram_size + col_size + w_size;
    double *space = arena_alloc(a, (size_t)threads * one * sizeof *space);
#pragma omp parallel for schedule(dynamic, 1)
    for (int f = 0; f < m->F; f++) {
        double *x = space + (size_t)omp_get_thread_num() * one;
        RidgeGram *gram = (RidgeGram *)(x + x_size);
        double (*col)[RIDGE_BLOCK] = (double (*)[RIDGE_BLOCK])(x + x_size + gram_size);
        double (*w)[INPUTS] = (double (*)[INPUTS])(x + x_size + gram_size + col_size);
        double unit = flowmax[f] > 0 ? (double)flowmax[f] : 1;
        for (int64_t t = 0; t < s->T; t++) x[t] = (double)s->x[t * m->F + f] / unit;
        const RidgeFlow flow = ridge_flow(s, f, x);
        const bool common = ridge_gram_fill(gram, r, &flow, m->K, col);
        ridge_solve((const RidgeGram *)gram, m->K, r->n_season, lambda, common, w);
        for (int h = 0; h < m->K; h++) {
            w[h][ONE] *= unit;
            for (int i = 0; i < INPUTS; i++) coef_at(m, fit, h, f)[i] = (float)w[h][i];
        }
    }
}

// Far ahead the errors of neighbouring windows are nearly the same ones: of K steps every (K/32)-th window is enough,
// as long as four times RIDGE_FULL_WINDOWS are left.
static int64_t window_stride(int64_t windows, int K)
{
    const int64_t most = windows / (4 * RIDGE_FULL_WINDOWS), stride = K / 32 < most ? K / 32 : most;
    return stride > 1 ? stride : 1;
}

Status ridge_fit(RidgeModel *m, Arena *a, const TrafficSeries *s, TrafficRange rows, int K, double lambda)
{
    *m = (RidgeModel){.F = s->N * s->N, .K = K, .per_day = (int)traffic_slots_per_day(s)};
    size_t one_fit = (size_t)K * (size_t)m->F * INPUTS;
    m->coef = arena_alloc(a, RIDGE_FITS * one_fit * sizeof *m->coef);
    size_t mark = arena_mark(a);
    int64_t *starts, n = traffic_windows(s, a, rows, LAGS, K, 1, &starts);
    if (n < RIDGE_MIN_WINDOWS) {
        arena_rewind(a, mark);
        return ERROR("ridge: want at least %d training windows of %d + %d snapshots, got %lld", RIDGE_MIN_WINDOWS, LAGS,
                     K, (long long)n);
    }
    const int64_t stride = window_stride(n, K);
    if (stride > 1) n = traffic_windows(s, a, rows, LAGS, K, stride, &starts);
    float *flowmax = arena_zalloc(a, (size_t)m->F * sizeof *flowmax);
    for (int64_t t = rows.begin; t < rows.end; t++)
        for (int f = 0; s->valid[t] && f < m->F; f++) flowmax[f] = fmaxf(flowmax[f], s->x[t * m->F + f]);
    for (int fit = RIDGE_FITS - 1; fit >= 0; fit--) {
        size_t inner = arena_mark(a);
        RidgeRows r = ridge_rows_find(s, a, starts, n, K, fit);
        if (fit == RIDGE_FITS - 1 || r.n >= RIDGE_FULL_WINDOWS) fit_flows(m, a, s, &r, fit, flowmax, lambda);
        else memcpy(coef_at(m, fit, 0, 0), coef_at(m, fit + 1, 0, 0), one_fit * sizeof *m->coef);
        arena_rewind(a, inner);
    }
    arena_rewind(a, mark);
    return OK;
}

// ---- forecasting ---------------------------------------------------------------------------------------------------

void ridge_predict(const RidgeModel *m, const TrafficSeries *s, int64_t t, float *out)
{
    CHECK(s->N * s->N == m->F && traffic_slots_per_day(s) == m->per_day, "ridge_predict: %d flows, %d slots a day, "
          "fitted for %d and %d", s->N * s->N, (int)traffic_slots_per_day(s), m->F, m->per_day);
    CHECK(t >= LAGS - 1 && t < s->T && s->slot[t] - s->slot[t - LAGS + 1] == LAGS - 1,
          "ridge_predict: row %lld of %lld has no %d rows of one run up to it", (long long)t, (long long)s->T, LAGS);
    const int F = m->F;
    for (int h = 0; h < m->K; h++) {
        int64_t season[RIDGE_SEASON];
        bool day, week;
        ridge_season_rows(s, t, h + 1, season, &day, &week);
        int fit = day ? week ? 0 : 1 : 2;
        for (int f = 0; f < F; f++) {
            const float *w = coef_at(m, fit, h, f);
            double v = (double)w[ONE];
            for (int l = 0; l < LAGS; l++) v += (double)w[l] * (double)s->x[(t - l) * F + f];
            for (int k = 0; k < ridge_season_inputs[fit]; k++)
                v += (double)w[LAGS + k] * (double)s->x[season[k] * F + f];
            out[h * F + f] = v > 0 ? (float)v : 0;
        }
    }
}

// ---- flat arrays ---------------------------------------------------------------------------------------------------

int64_t ridge_pack_size(const RidgeModel *m)
{
    return PACK_HEAD + (int64_t)RIDGE_FITS * m->K * m->F * INPUTS;
}

void ridge_pack(const RidgeModel *m, float *out)
{
    float head[PACK_HEAD] = {(float)m->F, (float)m->K, (float)m->per_day};
    memcpy(out, head, sizeof head);
    memcpy(out + PACK_HEAD, m->coef, (size_t)(ridge_pack_size(m) - PACK_HEAD) * sizeof *out);
}

Status ridge_unpack(RidgeModel *m, Arena *a, const float *in, int64_t n, const char *from)
{
    *m = (RidgeModel){.F = 0};
    bool ok = n > PACK_HEAD && in[0] >= 4 && in[0] <= 1 << 24 && in[1] >= 1 && in[1] <= 1 << 16 && in[2] >= 1 &&
              in[2] <= 86400;
    if (ok) {
        m->F = (int)in[0];
        m->K = (int)in[1];
        m->per_day = (int)in[2];
    }
    if (!ok || n != ridge_pack_size(m))
        return ERROR("%s: ridge: want %d + %d*K*F*%d values, got %lld with another head", from, PACK_HEAD, RIDGE_FITS,
                     INPUTS, (long long)n);
    size_t bytes = (size_t)(n - PACK_HEAD) * sizeof *in;
    m->coef = memcpy(arena_alloc(a, bytes), in + PACK_HEAD, bytes);
    return OK;
}
