// A base that gives way to a moving average (lead/blend.h), beside plain loops over the series: in a flow that has left
// the range of its training rows the average takes over; no row of the future is looked at; traffic that is multiplied
// multiplies the base.
#include "lead_world.h"

enum { N = 4, F = N * N, K = 6, H = 12 };

static LeadConfig config(bool blend)
{
    LeadConfig c = tiny_lead("");
    c.target = TARGET_RESIDUAL, c.base = BASE_RIDGE, c.history = H, c.horizon = K, c.flow_context = true;
    c.base_blend = blend;
    return c;
}

// Of a flow after each row: the moving average; and those of the squared errors made `ahead` slots before, of the ridge
// and of the moving average.
typedef struct Plain { double *level, *ridge[ERROR_STEPS], *average[ERROR_STEPS]; } Plain;

static bool ridge_can(const TrafficSeries *s, int64_t t)
{
    for (int i = 0; i < RIDGE_LAGS; i++)
        if (t - i < 0 || !s->valid[t - i] || traffic_row_at(s, t, -i) != t - i) return false;
    return true;
}

static double kept(const TrafficSeries *s, int64_t now, int64_t before, double hours)
{
    return exp2(-(double)(s->slot[now] - s->slot[before]) * s->slot_seconds / 3600 / hours);
}

static double value(const LeadStats *st, const TrafficSeries *s, int64_t t, int f)
{
    return (double)scale_forward_flow(&st->scale, f, s->x[t * F + f]);
}

static Plain plain_of(const LeadStats *st, const TrafficSeries *s, int f, Arena *a)
{
    const size_t bytes = (size_t)s->T * sizeof(double);
    int steps[ERROR_STEPS];
    const int n = lead_error_steps(K, steps);
    Plain p = {.level = arena_zalloc(a, bytes)};
    int64_t last = -1;
    for (int64_t t = 0; t < s->T; t++) {
        p.level[t] = t ? p.level[t - 1] : 0;
        if (!s->valid[t]) continue;
        p.level[t] += (1 - (last < 0 ? 0 : kept(s, t, last, 1))) * (value(st, s, t, f) - p.level[t]);
        last = t;
    }
    float made[K * F];
    for (int i = 0; i < n; i++) {
        p.ridge[i] = arena_zalloc(a, bytes), p.average[i] = arena_zalloc(a, bytes);
        last = -1;
        for (int64_t t = 0; t < s->T; t++) {
            double *r = p.ridge[i] + t, *m = p.average[i] + t;
            if (t) *r = r[-1], *m = m[-1];
            const int64_t from = s->valid[t] ? traffic_row_at(s, t, -steps[i]) : -1;
            if (from < 0 || !ridge_can(s, from)) continue;
            ridge_predict(&st->ridge, s, from, made);
            const double x = value(st, s, t, f), k = last < 0 ? 0 : kept(s, t, last, 6);
            const double e = x - (double)scale_forward_flow(&st->scale, f, made[(steps[i] - 1) * F + f]);
            *r += (1 - k) * (e * e - *r);
            *m += (1 - k) * ((x - p.level[from]) * (x - p.level[from]) - *m);
            last = t;
        }
    }
    return p;
}

static double plain_weight(const Plain *p, int64_t t, int k)
{
    int steps[ERROR_STEPS];
    const int n = lead_error_steps(K, steps);
    double w[ERROR_STEPS];
    for (int i = 0; i < n; i++) {
        const double ratio = p->ridge[i][t] > 0 ? 2 * p->average[i][t] / p->ridge[i][t] : INFINITY;
        w[i] = 1 / (1 + ratio * ratio);
    }
    for (int i = 0; i + 1 < n; i++)
        if (k <= steps[i + 1]) return w[i] + (w[i + 1] - w[i]) * (k - steps[i]) / (steps[i + 1] - steps[i]);
    return w[n - 1];
}

// A gap, missing rows, and flow 5 at ten times the most that any fit has seen in the last fifth, and nearly even.
static TrafficSeries moved_series(TestLog *log, Arena *a)
{
    TrafficSeries s = synth_series(log, a, N, 6, 1200);
    static const int64_t bad[] = {40, 41, 90, 200, 201};
    const Status r = traffic_series_mark_invalid(&s, bad, sizeof bad / sizeof *bad);
    TEST(log, !r.code, "%s", r.msg);
    float most = 0;
    for (int64_t t = 0; t < s.T * 4 / 5; t++) most = fmaxf(most, s.x[t * F + 5]);
    for (int64_t t = s.T * 4 / 5; t < s.T; t++) s.x[t * F + 5] = (10 + 0.1f * (float)(t % 3)) * most;
    return s;
}

static float *bases(TestLog *log, World *w, const LeadStats *st, const TrafficSeries *s, bool blend, const int64_t *at,
                    int64_t n, float times)
{
    static LeadConfig cfg;
    cfg = config(blend);
    float *out = arena_alloc(w->perm, (size_t)(n * K * F) * sizeof *out);
    tape_reset(&w->t);
    const LeadData d = data_of(log, &w->t, w->step, st, &cfg, s);
    Tensor *rows = lead_data_rows(&d, w->step, at, n), *factor = tape_tensor(&w->t, SHAPE(F));
    tensor_fill(factor, (double)times);
    const LeadBatch b = times == 1 ? lead_data_batch(&w->t, &d, rows, NULL, false)
                                   : lead_data_training_batch(&w->t, &d, rows, factor);
    tensor_get_f32(b.base, out, n * K * F);
    return out;
}

void test_blend(TestLog *log)
{
    World *w = world_new(device_cpu_f32(isa_detect()), false);
    TrafficSeries s = moved_series(log, w->perm);
    const LeadConfig cfg = config(true);
    const LeadStats st = fitted(log, w->perm, &s, &cfg);
    int64_t *at, n = traffic_windows(&s, w->perm, (TrafficRange){0, s.T}, H, K, 1, &at);
    for (int64_t i = 0; i < n; i++) at[i] += H - 1;
    const float *ridge = bases(log, w, &st, &s, false, at, n, 1), *got = bases(log, w, &st, &s, true, at, n, 1);
    const float *twice = bases(log, w, &st, &s, true, at, n, 2);
    double worst = 0, most[2] = {0}, far = 0;
    for (int f = 0; f < F; f++) {
        const Plain p = plain_of(&st, &s, f, w->perm);
        for (int64_t i = 0; i < n; i++)
            for (int k = 1; k <= K; k++) {
                const int64_t j = (i * K + k - 1) * F + f;
                const double weight = plain_weight(&p, at[i], k), size = 1 + fabs(p.level[at[i]]);
                const double want = (double)ridge[j] + weight * (p.level[at[i]] - (double)ridge[j]);
                worst = check_fold(worst, fabs((double)got[j] - want) / size);
                far = check_fold(far, fabs((double)twice[j] - 2 * (double)got[j]) / size);
                if (at[i] < s.T * 7 / 10 || f == 5) most[f == 5] = fmax(most[f == 5], weight);
            }
    }
    TEST(log, worst < 2e-5, "base: %g from what plain loops give", worst);
    TEST(log, far < 2e-5, "base of twice the traffic: %g from twice the base", far);
    TEST(log, most[1] > 0.8, "the moving average has at most %g where the level moved", most[1]);

    TrafficSeries later = s;   // the same up to some row, other traffic after it
    const int64_t t = s.T * 9 / 10, one = t;
    later.x = arena_alloc(w->perm, (size_t)(s.T * F) * sizeof *later.x);
    for (int64_t i = 0; i < s.T * F; i++) later.x[i] = s.x[i] * (i < (t + 1) * F ? 1 : 7);
    const float *a = bases(log, w, &st, &s, true, &one, 1, 1), *b = bases(log, w, &st, &later, true, &one, 1, 1);
    TEST(log, memcmp(a, b, (size_t)(K * F) * sizeof *a) == 0, "rows after the last known one change the base");
    world_delete(w);
}
