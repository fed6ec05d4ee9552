// Scaling (E1), slot means and image encoding (E2), metrics (E9).
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/philox.h"
#include "tests/test.h"
#include "traffic/encode.h"
#include "traffic/metrics.h"
#include "traffic_world.h"

// ---- scales --------------------------------------------------------------------------------------------------------

static void scale_round_trip(TestLog *log, Arena *a, const TrafficSeries *s, ScaleKind kind)
{
    TrafficScale k, u;
    TrafficRange train = {0, s->T * 7 / 10};
    Status st = scale_fit(&k, a, s, train, kind);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    const char *name = scale_kind_names[kind];
    int64_t n = scale_pack_size(&k);
    float *packed = arena_alloc(a, (size_t)(n + 1) * sizeof *packed), top = 0;
    scale_pack(&k, packed);
    st = scale_unpack(&u, a, packed, n, "test");
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    double worst = 0;
    const float volumes[] = {0, 1e-3f, 0.5f, 10, 333, 1e4f, 2e5f, k.max_kbps, 3 * k.max_kbps, 50 * k.max_kbps};
    for (int f = 0; f < k.F; f++) {
        float before = -1;
        for (size_t i = 0; i < sizeof volumes / sizeof *volumes; i++) {
            float v = scale_forward_flow(&k, f, volumes[i]), back = scale_inverse_flow(&k, f, v);
            TEST(log, v == scale_forward_flow(&u, f, volumes[i]), "%s: unpacked scale differs", name);
            TEST(log, v > before, "%s: not increasing at %g", name, (double)volumes[i]);
            before = v;
            // one float step of s, in kbit/s, beside the relative error
            float step = scale_inverse_flow(&k, f, nextafterf(v, FLT_MAX)) - back;
            worst =
                fmax(worst, (fabs((double)back - (double)volumes[i]) - (double)step) / fmax((double)volumes[i], 1e-6));
        }
        TEST(log, scale_forward_flow(&k, f, 0) == 0 && scale_inverse_flow(&k, f, 0) == 0, "%s: zero is not kept", name);
    }
    TEST(log, worst < 2e-6, "%s: round trip error %g", name, worst);
    for (int64_t t = 0; t < train.end; t++)
        for (int f = 0; f < k.F; f++) top = fmaxf(top, scale_forward_flow(&k, f, s->x[t * k.F + f]));
    TEST(log, near((double)top, 1, 1e-6), "%s: training values reach %g", name, (double)top);
    TEST(log, scale_inverse_flow(&k, 0, -0.1f) == 0 && isnan(scale_inverse_flow(&k, 0, NAN)) &&
              scale_inverse_flow(&k, 0, 1e30f) <= FLT_MAX, "%s: inverse at the ends", name);
    // lies
    TEST(log, scale_unpack(&u, a, packed, n - 1, "test").code && scale_unpack(&u, a, packed, 3, "test").code, "short");
    packed[1] = NAN;
    TEST(log, scale_unpack(&u, a, packed, n, "test").code, "NaN flows");
    packed[1] = (float)k.F;
    packed[5] = -1;
    TEST(log, scale_unpack(&u, a, packed, n, "test").code, "negative maximum");
}

// The test rows must not move the scale: poison them.
static void scale_training_only(TestLog *log, Arena *a, const TrafficSeries *s)
{
    TrafficSeries p = *s;
    size_t n = (size_t)(s->T * s->N * s->N), bytes = n * sizeof *p.x;
    p.x = memcpy(arena_alloc(a, bytes), s->x, bytes);
    p.valid = memcpy(arena_alloc(a, (size_t)s->T), s->valid, (size_t)s->T);
    TrafficRange train = {0, s->T * 7 / 10};
    for (size_t k = (size_t)(train.end * s->N * s->N); k < n; k++) p.x[k] = 1e12f;
    p.x[5] = 1e13f;   // and one snapshot of the training rows that is not valid
    p.valid[0] = 0;
    TrafficSeries q = *s;
    q.valid = p.valid;
    for (int kind = 0; kind < SCALE_KINDS; kind++) {
        TrafficScale k1, k2;
        SlotMeans m1, m2;
        Status st = scale_fit(&k1, a, &q, train, (ScaleKind)kind), su = scale_fit(&k2, a, &p, train, (ScaleKind)kind);
        if (!TEST(log, !st.code && !su.code, "fit")) return;
        slot_means_fit(&m1, a, &q, train, &k1);
        slot_means_fit(&m2, a, &p, train, &k2);
        float *a1 = arena_alloc(a, (size_t)scale_pack_size(&k1) * 4),
              *a2 = arena_alloc(a, (size_t)scale_pack_size(&k2) * 4);
        scale_pack(&k1, a1);
        scale_pack(&k2, a2);
        TEST(log, scale_pack_size(&k1) == scale_pack_size(&k2) && !memcmp(a1, a2, (size_t)scale_pack_size(&k1) * 4),
             "%s: test rows moved the scale", scale_kind_names[kind]);
        TEST(log, !memcmp(m1.mean, m2.mean, (size_t)m1.n_slots * (size_t)m1.F * 4), "test rows moved the slot means");
    }
    TrafficScale none;
    TrafficSeries silent = *s;
    silent.x = arena_zalloc(a, bytes);
    Status st = scale_fit(&none, a, &silent, train, SCALE_LOG);
    TEST(log, st.code && strstr(st.msg, "want traffic"), "silent series: '%s'", st.msg);
    ScaleKind kind;
    st = scale_kind_parse(&kind, "zscore");
    TEST(log, st.code == 2 && strstr(st.msg, "got 'zscore'"), "%s", st.msg);
    TEST(log, !scale_kind_parse(&kind, "quantile").code && kind == SCALE_QUANTILE, "parse");
}

static void slot_means_small(TestLog *log, Arena *a)
{
    // Two weeks of hours: slot of the week; the mean of the two Mondays at 01:00 of flow 3.
    TrafficSeries s = make_series(a, 3, 14 * 24 + 5, 3600, 1);
    TrafficScale k;
    SlotMeans m, u;
    Status st = scale_fit(&k, a, &s, (TrafficRange){0, 14 * 24}, SCALE_MAX);
    if (!TEST(log, !st.code, "%s", st.msg)) return;
    slot_means_fit(&m, a, &s, (TrafficRange){0, 14 * 24}, &k);
    double want = ((double)s.x[9 + 3] + (double)s.x[(7 * 24 + 1) * 9 + 3]) / 2 / (double)k.max_kbps;
    TEST(log, m.n_slots == 168 && near((double)slot_means_at(&m, &s, 0, 1)[3], want, 1e-6), "slot of the week");
    TEST(log, slot_means_at(&m, &s, 0, 169) == slot_means_at(&m, &s, 1, 0), "the next week has another slot");
    slot_means_fit(&m, a, &s, (TrafficRange){0, 14 * 24 - 1}, &k);
    TEST(log, m.n_slots == 24, "13 days: %d slots", m.n_slots);
    slot_means_fit(&m, a, &s, (TrafficRange){0, 5}, &k);   // hours 5..23 never seen: the flow's mean
    double mean = 0;
    for (int t = 0; t < 5; t++) mean += (double)s.x[t * 9 + 3] / 5 / (double)k.max_kbps;
    TEST(log, near((double)slot_means_at(&m, &s, 20, 0)[3], mean, 1e-6), "an unseen slot");
    int64_t n = slot_means_pack_size(&m);
    float *packed = arena_alloc(a, (size_t)n * sizeof *packed);
    slot_means_pack(&m, packed);
    st = slot_means_unpack(&u, a, packed, n, "test");
    TEST(log, !st.code && u.n_slots == 24 && !memcmp(u.mean, m.mean, 24 * 9 * 4), "unpack: %s", st.msg);
    TEST(log, slot_means_unpack(&u, a, packed, n - 1, "test").code, "short slot means accepted");
}

// ---- images --------------------------------------------------------------------------------------------------------

static void encode_round_trip(TestLog *log, Arena *a, const TrafficSeries *s)
{
    const int F = s->N * s->N;
    float *rgb = arena_alloc(a, (size_t)F * 12), *grey = arena_alloc(a, (size_t)F * 4),
          *back = arena_alloc(a, (size_t)F * 4);
    for (int kind = 0; kind < SCALE_KINDS; kind++) {
        TrafficScale k;
        SlotMeans m;
        Status st = scale_fit(&k, a, s, (TrafficRange){0, s->T / 2}, (ScaleKind)kind);
        if (!TEST(log, !st.code, "%s", st.msg)) return;
        slot_means_fit(&m, a, s, (TrafficRange){0, s->T / 2}, &k);
        EncodeGains g = encode_gains_fit(a, s, (TrafficRange){0, s->T / 2}, &k, &m);
        TEST(log, g.k_g > 0 && g.k_g <= 1000 && g.k_b > 0 && g.k_b <= g.k_g, "gains %g %g", (double)g.k_g,
             (double)g.k_b);
        double worst = 0, byte = 0, inside = 0;
        for (int64_t t = 1; t < s->T; t += 97) {
            const float *x = s->x + t * F;
            encode_rgb(rgb, x, x - F, slot_means_at(&m, s, t, 0), &k, g);
            encode_grey(grey, x, &k);
            encode_decode(back, rgb, 3, &k);
            for (int f = 0; f < F; f++) {
                double v = (double)scale_forward_flow(&k, f, x[f]);
                worst = fmax(worst, fabs((double)scale_forward_flow(&k, f, back[f]) - v));
                if (v <= 1) byte = fmax(byte, fabs(((double)encode_from_byte(encode_to_byte(rgb[3 * f])) + 1) / 2 - v));
                inside = fmax(inside, fmax(fabs((double)rgb[3 * f + 1]), fabs((double)rgb[3 * f + 2])));
                TEST(log, (x[f] > 0) == (rgb[3 * f] > -1) || v < 1e-7, "silent and speaking flows get mixed up");
                double s_prev = (double)scale_forward_flow(&k, f, x[f - F]),
                       mean = (double)slot_means_at(&m, s, t, 0)[f];
                TEST(log, near((double)rgb[3 * f + 1], tanh((double)g.k_g * (v - s_prev)), 1e-4) &&
                          near((double)rgb[3 * f + 2], tanh((double)g.k_b * (v - mean)), 1e-4), "G or B of flow %d", f);
                TEST(log, grey[f] == rgb[3 * f] && (x[f] > 0 || back[f] == 0), "grey, zero");
            }
        }
        TEST(log, worst <= 1.5e-7, "%s: float round trip %g in s", scale_kind_names[kind], worst);
        TEST(log, byte <= 0.5 / 255 + 1e-6, "%s: 8-bit round trip %g, step %g", scale_kind_names[kind], byte,
             1.0 / 255);
        TEST(log, inside <= 1 && inside > 0.1, "G, B up to %g", inside);
    }
    TEST(log,
         encode_to_byte(-1) == 0 && encode_to_byte(1) == 255 && encode_to_byte(9) == 255 && encode_to_byte(NAN) == 0,
         "bytes at the ends");
}

// ---- metrics -------------------------------------------------------------------------------------------------------

static void metrics_by_hand(TestLog *log)
{
    const float z[4] = {1, 2, 4, 9};
    MetricTerms v = metric_terms(3, 2.5f, z, 4, DIST_SAMPLES, 0);
    // mean |z-y| = (2+1+1+6)/4 = 2.5; sum of differences of pairs = 1+3+8+2+7+5 = 26
    TEST(log, near(v.crps, 2.5 - 26 / 12.0, 1e-12) && near(v.crps_ensemble, 2.5 - 26 / 16.0, 1e-12), "crps %g %g",
         v.crps, v.crps_ensemble);
    TEST(log, near(v.median_error, 0, 1e-12) && near(v.error, -0.5, 1e-12) && v.in50 && v.in90, "median %g",
         v.median_error);
    double ql = 0, pinball = 0;
    for (int i = 1; i < 20; i++) {
        double q = i / 20.0, at = q * 3,
               zq = (double)z[(int)at] + (at - (int)at) * (double)(z[(int)at + 1] - z[(int)at]);
        ql += 2 * fabs((zq - 3) * ((3 <= zq) - q)) / 19;
    }
    TEST(log, near(v.ql, ql, 1e-12), "ql %g %g", v.ql, ql);
    v = metric_terms(3, 2.5f, z, 4, DIST_LEVELS, 0);
    for (int i = 0; i < 4; i++) {
        double e = 3 - (double)z[i], q = (i + 1) / 5.0;
        pinball += 2 * (e > 0 ? q * e : (q - 1) * e) / 4;
    }
    TEST(log, near(v.crps, pinball, 1e-12), "levels: crps %g, mean quantile loss %g", v.crps, pinball);
    // pairs (1,9) and (4,2): between them 26 - 8 - 2; z_0.25 at 0.5: 1.5, z_0.75 at 2.5: 6.5
    v = metric_terms(1.6f, 2.5f, z, 4, DIST_PAIRS, 10);
    TEST(log, near(v.crps, (0.6 + 0.4 + 2.4 + 7.4) / 4 - 16 / 8.0, 1e-6) && v.in50 && v.in90, "pairs: crps %g", v.crps);
    TEST(log, !metric_terms(1.4f, 0, z, 4, DIST_PAIRS, 10).in50 && !metric_terms(6.6f, 0, z, 4, DIST_PAIRS, 10).in50,
         "pairs: the middle half is wider than 1.5 .. 6.5");
    TEST(log, isnan(metric_terms(1, 0, z, 2, DIST_PAIRS, 1).crps), "crps of one pair");
    for (int S = 2; S <= 32; S += 10) {   // mirrored: quantiles too, rising, the median in the middle
        float m[32];
        for (int i = 0; i < S; i++) m[i] = (float)((2 * i - S + 1) * (2 * i - S + 1) * (2 * i < S ? -1 : 1));
        for (int q = 1; q <= 1000; q++) {
            const double at = metric_quantile(m, S, q / 1000.0, QUANTILE_PAIRS);
            TEST(log,
                 near(at, -metric_quantile(m, S, 1 - q / 1000.0, QUANTILE_PAIRS), 1e-9) &&
                     at >= metric_quantile(m, S, (q - 1) / 1000.0, QUANTILE_PAIRS),
                 "S %d: quantile %d/1000 is %g", S, q, at);
        }
    }
    const float line[4] = {0, 6, 1, 3};   // pairs (0,6), (1,3): between them 1+3+5+3
    TEST(log, near(metric_energy((float[]){0}, line, 4, 1, 1, true), 2.5 - 12 / 8.0, 1e-6), "energy of pairs");
    // energy: two samples in the plane
    TEST(log, near(metric_energy((float[]){0, 0}, (float[]){3, 4, 0, 5}, 2, 2, 2, false), 5 - sqrt(10.0) / 2, 1e-6),
         "energy");
    TEST(log, isnan(metric_energy((float[]){0, 0}, (float[]){3, 4}, 1, 2, 2, false)), "energy of one sample");

    MetricSums a = {.values = 0}, b = a;
    metric_sums_add(&a, &(MetricTerms){.y = 2, .error = 1}, 10, 5, DIST_NONE);
    metric_sums_add(&b, &(MetricTerms){.y = 0, .error = -3}, 10, 5, DIST_NONE);
    metric_sums_add(&b, &(MetricTerms){.y = 4, .error = -2}, 10, 5, DIST_NONE);
    metric_sums_merge(&a, &b);
    MetricResult r = metric_sums_result(&a);
    // y 20 0 40, errors 10 -30 -20
    TEST(log, r.values == 3 && near(r.mse, 1400 / 3.0, 1e-9) && near(r.mae, 20, 1e-9) && near(r.mape, 50, 1e-9),
         "mse %g mae %g mape %g", r.mse, r.mae, r.mape);
    TEST(log, near(r.nrmse, sqrt(1400 / 3.0) / 20, 1e-9) && near(r.r2, 1 - 1400 / 800.0, 1e-9), "nrmse %g r2 %g",
         r.nrmse, r.r2);
    TEST(log, isnan(r.crps) && isnan(r.cover50) && isnan(r.energy) && isnan(r.crps_quantile),
         "unscored metrics are numbers");
    MetricTerms bad = metric_terms(1, NAN, z, 4, DIST_SAMPLES, 0);
    metric_sums_add(&a, &bad, 1, 5, DIST_SAMPLES);
    TEST(log, isnan(metric_sums_result(&a).mse), "a NaN forecast was scored");
}

// Draws from the truth, independent or in antithetic pairs: 50 % and 90 % are covered, the fair CRPS is sigma/sqrt(pi)
// for every S.
static void metrics_calibrated(TestLog *log, DistKind kind)
{
    const int sizes[] = {8, 32};
    for (int c = 0; c < 2; c++) {
        MetricSums m = {.values = 0};
        float z[32];
        const int S = sizes[c], rounds = log->quick ? 2000 : 20000;
        for (int i = 0; i < rounds; i++) {
            uint64_t sub = philox_subsequence(SITE_TEST, (uint32_t)c), at = (uint64_t)i * 40;
            double within = 0;
            for (int j = 0; j < S; j++) {
                z[j] = kind == DIST_PAIRS && j % 2 ? -z[j - 1] : philox_normal(7, sub, at + (uint64_t)j);
                if (j % 2) within += fabs((double)z[j] - (double)z[j - 1]);
            }
            qsort(z, (size_t)S, sizeof *z, compare_float);
            MetricTerms v = metric_terms(philox_normal(7, sub, at + 39), 0, z, S, kind, within);
            metric_sums_add(&m, &v, 1, 1, kind);
        }
        MetricResult r = metric_sums_result(&m);
        double sigma = 4 / sqrt((double)rounds);   // four standard errors of a quantity of order 1
        // With 8 samples z_0.05 would lie below the lowest one, which stands in: 7/9 (of 4 pairs 4/5) are covered.
        double want90 = S == 32 ? 0.9 : kind == DIST_PAIRS ? 4.0 / 5 : 7.0 / 9;
        TEST(log, near(r.cover50, 0.5, 0.5 * sigma) && near(r.cover90, want90, 0.42 * sigma), "S %d: cover %g %g", S,
             r.cover50, r.cover90);
        TEST(log, near(r.crps, 0.5641895835, 0.45 * sigma), "S %d: crps %g, want 0.5642", S, r.crps);
        TEST(log, r.crps_ensemble > r.crps + (kind == DIST_PAIRS ? 0.2 : 0.4) / S, "S %d: ensemble %g", S,
             r.crps_ensemble);
    }
}

void test_traffic_scale(TestLog *log)
{
    Arena *a = arena_new("test_traffic_scale", (size_t)2 << 30, NULL);
    TrafficSeries s = make_series(a, 5, 1500, 900, 1);
    s.valid[9] = 0;
    for (int64_t t = 0; t < s.T; t++) s.x[t * 25 + 7] = t < 1100 ? 0 : 50;   // silent in training, not afterwards
    for (int kind = 0; kind < SCALE_KINDS; kind++) scale_round_trip(log, a, &s, (ScaleKind)kind);
    scale_training_only(log, a, &s);
    slot_means_small(log, a);
    encode_round_trip(log, a, &s);
    metrics_by_hand(log);
    metrics_calibrated(log, DIST_SAMPLES);
    metrics_calibrated(log, DIST_PAIRS);
    arena_delete(a);
}
