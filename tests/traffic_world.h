// What tests of traffic share: a tolerance, an order, a synthetic series, and one with holes.
#ifndef LEAD_TESTS_TRAFFIC_WORLD_H
#define LEAD_TESTS_TRAFFIC_WORLD_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "traffic/synth.h"

static inline const char *scratch_write(TestLog *log, Arena *a, const char *name, const void *bytes, size_t n)
{
    const char *path = arena_printf(a, "%s/%s", log->tmp, name);
    FILE *f = fopen(path, "wb");
    TEST(log, f && fwrite(bytes, 1, n, f) == n, "cannot write %s", path);
    if (f) fclose(f);
    return path;
}

// An .npy file with this dictionary, version and data; header_claims = 0 writes the true header length.
static inline const char *scratch_npy(TestLog *log, Arena *a, const char *name, int version, const char *dict,
                               const void *data, size_t data_bytes, size_t header_claims)
{
    size_t len = strlen(dict), claims = header_claims ? header_claims : len, pre = version == 1 ? 10 : 12;
    char *all = arena_zalloc(a, pre + len + data_bytes);
    memcpy(all, "\x93NUMPY", 6);
    all[6] = (char)version;
    for (size_t i = 8; i < pre; i++) all[i] = (char)(claims >> 8 * (i - 8));
    memcpy(all + pre, dict, len);
    if (data_bytes) memcpy(all + pre + len, data, data_bytes);
    return scratch_write(log, a, name, all, pre + len + data_bytes);
}

static inline bool near(double got, double want, double tolerance)
{
    return fabs(got - want) <= tolerance;   // false for NaN
}

static inline TrafficSeries make_series(Arena *a, int N, int64_t T, int slot_seconds, uint64_t seed)
{
    SynthOptions o = synth_defaults();
    o.N = N;
    o.T = T;
    o.slot_seconds = slot_seconds;
    o.seed = seed;
    TrafficSeries s;
    const Status st = synth_generate(&s, a, &o);
    CHECK(!st.code, "%s", st.msg);
    return s;
}

// s without the rows begin .. begin+n-1, and with one invalid row.
static inline TrafficSeries with_holes(Arena *a, const TrafficSeries *s, int64_t begin, int64_t n, int64_t invalid)
{
    const int64_t F = (int64_t)s->N * s->N, T = s->T - n;
    float *x = arena_alloc(a, (size_t)(T * F) * sizeof *x);
    int64_t *time = arena_alloc(a, (size_t)T * sizeof *time);
    for (int64_t t = 0; t < T; t++) {
        const int64_t from = t < begin ? t : t + n;
        memcpy(x + t * F, s->x + from * F, (size_t)F * sizeof *x);
        time[t] = s->time[from];
    }
    TrafficSeries g;
    const TrafficReadOptions o = {.slot_seconds = s->slot_seconds};
    const Status st = traffic_series_init(&g, a, "holes", s->N, T, x, time, &o);
    CHECK(!st.code, "%s", st.msg);
    g.valid[invalid] = 0;
    for (int64_t k = 0; k < F; k++) g.x[invalid * F + k] = 1e9f;   // nobody may look at it
    return g;
}

static inline int compare_float(const void *p, const void *q)
{
    const float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

#endif
