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

int64_t traffic_duplicates_find(const TrafficSeries *s, Arena *a, TrafficRange **out)
{
    int64_t F = (int64_t)s->N * s->N, D = traffic_slots_per_day(s), n = 0, begin = -1;
    *out = arena_alloc(a, (size_t)(2 * s->T / (D + 1) + 2) * sizeof **out);
    for (int64_t t = D; t <= s->T; t++) {
        bool same = t < s->T && !memcmp(s->x + t * F, s->x + (t - D) * F, (size_t)F * sizeof *s->x);
        if (same && begin < 0) begin = t;
        if (!same && begin >= 0 && 2 * (t - begin) >= D) (*out)[n++] = (TrafficRange){begin, t};
        if (!same) begin = -1;
    }
    return n;
}

