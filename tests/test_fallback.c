// The naive forecast that a run falls back to (lead/fallback.h): paths derived again from the naive distributions,
// their marginal distribution, and blindness to what comes after the row forecast from.
#include <math.h>

#include "lead/calibrate.h"
#include "lead/extend.h"
#include "lead_world.h"

enum { N = 3, F = N * N, H = 16, K = 4, S = 6, MANY = 4000 };

static float *floats(Arena *a, int64_t n) { return arena_alloc(a, (size_t)n * sizeof(float)); }

static int compare_levels(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static Fallback fitted_fallback(TestLog *log, Arena *a, const TrafficSeries *s, NaiveKind kind)
{
    Fallback f = {0};
    const Status st = fallback_fit(&f, a, kind, s, (TrafficRange){0, 300}, (TrafficRange){300, 360}, H, K);
    TEST(log, !st.code, "%s", st.msg);
    return f;
}

// Each value lies between the same two levels now as the truth of one past window did, for one window in all places.
static void check_ranks(TestLog *log, Arena *a, const TrafficSeries *s, NaiveKind kind)
{
    Fallback f = fitted_fallback(log, a, s, kind);
    const int64_t t = 320, KF = K * F;
    float *paths = floats(a, S * KF), *point = floats(a, KF);
    float *now = floats(a, NAIVE_LEVELS * KF), *past = floats(a, NAIVE_LEVELS * KF);
    float *forecast = floats(a, KF);
    fallback_forecast(&f, a, s, t, S, 7, paths, point);
    naive_predict(&f.model, s, t, forecast);
    TEST(log, memcmp(point, forecast, K * F * sizeof *point) == 0, "%s: the point forecast differs", naive_names[kind]);
    naive_spread(&f.model, s, t, forecast, now);
    for (int i = 0; i < S; i++) {
        int64_t windows = 0;   // past windows that explain the whole path
        for (int64_t w = 0; w < f.n; w++) {
            naive_predict(&f.model, s, f.past[w], forecast);
            naive_spread(&f.model, s, f.past[w], forecast, past);
            bool fits = true;
            for (int64_t j = 0; j < KF && fits; j++) {
                const float x = s->x[(f.past[w] + 1 + j / F) * F + j % F], z = paths[i * KF + j];
                int below[2] = {0, 0}, upto[2] = {0, 0};   // levels below the value, and not above it: then, now
                for (int q = 0; q < NAIVE_LEVELS; q++) {
                    below[0] += past[q * KF + j] < x, upto[0] += past[q * KF + j] <= x;
                    below[1] += now[q * KF + j] < z * 0.9999F, upto[1] += now[q * KF + j] <= z * 1.0001F;
                }
                fits = below[1] <= upto[0] && below[0] <= upto[1];
            }
            windows += fits;
        }
        TEST(log, windows >= 1 && windows < f.n / 4, "%s: path %d has the ranks of %lld of %lld past windows",
             naive_names[kind], i, (long long)windows, (long long)f.n);
    }
}

// Quantiles of many draws are the levels of the naive forecast, as far as its training residuals are spread evenly.
static void check_marginals(TestLog *log, Arena *a, const TrafficSeries *s, NaiveKind kind)
{
    Fallback f = fitted_fallback(log, a, s, kind);
    const int64_t t = 320, KF = K * F;
    float *paths = floats(a, MANY * KF), *levels = floats(a, NAIVE_LEVELS * KF);
    float *point = floats(a, KF), z[MANY];
    fallback_forecast(&f, a, s, t, MANY, 3, paths, point);
    naive_spread(&f.model, s, t, point, levels);
    double worst = 0;
    for (int64_t j = 0; j < KF; j += 5) {
        for (int i = 0; i < MANY; i++) z[i] = paths[i * KF + j];
        qsort(z, MANY, sizeof *z, compare_levels);
        for (int q = 9; q < 90; q += 20) {
            if (levels[q * KF + j] <= 0) continue;   // cut off: more than its share lies there
            double below = 0, upto = 0, want = (q + 1) / 100.0;   // equal levels: the share lies between the two
            for (int i = 0; i < MANY; i++) {
                const float unit = 1e-5F * levels[q * KF + j];
                below += (z[i] < levels[q * KF + j] - unit) / (double)MANY;
                upto += (z[i] <= levels[q * KF + j] + unit) / (double)MANY;
            }
            worst = fmax(worst, fmax(below - want, want - upto));
        }
    }
    TEST(log, worst < 0.04, "%s: a level holds %.3f more or less of the draws than it says", naive_names[kind], worst);
}

static void check_blind(TestLog *log, Arena *a, TrafficSeries *s, NaiveKind kind)
{
    const int64_t t = 320, KF = K * F;
    float *before = floats(a, 2 * S * KF), *after = before + S * KF;
    Fallback f = fitted_fallback(log, a, s, kind);
    fallback_forecast(&f, a, s, t, S, 7, before, NULL);
    float *kept = floats(a, (s->T - t - 1) * F);
    memcpy(kept, s->x + (t + 1) * F, (size_t)(s->T - t - 1) * F * sizeof *kept);
    for (int64_t i = (t + 1) * F; i < s->T * F; i++) s->x[i] = 3 * s->x[i] + 5;
    Fallback g = {0};
    const Status st = fallback_fit(&g, a, kind, s, (TrafficRange){0, 300}, (TrafficRange){300, 320}, H, K);
    TEST(log, !st.code, "%s", st.msg);
    g.model.average = f.model.average;
    fallback_forecast(&g, a, s, t, S, 7, after, NULL);
    TEST(log, memcmp(before, after, S * K * F * sizeof *before) == 0, "%s: rows after t change the forecast",
         naive_names[kind]);
    memcpy(s->x + (t + 1) * F, kept, (size_t)(s->T - t - 1) * F * sizeof *kept);
}

// A run whose statistics say so forecasts as the naive model does, whatever its network says.
static void check_run_falls_back(TestLog *log, Arena *a, const TrafficSeries *s)
{
    LeadConfig cfg = tiny_lead("none");
    cfg.history = H, cfg.horizon = K, cfg.samples = S, cfg.conditions = CONDITIONS_NONE, cfg.denoiser = DENOISER_FLOW;
    const Device dev = device_cpu_f32(isa_detect());
    World *w = world_new(dev, false);
    LeadRun r = {.cfg = cfg, .perm = w->perm, .series = s, .train = {0, 300}, .val = {300, 360}};
    r.stats = fitted(log, w->perm, s, &cfg);
    const LeadShape shape = lead_stats_shape(&r.stats, &cfg);
    r.model = *lead_world_model(w, &cfg, shape, 0);
    r.tape = w->t;
    r.tape.record = r.tape.training = false;
    r.data = data_of(log, &r.tape, w->perm, &r.stats, &r.cfg, s);
    enum { ALL = S * K * F };
    float net[ALL], naive[ALL], want[ALL], point[K * F], want_point[K * F];
    const int64_t t = 320;
    TEST(log, !lead_forecast(&r, &t, 1, net, NULL).code, "the network does not forecast");
    *r.stats.fallback = 1 + NAIVE_AVERAGE;
    // as in an evaluation: what the arena held then is overwritten before the next forecast
    const size_t mark = arena_mark(w->perm);
    TEST(log, !lead_forecast(&r, &t, 1, naive, point).code, "the first naive forecast");
    arena_rewind(w->perm, mark);
    memset(arena_alloc(w->perm, (size_t)1 << 22), 0xFF, (size_t)1 << 22);
    arena_rewind(w->perm, mark);
    const Status st = lead_forecast(&r, &t, 1, naive, point);
    TEST(log, !st.code && lead_dist(&r) == DIST_SAMPLES, "%s", st.msg);
    Fallback f = fitted_fallback(log, a, s, NAIVE_AVERAGE);
    fallback_forecast(&f, a, s, t, S, (uint64_t)cfg.seed, want, want_point);
    TEST(log, !memcmp(naive, want, sizeof want) && !memcmp(point, want_point, sizeof point),
         "a run that falls back does not forecast as the naive model does");
    TEST(log, memcmp(naive, net, sizeof net), "network and fallback give the same samples");
    // held at the base every factor is as good as another, and none is chosen; two samples decide nothing
    for (int i = 0; i < K * F; i++) r.stats.low[i] = r.stats.high[i] = 0;
    r.data = data_of(log, &r.tape, w->perm, &r.stats, &r.cfg, s);
    r.cfg.calibrate = true;
    Calibration c;
    TEST(log, !lead_calibrate(&r, r.val, CALIBRATE_WINDOWS, &c).code && c.windows > 8, "%d windows", c.windows);
    for (int k = 0; k < K; k++)
        TEST(log, r.stats.spread[k] == 1, "step %d is stretched by %g for nothing", k + 1, (double)r.stats.spread[k]);
    r.cfg.samples = 2;
    TEST(log, !lead_calibrate(&r, r.val, CALIBRATE_WINDOWS, &c).code && c.windows == 0 && r.stats.spread[0] == 1,
         "two samples are stretched by %g", (double)r.stats.spread[0]);
    arena_delete(r.aside);
    world_delete(w);
}

enum { FAR = 30 };

// CRPS of step k + 1 of a naive forecast, by its deciles' pinball losses.
static double far_crps(NaiveModel *m, const LeadRun *r, const int64_t *t, int n, int k, float *point, float *levels)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        naive_predict(m, r->series, t[i], point);
        naive_spread(m, r->series, t[i], point, levels);
        for (int f = 0; f < F; f++) {
            const double y = (double)r->series->x[(t[i] + 1 + k) * F + f];
            for (int q = 9; q < NAIVE_LEVELS; q += 10) {
                const double z = (double)levels[((int64_t)q * FAR + k) * F + f], level = (q + 1) / 100.0;
                sum += (y < z ? 1 - level : level) * fabs(y - z) / (double)r->stats.scale.flowmax_kbps[f];
            }
        }
    }
    return sum;
}

// Each step is that of the naive forecast with the least CRPS on later rows, summed over the steps beside it.
static void check_far_choice(TestLog *log, Arena *a, const LeadRun *r)
{
    const TrafficRange fit = {0, 230}, choose = {230, 340}, rows = {0, 340};
    LeadFar far;
    const Status st = lead_far_fit(&far, a, r, FAR, fit, choose, rows);
    TEST(log, !st.code && far.K == K && far.H == FAR, "%s", st.msg);
    int64_t *t;
    const int64_t all = traffic_windows(r->series, a, choose, H, FAR, 1, &t);
    CHECK(all > 32, "%lld windows", (long long)all);
    for (int i = 0; i < 32; i++) t[i] = t[i * all / 32] + H - 1;
    static double crps[NAIVE_KINDS][FAR];
    float *point = floats(a, FAR * F), *levels = floats(a, NAIVE_LEVELS * FAR * F);
    for (int kind = 0; kind < NAIVE_KINDS; kind++) {
        NaiveModel m;
        const bool fits = !naive_fit_quick(&m, a, (NaiveKind)kind, r->series, fit, choose, H, FAR, NULL).code;
        for (int k = K; k < FAR; k++) crps[kind][k] = fits ? far_crps(&m, r, t, 32, k, point, levels) : INFINITY;
    }
    for (int k = K; k < FAR; k++) {
        double sum[NAIVE_KINDS] = {0};
        int best = 0;
        for (int kind = 0; kind < NAIVE_KINDS; kind++) {
            for (int j = k - 1; j <= k + 1; j++) sum[kind] += j >= K && j < FAR ? crps[kind][j] : 0;
            if (sum[kind] < sum[best]) best = kind;
        }
        TEST(log, sum[far.kind[k]] <= sum[best] * (1 + 1e-6), "step %d is that of %s, CRPS %g; %s has %g", k + 1,
             naive_names[far.kind[k]], sum[far.kind[k]], naive_names[best], sum[best]);
        TEST(log, far.used[far.kind[k]] && far.fit[far.kind[k]].rows.end == rows.end, "step %d is not fitted", k + 1);
    }
    TEST(log, !lead_far_fit(&far, a, r, FAR, (TrafficRange){0, 330}, (TrafficRange){330, 340}, rows).code &&
              far.kind[K] == NAIVE_RIDGE_SCALE && far.kind[FAR - 1] == NAIVE_RIDGE_SCALE,
         "too few windows to compare on: want ridge-scale, got %s", lead_far_text(&far, a));
}

// Beyond the run's K steps: its own paths and point stay; later steps are those of two naive forecasts, whole paths of
// them, the i-th largest total at step K going on as the i-th largest.
static void check_extension(TestLog *log, Arena *a, const TrafficSeries *s)
{
    enum { TURN = 17 };
    const int64_t t = 320;
    LeadRun r = {.cfg = tiny_lead("none"), .series = s, .stats = {.F = F}};
    r.cfg.history = H, r.cfg.horizon = K, r.cfg.samples = S, r.cfg.seed = 3;
    CHECK(!scale_fit(&r.stats.scale, a, s, (TrafficRange){0, 230}, SCALE_FLOWMAX).code, "no scale");
    check_far_choice(log, a, &r);
    float *mine = floats(a, S * K * F), point[K * F], *far = floats(a, S * FAR * F), far_point[FAR * F];
    float *part[2], naive_point[2][FAR * F], *naive = floats(a, S * FAR * F);
    for (int i = 0; i < S * K * F; i++) mine[i] = (float)((i * 37) % 101);
    for (int i = 0; i < K * F; i++) point[i] = (float)i;
    NaiveKind kinds[FAR] = {0};
    LeadFar two = {.K = K, .H = FAR, .kind = kinds};
    for (int i = 0; i < 2; i++) {
        const NaiveKind kind = i ? NAIVE_PERSISTENCE : NAIVE_RIDGE;
        const TrafficRange rows = {0, t + 1};
        two.used[kind] = true;
        for (int k = i ? TURN : K; k < (i ? FAR : TURN); k++) kinds[k] = kind;
        CHECK(!fallback_fit(&two.fit[kind], a, kind, s, rows, rows, H, FAR).code, "no fit");
        fallback_forecast(&two.fit[kind], a, s, t, S, 3, part[i] = floats(a, S * FAR * F), naive_point[i]);
    }
    TEST(log, !strcmp(lead_far_text(&two, a), "steps 5 .. 17 ridge, 18 .. 30 persistence"), "%s",
         lead_far_text(&two, a));
    lead_far_forecast(&two, a, &r, t, mine, point, far, far_point);
    for (int i = 0; i < S * FAR * F; i++) naive[i] = part[i / F % FAR >= TURN][i];
    for (int i = 0; i < FAR * F; i++) {
        const float want = i < K * F ? point[i] : naive_point[i / F >= TURN][i];
        TEST(log, far_point[i] == want, "point forecast, step %d: want %g, got %g", i / F + 1, (double)want,
             (double)far_point[i]);
    }
    for (int i = 0; i < S; i++) {
        int above = 0, found = -1;   // paths whose total at step K is larger than that of path i
        double total[S], other[S];
        for (int j = 0; j < S; j++) {
            total[j] = other[j] = 0;
            for (int k = 0; k < F; k++) {
                total[j] += mine[(j * K + K - 1) * F + k];
                other[j] += naive[(j * FAR + K - 1) * F + k];
            }
        }
        for (int j = 0; j < S; j++) above += total[j] > total[i];
        const float *path = far + i * FAR * F;
        TEST(log, !memcmp(path, mine + i * K * F, K * F * sizeof *path), "path %d: the run's steps are others", i);
        for (int j = 0; j < S; j++)
            if (!memcmp(path + K * F, naive + (j * FAR + K) * F, (FAR - K) * F * sizeof *path)) found = j;
        int naive_above = 0;
        for (int j = 0; found >= 0 && j < S; j++) naive_above += other[j] > other[found];
        TEST(log, found >= 0 && naive_above == above, "path %d of rank %d goes on as path %d of rank %d", i, above,
             found, naive_above);
    }
}

// Whether a path is one of those that few rows allow: steps h of it are row `base` plus sign times the change of row
// `from` over min(ahead + h, reach) slots.
static bool is_path(const TrafficSeries *s, const float *path, int64_t base, int64_t from, float sign, int64_t ahead,
                    int64_t reach)
{
    bool same = true;
    for (int64_t j = 0; j < K * F && same; j++) {
        const int64_t k = ahead + 1 + j / F, to = from + (k < reach ? k : reach), f = j % F;
        const float change = sign != 0 ? sign * (s->x[to * F + f] - s->x[from * F + f]) : 0;
        same = path[j] == fmaxf(0, s->x[base * F + f] + change);
    }
    return same;
}

// With few rows: half the paths are the last row and a change, half a row; rows after t and rows that are not valid
// matter to none.
static void check_brief(TestLog *log, Arena *a, const TrafficSeries *whole)
{
    enum { T = 9, GAP = 2, LAST = T - 1 - GAP, PATHS = 300 };
    TrafficSeries s = traffic_series_newest(whole, a, whole->T - 3 * T);
    s.T = T;
    for (int64_t i = 0; i < T; i++) s.valid[i] = i <= LAST;
    float *x = floats(a, 2 * PATHS * K * F), *again = x + PATHS * K * F, point[K * F];
    int64_t last;
    Status st = fallback_brief(&s, a, T - 1, K, PATHS, 7, x, point, &last);
    TEST(log, !st.code && last == LAST, "%s; last row %lld", st.msg, (long long)last);
    int stay = 0, change = 0;
    for (int i = 0; i < PATHS; i++) {
        bool stays = false, changes = false;
        for (int64_t from = 0; from <= LAST; from++) {
            stays |= is_path(&s, x + i * K * F, from, from, 0, GAP, LAST / 2);
            for (float sign = -1; sign <= 1 && from <= LAST - LAST / 2; sign += 2)
                changes |= is_path(&s, x + i * K * F, LAST, from, sign, GAP, LAST / 2);
        }
        stay += stays, change += !stays && changes;   // the last row less its own change is a row too: an eighth
    }
    TEST(log, stay + change == PATHS && abs(stay - PATHS * 9 / 16) < PATHS / 8, "%d paths stay, %d change, of %d", stay,
         change, PATHS);
    double mean = 0;
    for (int64_t t = 0; t <= LAST; t++) mean += (double)s.x[t * F + 1] / (LAST + 1);
    const double want = 0.5 * (mean + (double)s.x[LAST * F + 1]), got = (double)point[(K - 1) * F + 1];
    TEST(log, fabs(got - want) <= 1e-6 * want, "point %g, want %g", got, want);
    for (int64_t i = (LAST + 1) * F; i < T * F; i++) s.x[i] = 12345;
    st = fallback_brief(&s, a, T - 1, K, PATHS, 7, again, point, &last);
    TEST(log, !st.code && !memcmp(x, again, (size_t)(PATHS * K * F) * sizeof *x), "rows left out change the forecast");
    s.valid[LAST] = s.valid[LAST - 1] = 0;   // now the last is 4 slots old, and changes are known over 2
    st = fallback_brief(&s, a, T - 1, K, PATHS, 7, again, point, &last);
    TEST(log, st.code == 1 && strstr(st.msg, "row 4, is 4 slots before row 8, want at most 2"), "'%s'", st.msg);
    memset(s.valid + 1, 0, T - 1);
    st = fallback_brief(&s, a, 0, K, PATHS, 7, again, point, &last);
    TEST(log, st.code == 1 && strstr(st.msg, "at least 2 valid snapshots up to row 0, got 1"), "'%s'", st.msg);
}

void test_fallback(TestLog *log)
{
    Arena *a = arena_new("fallback", (size_t)1 << 30, NULL);
    TrafficSeries s = synth_series(log, a, N, 17, 3600);
    static const NaiveKind kinds[] = {NAIVE_PERSISTENCE, NAIVE_RIDGE_SCALE, NAIVE_ETS};
    for (int i = 0; i < 3; i++) {
        check_ranks(log, a, &s, kinds[i]);
        check_marginals(log, a, &s, kinds[i]);
        check_blind(log, a, &s, kinds[i]);
    }
    check_run_falls_back(log, a, &s);
    check_extension(log, a, &s);
    check_brief(log, a, &s);
    arena_delete(a);
}
