// Suspicious and repeated snapshots; the rule is in series.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/series.h"

static int compare_double(const void *p, const void *q)
{
    const double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

// A sliding window over totals, of which the k-th smallest can be asked for: counts by rank in a tree of partial sums
// (Fenwick 1994), so that a day of 86400 slots costs 17 steps a snapshot.
typedef struct RankWindow { const double *sorted; int64_t *tree, size, top, n; } RankWindow;

static int64_t rank_of(const RankWindow *w, double x)
{
    int64_t low = 0, high = w->size - 1;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (w->sorted[mid] < x) low = mid + 1;
        else high = mid;
    }
    return low;
}

static void rank_add(RankWindow *w, double x, int64_t by)
{
    for (int64_t i = rank_of(w, x) + 1; i <= w->size; i += i & -i) w->tree[i] += by;
    w->n += by;
}

static double rank_find(const RankWindow *w, int64_t k)
{
    int64_t at = 0, left = k;
    for (int64_t step = w->top; step; step /= 2)
        if (at + step <= w->size && w->tree[at + step] <= left) {
            at += step;
            left -= w->tree[at];
        }
    return w->sorted[at];
}

static RankWindow rank_window(Arena *a, const double *x, int64_t n)
{
    double *sorted = arena_alloc(a, (size_t)n * sizeof *sorted);
    memcpy(sorted, x, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_double);
    RankWindow w = {.sorted = sorted, .tree = arena_zalloc(a, (size_t)(n + 1) * sizeof *w.tree), .size = n, .top = 1};
    while (2 * w.top <= n) w.top *= 2;
    return w;
}

// Total of a snapshot; *whole: each of its values is known or estimated.
static double row_total(const TrafficSeries *s, int64_t t, bool *whole)
{
    const int64_t F = (int64_t)s->N * s->N;
    double total = 0;
    for (int64_t f = 0; f < F; f++) total += (double)s->x[t * F + f];
    *whole = s->valid[t] || traffic_row_seen(s, t);
    return total;
}

// r_t; 1 where a value is missing, since then the total says nothing.
static void centred_ratios(const TrafficSeries *s, Arena *a, double *ratio)
{
    const int64_t D = traffic_slots_per_day(s);
    double *total = arena_alloc(a, (size_t)s->T * sizeof *total);
    bool *whole = arena_alloc(a, (size_t)s->T * sizeof *whole);
    for (int64_t t = 0; t < s->T; t++) total[t] = row_total(s, t, &whole[t]);
    RankWindow w = rank_window(a, total, s->T);
    for (int64_t t = 0; t < D && t < s->T; t++)
        if (whole[t]) rank_add(&w, total[t], 1);
    for (int64_t t = 0; t < s->T; t++) {
        if (t + D < s->T && whole[t + D]) rank_add(&w, total[t + D], 1);
        if (t - D - 1 >= 0 && whole[t - D - 1]) rank_add(&w, total[t - D - 1], -1);
        ratio[t] = 1;
        if (!whole[t]) continue;
        const double median = w.n % 2 ? rank_find(&w, w.n / 2)
                                      : 0.5 * (rank_find(&w, w.n / 2 - 1) + rank_find(&w, w.n / 2));
        ratio[t] = median > 0 ? total[t] / median : 1;
    }
}

// Whether r is at least half as far from 1 in most of the slots so many days before and after row t, of which there is
// one at least.
static bool recurs_every(const TrafficSeries *s, const double *ratio, int64_t t, bool high, const int *days, int n)
{
    const int64_t D = traffic_slots_per_day(s);
    int there = 0, alike = 0;
    for (int i = 0; i < 2 * n; i++) {
        const int64_t at = traffic_row_at(s, t, (i % 2 ? -1 : 1) * days[i / 2] * D);
        if (at < 0) continue;
        there++;
        for (int64_t u = at - 1; u <= at + 1; u++)
            if (u >= 0 && u < s->T && (high ? ratio[u] >= ratio[t] / 2 : ratio[u] <= 2 * ratio[t])) {
                alike++;
                break;
            }
    }
    return 2 * alike > there;
}

static bool recurs(const TrafficSeries *s, const double *ratio, int64_t t, bool high)
{
    return recurs_every(s, ratio, t, high, (int[]){1, 2, 3}, 3) || recurs_every(s, ratio, t, high, (int[]){7, 14}, 2);
}

int64_t traffic_suspects_find(const TrafficSeries *s, Arena *a, TrafficSuspect **out)
{
    enum { BRIDGE = 3 };
    *out = arena_alloc(a, (size_t)s->T * sizeof **out);
    size_t mark = arena_mark(a);
    double *ratio = arena_alloc(a, (size_t)s->T * sizeof *ratio);
    centred_ratios(s, a, ratio);
    int64_t n = 0, last_high = -1;
    for (int64_t t = 0; t < s->T; t++) {
        bool high = ratio[t] > 5, low = ratio[t] < 1.0 / 3;
        if ((high || low) && recurs(s, ratio, t, high)) high = low = false;
        if (high && last_high >= 0 && s->slot[t] - s->slot[last_high] <= BRIDGE + 1) {
            while (n && (*out)[n - 1].row > last_high) n--;   // a low one inside is listed again as part of the block
            for (int64_t u = last_high + 1; u < t; u++) (*out)[n++] = (TrafficSuspect){u, ratio[u], true};
        }
        if (high) last_high = t;
        if (high || low) (*out)[n++] = (TrafficSuspect){t, ratio[t], high};
    }
    arena_rewind(a, mark);
    return n;
}

int64_t traffic_suspects_mark(TrafficSeries *s, Arena *a)
{
    size_t mark = arena_mark(a);
    TrafficSuspect *list;
    int64_t n = traffic_suspects_find(s, a, &list);
    for (int64_t i = 0; i < n; i++) s->valid[list[i].row] = 0;
    arena_rewind(a, mark);
    return n;
}

// ---- repeated rows -------------------------------------------------------------------------------------------------

typedef struct RowHash { uint64_t hash; int64_t row; } RowHash;

static int compare_hashes(const void *p, const void *q)
{
    const RowHash *a = p, *b = q;
    return a->hash != b->hash ? (a->hash > b->hash) - (a->hash < b->hash) : (a->row > b->row) - (a->row < b->row);
}

// FNV-1a over the values of a row; 0 where all are 0.
static uint64_t row_hash(const TrafficSeries *s, int64_t t)
{
    const int64_t F = (int64_t)s->N * s->N;
    uint64_t h = 0xcbf29ce484222325u;
    bool any = false;
    for (int64_t f = 0; f < F; f++) {
        uint32_t bits;
        memcpy(&bits, &s->x[t * F + f], sizeof bits);
        any = any || s->x[t * F + f] != 0;
        h = (h ^ bits) * 0x100000001b3u;
    }
    return any ? h : 0;
}

// For each row the newest earlier one, at least `least` rows before, with the same values; -1: none.
static int64_t *earlier_rows(const TrafficSeries *s, Arena *a, int64_t least, const RowHash *sorted)
{
    int64_t *earlier = arena_alloc(a, (size_t)s->T * sizeof *earlier);
    for (int64_t begin = 0, end; begin < s->T; begin = end) {      // rows of one hash, in order
        for (end = begin + 1; end < s->T && sorted[end].hash == sorted[begin].hash; end++) {}
        for (int64_t i = begin, j = begin; i < end; i++) {
            while (sorted[j].row + least <= sorted[i].row) j++;
            earlier[sorted[i].row] = j > begin && sorted[i].hash ? sorted[j - 1].row : -1;
        }
    }
    return earlier;
}

int64_t traffic_repeats_find(const TrafficSeries *s, Arena *a, TrafficRepeat **out)
{
    const int64_t F = (int64_t)s->N * s->N, D = traffic_slots_per_day(s), least = D > 1 ? (D + 1) / 2 : 1;
    *out = arena_alloc(a, (size_t)(s->T / least + 1) * sizeof **out);
    const size_t mark = arena_mark(a);
    RowHash *sorted = arena_alloc(a, (size_t)s->T * sizeof *sorted);
    for (int64_t t = 0; t < s->T; t++) sorted[t] = (RowHash){row_hash(s, t), t};
    qsort(sorted, (size_t)s->T, sizeof *sorted, compare_hashes);
    const int64_t *earlier = earlier_rows(s, a, least, sorted);
    int64_t n = 0;
    for (int64_t t = 0, end; t < s->T; t = end) {
        const int64_t lag = t - earlier[t];
        end = t + 1;
        if (earlier[t] < 0) continue;
        for (end = t; end < s->T; end++)
            if (memcmp(s->x + end * F, s->x + (end - lag) * F, (size_t)F * sizeof *s->x)) break;
        if (end - t >= least) (*out)[n++] = (TrafficRepeat){{t, end}, earlier[t]};
        end = end > t ? end : t + 1;
    }
    arena_rewind(a, mark);
    return n;
}
