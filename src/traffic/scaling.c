#include "traffic/scaling.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCALE_FN static
#define SCALE_REAL float
#include "tensor/ref/scale.h"

enum { SEGMENTS = 256, PACK_HEAD = 5, MEANS_HEAD = 3 };

const char *const scale_kind_names[SCALE_KINDS] = {"max", "flowmax", "log", "quantile"};

Status scale_kind_parse(ScaleKind *kind, const char *name)
{
    for (int i = 0; i < SCALE_KINDS; i++)
        if (!strcmp(name, scale_kind_names[i])) {
            *kind = (ScaleKind)i;
            return OK;
        }
    return USAGE_ERROR("scale: want max, flowmax, log or quantile, got '%s'", name);
}

// ---- fitting -------------------------------------------------------------------------------------------------------

static int compare_float(const void *p, const void *q)
{
    float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

// The positive volumes of the valid rows, sorted.
static float *sorted_positive(Arena *a, const TrafficSeries *s, TrafficRange rows, int64_t *n)
{
    int64_t F = (int64_t)s->N * s->N;
    float *v = arena_alloc(a, (size_t)((rows.end - rows.begin) * F) * sizeof *v);
    *n = 0;
    for (int64_t t = rows.begin; t < rows.end; t++)
        for (int64_t f = 0; s->valid[t] && f < F; f++)
            if (s->x[t * F + f] > 0 && traffic_seen(s, t, f)) v[(*n)++] = s->x[t * F + f];
    qsort(v, (size_t)*n, sizeof *v, compare_float);
    return v;
}

static void fit_flowmax(TrafficScale *k, Arena *a, const TrafficSeries *s, TrafficRange rows)
{
    int alive = 0;
    k->flowmax_kbps = arena_zalloc(a, (size_t)k->F * sizeof *k->flowmax_kbps);
    for (int64_t t = rows.begin; t < rows.end; t++)
        for (int f = 0; s->valid[t] && f < k->F; f++)
            if (traffic_seen(s, t, f)) k->flowmax_kbps[f] = fmaxf(k->flowmax_kbps[f], s->x[t * k->F + f]);
    size_t mark = arena_mark(a);
    float *sorted = arena_alloc(a, (size_t)k->F * sizeof *sorted);
    for (int f = 0; f < k->F; f++) {
        k->max_kbps = fmaxf(k->max_kbps, k->flowmax_kbps[f]);
        if (k->flowmax_kbps[f] > 0) sorted[alive++] = k->flowmax_kbps[f];
    }
    qsort(sorted, (size_t)alive, sizeof *sorted, compare_float);
    for (int f = 0; f < k->F; f++)
        if (alive && !(k->flowmax_kbps[f] > 0)) k->flowmax_kbps[f] = sorted[alive / 2];
    arena_rewind(a, mark);
}

static void fit_knots(TrafficScale *k, const float *sorted, int64_t n)
{
    k->n_knots = 1;
    k->knot_kbps[0] = k->knot_s[0] = 0;
    for (int i = 0; i <= SEGMENTS; i++) {
        float x = sorted[(int64_t)i * (n - 1) / SEGMENTS], at = (float)(i + 1) / (SEGMENTS + 1);
        if (x > k->knot_kbps[k->n_knots - 1]) {
            k->knot_kbps[k->n_knots] = x;
            k->n_knots++;
        }
        k->knot_s[k->n_knots - 1] = at;   // of equal quantiles the last one counts
    }
}

Status scale_fit(TrafficScale *k, Arena *a, const TrafficSeries *s, TrafficRange rows, ScaleKind kind)
{
    *k = (TrafficScale){.kind = kind, .F = s->N * s->N};
    fit_flowmax(k, a, s, rows);
    if (!(k->max_kbps > 0))
        return ERROR("scale: want traffic in the training rows %lld .. %lld, got none", (long long)rows.begin,
                     (long long)rows.end - 1);
    k->knot_kbps = arena_zalloc(a, (SEGMENTS + 2) * sizeof *k->knot_kbps);
    k->knot_s = arena_zalloc(a, (SEGMENTS + 2) * sizeof *k->knot_s);
    size_t mark = arena_mark(a);
    if (kind == SCALE_LOG || kind == SCALE_QUANTILE) {
        int64_t n;
        const float *sorted = sorted_positive(a, s, rows, &n);
        k->c_kbps = sorted[n / 2];
        if (kind == SCALE_QUANTILE) fit_knots(k, sorted, n);
    }
    arena_rewind(a, mark);
    return OK;
}

// ---- both directions -----------------------------------------------------------------------------------------------

TrafficScaleParams scale_params(const TrafficScale *k, bool inverse)
{
    return (TrafficScaleParams){k->kind, inverse, (double)k->max_kbps, (double)k->c_kbps};
}

float scale_forward_flow(const TrafficScale *k, int flow, float x_kbps)
{
    const TrafficScaleParams p = scale_params(k, false);
    return (float)scale_to(&p, (double)k->flowmax_kbps[flow], k->knot_kbps, k->knot_s, k->n_knots, (double)x_kbps);
}

float scale_inverse_flow(const TrafficScale *k, int flow, float scaled)
{
    const TrafficScaleParams p = scale_params(k, true);
    return (float)scale_from(&p, (double)k->flowmax_kbps[flow], k->knot_kbps, k->knot_s, k->n_knots, (double)scaled);
}

void scale_forward(const TrafficScale *k, const float *x_kbps, float *scaled)
{
    for (int f = 0; f < k->F; f++) scaled[f] = scale_forward_flow(k, f, x_kbps[f]);
}

// ---- flat arrays ---------------------------------------------------------------------------------------------------

int64_t scale_pack_size(const TrafficScale *k)
{
    return PACK_HEAD + k->F + 2 * (int64_t)k->n_knots;
}

void scale_pack(const TrafficScale *k, float *out)
{
    float head[PACK_HEAD] = {(float)k->kind, (float)k->F, (float)k->n_knots, k->max_kbps, k->c_kbps};
    memcpy(out, head, sizeof head);
    memcpy(out + PACK_HEAD, k->flowmax_kbps, (size_t)k->F * sizeof *out);
    memcpy(out + PACK_HEAD + k->F, k->knot_kbps, (size_t)k->n_knots * sizeof *out);
    memcpy(out + PACK_HEAD + k->F + k->n_knots, k->knot_s, (size_t)k->n_knots * sizeof *out);
}

// An integer in low .. high stored as a float.
static bool whole(float v, int low, int high, int *out)
{
    if (!(v >= (float)low && v <= (float)high) || v != floorf(v)) return false;
    *out = (int)v;
    return true;
}

static float *copy_floats(Arena *a, const float *in, int64_t n)
{
    return memcpy(arena_alloc(a, (size_t)(n ? n : 1) * sizeof *in), in, (size_t)n * sizeof *in);
}

static bool all_positive(const float *v, int n)
{
    bool ok = true;
    for (int i = 0; i < n; i++) ok = ok && v[i] > 0 && v[i] <= FLT_MAX;
    return ok;
}

static bool increasing_from_zero(const float *v, int n)
{
    bool ok = n >= 2 && v[0] == 0 && v[n - 1] <= FLT_MAX;
    for (int i = 1; i < n; i++) ok = ok && v[i] > v[i - 1];
    return ok;
}

Status scale_unpack(TrafficScale *k, Arena *a, const float *in, int64_t n, const char *from)
{
    int kind = 0;
    *k = (TrafficScale){.F = 0};
    if (n < PACK_HEAD || !whole(in[0], 0, SCALE_KINDS - 1, &kind) || !whole(in[1], 4, 1 << 24, &k->F) ||
        !whole(in[2], 0, SEGMENTS + 2, &k->n_knots) || n != scale_pack_size(k))
        return ERROR("%s: scale: want %d + F + 2*knots values, got %lld with another head", from, PACK_HEAD,
                     (long long)n);
    k->kind = (ScaleKind)kind;
    k->max_kbps = in[3];
    k->c_kbps = in[4];
    k->flowmax_kbps = copy_floats(a, in + PACK_HEAD, k->F);
    k->knot_kbps = copy_floats(a, in + PACK_HEAD + k->F, k->n_knots);
    k->knot_s = copy_floats(a, in + PACK_HEAD + k->F + k->n_knots, k->n_knots);
    bool ok = all_positive(&k->max_kbps, 1) && all_positive(k->flowmax_kbps, k->F);
    if (kind == SCALE_LOG) ok = ok && all_positive(&k->c_kbps, 1);
    if (kind == SCALE_QUANTILE)
        ok = ok && increasing_from_zero(k->knot_kbps, k->n_knots) && increasing_from_zero(k->knot_s, k->n_knots);
    return ok ? OK : ERROR("%s: scale '%s': want positive maxima and increasing knots, got others", from,
                           scale_kind_names[kind]);
}

// ---- slot means ----------------------------------------------------------------------------------------------------

static int slot_index(const SlotMeans *m, const TrafficSeries *s, int64_t t, int64_t ahead)
{
    int of_day, weekday;
    traffic_calendar(s, t, ahead, &of_day, &weekday);
    return m->n_slots > m->per_day ? weekday * m->per_day + of_day : of_day;
}

// Slots in which a flow was never measured take its mean over all slots `period` apart in which it was (their sums and
// counts).
static void fill_empty_slots(SlotMeans *m, const double *sum, const int32_t *count, int period)
{
    for (int first = 0; first < period; first++)
        for (int f = 0; f < m->F; f++) {
            int64_t total = 0, empty = 0;
            double v = 0;
            for (int64_t j = first; j < m->n_slots; j += period) {
                total += count[j * m->F + f], empty += count[j * m->F + f] == 0;
                v += sum[j * m->F + f];
            }
            for (int64_t j = first; total && empty && j < m->n_slots; j += period)
                if (!count[j * m->F + f]) m->mean[j * m->F + f] = (float)(v / (double)total);
        }
}

void slot_means_fit(SlotMeans *m, Arena *a, const TrafficSeries *s, TrafficRange rows, const TrafficScale *k)
{
    int64_t used = 0, per_day = traffic_slots_per_day(s);
    for (int64_t t = rows.begin; t < rows.end; t++) used += s->valid[t];
    *m =
        (SlotMeans){.F = k->F, .per_day = (int)per_day, .n_slots = (int)(used >= 14 * per_day ? 7 * per_day : per_day)};
    m->mean = arena_zalloc(a, (size_t)m->n_slots * (size_t)m->F * sizeof *m->mean);
    size_t mark = arena_mark(a);
    double *sum = arena_zalloc(a, (size_t)m->n_slots * (size_t)m->F * sizeof *sum);
    int32_t *count = arena_zalloc(a, (size_t)m->n_slots * (size_t)m->F * sizeof *count);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (!s->valid[t]) continue;
        int64_t i = slot_index(m, s, t, 0);
        for (int f = 0; f < m->F; f++) {
            if (!traffic_seen(s, t, f)) continue;
            sum[i * m->F + f] += (double)scale_forward_flow(k, f, s->x[t * m->F + f]);
            count[i * m->F + f]++;
        }
    }
    for (int64_t i = 0; i < (int64_t)m->n_slots * m->F; i++)
        if (count[i]) m->mean[i] = (float)(sum[i] / (double)count[i]);
    fill_empty_slots(m, sum, count, 1);                       // first the flow's mean,
    fill_empty_slots(m, sum, count, m->per_day);              // then, where there is one, that of the slot of the day
    arena_rewind(a, mark);
}

const float *slot_means_at(const SlotMeans *m, const TrafficSeries *s, int64_t t, int64_t ahead)
{
    return m->mean + (int64_t)slot_index(m, s, t, ahead) * m->F;
}

int64_t slot_means_pack_size(const SlotMeans *m)
{
    return MEANS_HEAD + (int64_t)m->n_slots * m->F;
}

void slot_means_pack(const SlotMeans *m, float *out)
{
    float head[MEANS_HEAD] = {(float)m->F, (float)m->per_day, (float)m->n_slots};
    memcpy(out, head, sizeof head);
    memcpy(out + MEANS_HEAD, m->mean, (size_t)m->n_slots * (size_t)m->F * sizeof *out);
}

Status slot_means_unpack(SlotMeans *m, Arena *a, const float *in, int64_t n, const char *from)
{
    *m = (SlotMeans){.F = 0};
    if (n < MEANS_HEAD || !whole(in[0], 4, 1 << 24, &m->F) || !whole(in[1], 1, 86400, &m->per_day) ||
        !whole(in[2], 1, 7 * 86400, &m->n_slots) || n != slot_means_pack_size(m) ||
        (m->n_slots != m->per_day && m->n_slots != 7 * m->per_day))
        return ERROR("%s: slot means: want %d + slots*F values, got %lld with another head", from, MEANS_HEAD,
                     (long long)n);
    m->mean = copy_floats(a, in + MEANS_HEAD, n - MEANS_HEAD);
    return OK;
}

// ---- means of the parts of the week --------------------------------------------------------------------------------

enum { PARTS = 2, WORKING_DAYS = 5, NEAR_SECONDS = 900 };

static void add_row(double *to, const double *from, int F)
{
    for (int f = 0; f < F; f++) to[f] += from[f];
}

// Sums and counts of the slots within `around` of each slot, by part of the week.
typedef struct NearSums {
    const double *sum;           // [PARTS * D][F]
    const int32_t *count;        // [PARTS * D][F]
    int D, F, around;
    double *near;                // [PARTS][F]
    int64_t *n;                  // [PARTS][F]
} NearSums;

static void near_add(NearSums *s, int part, int slot, double sign)
{
    const int64_t at = (int64_t)part * s->D + (slot % s->D + s->D) % s->D;
    for (int f = 0; f < s->F; f++) {
        s->near[(int64_t)part * s->F + f] += sign * s->sum[at * s->F + f];
        s->n[(int64_t)part * s->F + f] += sign > 0 ? s->count[at * s->F + f] : -s->count[at * s->F + f];
    }
}

// Those around slot i.  Where many slots are near, each slot takes the sums of the one before it, less one slot and
// with one more: their number must not count twice.
static void near_move(NearSums *s, int i)
{
    enum { FEW = 30 };
    const bool anew = i == 0 || s->around <= FEW;
    if (anew) memset(s->near, 0, PARTS * (size_t)s->F * sizeof *s->near);
    if (anew) memset(s->n, 0, PARTS * (size_t)s->F * sizeof *s->n);
    for (int part = 0; part < PARTS; part++) {
        for (int j = anew ? -s->around : s->around; j <= s->around; j++) near_add(s, part, i + j, 1);
        if (!anew) near_add(s, part, i - s->around - 1, -1);
    }
}

float *part_means_fit(Arena *a, const TrafficSeries *s, TrafficRange rows, const TrafficScale *k)
{
    const int D = (int)traffic_slots_per_day(s), F = s->N * s->N, around = NEAR_SECONDS / s->slot_seconds;
    float *mean = arena_zalloc(a, (size_t)PARTS * (size_t)D * (size_t)F * sizeof *mean);
    const size_t mark = arena_mark(a);
    double *sum = arena_zalloc(a, (size_t)(PARTS * D + 1) * (size_t)F * sizeof *sum);
    double *all = sum + (int64_t)PARTS * D * F;
    int32_t *count = arena_zalloc(a, (size_t)(PARTS * D) * (size_t)F * sizeof *count);
    int64_t *used = arena_zalloc(a, (size_t)F * sizeof *used);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (!s->valid[t]) continue;
        int slot, day;
        traffic_calendar(s, t, 0, &slot, &day);
        const int64_t i = (day < WORKING_DAYS ? 0 : D) + slot;
        for (int f = 0; f < F; f++) {
            const float x = s->x[t * F + f];
            if (!traffic_seen(s, t, f) || isnan(x)) continue;
            sum[i * F + f] += (double)(k ? scale_forward_flow(k, f, x) : x);
            count[i * F + f]++;
            used[f]++;
        }
    }
    for (int64_t i = 0; i < PARTS * D; i++) add_row(all, sum + i * F, F);
    NearSums near = {.sum = sum, .count = count, .D = D, .F = F, .around = around};
    near.near = arena_alloc(a, PARTS * (size_t)F * sizeof *near.near);
    near.n = arena_alloc(a, PARTS * (size_t)F * sizeof *near.n);
    for (int i = 0; i < D; i++) {
        near_move(&near, i);
        for (int part = 0; part < PARTS; part++)
            for (int f = 0; f < F; f++) {
                if (!used[f]) continue;
                const int from = near.n[part * F + f] ? part : 1 - part;   // its own part of the week, or the other one
                const int64_t n = near.n[from * F + f];
                mean[((int64_t)part * D + i) * F + f] =
                    (float)(n ? near.near[(int64_t)from * F + f] / (double)n : all[f] / (double)used[f]);
            }
    }
    arena_rewind(a, mark);
    return mean;
}
