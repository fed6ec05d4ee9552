#include "lead/extend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHOOSE_WINDOWS = 32, CHOOSE_LEAST = 8, PARTS = 24, TENTHS = 9, TENTH = (NAIVE_LEVELS + 1) / (TENTHS + 1) };

// ---- whose each step is

// Adds to crps [H] those of a fitted naive forecast after the n rows t, sums over flows in the run's scale, from the
// levels 10 %, 20 % .. 90 %.
static void add_crps(NaiveModel *m, const LeadRun *r, const int64_t *t, int64_t n, double *crps, Arena *a)
{
    const int F = m->F;
    const int64_t HF = (int64_t)m->K * F;
    const size_t mark = arena_mark(a);
    float *point = arena_alloc(a, (1 + NAIVE_LEVELS) * (size_t)HF * sizeof *point), *levels = point + HF;
    for (int64_t i = 0; i < n; i++) {
        naive_predict(m, r->series, t[i], point);
        naive_spread(m, r->series, t[i], point, levels);
        for (int64_t j = 0; j < HF; j++) {
            const int f = (int)(j % F);
            float z[TENTHS];
            if (!traffic_seen(r->series, t[i] + 1, j)) continue;
            for (int64_t q = 0; q < TENTHS; q++)
                z[q] = scale_forward_flow(&r->stats.scale, f, levels[(TENTH * (q + 1) - 1) * HF + j]);
            const float y = scale_forward_flow(&r->stats.scale, f, r->series->x[(t[i] + 1) * F + j]);
            crps[j / F] += metric_crps(y, z, TENTHS, DIST_LEVELS, 0);
        }
    }
    arena_rewind(a, mark);
}

// The least of the sums over the steps beside each.
static void choose_kinds(LeadFar *far, double (*crps)[NAIVE_KINDS])
{
    const int beside = far->H / PARTS;
    for (int k = far->K; k < far->H; k++) {
        double least = INFINITY;
        for (int kind = 0; kind < NAIVE_KINDS; kind++) {
            double sum = 0;
            for (int j = k - beside; j <= k + beside; j++)
                if (j >= far->K && j < far->H) sum += crps[j][kind];
            if (!(sum < least)) continue;
            least = sum;
            far->kind[k] = (NaiveKind)kind;
        }
    }
}

// Scores every naive forecast that can be fitted; false: too few windows.
static bool compare(LeadFar *far, Arena *a, const LeadRun *r, TrafficRange fit, TrafficRange rows)
{
    const int H = far->H, history = r->cfg.history;
    const size_t mark = arena_mark(a);
    int64_t *t, all = traffic_windows(r->series, a, rows, history, H, 1, &t);
    const int64_t n = all < CHOOSE_WINDOWS ? all : CHOOSE_WINDOWS;
    for (int64_t i = 0; i < n; i++) t[i] = t[i * all / n] + history - 1;   // i * all / n >= i
    double (*crps)[NAIVE_KINDS] = arena_zalloc(a, (size_t)H * sizeof *crps);
    double *one = arena_alloc(a, (size_t)H * sizeof *one);
    const RidgeModel *ridge = NULL;   // fitted once, for both that use it
    bool any = false;
    for (int kind = 0; kind < NAIVE_KINDS && n >= CHOOSE_LEAST; kind++) {
        NaiveModel m;
        const size_t before = arena_mark(a);
        const bool fits = !naive_fit_quick(&m, a, (NaiveKind)kind, r->series, fit, rows, history, H, ridge).code;
        memset(one, 0, (size_t)H * sizeof *one);
        if (fits) add_crps(&m, r, t, n, one, a);
        for (int k = 0; k < H; k++) crps[k][kind] = fits ? one[k] : INFINITY;
        if (fits && kind == NAIVE_RIDGE) ridge = m.ridge;
        else arena_rewind(a, before);
        any |= fits;
    }
    if (any) choose_kinds(far, crps);
    arena_rewind(a, mark);
    return any;
}

static void all_steps(LeadFar *far, NaiveKind kind)
{
    for (int k = far->K; k < far->H; k++) far->kind[k] = kind;
}

static Status fit_used(LeadFar *far, Arena *a, const LeadRun *r, TrafficRange rows)
{
    memset(far->used, 0, sizeof far->used);
    for (int k = far->K; k < far->H; k++) far->used[far->kind[k]] = true;
    for (int kind = 0; kind < NAIVE_KINDS; kind++)
        if (far->used[kind])
            TRY(fallback_fit(&far->fit[kind], a, (NaiveKind)kind, r->series, rows, rows, r->cfg.history, far->H));
    return OK;
}

Status lead_far_fit(LeadFar *far, Arena *a, const LeadRun *r, int H, TrafficRange fit, TrafficRange choose,
                    TrafficRange rows)
{
    *far = (LeadFar){.K = r->cfg.horizon, .H = H, .kind = arena_zalloc(a, (size_t)H * sizeof *far->kind)};
    if (!compare(far, a, r, fit, choose)) all_steps(far, NAIVE_RIDGE_SCALE);
    if (!fit_used(far, a, r, rows).code) return OK;
    all_steps(far, NAIVE_PERSISTENCE);
    return fit_used(far, a, r, rows);
}

const char *lead_far_text(const LeadFar *far, Arena *a)
{
    const char *text = "steps";
    for (int k = far->K, end; k < far->H; k = end) {
        for (end = k + 1; end < far->H && far->kind[end] == far->kind[k];) end++;
        text = arena_printf(a, "%s%s %d .. %d %s", text, k > far->K ? "," : "", k + 1, end, naive_names[far->kind[k]]);
    }
    return text;
}

// ---- one forecast

typedef struct Total { double sum; int path; } Total;

static int by_sum(const void *a, const void *b)
{
    const Total *x = a, *y = b;
    return x->sum != y->sum ? (x->sum > y->sum ? 1 : -1) : x->path - y->path;
}

// The paths of x [S][steps][F] in the order of their totals at step k (from 1).
static Total *order(Arena *a, const float *x, int S, int steps, int F, int k)
{
    Total *total = arena_alloc(a, (size_t)S * sizeof *total);
    for (int i = 0; i < S; i++) {
        const float *at = x + ((int64_t)i * steps + k - 1) * F;
        total[i] = (Total){0, i};
        for (int f = 0; f < F; f++) total[i].sum += at[f];
    }
    qsort(total, (size_t)S, sizeof *total, by_sum);
    return total;
}

void lead_far_forecast(LeadFar *far, Arena *a, const LeadRun *r, int64_t t, const float *samples, const float *point,
                       float *x, float *p)
{
    const int S = r->cfg.samples, K = far->K, H = far->H, F = r->stats.F;
    const int64_t HF = (int64_t)H * F, KF = (int64_t)K * F;
    const size_t mark = arena_mark(a), row = (size_t)F * sizeof *x;
    float *naive = arena_alloc(a, (size_t)((S + 1) * HF) * sizeof *naive), *naive_point = naive + S * HF;
    const Total *mine = order(a, samples, S, K, F, K), *theirs = NULL;
    memcpy(p, point, (size_t)KF * sizeof *p);
    for (int i = 0; i < S; i++) memcpy(x + i * HF, samples + i * KF, (size_t)KF * sizeof *x);
    for (int n = 0; n < NAIVE_KINDS; n++) {
        const int kind = ((int)far->kind[K] + n) % NAIVE_KINDS;   // at first the one that says which path goes on
        if (!far->used[kind]) continue;
        fallback_forecast(&far->fit[kind], a, r->series, t, S, (uint64_t)r->cfg.seed, naive, naive_point);
        if (!theirs) theirs = order(a, naive, S, H, F, K);
        for (int k = K; k < H; k++) {
            if ((int)far->kind[k] != kind) continue;
            const int64_t at = (int64_t)k * F;
            memcpy(p + at, naive_point + at, row);
            for (int i = 0; i < S; i++) memcpy(x + mine[i].path * HF + at, naive + theirs[i].path * HF + at, row);
        }
    }
    arena_rewind(a, mark);
}

// ---- as a row of the evaluation

static Status run_batch(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    LeadFarRun *f = ctx;
    LeadRun *r = f->run;
    CHECK(s == r->series, "lead: evaluated on another series than the attached one");
    const int64_t F = r->stats.F, KF = f->far.K * F, HF = f->far.H * F, S = r->cfg.samples;
    const size_t mark = arena_mark(r->perm);
    float *x = arena_alloc(r->perm, (size_t)(b->n * (S + 1) * KF) * sizeof *x), *point = x + b->n * S * KF;
    const Status st = lead_forecast(r, b->last, b->n, x, point);
    for (int i = 0; i < b->n && !st.code; i++)
        lead_far_forecast(&f->far, r->perm, r, b->last[i], x + i * S * KF, point + i * KF, b->dist + i * S * HF,
                          b->point + i * HF);
    arena_rewind(r->perm, mark);
    return st;
}

Forecaster lead_far_forecaster(LeadFarRun *f, int batch)
{
    Forecaster c = lead_forecaster(f->run, batch);
    c.run = run_batch;
    c.ctx = f;
    return c;
}
