#include "traffic/faults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "tensor/sort.h"
#include "traffic/times.h"

const char *const fault_names[FAULT_KINDS] = {"spike", "drop", "level", "unit", "stuck", "dark", "repeated"};

enum { SAMPLE = 4096, WINDOW_SAMPLE = 64, MOST_BURSTS = 4, BRIDGE = 3, LEAST_DARK = 3, STUCK_PAIRS = 5 };
static const double SPIKE = 8, SHIFT = 3, SHIFT_OF_ONE = 6, SIGMAS = 6, CHANCE = 1e-3;

// What all flows share, and one flow at a time.
typedef struct Work {
    const TrafficSeries *s;
    Arena *a;
    int64_t D, F;
    int64_t *by_slot, *slot_end;  // [T] usable rows in the order of their slots of the day; [D] where each slot ends
    uint8_t *dark;                // [T][N]
    float *y, *day, *part;        // [T]: y of the flow, NaN where not measured; medians of its days; scratch
    bool *live;                   // [F]: above 0 in at least half of its rows
    int64_t n, room;
    TrafficFault *fault;
} Work;

static float *flow_x(const Work *w, int64_t t) { return w->s->x + t * w->F; }

// The list doubles its room in the arena, which nothing is taken from beside it but whole-run arrays.
static void add(Work *w, TrafficFault f)
{
    if (w->n == w->room) {
        TrafficFault *more = arena_alloc(w->a, 2 * (size_t)w->room * sizeof *more);
        memcpy(more, w->fault, (size_t)w->n * sizeof *more);
        w->fault = more;
        w->room *= 2;
    }
    w->fault[w->n++] = f;
}

static float quantile(const float *sorted, int64_t n, double q) { return sorted[(int64_t)(q * (double)(n - 1) + 0.5)]; }

// ---- nodes ---------------------------------------------------------------------------------------------------------

// How many off-diagonal flows are measured and above 0 in row t: of each node, of[N]; in all.
static int64_t count_sending(const Work *w, int64_t t, int64_t *of)
{
    const int N = w->s->N;
    int64_t all = 0;
    memset(of, 0, (size_t)N * sizeof *of);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const bool sends = i != j && flow_x(w, t)[i * N + j] > 0 && traffic_seen(w->s, t, i * N + j);
            of[i] += sends;
            of[j] += sends;
            all += sends;
        }
    return all;
}

// The dark rows of one node, of which there are `there` in which it sends and `rows` in which any node does.
static void find_dark_node(Work *w, int node, int64_t there, int64_t rows)
{
    const TrafficSeries *s = w->s;
    const int N = s->N;
    for (int64_t t = 0, end; t < s->T; t = end) {
        for (end = t + 1; w->dark[t * N + node] && end < s->T && s->slot[end] == s->slot[end - 1] + 1; end++)
            if (!w->dark[end * N + node]) break;
        const bool is = w->dark[t * N + node] && end - t >= LEAST_DARK && 2 * there >= rows;
        if (is) add(w, (TrafficFault){.kind = FAULT_DARK, .rows = {t, end}, .node = node, .flow = -1});
        for (int64_t u = t; u < end && !is; u++) w->dark[u * N + node] = 0;
    }
}

static void find_dark(Work *w)
{
    const int N = w->s->N;
    int64_t *of = arena_alloc(w->a, 2 * (size_t)N * sizeof *of), *there = of + N, rows = 0;
    memset(there, 0, (size_t)N * sizeof *there);
    for (int64_t t = 0; t < w->s->T; t++) {
        const int64_t all = count_sending(w, t, of);
        rows += all > 0;
        for (int i = 0; i < N; i++) {
            there[i] += of[i] > 0;
            w->dark[t * N + i] = of[i] == 0 && all > 0;
        }
    }
    for (int i = 0; i < N; i++) find_dark_node(w, i, there[i], rows);
}

// ---- the normal level ----------------------------------------------------------------------------------------------

static void sort_by_slot(Work *w)
{
    const TrafficSeries *s = w->s;
    int64_t *at = arena_zalloc(w->a, (size_t)(w->D + 1) * sizeof *at), sum = 0;
    int *slot = arena_alloc(w->a, (size_t)s->T * sizeof *slot), day;
    for (int64_t t = 0; t < s->T; t++) {
        traffic_calendar(s, t, 0, &slot[t], &day);
        at[slot[t]]++;
    }
    for (int64_t d = 0; d < w->D; d++) {
        const int64_t n = at[d];
        at[d] = sum;
        sum += n;
    }
    w->by_slot = arena_alloc(w->a, (size_t)s->T * sizeof *w->by_slot);
    for (int64_t t = 0; t < s->T; t++) w->by_slot[at[slot[t]]++] = t;
    w->slot_end = at;
}

static bool usable(const Work *w, int64_t t, int64_t f)
{
    const int N = w->s->N;
    if (!w->s->valid[t] || !traffic_seen(w->s, t, f)) return false;
    return !w->dark[t * N + f / N] && !w->dark[t * N + f % N];
}

// w->day of flow f: the median of the day of each row, NaN where it is 0 or nothing is known.
static void find_days(Work *w, int64_t f)
{
    const TrafficSeries *s = w->s;
    for (int64_t begin = 0, end; begin < s->T; begin = end) {
        const int64_t day = traffic_day(s, begin);
        int64_t n = 0;
        for (end = begin; end < s->T && traffic_day(s, end) == day; end++)
            if (usable(w, end, f)) w->part[n++] = flow_x(w, end)[f];
        sort_f32(w->part, n);
        const float median = n ? quantile(w->part, n, 0.5) : 0;
        for (int64_t t = begin; t < end; t++) w->day[t] = median > 0 ? median : NAN;
    }
}

// Fills w->y of flow f; false where it has no normal level: silent in half of its rows.
static bool flow_open(Work *w, int64_t f)
{
    const TrafficSeries *s = w->s;
    const int64_t step = (s->T + SAMPLE - 1) / SAMPLE;
    int64_t n = 0;
    for (int64_t t = 0; t < s->T; t += step)
        if (usable(w, t, f)) w->part[n++] = flow_x(w, t)[f];
    sort_f32(w->part, n);
    const float median = n ? quantile(w->part, n, 0.5) : 0;
    w->live[f] = median > 0;
    if (!w->live[f]) return false;
    find_days(w, f);
    for (int64_t d = 0, begin = 0; d < w->D; begin = w->slot_end[d++]) {
        n = 0;
        for (int64_t i = begin; i < w->slot_end[d]; i++)
            if (usable(w, w->by_slot[i], f) && !isnan(w->day[w->by_slot[i]]))
                w->part[n++] = flow_x(w, w->by_slot[i])[f] / w->day[w->by_slot[i]];
        sort_f32(w->part, n);
        const float level = median * fmaxf(n ? quantile(w->part, n, 0.5) : 1, 0.25f);
        for (int64_t i = begin; i < w->slot_end[d]; i++) {
            const int64_t t = w->by_slot[i];
            w->y[t] = usable(w, t, f) ? flow_x(w, t)[f] / level : NAN;
        }
    }
    return true;
}

// ---- levels --------------------------------------------------------------------------------------------------------

// Sorted values of y in the rows begin .. end-1, at most WINDOW_SAMPLE of them; returns how many.
static int64_t take_window(const Work *w, int64_t begin, int64_t end, float *out)
{
    const int64_t step = (end - begin + WINDOW_SAMPLE - 1) / WINDOW_SAMPLE;
    int64_t n = 0;
    for (int64_t t = begin; t < end; t += step)
        if (!isnan(w->y[t])) out[n++] = w->y[t];
    sort_f32(out, n);
    return n;
}

// By what factor the level changes at row t; 1: it does not.
static double level_change(const Work *w, int64_t t)
{
    float before[WINDOW_SAMPLE], after[WINDOW_SAMPLE];
    const int64_t half = w->D > 1 ? w->D / 2 : 1, T = w->s->T;
    if (t < half || t + half > T) return 1;
    const int64_t b = take_window(w, t - half, t, before), a = take_window(w, t, t + half, after);
    const int64_t enough = (half < WINDOW_SAMPLE ? half : WINDOW_SAMPLE) / 2;
    if (!b || !a || b < enough || a < enough) return 1;
    const float low = quantile(before, b, 0.5), high = quantile(after, a, 0.5);
    const float between = sqrtf(low * high);
    const bool up = quantile(before, b, 0.9) < between && between < quantile(after, a, 0.1);
    const bool down = quantile(after, a, 0.9) < between && between < quantile(before, b, 0.1);
    return low > 0 && high > 0 && (up || down) ? (double)high / (double)low : 1;
}

static double jump(const Work *w, int64_t t)
{
    const float a = w->y[t], b = t ? w->y[t - 1] : NAN;
    return a > 0 && b > 0 ? fabs(log((double)a / (double)b)) : 0;
}

typedef struct Shift { int64_t row; double factor; } Shift;

// The changes of level of one flow, in order; too many: none.
static int find_shifts(const Work *w, Shift shift[2 * MOST_BURSTS])
{
    int n = 0;
    for (int64_t t = 1; t < w->s->T; t++) {
        if (jump(w, t) < log(SHIFT) / 2) continue;
        double factor = level_change(w, t);
        if (fabs(log(factor)) < log(SHIFT) || jump(w, t) < fabs(log(factor)) / 2) continue;
        for (int64_t u = t + 1; u <= t + BRIDGE && u < w->s->T; u++)     // the largest jump is the border
            if (jump(w, u) > jump(w, t) && fabs(log(level_change(w, u))) >= log(SHIFT)) factor = level_change(w, t = u);
        if (n == 2 * MOST_BURSTS) return 0;
        shift[n++] = (Shift){t, factor};
        t += BRIDGE;
    }
    return n;
}

// Divides y by the median of its piece between two changes.
static void flatten(Work *w, const Shift *shift, int n)
{
    for (int i = 0; i <= n; i++) {
        const int64_t begin = i ? shift[i - 1].row : 0, end = i < n ? shift[i].row : w->s->T;
        int64_t k = 0;
        for (int64_t t = begin; t < end; t++)
            if (!isnan(w->y[t])) w->part[k++] = w->y[t];
        sort_f32(w->part, k);
        const float median = k ? quantile(w->part, k, 0.5) : 1;
        for (int64_t t = begin; t < end && median > 0 && n; t++) w->y[t] /= median;
    }
}

static void find_levels(Work *w, int flow)
{
    Shift shift[2 * MOST_BURSTS];
    const int n = find_shifts(w, shift);
    for (int i = 0; i < n; i++) {
        const bool back = i + 1 < n && (shift[i].factor > 1) != (shift[i + 1].factor > 1);
        const int64_t end = back ? shift[i + 1].row : w->s->T;
        add(w, (TrafficFault){.kind = FAULT_LEVEL, .rows = {shift[i].row, end}, .flows = 1, .flow = flow, .node = -1,
                              .factor = shift[i].factor});
        i += back;
    }
    flatten(w, shift, n);
}

// ---- spikes and drops ----------------------------------------------------------------------------------------------

// log y beyond which a value is no part of the flow's usual noise.
static double noise_limit(Work *w)
{
    const int64_t step = (w->s->T + SAMPLE - 1) / SAMPLE;
    int64_t n = 0;
    for (int64_t t = 0; t < w->s->T; t += step)
        if (w->y[t] > 0) w->part[n++] = logf(w->y[t]);
    sort_f32(w->part, n);
    const float median = n ? quantile(w->part, n, 0.5) : 0;
    for (int64_t i = 0; i < n; i++) w->part[i] = fabsf(w->part[i] - median);
    sort_f32(w->part, n);
    return fmax(log(SPIKE), SIGMAS * 1.4826 * (n ? (double)quantile(w->part, n, 0.5) : 0));
}

static bool beyond(const Work *w, int64_t t, double limit, bool high)
{
    const float y = w->y[t];
    return high ? y > 0 && log((double)y) >= limit : y == 0 || (y > 0 && log((double)y) <= -limit);
}

static void find_bursts(Work *w, int flow, double limit, bool high)
{
    const int64_t T = w->s->T, before = w->n;
    for (int64_t t = 0, end; t < T; t = end) {
        end = t + 1;
        if (!beyond(w, t, limit, high)) continue;
        for (int64_t u = end; u < T && u <= end + BRIDGE; u++)
            if (beyond(w, u, limit, high)) end = u + 1;
        if (2 * (end - t) >= w->D && w->D > 1) continue;
        add(w, (TrafficFault){.kind = high ? FAULT_SPIKE : FAULT_DROP, .rows = {t, end}, .flows = 1, .flow = flow,
                              .node = -1, .factor = (double)w->y[t]});
        if (w->n - before > MOST_BURSTS) {
            w->n = before;      // bursty
            return;
        }
    }
}

// ---- stuck ---------------------------------------------------------------------------------------------------------

// Whether flow f has in row t the value above 0 of the row before.
static bool same(const Work *w, int64_t t, int64_t f)
{
    const TrafficSeries *s = w->s;
    if (s->slot[t] != s->slot[t - 1] + 1 || !usable(w, t, f) || !usable(w, t - 1, f)) return false;
    return flow_x(w, t)[f] > 0 && flow_x(w, t)[f] == flow_x(w, t - 1)[f];
}

// The share of the rows that hold the value of row t.
static double share_of_value(const Work *w, int64_t t, int64_t f)
{
    int64_t n = 1;
    for (int64_t u = 0; u < w->s->T; u++) n += flow_x(w, u)[f] == flow_x(w, t)[f] && traffic_seen(w->s, u, f);
    return (double)n / (double)(w->s->T + 1);
}

static void find_stuck(Work *w, int flow)
{
    const int64_t T = w->s->T;
    int64_t equal = 0;
    for (int64_t t = 1; t < T; t++) equal += same(w, t, flow);
    const double p = (double)(equal + 1) / (double)(T + 1);
    for (int64_t t = 1, end; t < T; t = end) {
        for (end = t; end < T && same(w, end, flow); end++) {}
        const int64_t pairs = end - t;
        if (pairs >= STUCK_PAIRS && (double)T * pow(p, (double)pairs) < CHANCE &&
            (double)T * pow(share_of_value(w, t, flow), (double)pairs) < CHANCE)
            add(w, (TrafficFault){.kind = FAULT_STUCK, .rows = {t - 1, end}, .flows = 1, .flow = flow, .node = -1});
        end += pairs == 0;
    }
}

// ---- the same fault of several flows -------------------------------------------------------------------------------

static int compare_faults(const void *p, const void *q)
{
    const TrafficFault *a = p, *b = q;
    const int64_t u[] = {a->kind, a->rows.begin, a->rows.end, a->flow, a->node};
    const int64_t v[] = {b->kind, b->rows.begin, b->rows.end, b->flow, b->node};
    for (int i = 0; i < 5; i++)
        if (u[i] != v[i]) return u[i] < v[i] ? -1 : 1;
    return 0;
}

static int compare_double(const void *p, const void *q)
{
    const double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

// How many of the n faults have nearly the factor that the middle one has, which goes to *factor.
static int64_t common_factor(const TrafficFault *f, int64_t n, Arena *a, double *factor)
{
    const size_t mark = arena_mark(a);
    double *v = arena_alloc(a, (size_t)n * sizeof *v);
    int64_t common = 0;
    for (int64_t i = 0; i < n; i++) v[i] = f[i].factor;
    qsort(v, (size_t)n, sizeof *v, compare_double);
    *factor = v[n / 2];
    for (int64_t i = 0; i < n; i++) common += fabs(log(f[i].factor / *factor)) < log(1.5);
    arena_rewind(a, mark);
    return common;
}

// n faults of one kind, of flows in the same rows -> one; false: a level that changes too little for single flows.
static bool join(Work *w, const TrafficFault *f, int64_t n, int64_t live, TrafficFault *out)
{
    const int N = w->s->N;
    int origin = f->flow / N, destination = f->flow % N;
    double factor;
    *out = *f;
    out->flows = (int)n;
    for (int64_t i = 0; i < n; i++) {
        if (f[i].flow / N != origin) origin = -1;
        if (f[i].flow % N != destination) destination = -1;
    }
    if (n > 1) out->node = origin >= 0 ? origin : destination;
    if (f->kind == FAULT_STUCK) return true;
    const int64_t common = common_factor(f, n, w->a, &factor);
    out->factor = factor;
    if (f->kind != FAULT_LEVEL) return true;
    if (live > 1 && 10 * common >= 8 * live) out->kind = FAULT_UNIT;
    return out->kind == FAULT_UNIT || fabs(log(factor)) >= log(SHIFT_OF_ONE);
}

static void join_all(Work *w)
{
    int64_t n = 0, live = 0;
    for (int64_t f = 0; f < w->F; f++) live += w->live[f];
    qsort(w->fault, (size_t)w->n, sizeof *w->fault, compare_faults);
    for (int64_t i = 0, end; i < w->n; i = end) {
        const TrafficFault *f = &w->fault[i];
        const bool alone = f->kind == FAULT_DARK || f->kind == FAULT_REPEATED;
        for (end = i + 1; end < w->n && !alone; end++) {
            const TrafficFault *g = &w->fault[end];
            if (g->kind != f->kind || g->rows.begin != f->rows.begin || g->rows.end != f->rows.end) break;
        }
        TrafficFault one = *f;
        if (alone || join(w, f, end - i, live, &one)) w->fault[n++] = one;
    }
    w->n = n;
    qsort(w->fault, (size_t)n, sizeof *w->fault, compare_faults);      // a level may have become a unit
}

int64_t traffic_faults_find(const TrafficSeries *s, Arena *a, TrafficFault **out)
{
    const size_t T = (size_t)s->T;
    Work w = {.s = s, .a = a, .D = traffic_slots_per_day(s), .F = (int64_t)s->N * s->N, .room = 64};
    w.fault = arena_alloc(a, (size_t)w.room * sizeof *w.fault);
    w.dark = arena_zalloc(a, T * (size_t)s->N);
    w.y = arena_alloc(a, T * sizeof *w.y);
    w.part = arena_alloc(a, T * sizeof *w.part);
    w.day = arena_alloc(a, T * sizeof *w.day);
    w.live = arena_zalloc(a, (size_t)w.F * sizeof *w.live);
    sort_by_slot(&w);
    find_dark(&w);
    for (int f = 0; f < w.F; f++) {
        find_stuck(&w, f);
        if (s->slot[s->T - 1] < 3 * w.D - 1 || !flow_open(&w, f)) continue;
        find_levels(&w, f);
        const double limit = noise_limit(&w);
        find_bursts(&w, f, limit, true);
        find_bursts(&w, f, limit, false);
    }
    TrafficRepeat *repeat;
    const int64_t repeats = traffic_repeats_find(s, a, &repeat);
    for (int64_t i = 0; i < repeats; i++)
        add(&w, (TrafficFault){.kind = FAULT_REPEATED, .rows = repeat[i].rows, .flow = -1, .node = -1,
                               .from = repeat[i].from});
    join_all(&w);
    *out = w.fault;
    return w.n;
}

// ---- in words ------------------------------------------------------------------------------------------------------

static void print_who(const TrafficSeries *s, const TrafficFault *f, FILE *out)
{
    if (f->kind == FAULT_DARK) {
        fputs("node ", out);
        traffic_node_put(out, s, f->node);
        return;
    }
    if (f->flows == 0) return;
    fputs("flow ", out);
    traffic_node_put(out, s, f->flow / s->N);
    fputc(':', out);
    traffic_node_put(out, s, f->flow % s->N);
    if (f->flows == 1) return;
    fprintf(out, " and %d more", f->flows - 1);
    if (f->node < 0) return;
    fputs(", all of node ", out);
    traffic_node_put(out, s, f->node);
}

// A unit that the factor suggests.
static const char *unit_guess(double factor)
{
    static const struct { double factor; const char *text; } guess[] = {
        {8, "bits for bytes"}, {1000, "a prefix, such as k for M"}, {1e6, "two prefixes"},
        {300, "5 minutes for seconds"}, {60, "minutes for seconds"}, {3600, "hours for seconds"},
        {900, "15 minutes for seconds"},
        {2400, "bits of 5 minutes for bytes of seconds"}, {125, "kbit for bytes"}};
    const double f = factor < 1 ? 1 / factor : factor;
    for (size_t i = 0; i < sizeof guess / sizeof *guess; i++)
        if (f > guess[i].factor / 1.1 && f < guess[i].factor * 1.1) return guess[i].text;
    return "another unit";
}

static void print_what(const TrafficSeries *s, const TrafficFault *f, FILE *out)
{
    const int64_t n = f->rows.end - f->rows.begin;
    const bool last = f->rows.end == s->T, reset = n <= 2;
    switch (f->kind) {
    case FAULT_SPIKE:
        fprintf(out, "%.3g x its normal level%s", f->factor, reset ? ": a counter that was reset or wrapped?" : "");
        break;
    case FAULT_DROP:
        fprintf(out, "%.3g x its normal level%s", f->factor, reset ? ": a counter that was reset?" : "");
        break;
    case FAULT_LEVEL: fprintf(out, "level x %.3g%s", f->factor, last ? ", until the end" : ""); break;
    case FAULT_UNIT:
        fprintf(out, "all levels x %.3g%s: the unit changed (%s)?", f->factor, last ? ", until the end" : "",
                unit_guess(f->factor));
        break;
    case FAULT_STUCK:
        fprintf(out, "stuck on one value (%g kbit/s)", (double)s->x[f->rows.begin * s->N * s->N + f->flow]);
        break;
    case FAULT_DARK: fputs("missing or silent: it sends and receives nothing", out); break;
    default: fprintf(out, "equal to the rows from %lld on", (long long)f->from); break;
    }
}

static void print_text(const TrafficSeries *s, const TrafficFault *f, FILE *out)
{
    print_who(s, f, out);
    fputs(f->flows || f->kind == FAULT_DARK ? ": " : "", out);
    print_what(s, f, out);
}

const char *traffic_fault_text(const TrafficSeries *s, const TrafficFault *f, Arena *a)
{
    TextWriter out;
    text_open(&out, a);
    print_text(s, f, out.f);
    return text_close(&out);
}

void traffic_faults_print(const TrafficSeries *s, const TrafficFault *fault, int64_t n, int64_t most, FILE *out)
{
    int64_t of_kind = 0;
    for (int64_t i = 0; i < n; i++) {
        const TrafficFault *f = &fault[i];
        of_kind = i && fault[i - 1].kind == f->kind ? of_kind + 1 : 0;
        const bool last = i + 1 == n || fault[i + 1].kind != f->kind;
        if (of_kind >= most && last)
            fprintf(out, "  %s: and %lld more\n", fault_names[f->kind], (long long)(of_kind + 1 - most));
        if (of_kind >= most) continue;
        fprintf(out, "  %8lld - %8lld  ", (long long)f->rows.begin, (long long)f->rows.end - 1);
        if (s->time)
            fprintf(out, "%s .. %s  ", time_text(s->time[f->rows.begin]).s, time_text(s->time[f->rows.end - 1]).s);
        fprintf(out, "%s  ", fault_names[f->kind]);
        print_text(s, f, out);
        fputc('\n', out);
    }
}
