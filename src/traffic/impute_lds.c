// Filling by linear dynamical systems; the contract is in impute.h.
#include <math.h>
#include <string.h>

#include "traffic/impute.h"
#include "traffic/lds_channel.h"

enum { FLOW_ROUNDS = 10, FEWEST_VALUES = 20, HIDDEN_PART = 4 };

typedef struct Work {
    const TrafficSeries *s;
    const ImputeOptions *o;
    Arena *a;
    int64_t F;
    ImputeUnits u;
} Work;

// Rows of one window; cells are counted from its first row.
typedef struct Window {
    TrafficRange core, rows;     // rows to fill; rows that are looked at
    int64_t T;
    LdsData d;
    double *y, *tau, *offset;    // [T][F]
    uint8_t *hidden, *applies, *first;
    double *mean, *deviation;    // [T][F] of y where it is hidden or to be filled
} Window;

// ---- a window ------------------------------------------------------------------------------------------------------

// Rows and nodes of which nothing was measured, in row t of the series: bits that say where a collector was dark.
static bool dark(const TrafficSeries *s, int64_t t, int64_t i, int64_t j)
{
    const int N = s->N;
    bool from = true, to = true;
    for (int64_t k = 0; k < N && (from || to); k++) {
        from = from && isnan(s->x[(t * N + i) * N + k]) && isnan(s->x[(t * N + k) * N + i]);
        to = to && isnan(s->x[(t * N + j) * N + k]) && isnan(s->x[(t * N + k) * N + j]);
    }
    return from || to;
}

// Which known values of flow f are hidden: those half a window away from what is missing, but never more than one in
// HIDDEN_PART, so that a flow with a hole of half a window keeps most of what is known of it.
static void hide(Window *v, const Work *w, int64_t f)
{
    const float *x = w->s->x + v->rows.begin * w->F + f;
    int64_t known = 0, hidden = 0;
    for (int64_t t = 0; t < v->T; t++) known += !isnan(x[t * w->F]);
    for (int64_t t = 0; t < v->T; t++) {
        const bool mirror = !isnan(x[t * w->F]) && isnan(x[(t + v->T / 2) % v->T * w->F]);
        v->hidden[t * w->F + f] = mirror && hidden < known / HIDDEN_PART;
        hidden += v->hidden[t * w->F + f];
    }
}

// Of all that is missing the channel explains where holes begin: how long a hole lasts says nothing of its load.
static void read_cell(Window *v, const Work *w, int64_t k, bool channel)
{
    const int64_t at = v->rows.begin * w->F + k, t = at / w->F, f = at % w->F;
    const float x = w->s->x[at];
    v->offset[k] = (double)w->u.profile[impute_profile_row(w->s, t) * w->F + f];
    v->y[k] = v->hidden[k] ? (double)NAN : impute_unit(&w->u, x, f) - v->offset[k];
    v->tau[k] = isnan(v->y[k]) ? 0 : (double)INFINITY;
    v->applies[k] = channel && isnan(x) && !v->first[k / w->F] && !isnan(w->s->x[at - w->F]) &&
                    !dark(w->s, t, f / w->s->N, f % w->s->N);
}

static Window window_new(const Work *w, TrafficRange core)
{
    const int64_t margin = w->o->window / 8, T = w->s->T;
    Window v = {.core = core};
    v.rows.begin = core.begin > margin ? core.begin - margin : 0;
    v.rows.end = core.end + margin < T ? core.end + margin : T;
    v.T = v.rows.end - v.rows.begin;
    const size_t cells = (size_t)(v.T * w->F);
    double **const numbers[] = {&v.y, &v.tau, &v.offset, &v.mean, &v.deviation};
    for (int i = 0; i < 5; i++) *numbers[i] = arena_alloc(w->a, cells * sizeof(double));
    v.hidden = arena_alloc(w->a, cells);
    v.applies = arena_alloc(w->a, cells);
    v.first = arena_alloc(w->a, (size_t)v.T);
    for (int64_t t = 0; t < v.T; t++) {
        const int64_t row = v.rows.begin + t;
        v.first[t] = !row || w->s->slot[row] != w->s->slot[row - 1] + 1;
    }
    for (int64_t f = 0; f < w->F; f++) hide(&v, w, f);
    for (size_t k = 0; k < cells; k++) read_cell(&v, w, (int64_t)k, w->o->method == IMPUTE_LDS_DROPOUT);
    v.d = (LdsData){.T = v.T, .y = v.y, .tau = v.tau, .first = v.first};
    return v;
}

static bool wanted(const Window *v, const Work *w, int64_t k)
{
    const int64_t t = v->rows.begin + k / w->F;
    return v->hidden[k] || (t >= v->core.begin && t < v->core.end && isnan(w->s->x[v->rows.begin * w->F + k]));
}

// Too little of flow f is known in the window: its season alone.
static bool fill_by_season(Window *v, const Work *w, int64_t f)
{
    int64_t n = 0;
    for (int64_t t = 0; t < v->T; t++) n += isinf(v->tau[t * w->F + f]) != 0;
    for (int64_t t = 0; t < v->T && n < FEWEST_VALUES; t++) {
        v->mean[t * w->F + f] = 0;
        v->deviation[t * w->F + f] = w->u.spread[f];
    }
    return n < FEWEST_VALUES;
}

// A system of its own for what all others left of flow f; its result goes to mean and deviation.  The mean stays within
// what the window knows of the flow: neighbours that were extreme together do not carry it further.
static void fill_flow(Window *v, const Work *w, const Lds *all, const LdsPath *path, int64_t f)
{
    const size_t mark = arena_mark(w->a), bytes = (size_t)v->T * sizeof(double);
    Lds flow = lds_new(w->a, 1, 1), one = *all;
    double *y = arena_alloc(w->a, bytes), *tau = arena_alloc(w->a, bytes), *common = arena_alloc(w->a, bytes),
           *variance = arena_alloc(w->a, bytes), none = 0, least = INFINITY, most = -INFINITY;
    const LdsData blank = {.T = v->T, .y = memset(arena_alloc(w->a, bytes), 0xFF, bytes)};     // all NaN
    one.F = 1;
    one.C = all->C + f * all->K;
    one.R = &none;
    for (int64_t t = 0; t < v->T; t++) {
        lds_value(&one, &blank, path, t, 0, &common[t], &variance[t]);
        y[t] = v->y[t * w->F + f] - common[t];
        tau[t] = v->tau[t * w->F + f];
        if (!isinf(tau[t])) continue;
        least = fmin(least, v->y[t * w->F + f]);
        most = fmax(most, v->y[t * w->F + f]);
    }
    const LdsData d = {.T = v->T, .y = y, .tau = tau, .first = v->first};
    LdsPath p = lds_path_new(w->a, 1, v->T);
    lds_start(&flow, w->a, &d, 1);
    lds_fit(&flow, w->a, &d, &p, FLOW_ROUNDS);
    for (int64_t t = 0; t < v->T; t++) {
        double mean, spread;
        if (!wanted(v, w, t * w->F + f)) continue;
        lds_value(&flow, &d, &p, t, 0, &mean, &spread);
        v->mean[t * w->F + f] = fmin(fmax(common[t] + mean, least), most);
        v->deviation[t * w->F + f] = sqrt(spread + variance[t]);
    }
    arena_rewind(w->a, mark);
}

// ---- the result ----------------------------------------------------------------------------------------------------

// How the hidden values lie around their means, in standard deviations.
static ImputeBands fit_bands(const Window *v, const Work *w)
{
    int64_t n = 0;
    float *z = arena_alloc(w->a, 2 * (size_t)(v->T * w->F) * sizeof *z);
    for (int64_t k = 0; k < v->T * w->F; k++) {
        const int64_t at = v->rows.begin * w->F + k, f = at % w->F;
        if (!v->hidden[k] || v->deviation[k] <= 0 || w->u.most[f] <= 0) continue;
        z[n++] = (float)((impute_unit(&w->u, w->s->x[at], f) - v->offset[k] - v->mean[k]) / v->deviation[k]);
    }
    return impute_bands(z, n);
}

static void put_cell(Imputation *out, const Work *w, const Window *v, const ImputeBands *bands, int64_t i)
{
    const int64_t k = out->cell[i] - v->rows.begin * w->F;
    impute_put_unit(out, w->o, &w->u, i, v->offset[k] + v->mean[k], v->deviation[k], bands);
}

// Fits the window's systems to what is known and not hidden; -> mean and deviation of what is hidden or to be filled.
static void fit_window(Window *v, const Work *w, Imputation *out)
{
    const int K = w->o->hidden < w->F ? w->o->hidden : (int)w->F;
    Lds all = lds_new(w->a, K, (int)w->F);
    LdsPath path = lds_path_new(w->a, K, v->T);
    lds_start(&all, w->a, &v->d, 1);
    if (w->o->method == IMPUTE_LDS_DROPOUT) {
        LdsChannel c = {.offset = v->offset, .applies = v->applies, .y = v->y, .tau = v->tau};
        c.xi = arena_alloc(w->a, (size_t)(v->T * w->F) * sizeof *c.xi);
        channel_start(&c, v->T * w->F);
        channel_fit(&c, &all, w->a, &v->d, &path, w->o->rounds);
        out->a += c.a;
        out->b += c.b;
    } else lds_fit(&all, w->a, &v->d, &path, w->o->rounds);
    for (int64_t f = 0; f < w->F; f++)
        if (!fill_by_season(v, w, f)) fill_flow(v, w, &all, &path, f);
}

// Fills the cells first .. last-1, which lie in the core.
static void fill_window(Imputation *out, const Work *w, TrafficRange core, int64_t first, int64_t last)
{
    const size_t mark = arena_mark(w->a);
    Window v = window_new(w, core);
    fit_window(&v, w, out);
    const ImputeBands bands = fit_bands(&v, w);
    for (int64_t i = first; i < last; i++) put_cell(out, w, &v, &bands, i);
    arena_rewind(w->a, mark);
}

void impute_lds(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o)
{
    const Work w = {.s = s, .o = o, .a = a, .F = (int64_t)s->N * s->N, .u = impute_units(a, s)};
    const int64_t n = (s->T + o->window - 1) / o->window, rows = (s->T + n - 1) / n;
    for (int64_t i = 0, first = 0; i < n; i++) {
        const TrafficRange core = {i * rows, (i + 1) * rows < s->T ? (i + 1) * rows : s->T};
        int64_t last = first;
        while (last < out->n && out->cell[last] < core.end * w.F) last++;
        if (last > first) {
            fill_window(out, &w, core, first, last);
            out->windows++;
        }
        first = last;
    }
    if (!out->windows) return;
    out->a /= out->windows;
    out->b /= out->windows;
}
